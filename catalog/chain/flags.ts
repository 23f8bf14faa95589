/** What must not change within a chain: whether a stream of such flags may follow another. */
import { ZkeepError } from '../errors.ts';
import type { ChainFlags } from './graph.ts';

/**
 * Whether a stream of flags `next` may be received on what one of flags `before` left.
 *
 * @example mayFollow({ raw: false, large_blocks: false }, { raw: false, large_blocks: true }) // true
 */
export function mayFollow(before: ChainFlags, next: ChainFlags): boolean {
  return before.raw === next.raw && (next.large_blocks || !before.large_blocks);
}

/**
 * Refuses a backup that would change the flags of its chain.
 *
 * @param base flags of the chains that lead to the base; one that fits is enough, none says nothing.
 * @returns `undefined` when it may be kept, else the error to throw (`refused`, `chain.flags-changed`).
 * @example const refusal = checkFlags(index.ways(from.guid), chainFlagsOf(begin));
 */
export function checkFlags(
  base: ChainFlags | readonly ChainFlags[],
  next: ChainFlags,
): ZkeepError | undefined {
  const ways = 'raw' in base ? [base] : base;
  const [first] = ways;
  if (!first || ways.some((way) => mayFollow(way, next))) return undefined;
  const onlyBlocks = ways.some(({ raw }) => raw === next.raw);
  const words = onlyBlocks
    ? 'the base was kept with large blocks, and this stream is without'
    : `the base was kept ${sayFlags({ ...first, large_blocks: false })}, and this stream is ${sayFlags({ ...next, large_blocks: false })}`;
  return new ZkeepError('refused', 'chain.flags-changed', words, {
    advice: `${onlyBlocks ? 'send it with -L' : first.raw ? 'send it raw (-w)' : 'send it without -w'} as its base was, or start a new chain with a full backup`,
    facts: { base: ways.map(sayFlags), next: sayFlags(next) },
  });
}

/**
 * Flags in words.
 *
 * @example sayFlags({ raw: false, large_blocks: true }) // 'plain with large blocks'
 */
export function sayFlags({ raw, large_blocks }: ChainFlags): string {
  return `${raw ? 'raw' : 'plain'}${large_blocks ? ' with large blocks' : ''}`;
}
