/**
 * The notes on a backup that is open, as they lie in the bucket beside its
 * segments: a service that has lost its own database goes on with it from these.
 * See FORMAT.md of the repository.
 */
import { type Static, Type } from 'typebox';
import { ZkeepError } from '../errors.ts';
import { BackupIdSchema, checker, DigestSchema, Nullable, TimeSchema } from '../schema.ts';
import { OpenRequestSchema, PartSchema, WriterSchema } from './protocol.ts';

/** Most parts in one note. */
export const MAX_NOTED = 1000;

/** A part that was granted. */
export const NotedPartSchema = Type.Object({
  ...PartSchema.properties,
  /** When the last grant for it ends, milliseconds since 1970. */
  expires: Type.Integer({ minimum: 0 }),
});
export type NotedPart = Static<typeof NotedPartSchema>;

export const UploadNoteSchema = Type.Object({
  format: Type.Literal(1),
  backup: BackupIdSchema,
  /** The database that knows the backup: its own notes a service may remove. */
  service: Type.String({ maxLength: 64 }),
  /** Name of the token that opened it; its secret lies nowhere. */
  token: Type.String({ maxLength: 100 }),
  opened: TimeSchema,
  /** Who wrote it when this was noted. */
  writer: WriterSchema,
  request: OpenRequestSchema,
  /** Digest of its attribute manifest, once there was one. */
  attributes: Nullable(DigestSchema),
  /** What was granted since the note before; of a part there may be several contents. */
  parts: Type.Array(NotedPartSchema, { maxItems: MAX_NOTED }),
});
export type UploadNote = Static<typeof UploadNoteSchema>;

const checkNote = checker(UploadNoteSchema, 'the note on an open backup');

/**
 * Checks a note from outside.
 *
 * @throws {ZkeepError} `damaged` saying what does not fit; `refused` when its format is newer.
 */
export function parseUploadNote(value: unknown): UploadNote {
  const format = typeof value === 'object' && value !== null && 'format' in value ? value.format : undefined;
  if (typeof format === 'number' && format > 1) {
    throw new ZkeepError('refused', 'note.newer', `the note on an open backup has format ${format}`, {
      advice: 'this zkeep reads format 1: use a newer one',
      facts: { format },
    });
  }
  return checkNote(value);
}
