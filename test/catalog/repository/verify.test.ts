import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { segmentKey } from '../../../catalog/repository/names.ts';
import { createRepository, type Repository } from '../../../catalog/repository/repository.ts';
import { DirectoryStore } from '../../../catalog/repository/store/directory-store.ts';
import { type Places, verifyRepository } from '../../../catalog/repository/verify.ts';
import type { BackupId } from '../../../catalog/words.ts';
import { keepStream } from './kept.ts';

const folder = mkdtempSync(join(tmpdir(), 'zkeep-verify-'));
after(() => rmSync(folder, { recursive: true }));
let count = 0;
type Place = Parameters<Places['keep']>[1];

async function kept(recipients: string[] = []) {
  const place = join(folder, String(count++));
  mkdirSync(place);
  const repository = await createRepository(new DirectoryStore(place), { recipients });
  const blocks = [randomBytes(131_072), Buffer.alloc(131_072), randomBytes(131_072)];
  const { manifest } = await keepStream(repository, { toGuid: 5n, blocks });
  return { repository, manifest, object: join(place, segmentKey(manifest.backup, 0, recipients.length > 0)) };
}

async function codes(repository: Repository, deep: boolean, identities: string[] = []) {
  return (await verifyRepository(repository, { deep, identities })).problems.map(({ code }) => code);
}

test('a sound repository has no problems, light or deep, and is counted', async () => {
  const { repository, manifest } = await kept();
  const report = await verifyRepository(repository, { deep: true });
  const stored = manifest.segments.reduce((sum, segment) => sum + segment.stored, 0);
  const counts = { backups: 1, segments: 1, bytes: stored };
  assert.deepEqual(report, { ...counts, checksums: 0, frames: report.frames, problems: [] });
  assert.ok(report.frames <= 1, 'of its one frame');
  assert.deepEqual(await codes(repository, false), []);
});

test('a lost object is found by a light look', async () => {
  const { repository, object } = await kept();
  rmSync(object);
  assert.deepEqual(await codes(repository, false), ['verify.gone']);
});

test('a cut object is found by a light look', async () => {
  const { repository, object } = await kept();
  writeFileSync(object, readFileSync(object).subarray(0, -1));
  assert.deepEqual(await codes(repository, false), ['verify.size']);
});

test('a flipped bit is found by a deep look and only there', async () => {
  const { repository, object } = await kept();
  const bytes = readFileSync(object);
  bytes[2000] = (bytes[2000] ?? 0) ^ 1;
  writeFileSync(object, bytes);
  assert.deepEqual(await codes(repository, false), []);
  assert.deepEqual(await codes(repository, true), ['segment.digest']);
});

test('a backup whose base is nowhere is named', async () => {
  const { repository } = await kept();
  const { manifest } = await keepStream(repository, { toGuid: 6n, fromGuid: 4n, blocks: [] });
  const { problems } = await verifyRepository(repository, { deep: false });
  assert.deepEqual(
    problems.map(({ backup, code }) => ({ backup, code })),
    [{ backup: manifest.backup, code: 'verify.base-missing' }],
  );
});

test('a damaged manifest is a problem of its backup, not the end of the look', async () => {
  const { repository } = await kept();
  const { manifest } = await keepStream(repository, { toGuid: 9n, blocks: [] });
  writeFileSync(
    join(folder, String(count - 1), 'backups', manifest.to.guid, `${manifest.backup}.json`),
    '{}',
  );
  const report = await verifyRepository(repository, { deep: false });
  assert.equal(report.backups, 1);
  assert.deepEqual(
    report.problems.map(({ backup }) => backup),
    [manifest.backup],
  );
});

test('an encrypted repository is looked through with the identity', async () => {
  const identity = await generateIdentity();
  const { repository } = await kept([await identityToRecipient(identity)]);
  assert.deepEqual(await codes(repository, false), []);
  assert.deepEqual(await codes(repository, true, [identity]), []);
  await assert.rejects(codes(repository, true, []), { kind: 'denied' });
});

test('a store that does not answer ends the look instead of reporting damage', async () => {
  const { repository } = await kept();
  const stop = new AbortController();
  stop.abort(new Error('stopped'));
  await assert.rejects(verifyRepository(repository, { deep: true, signal: stop.signal }), /stopped/);
});

test('a place is only good for a look that was cut off: after one that ended all is read again', async () => {
  const { repository, manifest, object } = await kept();
  const places = new Map<BackupId, Place>();
  const looking = {
    deep: true,
    places: {
      read: (backup: BackupId) => places.get(backup),
      keep: (backup: BackupId, place: Place) => void places.set(backup, place),
      drop: (backup: BackupId) => void places.delete(backup),
    },
  };
  assert.deepEqual((await verifyRepository(repository, looking)).problems, []);
  assert.equal(places.size, 0);
  const bytes = readFileSync(object);
  bytes[2000] = (bytes[2000] ?? 0) ^ 1;
  writeFileSync(object, bytes);
  assert.equal((await verifyRepository(repository, looking)).problems.length, 1);
  places.set(manifest.backup, { segments: 1, frames: 0, chance: 0 });
  assert.deepEqual((await verifyRepository(repository, looking)).problems, [], 'it was read before');
});
