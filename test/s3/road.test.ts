/** The whole road with a real bucket: the service grants, the agent puts straight into it, and a bad line between. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { openRepository } from '../../catalog/repository/repository.ts';
import { openStore, type S3Location } from '../../catalog/repository/store/location.ts';
import { verifyRepository } from '../../catalog/repository/verify.ts';
import { AgentHouse } from '../agent/road/agent-house.ts';
import { type FaultProxy, startFaultProxy } from '../fault-proxy.ts';
import { recordedStream } from '../fixtures/recorded-streams.ts';
import { makeStream } from '../made-stream.ts';
import { makeBucket } from './buckets.ts';
import { type Ceph, startCeph } from './ceph.ts';
import type { S3Server } from './daemons.ts';
import { needCommand } from './packages.ts';
import { startSwift } from './swift.ts';

const CHAIN = ['full', 'incr-i-a-b', 'incr-i-b-c'];
const run = promisify(execFile);

const keys = mkdtempSync(join(tmpdir(), 'zkeep-keys-'));
after(() => rmSync(keys, { recursive: true }));

/** 40 MiB that do not compress: three segments. */
function* randomBlocks(): Generator<Uint8Array> {
  for (let n = 0; n < 320; n++)
    yield Buffer.from(createHash('shake256', { outputLength: 131_072 }).update(`${n}`).digest());
}
const LARGE = Buffer.concat([
  ...makeStream({ toGuid: 0x1a46en, toName: 'tank/large@now', blocks: randomBlocks() }),
]);

interface Bucket {
  readonly house: AgentHouse;
  readonly location: S3Location;
}

/** A service on a new bucket of this server, reached at `endpoint`. */
async function openHouse(
  server: S3Server,
  settings: { endpoint?: string; recipients?: string[] } = {},
): Promise<Bucket> {
  const location = {
    ...(await makeBucket(server)),
    ...(settings.endpoint && { endpoint: settings.endpoint }),
  };
  const house = await AgentHouse.open(settingsOf(location, settings.recipients));
  return { house, location: { ...location, prefix: 'kept' } };
}

/** The lines of `server.toml` that keep in a bucket. */
function settingsOf(location: S3Location, recipients: string[] = []): string {
  const { type, bucket, endpoint = '' } = location;
  const credentials_file = credentialsFile(location);
  const store = { type, bucket, endpoint, credentials_file, prefix: 'kept', region: 'us-east-1' };
  const lines = Object.entries(store).map(([key, value]) => `${key} = ${JSON.stringify(value)}`);
  return `recipients = ${JSON.stringify(recipients)}\n[store]\n${lines.join('\n')}\n`;
}

/** The keys in the form of the AWS tools. */
function credentialsFile({ bucket, access_key_id, secret_access_key }: S3Location): string {
  const file = join(keys, bucket);
  writeFileSync(
    file,
    `[default]\naws_access_key_id = ${access_key_id}\naws_secret_access_key = ${secret_access_key}\n`,
    { mode: 0o600 },
  );
  return file;
}

/** The address and keys with which a person reads the bucket without the service. */
function alone({ bucket, endpoint, access_key_id = '', secret_access_key = '' }: S3Location) {
  const place = `s3://${bucket}/kept?endpoint=${endpoint}&region=us-east-1`;
  return { place, env: { AWS_ACCESS_KEY_ID: access_key_id, AWS_SECRET_ACCESS_KEY: secret_access_key } };
}

/** Whole to the last byte, nothing open; gives the number of backups. */
async function isClean({ house, location }: Bucket): Promise<number> {
  await house.untilOpen(0);
  const store = await openStore(location);
  try {
    const { backups, problems } = await verifyRepository(await openRepository(store), { deep: true });
    assert.deepEqual(problems, []);
    return backups;
  } finally {
    await store.close();
  }
}

async function importChain(house: AgentHouse): Promise<void> {
  for (const name of CHAIN) {
    await house.document(['import', '--dataset', 'tank/fs'], 0, { stdin: recordedStream(name) });
  }
}

