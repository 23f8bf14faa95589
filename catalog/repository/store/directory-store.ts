/**
 * The object store on a folder. An object is a file whose path is its key; it
 * is written under `~incoming/` (a name that no key can have), checked, synced
 * and then moved to its place in one step.
 */
import { randomUUID } from 'node:crypto';
import { link, mkdir, open, readdir, rename, rm, rmdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { type Clock, systemClock } from '../../clock.ts';
import { ZkeepError } from '../../errors.ts';
import { checkLength, checkRange, roomFor } from './body.ts';
import {
  type Content,
  hasContent,
  type Pieces,
  readAt,
  SourceFailure,
  writeChecked,
} from './directory/checked-file.ts';
import { errnoOf, explainFileError } from './directory/errors.ts';
import { factsOf, listFolder, statIfThere } from './directory/listing.ts';
import { checkKey, checkKeyPrefix } from './key.ts';
import { probeStore } from './probe.ts';
import type { GetOptions, ObjectFacts, ObjectStore, PutOptions, StoreAbilities } from './store.ts';
import { endsEarly, keyTaken, noObject } from './store-errors.ts';

/** How an object is written whose bytes come one buffer after the other. */
export interface StreamPutOptions extends PutOptions {
  /** Bytes in all; the source must give neither more nor fewer. */
  readonly size: number;
}

/** Where unfinished files lie. */
const INCOMING = '~incoming';
/** An unfinished file that nobody wrote to for so long (milliseconds) is a leftover. */
const LEFTOVER_AGE = 24 * 60 * 60 * 1000;

/**
 * A store in a folder that exists already, on one file system with hard links.
 *
 * @example const store = new DirectoryStore('/srv/zkeep');
 */
export class DirectoryStore implements ObjectStore {
  /** A file has no checksum beside it. */
  readonly tellsChecksums = false;
  readonly location: string;
  readonly #clock: Clock;
  #lastSweep = Number.NEGATIVE_INFINITY;

  constructor(folder: string, clock: Clock = systemClock) {
    this.location = resolve(folder);
    this.#clock = clock;
  }

  async put(key: string, body: Uint8Array, options: PutOptions): Promise<void> {
    await this.putStream(key, once(body), { ...options, size: body.byteLength });
  }

  /**
   * Writes one object whose bytes come in pieces, holding one piece at a time;
   * keeps the promises of `put`. Errors of the source come through unchanged.
   *
   * @throws {ZkeepError} `damaged` when the source gives more or fewer bytes than `size`.
   */
  async putStream(key: string, source: Pieces, options: StreamPutOptions): Promise<void> {
    const path = this.#pathOf(key);
    await this.#explained(`write ${path}`, options.signal, async () => {
      await this.#prepare();
      const temporary = join(this.location, INCOMING, randomUUID());
      try {
        await writeChecked(temporary, source, options, path, options.signal);
        await (options.ifAbsent ? this.#claim(temporary, path, options) : this.#replace(temporary, path));
        await this.#syncFolders(path);
      } finally {
        await rm(temporary, { force: true });
      }
    });
  }

  async get(key: string, options: GetOptions): Promise<Buffer> {
    const path = this.#pathOf(key);
    checkRange(options, path);
    return this.#explained(`read ${path}`, options.signal, async () => {
      const file = await open(path, 'r').catch((thrown) => {
        throw errnoOf(thrown) === 'ENOTDIR' ? noObject(path, thrown) : thrown;
      });
      try {
        const stats = await file.stat();
        if (!stats.isFile()) throw noObject(path);
        const { start, end } = options.range ?? { start: 0, end: stats.size };
        checkLength(end - start, options.maxBytes, path);
        const body = roomFor(end - start, options.into);
        if ((await readAt(file, body, start)) < body.length) throw endsEarly(path, { start, end });
        return body;
      } finally {
        await file.close();
      }
    });
  }

  async stat(key: string, signal?: AbortSignal): Promise<ObjectFacts | undefined> {
    const path = this.#pathOf(key);
    return this.#explained(`look at ${path}`, signal, async () => {
      const found = factsOf(key, await statIfThere(path));
      if (!found) await this.#checkFolder();
      return found;
    });
  }

  async *list(prefix: string, signal?: AbortSignal, after?: string): AsyncGenerator<ObjectFacts> {
    checkKeyPrefix(prefix);
    signal?.throwIfAborted();
    try {
      await this.#checkFolder();
      yield* listFolder(this.location, { prefix, after }, signal);
    } catch (thrown) {
      throw explainFileError(thrown, `list ${this.location}`);
    }
  }

  /** Removes the object, and the folders that are empty then. */
  async delete(key: string, signal?: AbortSignal): Promise<void> {
    const path = this.#pathOf(key);
    await this.#explained(`delete ${path}`, signal, async () => {
      if (!factsOf(key, await statIfThere(path))) return this.#checkFolder();
      await rm(path, { force: true });
      return this.#removeEmpty(dirname(path));
    });
  }

  async probe(signal?: AbortSignal): Promise<StoreAbilities> {
    return probeStore(this, (key, body, options) => this.put(key, body, options), signal);
  }

  async close(): Promise<void> {}

  #pathOf(key: string): string {
    return join(this.location, checkKey(key));
  }

  async #explained<T>(doing: string, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    signal?.throwIfAborted();
    try {
      return await work();
    } catch (thrown) {
      signal?.throwIfAborted();
      if (thrown instanceof SourceFailure) throw thrown.cause;
      if (errnoOf(thrown) === 'ENOENT') await this.#checkFolder();
      throw explainFileError(thrown, doing);
    }
  }

  /** A folder that is gone is not an empty store: perhaps a disk is not mounted. */
  async #checkFolder(): Promise<void> {
    const stats = await statIfThere(this.location);
    if (stats?.isDirectory()) return;
    throw new ZkeepError('missing', 'store.no-folder', `there is no folder ${this.location}`, {
      advice: 'mount the disk, correct the path, or make the folder for a new repository',
      facts: { folder: this.location },
    });
  }

  async #prepare(): Promise<void> {
    const incoming = join(this.location, INCOMING);
    await mkdir(incoming).catch(unless('EEXIST'));
    const now = this.#clock.now();
    if (now - this.#lastSweep < LEFTOVER_AGE) return;
    this.#lastSweep = now;
    for (const name of await readdir(incoming)) {
      const leftover = await statIfThere(join(incoming, name));
      if (leftover && now - leftover.mtimeMs > LEFTOVER_AGE) await rm(join(incoming, name), { force: true });
    }
  }

  async #replace(temporary: string, path: string): Promise<void> {
    await inFolder(path, () => rename(temporary, path));
  }

  /** Of several writers exactly one gets the name: link(2) never replaces. */
  async #claim(temporary: string, path: string, content: Content): Promise<void> {
    try {
      await inFolder(path, () => link(temporary, path));
    } catch (thrown) {
      // link(2): EPERM is how a file system without hard links answers.
      if (errnoOf(thrown) === 'EPERM') throw noLinks(path, thrown);
      if (errnoOf(thrown) !== 'EEXIST') throw thrown;
      if (!(await hasContent(path, content))) throw keyTaken(path, thrown);
    }
  }

  /** Every folder up to the store's own, because each may be new; at once: they share one commit of the journal. */
  async #syncFolders(path: string): Promise<void> {
    const folders: string[] = [];
    for (let folder = dirname(path); folder.startsWith(this.location); folder = dirname(folder)) {
      folders.push(folder);
      if (folder === this.location) break;
    }
    await Promise.all(folders.map(syncFolder));
  }

  async #removeEmpty(folder: string): Promise<void> {
    for (; folder !== this.location; folder = dirname(folder)) {
      try {
        await rmdir(folder);
      } catch (thrown) {
        unless('ENOTEMPTY', 'EEXIST', 'EBUSY', 'ENOENT')(thrown);
        return;
      }
    }
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function* once(body: Uint8Array): AsyncGenerator<Uint8Array> {
  yield body;
}

/** Makes the folder of `path` and does `move`; again when a `delete` took the empty folder away in between. */
async function inFolder(path: string, move: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    await mkdir(dirname(path), { recursive: true });
    try {
      return await move();
    } catch (thrown) {
      if (errnoOf(thrown) !== 'ENOENT' || attempt === 5) throw thrown;
    }
  }
}

/** Lets these errors of the system pass and throws every other. */
function unless(...errnos: readonly string[]): (thrown: unknown) => void {
  return (thrown) => {
    if (!errnos.includes(errnoOf(thrown) ?? '')) throw thrown;
  };
}

function noLinks(path: string, cause: unknown): ZkeepError {
  return new ZkeepError('failed', 'store.no-links', `could not write ${path}: no hard links there`, {
    advice: 'keep the repository on a file system that has hard links',
    cause,
  });
}
