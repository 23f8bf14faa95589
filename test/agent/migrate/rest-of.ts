/** Recorded streams as they would go on after a receive of them was cut off in the middle. */

import { StreamReader } from '../../../catalog/stream/reader.ts';
import { tokenFor } from '../../../catalog/stream/resuming/token.ts';
import type { Begin, ResumePoint } from '../../../catalog/stream/state.ts';
import { takeApart } from '../../catalog/stream/parts.ts';
import { joined, sentAgain } from '../../catalog/stream/resuming/sent-again.ts';
import { recordedStream } from '../../fixtures/recorded-streams.ts';

/** Full, incremental, raw, with large blocks, of a volume. */
export const RECORDED = ['full', 'incr-i-a-b', 'raw-w', 'large-L', 'zvol', 'lustre-mgt-full-s1'] as const;

/** What `zfs send -t` gives for the point in the middle of a stream, and the token of it. */
export function restOf(name: string): { rest: Buffer; token: string; begin: Begin } {
  const stream = recordedStream(name);
  const reader = new StreamReader();
  reader.write(stream.subarray(0, stream.length >> 1));
  const { begin, point } = reader;
  if (!begin || !point) throw new Error(`${name} has no point in its first half`);
  const rest = joined(sentAgain(takeApart(stream), point as ResumePoint, begin.order), begin.order);
  return { rest, token: tokenFor(begin, point, begin.toName), begin };
}
