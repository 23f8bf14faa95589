/** The streams of the tries of one step: what one try did not get rid of is there for the next. */
import { isDeepStrictEqual } from 'node:util';
import type { Manifest, Segment } from '../../../catalog/repository/manifest.ts';
import type { ResumeToken } from '../../../catalog/stream/resuming/token.ts';
import { coveredEnd } from './coverage.ts';
import { Fetches } from './fetches.ts';
import type { LedgerKey, Ledgers, Noted } from './ledger.ts';
import { Repeatable } from './repeatable.ts';
import { notedBegin, type Reading, resumingOf, wholeOf } from './stream.ts';

/** A stream that is ready to be sent. */
export interface Ready {
  /** What the interrupted receive left; `null`: it is sent from its first byte. */
  readonly resume: ResumeToken | null;
  readonly manifest: Manifest;
  /** What was noted of earlier tries, and how far it covers the stream without a gap. */
  readonly before: Noted | undefined;
  readonly covered: number;
  /** Position in the stored stream from which all of it is sent. */
  readonly from: number;
  readonly sent: Repeatable;
}

/** What they are made of. */
interface Makings {
  readonly key: LedgerKey;
  readonly ledgers: Ledgers;
  readonly reading: Reading;
  readonly manifest: () => Promise<Manifest>;
}

/** One stream is open at a time. */
export class Streams {
  /** What was fetched for all of them. */
  readonly fetches = new Fetches();
  readonly #makings: Makings;
  #last: Ready | undefined;

  constructor(makings: Makings) {
    this.#makings = makings;
  }

  /** The stream for a try: the last one, where hardly any of it was taken and the token is the same still. */
  async open(resume: ResumeToken | null): Promise<Ready> {
    await this.#last?.sent.settled();
    if (this.#last?.sent.isWhole && isDeepStrictEqual(this.#last.resume, resume)) return this.#last;
    await this.close();
    const { key, ledgers, reading } = this.#makings;
    const manifest = await this.#makings.manifest();
    const before = resume ? await ledgers.read(key) : undefined;
    const covered = coveredEnd(before?.sent ?? []);
    this.fetches.recall(before);
    const counting = { ...reading, onFetched: (segment: Segment) => this.fetches.add(segment) };
    const stored = notedBegin(before?.begin, manifest.stream.begin);
    const { from, sent } = resume
      ? resumingOf(manifest, resume, covered, counting, stored)
      : wholeOf(manifest, counting);
    this.#last = { resume, manifest, before, covered, from, sent: new Repeatable(sent) };
    return this.#last;
  }

  /** Ends the one that is open. */
  async close(): Promise<void> {
    const last = this.#last;
    this.#last = undefined;
    await last?.sent.close();
  }
}
