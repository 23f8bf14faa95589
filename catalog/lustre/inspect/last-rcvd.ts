/**
 * `last_rcvd`, where a Lustre target remembers whom it serves: 512 bytes about
 * itself, then a slot for each client, all little-endian (Lustre
 * `lustre/include/uapi/linux/lustre/lustre_disk.h`: `lr_server_data`,
 * `lsd_client_data`). After a restart it waits for every client that has a slot
 * with a UUID (`tgt_clients_data_init` in `lustre/target/tgt_lastrcvd.c`).
 */
import { Fields, malformed } from './fields.ts';

/** What `last_rcvd` says. */
export interface LastReceived {
  /** The target, e.g. `lustrefs-MDT0000_UUID`. */
  readonly uuid: string;
  readonly fsname: string | null;
  readonly kind: 'MDT' | 'OST' | null;
  /** `lsd_osd_index`. */
  readonly index: number;
  /** How often it was mounted. */
  readonly mounts: string;
  /** The last transaction that was committed, decimal digits. */
  readonly transaction: string;
  /** Clients that a mount waits for. */
  readonly clients: number;
  /** Of these, how many are other servers of the file system. */
  readonly servers: number;
}

/** Bytes of `lr_server_data`. */
const SERVER_SIZE = 512;
const UUID_WIDTH = 40;

/**
 * Reads the file.
 *
 * @param bytes all of it.
 * @throws {ZkeepError} `damaged` when it is none.
 */
export function parseLastReceived(bytes: Uint8Array): LastReceived {
  const file = new Fields(bytes, true, 'last_rcvd');
  if (bytes.length < SERVER_SIZE) throw malformed(file.what, 'it is shorter than its head');
  const [start, width] = [file.u32(80), file.u16(84)];
  if (start < SERVER_SIZE || width < UUID_WIDTH) throw malformed(file.what, 'its head names no slots');
  const uuid = file.text(0, UUID_WIDTH);
  const clients = clientsIn(file, start, width);
  const [, fsname = null, kind] = /^(.{1,8})-(MDT|OST)[0-9a-f]{4}_UUID$/.exec(uuid) ?? [];
  return {
    uuid,
    fsname,
    kind: kind === 'MDT' || kind === 'OST' ? kind : null,
    index: file.u32(140),
    mounts: file.u64(56).toString(),
    transaction: file.u64(40).toString(),
    clients: clients.length,
    servers: clients.filter((client) => SERVER.test(client)).length,
  };
}

/** Other targets connect by their names: `lustrefs-MDT0001-mdtlov_UUID`. */
const SERVER = /^.{1,8}-(MDT|OST)[0-9a-f]{4}[-_]/;

/** The UUIDs in the slots, each once: a second slot of one client is passed over. */
function clientsIn(file: Fields, start: number, width: number): string[] {
  const clients = new Set<string>();
  for (let at = start; at + UUID_WIDTH <= file.length; at += width) {
    const uuid = file.text(at, UUID_WIDTH);
    if (uuid !== '') clients.add(uuid);
  }
  return [...clients];
}
