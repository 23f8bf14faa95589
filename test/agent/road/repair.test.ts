/** Damage from end to end: something is wrong in the store, verification names it, plans go around it, and the next backup mends it. */
import assert from 'node:assert/strict';
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import type { JobState } from '../../../catalog/protocol/events.ts';
import { manifestKey, segmentKey } from '../../../catalog/repository/names.ts';
import { type BackupId, parseBackupId, parseGuid } from '../../../catalog/words.ts';
import { guidText, ZfsHost } from '../backup/resume/zfs-host.ts';
import { until } from '../made-host.ts';
import { AgentHouse } from './agent-house.ts';
import type { BackupDocument } from './backup-documents.ts';

let house: AgentHouse;
let host: ZfsHost;
let operator: string;

async function open(settings = '') {
  house = await AgentHouse.open(settings);
  host = new ZfsHost({ 'tank/a': 1 });
  operator = house.service.tokens.add('alice', 'operator');
}
beforeEach(async () => await open());
afterEach(async () => {
  await house.end();
  host.end();
});

const asOperator = () => ({ env: { ZKEEP_TOKEN: operator } });
const fileOf = (backup: BackupId, number = 0, encrypted = false) =>
  join(house.repository, segmentKey(backup, number, encrypted));

async function backUp(...words: string[]): Promise<BackupDocument['backups'][number]> {
  const document: unknown = await house.document(['backup', 'tank/a', ...words], 0, { env: host.env });
  const { backups } = document as BackupDocument;
  return backups[0] ?? assert.fail('nothing was backed up');
}

/** A full backup and two increments on it; gives their ids and streams. */
async function chain(): Promise<{ ids: BackupId[]; streams: Buffer[] }> {
  const streams = [
    host.makeStream('tank/a', 101, 'full', 20),
    host.makeStream('tank/a', 102, 'incremental', 0.5),
    host.makeStream('tank/a', 103, 'incremental', 0.5),
  ];
  const ids: BackupId[] = [];
  for (const _ of streams) ids.push(parseBackupId(String((await backUp()).backup)));
  return { ids, streams };
}

/** Has the service verify, and waits for the end. */
async function verify(): Promise<JobState> {
  const headers = { authorization: `Bearer ${operator}` };
  const asked = await house.service.app.inject({ method: 'POST', url: '/v1/jobs/verify', headers });
  assert.equal(asked.statusCode, 202, asked.body);
  const state = async () => {
    const { body } = await house.service.app.inject({ url: '/v1/jobs', headers });
    const { jobs } = JSON.parse(body) as { jobs: JobState[] };
    return jobs.find(({ job }) => job === 'verify') ?? assert.fail('there is no such job');
  };
  await until('the end of verify', async () => !(await state()).running);
  return await state();
}

function flip(file: string) {
  const bytes = readFileSync(file);
  const at = bytes.length >> 1;
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  writeFileSync(file, bytes);
}

const damage = async (code: number) => (await house.document(['damage'], code)).damage;

/** The plan for the newest snapshot, or this one, as the last two digits of the GUIDs; each step is read and compared. */
async function restores(streams: readonly Buffer[], ...words: string[]): Promise<number> {
  const { plan } = await house.document(['plan', 'tank/a', ...words], 0);
  assert.equal(plan.steps.length, streams.length);
  for (const [index, { to, from }] of plan.steps.entries()) {
    const asked = ['export', 'tank/a', '--guid', to, '--from', from ?? 'nothing', '--quiet'];
    const { code, stdout, stderr } = await house.zkeep(asked);
    assert.equal(code, 0, stderr);
    assert.ok(stdout.equals(streams[index] ?? Buffer.alloc(0)), `step ${index} is the stream that was sent`);
  }
  return plan.steps.length;
}

const lostIn = (rows: Awaited<ReturnType<typeof damage>>) =>
  rows.map(({ backup, lost, repaired }) => ({ backup, lost: lost.map(({ guid }) => guid), repaired }));

