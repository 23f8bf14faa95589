/** One thing that interrupted work left, with what becomes of it. */

export type LeftoverKind = 'open-backup' | 'partial-receive' | 'drill' | 'snapshot' | 'hold' | 'bookmark';

/** What is left, what it costs, what goes on with it and what clears it. */
export interface Leftover {
  readonly kind: LeftoverKind;
  /** Where it is left: a dataset of this host, or of what is stored. */
  readonly dataset: string;
  /** Of a backup its id, of a receive or a drill the dataset, else `pool/dataset@name` or `pool/dataset#name`. */
  readonly name: string;
  /** What it is, in words that follow its name. */
  readonly what: string;
  /** Bytes: stored of a backup, received of a stream, kept by a snapshot alone; `null` where nobody knows, or none. */
  readonly bytes: number | null;
  /** Since when, seconds since 1970; `null` where nobody knows. */
  readonly since: number | null;
  /** Somebody is at it right now: nothing need be done. */
  readonly running: boolean;
  /** The command that goes on with it; `null` where none does. */
  readonly continues: readonly string[] | null;
  /** The commands that clear it, in order; none while it is running. */
  readonly clear: readonly (readonly string[])[];
}

/** What could not be judged, because somebody could not be asked. */
export interface Unjudged {
  readonly what: string;
  readonly count: number;
}
