/** What is wrong with a send stream, and where. */
import { type ErrorDetails, ZkeepError } from '../errors.ts';
import type { RecordName } from './record.ts';

/** A place in a stream. */
export interface StreamPlace {
  /** Number of the record, BEGIN being 0. */
  readonly record: number;
  /** Its type; `null` when that cannot be said. */
  readonly type: RecordName | null;
  /** Byte position at which the record begins, or at which the stream ends too soon. */
  readonly position: number;
}

/**
 * A stream that must not be stored or received.
 *
 * @example
 * throw new StreamError('stream.mixed', 'the record is of another stream', place, { advice: 'send again' });
 */
export class StreamError extends ZkeepError {
  readonly record: number;
  readonly type: RecordName | null;
  readonly position: number;
  /** What is wrong, without the place. */
  readonly what: string;

  constructor(code: string, what: string, place: StreamPlace, details: ErrorDetails = {}) {
    const { record, type, position } = place;
    super('damaged', code, `${what} (record ${record}${type ? `, ${type},` : ''} at byte ${position})`, {
      ...details,
      facts: { record, type, position, ...details.facts },
    });
    this.record = record;
    this.type = type;
    this.position = position;
    this.what = what;
  }

  /** The same in a file in which the stream begins at byte `start`, as its substream number `substream`. */
  inPackage(substream: number, start: number): StreamError {
    const place = { record: this.record, type: this.type, position: start + this.position };
    return new StreamError(this.code, `in substream ${substream} of the package, ${this.what}`, place, {
      ...(this.advice === undefined ? {} : { advice: this.advice }),
      facts: { ...this.facts, position: place.position, substream },
      cause: this,
    });
  }
}
