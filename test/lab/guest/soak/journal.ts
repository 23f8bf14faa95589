/** What must outlive a power cut: where the soak is, and what it has counted. */
import { open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';

/** How a cut is made. */
export type Method = 'agent' | 'stop' | 'child' | 'service' | 'tcp' | 'store' | 'power';

/** What came of all rounds of one kind in one direction. */
export interface Row {
  rounds: number;
  readonly cuts: Partial<Record<Method, number>>;
  /** Starts of zkeep after the first one of a round. */
  tries: number;
  /** Of these: went on in the middle, or sent the stream from its beginning. */
  resumed: number;
  again: number;
  /** Of a backup, bytes of objects that went to the store beyond once each; of a restore, bytes of streams that `zfs receive` was given beyond once each. */
  twice: number;
  /** Most of them in a round, by the cuts of that round. */
  worst: number;
  /** Bytes of objects that were fetched beyond once each, and most of them by the cuts of a round. */
  fetched: number;
  fetchedWorst: number;
  /** Raw bytes that zkeep says it sent once more. */
  said: number;
  /** What zkeep said when it ended badly after a cut, by code. */
  readonly errors: Record<string, number>;
  /** Why it went on or started again, in its own words without their figures. */
  readonly reasons: Record<string, number>;
  seconds: number;
}

/** A round that has begun. */
export interface Round {
  readonly number: number;
  readonly kind: string;
  phase: 'backup' | 'restore';
  /** zkeep takes its own snapshot, at every start of it. */
  readonly own: boolean;
  /** Restores of it that are over. */
  restores: number;
  /** `undefined` until a backup is stored whose restore can be tried. */
  stored: { readonly snapshot: string; readonly bytes: number; readonly backups: number } | undefined;
  cuts: number;
  /** Most bytes that these cuts may cost. */
  allowed: number;
  attempt: number;
  /** Bytes of objects so far in this phase. */
  moved: number;
  /** Bytes that each `zfs receive` of the restore was given, over all tries. */
  fed: number[];
  /** Snapshots whose stream was begun, and what lay in the bucket before the round. */
  readonly sent: string[];
  readonly before: readonly string[];
  /** Milliseconds. */
  spent: number;
}

export interface State {
  readonly seed: string;
  readonly mebibytes: number;
  /** Which state of the clone ran from which round on. */
  readonly commits: { readonly commit: string; readonly round: number }[];
  /** Bytes of a stream by its kind, once one was stored. */
  readonly sizes: Record<string, number>;
  readonly kinds: readonly string[];
  /** Rounds that are over. */
  rounds: number;
  /** Service folders used up; each holds the backups of some rounds. */
  epoch: number;
  token: string;
  round: Round | undefined;
  readonly backups: Record<string, Row>;
  readonly restores: Record<string, Row>;
  readonly faults: string[];
}

export function newRow(): Row {
  return {
    rounds: 0,
    cuts: {},
    tries: 0,
    resumed: 0,
    again: 0,
    twice: 0,
    worst: 0,
    fetched: 0,
    fetchedWorst: 0,
    said: 0,
    errors: {},
    reasons: {},
    seconds: 0,
  };
}

/** Keeps the state in a file so that after a power cut it is either this one or the one before. */
export async function keep(path: string, state: State): Promise<void> {
  const file = await open(`${path}.new`, 'w');
  await file.writeFile(JSON.stringify(state));
  await file.sync();
  await file.close();
  await rename(`${path}.new`, path);
  const folder = await open(dirname(path));
  await folder.sync();
  await folder.close();
}

/** The state that was kept, or `undefined` when there is none. */
export async function kept(path: string): Promise<State | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : JSON.parse(text);
}
