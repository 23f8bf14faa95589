/**
 * Sweep: removes segments, and notes on open backups, that belong to no backup and to none that is open.
 * JOBS.md says why nothing that may still be committed is among them.
 */
import type { FastifyBaseLogger } from 'fastify';
import type { Clock } from '../../catalog/clock.ts';
import { ZkeepError } from '../../catalog/errors.ts';
import type { CatalogIndex } from '../../catalog/index/catalog-index.ts';
import {
  readNoteKey,
  readSegmentKey,
  SEGMENTS_PREFIX,
  segmentsOf,
  UPLOADS_PREFIX,
  uploadsOf,
} from '../../catalog/repository/names.ts';
import type { Repository } from '../../catalog/repository/repository.ts';
import { type BackupId, momentOfUuid7 } from '../../catalog/words.ts';
import { removeAll } from '../backup/leftovers.ts';
import { LATE_WRITES, UNKNOWN_WRITES } from '../backup/surroundings.ts';
import type { OpenBackups } from '../state/open-backups.ts';
import { readNote } from '../uploads/reading.ts';
import type { Job, JobRun } from './job.ts';

export interface SweepTools {
  readonly repository: Repository;
  readonly index: CatalogIndex;
  readonly open: OpenBackups;
  readonly clock: Clock;
  readonly log: FastifyBaseLogger;
  /** What this service is called in the notes. */
  readonly service: string;
  /** How old what belongs to nothing must be, milliseconds. */
  readonly grace: number;
}

/** Most backups whose leftovers are removed in one run: more are left to the next. */
const MOST = 5_000;
/** Objects that are listed between two words on how far it is. */
const TOLD_EVERY = 100_000;

/** What lies under the name of a backup that nobody here knows. */
interface Orphan {
  segments: number;
  bytes: number;
  /** The newest note on it. */
  note: string | undefined;
}

/** The job `sweep`. */
export function sweepJob(tools: SweepTools, schedule: string | null): Job {
  return { name: 'sweep', exclusive: true, schedule, run: async (run) => await sweep(tools, run) };
}

async function sweep(tools: SweepTools, { signal, tell }: JobRun): Promise<string | null> {
  const orphans = await orphansOf(tools, { signal, tell });
  // The notes first, then the manifests: a commit writes the manifest before the notes go.
  await dropNoted(tools, orphans, signal);
  await dropCommitted(tools, orphans, signal);
  const swept = { backups: 0, segments: 0, bytes: 0 };
  for (const [backup, { segments, bytes }] of orphans) {
    signal.throwIfAborted();
    if (isKnown(tools, backup) || (await hasYoung(tools, backup, signal))) continue;
    tell(`removes what is left of ${orphans.size} backups: ${swept.backups} are done`);
    await removeAll(tools.repository.store, segmentsOf(backup), signal);
    // Last: as long as there are segments, the bucket tells to what they belong.
    await removeAll(tools.repository.store, uploadsOf(backup), signal);
    tools.log.info({ backup, segments, bytes }, 'swept what belonged to no backup');
    swept.backups += 1;
    swept.segments += segments;
    swept.bytes += bytes;
  }
  if (swept.backups === 0) return null;
  return `removed ${swept.segments} segments, ${swept.bytes} bytes, and notes of ${swept.backups} backups that are none`;
}

/** Backups that are neither there nor open here, of which nothing is young; of millions of objects only their names are held. */
async function orphansOf(
  tools: SweepTools,
  { signal, tell }: Pick<JobRun, 'signal' | 'tell'>,
): Promise<Map<BackupId, Orphan>> {
  const { repository } = tools;
  const before = youngFrom(tools);
  const orphans = new Map<BackupId, Orphan>();
  /** Of orphans too young to go, and of all that are known, only the last one is remembered: keys come in order. */
  let passed: BackupId | undefined;
  let listed = 0;
  const look = async (prefix: string, nameOf: (key: string) => BackupId | undefined, isNote: boolean) => {
    for await (const { key, size, modified } of repository.store.list(prefix, signal)) {
      listed += 1;
      if (listed % TOLD_EVERY === 0) tell(`${listed} objects looked at`);
      const backup = nameOf(key);
      if (!backup || backup === passed) continue;
      const isYoung = modified >= before || (momentOfUuid7(backup) ?? Number.POSITIVE_INFINITY) >= before;
      const orphan = orphans.get(backup);
      if (isYoung || (!orphan && (orphans.size >= MOST || isKnown(tools, backup)))) {
        orphans.delete(backup);
        passed = backup;
        continue;
      }
      const found = orphan ?? { segments: 0, bytes: 0, note: undefined };
      orphans.set(backup, found);
      found.bytes += size;
      if (isNote) found.note = key;
      else found.segments += 1;
    }
  };
  await look(SEGMENTS_PREFIX, (key) => readSegmentKey(key)?.backup, false);
  passed = undefined;
  await look(UPLOADS_PREFIX, readNoteKey, true);
  return orphans;
}

/** What was written since then is too young to go, milliseconds since 1970. */
function youngFrom({ clock, grace }: SweepTools): number {
  return clock.now() - Math.max(grace, UNKNOWN_WRITES + LATE_WRITES);
}

/** Whether something of a backup was written lately: of its segments the listing of the notes says nothing, and it is a while ago. */
async function hasYoung(tools: SweepTools, backup: BackupId, signal: AbortSignal): Promise<boolean> {
  const before = youngFrom(tools);
  for (const prefix of [segmentsOf(backup), uploadsOf(backup)]) {
    for await (const { modified } of tools.repository.store.list(prefix, signal)) {
      if (modified >= before) return true;
    }
  }
  return false;
}

/** Leaves what another service wrote notes on: it may have it open, however long nobody was heard of. */
async function dropNoted(
  { repository, service, log }: SweepTools,
  orphans: Map<BackupId, Orphan>,
  signal: AbortSignal,
): Promise<void> {
  for (const [backup, { note }] of orphans) {
    if (!note) continue;
    try {
      const written = await readNote(repository.store, note, signal);
      if (written.service !== service) orphans.delete(backup);
    } catch (thrown) {
      if (!(thrown instanceof ZkeepError) || !['missing', 'damaged', 'refused'].includes(thrown.kind))
        throw thrown;
      log.warn({ err: thrown, key: note }, 'a note cannot be read: what it tells of is left alone');
      orphans.delete(backup);
    }
  }
}

/** What has a manifest is a backup, also when it is not in the index: another service's, or one that is damaged. */
async function dropCommitted(
  { repository }: SweepTools,
  orphans: Map<BackupId, Orphan>,
  signal: AbortSignal,
): Promise<void> {
  if (orphans.size === 0) return;
  for await (const { backup } of repository.manifests(signal)) orphans.delete(backup);
}

function isKnown({ index, open }: SweepTools, backup: BackupId): boolean {
  return open.get(backup) !== undefined || open.isAbandoned(backup) || index.backup(backup) !== undefined;
}
