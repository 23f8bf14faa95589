/** A stored stream in small pieces, read as a repository's segments are. */
import { StreamReader } from '../../../../catalog/stream/reader.ts';
import type { Pass, Piece } from '../../../../catalog/stream/resuming/plan.ts';
import type { Watcher } from '../../../../catalog/stream/resuming/stream.ts';
import type { Begin, EntryPoint } from '../../../../catalog/stream/state.ts';

/** A stream, and what a manifest says of it. */
export interface StoredStream {
  readonly bytes: Uint8Array;
  readonly begin: Begin;
  readonly pieces: readonly Piece[];
}

/** Cuts a stream into pieces of so many bytes, each with its state and its first entry point. */
export function stored(bytes: Uint8Array, size: number): StoredStream {
  const pieces: Piece[] = [];
  let entry: EntryPoint | null = null;
  const reader = new StreamReader({
    onEntryPoint: (found) => {
      entry = found;
      reader.entryFrom = Number.POSITIVE_INFINITY;
    },
  });
  for (let offset = 0; offset < bytes.length; offset += size) {
    const state = reader.save();
    const piece = bytes.subarray(offset, offset + size);
    entry = null;
    reader.entryFrom = offset;
    reader.write(piece);
    pieces.push({ offset, size: piece.length, state, entry });
  }
  return { bytes, begin: reader.end().begin, pieces };
}

/** Reads the pieces of a pass, a buffer of so many bytes at a time; notes which were read. */
export function reading({ bytes, begin, pieces }: StoredStream, read: number[] = [], buffer = 1000) {
  return async function* (pass: Pass, watcher: Watcher): AsyncGenerator<void> {
    const from = pieces[pass.first] ?? { offset: 0, state: undefined };
    const last = pieces[pass.last] ?? { offset: 0, size: 0 };
    const reader = from.state ? StreamReader.resume(from.state, begin, watcher) : new StreamReader(watcher);
    for (let number = pass.first; number <= pass.last; number++) read.push(number);
    const end = last.offset + last.size;
    for (let at = from.offset; at < end; at += buffer) {
      reader.write(bytes.subarray(at, Math.min(end, at + buffer)));
      yield;
    }
  };
}
