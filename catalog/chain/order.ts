/** What all choices in this room are weighed with, so that they come out the same everywhere. */

/** Negative when `a` comes first, by code unit: the same on every host, whatever its language. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Adds bytes; stays at the largest safe integer, so that foreign sizes cannot blur the order. */
export function addBytes(a: number, b: number): number {
  return Math.min(a + b, Number.MAX_SAFE_INTEGER);
}
