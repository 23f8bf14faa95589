import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { rmSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { AttributesAnswerSchema, OpenBackupsAnswerSchema } from '../../../catalog/protocol/pages.ts';
import {
  LEASE_MILLISECONDS,
  OpenBackupSchema,
  ResumeOfferSchema,
} from '../../../catalog/protocol/protocol.ts';
import type { BackupId } from '../../../catalog/words.ts';
import { full, gone } from '../fixture/faulty-store.ts';
import { TestService } from '../fixture/running-service.ts';
import {
  bodyOf,
  commitRequest,
  FIRST_WRITER,
  lastPart,
  openRequest,
  PART_SIZE,
  part,
  SECOND_WRITER,
  someAttributes,
} from '../fixture/samples.ts';

const REQUEST = openRequest({ to: 1n });
const THIRD_WRITER = { host: 'mds1.example', process: 4444 };

describe('resuming a backup', () => {
  let service: TestService;
  let backup: BackupId;
  let session: string;
  beforeEach(async () => {
    service = await new TestService().start();
    ({ backup, session } = await service.opened(REQUEST));
  });
  afterEach(() => service.end());

  const refused = (request: object = {}, token = service.token('agent')) => {
    const body = { writer: SECOND_WRITER, takeover: FIRST_WRITER, ...request };
    return service.refusal('POST', `/v1/backups/${backup}/resume`, { body, token });
  };
  const file = (number: number) => join(service.objects, 'segments', backup, `0000000${number}.zst`);
  const isCommitted = async (count: number) => {
    await service.commit(backup, REQUEST, count);
    assert.equal(await service.verifies(), 1);
  };

  it('goes on behind what is durable, and the rest makes it a backup', async () => {
    const { digest } = await service.ask(AttributesAnswerSchema, 'PUT', `/v1/backups/${backup}/attributes`, {
      body: someAttributes('pool/mdt0'),
    });
    await service.sendParts(backup, [part(0), part(1)]);
    await service.grant(backup, [part(2)]);
    const offer = await service.resume(backup);
    assert.notEqual(offer.session, session);
    assert.deepEqual(offer, {
      backup,
      session: offer.session,
      opened: new Date(service.clock.now()).toISOString(),
      request: REQUEST,
      segments: 2,
      bytes: 2 * PART_SIZE,
      stored: bodyOf(0).length + bodyOf(1).length,
      after: part(1).after,
      point: part(1).point,
      attributes: digest,
    });
    await service.sendParts(backup, [lastPart(2)]);
    await isCommitted(3);
  });

  it('ends the session of before: who held it can do nothing any more', async () => {
    await service.sendParts(backup, [part(0)]);
    await service.resume(backup);
    for (const [method, what, body] of [
      ['POST', 'alive', undefined],
      ['POST', 'grants', { parts: [part(1)] }],
      ['PUT', 'attributes', someAttributes('pool/mdt0')],
      ['POST', 'commit', commitRequest(REQUEST, 1)],
    ] as const) {
      const asking = { session, ...(body ? { body } : {}) };
      const refusal = await service.refusal(method, `/v1/backups/${backup}/${what}`, asking);
      assert.deepEqual(
        [refusal.status, refusal.kind, refusal.code],
        [409, 'busy', 'backup.taken-over'],
        what,
      );
      assert.equal(refusal.facts['process'], SECOND_WRITER.process);
    }
    const headers = { 'zkeep-session': session };
    const abandon = await service.refusal('DELETE', `/v1/backups/${backup}`, { headers });
    assert.equal(abandon.code, 'backup.taken-over');
    assert.equal((await service.resume(backup, { writer: SECOND_WRITER })).segments, 1);
  });

  it('is needed to write: a call of a writer without a session is no request', async () => {
    const headers = { 'zkeep-session': 'none' };
    const refusal = await service.refusal('POST', `/v1/backups/${backup}/alive`, { headers });
    assert.deepEqual([refusal.status, refusal.code], [400, 'request.malformed']);
  });

  it('is busy while its writer is heard of, and free once the lease has lapsed', async () => {
    const refusal = await refused({ takeover: null });
    assert.deepEqual([refusal.status, refusal.kind, refusal.code], [409, 'busy', 'backup.busy']);
    service.clock.pass(LEASE_MILLISECONDS);
    await service.resume(backup, { takeover: null });
  });

  it('is refused to another token, though not to an operator', async () => {
    const refusal = await refused({}, service.token('agent', 'mds2'));
    assert.deepEqual([refusal.status, refusal.code], [403, 'backup.other']);
    const body = { writer: SECOND_WRITER, takeover: FIRST_WRITER };
    const token = service.token('operator');
    assert.equal((await service.call('POST', `/v1/backups/${backup}/resume`, { body, token })).status, 200);
  });

  it('of two that ask at once is given to one, by takeover and by lease', async () => {
    for (const takeover of [FIRST_WRITER, null]) {
      service.clock.pass(takeover ? 0 : LEASE_MILLISECONDS);
      const answers = await Promise.all(
        [SECOND_WRITER, THIRD_WRITER].map((writer) =>
          service.call('POST', `/v1/backups/${backup}/resume`, { body: { writer, takeover } }),
        ),
      );
      assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 409]);
      const loser = answers.find(({ status }) => status === 409);
      assert.equal(JSON.parse(loser?.text ?? '')['code'], 'backup.busy');
    }
  });

  it('asked again by the same writer, because the answer was lost, is answered again', async () => {
    await service.sendParts(backup, [part(0)]);
    const first = await service.resume(backup);
    const second = await service.resume(backup);
    assert.deepEqual({ ...second, session: first.session }, first);
    assert.notEqual(second.session, first.session);
  });

  it('that wants a session of its own gets that one, also in a try that arrives late', async () => {
    const body = { writer: SECOND_WRITER, takeover: FIRST_WRITER };
    const wanted = randomUUID();
    const path = `/v1/backups/${backup}/resume`;
    for (let time = 0; time < 2; time++) {
      const offer = await service.ask(ResumeOfferSchema, 'POST', path, { body, session: wanted });
      assert.equal(offer.session, wanted);
    }
    await service.answers(backup, [part(0)], wanted);
    const other = openRequest({ to: 2n, dataset: 'pool/mdt1' });
    for (let time = 0; time < 2; time++) {
      const opened = await service.ask(OpenBackupSchema, 'POST', '/v1/backups', {
        body: other,
        session: wanted,
      });
      assert.equal(opened.session, wanted);
    }
  });

  it('offers nothing when nothing is durable, and the whole stream when it is', async () => {
    assert.deepEqual((await service.resume(backup)).after, null);
    await service.send(backup, 2);
    const { segments, after } = await service.resume(backup);
    assert.deepEqual({ segments, after }, { segments: 2, after: lastPart(1).after });
    await isCommitted(2);
  });

  it('keeps to what the store has, not to what was said: a part that is gone, or short, is none', async () => {
    await service.sendParts(backup, [part(0), part(1), part(2)]);
    rmSync(file(1));
    assert.equal((await service.resume(backup)).segments, 1);
    await service.sendParts(backup, [part(1)]);
    truncateSync(file(2), 10);
    assert.equal((await service.resume(backup)).segments, 2);
    const body = { parts: [lastPart(2)] };
    assert.equal(
      (await service.refusal('POST', `/v1/backups/${backup}/grants`, { body })).code,
      'grant.stored',
    );
  });

  it('answers for what is durable that it is stored, also under encryption, without asking the store', async () => {
    await service.sendParts(backup, [part(0), part(1), part(2)]);
    await service.resume(backup);
    const before = service.faults.calls;
    const answers = await service.answers(backup, [part(0, 'anew'), part(1, 'anew'), part(2, 'anew')]);
    assert.deepEqual(answers, [{ stored: true }, { stored: true }, { stored: true }]);
    assert.equal(service.faults.calls, before);
    await service.sendParts(backup, [lastPart(3)]);
    await isCommitted(4);
  });

  it('costs no look at the store for a part that is granted for the first time', async () => {
    const before = service.faults.calls;
    await service.grant(backup, [part(0), part(1)]);
    assert.equal(service.faults.calls, before);
  });

  it('refuses a part that goes on otherwise than the durable one', async () => {
    await service.sendParts(backup, [part(0)]);
    await service.resume(backup);
    const { after, ...rest } = part(0, 'anew');
    const body = { parts: [{ ...rest, after: { ...after, sum: 'e'.repeat(64) } }] };
    const refusal = await service.refusal('POST', `/v1/backups/${backup}/grants`, { body });
    assert.deepEqual([refusal.status, refusal.kind, refusal.code], [422, 'refused', 'grant.stored']);
  });

  it('takes a late write of the writer of before for what it is: the same bytes, sent once', async () => {
    await service.sendParts(backup, [part(0)]);
    await service.grant(backup, [part(1)]);
    await service.resume(backup);
    await service.grant(backup, [part(1, 'anew')]);
    // As a store would that takes a request which was signed and is not expired.
    const { store } = await service.repository();
    await store.put(`segments/${backup}/00000001.zst`, bodyOf(1), { sha256: part(1).segment.sha256 });
    assert.deepEqual(await service.answers(backup, [part(1, 'anew')]), [{ stored: true }]);
    await service.sendParts(backup, [lastPart(2)]);
    await isCommitted(3);
    const { segments } = await (await service.repository()).manifest(REQUEST.to.guid, backup);
    assert.equal(segments[1]?.sha256, part(1).segment.sha256);
  });

  it('reads where contents of one size were granted, and offers the one that is there', async () => {
    await service.grant(backup, [part(0)]);
    await service.grant(backup, [part(0, 'anew')]);
    const { store } = await service.repository();
    await store.put(`segments/${backup}/00000000.zst`, bodyOf(0), { sha256: part(0).segment.sha256 });
    assert.equal((await service.resume(backup)).segments, 1);
    await service.sendParts(backup, [lastPart(1)]);
    await isCommitted(2);
  });

  it('at a store without conditions is not committed while a grant lives that could replace a part', async () => {
    service.faults.conditions = false;
    await service.sendParts(backup, [part(0)]);
    await service.grant(backup, [part(1)]);
    await service.resume(backup);
    await service.sendParts(backup, [part(1, 'anew')], 'anew');
    await service.sendParts(backup, [lastPart(2)]);
    const body = commitRequest(REQUEST, 3);
    const refusal = await service.refusal('POST', `/v1/backups/${backup}/commit`, { body });
    assert.deepEqual([refusal.status, refusal.kind, refusal.code], [503, 'unavailable', 'grant.alive']);
    // The late write of the first one replaces what the second one has sent: the manifest must tell what is there.
    const { store } = await service.repository();
    await store.put(`segments/${backup}/00000001.zst`, bodyOf(1), { sha256: part(1).segment.sha256 });
    service.clock.pass(24 * 60 * 60 * 1000);
    await isCommitted(3);
    const { segments } = await (await service.repository()).manifest(REQUEST.to.guid, backup);
    assert.equal(segments[1]?.sha256, part(1).segment.sha256);
  });

  it('grants a part with ever new contents only so often while nothing of it is stored', async () => {
    for (let time = 0; time < 64; time++) await service.grant(backup, [part(0, `try ${time}`)]);
    const body = { parts: [part(0, 'one more')] };
    const refusal = await service.refusal('POST', `/v1/backups/${backup}/grants`, { body });
    assert.deepEqual([refusal.status, refusal.kind, refusal.code], [409, 'busy', 'grant.contents']);
    service.clock.pass(24 * 60 * 60 * 1000);
    await service.sendParts(backup, [lastPart(0, 'one more')], 'one more');
    await isCommitted(1);
  });

  it('outlasts a restart of the service: before it, and between the offer and the next grant', async () => {
    await service.sendParts(backup, [part(0)]);
    await service.restart();
    assert.equal((await service.resume(backup)).segments, 1);
    await service.restart();
    assert.deepEqual(await service.answers(backup, [part(0, 'anew')]), [{ stored: true }]);
    await service.sendParts(backup, [lastPart(1)]);
    await isCommitted(2);
  });

  it('fails as unavailable when the store does not answer, and is answered when it does', async () => {
    await service.sendParts(backup, [part(0)]);
    service.faults.decide = ({ verb }) => (verb === 'list' ? { when: 'before', error: gone() } : undefined);
    assert.equal((await refused()).status, 503);
    service.faults.heal();
    assert.equal((await service.resume(backup)).segments, 1);
  });

  it('of a commit that had begun ends the commit first, and says that it is a backup', async () => {
    await service.send(backup, 2);
    service.faults.decide = ({ verb, key }) =>
      verb === 'putStream' && key.startsWith('backups/') ? { when: 'after', error: gone() } : undefined;
    await service.refusal('POST', `/v1/backups/${backup}/commit`, { body: commitRequest(REQUEST, 2) });
    service.faults.heal();
    const refusal = await refused();
    assert.deepEqual([refusal.status, refusal.kind, refusal.code], [422, 'refused', 'backup.committed']);
    assert.equal(refusal.facts['backup'], backup);
    assert.equal(await service.verifies(), 1);
    assert.equal((await refused()).code, 'backup.committed');
  });

  it('of a commit for which there was no room goes on with the commit', async () => {
    await service.send(backup, 2);
    service.faults.decide = ({ verb }) =>
      verb === 'putStream' ? { when: 'before', error: full() } : undefined;
    await service.refusal('POST', `/v1/backups/${backup}/commit`, { body: commitRequest(REQUEST, 2) });
    assert.equal((await refused()).status, 507);
    service.faults.heal();
    assert.equal((await refused()).code, 'backup.committed');
  });

  it('of a backup that was abandoned, or never was, is a 404', async () => {
    await service.call('DELETE', `/v1/backups/${backup}`);
    const refusal = await refused();
    assert.deepEqual([refusal.status, refusal.code], [404, 'backup.not-open']);
  });
});

