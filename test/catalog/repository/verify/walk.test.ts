import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ZkeepError } from '../../../../catalog/errors.ts';
import type { Manifest } from '../../../../catalog/repository/manifest.ts';
import { segmentKey } from '../../../../catalog/repository/names.ts';
import { createRepository, type Repository } from '../../../../catalog/repository/repository.ts';
import { WorkerPool } from '../../../../catalog/repository/segment/threads/pool.ts';
import { DirectoryStore } from '../../../../catalog/repository/store/directory-store.ts';
import type { Verifiable } from '../../../../catalog/repository/verify/objects.ts';
import { type Walked, type WalkOptions, walkBackup } from '../../../../catalog/repository/verify/walk.ts';
import { keepStream } from '../kept.ts';

const MIB = 1024 * 1024;

function* blocks(count: number): Generator<Uint8Array> {
  for (let number = 0; number < count; number++) yield randomBytes(128 * 1024);
}

describe('a walk through a backup of three segments', () => {
  const folder = mkdtempSync(join(tmpdir(), 'zkeep-walk-'));
  const pool = new WorkerPool(2);
  let repository: Repository;
  let manifest: Manifest;
  before(async () => {
    repository = await createRepository(new DirectoryStore(folder), { recipients: [] });
    ({ manifest } = await keepStream(repository, { toGuid: 5n, blocks: blocks(320) }));
    assert.equal(manifest.segments.length, 3);
  });
  after(async () => {
    await pool.close();
    rmSync(folder, { recursive: true });
  });

  const keyOf = (number: number) => segmentKey(manifest.backup, number, false);
  const fileOf = (number: number) => join(folder, keyOf(number));

  /** Walks segment by segment, and says which were read. */
  async function walk(options: Partial<WalkOptions> = {}, source: Partial<Verifiable> = {}, of = manifest) {
    const read: number[] = [];
    const spied: Verifiable = {
      manifests: () => repository.manifests(),
      manifest: async (to, backup) => await repository.manifest(to, backup),
      attributes: async (digest) => await repository.attributes(digest),
      isKept: async () => true,
      storedSizes: async (one) => await repository.storedSizes(one),
      segment: async (one, number, signal, into) => await repository.segment(one, number, signal, into),
      ...source,
    };
    const watched: Verifiable = {
      ...spied,
      segment: async (one, number, signal, into) => {
        read.push(number);
        return await spied.segment(one, number, signal, into);
      },
    };
    const usual = { identities: [], secondOpinion: 0, secondPhase: 0, pool, stretch: 1 };
    const result = await walkBackup(watched, of, { ...usual, ...options });
    return { ...result, read };
  }

  /** Changes a segment's file for the time of a piece of work. */
  async function withFile(number: number, change: (bytes: Buffer) => Buffer, work: () => Promise<void>) {
    const whole = readFileSync(fileOf(number));
    writeFileSync(fileOf(number), change(Buffer.from(whole)));
    try {
      await work();
    } finally {
      writeFileSync(fileOf(number), whole);
    }
  }
  const flipped = (bytes: Buffer) => {
    bytes[1_000_000] = (bytes[1_000_000] ?? 0) ^ 4;
    return bytes;
  };

  it('reads every byte once, and ends', async () => {
    let bytes = 0;
    const { read, ...found } = await walk({
      onRead: (more) => {
        bytes += more;
      },
    });
    assert.deepEqual(found, { walked: { segments: 3, frames: 0 }, ended: true, problems: [] });
    assert.deepEqual(read, [0, 1, 2]);
    assert.equal(
      bytes,
      manifest.segments.reduce((sum, { stored }) => sum + stored, 0),
    );
  });

  it('goes on where it was cut off, and comes to the same', async () => {
    const looks = { secondOpinion: 7, secondPhase: 3 };
    const whole = await walk(looks);
    let place: Walked | undefined;
    for (let left = 3; left > 0; left--) {
      const { read, walked, ended, problems } = await walk({ ...looks, from: place, mayGoOn: () => false });
      assert.deepEqual(read, [3 - left]);
      assert.deepEqual(problems, []);
      assert.equal(ended, left === 1);
      place = walked;
    }
    assert.deepEqual(place, whole.walked);
  });

  it('names the very object of which a bit flipped, and goes on behind it', async () => {
    await withFile(1, flipped, async () => {
      const { walked, ended, problems } = await walk();
      assert.deepEqual(
        problems.map(({ key, code, damage }) => ({ key, code, damage })),
        [{ key: keyOf(1), code: 'segment.digest', damage: true }],
      );
      assert.deepEqual({ walked, ended }, { walked: { segments: 1, frames: 0 }, ended: true });
    });
  });

  it('names it too in the middle of a stretch', async () => {
    await withFile(1, flipped, async () => {
      const { problems } = await walk({ stretch: 256 * MIB });
      assert.deepEqual(
        problems.map(({ key }) => key),
        [keyOf(1)],
      );
    });
  });

  it('names both of two objects that changed places', async () => {
    const aside = `${fileOf(0)}.aside`;
    const swap = () => {
      renameSync(fileOf(0), aside);
      renameSync(fileOf(1), fileOf(0));
      renameSync(aside, fileOf(1));
    };
    swap();
    try {
      const { problems } = await walk({ stretch: 256 * MIB });
      assert.deepEqual(
        problems.map(({ key }) => key),
        [keyOf(0), keyOf(1)],
      );
    } finally {
      swap();
    }
  });

  it('names an object that is gone, and one that is cut short', async () => {
    const aside = `${fileOf(0)}.aside`;
    renameSync(fileOf(0), aside);
    try {
      await withFile(
        2,
        (bytes) => bytes.subarray(0, -1),
        async () => {
          const { problems } = await walk();
          assert.deepEqual(
            problems.map(({ key, code }) => ({ key, code })),
            [
              { key: keyOf(0), code: 'store.missing' },
              { key: keyOf(2), code: 'segment.digest' },
            ],
          );
        },
      );
    } finally {
      renameSync(aside, fileOf(0));
    }
  });

  it('finds a manifest whose states are those of another stream', async () => {
    const [first, second, third] = manifest.segments;
    assert.ok(first && second && third);
    const other = { ...second, state: { ...second.state, sum: 'a'.repeat(64) } };
    const { problems } = await walk(
      { stretch: 256 * MIB },
      {},
      { ...manifest, segments: [first, other, third] },
    );
    assert.ok(problems.some(({ code }) => code === 'segment.state'));
    assert.ok(problems.every(({ damage }) => damage));
  });

  it('does not call damaged what is right when it is read again', async () => {
    let wrong = 2; // as often as one reading tries by itself
    const segment: Verifiable['segment'] = async (one, number, signal) => {
      const bytes = Buffer.from(await repository.segment(one, number, signal));
      return number === 1 && wrong-- > 0 ? flipped(bytes) : bytes;
    };
    const { problems, walked, read } = await walk({}, { segment });
    assert.deepEqual(problems, []);
    assert.equal(walked.segments, 3);
    assert.deepEqual(read, [0, 1, 1, 1, 2]);
  });

  it('ends, and says nothing of the backup, when the store does not answer', async () => {
    const away = new ZkeepError('unavailable', 'store.unavailable', 'it is away');
    const segment: Verifiable['segment'] = async (one, number, signal) => {
      if (number === 1) throw away;
      return await repository.segment(one, number, signal);
    };
    const places: Walked[] = [];
    const onStretch = (walked: Walked) => places.push(walked);
    await assert.rejects(walk({ onStretch }, { segment }), away);
    assert.deepEqual(places, [{ segments: 1, frames: 0 }]);
  });

  it('ends at once when it is told to', async () => {
    const stop = new AbortController();
    const onStretch = () => stop.abort(new Error('stopped'));
    await assert.rejects(walk({ onStretch, signal: stop.signal }), /stopped/);
  });

  it('gives each frame to the second decoder once in so many walks', async () => {
    let frames = 0;
    for (let secondPhase = 0; secondPhase < 5; secondPhase++) {
      frames += (await walk({ secondOpinion: 5, secondPhase })).walked.frames;
    }
    assert.equal(frames, Math.ceil(manifest.stream.bytes / MIB));
  });
});
