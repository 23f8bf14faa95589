import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkAccounted, LedgerEntry, Ledgers } from '../../../../agent/restore/resume/ledger.ts';
import type { BackupId } from '../../../../catalog/words.ts';

const state = mkdtempSync(join(tmpdir(), 'zkeep-ledger-'));
after(() => rmSync(state, { recursive: true, force: true }));
const folder = join(state, 'restores');
const ledgers = new Ledgers(state);
const key = { target: 'new/home', backup: '0197a000-0000-7000-8000-000000000001' as BackupId };
const other = { ...key, backup: '0197a000-0000-7000-8000-000000000002' as BackupId };

beforeEach(() => rmSync(folder, { recursive: true, force: true }));
const onlyFile = () => join(folder, readdirSync(folder)[0] ?? 'none');
const never = (thrown: unknown) => assert.fail(String(thrown));

test('a ledger that is not there, or is of another stream or target, says nothing', async () => {
  assert.deepEqual(await ledgers.read(key), []);
  await ledgers.write(key, [[0, 5]]);
  assert.deepEqual(await ledgers.read(other), []);
  assert.deepEqual(await ledgers.read({ ...key, target: 'new/other' }), []);
  const text = readFileSync(onlyFile(), 'utf8');
  writeFileSync(onlyFile(), text.replace('new/home', 'new/none'));
  assert.deepEqual(await ledgers.read(key), []);
});

test('a damaged ledger says nothing', async () => {
  await ledgers.write(key, [[0, 5]]);
  const text = readFileSync(onlyFile(), 'utf8');
  const huge = JSON.stringify({
    ledger: 1,
    ...key,
    sent: Array.from({ length: 9999 }, (_, n) => [n, n + 1]),
  });
  for (const wrong of [
    '',
    '{',
    'null',
    text.slice(0, -4),
    text.replace('[0,5]', '[0,-5]'),
    text.replace('1', '2'),
    huge,
  ]) {
    writeFileSync(onlyFile(), wrong);
    assert.deepEqual(await ledgers.read(key), [], wrong.slice(0, 80));
  }
});

test('what was written is read again, in place of what was there before', async () => {
  await ledgers.write(other, [[0, 9]]);
  await ledgers.write(key, [
    [0, 5],
    [7, 8],
  ]);
  assert.deepEqual(await ledgers.read(key), [
    [0, 5],
    [7, 8],
  ]);
  assert.equal(readdirSync(folder).length, 1, 'one file for a target, and nothing half written');
  await ledgers.remove(key.target);
  assert.deepEqual([await ledgers.read(key), readdirSync(folder)], [[], []]);
  await ledgers.remove(key.target);
});

test('a try is on disk before it sends, and what it sent after it', async () => {
  const begun = { before: [[0, 900]] as const, from: 800 };
  const entry = await LedgerEntry.begin(ledgers, key, begun, never);
  assert.deepEqual(await ledgers.read(key), [[0, 900]]);
  for (let n = 1; n <= 100; n++) void entry.sent(800 + n * 10, n);
  await entry.end();
  assert.deepEqual(await ledgers.read(key), [[0, 1800]]);
  assert.deepEqual(entry.intervals, [[0, 1800]]);
});

test('what was sent is noted by its amount too, not only by the clock', async () => {
  const entry = await LedgerEntry.begin(ledgers, key, { before: [], from: 0 }, never);
  const mebibyte = 1024 * 1024;
  void entry.sent(mebibyte, 0); // the first one of a second
  await until(async () => (await ledgers.read(key))[0]?.[1] === mebibyte);
  await until(async () => {
    void entry.sent(20 * mebibyte, 1); // left out while the one before is being written
    return (await ledgers.read(key))[0]?.[1] === 20 * mebibyte;
  });
  await entry.end();
});

test('never is more than a segment sent that is not noted on disk', async () => {
  const entry = await LedgerEntry.begin(ledgers, key, { before: [], from: 0 }, never);
  const mebibyte = 1024 * 1024;
  for (let reached = mebibyte; reached <= 300 * mebibyte; reached += mebibyte) {
    const noted = (await ledgers.read(key))[0]?.[1] ?? 0;
    assert.ok(reached - noted <= 18 * mebibyte, `${reached - noted} bytes are not noted`);
    await entry.sent(reached, 1);
  }
  await entry.end();
});

async function until(look: () => Promise<boolean>): Promise<void> {
  for (let left = 1000; left > 0; left--) {
    if (await look()) return;
    await sleep(5);
  }
  assert.fail('waited in vain');
}

test('a try that begins behind what was sent leaves a gap', async () => {
  const entry = await LedgerEntry.begin(ledgers, key, { before: [[0, 900]], from: 1000 }, never);
  void entry.sent(2000, 0);
  await entry.end();
  assert.deepEqual(await ledgers.read(key), [
    [0, 900],
    [1000, 2000],
  ]);
  assert.throws(() => checkAccounted(entry.intervals, 2000, key), {
    kind: 'failed',
    code: 'restore.unaccounted',
  });
});

test('only when every byte was sent is a stream accounted for', () => {
  checkAccounted([[0, 100]], 100, key);
  for (const sent of [
    [],
    [[0, 99]],
    [[1, 100]],
    [
      [0, 40],
      [41, 100],
    ],
  ] as [number, number][][]) {
    assert.throws(() => checkAccounted(sent, 100, key), { code: 'restore.unaccounted' });
  }
});

test('a folder that cannot be written is said once, and the try goes on', async () => {
  writeFileSync(folder, 'a file is in the way');
  const troubles: unknown[] = [];
  const entry = await LedgerEntry.begin(ledgers, key, { before: [], from: 0 }, (thrown) =>
    troubles.push(thrown),
  );
  for (let n = 1; n < 5; n++) void entry.sent(n, n * 5000);
  await entry.end();
  assert.equal(troubles.length, 1);
  assert.deepEqual(entry.intervals, [[0, 4]]);
  assert.deepEqual(await ledgers.read(key), []);
});

test('what a process that was killed while it wrote left goes with the ledger', async () => {
  await ledgers.write(key, [[0, 5]]);
  await ledgers.write({ ...key, target: 'new/other' }, [[0, 5]]);
  writeFileSync(`${onlyFile()}.1607.partial`, '{');
  await ledgers.remove(key.target);
  await ledgers.remove('new/other');
  assert.deepEqual(readdirSync(folder), []);
});
