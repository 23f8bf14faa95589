import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { AliveAnswerSchema, OpenBackupsAnswerSchema } from '../../../catalog/protocol/pages.ts';
import { LEASE_MILLISECONDS, OpenBackupSchema } from '../../../catalog/protocol/protocol.ts';
import { parseSetId } from '../../../catalog/words.ts';
import { TestService } from '../fixture/running-service.ts';
import { commitRequest, lastPart, openRequest, PART_SIZE, part, someBackup } from '../fixture/samples.ts';

const RAW = (1 << 24).toString(16);

describe('opening a backup', () => {
  let service: TestService;
  beforeEach(async () => {
    service = await new TestService().start();
  });
  afterEach(() => service.end());

  const refused = (body: unknown, token = service.token('agent')) =>
    service.refusal('POST', '/v1/backups', { body, token });

  it('is busy while another agent is at the same dataset, and says who', async () => {
    const first = await service.open(openRequest({ to: 1n }));
    const second = { ...openRequest({ to: 2n }), writer: { host: 'mds2.example', process: 7 } };
    const refusal = await refused(second, service.token('agent', 'mds2'));
    assert.deepEqual([refusal.status, refusal.kind, refusal.code], [409, 'busy', 'backup.busy']);
    assert.deepEqual(refusal.facts, {
      backup: first,
      host: 'mds1.example',
      process: 4242,
      heard: new Date(service.clock.now()).toISOString(),
      dataset: 'pool/mdt0',
      to: '0000000000000001',
    });
  });

  it('is busy while another agent stores the same snapshot from elsewhere', async () => {
    await service.open(openRequest({ to: 1n }));
    assert.equal((await refused(openRequest({ to: 1n, host: 'mds2.example' }))).code, 'backup.busy');
  });

  it('is free for other datasets, and for one of the same name on another host', async () => {
    await service.open(openRequest({ to: 1n }));
    await service.open(openRequest({ to: 2n, dataset: 'pool/mdt1' }));
    await service.open(openRequest({ to: 3n, host: 'mds2.example' }));
    const { open } = await service.ask(OpenBackupsAnswerSchema, 'GET', '/v1/backups/open');
    assert.deepEqual(open.map(({ to }) => Number(to)).sort(), [1, 2, 3]);
  });

  it('goes to the next agent once the lease has lapsed; the first then hears that it is over', async () => {
    const first = await service.open(openRequest({ to: 1n }));
    await service.send(first, 2);
    service.clock.pass(LEASE_MILLISECONDS);
    const second = await service.open(openRequest({ to: 2n }), service.token('agent', 'mds2'));
    assert.notEqual(second, first);
    for (const [method, path, body] of [
      ['POST', 'alive', undefined],
      ['POST', 'grants', { parts: [part(2)] }],
      ['POST', 'commit', commitOf(1n)],
    ] as const) {
      const refusal = await service.refusal(method, `/v1/backups/${first}/${path}`, body ? { body } : {});
      assert.deepEqual([refusal.status, refusal.code], [404, 'backup.not-open'], path);
    }
    assert.equal(await service.verifies(), 0);
  });

  it('waits for an agent that renews its lease, by a sign of life or by asking for grants', async () => {
    const first = await service.open(openRequest({ to: 1n }));
    service.clock.pass(LEASE_MILLISECONDS - 1);
    const { heard } = await service.ask(AliveAnswerSchema, 'POST', `/v1/backups/${first}/alive`);
    assert.equal(Date.parse(heard), service.clock.now());
    service.clock.pass(LEASE_MILLISECONDS - 1);
    await service.grant(first, [part(0)]);
    service.clock.pass(LEASE_MILLISECONDS - 1);
    assert.equal((await refused(openRequest({ to: 2n }))).code, 'backup.busy');
  });

  it('takes the silence of a service that was down for nobody’s death', async () => {
    await service.open(openRequest({ to: 1n }));
    await service.stop();
    service.clock.pass(10 * LEASE_MILLISECONDS);
    await service.start();
    assert.equal((await refused(openRequest({ to: 2n }))).code, 'backup.busy');
  });

  it('takes over what its own dead run left, when it names it, and removes its segments', async () => {
    const first = await service.open(openRequest({ to: 1n }));
    await service.send(first, 2);
    const wrong = openRequest({ to: 2n, takeover: someBackup(1) });
    assert.equal((await refused(wrong)).code, 'backup.busy');
    const second = await service.open(openRequest({ to: 2n, takeover: first }));
    await service.send(second, 2);
    await service.commit(second, openRequest({ to: 2n }), 2);
    await service.comesToHave(`segments/${first}/`, 0);
    assert.equal(await service.verifies(), 1);
  });

  it('of the same stream as a dead run goes on with that, and need not send again what is stored', async () => {
    const first = await service.opened(openRequest({ to: 1n }));
    await service.sendParts(first.backup, [part(0)]);
    const writer = { host: 'mds1.example', process: 7 };
    const again = { ...openRequest({ to: 1n, takeover: first.backup }), writer };
    const second = await service.opened(again);
    assert.deepEqual(
      { ...second, session: first.session },
      { ...first, writer, segments: 1, bytes: PART_SIZE },
    );
    assert.notEqual(second.session, first.session);
    assert.deepEqual(await service.answers(first.backup, [part(0, 'encrypted anew')]), [{ stored: true }]);
    await service.sendParts(first.backup, [lastPart(1)]);
    await service.commit(first.backup, openRequest({ to: 1n }), 2);
    assert.equal(await service.verifies(), 1);
  });

  it('of the same stream in another set, or with another compression, is a new one', async () => {
    const first = await service.open(openRequest({ to: 1n }));
    const set = parseSetId(first);
    const second = await service.open({ ...openRequest({ to: 1n, takeover: first }), set });
    assert.notEqual(second, first);
    const compression = { method: 'zstd', level: 9, frame: 1_048_576 } as const;
    assert.notEqual(
      await service.open({ ...openRequest({ to: 1n, takeover: second }), compression }),
      second,
    );
  });

  it("does not take over another token's backup that is alive; an operator does", async () => {
    const first = await service.open(openRequest({ to: 1n }));
    const takeover = openRequest({ to: 1n, takeover: first });
    assert.equal((await refused(takeover, service.token('agent', 'mds2'))).code, 'backup.busy');
    await service.open(takeover, service.token('operator'));
  });

  it('answers the same when it is asked twice because the answer was lost', async () => {
    const first = await service.open(openRequest({ to: 1n }));
    assert.equal(await service.open(openRequest({ to: 1n })), first);
    // Both answers are one opener's: whichever it got last is good, and here that is the second one.
    await service.grant(first, [part(0)]);
    assert.equal((await refused(openRequest({ to: 1n }))).code, 'backup.busy');
  });

  it('is refused for a stream that is stored, naming the backup', async () => {
    const { backup } = await service.backUp(openRequest({ to: 1n }));
    const refusal = await refused(openRequest({ to: 1n }));
    assert.deepEqual([refusal.status, refusal.kind, refusal.code], [422, 'refused', 'backup.already']);
    assert.equal(refusal.facts['backup'], backup);
  });

  it('is refused to agents for another way to what can be restored: a restore might take what they made up', async () => {
    await service.backUp(openRequest({ to: 1n }));
    const { backup } = await service.backUp(openRequest({ to: 2n, from: 1n }));
    const refusal = await refused(openRequest({ to: 2n }));
    assert.deepEqual(
      [refusal.status, refusal.code, refusal.facts?.['backup']],
      [422, 'backup.already', backup],
    );
    assert.match(refusal.message, /can be restored already/);
    assert.equal(await service.verifies(), 2);
  });

  it('is not refused to operators for a full stream of a snapshot that an incremental one leads to', async () => {
    await service.backUp(openRequest({ to: 1n }));
    await service.backUp(openRequest({ to: 2n, from: 1n }));
    const { status } = await service.call('POST', '/v1/backups', {
      body: openRequest({ to: 2n }),
      token: service.token('operator'),
    });
    assert.equal(status, 201);
  });

  it('is refused when the base is unknown, or known and not restorable', async () => {
    const refusal = await refused(openRequest({ to: 2n, from: 1n }));
    assert.deepEqual([refusal.status, refusal.kind, refusal.code], [422, 'refused', 'backup.base-missing']);
    const full = await service.backUp(openRequest({ to: 1n }));
    const next = await service.backUp(openRequest({ to: 2n, from: 1n }));
    const repository = await service.repository();
    await repository.store.delete(`backups/${full.to}/${full.backup}.json`);
    await service.restart();
    assert.equal((await refused(openRequest({ to: 3n, from: 2n }))).code, 'backup.base-missing', next.backup);
  });

  it('is refused when it would change the flags of its chain', async () => {
    await service.backUp(openRequest({ to: 1n, features: RAW }));
    const refusal = await refused(openRequest({ to: 2n, from: 1n }));
    assert.deepEqual([refusal.status, refusal.kind, refusal.code], [422, 'refused', 'chain.flags-changed']);
    await service.open(openRequest({ to: 2n, from: 1n, features: RAW }));
  });

  it('is refused when BEGIN names other snapshots than the request', async () => {
    const body = { ...openRequest({ to: 1n }), begin: openRequest({ to: 2n }).begin };
    assert.deepEqual((await refused(body)).code, 'backup.begin');
  });

  it('tells what it has opened', async () => {
    const body = openRequest({ to: 1n });
    const open = await service.ask(OpenBackupSchema, 'POST', '/v1/backups', { body });
    const now = new Date(service.clock.now()).toISOString();
    const { source, writer } = body;
    assert.deepEqual(open, {
      backup: open.backup,
      opened: now,
      heard: now,
      source,
      writer,
      from: null,
      to: body.to.guid,
      set: null,
      segments: 0,
      bytes: 0,
      session: open.session,
    });
  });
});

describe('a service that takes few backups at once', () => {
  const service = new TestService({ settings: '[limits]\nopen_backups = 2\n' });
  beforeEach(() => service.start());
  afterEach(() => service.end());

  it('turns more away as a passing failure, but not one that replaces another', async () => {
    const first = await service.open(openRequest({ to: 1n }));
    await service.open(openRequest({ to: 2n, dataset: 'pool/mdt1' }));
    const body = openRequest({ to: 3n, dataset: 'pool/mdt2' });
    const refusal = await service.refusal('POST', '/v1/backups', { body });
    assert.deepEqual([refusal.status, refusal.kind, refusal.code], [503, 'unavailable', 'backup.too-many']);
    await service.open(openRequest({ to: 4n, takeover: first }));
  });
});

function commitOf(to: bigint): unknown {
  return commitRequest(openRequest({ to }), 2);
}
