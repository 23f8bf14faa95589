/**
 * The commit: see that all is there, write down what the manifest will say,
 * write the manifest, then the index. After a crash between any two of these
 * steps the same call goes on from what is durable.
 */
import { isDeepStrictEqual } from 'node:util';
import { ZkeepError } from '../../catalog/errors.ts';
import { type ReadAttributes, readOneOf } from '../../catalog/index/read-attributes.ts';
import type { BackupSummary, CommitRequest } from '../../catalog/protocol/protocol.ts';
import { buildManifest, type Manifest } from '../../catalog/repository/manifest.ts';
import { attributesKey, manifestKey } from '../../catalog/repository/names.ts';
import type { BackupId } from '../../catalog/words.ts';
import type { Candidate } from '../state/candidates.ts';
import type { Committing, OpenBackupState } from '../state/open-backups.ts';
import { checkComplete } from './completeness.ts';
import { byNumber, findAll } from './durable.ts';
import { isEncrypted, keepsFirst, notOpen, type Surroundings, takenOver } from './surroundings.ts';

/**
 * Commits an open backup, or goes on with a commit that was cut off. To be
 * called by one at a time for a backup.
 *
 * @throws {ZkeepError} `refused` (`commit.*`) when it is not whole; then nothing was written.
 */
export async function commitOpen(
  surroundings: Surroundings,
  opened: OpenBackupState,
  request: CommitRequest,
): Promise<BackupSummary> {
  const { open, repository, index, clock } = surroundings;
  if (opened.committing && !isDeepStrictEqual(opened.committing.request, request)) {
    throw differentCommit(opened.backup);
  }
  const { backup, committing = { request, at: clock.now() } } = opened;
  const attributes = await readAttributes(surroundings, opened, request);
  let manifest = opened.committing && (await writtenManifest(surroundings, opened));
  if (!manifest) {
    const parts = await wholeBackup(surroundings, opened, request);
    manifest = manifestOf(surroundings, opened, parts, committing);
    checkBaseThere(surroundings, opened);
    if (!open.beginCommit(backup, opened.session, committing)) throw lost(surroundings, backup);
    await repository.commit(manifest);
  }
  const summary = index.add(manifest, attributes);
  open.close(backup);
  return summary;
}

/**
 * The answer to a commit whose first answer was lost.
 *
 * @throws {ZkeepError} `refused` when the committed backup is not the one that is meant.
 */
export async function commitAgain(
  { repository }: Surroundings,
  summary: BackupSummary,
  request: CommitRequest,
): Promise<BackupSummary> {
  const { stream, attributes, segments } = await repository.manifest(summary.to, summary.backup);
  const committed = { stream, attributes, segments: segments.length };
  if (!isDeepStrictEqual(committed, request)) throw differentCommit(summary.backup);
  return summary;
}

/** What the index is to know of the attributes. It can learn that later as well, so nothing here fails a commit. */
async function readAttributes(
  { repository, log }: Surroundings,
  { backup }: OpenBackupState,
  { attributes }: CommitRequest,
): Promise<ReadAttributes | undefined> {
  if (attributes === null) return undefined;
  try {
    return await readOneOf(repository, attributes);
  } catch (thrown) {
    log.warn(
      { err: thrown, backup, attributes },
      'the attributes cannot be read: the next start tries again',
    );
    return undefined;
  }
}

async function writtenManifest(
  { repository }: Surroundings,
  { backup, request }: OpenBackupState,
): Promise<Manifest | undefined> {
  const { guid } = request.to;
  if (!(await repository.store.stat(manifestKey(guid, backup)))) return undefined;
  return await repository.manifest(guid, backup);
}

/** The durable parts, of which the manifest is made, when they are all of it. */
async function wholeBackup(
  surroundings: Surroundings,
  { backup, request: opened }: OpenBackupState,
  commit: CommitRequest,
): Promise<readonly Candidate[]> {
  const granted = surroundings.candidates.of(backup);
  await waitForGrants(surroundings, backup, granted);
  const { durable, sizes: stored } = await findAll(surroundings, backup, granted);
  const encrypted = isEncrypted(surroundings);
  checkComplete({ backup, opened, granted, durable, commit, encrypted, stored });
  const { store } = surroundings.repository;
  if (commit.attributes && !(await store.stat(attributesKey(commit.attributes)))) {
    throw new ZkeepError('refused', 'commit.attributes', `there are no attributes ${commit.attributes}`, {
      advice: 'store them before the commit',
      facts: { backup, attributes: commit.attributes },
    });
  }
  return durable;
}

/**
 * Passes unless the base of an incremental stream was removed while it was made. No service removes one on
 * which a backup is open, as far as it can see; where it could not, nothing is called a backup that is none.
 *
 * @throws {ZkeepError} `refused` (`commit.base-gone`).
 */
function checkBaseThere({ index }: Surroundings, { backup, request: { from } }: OpenBackupState): void {
  if (!from || index.backupsTo(from.guid).length > 0) return;
  throw new ZkeepError('refused', 'commit.base-gone', `no backup leads to the base ${from.guid} any more`, {
    advice: 'abandon it, and take a backup on a newer base, or a full one',
    facts: { backup, from: from.guid },
  });
}

/** Why a backup may not be committed any more that could be when its parts were looked at. */
function lost({ open }: Surroundings, backup: BackupId): ZkeepError {
  const opened = open.get(backup);
  return opened ? takenOver(opened) : notOpen(backup);
}

/**
 * Where the store itself cannot keep a second write from replacing the first,
 * a grant for another content of a part that still lives could replace what is committed.
 *
 * @throws {ZkeepError} `unavailable` with code `grant.alive` until all of these have ended.
 */
async function waitForGrants(
  surroundings: Surroundings,
  backup: BackupId,
  granted: readonly Candidate[],
): Promise<void> {
  const now = surroundings.clock.now();
  const contested = byNumber(granted).filter((contents) => contents.length > 1);
  const [alive] = contested.flatMap((contents) => contents.filter(({ expires }) => now < expires));
  if (!alive || (await keepsFirst(surroundings))) return;
  const text = `segment ${alive.number} was granted with several contents, and the grants still live`;
  throw new ZkeepError('unavailable', 'grant.alive', text, {
    advice: 'this store knows no conditions: the commit is possible once these grants have ended',
    facts: { backup, segment: alive.number, expires: alive.expires },
  });
}

function manifestOf(
  surroundings: Surroundings,
  { backup, opened, request }: OpenBackupState,
  parts: readonly Candidate[],
  committing: Committing,
): Manifest {
  const { recipients } = surroundings.repository.marker;
  return buildManifest({
    backup,
    created: new Date(opened).toISOString(),
    committed: new Date(committing.at).toISOString(),
    set: request.set,
    source: request.source,
    from: request.from,
    to: request.to,
    stream: committing.request.stream,
    send_flags: request.send_flags,
    compression: request.compression,
    encryption: recipients.length > 0 ? { method: 'age-v1', recipients } : null,
    attributes: committing.request.attributes,
    segments: parts.map(({ segment }) => segment),
  });
}

function differentCommit(backup: BackupId): ZkeepError {
  return new ZkeepError(
    'refused',
    'commit.differs',
    `backup ${backup} was committed with other facts before`,
    {
      advice: 'this is a defect in the agent: a commit that is asked again must be the same',
      facts: { backup },
    },
  );
}
