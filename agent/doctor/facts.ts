/** What the doctor looks at: plain data, gathered by `gather.ts`, made up by tests. */
import type { LeftoverFacts } from '../leftovers/facts.ts';

/** Somebody who could not be asked, and why. */
export interface Trouble {
  readonly code: string;
  readonly message: string;
  readonly advice: string | undefined;
}

/** What jobs cover. */
export interface Coverage {
  /** The agent's configuration. */
  readonly file: string;
  /** All datasets of this host, without those that a job leaves out by a pattern of its own. */
  readonly meant: readonly string[];
  readonly covered: ReadonlySet<string>;
}

/** Everything. Moments are milliseconds since 1970. */
export interface DoctorFacts extends LeftoverFacts {
  /** So far the service's clock is ahead of ours, milliseconds; `null`: it did not tell. */
  readonly ahead: number | null;
  readonly versions: { readonly here: string; readonly service: string | null };
  /** Why ZFS, or the service, could not be asked; `null`: it could. */
  readonly zfs: Trouble | null;
  readonly service: Trouble | null;
  /** The folder for what must outlive a run, and why it cannot be written; `null`: it can. */
  readonly state: { readonly folder: string; readonly problem: string | null };
  /** A file with the token that others than its owner may read. */
  readonly openToken: string | null;
  /** Rights that this user lacks, by dataset. */
  readonly rights: readonly { readonly dataset: string; readonly lacking: readonly string[] }[];
  /** Who is asking, for the command that gives the rights. */
  readonly user: string;
  /** `null`: this host has no agent's configuration; a trouble: it cannot be read. */
  readonly coverage: Coverage | Trouble | null;
}
