import assert from 'node:assert/strict';
import { readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { AttributesSchema } from '../../../catalog/attributes/attributes.ts';
import { CatalogIndex } from '../../../catalog/index/catalog-index.ts';
import { AttributesAnswerSchema, OpenBackupsAnswerSchema } from '../../../catalog/protocol/pages.ts';
import { BackupSummarySchema, type Part } from '../../../catalog/protocol/protocol.ts';
import { ManifestSchema } from '../../../catalog/repository/manifest.ts';
import type { BackupId } from '../../../catalog/words.ts';
import { full, gone } from '../fixture/faulty-store.ts';
import { TestService } from '../fixture/running-service.ts';
import {
  bodyOf,
  commitRequest,
  lastPart,
  openRequest,
  part,
  partsOf,
  someAttributes,
} from '../fixture/samples.ts';

const REQUEST = openRequest({ to: 1n });

describe('a commit', () => {
  let service: TestService;
  let backup: BackupId;
  beforeEach(async () => {
    service = await new TestService().start();
    backup = await service.open(REQUEST);
  });
  afterEach(() => service.end());

  const refused = (body: unknown, id = backup) =>
    service.refusal('POST', `/v1/backups/${id}/commit`, { body });
  const isRefused = async (body: unknown, what: string) => {
    const refusal = await refused(body);
    assert.deepEqual([refusal.status, refusal.kind, refusal.code], [422, 'refused', `commit.${what}`]);
    assert.equal(await service.verifies(), 0);
  };
  /** As a store would that takes a request which was signed and is not expired. */
  const storeLate = async ({ number, segment }: Part, body: Buffer) => {
    const { store } = await service.repository();
    await store.put(`segments/${backup}/0000000${number}.zst`, body, { sha256: segment.sha256 });
  };
  const file = (number: number) => join(service.objects, 'segments', backup, `0000000${number}.zst`);

  it('with a part that was never granted is refused', async () => {
    await service.send(backup, 2);
    await isRefused(commitRequest(REQUEST, 3), 'missing');
  });

  it('on a base that is gone is refused: it could not be restored', async () => {
    await service.send(backup, 2);
    const base = await service.commit(backup, REQUEST, 2);
    const next = openRequest({ to: 2n, from: 1n });
    const open = await service.open(next);
    await service.send(open, 2);
    const index = new CatalogIndex(join(service.folder, 'index.db'));
    index.remove(base.backup);
    index.close();
    const refusal = await refused(commitRequest(next, 2), open);
    assert.deepEqual([refusal.status, refusal.kind, refusal.code], [422, 'refused', 'commit.base-gone']);
    await service.restart();
    await service.commit(open, next, 2);
    assert.equal(await service.verifies(), 2);
  });

  it('with a part that was granted and not sent is refused, and done once it was', async () => {
    await service.sendParts(backup, [part(0), part(1)]);
    const [grant = assert.fail()] = await service.grant(backup, [lastPart(2)]);
    await isRefused(commitRequest(REQUEST, 3), 'absent');
    await service.follow(grant, bodyOf(2));
    await service.commit(backup, REQUEST, 3);
    assert.equal(await service.verifies(), 1);
  });

  it('with a part that is short in the store is refused', async () => {
    await service.send(backup, 2);
    truncateSync(file(1), 100);
    await isRefused(commitRequest(REQUEST, 2), 'content');
  });

  it('with more parts than are said is refused', async () => {
    await service.send(backup, 3);
    await isRefused(commitRequest(REQUEST, 2), 'extra');
  });

  it('of fewer bytes than the stream has is refused', async () => {
    await service.send(backup, 2);
    const { stream, ...rest } = commitRequest(REQUEST, 2);
    await isRefused({ ...rest, stream: { ...stream, bytes: stream.bytes + 8 } }, 'bytes');
  });

  it('of another stream than was opened is refused', async () => {
    await service.send(backup, 2);
    const { stream, ...rest } = commitRequest(REQUEST, 2);
    const begin = { ...stream.begin, created: stream.begin.created + 1 };
    await isRefused({ ...rest, stream: { ...stream, begin } }, 'begin');
  });

  it('with attributes that are not stored is refused', async () => {
    await service.send(backup, 2);
    await isRefused({ ...commitRequest(REQUEST, 2), attributes: '0'.repeat(64) }, 'attributes');
  });

  it('by another agent is refused', async () => {
    await service.send(backup, 2);
    const body = commitRequest(REQUEST, 2);
    const token = service.token('agent', 'mds2');
    const refusal = await service.refusal('POST', `/v1/backups/${backup}/commit`, { body, token });
    assert.deepEqual([refusal.status, refusal.code], [403, 'backup.other']);
  });

  it('takes of several contents that were granted the one that is stored, by reading it', async () => {
    await service.sendParts(backup, [part(0)]);
    await service.grant(backup, [lastPart(1)]);
    await service.grant(backup, [lastPart(1, 'second try')]);
    await storeLate(lastPart(1), bodyOf(1));
    await service.commit(backup, REQUEST, 2);
    const { segments } = await (await service.repository()).manifest(REQUEST.to.guid, backup);
    assert.deepEqual(segments[1], lastPart(1).segment);
    assert.equal(await service.verifies(), 1);
  });

  it('of a part that is stored with a content that was never granted is refused', async () => {
    await service.sendParts(backup, [part(0)]);
    await service.grant(backup, [lastPart(1)]);
    await service.grant(backup, [lastPart(1, 'second try')]);
    await storeLate(lastPart(1, 'unknown'), bodyOf(1, 'unknown'));
    await isRefused(commitRequest(REQUEST, 2), 'content');
  });

  it('of parts that are of different streams is refused', async () => {
    const [first, last] = partsOf(2);
    const other = last && {
      ...last,
      segment: { ...last.segment, state: { ...last.segment.state, sum: 'e'.repeat(64) } },
    };
    await service.sendParts(backup, [first ?? assert.fail(), other ?? assert.fail()]);
    await isRefused(commitRequest(REQUEST, 2), 'state');
  });

  it('before the end of the stream was sent is refused', async () => {
    await service.sendParts(backup, [part(0), part(1)]);
    await isRefused(commitRequest(REQUEST, 2), 'end');
  });

  it('writes what was opened, sent and said into the manifest, and answers the summary', async () => {
    const { digest } = await service.ask(AttributesAnswerSchema, 'PUT', `/v1/backups/${backup}/attributes`, {
      body: someAttributes('pool/mdt0'),
    });
    await service.send(backup, 2);
    service.clock.pass(5000);
    const body = { ...commitRequest(REQUEST, 2), attributes: digest };
    const summary = await service.ask(BackupSummarySchema, 'POST', `/v1/backups/${backup}/commit`, { body });
    const manifest = await service.ask(ManifestSchema, 'GET', `/v1/backups/${backup}/manifest`);
    assert.deepEqual(manifest, await (await service.repository()).manifest(REQUEST.to.guid, backup));
    assert.deepEqual(
      manifest.segments,
      [part(0), part(1)].map(({ segment }) => segment),
    );
    assert.equal(Date.parse(manifest.committed) - Date.parse(manifest.created), 5000);
    assert.deepEqual(manifest.source, REQUEST.source);
    assert.deepEqual(manifest.stream, body.stream);
    assert.equal(manifest.encryption, null);
    const { lineage, stored, segments, attributes, committed } = summary;
    assert.deepEqual(
      { lineage, stored, segments, attributes, committed },
      {
        lineage: backup,
        stored: bodyOf(0).length + bodyOf(1).length,
        segments: 2,
        attributes: digest,
        committed: manifest.committed,
      },
    );
    const kept = await service.ask(AttributesSchema, 'GET', `/v1/attributes/${digest}`);
    assert.deepEqual(kept, someAttributes('pool/mdt0'));
    assert.deepEqual(await service.ask(BackupSummarySchema, 'GET', `/v1/backups/${backup}`), summary);
  });

  it('asked again answers the same, also after a restart; with other facts it is refused', async () => {
    await service.send(backup, 2);
    const summary = await service.commit(backup, REQUEST, 2);
    assert.deepEqual(await service.commit(backup, REQUEST, 2), summary);
    await service.restart();
    assert.deepEqual(await service.commit(backup, REQUEST, 2), summary);
    const { stream, ...rest } = commitRequest(REQUEST, 2);
    assert.equal(
      (await refused({ ...rest, stream: { ...stream, checksum: '0'.repeat(64) } })).code,
      'commit.differs',
    );
    assert.equal(await service.verifies(), 1);
  });

  it('asked twice at the same time writes one manifest', async () => {
    await service.send(backup, 2);
    const [one, two] = await Promise.all([
      service.commit(backup, REQUEST, 2),
      service.commit(backup, REQUEST, 2),
    ]);
    assert.deepEqual(one, two);
    assert.equal(await service.verifies(), 1);
  });

  it('goes on after a restart of the service in the middle of the upload', async () => {
    await service.sendParts(backup, [part(0)]);
    await service.restart();
    const [grant = assert.fail()] = await service.grant(backup, [lastPart(1)]);
    await service.follow(grant, bodyOf(1));
    await service.commit(backup, REQUEST, 2);
    assert.equal(await service.verifies(), 1);
  });

  it('is finished by the service after a restart when it was killed as the manifest was written', async () => {
    await service.send(backup, 2);
    service.faults.decide = ({ verb, key }) =>
      verb === 'putStream' && key.startsWith('backups/') ? { when: 'after', error: gone() } : undefined;
    assert.equal((await refused(commitRequest(REQUEST, 2))).status, 503);
    service.faults.heal();
    await service.restart();
    assert.deepEqual(await service.ask(OpenBackupsAnswerSchema, 'GET', '/v1/backups/open'), { open: [] });
    const summary = await service.commit(backup, REQUEST, 2);
    assert.equal(summary.backup, backup);
    assert.equal(await service.verifies(), 1);
  });

  it('keeps to a manifest that was written before, byte for byte, as another version would write it', async () => {
    await service.send(backup, 2);
    service.faults.decide = ({ verb, key }) =>
      verb === 'putStream' && key.startsWith('backups/') ? { when: 'after', error: gone() } : undefined;
    await refused(commitRequest(REQUEST, 2));
    service.faults.heal();
    const [key = ''] = await service.keys('backups/');
    const file = join(service.objects, key);
    const text = `${readFileSync(file, 'utf8')}\n`;
    writeFileSync(file, text);
    await service.commit(backup, REQUEST, 2);
    assert.equal(readFileSync(file, 'utf8'), text);
  });

  it('to a store without room is refused as full, leaves no manifest, and is done when there is room', async () => {
    await service.send(backup, 2);
    service.faults.decide = ({ verb }) =>
      verb === 'putStream' ? { when: 'before', error: full() } : undefined;
    const refusal = await refused(commitRequest(REQUEST, 2));
    assert.deepEqual([refusal.status, refusal.kind], [507, 'full']);
    assert.equal(await service.verifies(), 0);
    service.faults.heal();
    await service.commit(backup, REQUEST, 2);
    assert.equal(await service.verifies(), 1);
  });

  it('survives the loss of the index, before it and after it', async () => {
    await service.send(backup, 2);
    rmSync(join(service.folder, 'index.db'));
    const summary = await service.commit(backup, REQUEST, 2);
    await service.stop();
    for (const suffix of ['', '-wal', '-shm'])
      rmSync(join(service.folder, `index.db${suffix}`), { force: true });
    await service.start();
    assert.deepEqual(await service.ask(BackupSummarySchema, 'GET', `/v1/backups/${backup}`), summary);
  });
});

describe('abandoning a backup', () => {
  let service: TestService;
  let backup: BackupId;
  beforeEach(async () => {
    service = await new TestService().start();
    backup = await service.open(REQUEST);
  });
  afterEach(() => service.end());

  const abandon = (token = service.token('agent'), id = backup) =>
    service.call('DELETE', `/v1/backups/${id}`, { token });

  it('removes its segments and lets the next one begin, and may be asked twice', async () => {
    await service.send(backup, 2);
    for (let time = 0; time < 2; time++) assert.equal((await abandon()).status, 204);
    assert.deepEqual(await service.keys('segments/'), []);
    await service.backUp(REQUEST);
    assert.equal(await service.verifies(), 1);
  });

  it('of another agent is refused, unless by an operator', async () => {
    const token = service.token('agent', 'mds2');
    const refusal = await service.refusal('DELETE', `/v1/backups/${backup}`, { token });
    assert.deepEqual([refusal.status, refusal.code], [403, 'backup.other']);
    assert.equal((await abandon(service.token('operator'))).status, 204);
  });

  it('that is committed is refused, to operators too, and nothing is removed', async () => {
    await service.send(backup, 2);
    await service.commit(backup, REQUEST, 2);
    for (const scope of ['agent', 'operator'] as const) {
      const refusal = await service.refusal('DELETE', `/v1/backups/${backup}`, {
        token: service.token(scope),
      });
      assert.deepEqual([refusal.status, refusal.kind, refusal.code], [422, 'refused', 'backup.committed']);
    }
    assert.equal(await service.verifies(), 1);
  });

  it('whose commit may have been written already finishes the commit instead', async () => {
    await service.send(backup, 2);
    for (const when of ['before', 'after'] as const) {
      service.faults.decide = ({ verb, key }) =>
        verb === 'putStream' && key.startsWith('backups/') ? { when, error: gone() } : undefined;
      const body = commitRequest(REQUEST, 2);
      assert.equal((await service.refusal('POST', `/v1/backups/${backup}/commit`, { body })).status, 503);
    }
    service.faults.heal();
    const refusal = await service.refusal('DELETE', `/v1/backups/${backup}`);
    assert.equal(refusal.code, 'backup.committed');
    assert.equal(await service.verifies(), 1);
  });

  it('that nobody knows is a 404', async () => {
    const refusal = await service.refusal(
      'DELETE',
      `/v1/backups/${REQUEST.takeover ?? backup.replace('a', 'b')}`,
    );
    assert.deepEqual([refusal.status, refusal.code], [404, 'backup.not-open']);
  });

  it('removes its segments later when the store does not answer now', async () => {
    await service.send(backup, 2);
    service.faults.decide = ({ verb }) => (verb === 'delete' ? { when: 'before', error: gone() } : undefined);
    assert.equal((await abandon()).status, 204);
    assert.equal((await service.keys('segments/')).length, 2);
    service.faults.heal();
    await service.restart();
    await service.comesToHave('segments/', 0);
  });

  it('removes what a late write brings once no grant can be alive', async () => {
    await service.send(backup, 2);
    await abandon();
    // As a store would that takes a request which was signed and is not expired.
    const { store } = await service.repository();
    await store.put(`segments/${backup}/00000001.zst`, bodyOf(1), { sha256: part(1).segment.sha256 });
    service.clock.pass(24 * 60 * 60 * 1000);
    await service.restart();
    await service.comesToHave('segments/', 0);
  });
});
