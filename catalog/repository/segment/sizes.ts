/** How a stream is cut: pure arithmetic, so that every part of zkeep cuts alike. */

/** Raw bytes of the first segments. */
export const FIRST_SEGMENT = 16 * 1024 * 1024;
/**
 * Raw bytes of the largest segments. A grant binds the digest, so a segment is
 * whole in memory before its first byte leaves; this bounds the agent's memory.
 */
export const LARGEST_SEGMENT = 64 * 1024 * 1024;
/** Segments of one size before the next are twice as large. */
const SEGMENTS_PER_SIZE = 1024;

/**
 * Raw bytes of segment `number` (from 0) unless the stream ends in it.
 *
 * @example segmentSize(0) // 16777216
 */
export function segmentSize(number: number): number {
  const doublings = Math.floor(number / SEGMENTS_PER_SIZE);
  return Math.min(LARGEST_SEGMENT, FIRST_SEGMENT * 2 ** Math.min(doublings, 8));
}
