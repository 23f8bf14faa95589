/**
 * From where a restore that broke goes on: decided from the entry points of the
 * stored pieces, without reading one of them.
 */
import { hasFeature } from '../features.ts';
import { RECORD_SIZE, RECORDS } from '../record.ts';
import type { Begin, EntryPoint, ReaderState } from '../state.ts';
import type { ResumeToken } from './token.ts';

/** A piece of the stored stream, as the manifest describes its segments. */
export interface Piece {
  /** Position of its first byte, and how many it has. */
  readonly offset: number;
  readonly size: number;
  /** The reader's state at its first byte. */
  readonly state: ReaderState;
  /** The first record in it from which reading can begin. */
  readonly entry: EntryPoint | null;
}

/** Pieces that are read one after the other. */
export interface Pass {
  /** Numbers of the first and the last of them. */
  readonly first: number;
  readonly last: number;
}

/** What the resuming stream consists of, besides its BEGIN: positions are those in the stored stream. */
export interface ResumingPlan {
  /** Where it goes on; `null`: it is the whole stream once more. */
  readonly entry: EntryPoint | null;
  /** Positions of single records that are sent after BEGIN: the OBJECT_RANGE and the OBJECT of the entry. */
  readonly before: readonly number[];
  /** Position of the record from which all are sent; 0: all that follow BEGIN. */
  readonly from: number;
  /** What must be read for it, in order. */
  readonly passes: readonly Pass[];
}

/** The question to {@link planResuming}. */
export interface ResumingQuestion {
  readonly begin: Begin;
  readonly pieces: readonly Piece[];
  /** What the interrupted receive left. */
  readonly token: Pick<ResumeToken, 'object' | 'offset' | 'bytes'>;
  /** Bytes from the stream's first one on that are known to have been sent; infinite where nobody counts. */
  readonly covered: number;
  /** The stored BEGIN is known, and need not be read. */
  readonly hasBegin?: boolean;
}

/**
 * Decides with which record the resuming stream begins: at or before the token's
 * point and at or before `covered`, as late as the entry points allow; with the first
 * one where the token counts fewer bytes than lie before its point. The kernel takes records that it has already, and does not notice any that are left out
 * (facts: OpenZFS `dmu_recv.c`, tried on 2.1, 2.3 and 2.4).
 *
 * @example planResuming({ begin, pieces: manifest.segments, token: decodeToken(text), covered: 1e9 }).from
 */
export function planResuming(question: ResumingQuestion): ResumingPlan {
  const { begin, pieces, hasBegin = false } = question;
  const entry = lastUsable(question);
  if (!entry) return { entry: null, before: [], from: 0, passes: [{ first: 0, last: pieces.length - 1 }] };
  const { position, object_position: object, object_record: inside } = entry;
  const before = [object, ...(inside === undefined ? [] : [inside])].filter((at) => at !== position);
  const single = [...(hasBegin ? [] : [0]), ...before].map((at) => ({
    first: pieceAt(pieces, at),
    last: lastOf(pieces, at, begin),
  }));
  const rest = { first: pieceAt(pieces, position), last: pieces.length - 1 };
  return { entry, before, from: position, passes: merged([...single, rest]) };
}

/** The latest entry that lies neither behind the token's point nor behind what was sent. */
function lastUsable({ begin, pieces, token, covered }: ResumingQuestion): EntryPoint | undefined {
  // Until something was saved, ZFS names object 1 as its point: what came before that may be lost.
  if (token.bytes === 0n || (token.object === 1n && token.offset === 0n)) return undefined;
  const raw = hasFeature(begin, 'RAW');
  const received = pieces
    .flatMap(({ entry, offset, size }) => (entry && liesIn(entry, offset, offset + size) ? [entry] : []))
    .filter((entry) => !isBehind(entry, token, raw));
  // ZFS counts what came in all tries, but for the header of the first BEGIN: where that is less, something was left out.
  const counted = Number(token.bytes) + RECORD_SIZE;
  if (received.some(({ position }) => position > counted)) return undefined;
  return received.findLast(({ position }) => position <= covered);
}

/** Whether an entry fits its piece: what must come before it does. */
function liesIn(
  { position, object_position: object, object_record: inside }: EntryPoint,
  from: number,
  to: number,
) {
  return (
    position >= from && position < to && object <= (inside ?? position) && (inside ?? object) <= position
  );
}

/**
 * Whether the record of an entry comes after that of the point. An offset of 0 may
 * mean the OBJECT itself or its first data; the data comes after.
 */
function isBehind(entry: EntryPoint, { object, offset }: ResumingQuestion['token'], raw: boolean): boolean {
  const number = BigInt(entry.object);
  if (number !== object) return number > object;
  const isObject = raw ? entry.object_record === undefined : entry.object_position === entry.position;
  if (isObject) return false;
  return offset === 0n || BigInt(entry.offset) > offset;
}

/** The number of the piece that holds this byte. */
function pieceAt(pieces: readonly Piece[], position: number): number {
  return Math.max(
    0,
    pieces.findLastIndex(({ offset }) => offset <= position),
  );
}

/** The number of the piece in which the record that begins at this byte ends: BEGIN, an OBJECT_RANGE or an OBJECT. */
function lastOf(pieces: readonly Piece[], position: number, { payload }: Begin): number {
  if (position === 0) return pieceAt(pieces, RECORD_SIZE + payload - 1);
  let last = pieceAt(pieces, position);
  while (isTorn(pieces[last + 1]?.state, position)) last++;
  return last;
}

/** Whether a state lies within the OBJECT_RANGE or OBJECT that begins at `position`. */
function isTorn(state: ReaderState | undefined, position: number): boolean {
  if (!state) return false;
  if (state.head !== undefined) return state.at - Buffer.byteLength(state.head, 'base64') === position;
  return state.left !== undefined && state.type === RECORDS.OBJECT.type && state.object?.[1] === position;
}

/** Passes in order, those that share a piece as one. */
function merged(passes: readonly Pass[]): Pass[] {
  const joined: Pass[] = [];
  for (const { first, last } of passes) {
    const open = joined.at(-1);
    if (open && first <= open.last)
      joined.splice(-1, 1, { first: open.first, last: Math.max(last, open.last) });
    else joined.push({ first, last });
  }
  return joined;
}
