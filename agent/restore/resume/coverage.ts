/** Which bytes of a stored stream were sent to a receiver, over all tries. Pure. */

/** Bytes from the first to before the second position. */
export type Interval = readonly [from: number, to: number];

/**
 * Intervals with one more: in order, apart from each other, none empty.
 *
 * @example withSent([[0, 100]], [80, 300]) // [[0, 300]]
 */
export function withSent(intervals: readonly Interval[], sent: Interval): Interval[] {
  const sorted = [...intervals, sent]
    .filter(([from, to]) => from < to)
    .toSorted(([one], [other]) => one - other);
  const joined: Interval[] = [];
  for (const [from, to] of sorted) {
    const last = joined.at(-1);
    if (last && from <= last[1]) joined.splice(-1, 1, [last[0], Math.max(last[1], to)]);
    else joined.push([from, to]);
  }
  return joined;
}

/**
 * How many bytes from the stream's first one on were sent without a gap.
 *
 * @example coveredEnd([[0, 300], [400, 500]]) // 300
 */
export function coveredEnd(intervals: readonly Interval[]): number {
  const [first] = withSent(intervals, [0, 0]);
  return first?.[0] === 0 ? first[1] : 0;
}
