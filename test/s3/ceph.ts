/** Ceph RADOS Gateway on loopback: one monitor, one OSD, one gateway, without systemd and without cephx. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { answers, Daemons, freePorts, type Keys, OTHER, OWNER, type S3Server } from './daemons.ts';
import { needPackages } from './packages.ts';

/** A gateway with a way to its own commands. */
export interface Ceph extends S3Server {
  /** Runs `radosgw-admin`. */
  admin(...args: string[]): Promise<string>;
}

/** What a gateway is to be. */
export interface CephOptions {
  /** Room, GiB; its file below the temporary folder is sparse. */
  readonly gib?: number;
}

const DOMAIN = 's3.test';

/**
 * Installs Ceph if it is not there, and starts it with empty data.
 *
 * @example const ceph = await startCeph(); ... await ceph.stop();
 */
export async function startCeph({ gib = 10 }: CephOptions = {}): Promise<Ceph> {
  await needPackages('ceph-mon', 'ceph-osd', 'radosgw', 'ceph-common');
  const daemons = await Daemons.in('zkeep-ceph-', { CEPH_CONF: '{}/ceph.conf' });
  try {
    const [port = 0, mon1 = 0, mon2 = 0] = await freePorts(3);
    const fsid = crypto.randomUUID();
    await writeFile(
      join(daemons.folder, 'ceph.conf'),
      configuration({ folder: daemons.folder, port, mon1, mon2, fsid, gib }),
    );
    await startMonitor(daemons, fsid, `[v2:127.0.0.1:${mon2},v1:127.0.0.1:${mon1}]`);
    await startOsd(daemons);
    const endpoint = `http://127.0.0.1:${port}`;
    daemons.start('gateway', 'radosgw', '-f', '-n', 'client.rgw');
    await daemons.until('the Ceph gateway', () => answers(endpoint));
    const admin = (...args: string[]) => daemons.run('radosgw-admin', ...args);
    await makeUser(admin, 'owner', OWNER);
    await makeUser(admin, 'other', OTHER);
    return { endpoint, port, owner: OWNER, other: OTHER, domain: DOMAIN, admin, stop: () => daemons.stop() };
  } catch (thrown) {
    await daemons.stop();
    throw thrown;
  }
}

async function startMonitor(daemons: Daemons, fsid: string, address: string): Promise<void> {
  await writeFile(join(daemons.folder, 'keyring'), '');
  await daemons.run('monmaptool', '--create', '--clobber', '--fsid', fsid, '--addv', 'a', address, 'monmap');
  await daemons.run('mkdir', '-p', 'mon/a', 'osd/0', 'run');
  await daemons.run('ceph-mon', '--mkfs', '-i', 'a', '--monmap', 'monmap');
  daemons.start('mon', 'ceph-mon', '-f', '-i', 'a');
  await daemons.until('the Ceph monitor', async () => {
    await daemons.run('ceph', '--connect-timeout', '4', 'mon', 'stat');
    return true;
  });
}

async function startOsd(daemons: Daemons): Promise<void> {
  const uuid = crypto.randomUUID();
  await daemons.run('ceph', 'osd', 'new', uuid);
  await daemons.run('ceph-osd', '--mkfs', '-i', '0', '--osd-uuid', uuid);
  daemons.start('osd', 'ceph-osd', '-f', '-i', '0');
  await daemons.until('the Ceph OSD', async () =>
    (await daemons.run('ceph', 'osd', 'stat')).includes('1 up'),
  );
}

async function makeUser(
  admin: (...args: string[]) => Promise<string>,
  name: string,
  { access_key_id, secret_access_key }: Keys,
): Promise<void> {
  const keys = [`--access-key=${access_key_id}`, `--secret=${secret_access_key}`];
  await admin('user', 'create', `--uid=${name}`, `--display-name=${name}`, ...keys);
}

interface Layout {
  readonly folder: string;
  readonly port: number;
  readonly mon1: number;
  readonly mon2: number;
  readonly fsid: string;
  readonly gib: number;
}

function configuration({ folder, port, mon1, mon2, fsid, gib }: Layout): string {
  return `[global]
fsid = ${fsid}
mon_host = [v2:127.0.0.1:${mon2},v1:127.0.0.1:${mon1}]
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
# The gateway asks for "secure" alone, which cannot be had without cephx: it would hang.
ms_mon_client_mode = crc secure
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 8
osd_pool_default_pg_autoscale_mode = off
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
osd_crush_chooseleaf_type = 0
mon_data = ${folder}/mon/$id
osd_data = ${folder}/osd/$id
keyring = ${folder}/keyring
run_dir = ${folder}/run
admin_socket = ${folder}/run/$name.asok
pid_file = ${folder}/run/$name.pid
crash_dir = ${folder}/log
log_file = ${folder}/log/$name.log
mon_cluster_log_file = ${folder}/log/cluster.log
log_to_stderr = false
err_to_stderr = true
osd_objectstore = bluestore
bluestore_block_create = true
bluestore_block_size = ${gib * 1024 ** 3}
osd_memory_target = ${1024 ** 3}
osd_class_update_on_start = true
[mon]
# The disk of a test machine may be nearly full of other things.
mon_data_avail_crit = 1
mon_data_avail_warn = 2
paxos_propose_interval = 0.05
paxos_min_wait = 0.01
[client.rgw]
# Without tcp_nodelay every answer that has a body waits 40 ms for an ACK.
rgw_frontends = beast endpoint=127.0.0.1:${port} tcp_nodelay=1
rgw_dns_name = ${DOMAIN}
rgw_enable_usage_log = false
rgw_thread_pool_size = 64
`;
}
