/**
 * Records of one stream made records of another: the same bytes, but for the
 * running checksums in the headers, and the total that END carries.
 */
import { type ByteOrder, Fletcher4, type Fletcher4Room } from '../fletcher4.ts';
import { RECORD_SIZE, RECORDS, SUM_AT } from '../record.ts';
import type { ReaderState } from '../state.ts';

export interface RewriterOptions {
  /** To go on in the middle of a stream, before a header: what {@link ReaderState.sum} says there. */
  readonly sum?: string;
  /** Where to work: payloads that lie in this memory are not copied. Default: a memory of its own. */
  readonly room?: Fletcher4Room;
}

/**
 * Gives records the checksums that they have where they are now. Told of everything
 * that goes into the new stream, in order: BEGIN, then headers and payloads.
 *
 * @example
 * const rewriter = new Rewriter(begin.order);
 * rewriter.begin(beginWithPayload); // goes out as it is
 * for (const { header, payload } of records) {
 *   out.push(rewriter.header(header), payload);
 *   rewriter.payload(payload);
 * }
 */
export class Rewriter {
  readonly #fletcher: Fletcher4;

  /**
   * @param order of the old stream, and so of the new one.
   * @throws {ZkeepError} `damaged`, code `stream.state`, when `sum` is none.
   */
  constructor(order: ByteOrder, { sum, room }: RewriterOptions = {}) {
    this.#fletcher = new Fletcher4(order, room);
    if (sum !== undefined) this.#fletcher.restore({ sum, word: new Uint8Array() });
  }

  /** The stream's BEGIN, its header and payload, in one piece or in several; it has no checksum of its own. */
  begin(bytes: Uint8Array): void {
    this.#fletcher.update(bytes);
  }

  /**
   * Any header but BEGIN's, also one without a checksum.
   *
   * @param header 312 bytes; they are not changed.
   * @param into where to write the header to send in its place: 312 bytes. Default: new memory.
   */
  header(header: Uint8Array, into: Uint8Array = new Uint8Array(RECORD_SIZE)): Uint8Array {
    const fletcher = this.#fletcher;
    const { bytes, view, spare: at } = fletcher;
    bytes.set(header, at);
    const isEnd = view.getUint32(at, fletcher.order === 'little') === RECORDS.END.type;
    if (isEnd) fletcher.writeAt(at + RECORDS.END.fields.checksum.at, view);
    fletcher.sum(at, SUM_AT);
    fletcher.writeAt(at + SUM_AT, view);
    fletcher.sum(at + SUM_AT, RECORD_SIZE - SUM_AT);
    into.set(bytes.subarray(at, at + RECORD_SIZE));
    return into;
  }

  /** The payload after the last header, in one piece or in several. It goes out as it is. */
  payload(bytes: Uint8Array): void {
    this.#fletcher.update(bytes);
  }
}