const SERVERS: [string, () => Promise<S3Server>][] = [
  ['Ceph RGW', startCeph],
  ['Swift s3api', startSwift],
];
for (const [name, start] of SERVERS) {
  describe(`the road with a bucket of ${name}`, () => {
    let server: S3Server;
    let proxy: FaultProxy;
    let kept: Bucket;
    before(async () => {
      server = await start();
      proxy = await startFaultProxy(server.port);
      kept = await openHouse(server, { endpoint: proxy.url });
      await importChain(kept.house);
    });
    after(async () => {
      await kept?.house.end();
      await proxy?.stop();
      await server?.stop();
    });

    it('stores in the bucket, and nothing beside it', async () => {
      assert.equal(await isClean(kept), 3);
      assert.ok(!existsSync(kept.house.repository));
    });

    it('gives every stream back, through the service and from the bucket alone', async () => {
      const { place, env } = alone(kept.location);
      for (const [index, snapshot] of ['a', 'b', 'c'].entries()) {
        const words = ['export', 'tank/fs', '--snapshot', snapshot, '--quiet'];
        const original = recordedStream(CHAIN[index] ?? '');
        assert.ok(
          (await kept.house.zkeep(words)).stdout.equals(original),
          `@${snapshot} through the service`,
        );
        const ran = await kept.house.zkeep([...words, '--repository', place], { env });
        assert.ok(ran.stdout.equals(original), `@${snapshot} from the bucket alone: ${ran.stderr}`);
      }
    });

    const passing = [
      ['a connection cut in the middle of a segment', { cutUp: 5_000_000 }],
      ['an answer that got lost', { dropAnswer: true }],
      ['a store that asks to slow down', { busy: true }],
      ['a refused connection', { refuse: true }],
    ] as const;
    for (const [what, fault] of passing) {
      it(`goes on after ${what}`, async (context) => {
        const own = await openHouse(server, { endpoint: proxy.url });
        context.after(() => own.house.end());
        const before = proxy.met;
        proxy.meet(fault, 2);
        const { backups } = await own.house.document(['import', '--dataset', 'tank/large'], 0, {
          stdin: LARGE,
        });
        proxy.clear();
        assert.ok(proxy.met > before, 'the fault was met');
        assert.deepEqual(
          backups.map(({ outcome }) => outcome),
          ['stored'],
        );
        assert.equal(await isClean(own), 1);
        proxy.meet({ cutDown: 3_000_000 }, 1);
        const back = await own.house.zkeep(['export', 'tank/large', '--quiet']);
        proxy.clear();
        assert.ok(back.stdout.equals(LARGE), back.stderr);
      });
    }

    it('refuses nothing and stores nothing wrong when a bit flips on the way there', async (context) => {
      const own = await openHouse(server, { endpoint: proxy.url });
      context.after(() => own.house.end());
      proxy.meet({ flipUp: 1_000_000 }, 1);
      const ran = await own.house.zkeep(['import', '--dataset', 'tank/large', '--json'], { stdin: LARGE });
      proxy.clear();
      // The store tells; whether the agent puts it again or gives up, nothing wrong may be kept.
      assert.equal(await isClean(own), ran.code === 0 ? 1 : 0);
    });

    it('asks again when a bit flips on the way back', async (context) => {
      const own = await openHouse(server, { endpoint: proxy.url });
      context.after(() => own.house.end());
      await own.house.document(['import', '--dataset', 'tank/large'], 0, { stdin: LARGE });
      proxy.meet({ flipDown: 2_000_000 }, 1);
      const back = await own.house.zkeep(['export', 'tank/large', '--quiet']);
      assert.ok(back.stdout.equals(LARGE), back.stderr);
    });
  });
}

