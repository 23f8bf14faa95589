/** What the bucket says of a copy of the index. FORMAT.md is the page on it. */
import { type Static, Type } from 'typebox';
import { BytesSchema, checker, DigestSchema, TimeSchema } from '../../schema.ts';

/** Bytes of the pieces in which a copy is stored, the last one smaller: each is whole in memory once. */
export const PIECE = 64 * 1024 * 1024;
export const COPY_FORMAT = 1;

export const IndexCopySchema = Type.Object({
  format: Type.Literal(COPY_FORMAT),
  /** The id of the repository that it is an index of. */
  repository: Type.String({ maxLength: 64 }),
  created: TimeSchema,
  /** Version of the tables (`user_version`). */
  version: Type.Integer({ minimum: 1 }),
  /** What its content was told by: another one now means that something has changed. */
  content: Type.String({ maxLength: 4000 }),
  /** How long it took to make, in seconds: what is dear is not made often. */
  seconds: Type.Number({ minimum: 0 }),
  /** Of the file itself: bytes, and SHA-256. */
  size: BytesSchema,
  sha256: DigestSchema,
  /** Of the pieces as they lie: together one zstd stream. */
  pieces: Type.Array(
    Type.Object({ size: Type.Integer({ minimum: 1, maximum: PIECE }), sha256: DigestSchema }),
    { minItems: 1, maxItems: 100_000 },
  ),
});
export type IndexCopy = Static<typeof IndexCopySchema>;

/** @throws {ZkeepError} `damaged`, also for a newer format: who cannot read a copy does without. */
export const parseIndexCopy = checker(IndexCopySchema, 'the copy of the index');
