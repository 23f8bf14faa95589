import assert from 'node:assert/strict';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import Database from 'better-sqlite3';
import {
  AGENT_AWAY,
  type AgentJob,
  AgentsAnswerSchema,
  type CheckIn,
  CheckInAnswerSchema,
  type Run,
} from '../../../catalog/protocol/agents.ts';
import { EventsAnswerSchema } from '../../../catalog/protocol/events.ts';
import { TestService } from '../fixture/running-service.ts';

const NOW = 1_800_000_000_000;
const TIME = new Date(NOW).toISOString();
const run: Run = { started: TIME, ended: TIME, outcome: 'done', words: '', stored: 1 };
const job: AgentJob = {
  name: 'nightly',
  datasets: ['tank/home'],
  schedule: 'every day',
  next: TIME,
  running: false,
  last: run,
  failing: false,
};
const checkIn: CheckIn = { host: 'mds1', version: '0.1.0', clock: NOW, jobs: [job] };

describe('what agents say of themselves', () => {
  let service: TestService;
  beforeEach(async () => {
    service = await new TestService().start();
  });
  afterEach(() => service.end());

  const say = async (body: CheckIn, token = service.token('agent')) =>
    await service.ask(CheckInAnswerSchema, 'POST', '/v1/agents', { body, token });
  const agents = async () =>
    (await service.ask(AgentsAnswerSchema, 'GET', '/v1/agents', { token: service.token('reader') })).agents;

  it('is not taken from readers, nor in another shape', async () => {
    const denied = await service.refusal('POST', '/v1/agents', {
      body: checkIn,
      token: service.token('reader'),
    });
    assert.deepEqual([denied.status, denied.code], [403, 'token.scope']);
    const odd = await service.refusal('POST', '/v1/agents', { body: { ...checkIn, mood: 'good' } });
    assert.equal(odd.code, 'request.malformed');
  });

  it("is kept by token and host, over a restart, and answered with the service's clock", async () => {
    assert.deepEqual(await say(checkIn), { clock: NOW });
    await say({ ...checkIn, host: 'mds2', jobs: [] });
    await service.restart();
    const [first, second, ...more] = await agents();
    assert.deepEqual(more, []);
    assert.deepEqual(first, { agent: 'agent', ...checkIn, seen: TIME, away: false, ahead: 0 });
    assert.equal(second?.host, 'mds2');
  });

  it('that is a quarter of an hour old says that the agent is away', async () => {
    await say(checkIn);
    service.clock.pass(AGENT_AWAY - 1);
    assert.equal((await agents())[0]?.away, false);
    service.clock.pass(1);
    assert.equal((await agents())[0]?.away, true);
    await say(checkIn);
    assert.equal((await agents())[0]?.away, false);
  });

  it('tells by how much its clock is wrong', async () => {
    await say({ ...checkIn, clock: NOW - 3_600_000 });
    assert.equal((await agents())[0]?.ahead, -3_600_000);
  });

  it('goes into the journal when a job fails and when it is well again, once each', async () => {
    const failing = { ...job, last: { ...run, outcome: 'failed' as const, words: 'no room' }, failing: true };
    for (const one of [job, failing, failing, job, job]) await say({ ...checkIn, jobs: [one] });
    // What was noted is written at the end at the latest.
    await service.restart();
    const asking = { token: service.token('reader') };
    const { events } = await service.ask(EventsAnswerSchema, 'GET', '/v1/events?kinds=run', asking);
    assert.deepEqual(events.map(({ by, fact }) => [by, fact.kind, 'job' in fact ? fact.job : '']).reverse(), [
      ['agent', 'run.failed', 'nightly'],
      ['agent', 'run.recovered', 'nightly'],
    ]);
  });

  it('goes when its token goes', async () => {
    await say(checkIn);
    service.running.tokens.remove('agent');
    assert.deepEqual(await agents(), []);
  });

  it('that cannot be read any more is left out, and replaced by the next', async () => {
    await say(checkIn);
    const state = new Database(join(service.folder, 'service.db'));
    state.exec(`UPDATE agent SET said = '{"host":1}'`);
    state.close();
    assert.deepEqual(await agents(), []);
    await say(checkIn);
    assert.equal((await agents()).length, 1);
  });

  it('of ever more hosts with one token drops the oldest', async () => {
    const state = new Database(join(service.folder, 'service.db'));
    const add = state.prepare("INSERT INTO agent VALUES ('agent', ?, ?, ?)");
    state.transaction(() => {
      for (let n = 0; n < 1000; n++)
        add.run(`h${n}`, n, JSON.stringify({ ...checkIn, host: `h${n}`, jobs: [] }));
    })();
    state.close();
    await say(checkIn);
    const hosts = (await agents()).map(({ host }) => host);
    assert.equal(hosts.length, 1000);
    assert.ok(hosts.includes('mds1') && !hosts.includes('h0') && hosts.includes('h1'));
  });
});
