/** The job that stores a copy of the index in the bucket after changes, so that a rebuild need not read every manifest. */
import { join } from 'node:path';
import type { FastifyBaseLogger } from 'fastify';
import type { Clock } from '../../catalog/clock.ts';
import { ZkeepError } from '../../catalog/errors.ts';
import type { CatalogIndex } from '../../catalog/index/catalog-index.ts';
import type { IndexCopy } from '../../catalog/index/copy/description.ts';
import { makeCopy } from '../../catalog/index/copy/make.ts';
import { dropOldCopies, readDescription, storedCopies } from '../../catalog/index/copy/stored.ts';
import type { Repository } from '../../catalog/repository/repository.ts';
import type { JobSettings } from '../configuration/jobs.ts';
import type { Job, JobRun } from './job.ts';

export interface CopyTools {
  readonly repository: Repository;
  readonly index: CatalogIndex;
  readonly clock: Clock;
  readonly log: FastifyBaseLogger;
  /** The data folder: the index is copied there first. */
  readonly folder: string;
  readonly settings: JobSettings['copy'];
}

/** Copies take at most this share of the time: one of a large index that changes all the time is not made all the time. */
const SHARE = 1 / 100;
const MEBIBYTE = 1024 * 1024;

/** The job `copy`. One service at a time: all have the same index. */
export function copyJob(tools: CopyTools): Job {
  return { name: 'copy', exclusive: true, schedule: tools.settings.schedule, run: (run) => copy(tools, run) };
}

async function copy(
  { repository, index, clock, log, folder, settings }: CopyTools,
  { signal, tell, asked }: JobRun,
): Promise<string | null> {
  const { store, marker } = repository;
  const [newest] = await storedCopies(store, signal);
  const last = await lastCopy(repository, log, signal);
  if (last && isOfNow(last, index)) return null;
  if (last && !asked && isSoonAfter(last, clock.now())) return null;
  tell('copying the index to a file');
  const file = join(folder, 'index-copy.db');
  const onPiece = (stored: number) => tell(`${sizeInWords(stored)} stored`);
  const { size, stored } = await makeCopy(index, store, {
    repository: marker.id,
    file,
    clock,
    signal,
    onPiece,
    after: newest?.id,
  });
  await dropOldCopies(store, { keep: settings.keep, now: clock.now(), signal });
  return `stored a copy of the index: ${sizeInWords(size)}, ${sizeInWords(stored)} in the bucket`;
}

/** The newest copy that can be read: one that cannot is as none. */
async function lastCopy(
  { store }: Repository,
  log: FastifyBaseLogger,
  signal: AbortSignal,
): Promise<IndexCopy | undefined> {
  const newest = (await storedCopies(store, signal)).find(({ isWhole }) => isWhole);
  if (!newest) return undefined;
  try {
    return await readDescription(store, newest.id, signal);
  } catch (thrown) {
    if (!(thrown instanceof ZkeepError) || !['missing', 'damaged'].includes(thrown.kind)) throw thrown;
    log.warn(
      { err: thrown, copy: newest.id },
      'the newest copy of the index cannot be used: another is made',
    );
    return undefined;
  }
}

/** What seems to be made in a time to come, a clock that was ahead has made. */
function isSoonAfter({ created, seconds }: IndexCopy, now: number): boolean {
  const at = Date.parse(created);
  return at <= now && now < at + (seconds * 1000) / SHARE;
}

function isOfNow({ content }: IndexCopy, index: CatalogIndex): boolean {
  return content === index.contentMark();
}

function sizeInWords(bytes: number): string {
  return bytes < MEBIBYTE ? `${Math.ceil(bytes / 1024)} KiB` : `${(bytes / MEBIBYTE).toFixed(1)} MiB`;
}
