/** LZ4 as ZFS stores it: the length of what follows as a big-endian u32, then one LZ4 block (its "Block Format" page). */

/** Least length of a match; lengths in tokens count from it. */
const LEAST_MATCH = 4;
/** A length that fills its half of the token goes on in the next bytes. */
const MORE = 15;

/**
 * Unpacks a block.
 *
 * @param size bytes that it must give: a block that gives fewer is filled with zeros, as ZFS does not write such.
 * @returns `undefined` when it is no such block.
 */
export function unpackLz4(stored: Uint8Array, size: number): Uint8Array | undefined {
  if (stored.length < 4) return undefined;
  const length = new DataView(stored.buffer, stored.byteOffset).getUint32(0);
  if (length > stored.length - 4) return undefined;
  const out = new Uint8Array(size);
  return unpackBlock(stored.subarray(4, 4 + length), out) ? out : undefined;
}

/** Fills `out`; false when the bytes run out of either side. */
function unpackBlock(from: Uint8Array, out: Uint8Array): boolean {
  let at = 0;
  let done = 0;
  while (at < from.length) {
    const token = from[at++] ?? 0;
    const literals = lengthAt(from, at, token >> 4);
    at = literals.at + literals.length;
    if (at > from.length || done + literals.length > out.length) return false;
    out.set(from.subarray(literals.at, at), done);
    done += literals.length;
    if (at === from.length) return done === out.length; // the last sequence has no match
    const distance = (from[at] ?? 0) | ((from[at + 1] ?? 0) << 8);
    const match = lengthAt(from, at + 2, token & 15);
    at = match.at;
    const length = match.length + LEAST_MATCH;
    if (distance === 0 || distance > done || done + length > out.length) return false;
    // A match may reach into itself, so byte by byte.
    for (const end = done + length; done < end; done++) out[done] = out[done - distance] ?? 0;
  }
  return false;
}

function lengthAt(from: Uint8Array, at: number, nibble: number): { length: number; at: number } {
  let length = nibble;
  if (nibble < MORE) return { length, at };
  for (let next = 255; next === 255 && at < from.length; ) {
    next = from[at++] ?? 0;
    length += next;
  }
  return { length, at };
}
