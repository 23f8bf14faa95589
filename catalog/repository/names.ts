/** The names of what lies in the bucket (DESIGN.md, "The repository, format 1"). */
import type { BackupId, Digest, Guid } from '../words.ts';

export const MARKER_KEY = 'zkeep.json';
export const README_KEY = 'README.txt';
export const BACKUPS_PREFIX = 'backups/';
export const SEGMENTS_PREFIX = 'segments/';
export const ATTRIBUTES_PREFIX = 'attributes/';
export const UPLOADS_PREFIX = 'uploads/';
export const JOURNAL_PREFIX = 'journal/';
export const INDEX_PREFIX = 'index/';
export const LEASES_PREFIX = 'leases/';

/**
 * Where a segment lies.
 *
 * @param number counts from 0.
 * @example segmentKey(id, 3, false) // 'segments/0190…/00000003.zst'
 */
export function segmentKey(backup: BackupId, number: number, encrypted: boolean): string {
  return `${segmentsOf(backup)}${String(number).padStart(8, '0')}.zst${encrypted ? '.age' : ''}`;
}

/** The folder of one backup's segments. */
export function segmentsOf(backup: BackupId): string {
  return `${SEGMENTS_PREFIX}${backup}/`;
}

/** Where a backup's manifest lies: writing it is the commit. */
export function manifestKey(to: Guid, backup: BackupId): string {
  return `${BACKUPS_PREFIX}${to}/${backup}.json`;
}

/** Where an attribute manifest lies, by the SHA-256 of its canonical JSON text. */
export function attributesKey(digest: Digest): string {
  return `${ATTRIBUTES_PREFIX}${digest}.json.zst`;
}

const MANIFEST = /^backups\/([0-9a-f]{16})\/([0-9a-f-]{36})\.json$/;

/** What a manifest's key says, or `undefined` when the key is no manifest's. */
export function readManifestKey(key: string): { to: Guid; backup: BackupId } | undefined {
  const found = MANIFEST.exec(key);
  if (!found?.[1] || !found[2]) return undefined;
  return { to: found[1] as Guid, backup: found[2] as BackupId };
}

const SEGMENT = /^segments\/([0-9a-f-]{36})\/([0-9]{8})\.zst(\.age)?$/;

/** What a segment's key says, or `undefined` when the key is no segment's. */
export function readSegmentKey(
  key: string,
): { backup: BackupId; number: number; encrypted: boolean } | undefined {
  const found = SEGMENT.exec(key);
  if (!found?.[1] || !found[2]) return undefined;
  return { backup: found[1] as BackupId, number: Number(found[2]), encrypted: found[3] !== undefined };
}

/** The folder of the notes on a backup that is open. */
export function uploadsOf(backup: BackupId): string {
  return `${UPLOADS_PREFIX}${backup}/`;
}

/**
 * Where a note on an open backup lies.
 *
 * @param note a UUIDv7, so that notes lie in the order in which they were written.
 */
export function noteKey(backup: BackupId, note: string): string {
  return `${uploadsOf(backup)}${note}.json`;
}

const NOTE =
  /^uploads\/([0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})\/[0-9a-f-]{36}\.json$/;

/** The backup that a note's key names, or `undefined` when the key is no note's. */
export function readNoteKey(key: string): BackupId | undefined {
  return NOTE.exec(key)?.[1] as BackupId | undefined;
}

/**
 * Where entries of the journal lie.
 *
 * @param id a UUIDv7, so that they lie in the order in which they were written.
 */
export function journalKey(id: string): string {
  return `${JOURNAL_PREFIX}${id}.json`;
}

const JOURNAL = /^journal\/([0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})\.json$/;

/** The id in the key of an object of the journal, or `undefined` when the key is none. */
export function readJournalKey(key: string): string | undefined {
  return JOURNAL.exec(key)?.[1];
}

/**
 * Where the description of a copy of the index lies, which is written last.
 *
 * @param id a UUIDv7, so that the last one is the newest.
 */
export function indexCopyKey(id: string): string {
  return `${INDEX_PREFIX}${id}.json`;
}

/** Where a piece of a copy of the index lies; all pieces in their order are one zstd stream. */
export function indexPieceKey(id: string, number: number): string {
  return `${INDEX_PREFIX}${id}/${String(number).padStart(8, '0')}.part`;
}

const INDEX_COPY =
  /^index\/([0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})(?:(\.json)|\/[0-9]{8}\.part)$/;

/** The copy that a key belongs to, and whether it is its description; `undefined` when the key is no copy's. */
export function readIndexCopyKey(key: string): { id: string; isDescription: boolean } | undefined {
  const found = INDEX_COPY.exec(key);
  return found?.[1] ? { id: found[1], isDescription: found[2] !== undefined } : undefined;
}
