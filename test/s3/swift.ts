/** OpenStack Swift with its s3api on loopback, one replica of everything: the server that knows no conditions. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { answers, Daemons, freePorts, type Keys, type S3Server } from './daemons.ts';
import { needPackages } from './packages.ts';

const DOMAIN = 's3.test';
const SERVERS = ['account', 'container', 'object'] as const;
const OWNER: Keys = { access_key_id: 'lab:owner', secret_access_key: 'ownersecretownersecret' };
const OTHER: Keys = { access_key_id: 'lab:other', secret_access_key: 'othersecretothersecret' };

/**
 * Installs Swift if it is not there, and starts it with empty data.
 *
 * @example const swift = await startSwift(); ... await swift.stop();
 */
export async function startSwift(): Promise<S3Server> {
  await needPackages('swift-proxy', 'swift-account', 'swift-container', 'swift-object', 'memcached');
  const daemons = await Daemons.in('zkeep-swift-');
  try {
    const [port = 0, cache = 0, ...ports] = await freePorts(2 + SERVERS.length);
    await daemons.run('mkdir', '-p', 'cache', 'srv/d1');
    await write(daemons, 'swift.conf', COMMON);
    daemons.start('memcached', 'memcached', '-u', 'root', '-l', '127.0.0.1', '-p', String(cache), '-m', '64');
    await Promise.all(SERVERS.map((name, at) => startServer(daemons, name, ports[at] ?? 0)));
    await write(daemons, 'proxy.conf', proxyConfiguration(daemons.folder, port, cache));
    daemons.start('proxy', 'swift-proxy-server', join(daemons.folder, 'proxy.conf'));
    const endpoint = `http://127.0.0.1:${port}`;
    await daemons.until('the Swift proxy', () => answers(`${endpoint}/healthcheck`));
    for (const other of ports)
      await daemons.until('a Swift server', () => answers(`http://127.0.0.1:${other}/`));
    return { endpoint, port, owner: OWNER, other: OTHER, domain: DOMAIN, stop: () => daemons.stop() };
  } catch (thrown) {
    await daemons.stop();
    throw thrown;
  }
}

async function startServer(daemons: Daemons, name: string, port: number): Promise<void> {
  await write(daemons, `${name}.conf`, serverConfiguration(daemons.folder, name, port));
  const ring = `${name}.builder`;
  await daemons.run('swift-ring-builder', ring, 'create', '4', '1', '0');
  await daemons.run('swift-ring-builder', ring, 'add', `r1z1-127.0.0.1:${port}/d1`, '1');
  await daemons.run('swift-ring-builder', ring, 'rebalance');
  daemons.start(name, `swift-${name}-server`, join(daemons.folder, `${name}.conf`));
}

async function write(daemons: Daemons, name: string, text: string): Promise<void> {
  await writeFile(join(daemons.folder, name), text);
}

const COMMON = `[swift-hash]
swift_hash_path_suffix = test
swift_hash_path_prefix = test
[storage-policy:0]
name = Policy-0
default = yes
`;

// No workers: the process that is started is the server, and ending it ends all.
function serverConfiguration(folder: string, name: string, port: number): string {
  return `[DEFAULT]
bind_ip = 127.0.0.1
bind_port = ${port}
workers = 0
user = root
swift_dir = ${folder}
devices = ${folder}/srv
mount_check = false
disable_fallocate = true
log_level = WARNING
[pipeline:main]
pipeline = ${name}-server
[app:${name}-server]
use = egg:swift#${name}
allow_versions = true
`;
}

function proxyConfiguration(folder: string, port: number, cache: number): string {
  const plain = [
    'healthcheck',
    'catch_errors',
    'gatekeeper',
    'listing_formats',
    'bulk',
    'copy',
    'slo',
    'dlo',
    'symlink',
  ];
  return `[DEFAULT]
bind_ip = 127.0.0.1
bind_port = ${port}
workers = 0
user = root
swift_dir = ${folder}
log_level = WARNING
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck cache listing_formats bulk s3api tempauth copy slo dlo versioned_writes symlink proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:tempauth]
use = egg:swift#tempauth
user_lab_owner = ${OWNER.secret_access_key} .admin
user_lab_other = ${OTHER.secret_access_key}
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
storage_domain = ${DOMAIN}
s3_acl = true
force_swift_request_proxy_log = false
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:${cache}
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_object_versioning = true
allow_versioned_writes = true
${plain.map((name) => `[filter:${name}]\nuse = egg:swift#${name}\n`).join('')}`;
}
