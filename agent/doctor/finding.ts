/** One thing that is not well. */

export type FindingCode =
  | 'zfs-unasked'
  | 'service-unreachable'
  | 'clock-wrong'
  | 'snapshot-from-future'
  | 'version-old'
  | 'state-unwritable'
  | 'token-readable'
  | 'rights-missing'
  | 'configuration-wrong'
  | 'not-covered'
  | 'open-backup'
  | 'partial-receive'
  | 'left-drill'
  | 'left-temporary'
  | 'left-snapshot'
  | 'leaked-hold'
  | 'stale-bookmark';

/** What it is, why it matters, and what mends it. */
export interface Finding {
  readonly code: FindingCode;
  /** Where it is; `null`: of the host as a whole. */
  readonly dataset: string | null;
  readonly what: string;
  readonly why: string;
  /** The commands that mend it, in order; empty where a person has to decide how. */
  readonly mend: readonly (readonly string[])[];
  /** What to do, where commands alone do not say it. */
  readonly advice: string | null;
  /** `--fix` runs the commands: they take away only what zkeep itself left. */
  readonly safe: boolean;
}
