/** How long a restore is expected to take, by restores that were measured. */

/** A restore that was measured; all of one question count the same bytes, raw or stored. */
export interface MeasuredRestore {
  readonly bytes: number;
  readonly seconds: number;
}

/** A restore of fewer bytes has measured how long it takes to begin rather than a rate. */
const MEASURES_A_RATE = 64 * 1024 * 1024;
/** It says something of so many times its bytes, and nothing of more. */
const STRETCH = 16;

/** The seconds that a restore of so many bytes is expected to take; `null`: nothing was measured that says so. */
export type Expectation = (bytes: number) => number | null;

/**
 * What restores that were measured let expect: between two of them what lies on the line between, above the largest
 * by its rate. One that took longer than a larger one counts for that, too: what is expected is rather too long.
 *
 * @example expectedBy([{ bytes: 1e9, seconds: 10 }])(2e9) // 20
 */
export function expectedBy(measured: readonly MeasuredRestore[]): Expectation {
  const points = rising(measured);
  const largest = points.at(-1);
  return (bytes) => {
    if (!largest) return null;
    if (bytes > largest.bytes) {
      const isTooFar = largest.bytes < MEASURES_A_RATE && bytes > STRETCH * largest.bytes;
      return isTooFar ? null : (largest.seconds * bytes) / largest.bytes;
    }
    const at = firstFrom(points, bytes);
    const [above = largest, below = { bytes: 0, seconds: 0 }] = [points[at], points[at - 1]];
    const part = (bytes - below.bytes) / (above.bytes - below.bytes);
    return below.seconds + part * (above.seconds - below.seconds);
  };
}

/** The place of the first one of at least so many bytes: there may be thousands, and thousands ask. */
function firstFrom(points: readonly MeasuredRestore[], bytes: number): number {
  let [low, high] = [0, points.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((points[middle]?.bytes ?? 0) < bytes) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** By their bytes, each once, and none faster than a smaller one. */
function rising(measured: readonly MeasuredRestore[]): MeasuredRestore[] {
  const points: MeasuredRestore[] = [];
  const usable = measured.filter(({ bytes, seconds }) => bytes > 0 && seconds > 0);
  for (const { bytes, seconds } of usable.sort((one, other) => one.bytes - other.bytes)) {
    const last = points.at(-1);
    if (last?.bytes === bytes) points.pop();
    points.push({ bytes, seconds: Math.max(seconds, last?.seconds ?? 0) });
  }
  return points;
}
