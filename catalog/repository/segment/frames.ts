/**
 * The inside of a segment: independent zstd frames of 1 MiB of the raw stream,
 * closed by a seek table, so that stock `zstd -d` reads the whole object and we
 * read any frame of it (zstd's contrib/seekable_format, version 0.1).
 */
import { ZkeepError } from '../../errors.ts';

/** Raw bytes in a frame; the last frame of a segment may hold fewer. */
export const FRAME_SIZE = 1024 * 1024;
/** zstd's level where nothing else is said: the knee of its curve. */
export const DEFAULT_LEVEL = 3;

/** What the seek table says of one frame, in bytes. */
export interface FrameSizes {
  readonly stored: number;
  readonly raw: number;
}

const SKIPPABLE_MAGIC = 0x184d2a5e;
const SEEKABLE_MAGIC = 0x8f92eab1;
const SKIPPABLE_HEADER = 8;
const SEEK_FOOTER = 9;
const SEEK_ENTRY = 8;
/** A segment holds at most 64 MiB; foreign tables are not believed beyond this. */
const MAX_FRAMES = 4096;

/** The most bytes that zstd makes of `raw` bytes (zstd.h, ZSTD_COMPRESSBOUND). */
export function compressBound(raw: number): number {
  return raw + (raw >>> 8) + (raw < 128 * 1024 ? (128 * 1024 - raw) >>> 11 : 0) + 64;
}

/** The skippable frame that closes a segment. */
export function encodeSeekTable(frames: readonly FrameSizes[]): Buffer {
  const content = frames.length * SEEK_ENTRY + SEEK_FOOTER;
  const table = Buffer.alloc(SKIPPABLE_HEADER + content);
  table.writeUInt32LE(SKIPPABLE_MAGIC, 0);
  table.writeUInt32LE(content, 4);
  let at = SKIPPABLE_HEADER;
  for (const frame of frames) {
    table.writeUInt32LE(frame.stored, at);
    table.writeUInt32LE(frame.raw, at + 4);
    at += SEEK_ENTRY;
  }
  table.writeUInt32LE(frames.length, at);
  table.writeUInt8(0, at + 4); // no checksum per entry: the frames carry their own
  table.writeUInt32LE(SEEKABLE_MAGIC, at + 5);
  return table;
}

/**
 * The frames of a segment, from the table at its end.
 *
 * @param segment the whole object, decrypted.
 * @throws {ZkeepError} `damaged` when the table is none or does not add up to the object.
 */
export function decodeSeekTable(segment: Buffer): FrameSizes[] {
  if (segment.length < SKIPPABLE_HEADER + SEEK_FOOTER) throw malformed('it is too short for a seek table');
  if (segment.readUInt32LE(segment.length - 4) !== SEEKABLE_MAGIC)
    throw malformed('it ends without a seek table');
  const count = segment.readUInt32LE(segment.length - SEEK_FOOTER);
  const content = count * SEEK_ENTRY + SEEK_FOOTER;
  const start = segment.length - SKIPPABLE_HEADER - content;
  if (count > MAX_FRAMES || start < 0) throw malformed(`its seek table claims ${count} frames`);
  if (segment.readUInt8(segment.length - 5) !== 0)
    throw malformed('its seek table has an unknown descriptor');
  if (segment.readUInt32LE(start) !== SKIPPABLE_MAGIC || segment.readUInt32LE(start + 4) !== content) {
    throw malformed('its seek table has no header');
  }
  const frames: FrameSizes[] = [];
  let stored = 0;
  for (let at = start + SKIPPABLE_HEADER; at < segment.length - SEEK_FOOTER; at += SEEK_ENTRY) {
    const frame = { stored: segment.readUInt32LE(at), raw: segment.readUInt32LE(at + 4) };
    if (frame.raw > FRAME_SIZE) throw malformed(`its seek table has a frame of ${frame.raw} raw bytes`);
    stored += frame.stored;
    frames.push(frame);
  }
  if (stored !== start) throw malformed(`its frames end at ${stored}, its seek table begins at ${start}`);
  return frames;
}

/** The error for bytes that are no segment of ours. */
export function malformed(what: string, cause?: unknown): ZkeepError {
  return new ZkeepError('damaged', 'segment.malformed', `the segment is not what zkeep writes: ${what}`, {
    advice: 'zkeep verify --deep names every damaged backup',
    cause,
  });
}
