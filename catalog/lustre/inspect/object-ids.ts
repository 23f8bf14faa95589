/**
 * `lov_objid` and `lov_objseq`, where an MDT remembers the last object that it
 * used on each OST: a u64, little-endian, for each index (Lustre
 * `lustre/osp/osp_dev.c`); and what a mount does about objects beyond it.
 */
import { Fields } from './fields.ts';

/** The last object that the MDT used on one OST. */
export interface LastUsed {
  /** Index of the OST. */
  readonly index: number;
  /** Hex, as it names the folder `O/<sequence>` on the OST; `null` where there is no `lov_objseq`. */
  readonly sequence: string | null;
  /** Decimal digits. */
  readonly id: string;
}

/** What an OST will do with the objects above the MDT's. */
export interface OrphanWindow extends LastUsed {
  /** `LAST_ID` of the OST, decimal digits. */
  readonly last: string;
  /** How many objects a plain mount destroys. */
  readonly destroyed: number;
  /** `trusted`: so many that the OST keeps them; `none`: it has nothing above. */
  readonly outcome: 'destroyed' | 'trusted' | 'none' | 'unknown';
}

/** Above so many, an OST trusts itself (`OST_MAX_PRECREATE`; `ofd_create_hdl` in `lustre/ofd/ofd_dev.c`). */
export const OST_MAX_PRECREATE = 20_000;

/** Most OSTs of a file system (`LOV_MAX_STRIPE_COUNT` is below it; the index has 16 bits). */
const MOST_OSTS = 65_536;

/** The ids by index; an index with neither id nor sequence is none that is used. */
export function lastUsed(ids: Uint8Array, sequences: Uint8Array | null): LastUsed[] {
  const [last, sequence] = [numbersIn(ids), sequences && numbersIn(sequences)];
  return last.flatMap((id, index) => {
    const own = sequence?.[index] ?? 0n;
    if (id === 0n && own === 0n) return [];
    return [{ index, sequence: sequence ? own.toString(16) : null, id: id.toString() }];
  });
}

/**
 * How many objects of each OST a plain mount of the MDT destroys: all above the
 * MDT's id, with data or not, if they are no more than {@link OST_MAX_PRECREATE}.
 *
 * @param lastIds `LAST_ID` by index of the OST, for the sequence that the MDT uses.
 */
export function orphanWindows(
  used: readonly LastUsed[],
  lastIds: ReadonlyMap<number, bigint>,
): OrphanWindow[] {
  return [...lastIds].map(([index, last]) => {
    const own = used.find((each) => each.index === index);
    if (!own)
      return { index, sequence: null, id: '0', last: last.toString(), destroyed: 0, outcome: 'unknown' };
    const above = last - BigInt(own.id);
    const outcome = above <= 0n ? 'none' : above > OST_MAX_PRECREATE ? 'trusted' : 'destroyed';
    return {
      ...own,
      last: last.toString(),
      destroyed: outcome === 'destroyed' ? Number(above) : 0,
      outcome,
    };
  });
}

function numbersIn(bytes: Uint8Array): bigint[] {
  const file = new Fields(bytes, true, 'lov_objid');
  const count = Math.min(MOST_OSTS, Math.floor(bytes.length / 8));
  return Array.from({ length: count }, (_, index) => file.u64(index * 8));
}