describe('the open backups', () => {
  let service: TestService;
  beforeEach(async () => {
    service = await new TestService().start();
  });
  afterEach(() => service.end());

  const listed = async (query = '') =>
    (await service.ask(OpenBackupsAnswerSchema, 'GET', `/v1/backups/open${query}`)).open;

  it('are listed with what was granted of them and when their writer was heard of, without their sessions', async () => {
    const { session, ...open } = await service.opened(REQUEST);
    const opened = service.clock.now();
    service.clock.pass(1000);
    await service.sendParts(open.backup, [part(0), part(1)]);
    const heard = new Date(opened + 1000).toISOString();
    const row = { ...open, heard, segments: 2, bytes: 2 * PART_SIZE };
    assert.deepEqual(await listed(), [row]);
    await service.grant(open.backup, [part(2)]);
    await service.grant(open.backup, [part(2, 'anew')]);
    await service.resume(open.backup);
    const resumed = { ...row, writer: SECOND_WRITER, segments: 3, bytes: 3 * PART_SIZE };
    assert.deepEqual(await listed(), [resumed]);
    await service.restart();
    assert.deepEqual(await listed(), [resumed]);
  });

  it('are filtered by host and by dataset', async () => {
    await service.open(openRequest({ to: 1n }));
    await service.open(openRequest({ to: 2n, dataset: 'pool/mdt1' }));
    await service.open(openRequest({ to: 3n, host: 'mds2.example' }));
    const guids = async (query: string) => (await listed(query)).map(({ to }) => Number(to)).sort();
    assert.deepEqual(await guids('?host=mds1.example'), [1, 2]);
    assert.deepEqual(await guids('?dataset=pool/mdt0'), [1, 3]);
    assert.deepEqual(await guids('?host=mds1.example&dataset=pool/mdt1'), [2]);
    assert.deepEqual(await guids('?host=nobody'), []);
  });
});
