import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { Type } from 'typebox';
import { type Policy, PolicySchema } from '../../../catalog/chain/retention/policy.ts';
import { EventsAnswerSchema } from '../../../catalog/protocol/events.ts';
import { PinRowSchema, PinsAnswerSchema, PoliciesAnswerSchema } from '../../../catalog/protocol/keeping.ts';
import { guidOf } from '../../../catalog/words.ts';
import { entryId, policy } from '../../catalog/index/journal/entries.ts';
import { gone } from '../fixture/faulty-store.ts';
import { TestService } from '../fixture/running-service.ts';
import { openRequest, someBackup } from '../fixture/samples.ts';

const service = new TestService();
before(async () => {
  await service.start();
  await service.backUp(openRequest({ to: 1n }));
});
after(() => service.end());
beforeEach(() => service.faults.heal());

const operator = (body?: unknown) => ({
  token: service.token('operator', 'olga'),
  ...(body === undefined ? {} : { body }),
});
const policies = async () => (await service.ask(PoliciesAnswerSchema, 'GET', '/v1/policies')).policies;
const pins = async () => (await service.ask(PinsAnswerSchema, 'GET', '/v1/pins')).pins;
const events = async (query = '') => {
  return (await service.ask(EventsAnswerSchema, 'GET', `/v1/events${query}`)).events;
};
const put = (body: Policy) => service.ask(PolicySchema, 'PUT', `/v1/policies/${body.name}`, operator(body));
const snapshot = guidOf(1n);
const wanted = { guid: snapshot, reason: 'the audit of May', until: null, legal: false };

describe('a policy', () => {
  it('is set, replaced and removed, by whom is in the journal', async () => {
    await put(policy('nightly', 7));
    await put(policy('nightly', 30));
    assert.deepEqual(await policies(), [policy('nightly', 30)]);
    const { status } = await service.call('DELETE', '/v1/policies/nightly', operator());
    assert.deepEqual([status, await policies()], [204, []]);
    const said = (await events('?kinds=policy')).map(({ by, fact }) => [by, fact.kind]);
    assert.deepEqual(said, [
      ['olga', 'policy.removed'],
      ['olga', 'policy.set'],
      ['olga', 'policy.set'],
    ]);
  });

  it('that is set as it stands is not written again', async () => {
    await put(policy('same'));
    const before = (await events()).length;
    await put(policy('same'));
    assert.equal((await events()).length, before);
  });

  it('holds after a restart, and after all was lost but the bucket', async () => {
    await put(policy('lasting'));
    const held = await policies();
    await service.restart();
    assert.deepEqual(await policies(), held);
    await service.loseState();
    assert.deepEqual(await policies(), held);
    await service.stop();
    await service.start();
    assert.deepEqual(await policies(), held);
  });

  it('is not answered as set when the bucket does not take it', async () => {
    service.faults.decide = () => ({ when: 'before', error: gone() });
    const refusal = await service.refusal('PUT', '/v1/policies/away', operator(policy('away')));
    assert.deepEqual([refusal.status, refusal.code], [503, 'test.gone']);
    assert.ok(!(await policies()).some(({ name }) => name === 'away'));
  });

  const wrong: [words: string, body: unknown, code: string, field: string | undefined][] = [
    ['another name than its path', policy('other'), 'policy.wrong', 'name'],
    ['a zone that is none', { ...policy('bad'), zone: 'Mars/Olympus' }, 'policy.wrong', 'zone'],
    ['a duration that is none', { ...policy('bad'), objective: '1h2w' }, 'policy.wrong', 'objective'],
    ['a rule that there is not', { ...policy('bad'), keep: { often: 3 } }, 'request.malformed', undefined],
  ];
  for (const [words, body, code, field] of wrong) {
    it(`with ${words} is refused`, async () => {
      const refusal = await service.refusal('PUT', '/v1/policies/bad', operator(body));
      assert.deepEqual([refusal.status, refusal.code, refusal.facts['field']], [400, code, field]);
    });
  }

  it('that is not there cannot be removed', async () => {
    const refusal = await service.refusal('DELETE', '/v1/policies/none', operator());
    assert.deepEqual([refusal.status, refusal.code], [404, 'policy.missing']);
  });

  it('cannot be set by an agent, and the refusal says who can', async () => {
    const asking = { token: service.token('agent'), body: policy('mine') };
    const refusal = await service.refusal('PUT', '/v1/policies/mine', asking);
    assert.deepEqual([refusal.status, refusal.facts['needed']], [403, 'operator']);
    assert.match(refusal.advice ?? '', /operator/);
  });
});

