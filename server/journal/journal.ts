/** The journal as the service writes and follows it. catalog/journal/JOURNAL.md is the page on it. */
import { hash } from 'node:crypto';
import type { FastifyBaseLogger } from 'fastify';
import type { Clock } from '../../catalog/clock.ts';
import { messageOf, ZkeepError } from '../../catalog/errors.ts';
import type { CatalogIndex } from '../../catalog/index/catalog-index.ts';
import { readJournal } from '../../catalog/index/read-journal.ts';
import {
  type Entry,
  type Fact,
  JOURNAL_FORMAT,
  type JournalObject,
  MOST_IN_ENTRY,
} from '../../catalog/journal/entry.ts';
import { isEntry } from '../../catalog/journal/read.ts';
import { journalKey, readJournalKey } from '../../catalog/repository/names.ts';
import type { ObjectStore } from '../../catalog/repository/store/store.ts';
import { laterUuid7, momentOfUuid7, parseDigest } from '../../catalog/words.ts';
import type { Outbox } from './outbox.ts';

export interface JournalTools {
  readonly store: ObjectStore;
  readonly index: CatalogIndex;
  readonly outbox: Outbox;
  readonly clock: Clock;
  readonly log: FastifyBaseLogger;
  /** What this service is called in the bucket. */
  readonly service: string;
}

/** Milliseconds between two looks at what was noted, and between two at what other services wrote. */
export interface JournalPace {
  readonly flush: number;
  readonly follow: number;
}

/** How much of the journal is looked at. */
export interface FollowOptions {
  /** So far behind (milliseconds) the names may be of what was not seen yet; ahead they may be any time. */
  readonly late?: number;
  /** Also what was not understood before. */
  readonly again?: boolean;
}

const PACE: JournalPace = { flush: 5_000, follow: 30_000 };
/** Noted facts that are written at once, and those that may wait in memory. */
const MANY = 500;
const MOST_WAITING = 5_000;
/** Bytes of an object's text after which the next one begins. */
const OBJECT_BYTES = 2 * 1024 * 1024;
const MOST_ENTRIES = 1_000;
/** An object may come into the bucket so long after the moment in its name (milliseconds), or a clock be so far behind. */
const LATE = 15 * 60_000;
/** Now and then the look goes back so far, milliseconds: a service may be far behind and not have followed. */
const VERY_LATE = 86_400_000;
/** Of so many looks one does. */
const FAR_LOOKS = 20;
/** The last flush waits no longer for the bucket, milliseconds: what is left goes with the next start. */
const LAST_FLUSH = 5_000;

/**
 * Writes facts as entries into the bucket, then into the index, and tells of them. What it writes is of
 * greater ids than all that it knows, so that what is said last holds, also when clocks differ.
 *
 * @example
 * await journal.record(token.name, { kind: 'policy.set', policy });
 */
export class Journal {
  readonly #tools: JournalTools;
  readonly #pace: JournalPace;
  readonly #listeners = new Set<(entry: Entry) => void>();
  /** Ends following. */
  readonly #stopping = new AbortController();
  /** Ends writing. */
  readonly #late = new AbortController();
  #noted: Entry[] = [];
  #last: string;
  #timers: NodeJS.Timeout[] = [];
  #flushing: Promise<void> | undefined;
  #following: Promise<void> = Promise.resolve();

  constructor(tools: JournalTools, pace: Partial<JournalPace> = {}) {
    this.#tools = tools;
    this.#pace = { ...PACE, ...pace };
    this.#last = tools.index.lastEntry() ?? '';
  }

