/**
 * Restores that are killed at random bytes go on where they broke off, for every
 * kind of stream; what comes back is compared outside zkeep: trees and volumes,
 * GUIDs, and all records of what both sides send.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Static } from 'typebox';
import { contentOf, recordsOf } from '../../catalog/stream/resuming/receiver.ts';
import { childOf, eventually, must, run, shell } from './parts/command.ts';
import { BackupDocument, RestoreDocument, readDocument, SetRestoreDocument } from './parts/documents.ts';
import { assertClean, Lab } from './parts/lab.ts';
import { guidOf, makeFilesystem, property, snapshotsOf, volumeDigest } from './parts/pool.ts';
import { change, fill, fillRandom, treeOf } from './parts/tree.ts';

const MIB = 1024 * 1024;
/** Raw bytes of a segment. */
const SEGMENT = 16 * MIB;
const LEDGERS = '/var/lib/zkeep/restores';

const lab = await Lab.open();
after(() => lab.close());
const key = join(lab.folder, 'key');

type Backups = Static<typeof BackupDocument>;
/** Two rounds of the same tree, each a set: full, then incremental. */
const rounds: Backups[] = [];
const storedIn = (round: number, dataset: string) => {
  const found = rounds[round]?.backups.find((backup) => backup.dataset === dataset);
  assert.ok(found?.snapshot && found.bytes);
  return { snapshot: found.snapshot, guid: found.to, bytes: found.bytes };
};

before(async () => {
  for (const name of ['tank', 'fresh', 'again']) await lab.pool(name, { size: 1024 });
  await writeFile(key, Buffer.alloc(32, 7));
  await makeFilesystem('tank/tree');
  // It was received itself, so that its properties come back with the stream, in a package.
  await makeFilesystem('tank/origin', '-o', 'compression=lz4');
  await must('zfs', 'set', 'org:kept=as received', 'tank/origin');
  await must('zfs', 'snapshot', 'tank/origin@o');
  await shell('zfs send -p tank/origin@o | zfs receive tank/tree/plain');
  const plain = await property('tank/tree/plain', 'mountpoint');
  const secret = ['-o', 'encryption=on', '-o', 'keyformat=raw', '-o', `keylocation=file://${key}`];
  const folders = [plain, await makeFilesystem('tank/tree/secret', ...secret)];
  for (const folder of folders) {
    await fill(folder);
    await fillRandom(join(folder, 'large'), 36);
  }
  const large = await makeFilesystem('tank/tree/large', '-o', 'recordsize=1M');
  await fillRandom(join(large, 'random'), 36);
  await must('zfs', 'create', '-V', '40M', 'tank/tree/vol');
  await eventually('the volume', async () => existsSync('/dev/zvol/tank/tree/vol'));
  await shell('head -c 36M /dev/urandom | dd of=/dev/zvol/tank/tree/vol bs=1M status=none conv=fsync');
  rounds.push(await lab.json(BackupDocument, 'backup', '-r', 'tank/tree'));
  for (const [number, folder] of folders.entries()) {
    await change(folder, number + 1);
    await fillRandom(join(folder, 'more'), 24);
  }
  rounds.push(await lab.json(BackupDocument, 'backup', '-r', 'tank/tree'));
});

/** How a restore is interrupted. */
type Victim = 'agent' | 'zfs receive';

/**
 * Starts a restore and kills it once `zfs receive` has read so many bytes.
 *
 * @returns the point that the target was left at.
 */
async function breakOff(
  args: readonly string[],
  target: string,
  bytes: number,
  victim: Victim,
): Promise<string> {
  const agent = lab.start(['restore', ...args, '--json']);
  const ended = agent.ended.then(({ exit, stdout, stderr }) => {
    throw new Error(`the restore ended with ${exit} before it was killed: ${stdout} ${stderr}`);
  });
  ended.catch(() => undefined); // later ends are the test's
  const receive = eventually('its zfs receive', () => receiveInto(agent.pid, target));
  const pid = await Promise.race([ended, receive]);
  const far = eventually('that it has read so much', async () => (await bytesRead(pid)) >= bytes);
  await Promise.race([ended, far]);
  process.kill(victim === 'agent' ? agent.pid : pid, 'SIGKILL');
  await agent.ended;
  return await eventually('what it leaves', async () => {
    const { exit, stdout } = await run(['zfs', 'get', '-Hpo', 'value', 'receive_resume_token', target]);
    const token = stdout.toString().trim();
    if (existsSync(`/proc/${pid}`)) return false;
    assert.ok(exit === 0 && token !== '-', 'it was killed before it was done');
    return token;
  });
}