describe('a bit that flipped in an increment', () => {
  it('is named, planned around, and mended by the next backup, on an older base', async () => {
    const { ids, streams } = await chain();
    const [, second] = ids;
    assert.ok(second);
    flip(fileOf(second));
    assert.match((await verify()).last?.words ?? '', new RegExp(`damaged: .*tank/a@.*${second}`));
    const told = await house.zkeep(['verify', 'tank/a', '--deep']);
    assert.equal(told.code, 5);
    const named = `^tank/a@zkeep-\\S+ on \\S+, backup ${second}, segments/${second}/00000000\\.zst: .*\\n`;
    assert.match(
      told.stdout.toString(),
      new RegExp(`${named}3 backups.*: 1 problem\\nwhat to do: .*--report`),
    );
    const rows = await damage(5);
    assert.deepEqual(lostIn(rows), [
      { backup: second, lost: [guidText(102), guidText(103)], repaired: false },
    ]);
    assert.equal(rows[0]?.problems[0]?.key, segmentKey(second, 0, false));
    const { error } = await house.document(['plan', 'tank/a'], 5);
    assert.equal(error.code, 'chain.damaged');
    assert.ok(error.message.includes(second), error.message);
    assert.equal(await restores(streams.slice(0, 1), '--guid', guidText(101)), 1);

    const next = host.makeStream('tank/a', 104, 'incremental', 0.5, 104, 101);
    const made = await backUp();
    assert.deepEqual([made.outcome, made.kind, made.from], ['stored', 'incremental', guidText(101)]);
    assert.equal(await restores([...streams.slice(0, 1), next]), 2);
    assert.deepEqual(lostIn(await damage(5)), [
      { backup: second, lost: [guidText(102), guidText(103)], repaired: false },
    ]);
  });

  it('is mended by sending the same snapshot again: all that hung on it can be restored again', async () => {
    const { ids, streams } = await chain();
    const [, second] = ids;
    assert.ok(second);
    const { manifest } = await house.document(['show', second], 0);
    flip(fileOf(second));
    await verify();
    const shown = await house.zkeep(['show', second]);
    assert.match(shown.stdout.toString(), /^damaged +.*2 snapshots lost/m);
    const listed = await house.zkeep(['list', 'tank/a']);
    assert.match(listed.stdout.toString(), /damaged\n.*lost\n1 backup is damaged: zkeep damage/);
    const told = await house.zkeep(['damage']);
    assert.match(told.stdout.toString(), /what to do: zkeep backup tank\/a/);

    const again = await backUp('--snapshot', String(manifest.to.name));
    assert.deepEqual([again.outcome, again.from, again.to], ['stored', guidText(101), guidText(102)]);
    assert.notEqual(again.backup, second);
    assert.equal(await restores(streams), 3);
    assert.deepEqual(lostIn(await damage(0)), [{ backup: second, lost: [], repaired: true }]);
    assert.match((await house.zkeep(['damage'])).stdout.toString(), /repaired/);
    assert.equal((await verify()).last?.outcome, 'done');
  });

  it('is refuted by a deep proof once the object is as it was', async () => {
    const { ids, streams } = await chain();
    const [, second] = ids;
    assert.ok(second);
    flip(fileOf(second));
    await verify();
    assert.equal((await damage(5)).length, 1);
    flip(fileOf(second));
    const { reported } = await house.document(['verify', 'tank/a', '--deep', '--report'], 0, asOperator());
    assert.deepEqual(reported, { proofs: 3, damage: 0 });
    assert.deepEqual(await damage(0), []);
    assert.equal(await restores(streams), 3);
  });

  it('is known to the repository alone, too, when the service is gone', async () => {
    const { ids } = await chain();
    const [, second] = ids;
    assert.ok(second);
    flip(fileOf(second));
    await verify();
    await house.stop();
    const place = ['--repository', house.repository];
    const { error } = await house.document(['plan', 'tank/a', ...place], 5);
    assert.equal(error.code, 'chain.damaged');
    const { damage: rows } = await house.document(['damage', ...place], 5);
    assert.equal(rows[0]?.backup, second);
    await house.start();
  });
});

