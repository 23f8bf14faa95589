/**
 * The bytes with which a broken receive goes on, made from the stored stream: no
 * sender is needed. BEGIN with the receiver's point, the records that the entry
 * needs before it, then every record from there to END, with checksums of their own.
 */
import { ZkeepError } from '../../errors.ts';
import type { ReaderOptions } from '../reader.ts';
import type { RecordView } from '../reading/record-view.ts';
import { RECORD_SIZE } from '../record.ts';
import type { Begin } from '../state.ts';
import { MOST_BEGIN_PAYLOAD, resumingBegin } from './begin.ts';
import type { Pass, ResumingPlan } from './plan.ts';
import { Rewriter } from './rewrite.ts';
import type { ResumeToken } from './token.ts';

/** A piece of a stream that is sent. */
export interface Sent {
  /** Only good until the next piece is asked for. */
  readonly bytes: Uint8Array;
  /** Position in the stored stream that is reached with it: from the plan's `from` on all before it was sent. */
  readonly reached: number;
}

/** The stored stream, and where the receiver stands. */
export interface StoredStream {
  readonly begin: Begin;
  readonly token: Pick<ResumeToken, 'object' | 'offset'>;
  /** Its BEGIN with the payload, as it is stored: `undefined` where the plan reads it. */
  readonly stored?: Uint8Array | undefined;
}

/** What is told while pieces of the stored stream are read. */
export type Watcher = Required<Pick<ReaderOptions, 'onRecord' | 'onPayload'>>;

/**
 * The resuming stream.
 *
 * @param read reads the pieces of a pass, checks them, and tells of their records as it goes; what it
 *   yields is not looked at, but between two yields there should not be much, because it is held in memory.
 * @throws {ZkeepError} what `read` throws; `damaged`, code `resume.entry`, when the plan's records are not there.
 * @example for await (const { bytes } of resumingStream(plan, { begin, token }, read)) child.stdin.write(bytes)
 */
export async function* resumingStream(
  plan: ResumingPlan,
  stream: StoredStream,
  read: (pass: Pass, watcher: Watcher) => AsyncIterable<unknown>,
): AsyncGenerator<Sent> {
  const maker = new Maker(plan, stream);
  for (const pass of plan.passes) {
    maker.beginPass();
    for await (const _ of read(pass, maker)) yield* maker.take();
    yield* maker.take();
  }
  maker.end();
}

/** What is done with the payload of the record at hand. */
type Fate = 'left out' | 'sent' | 'begin';

/** Takes the records of the stored stream, and keeps the bytes of the resuming one until they are taken. */
class Maker implements Watcher {
  readonly #plan: ResumingPlan;
  readonly #begin: Begin;
  readonly #token: Pick<ResumeToken, 'object' | 'offset'>;
  readonly #rewriter: Rewriter;
  /** Positions of records that must still come before the first of the rest. */
  readonly #awaited: number[];
  /** BEGIN's header and payload, while they come. */
  #first: Uint8Array[] = [];
  #made: Uint8Array[] = [];
  #reached: number;
  #fate: Fate = 'left out';
  #rest = false;

  constructor(plan: ResumingPlan, { begin, token, stored }: StoredStream) {
    if (begin.payload > MOST_BEGIN_PAYLOAD) throw noEntry(0);
    this.#plan = plan;
    this.#begin = begin;
    this.#token = token;
    this.#rewriter = new Rewriter(begin.order);
    this.#awaited = [0, ...plan.before];
    this.#reached = plan.from;
    // Of a stream that is sent whole it comes with the others.
    if (!stored || plan.from === 0) return;
    this.#awaited.shift();
    this.#first.push(stored);
    this.#sendBegin();
  }

  /** A pass may begin within a payload: that of no record that is wanted. */
  beginPass(): void {
    this.#fate = 'left out';
  }

  readonly onRecord = (record: RecordView): void => {
    this.#fate = this.#fateOf(record.position);
    if (this.#fate === 'left out') return;
    if (this.#fate === 'begin') {
      this.#first.push(record.header.slice());
      if (record.length === 0) this.#sendBegin();
      return;
    }
    this.#made.push(this.#rewriter.header(record.header));
    this.#reach(record.position + RECORD_SIZE);
  };

  readonly onPayload = (piece: Uint8Array): void => {
    if (this.#fate === 'left out') return;
    const bytes = piece.slice();
    if (this.#fate === 'begin') {
      this.#first.push(bytes);
      this.#sendBegin();
      return;
    }
    this.#rewriter.payload(bytes);
    this.#made.push(bytes);
    this.#reach(this.#reached + bytes.length);
  };

  /** What was made since the last time. */
  *take(): Generator<Sent> {
    const made = this.#made;
    if (made.length === 0) return;
    this.#made = [];
    yield { bytes: made.length === 1 && made[0] ? made[0] : Buffer.concat(made), reached: this.#reached };
  }

  /** @throws {ZkeepError} when the stream ended before its records came. */
  end(): void {
    if (!this.#rest) throw noEntry(this.#plan.from);
  }

  #fateOf(position: number): Fate {
    if (this.#rest) return 'sent';
    const [awaited] = this.#awaited;
    if (awaited === position) {
      this.#awaited.shift();
      // BEGIN itself is the first record of a stream that is sent whole.
      this.#rest = this.#plan.from === 0;
      return position === 0 ? 'begin' : 'sent';
    }
    if (awaited !== undefined && position > awaited) throw noEntry(awaited);
    if (awaited !== undefined || position < this.#plan.from) return 'left out';
    if (position > this.#plan.from) throw noEntry(this.#plan.from);
    this.#rest = true;
    return 'sent';
  }

  #sendBegin(): void {
    const begin = Buffer.concat(this.#first);
    if (begin.length < RECORD_SIZE + this.#begin.payload) return;
    this.#first = [];
    const [header, payload] = [begin.subarray(0, RECORD_SIZE), begin.subarray(RECORD_SIZE)];
    const made = resumingBegin(header, payload, this.#begin.order, this.#token);
    this.#rewriter.begin(made);
    this.#made.push(made);
    this.#reach(begin.length);
  }

  /** Only what follows the plan's record in one piece counts. */
  #reach(position: number): void {
    if (this.#rest) this.#reached = position;
  }
}

function noEntry(position: number): ZkeepError {
  const what = `the stored stream has no record at byte ${position}, where its manifest says that one begins`;
  return new ZkeepError('damaged', 'resume.entry', what, {
    advice:
      'throw the interrupted receive away (zfs receive -A) and restore again; zkeep verify --deep tells more',
    facts: { position },
  });
}
