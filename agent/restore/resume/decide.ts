/** What becomes of an interrupted receive that a target holds. Decided purely, printed by `--dry-run`. */
import type { RestorePlan } from '../../../catalog/protocol/protocol.ts';
import { hasFeature } from '../../../catalog/stream/features.ts';
import type { ResumeToken } from '../../../catalog/stream/resuming/token.ts';
import type { Begin } from '../../../catalog/stream/state.ts';
import type { Guid } from '../../../catalog/words.ts';

/** What an interrupted receive left. */
export interface PartialReceive {
  /** The snapshot that it was getting, `null` when that cannot be told. */
  readonly to: Guid | null;
  /** What its token says; `undefined`: it cannot be read. */
  readonly token?: ResumeToken | undefined;
}

/** What is done with it. */
export type PartialDecision =
  /** The first step of the plan goes on with it. */
  | { readonly kind: 'resume'; readonly token: ResumeToken }
  /** It is of this restore, and is thrown away all the same. */
  | { readonly kind: 'again'; readonly why: string }
  /** It is of no step of this plan. */
  | { readonly kind: 'foreign' };

/**
 * Decides about it. Whatever a zkeep or a person began is gone on with, where the
 * first stream of the plan is the one that it was getting.
 *
 * @param begin of that stream; `undefined`: not known, and not compared.
 * @example decidePartial(place.partial, plan, manifest.stream.begin).kind // 'resume'
 */
export function decidePartial(
  partial: PartialReceive,
  plan: Pick<RestorePlan, 'steps' | 'rollback'>,
  begin: Begin | undefined,
): PartialDecision {
  const { to, token } = partial;
  const [first] = plan.steps;
  if (to === null || !first || !plan.steps.some((step) => step.to === to)) return { kind: 'foreign' };
  const again = (why: string): PartialDecision => ({ kind: 'again', why });
  if (!token) return again('its resume token cannot be read');
  if (first.to !== to) return again('the way to what is wanted now begins with another snapshot');
  if (token.fromguid !== first.from)
    return again('it was an increment on another snapshot than the stored one');
  if (plan.rollback) return again('the target goes back to an older snapshot first');
  if (begin && !isSentAlike(begin, token))
    return again('it was sent with other flags than the stored stream');
  return { kind: 'resume', token };
}

/** What the stored stream and the one that was received have in common decides which records they are made of. */
export function isSentAlike(begin: Begin, token: ResumeToken): boolean {
  return (
    hasFeature(begin, 'RAW') === token.raw &&
    hasFeature(begin, 'LARGE_BLOCKS') === token.largeBlocks &&
    hasFeature(begin, 'COMPRESSED') === token.compressed &&
    hasFeature(begin, 'EMBED_DATA') === token.embedded &&
    hasFeature(begin, 'REDACTED') === (token.redactSnaps !== null)
  );
}
