import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { EnrolAnswerSchema } from '../../../catalog/protocol/agents.ts';
import { EventsAnswerSchema } from '../../../catalog/protocol/events.ts';
import { RepositoryInfoSchema, type Scope } from '../../../catalog/protocol/protocol.ts';
import { addEnrolment } from '../../../server/enrolment/enrolment.ts';
import { openState } from '../../../server/state/state.ts';
import { TestService } from '../fixture/running-service.ts';

const HOUR = 3_600_000;
const WRONG = '0000-0000-0000-0000';

describe('a one-time code', () => {
  let service: TestService;
  beforeEach(async () => {
    service = await new TestService().start();
  });
  afterEach(() => service.end());

  /** As the command does, which opens the database beside a service that runs. */
  function add(name = 'mds1', life = HOUR, scope: Scope = 'agent'): string {
    const state = openState(service.folder);
    try {
      return addEnrolment(state, { name, scope, life, by: 'root (zkeep-server)' }, service.clock);
    } finally {
      state.close();
    }
  }
  const asking = (code: string, host = 'h') => ({ body: { code, host }, token: null });
  const enrol = async (code: string, host?: string) =>
    await service.ask(EnrolAnswerSchema, 'POST', '/v1/enrol', asking(code, host));
  const refusal = async (code: string, host?: string) =>
    await service.refusal('POST', '/v1/enrol', asking(code, host));
  const isGood = async (token: string) =>
    (await service.call('GET', '/v1/repository', { token })).status === 200;

  it('that is used is in the journal, with the name and the host', async () => {
    await enrol(add(), 'host1');
    await service.restart();
    const asking = { token: service.token('reader') };
    const { events } = await service.ask(EventsAnswerSchema, 'GET', '/v1/events?kinds=enrolled', asking);
    assert.deepEqual(
      events.map(({ fact }) => fact),
      [{ kind: 'enrolled', name: 'mds1', host: 'host1' }],
    );
  });

  it('becomes a token in the name of who made it, also when its answer was lost', async () => {
    const code = add();
    await enrol(code);
    await enrol(code);
    await service.restart();
    const asking = { token: service.token('reader') };
    const { events } = await service.ask(EventsAnswerSchema, 'GET', '/v1/events?kinds=token.added', asking);
    const made = events.filter(({ fact }) => fact.kind === 'token.added' && fact.name === 'mds1');
    assert.deepEqual(
      made.map(({ by }) => by),
      ['root (zkeep-server)', 'root (zkeep-server)'],
    );
  });

  it('that is wrong, malformed or too old is refused', async () => {
    const old = add();
    const { status, code, advice } = await refusal(WRONG);
    assert.deepEqual([status, code], [403, 'enrol.code']);
    assert.match(advice ?? '', /zkeep-server enroll/);
    assert.equal((await refusal('1234')).code, 'request.malformed');
    service.clock.pass(HOUR);
    assert.equal((await refusal(old)).code, 'enrol.code');
  });

  it('of ten wrong ones in a minute closes the door for a minute, to right ones too', async () => {
    const good = add();
    for (let n = 0; n < 10; n++) assert.equal((await refusal(WRONG)).code, 'enrol.code');
    const { status, code, facts } = await refusal(good);
    assert.deepEqual([status, code, facts['seconds']], [429, 'enrol.too-many', 60]);
    service.clock.pass(60_000);
    assert.equal((await enrol(good)).name, 'mds1');
  });

  it('may be mistyped now and then', async () => {
    for (let n = 0; n < 30; n++) {
      assert.equal((await refusal(WRONG)).code, 'enrol.code');
      service.clock.pass(10_000);
    }
  });

  it('gives its token once, with its name and scope', async () => {
    const code = add('watcher', HOUR, 'reader');
    assert.match(code, /^[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){3}$/);
    const { token, name, scope } = await enrol(code);
    assert.deepEqual([name, scope], ['watcher', 'reader']);
    await service.ask(RepositoryInfoSchema, 'GET', '/v1/repository', { token });
    assert.equal((await refusal(code)).code, 'enrol.code');
  });

  it('whose answer was lost gives another token, in place of the first, to the same host within a minute', async () => {
    const code = add();
    const lost = await enrol(code);
    assert.equal((await refusal(code, 'another')).code, 'enrol.code');
    service.clock.pass(59_000);
    const { token } = await enrol(code);
    assert.notEqual(token, lost.token);
    assert.deepEqual([await isGood(lost.token), await isGood(token)], [false, true]);
  });

  it('gives nothing more once somebody came with its token, after a minute, or after a restart', async () => {
    const used = add('one');
    assert.ok(await isGood((await enrol(used)).token));
    assert.equal((await refusal(used)).code, 'enrol.code');
    const late = add('two');
    await enrol(late);
    service.clock.pass(60_000);
    assert.equal((await refusal(late)).code, 'enrol.code');
    const before = add('three');
    await enrol(before);
    await service.restart();
    assert.equal((await refusal(before)).code, 'enrol.code');
  });

  it('gives nothing more once its token was removed', async () => {
    const code = add();
    await enrol(code);
    service.running.tokens.remove('mds1');
    assert.equal((await refusal(code)).code, 'enrol.code');
  });

  it('stays when its name was taken meanwhile, and is good once that one is gone', async () => {
    const code = add();
    service.running.tokens.add('mds1', 'reader');
    assert.equal((await refusal(code)).code, 'token.exists');
    service.running.tokens.remove('mds1');
    assert.equal((await enrol(code)).name, 'mds1');
  });

  it('is not made for a name that is taken or malformed, nor for too short or too long', () => {
    service.running.tokens.add('mds1', 'agent');
    assert.throws(() => add('mds1'), { kind: 'refused', code: 'token.exists' });
    assert.throws(() => add('a b'), { kind: 'usage', code: 'token.name' });
    assert.throws(() => add('mds2', 59_999), { kind: 'usage', code: 'enrol.life' });
    assert.throws(() => add('mds2', 31 * 24 * HOUR), { kind: 'usage', code: 'enrol.life' });
  });

  it('takes the place of the one before of the same name', async () => {
    const [first, second] = [add(), add()];
    assert.equal((await refusal(first)).code, 'enrol.code');
    assert.equal((await enrol(second)).name, 'mds1');
  });

  it('outlives a restart, and does not lie in the file', async () => {
    const code = add();
    await service.restart();
    const bytes = ['service.db', 'service.db-wal'].map((file) =>
      readFileSync(join(service.folder, file), 'latin1'),
    );
    assert.ok(!bytes.join('').includes(code) && !bytes.join('').includes(code.replaceAll('-', '')));
    assert.equal((await enrol(code)).name, 'mds1');
  });
});
