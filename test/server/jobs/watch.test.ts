import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { type AgentRow, CheckInAnswerSchema, StatusAnswerSchema } from '../../../catalog/protocol/agents.ts';
import { EventsAnswerSchema, JobsAnswerSchema } from '../../../catalog/protocol/events.ts';
import { agentTransitions } from '../../../server/jobs/watch.ts';
import { TestService } from '../fixture/running-service.ts';
import { openRequest } from '../fixture/samples.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

describe('watching', () => {
  let service: TestService;
  beforeEach(async () => {
    service = await new TestService({ settings: 'watch.schedule = "never"\n' }).start();
  });
  afterEach(() => service.end());

  const objective = async (text: string) => {
    const policy = {
      name: 'all',
      datasets: [],
      hosts: [],
      lineages: [],
      keep: {},
      zone: 'UTC',
      objective: text,
    };
    const token = service.token('operator', 'alice');
    const { status, text: answer } = await service.call('PUT', '/v1/policies/all', { token, body: policy });
    assert.ok(status < 300, answer);
  };
  const watch = async (kinds = 'late') => {
    const token = service.token('operator', 'alice');
    await service.call('POST', '/v1/jobs/watch', { token });
    const isOver = async () => {
      const { jobs } = await service.ask(JobsAnswerSchema, 'GET', '/v1/jobs');
      return jobs.find(({ job }) => job === 'watch')?.running === false;
    };
    for (let looks = 0; !(await isOver()); looks += 1) {
      assert.ok(looks < 500, 'the job does not end');
      await setTimeout(10);
    }
    const { events } = await service.ask(EventsAnswerSchema, 'GET', `/v1/events?kinds=${kinds}`);
    return events.map(({ fact }) => fact.kind);
  };

  it('says once that a dataset is late, also over a restart, and once that it is not any more', async () => {
    const { created } = await service.backUp(openRequest({ to: 1n }));
    const age = service.clock.now() - created * 1000;
    await objective(`${Math.ceil(age / HOUR) + 1}h`);
    assert.deepEqual(await watch(), []);
    service.clock.pass(2 * HOUR);
    assert.deepEqual(await watch(), ['late']);
    assert.equal((await service.ask(StatusAnswerSchema, 'GET', '/v1/status')).state, 'late');
    await service.restart();
    assert.deepEqual(await watch(), ['late']);
    await objective('900000h');
    assert.deepEqual(await watch(), ['late.over', 'late']);
    assert.equal((await service.ask(StatusAnswerSchema, 'GET', '/v1/status')).state, 'well');
    assert.deepEqual(await watch(), ['late.over', 'late']);
  });

  const say = async () => {
    const body = { host: 'mds1', version: '1', clock: service.clock.now(), jobs: [] };
    await service.ask(CheckInAnswerSchema, 'POST', '/v1/agents', { body });
  };
  const away = async () => await watch('agent.away');

  it('says once that an agent is away, also over a restart, and once that it is heard of again', async () => {
    await say();
    service.clock.pass(14 * MINUTE);
    assert.deepEqual(await away(), []);
    service.clock.pass(2 * MINUTE);
    assert.deepEqual(await away(), ['agent.away']);
    assert.equal((await service.ask(StatusAnswerSchema, 'GET', '/v1/status')).state, 'late');
    await service.restart();
    service.clock.pass(16 * MINUTE);
    assert.deepEqual(await away(), ['agent.away']);
    await say();
    assert.deepEqual(await away(), ['agent.away.over', 'agent.away']);
    assert.deepEqual(await away(), ['agent.away.over', 'agent.away']);
    service.clock.pass(16 * MINUTE);
    assert.deepEqual(await away(), ['agent.away', 'agent.away.over', 'agent.away']);
  });

  it('says of nobody that he is away while the service itself has not listened for long enough', async () => {
    await say();
    await service.stop();
    service.clock.pass(2 * HOUR);
    await service.start();
    assert.deepEqual(await away(), []);
    service.clock.pass(16 * MINUTE);
    assert.deepEqual(await away(), ['agent.away']);
  });
});

describe('what is said of an agent', () => {
  const row = (seen: string, isAway: boolean): AgentRow => {
    return { agent: 'mds1', host: 'h', version: '1', clock: 0, jobs: [], seen, away: isAway, ahead: 0 };
  };
  const [early, late] = ['2026-11-20T12:00:00.000Z', '2026-11-20T12:30:00.000Z'];
  const over = { kind: 'agent.away.over' as const, agent: 'mds1', host: 'h', seen: late };

  it('is nothing where another service has heard of it since', () => {
    assert.deepEqual(agentTransitions([over], [row(early, true)]), []);
    assert.deepEqual(
      agentTransitions([over], [row(late, true)]).map(({ kind }) => kind),
      ['agent.away'],
    );
  });

  it('is nothing by a service that does not know it, or knows no news', () => {
    const said = { ...over, kind: 'agent.away' as const };
    assert.deepEqual(agentTransitions([said], []), []);
    assert.deepEqual(agentTransitions([said], [row(late, true)]), []);
    assert.deepEqual(agentTransitions([], [row(late, false)]), []);
    assert.deepEqual(agentTransitions([said], [row(late, false)]), [over]);
  });
});
