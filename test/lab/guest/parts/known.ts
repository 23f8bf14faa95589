/** File systems and volumes of which the test knows every byte, now and at each snapshot. */
import assert from 'node:assert/strict';
import { hash, randomBytes } from 'node:crypto';
import { open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { must, shell } from './command.ts';
import { withSnapshot } from './pool.ts';

/** The size of a piece, bytes: of a volume the pieces are one after the other. */
const PIECE = 64 * 1024;

/** The SHA-256 of what is at a place: the name of a file, the number of a piece. */
export type Contents = ReadonlyMap<string, string>;

/** One that is written to. */
export class Known {
  readonly kind: 'filesystem' | 'volume';
  dataset: string;
  /** What is there now. */
  contents: Contents = new Map();
  /** Where the pools are mounted. */
  readonly #folder: string;

  constructor(folder: string, dataset: string, kind: 'filesystem' | 'volume' = 'filesystem') {
    this.#folder = folder;
    this.dataset = dataset;
    this.kind = kind;
  }

  /** Makes it; a volume of 4 MiB. */
  async make(...options: string[]): Promise<void> {
    await must('zfs', 'create', ...(this.kind === 'volume' ? ['-V', '4M'] : []), ...options, this.dataset);
  }

  /** Writes random bytes: so many pieces into a file, one into a volume. */
  async write(place: string, pieces = 1): Promise<void> {
    const bytes = randomBytes(pieces * PIECE);
    if (this.kind === 'filesystem') await writeFile(join(this.#folder, this.dataset, place), bytes);
    else await writeAt(this.dataset, Number(place) * PIECE, bytes);
    this.contents = new Map([...this.contents, [place, digestOf(bytes)]]);
  }

  /** Of a file system. */
  async remove(place: string): Promise<void> {
    await rm(join(this.#folder, this.dataset, place), { force: true });
    this.contents = new Map([...this.contents].filter(([name]) => name !== place));
  }

  /** Fails unless a snapshot of it, or of what was received of it, holds just this. */
  async assertHolds(snapshot: string, contents: Contents): Promise<void> {
    const found =
      this.kind === 'filesystem'
        ? await withSnapshot(snapshot, digestsIn)
        : await digestsAt(snapshot, [...contents.keys()]);
    const wanted = [...contents].map(([name, digest]) => `${name} ${digest}`);
    assert.deepEqual(found, wanted.toSorted(), snapshot);
  }
}

/** The device of a volume or its snapshot: udev makes it a moment after ZFS has made that. */
async function deviceOf(name: string): Promise<string> {
  const device = `/dev/zvol/${name}`;
  await shell(`for i in {1..600}; do [ -b '${device}' ] && exit; sleep .1; done; exit 1`);
  return device;
}

async function writeAt(volume: string, position: number, bytes: Buffer): Promise<void> {
  const handle = await open(await deviceOf(volume), 'r+');
  try {
    await handle.write(bytes, 0, bytes.length, position);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function digestsIn(folder: string): Promise<string[]> {
  const files = (await readdir(folder, { withFileTypes: true })).filter((entry) => entry.isFile());
  const digests = files.map(async ({ name }) => `${name} ${digestOf(await readFile(join(folder, name)))}`);
  return (await Promise.all(digests)).toSorted();
}

async function digestsAt(volume: string, places: readonly string[]): Promise<string[]> {
  const handle = await open(await deviceOf(volume));
  try {
    const found: string[] = [];
    for (const place of places) {
      const bytes = Buffer.alloc(PIECE);
      await handle.read(bytes, 0, PIECE, Number(place) * PIECE);
      found.push(`${place} ${digestOf(bytes)}`);
    }
    return found.toSorted();
  } finally {
    await handle.close();
  }
}

function digestOf(bytes: Buffer): string {
  return hash('sha256', bytes);
}
