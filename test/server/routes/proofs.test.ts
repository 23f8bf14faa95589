import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import {
  DamageAnswerSchema,
  FindingsAnswerSchema,
  type FindingsRequest,
  ProofsAnswerSchema,
} from '../../../catalog/protocol/events.ts';
import type { BackupId } from '../../../catalog/words.ts';
import { TestService } from '../fixture/running-service.ts';
import { openRequest, someBackup } from '../fixture/samples.ts';

describe('proofs and damage', () => {
  let service: TestService;
  let full: BackupId;
  let next: BackupId;
  beforeEach(async () => {
    service = await new TestService().start();
    full = (await service.backUp(openRequest({ to: 1n }))).backup;
    service.clock.pass(1000);
    next = (await service.backUp(openRequest({ from: 1n, to: 2n }))).backup;
  });
  afterEach(() => service.end());

  const proofs = async (query = 'depth=deep') =>
    (await service.ask(ProofsAnswerSchema, 'GET', `/v1/proofs?${query}`)).proofs;
  const damage = async (query = '') =>
    (await service.ask(DamageAnswerSchema, 'GET', `/v1/damage${query}`)).damage;
  const report = async (found: Partial<FindingsRequest>) => {
    const body = { proofs: [], damage: [], ...found };
    const token = service.token('operator', 'alice');
    return await service.ask(FindingsAnswerSchema, 'POST', '/v1/proofs', { token, body });
  };
  const proof = (backup: BackupId, depth: 'light' | 'deep' = 'deep') => ({
    backup,
    depth,
    bytes: 600,
    frames: 1,
  });
  const broken = (backup: BackupId) => ({
    backup,
    depth: 'deep' as const,
    problems: [{ code: 'segment.digest', key: 'segments/0', message: 'it is not the one' }],
    count: 1,
  });

  it('are none at first', async () => {
    const never = { light: null, deep: null };
    assert.deepEqual(await proofs(), [
      { backup: full, ...never },
      { backup: next, ...never },
    ]);
    assert.deepEqual(await damage(), []);
  });

  it('come from an operator: the oldest proof stands first', async () => {
    assert.deepEqual(await report({ proofs: [proof(full)] }), { proofs: 1, damage: 0 });
    const at = new Date(service.clock.now()).toISOString();
    assert.deepEqual(
      (await proofs()).map(({ backup, deep }) => [backup, deep]),
      [
        [next, null],
        [full, at],
      ],
    );
    assert.deepEqual(
      (await proofs(`depth=light&before=${at}`)).map(({ backup }) => backup),
      [next],
      'a deep proof is a light one, too',
    );
  });

  it('name what is lost, by whom it was found, and are refuted by a later proof', async () => {
    assert.deepEqual(await report({ damage: [broken(full)] }), { proofs: 0, damage: 1 });
    const [row] = await damage();
    assert.deepEqual(
      [row?.backup, row?.by, row?.lost_count, row?.restorable_count, row?.repaired],
      [full, 'alice', 2, 0, false],
    );
    assert.deepEqual(
      row?.lost.map(({ dataset, name }) => `${dataset}@${name}`),
      ['pool/mdt0@s1', 'pool/mdt0@s2'],
    );
    assert.deepEqual(await damage('?dataset=pool/other'), []);
    service.clock.pass(1000);
    await report({ proofs: [proof(full, 'light')] });
    assert.equal((await damage()).length, 1, 'who only counted the objects has not seen it');
    service.clock.pass(1000);
    await report({ proofs: [proof(full)] });
    assert.deepEqual(await damage(), []);
  });

  it('outlast a restart, and a lost database', async () => {
    await report({ damage: [broken(next)] });
    await service.restart();
    assert.deepEqual(
      (await damage()).map(({ backup }) => backup),
      [next],
    );
    await service.loseState();
    assert.deepEqual(
      (await damage()).map(({ backup }) => backup),
      [next],
    );
  });

  it('of backups that are not there are not taken in', async () => {
    const gone = someBackup(7);
    assert.deepEqual(await report({ proofs: [proof(gone)], damage: [broken(gone)] }), {
      proofs: 0,
      damage: 0,
    });
    assert.deepEqual(await damage(), []);
  });

  it('are for operators to report, and the error says so', async () => {
    const refusal = await service.refusal('POST', '/v1/proofs', { body: { proofs: [], damage: [] } });
    assert.deepEqual([refusal.status, refusal.code], [403, 'token.scope']);
    assert.match(refusal.advice ?? '', /operator/);
  });

  it('make a plan leave out what is damaged, and say why there is none', async () => {
    await report({ damage: [broken(full)] });
    const body = { wanted: { dataset: 'pool/mdt0' }, have: [], rollback: false };
    const refusal = await service.refusal('POST', '/v1/plans', { body });
    assert.deepEqual([refusal.code, refusal.kind], ['chain.damaged', 'damaged']);
    assert.ok(refusal.message.includes(full), refusal.message);
  });
});
