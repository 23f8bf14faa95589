/** `zkeep.json`, the object that makes a prefix a repository, and the page that says how to leave it. */
import { type Static, Type } from 'typebox';
import { checker, TimeSchema } from '../schema.ts';

/** The newest format that this zkeep reads and writes. */
export const FORMAT = 1;

export const MarkerSchema = Type.Object({
  /** UUIDv7, given at creation. */
  id: Type.String({ pattern: '^[0-9a-f-]{36}$' }),
  format: Type.Integer({ minimum: 1 }),
  created: TimeSchema,
  /** age recipients that every segment is encrypted to; empty: segments are plain zstd. */
  recipients: Type.Array(Type.String({ maxLength: 4096 }), { maxItems: 100 }),
});
export type Marker = Static<typeof MarkerSchema>;

export const parseMarker = checker(MarkerSchema, 'zkeep.json');

/** The text of `README.txt`: how to restore with stock tools only. */
export function leavingPage(encrypted: boolean): string {
  const suffix = encrypted ? '.zst.age' : '.zst';
  const decode = encrypted ? 'age -d -i IDENTITY | zstd -d' : 'zstd -d';
  return `This is a zkeep repository (format ${FORMAT}): ZFS snapshots as zfs send streams.
You can restore from it without zkeep, with stock tools.

WHAT LIES HERE
  backups/<guid>/<backup>.json        one manifest a backup: which snapshot (to), on which base (from;
                                      null: a full stream), its segments in order
  segments/<backup>/<number>${suffix}   the stream, in pieces
  attributes/<digest>.json.zst        properties of pool and datasets at that time

HOW TO RESTORE
  1. Choose the snapshot: the folder backups/<guid> is named after its ZFS GUID in hex
     (zfs get guid prints decimal), each manifest has its name in to.name and source.dataset.
  2. Follow "from" back until a manifest has "from": null. That is the order, from last to first.
  3. For each backup, from the full one on, join its segments in the order of their numbers:
${
  encrypted
    ? `       for s in segments/<backup>/*${suffix}; do age -d -i IDENTITY "$s" | zstd -d; done |
         zfs receive -s -u -o canmount=off -x mountpoint POOL/DATASET`
    : `       cat segments/<backup>/*${suffix} | zstd -d | zfs receive -s -u -o canmount=off -x mountpoint POOL/DATASET`
}
     (a volume: leave out -o canmount=off -x mountpoint)
  4. Properties: zstd -d < attributes/<digest>.json.zst holds what zfs get printed;
     set what was local with zfs set.

Each segment is: ${decode}. Each manifest has the SHA-256 of every object as it lies here.
`;
}