/** The `zfs receive` of an agent, once it is at this target: of a set it has one after the other. */
async function receiveInto(agent: number, target: string): Promise<number | undefined> {
  const pid = await childOf(agent, 'zfs', 'receive');
  const line = pid && (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''));
  return line && line.split('\0').at(-2) === target ? pid : undefined;
}

/** What a process has read so far, its stream above all. */
async function bytesRead(pid: number): Promise<number> {
  const io = await readFile(`/proc/${pid}/io`, 'utf8').catch(() => '');
  return Number(/^rchar: ([0-9]+)$/m.exec(io)?.[1] ?? 0);
}

/** A byte somewhere in a stream, in its second half or anywhere but at its very beginning. */
function somewhere({ bytes }: { bytes: number }, from = 0.2): number {
  const at = randomInt(Math.floor(bytes * from), Math.floor(bytes * 0.85));
  console.log(`# cut after ${at} of ${bytes} bytes`);
  return at;
}

/** Finishes a restore, which must go on with what is there, and send at most two segments again. */
async function goesOn(args: readonly string[], kept = true): Promise<void> {
  const { received } = await lab.json(RestoreDocument, 'restore', ...args);
  const { resumed } = received[0] as unknown as { resumed: { kept: number; sent_again: number } | null };
  console.log(`# ${JSON.stringify(resumed)}`);
  assert.ok(resumed, 'it was gone on with');
  if (kept) assert.ok(resumed.kept > 0 && resumed.sent_again <= 2 * SEGMENT, JSON.stringify(resumed));
}

/**
 * Compares a restored dataset with the one that was stored: GUIDs, contents, and what both send.
 *
 * @param known how many of its snapshots were compared before.
 */
async function assertSame(
  dataset: string,
  target: string,
  names: readonly string[],
  known = 0,
): Promise<void> {
  const encrypted = (await property(dataset, 'encryption')) !== 'off';
  if (encrypted) await must('zfs', 'load-key', '-L', `file://${key}`, target);
  assert.deepEqual(await snapshotsOf(target), names);
  const digest = (await property(dataset, 'type')) === 'volume' ? volumeDigest : treeOf;
  for (const [number, name] of names.entries()) {
    if (number < known) continue;
    const base = names[number - 1];
    assert.equal(await guidOf(`${target}@${name}`), await guidOf(`${dataset}@${name}`));
    assert.deepEqual(await digest(`${target}@${name}`), await digest(`${dataset}@${name}`));
    const flags = [encrypted ? '-w' : '-L', ...(base === undefined ? [] : ['-i', `@${base}`])];
    const [found, wanted] = [await sent(flags, `${target}@${name}`), await sent(flags, `${dataset}@${name}`)];
    assert.equal(found.length, wanted.length);
    assert.equal(
      wanted.findIndex((record, at) => record !== found[at]),
      -1,
      `a record of ${target}@${name} differs`,
    );
  }
}

/** The records of what `zfs send` writes; BEGIN names the dataset, so it is left out. */
async function sent(flags: readonly string[], snapshot: string): Promise<string[]> {
  const { exit, stdout } = await run(['zfs', 'send', ...flags, snapshot]);
  assert.equal(exit, 0);
  return recordsOf(stdout, 'little').slice(1).map(contentOf);
}

/** Nothing is left of what interrupted restores noted. */
async function assertNoLedger(): Promise<void> {
  assert.equal(await shell(`ls ${LEDGERS} 2>/dev/null || true`), '');
}

const both = (dataset: string) => [storedIn(0, dataset).snapshot, storedIn(1, dataset).snapshot];

test('a full stream whose agent is killed goes on', async () => {
  const [first = ''] = both('tank/tree/plain');
  const args = ['tank/tree/plain', '--to', 'fresh/plain', '--snapshot', first];
  await breakOff(args, 'fresh/plain', somewhere(storedIn(0, 'tank/tree/plain'), 0.6), 'agent');
  const dry = await lab.zkeep(['restore', ...args, '--dry-run']);
  assert.match(dry.stdout.toString(), /goes on with the interrupted receive of @/);
  assert.doesNotMatch(dry.stdout.toString(), /receive -A/);
  await goesOn(args);
  await assertSame('tank/tree/plain', 'fresh/plain', [first]);
  await assertNoLedger();
});

