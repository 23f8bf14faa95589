import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { chooseStream, writeFileWhole } from '../../../agent/restore/export.ts';
import { ZkeepError } from '../../../catalog/errors.ts';
import type { BackupSummary } from '../../../catalog/protocol/protocol.ts';
import { type BackupId, type Guid, guidOf, type LineageId, newUuid7 } from '../../../catalog/words.ts';

const guid = (number: number): Guid => guidOf(BigInt(number));

function stream(from: number | null, stored: number): BackupSummary {
  const id = newUuid7(stored);
  return {
    backup: id as BackupId,
    from: from === null ? null : guid(from),
    to: guid(9),
    flags: { raw: false, large_blocks: false },
    bytes: stored,
    stored,
    committed: '2026-11-20T09:00:00.000Z',
    lineage: id as LineageId,
    set: null,
    host: 'host',
    dataset: 'tank/a',
    name: 'nine',
    created: 9,
    attributes: null,
    segments: 1,
    encrypted: false,
    drift: null,
  };
}

const NAMES = new Map([
  [guid(1), 'one'],
  [guid(2), '3'],
  [guid(9), 'nine'],
]);
const missing = (thrown: unknown) => thrown instanceof ZkeepError && thrown.kind === 'missing';

describe('the stream to export', () => {
  it('is the full one, else the smallest', () => {
    assert.equal(chooseStream([stream(1, 5), stream(null, 50)], NAMES, undefined).from, null);
    assert.equal(chooseStream([stream(1, 5), stream(2, 4)], NAMES, undefined).from, guid(2));
  });

  it('is the one from the base that is named, by name before GUID', () => {
    const all = [stream(1, 5), stream(2, 4), stream(3, 3), stream(null, 50)];
    assert.equal(chooseStream(all, NAMES, 'one').from, guid(1));
    assert.equal(chooseStream(all, NAMES, '@one').from, guid(1));
    assert.equal(chooseStream(all, NAMES, '3').from, guid(2));
    assert.equal(chooseStream(all, NAMES, '0x3').from, guid(3));
    assert.equal(chooseStream(all, NAMES, guid(3)).from, guid(3));
    assert.equal(chooseStream(all, NAMES, 'nothing').from, null);
  });

  it('that is not there is an error that names those that are', () => {
    assert.throws(
      () => chooseStream([stream(1, 5)], NAMES, 'nothing'),
      (thrown: unknown) =>
        missing(thrown) && /@one/.test(String(thrown instanceof ZkeepError && thrown.advice)),
    );
    assert.throws(() => chooseStream([stream(1, 5)], NAMES, 'no such name'), missing);
  });
});

describe('a file that a stream is exported to', () => {
  let folder = '';
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'zkeep-export-'));
  });
  after(async () => await rm(folder, { recursive: true }));

  async function* chunks(thrown?: Error): AsyncGenerator<Uint8Array> {
    yield Buffer.from('one ');
    yield Buffer.from('two');
    if (thrown) throw thrown;
  }

  it('does not appear when the stream is not whole, and an old one stays', async () => {
    const file = join(folder, 'a');
    await writeFile(file, 'old');
    const damaged = new ZkeepError('damaged', 'x.y', 'flipped');
    await assert.rejects(writeFileWhole(file, chunks(damaged)), damaged);
    assert.deepEqual([await readFile(file, 'utf8'), await readdir(folder)], ['old', ['a']]);
  });

  it('has the whole stream', async () => {
    const file = join(folder, 'b');
    await writeFileWhole(file, chunks());
    assert.equal(await readFile(file, 'utf8'), 'one two');
  });

  it('in a folder that is not there is an error of kind missing', async () => {
    await assert.rejects(writeFileWhole(join(folder, 'none', 'c'), chunks()), missing);
  });

  it('may be a device', async () => {
    await writeFileWhole('/dev/null', chunks());
  });

  it('on a full device is an error of kind full', async () => {
    await assert.rejects(
      writeFileWhole('/dev/full', chunks()),
      (thrown: unknown) => thrown instanceof ZkeepError && thrown.kind === 'full',
    );
  });
});