describe('a bucket of Ceph RGW', () => {
  let ceph: Ceph;
  before(async () => {
    ceph = await startCeph();
  });
  after(async () => await ceph?.stop());

  it('is judged by the AWS command line and stock zstd', async (context) => {
    await needCommand('aws', 'awscli');
    await needCommand('zstd', 'zstd');
    const kept = await openHouse(ceph);
    const folder = mkdtempSync(join(tmpdir(), 'zkeep-aws-'));
    context.after(async () => {
      await kept.house.end();
      rmSync(folder, { recursive: true });
    });
    await importChain(kept.house);
    const { env } = alone(kept.location);
    const aws = (...words: string[]) =>
      run('aws', ['--endpoint-url', ceph.endpoint, '--region', 'us-east-1', 's3', ...words], {
        env: { ...process.env, ...env },
        cwd: folder,
      });
    await aws('sync', `s3://${kept.location.bucket}/kept`, 'copy');
    assert.match(readFileSync(join(folder, 'copy', 'README.txt'), 'utf8'), /zstd -d/);
    const { snapshots } = await kept.house.document(['list', 'tank/fs'], 0);
    for (const [index, { backup }] of snapshots.entries()) {
      const line = `cat copy/segments/${backup}/*.zst | zstd -d`;
      const { stdout } = await run('sh', ['-c', line], {
        cwd: folder,
        encoding: 'buffer',
        maxBuffer: 2 ** 26,
      });
      assert.ok(stdout.equals(recordedStream(CHAIN[index] ?? '')));
    }
  });

  it('holds an encrypted repository that only the identity opens', async (context) => {
    const identity = await generateIdentity();
    const kept = await openHouse(ceph, { recipients: [await identityToRecipient(identity)] });
    const file = join(kept.house.folder, 'identity');
    writeFileSync(file, `${identity}\n`);
    context.after(() => kept.house.end());
    await importChain(kept.house);
    const words = ['export', 'tank/fs', '--snapshot', 'a', '--quiet'];
    const { place, env } = alone(kept.location);
    assert.equal((await kept.house.zkeep(words)).code, 8);
    for (const way of [[], ['--repository', place]]) {
      const ran = await kept.house.zkeep([...words, ...way, '--identity', file], { env });
      assert.ok(ran.stdout.equals(recordedStream('full')), ran.stderr);
    }
  });

  it('is refused to a service with wrong keys, in words', async () => {
    const location = { ...(await makeBucket(ceph)), secret_access_key: 'wrong' };
    await assert.rejects(AgentHouse.open(settingsOf(location)), { kind: 'denied' });
  });

  it('whose owner lost the right to write makes a backup fail as denied; with the right again the same backup is one', async (context) => {
    const kept = await openHouse(ceph);
    context.after(() => kept.house.end());
    await ceph.admin('user', 'suspend', '--uid=owner');
    const words = ['import', '--dataset', 'tank/fs'];
    const stdin = recordedStream('full');
    try {
      const { error } = await kept.house.document(words, 8, { stdin });
      assert.equal(error.kind, 'denied');
      assert.deepEqual((await kept.house.document(['list'], 0)).datasets, []);
    } finally {
      await ceph.admin('user', 'enable', '--uid=owner');
    }
    const { backups } = await kept.house.document(words, 0, { stdin });
    assert.equal(backups[0]?.outcome, 'stored');
    assert.equal(await isClean(kept), 1);
  });

  it('that is full makes a backup fail as full; with room again the same backup is one', async (context) => {
    const kept = await openHouse(ceph);
    context.after(() => kept.house.end());
    const quota = ['--uid=owner', `--bucket=${kept.location.bucket}`, '--quota-scope=bucket'];
    await ceph.admin('quota', 'set', ...quota, '--max-size=20000000');
    await ceph.admin('quota', 'enable', ...quota);
    const words = ['import', '--dataset', 'tank/large'];
    const { error } = await kept.house.document(words, 9, { stdin: LARGE });
    assert.equal(error.kind, 'full');
    assert.deepEqual((await kept.house.document(['list'], 0)).datasets, []);
    await ceph.admin('quota', 'disable', ...quota);
    // The gateway counts late: the room may have ended at a segment, or at the manifest, whose commit then goes on.
    const { backups } = await kept.house.document(words, 0, { stdin: LARGE });
    assert.match(String(backups[0]?.outcome), /^(stored|already)$/);
    assert.equal(await isClean(kept), 1);
  });
});
