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
import { type Static, Type } from 'typebox';
import { ZkeepError } from '../../../catalog/errors.ts';
import { BackupIdSchema, BytesSchema, checker, GuidSchema } from '../../../catalog/schema.ts';
import type { BackupId, Guid } from '../../../catalog/words.ts';
import { syncFolder } from '../export.ts';
import { coveredEnd, type Interval, withSent } from './coverage.ts';

/** Largest ledger that is looked at, bytes: one with all its intervals is smaller. */
const MOST = 128 * 1024;
/** Largest BEGIN that is kept in it, bytes with its payload: mostly there is none, keys are some hundred. */
export const MOST_BEGIN = 16 * 1024;
/** Most intervals that are kept: tries join what they add, so that there is mostly one. */
const MOST_INTERVALS = 1000;

const IntervalsSchema = Type.Array(Type.Tuple([BytesSchema, BytesSchema]), { maxItems: MOST_INTERVALS });

const LedgerSchema = Type.Object({
  ledger: Type.Literal(1),
  /** `pool/dataset` that receives. */
  target: Type.String({ maxLength: 255 }),
  backup: BackupIdSchema,
  /** The snapshot that the stream brings. */
  to: Type.Optional(GuidSchema),
  /** Position of the last piece, once a try is about to give it; zkeep may not live to see what comes of it. */
  ending: Type.Optional(BytesSchema),
  sent: IntervalsSchema,
  /** Of which bytes the segments were fetched. */
  fetched: Type.Optional(IntervalsSchema),
  /** The stream's BEGIN with its payload, base64: who goes on need not fetch it. */
  begin: Type.Optional(Type.String({ maxLength: 2 * MOST_BEGIN })),
});

const checkLedger = checker(LedgerSchema, 'the ledger');

/** What a ledger is of: one stream into one target. */
export interface LedgerKey {
  readonly target: string;
  readonly backup: BackupId;
  /** The snapshot that it brings. */
  readonly to: Guid;
}

/** What is noted of one stream into one target. */
export interface Noted {
  readonly sent: readonly Interval[];
  /** Position of the stream's last piece, where a try was about to give it. */
  readonly ending: number | undefined;
  /** Bytes of the stored stream whose segments were fetched; absent where nobody noted it. */
  readonly fetched?: readonly Interval[];
  /** The stored BEGIN with its payload, base64; absent where it is not known. */
  readonly begin?: string;
}

/** What is noted besides what was sent. */
export type Beside = Pick<Noted, 'fetched' | 'begin'>;

/**
 * Whether a `zfs receive` that outlived the zkeep that fed it had all of the stream, if it came to its end:
 * what was left to send was the last piece, and all before it was sent.
 */
export function wasEnding({ sent, ending }: Noted): boolean {
  return ending !== undefined && coveredEnd(sent) >= ending;
}

/** The ledgers of this host, in its state folder. */
export class Ledgers {
  readonly #folder: string;

  /** @param state the state folder; it is made when something is written. */
  constructor(state: string) {
    this.#folder = join(state, 'restores');
  }

  /** What was sent of this stream to this target; `undefined` where there is no ledger of it, or a damaged one. */
  async read({ target, backup }: Omit<LedgerKey, 'to'>): Promise<Noted | undefined> {
    const found = await this.#found(target);
    return found?.backup === backup ? notedIn(found) : undefined;
  }

  /** What was noted last at this target, of whichever stream; `undefined` also where an older zkeep noted it. */
  async last(target: string): Promise<(Noted & LedgerKey) | undefined> {
    const found = await this.#found(target);
    if (found?.to === undefined) return undefined;
    return { ...notedIn(found), target, backup: found.backup, to: found.to };
  }

