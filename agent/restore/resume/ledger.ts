/**
 * The ledger of a restore: which bytes of the stored stream were sent to a
 * target, over all tries. The kernel does not notice when a resuming stream
 * begins too late (facts: OpenZFS `dmu_recv.c`), so zkeep counts by itself. It is
 * a small file for each target on the host that receives; one that is lost or
 * damaged costs that the stream is sent once more from its first byte.
 */
import { createHash } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Type } from 'typebox';
import { ZkeepError } from '../../../catalog/errors.ts';
import { BackupIdSchema, BytesSchema, checker } from '../../../catalog/schema.ts';
import type { BackupId } from '../../../catalog/words.ts';
import { syncFolder } from '../export.ts';
import { type Interval, withSent } from './coverage.ts';

/** Largest ledger that is looked at, bytes: one with all its intervals is smaller. */
const MOST = 64 * 1024;
/** Most intervals that are kept: tries join what they add, so that there is mostly one. */
const MOST_INTERVALS = 1000;

const LedgerSchema = Type.Object({
  ledger: Type.Literal(1),
  /** `pool/dataset` that receives. */
  target: Type.String({ maxLength: 255 }),
  backup: BackupIdSchema,
  sent: Type.Array(Type.Tuple([BytesSchema, BytesSchema]), { maxItems: MOST_INTERVALS }),
});

const checkLedger = checker(LedgerSchema, 'the ledger');

/** What a ledger is of: one stream into one target. */
export interface LedgerKey {
  readonly target: string;
  readonly backup: BackupId;
}

/** The ledgers of this host, in its state folder. */
export class Ledgers {
  readonly #folder: string;

  /** @param state the state folder; it is made when something is written. */
  constructor(state: string) {
    this.#folder = join(state, 'restores');
  }

  /** What was sent of this stream to this target; nothing where there is no ledger of it, or a damaged one. */
  async read({ target, backup }: LedgerKey): Promise<Interval[]> {
    try {
      const file = this.#fileOf(target);
      if ((await stat(file)).size > MOST) return [];
      const found = checkLedger(JSON.parse(await readFile(file, 'utf8')));
      if (found.target !== target || found.backup !== backup) return [];
      return found.sent.reduce<Interval[]>((sent, each) => withSent(sent, each), []);
    } catch {
      return [];
    }
  }

  /**
   * Writes it, durably, in place of the one before.
   *
   * @throws {Error} what the file system says.
   */
  async write({ target, backup }: LedgerKey, sent: readonly Interval[]): Promise<void> {
    const file = this.#fileOf(target);
    const partial = `${file}.${process.pid}.partial`;
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    try {
      const handle = await open(partial, 'w', 0o600);
      try {
        const kept = sent.slice(0, MOST_INTERVALS);
        await handle.writeFile(`${JSON.stringify({ ledger: 1, target, backup, sent: kept })}\n`);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(partial, file);
      await syncFolder(this.#folder);
    } catch (thrown) {
      await rm(partial, { force: true });
      throw thrown;
    }
  }

  /** Takes it away, and what a process that was killed while it wrote left of it; there may be none. */
  async remove(target: string): Promise<void> {
    const file = this.#fileOf(target);
    const names = await readdir(this.#folder).catch(() => []);
    const left = names.filter((name) => name.startsWith(`${basename(file)}.`) && name.endsWith('.partial'));
    for (const path of [file, ...left.map((name) => join(this.#folder, name))]) {
      await rm(path, { force: true }).catch(() => undefined);
    }
  }

  /** Only one receive can be open at a target, so there is one file for each. */
  #fileOf(target: string): string {
    return join(this.#folder, `${createHash('sha256').update(target).digest('hex').slice(0, 32)}.json`);
  }
}

/**
 * What one try adds to a ledger. It is on disk before the first byte is sent, and
 * brought up to date about every {@link STEP} bytes, and every second: what is not
 * noted is sent again. Where the disk is slow, sending waits for it.
 *
 * @example
 * const entry = await LedgerEntry.begin(ledgers, key, { before: [[0, 900]], from: 800 }, note);
 * entry.sent(1_000_000);
 * await entry.end();
 */
export class LedgerEntry {
  readonly #ledgers: Ledgers;
  readonly #key: LedgerKey;
  readonly #before: readonly Interval[];
  readonly #from: number;
  readonly #onTrouble: (thrown: unknown) => void;
  #reached: number;
  #writing: Promise<void> | undefined;
  #next = 0;
  /** What the last write notes, and what is on disk. */
  #noted: number;
  #durable: number;
  #broken = false;

  private constructor(ledgers: Ledgers, key: LedgerKey, { before, from }: Begun, onTrouble: OnTrouble) {
    this.#ledgers = ledgers;
    this.#key = key;
    this.#before = before;
    this.#from = from;
    this.#reached = from;
    this.#noted = from;
    this.#durable = from;
    this.#onTrouble = onTrouble;
  }

  /**
   * @param onTrouble told once when it cannot be written: the restore goes on all the same.
   */
  static async begin(
    ledgers: Ledgers,
    key: LedgerKey,
    begun: Begun,
    onTrouble: OnTrouble,
  ): Promise<LedgerEntry> {
    const entry = new LedgerEntry(ledgers, key, begun, onTrouble);
    await entry.#write();
    return entry;
  }

  /** What was sent up to now, over all tries. */
  get intervals(): Interval[] {
    return withSent(this.#before, [this.#from, this.#reached]);
  }

  /**
   * All bytes from where this try began were sent up to this position; `now` is the clock's time.
   *
   * @returns what to wait for before more is sent: too much is not on disk yet.
   */
  sent(reached: number, now: number): Promise<void> | undefined {
    this.#reached = reached;
    if (!this.#writing && (now >= this.#next || reached >= this.#noted + STEP)) {
      this.#next = now + PAUSE;
      this.#noted = reached;
      this.#writing = this.#write().finally(() => {
        this.#writing = undefined;
      });
    }
    return reached >= this.#durable + 2 * STEP && !this.#broken ? this.#writing : undefined;
  }

  /** Writes what is known; when it resolves, nothing is written any more. */
  async end(): Promise<void> {
    await this.#writing;
    await this.#write();
  }

  async #write(): Promise<void> {
    if (this.#broken) return;
    const reached = this.#reached;
    try {
      await this.#ledgers.write(this.#key, this.intervals);
      this.#durable = reached;
    } catch (thrown) {
      this.#broken = true;
      this.#onTrouble(thrown);
    }
  }
}

/** Between two writes at most, milliseconds. */
const PAUSE = 1000;
/** Bytes after which it is written before that: half of the smallest segment. */
const STEP = 8 * 1024 * 1024;

type OnTrouble = (thrown: unknown) => void;

/** What a try goes on from. */
interface Begun {
  readonly before: readonly Interval[];
  /** The position from which it sends. */
  readonly from: number;
}

/**
 * That every byte of a stream was sent at least once.
 *
 * @throws {ZkeepError} `failed`, code `restore.unaccounted`, when one was not.
 */
export function checkAccounted(intervals: readonly Interval[], bytes: number, key: LedgerKey): void {
  const [first, ...others] = intervals;
  if (first?.[0] === 0 && first[1] >= bytes && others.length === 0) return;
  const message = `not every record of backup ${key.backup} was sent to ${key.target}: it must not be trusted`;
  throw new ZkeepError('failed', 'restore.unaccounted', message, {
    advice: `destroy ${key.target} and restore again; please report it`,
    facts: { ...key, bytes, sent: intervals.map(([from, to]) => `${from}-${to}`) },
  });
}
