/** Stock tools as judges of what lies in the repository: the promise that one can leave. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { createRepository } from '../../catalog/repository/repository.ts';
import { DirectoryStore } from '../../catalog/repository/store/directory-store.ts';
import { keepStream } from '../catalog/repository/kept.ts';
import { needCommand } from '../s3/packages.ts';

const folder = mkdtempSync(join(tmpdir(), 'zkeep-judges-'));
before(async () => {
  await needCommand('zstd', 'zstd');
  await needCommand('age', 'age');
});
after(() => rmSync(folder, { recursive: true }));

/** 18 MiB, half of it random: two segments. */
const blocks = Array.from({ length: 144 }, (_, n) =>
  n % 2 ? randomBytes(131_072) : Buffer.alloc(131_072, n),
);

async function kept(name: string, recipients: string[]) {
  const place = join(folder, name);
  mkdirSync(place);
  const repository = await createRepository(new DirectoryStore(place), { recipients });
  return { place, ...(await keepStream(repository, { toGuid: 5n, blocks })) };
}

/** The line of the page on leaving that reads a stream back, without the `zfs receive` that follows. */
function lineOf(place: string, backup: string): string {
  const page = readFileSync(join(place, 'README.txt'), 'utf8');
  const [line] =
    /^ {7}(?:cat|for) segments?[\s\S]*?zfs receive/m.exec(page) ??
    /^ {7}for[\s\S]*?zfs receive/m.exec(page) ??
    [];
  assert.ok(line, 'the page has such a line');
  return line.replace(/\|\s*zfs receive$/, '').replaceAll('<backup>', backup);
}

function runLine(line: string, place: string): Buffer {
  const ran = spawnSync('sh', ['-c', line], { cwd: place, maxBuffer: 64 * 1024 * 1024 });
  assert.equal(ran.status, 0, ran.stderr.toString());
  return ran.stdout;
}

test('the line on the page in the bucket gives the stream back with zstd alone', async () => {
  const { place, manifest, stream } = await kept('plain', []);
  assert.equal(manifest.segments.length, 2);
  assert.ok(runLine(lineOf(place, manifest.backup), place).equals(stream));
});

test('the line on the page of an encrypted bucket gives the stream back with age and zstd', async () => {
  const identity = await generateIdentity();
  const other = await identityToRecipient(await generateIdentity());
  const { place, manifest, stream } = await kept('sealed', [other, await identityToRecipient(identity)]);
  writeFileSync(join(place, 'identity'), `${identity}\n`);
  const line = lineOf(place, manifest.backup).replace('IDENTITY', 'identity');
  assert.ok(runLine(line, place).equals(stream));
});

test('zstd -t finds every segment sound, and a cut one not', async () => {
  const { place, manifest } = await kept('tested', []);
  const object = join(place, 'segments', manifest.backup, '00000000.zst');
  assert.equal(spawnSync('zstd', ['-t', object]).status, 0);
  writeFileSync(object, readFileSync(object).subarray(0, -20_000));
  assert.notEqual(spawnSync('zstd', ['-t', object]).status, 0);
});