  async #found(target: string): Promise<Static<typeof LedgerSchema> | undefined> {
    try {
      const file = this.#fileOf(target);
      if ((await stat(file)).size > MOST) return undefined;
      const found = checkLedger(JSON.parse(await readFile(file, 'utf8')));
      return found.target === target ? found : undefined;
    } catch {
      return undefined;
    }
  }

  /**
   * Writes it, durably, in place of the one before.
   *
   * @throws {Error} what the file system says.
   */
  async write({ target, backup, to }: LedgerKey, { sent, ending, fetched, begin }: Noted): Promise<void> {
    const file = this.#fileOf(target);
    const partial = `${file}.${process.pid}.partial`;
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    try {
      const handle = await open(partial, 'w', 0o600);
      try {
        const kept = { sent: sent.slice(0, MOST_INTERVALS), fetched: fetched?.slice(0, MOST_INTERVALS) };
        await handle.writeFile(
          `${JSON.stringify({ ledger: 1, target, backup, to, ending, ...kept, begin })}\n`,
        );
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

function notedIn({ sent, ending, fetched, begin }: Static<typeof LedgerSchema>): Noted {
  return {
    sent: joined(sent),
    ending,
    ...(fetched === undefined ? {} : { fetched: joined(fetched) }),
    ...(begin === undefined ? {} : { begin }),
  };
}

function joined(intervals: readonly Interval[]): Interval[] {
  return intervals.reduce<Interval[]>((all, each) => withSent(all, each), []);
}

/**
 * What one try adds to a ledger. There is one on disk before the first byte is sent; it is
 * brought up to date about every {@link STEP} bytes, and every second: what is not
 * noted is sent again. Where the disk is slow, sending waits for it. That only the last
 * piece is left to send is on disk before that is sent: a `zfs receive` may come to its
 * end by itself then.
 *
 * @example
 * const entry = await LedgerEntry.begin(ledgers, key, { before: await ledgers.read(key), from: 800 }, note);
 * await entry.sent(1_000_000, now);
 * await entry.ending();
 * await entry.end();
 */
export class LedgerEntry {
  readonly #ledgers: Ledgers;
  readonly #key: LedgerKey;
  readonly #before: Noted;
  readonly #from: number;
  readonly #onTrouble: (thrown: unknown) => void;
  readonly #beside: () => Beside;
  #reached: number;
  #writing: Promise<void> | undefined;
  #next = 0;
  /** What the last write notes, and what is on disk. */
  #noted: number;
  #durable: number;
  /** Position of the last piece, once it is about to be sent. */
  #ending: number | undefined;
  #broken = false;

  private constructor(
    ledgers: Ledgers,
    key: LedgerKey,
    { before, from, beside = () => ({}) }: Begun,
    onTrouble: OnTrouble,
  ) {
    this.#ledgers = ledgers;
    this.#key = key;
    this.#before = before ?? NOTHING;
    this.#beside = beside;
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
    // What is there already may be brought up to date by another zkeep that is still at it.
    if (!begun.before) await entry.#write();
    return entry;
  }

  /** What was sent up to now, over all tries. */
  get intervals(): Interval[] {
    return withSent(this.#before.sent, [this.#from, this.#reached]);
  }

  /**
   * All bytes from where this try began were sent up to this position; `now` is the clock's time.
   *
   * @returns what to wait for before more is sent: too much is not on disk yet.
   */
  sent(reached: number, now: number): Promise<void> | undefined {
    this.#reached = reached;
    if (reached < this.#from + REFUSED) return undefined;
    if (!this.#writing && (now >= this.#next || reached >= this.#noted + STEP)) {
      this.#next = now + PAUSE;
      this.#noted = reached;
      this.#writing = this.#write().finally(() => {
        this.#writing = undefined;
      });
    }
    return reached >= this.#durable + 2 * STEP && !this.#broken ? this.#writing : undefined;
  }

  /** What comes next is the last piece of the stream: resolves when that is on disk. */
  async ending(): Promise<void> {
    await this.#writing;
    this.#ending = this.#reached;
    await this.#write();
  }

  /** Writes what is known; when it resolves, nothing is written any more. */
  async end(): Promise<void> {
    await this.#writing;
    await this.#write();
  }

  /** As {@link end}, where nothing of what was sent was taken: what was noted before holds. */
  async refused(): Promise<void> {
    await this.#writing;
    const isNoted = this.#durable > this.#from || this.#ending !== undefined;
    this.#reached = this.#from;
    this.#ending = undefined;
    if (isNoted) await this.#write();
  }

  /** A try that has hardly begun changes nothing of what was noted of another that was about to end. */
  get #known(): Noted {
    const counts = this.#ending !== undefined || this.#reached >= this.#from + REFUSED;
    return { sent: this.intervals, ending: counts ? this.#ending : this.#before.ending, ...this.#beside() };
  }

  async #write(): Promise<void> {
    if (this.#broken) return;
    const reached = this.#reached;
    try {
      await this.#ledgers.write(this.#key, this.#known);
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
/** So many bytes go into a pipe or are on their way to it, though ZFS does not take the stream: they are not noted. */
const REFUSED = 1024 * 1024;

const NOTHING: Noted = { sent: [], ending: undefined };

type OnTrouble = (thrown: unknown) => void;

/** What a try goes on from. */
interface Begun {
  /** What was noted before; `undefined`: nothing was, and what is there is not of it. */
  readonly before: Noted | undefined;
  /** The position from which it sends. */
  readonly from: number;
  /** What else is known at the moment, and noted with it. */
  readonly beside?: () => Beside;
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
    facts: { ...key, bytes, sent: inWords(intervals) },
  });
}

/**
 * That a snapshot which a `zfs receive` of nobody brought, while it was waited for, had all of its stream.
 *
 * @param before what was noted when the waiting began, and `now`: a zkeep that ended its restore well takes the ledger away.
 * @throws {ZkeepError} `failed`, code `restore.unaccounted`, when nobody knows.
 */
export function checkBrought(before: Noted | undefined, now: Noted | undefined, key: LedgerKey): void {
  if (now ? wasEnding(now) : before !== undefined) return;
  const { target, to } = key;
  const message = `another zfs receive brought ${to} to ${target}, and what it was given was not counted`;
  throw new ZkeepError('failed', 'restore.unaccounted', message, {
    advice: `destroy that snapshot (of a new dataset: ${target}) and restore again; if you received it yourself, and from its whole stream, the same command again goes on from it`,
    facts: { ...key, sent: inWords(now?.sent ?? []), ending: now?.ending ?? null },
  });
}

function inWords(intervals: readonly Interval[]): string[] {
  return intervals.map(([from, to]) => `${from}-${to}`);
}
