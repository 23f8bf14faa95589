/** What verification finds, and how it tells damage from a store that does not answer. */
import { messageOf, ZkeepError } from '../../errors.ts';
import type { BackupId } from '../../words.ts';

/** Something that is not as it must be. */
export interface Problem {
  /** `null` when no backup can be named: a manifest under a name that is none. */
  readonly backup: BackupId | null;
  /** The object that has it; `null`: the backup as a whole. */
  readonly key: string | null;
  readonly code: string;
  readonly message: string;
  /** Whether the backup's stream cannot be had any more because of it. */
  readonly damage: boolean;
}

/** `light`: every object was looked at. `deep`: every byte was read, decoded and walked. */
export type Depth = 'light' | 'deep';

/** The damage of a backup, as an entry of the journal has it. */
export interface BackupDamage {
  readonly backup: BackupId;
  /** How deep one has to look to see it. */
  readonly depth: Depth;
  /** The first problems. */
  readonly problems: { readonly code: string; readonly key: string | null; readonly message: string }[];
  /** All problems. */
  readonly count: number;
}

/** What a damage entry names at most; the rest is counted. */
const MOST_NAMED = 20;
const LONGEST = 4000;

/** How a store, and the service, say that an object is not there: a bucket that is not there is no lost object. */
const GONE: ReadonlySet<string> = new Set(['store.missing', 'object.missing']);

/**
 * Codes that say "damaged" of something else than the bytes: two decoders that disagree, of which
 * the one that restores has passed every checksum.
 */
const NO_DAMAGE: ReadonlySet<string> = new Set(['segment.decoders']);

/** What is reported of a backup, and does not end the look at others. */
const REPORTED: ReadonlySet<string> = new Set(['damaged', 'missing', 'refused']);

/**
 * Whether a failure says that stored bytes are not what they must be. All else (no answer, no
 * right, no room, an archive tier) says nothing about them.
 *
 * @example isDamage(new ZkeepError('unavailable', 'store.unavailable', '')) // false
 */
export function isDamage(thrown: unknown): thrown is ZkeepError {
  if (!(thrown instanceof ZkeepError) || NO_DAMAGE.has(thrown.code)) return false;
  return thrown.kind === 'damaged' || (thrown.kind === 'missing' && GONE.has(thrown.code));
}

/**
 * The problem that a failure tells of a backup.
 *
 * @throws what was thrown, when it says nothing about the backup: the store does not answer.
 */
export function problemOf(thrown: unknown, backup: BackupId, key: string | null): Problem {
  const reported = thrown instanceof ZkeepError && REPORTED.has(thrown.kind);
  const noBucket = reported && thrown.kind === 'missing' && !GONE.has(thrown.code);
  if (!reported || noBucket) throw thrown;
  return { backup, key, code: thrown.code, message: messageOf(thrown), damage: isDamage(thrown) };
}

/** The damage that problems of a backup are; `null` when none of them is. */
export function damageOf(backup: BackupId, depth: Depth, problems: readonly Problem[]): BackupDamage | null {
  const damage = problems.filter((problem) => problem.damage);
  if (damage.length === 0) return null;
  const named = damage.slice(0, MOST_NAMED).map(({ code, key, message }) => {
    return { code, key, message: message.slice(0, LONGEST) };
  });
  return { backup, depth, problems: named, count: damage.length };
}