describe('what is wrong with the full backup', () => {
  /** After the damage, the next backup is a full one, and it can be restored. */
  async function isMended(first: BackupId) {
    const rows = await damage(5);
    assert.deepEqual(lostIn(rows), [
      { backup: first, lost: [guidText(101), guidText(102), guidText(103)], repaired: false },
    ]);
    assert.equal((await house.document(['plan', 'tank/a'], 5)).error.code, 'chain.damaged');
    const full = host.makeStream('tank/a', 104, 'full', 1);
    const made = await backUp();
    assert.deepEqual([made.outcome, made.kind, made.from], ['stored', 'full', null]);
    assert.equal(await restores([full]), 1);
  }

  it('a missing object', async () => {
    const { ids } = await chain();
    const [first] = ids;
    assert.ok(first);
    rmSync(fileOf(first, 1));
    await verify();
    await isMended(first);
  });

  it('an object that is cut short', async () => {
    const { ids } = await chain();
    const [first] = ids;
    assert.ok(first);
    writeFileSync(fileOf(first, 1), readFileSync(fileOf(first, 1)).subarray(0, 1000));
    await verify();
    await isMended(first);
  });

  it('two objects that changed places', async () => {
    const { ids } = await chain();
    const [first] = ids;
    assert.ok(first);
    renameSync(fileOf(first, 0), `${house.folder}/aside`);
    renameSync(fileOf(first, 1), fileOf(first, 0));
    renameSync(`${house.folder}/aside`, fileOf(first, 1));
    await verify();
    const [row] = await damage(5);
    assert.equal(row?.count, 2);
    await isMended(first);
  });

  it('a manifest that cannot be read', async () => {
    const { ids } = await chain();
    const [first] = ids;
    assert.ok(first);
    writeFileSync(join(house.repository, manifestKey(parseGuid(guidText(101)), first)), '{"format":1}\n');
    await verify();
    await isMended(first);
    await house.stop();
    await house.start();
    assert.equal((await house.document(['plan', 'tank/a'], 0)).plan.steps.length, 1);
  });
});

describe('a repository that the service cannot read', () => {
  it('is proven lightly by it, and deeply by an operator who has the key', async () => {
    await house.end();
    host.end();
    const identity = await generateIdentity();
    await open(`recipients = ["${await identityToRecipient(identity)}"]`);
    const file = join(house.folder, 'identity');
    writeFileSync(file, `${identity}\n`, { mode: 0o600 });
    const { ids } = await chain();
    const [, second, third] = ids;
    assert.ok(second && third);
    flip(fileOf(second, 0, true));
    assert.match((await verify()).last?.words ?? '', /^3 light proofs \(by size\)$/);
    assert.deepEqual(await damage(0), []);

    const asked = ['verify', '--deep', '--identity', file, '--report', '--older-than', '90d'];
    assert.equal((await house.document(asked, 8)).error.code, 'token.scope');
    const found = await house.document(asked, 5, asOperator());
    assert.deepEqual([found.segments, found.reported], [4, { proofs: 2, damage: 1 }]);
    assert.deepEqual(
      found.problems.map(({ key, code }) => ({ key, code })),
      [{ key: segmentKey(second, 0, true), code: 'segment.digest' }],
    );
    const [row] = await damage(5);
    assert.deepEqual([row?.backup, row?.by], [second, 'alice']);
    const again = await house.document([...asked, '--repository', house.repository], 0, asOperator());
    assert.deepEqual([again.segments, again.reported], [0, { proofs: 0, damage: 0 }], 'all is proven');
  });

  it('and what is found in another repository is not reported', async () => {
    await chain();
    const other = await AgentHouse.open();
    try {
      const asked = ['verify', '--report', '--repository', other.repository];
      const { error } = await house.document(asked, 4, asOperator());
      assert.equal(error.code, 'verify.other-repository');
      const { error: usage } = await house.document(['verify', '--older-than', '1d'], 2);
      assert.equal(usage.code, 'verify.older-than');
    } finally {
      await other.end();
    }
  });
});
