/** One thing that a preflight found. */
import type { Facts } from '../../../catalog/errors.ts';

/** What can be found; `PREFLIGHT.md` says what each means. */
export const FINDING_CODES = [
  'no-pool',
  'pool-exists',
  'pool-importable',
  'pool-readonly',
  'pool-broken',
  'pool-degraded',
  'pool-differs',
  'pool-refused',
  'folder-in-use',
  'no-hostid',
  'vdev-missing',
  'vdev-unfit',
  'vdev-readonly',
  'vdev-too-small',
  'vdev-twice',
  'vdev-in-pool',
  'vdev-mounted',
  'vdev-held',
  'vdev-holds-data',
  'vdev-label',
  'ashift-too-small',
  'ashift-slow',
  'no-parent',
  'target-twice',
  'target-exists',
  'target-newer',
  'target-written',
  'partial',
  'partial-own',
  'stream-unreceivable',
  'feature-unknown',
  'feature-disabled',
  'zfs-older',
  'no-space',
  'tight-space',
  'key-not-loaded',
  'key-needed',
] as const;
export type FindingCode = (typeof FINDING_CODES)[number];

/** What is wrong, how bad it is, and what to do about it. */
export interface Finding {
  /** `preflight.what`, stable over versions: scripts may test it. */
  readonly code: string;
  /** `refuse`: the restore would fail, or lose something. `warn`: it goes on, but somebody should know. */
  readonly level: 'refuse' | 'warn';
  readonly message: string;
  /** What to do about it, as one sentence without a full stop. */
  readonly advice: string;
  readonly facts: Facts;
}

/** Names in one sentence at most. */
const NAMED = 5;

/** A finding that ends the restore before it begins. */
export function refuse(code: FindingCode, message: string, advice: string, facts: Facts = {}): Finding {
  return { code: `preflight.${code}`, level: 'refuse', message, advice, facts };
}

/** A finding that the restore goes on with. */
export function warn(code: FindingCode, message: string, advice: string, facts: Facts = {}): Finding {
  return { code: `preflight.${code}`, level: 'warn', message, advice, facts };
}

/** @example listOf(['a', 'b']) // 'a, b'; of many the first ones, and how many more */
export function listOf(names: readonly string[]): string {
  const more = names.length - NAMED;
  return more > 0 ? `${names.slice(0, NAMED).join(', ')} and ${more} more` : names.join(', ');
}
