/** How fast a body may go: the words between who sends it and who bounds the rate. */

/** Bounds the rate of all bodies that share it. */
export interface Pace {
  /** Most bytes that are asked for at once, as things are now: so few that the line is not given in gusts. */
  piece(): number;
  /** Resolves when so many bytes may go; rejects with the signal's reason. */
  take(bytes: number, signal?: AbortSignal): Promise<void>;
}

/**
 * A body in pieces, each when its turn has come.
 *
 * @param waiting is given each wait: it is no stall of the store.
 */
export async function* atPace(
  body: Uint8Array,
  pace: Pace,
  waiting: (wait: () => Promise<void>) => Promise<void>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < body.byteLength; ) {
    const piece = body.subarray(at, at + Math.max(1, pace.piece()));
    await waiting(() => pace.take(piece.byteLength, signal));
    yield piece;
    at += piece.byteLength;
  }
}