  /** Begins to write what was noted or left by a former run, and to follow other services. */
  start(): void {
    const every = (milliseconds: number, work: () => Promise<void>, what: string) => {
      const attempt = () => {
        work().catch((thrown: unknown) => this.#warn(thrown, what));
      };
      this.#timers.push(setInterval(attempt, milliseconds).unref());
    };
    every(this.#pace.flush, () => this.flush(), 'the journal could not be written');
    every(this.#pace.follow, () => this.follow(), 'the journal could not be followed');
    const far = this.#pace.follow * FAR_LOOKS;
    every(far, () => this.follow({ late: VERY_LATE }), 'the journal could not be followed');
  }

  /**
   * Writes facts: they are in the bucket and in the index when it resolves.
   *
   * @param by name of the token that asks for it; `null`: the service does it by itself.
   * @throws what the store throws; the facts may be in the bucket all the same.
   */
  async record(by: string | null, ...facts: Fact[]): Promise<void> {
    await this.#write(facts.map((fact) => this.#entryOf(by, fact)));
  }

  /** Has facts written soon; waits for nothing. A service that is killed first loses them. */
  note(by: string | null, ...facts: Fact[]): void {
    for (const fact of facts) {
      if (this.#joinProofs(by, fact)) continue;
      try {
        this.#noted.push(this.#entryOf(by, fact));
      } catch (thrown) {
        this.#tools.log.error({ err: thrown, fact }, 'a fact does not fit into the journal');
      }
    }
    if (this.#noted.length > MOST_WAITING) this.#setAside();
    else if (this.#noted.length >= MANY) {
      void this.flush().catch((thrown: unknown) => this.#warn(thrown, 'the journal could not be written'));
    }
  }

  /**
   * Writes what was noted.
   *
   * @throws what the store throws; what is not written waits on disk then.
   */
  async flush(): Promise<void> {
    this.#flushing ??= this.#flush().finally(() => {
      this.#flushing = undefined;
    });
    await this.#flushing;
  }

  /**
   * Tells of every entry that is new in the index, also of other services' ones.
   *
   * @returns ends it.
   */
  onFact(listener: (entry: Entry) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Takes in what other services wrote since the last look; what they removed goes from the index, too.
   *
   * @throws what the store throws.
   */
  async follow(look: FollowOptions = {}): Promise<void> {
    this.#following = this.#following.catch(() => undefined).then(() => this.#follow(look));
    await this.#following;
  }

  /** Writes what was noted, and ends. What the bucket does not take is written after the next start. */
  async close(): Promise<void> {
    for (const timer of this.#timers.splice(0)) clearInterval(timer);
    this.#stopping.abort();
    const late = setTimeout(() => this.#late.abort(tooLate()), LAST_FLUSH);
    try {
      await Promise.allSettled([this.#following, this.#flushing]);
      this.#setAside();
      await this.flush();
    } catch (thrown) {
      this.#warn(thrown, 'what the journal lacks is written after the next start');
    } finally {
      clearTimeout(late);
    }
  }

  async #flush(): Promise<void> {
    const { outbox } = this.#tools;
    for (let left = outbox.first(MOST_ENTRIES); left.length > 0; left = outbox.first(MOST_ENTRIES)) {
      await this.#write(left);
      outbox.remove(left);
    }
    const noted = this.#noted;
    this.#noted = [];
    try {
      await this.#write(noted);
    } catch (thrown) {
      this.#keep(noted);
      throw thrown;
    }
  }

  /** What was noted goes to disk. */
  #setAside(): void {
    const noted = this.#noted;
    this.#noted = [];
    this.#keep(noted);
  }

  #keep(entries: readonly Entry[]): void {
    const lost = this.#tools.outbox.add(entries);
    if (lost > 0) this.#tools.log.error({ lost }, 'facts are lost: too many wait for the bucket');
  }

  async #follow({ late = LATE, again = false }: FollowOptions): Promise<void> {
    const { store, index, clock, log } = this.#tools;
    const { signal } = this.#stopping;
    const last = index.journal.last();
    const known = momentOfUuid7((last && readJournalKey(last)) ?? this.#last) ?? clock.now();
    const since = Math.min(known, clock.now()) - late;
    const onEntries = (entries: readonly Entry[]) => {
      for (const { fact } of entries) {
        if (fact.kind === 'backups.removed') index.remove(fact.backups.map(({ backup }) => backup));
      }
      this.#tell(entries);
    };
    const { problems } = await readJournal(store, index, { since, again, onEntries, signal });
    for (const { key, error } of problems)
      log.error({ err: error, key }, 'an object of the journal cannot be used');
  }

  async #write(entries: readonly Entry[]): Promise<void> {
    const { store, index, service } = this.#tools;
    for (const part of partsOf(entries)) {
      const object: JournalObject = { format: JOURNAL_FORMAT, service, entries: part };
      const body = Buffer.from(`${JSON.stringify(object)}\n`);
      const key = journalKey(this.#nextId());
      const sha256 = parseDigest(hash('sha256', body));
      await store.put(key, body, { sha256, ifAbsent: true, signal: this.#late.signal });
      this.#tell(index.apply(part, [{ key, whole: true }]));
    }
  }

  #tell(entries: readonly Entry[]): void {
    for (const entry of entries) {
      if (entry.id > this.#last) this.#last = entry.id;
      for (const listener of this.#listeners) {
        try {
          listener(entry);
        } catch (thrown) {
          this.#tools.log.error({ err: thrown, entry: entry.id }, 'who was told of an entry failed');
        }
      }
    }
  }

  #entryOf(by: string | null, fact: Fact): Entry {
    const { clock, index } = this.#tools;
    const about = index.placesOf(fact);
    const entry: Entry = {
      id: this.#nextId(),
      at: new Date(clock.now()).toISOString(),
      by,
      fact,
      ...(about.length > 0 ? { about } : {}),
    };
    if (isEntry(entry)) return entry;
    throw new ZkeepError('failed', 'journal.unfit', `a fact "${fact.kind}" does not fit into the journal`, {
      advice: 'this is a defect in zkeep',
      facts: { kind: fact.kind },
    });
  }

  /** Proofs come one by one, by the thousand: as long as nothing else was said since, they become one entry. */
  #joinProofs(by: string | null, fact: Fact): boolean {
    const before = this.#noted.at(-1);
    if (fact.kind !== 'proven' || before?.fact.kind !== 'proven') return false;
    if (before.by !== by || before.id !== this.#last) return false;
    const proofs = [...before.fact.proofs, ...fact.proofs];
    if (proofs.length > MOST_IN_ENTRY) return false;
    this.#noted[this.#noted.length - 1] = { ...before, fact: { ...before.fact, proofs } };
    return true;
  }

  #nextId(): string {
    this.#last = laterUuid7(this.#last, this.#tools.clock.now());
    return this.#last;
  }

  #warn(thrown: unknown, words: string): void {
    if (this.#stopping.signal.aborted && this.#stopping.signal.reason === thrown) return;
    this.#tools.log.warn({ err: thrown }, `${words}: ${messageOf(thrown)}`);
  }
}

function tooLate(): ZkeepError {
  return new ZkeepError('unavailable', 'journal.late', 'the bucket does not answer while the service ends');
}

/** Entries in objects that can be read whole. */
function* partsOf(entries: readonly Entry[]): Generator<Entry[]> {
  let part: Entry[] = [];
  let bytes = 0;
  for (const entry of entries) {
    const size = JSON.stringify(entry).length;
    if (part.length > 0 && (part.length >= MOST_ENTRIES || bytes + size > OBJECT_BYTES)) {
      yield part;
      [part, bytes] = [[], 0];
    }
    part.push(entry);
    bytes += size;
  }
  if (part.length > 0) yield part;
}