describe('a pin', () => {
  it('is set with its reason, and removed with one', async () => {
    const row = await service.ask(PinRowSchema, 'POST', '/v1/pins', operator(wanted));
    const { pin, at, ...rest } = row;
    const labels = { host: 'mds1.example', dataset: 'pool/mdt0', name: 's1', by: 'olga' };
    assert.deepEqual(rest, { ...wanted, ...labels });
    assert.ok(Date.parse(at) > 0);
    assert.deepEqual(await pins(), [row]);
    const over = { reason: 'the audit is over', legal: false };
    assert.equal((await service.call('DELETE', `/v1/pins/${pin}`, operator(over))).status, 204);
    assert.deepEqual(await pins(), []);
    const [last] = await events('?dataset=pool/mdt0&kinds=pin');
    assert.deepEqual(last?.fact, { kind: 'pin.removed', pin, reason: 'the audit is over' });
  });

  it('is over when its end has come', async () => {
    const until = new Date(service.clock.now() + 1000).toISOString();
    await service.ask(PinRowSchema, 'POST', '/v1/pins', operator({ ...wanted, until }));
    assert.equal((await pins()).length, 1);
    service.clock.pass(1000);
    assert.deepEqual(await pins(), []);
  });

  it('that is a legal hold is removed only when that is said', async () => {
    const body = { ...wanted, legal: true };
    const { pin } = await service.ask(PinRowSchema, 'POST', '/v1/pins', operator(body));
    const path = `/v1/pins/${pin}`;
    const refusal = await service.refusal('DELETE', path, operator({ reason: 'tidy', legal: false }));
    assert.deepEqual([refusal.status, refusal.code], [422, 'pin.legal-hold']);
    assert.equal((await pins()).length, 1);
    const said = await service.call('DELETE', path, operator({ reason: 'the court says so', legal: true }));
    assert.deepEqual([said.status, await pins()], [204, []]);
  });

  const past = '2020-01-01T00:00:00.000Z';
  const future = '2099-01-01T00:00:00.000Z';
  const wrong: [words: string, body: unknown, status: number, code: string][] = [
    ['a snapshot that nobody kept', { ...wanted, guid: guidOf(99n) }, 404, 'pin.unknown-snapshot'],
    ['an end in the past', { ...wanted, until: past }, 400, 'pin.over'],
    ['an end of a legal hold', { ...wanted, until: future, legal: true }, 400, 'pin.legal-end'],
    ['no moment for its end', { ...wanted, until: 'tomorrow' }, 400, 'request.malformed'],
    ['no reason', { ...wanted, reason: '' }, 400, 'request.malformed'],
  ];
  for (const [words, body, status, code] of wrong) {
    it(`with ${words} is refused`, async () => {
      const refusal = await service.refusal('POST', '/v1/pins', operator(body));
      assert.deepEqual([refusal.status, refusal.code], [status, code]);
    });
  }

  it('that is not there cannot be removed', async () => {
    const body = { reason: 'tidy', legal: true };
    const refusal = await service.refusal('DELETE', `/v1/pins/${entryId(1)}`, operator(body));
    assert.deepEqual([refusal.status, refusal.code], [404, 'pin.missing']);
  });
});

describe('the journal', () => {
  it('tells which tokens were added and removed, also beside a running service', async () => {
    service.token('reader', 'rita');
    service.running.tokens.remove('rita');
    await service.running.journal.flush();
    const said = (await events('?kinds=token')).map(({ fact }) => fact);
    assert.deepEqual(said.slice(0, 2), [
      { kind: 'token.removed', name: 'rita' },
      { kind: 'token.added', name: 'rita', scope: 'reader' },
    ]);
  });

  it('tells who ended an open backup', async () => {
    const backup = await service.open(openRequest({ to: 2n, dataset: 'pool/left' }));
    await service.call('DELETE', `/v1/backups/${backup}`, operator());
    await service.running.journal.flush();
    const [last] = await events('?dataset=pool/left');
    const fact = { kind: 'backup.abandoned', backup, host: 'mds1.example', dataset: 'pool/left' };
    assert.deepEqual([last?.by, last?.fact], ['olga', fact]);
  });

  it('comes in pages', async () => {
    const all = await events('?limit=1000');
    const paged: typeof all = [];
    const Page = Type.Object({ ...EventsAnswerSchema.properties });
    for (let after = ''; ; ) {
      const page = await service.ask(Page, 'GET', `/v1/events?limit=3${after}`);
      paged.push(...page.events);
      if (page.next === null) break;
      after = `&after=${page.next}`;
    }
    assert.ok(all.length > 6);
    assert.deepEqual(paged, all);
  });

  it('is asked by time', async () => {
    service.clock.pass(60_000);
    const since = new Date(service.clock.now()).toISOString();
    await put(policy('later'));
    const found = await events(`?since=${since}`);
    assert.deepEqual(
      found.map(({ fact }) => fact),
      [{ kind: 'policy.set', policy: policy('later') }],
    );
  });

  it('does not know of a backup that an agent cannot end', async () => {
    const refusal = await service.refusal('DELETE', `/v1/backups/${someBackup(9)}`, operator());
    assert.equal(refusal.status, 404);
    await service.running.journal.flush();
    assert.ok(
      (await events('?kinds=backup.abandoned')).every(({ fact }) => fact.kind === 'backup.abandoned'),
    );
    assert.equal((await events('?kinds=backup.abandoned')).length, 1);
  });
});