test('an increment in a package whose zfs receive is killed goes on, and brings its properties', async () => {
  const args = ['tank/tree/plain', '--to', 'fresh/plain'];
  await breakOff(args, 'fresh/plain', somewhere(storedIn(1, 'tank/tree/plain')), 'zfs receive');
  await goesOn(args);
  await assertSame('tank/tree/plain', 'fresh/plain', both('tank/tree/plain'), 1);
  const told = async (key: string) => must('zfs', 'get', '-Ho', 'value,source', key, 'fresh/plain');
  assert.equal(await told('org:kept'), 'as received\treceived');
  assert.equal(await told('canmount'), 'noauto\tlocal');
});

test('raw streams go on, the full one and the one after it', async () => {
  const args = ['tank/tree/secret', '--to', 'fresh/secret'];
  await breakOff(args, 'fresh/secret', somewhere(storedIn(0, 'tank/tree/secret'), 0.6), 'agent');
  await goesOn([...args, '--snapshot', both('tank/tree/secret')[0] ?? '']);
  await breakOff(args, 'fresh/secret', somewhere(storedIn(1, 'tank/tree/secret')), 'zfs receive');
  await goesOn(args);
  await assertSame('tank/tree/secret', 'fresh/secret', both('tank/tree/secret'));
});

test('a volume whose restore is killed twice goes on twice', async () => {
  const [first = ''] = both('tank/tree/vol');
  const args = ['tank/tree/vol', '--to', 'fresh/vol', '--snapshot', first];
  const one = await breakOff(args, 'fresh/vol', 18 * MIB + randomInt(6 * MIB), 'agent');
  const two = await breakOff(args, 'fresh/vol', 6 * MIB + randomInt(4 * MIB), 'zfs receive');
  assert.notEqual(one, two);
  await goesOn(args);
  await assertSame('tank/tree/vol', 'fresh/vol', [first]);
});

test('without its ledger a restore of large blocks begins again at its first byte, and keeps what is there', async () => {
  const [first = ''] = both('tank/tree/large');
  const args = ['tank/tree/large', '--to', 'fresh/large', '--snapshot', first];
  await breakOff(args, 'fresh/large', somewhere(storedIn(0, 'tank/tree/large'), 0.5), 'agent');
  await rm(LEDGERS, { recursive: true });
  await goesOn(args, false);
  await assertSame('tank/tree/large', 'fresh/large', [first]);
});

test('a receive by hand goes on with what export writes for its token', async () => {
  const [first = ''] = both('tank/tree/large');
  const stream = join(lab.folder, 'large.zfs');
  await lab.zkeep(['export', 'tank/tree/large', '--snapshot', first, '--output', stream]);
  const cut = somewhere(storedIn(0, 'tank/tree/large'), 0.6);
  await shell(`(head -c ${cut} ${stream} | zfs receive -s -u fresh/hand) || true`);
  const token = await property('fresh/hand', 'receive_resume_token');
  const rest = join(lab.folder, 'rest.zfs');
  const { exit, stderr } = await lab.zkeep(['export', '--resume-token', token, '--output', rest]);
  assert.equal(exit, 0, stderr);
  assert.ok(
    Number(await shell(`stat -c %s ${rest}`)) < storedIn(0, 'tank/tree/large').bytes - cut + 2 * SEGMENT,
  );
  await shell(`zfs receive -s -u fresh/hand <${rest}`);
  await assertSame('tank/tree/large', 'fresh/hand', [first]);
});

test('a set that is killed in the middle is finished by the same command', async () => {
  const args = ['--set', String(rounds[0]?.set), '--to', 'again'];
  await breakOff(args, 'again/tree/plain', somewhere(storedIn(0, 'tank/tree/plain')), 'agent');
  const { exit, stdout, stderr } = await lab.zkeep(['restore', ...args, '--json']);
  assert.equal(exit, 0, stderr);
  const { restores } = readDocument(SetRestoreDocument, stdout.toString());
  assert.equal(restores.length, rounds[0]?.backups.length);
  for (const { dataset } of rounds[0]?.backups ?? []) {
    const target = dataset.replace('tank/', 'again/');
    await assertSame(dataset, target, [storedIn(0, dataset).snapshot]);
  }
  await assertNoLedger();
});

test('all that was stored verifies', async () => {
  await assertClean(lab);
});
