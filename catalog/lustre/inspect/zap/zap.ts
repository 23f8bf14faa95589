/**
 * ZAP objects, ZFS's tables of names: directories are such, and the tables that
 * say where things are. Layout: OpenZFS `include/sys/zap_impl.h`, `zap_leaf.h`.
 */
import { Fields, malformed } from '../fields.ts';
import { blockOf, type KeptObject } from '../objects.ts';
import { fatEntries } from './fat.ts';

/** A name and its numbers: most tables have one of 8 bytes, directories of Lustre three. */
export interface ZapEntry {
  readonly name: string;
  readonly values: readonly bigint[];
}

/** What the first eight bytes of the first block say. */
const FAT = (1n << 63n) + 1n;
const MICRO = (1n << 63n) + 3n;

/**
 * The entries of a table.
 *
 * @param little byte order of the stream.
 * @throws {ZkeepError} `damaged` when it is none.
 */
export function readZap(object: KeptObject, little: boolean, what: string): ZapEntry[] {
  const first = new Fields(blockOf(object, 0), little, what);
  const kind = first.u64(0);
  if (kind === MICRO) return microEntries(first);
  if (kind === FAT) return fatEntries(object, first);
  throw malformed(what, 'it is no table of names');
}

const MICRO_ENTRY = 64;

/** After a header of one entry's size: value u64, two counters, and 50 bytes for the name. */
function microEntries(block: Fields): ZapEntry[] {
  const entries: ZapEntry[] = [];
  for (let at = MICRO_ENTRY; at + MICRO_ENTRY <= block.length; at += MICRO_ENTRY) {
    const name = block.text(at + 14, 50);
    if (name !== '') entries.push({ name, values: [block.u64(at)] });
  }
  return entries;
}
