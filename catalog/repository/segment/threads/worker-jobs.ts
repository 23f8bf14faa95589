/** What is asked of a worker thread and what it answers: plain messages. */
import type { ErrorKind, Facts } from '../../../errors.ts';
import type { FrameSizes } from '../frames.ts';

/** Compress one frame that lies in shared memory into its place in an arena. */
export interface CompressJob {
  readonly do: 'compress';
  readonly memory: SharedArrayBuffer;
  readonly offset: number;
  readonly length: number;
  readonly level: number;
  readonly arena: SharedArrayBuffer;
  /** Where in the arena; there is room for the worst case. */
  readonly at: number;
}

/** Make one object of the frames that lie in an arena, in place: close up, seek table, encryption, digest. */
export interface SealJob {
  readonly do: 'seal';
  readonly arena: SharedArrayBuffer;
  /** Frame n lies at n times `FRAME_STRIDE`. */
  readonly frames: readonly FrameSizes[];
  readonly recipients: readonly string[];
}

/** Take an object apart again: digest, decryption, frames. */
export interface OpenJob {
  readonly do: 'open';
  /** In shared memory, or in memory that the worker takes over. */
  readonly stored: Uint8Array;
  readonly sha256: string;
  /** Raw bytes of the segment. */
  readonly size: number;
  /** Where they are put, from its start. */
  readonly arena: SharedArrayBuffer;
  readonly encrypted: boolean;
  readonly identities: readonly string[];
  /** Decode every so many-th frame with the second, independent decoder too; 0: none. */
  readonly secondOpinion: number;
  /** The first of them, counted from the segment's first one; there may be none. */
  readonly secondFirst: number;
}

export type Job = CompressJob | SealJob | OpenJob;

export interface CompressResult {
  /** Bytes of the frame. */
  readonly stored: number;
}
export interface SealResult {
  /** Bytes of the object, from the start of the arena. */
  readonly length: number;
  readonly sha256: string;
}
export interface OpenResult {
  /** Raw bytes in the arena. */
  readonly size: number;
}

/** The result that belongs to a job. */
export type ResultOf<J extends Job> = J extends CompressJob
  ? CompressResult
  : J extends SealJob
    ? SealResult
    : OpenResult;

/** A job on its way to a worker. */
export interface NumberedJob {
  readonly number: number;
  readonly job: Job;
}

/** What a worker says of a job: its result, or the fields of its error. */
export interface Answer {
  readonly number: number;
  readonly result?: CompressResult | SealResult | OpenResult;
  readonly error?: { kind: ErrorKind; code: string; message: string; advice: string | null; facts: Facts };
}
