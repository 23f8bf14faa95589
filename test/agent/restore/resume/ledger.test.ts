import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Interval } from '../../../../agent/restore/resume/coverage.ts';
import {
  checkAccounted,
  checkBrought,
  LedgerEntry,
  type LedgerKey,
  Ledgers,
  type Noted,
  wasEnding,
} from '../../../../agent/restore/resume/ledger.ts';
import type { BackupId } from '../../../../catalog/words.ts';
import { guid } from '../made-steps.ts';

const state = mkdtempSync(join(tmpdir(), 'zkeep-ledger-'));
after(() => rmSync(state, { recursive: true, force: true }));
const folder = join(state, 'restores');
const ledgers = new Ledgers(state);
const MIB = 1024 * 1024;
const key: LedgerKey = {
  target: 'new/home',
  backup: '0197a000-0000-7000-8000-000000000001' as BackupId,
  to: guid(1),
};
const other = { ...key, backup: '0197a000-0000-7000-8000-000000000002' as BackupId };
/** What is noted where no try was about to end. */
const sent = (...intervals: Interval[]): Noted => ({ sent: intervals, ending: undefined });

beforeEach(() => rmSync(folder, { recursive: true, force: true }));
const onlyFile = () => join(folder, readdirSync(folder)[0] ?? 'none');
const never = (thrown: unknown) => assert.fail(String(thrown));

test('a ledger that is not there, or is of another stream or target, says nothing', async () => {
  assert.equal(await ledgers.read(key), undefined);
  await ledgers.write(key, sent([0, 5]));
  assert.equal(await ledgers.read(other), undefined);
  assert.equal(await ledgers.read({ ...key, target: 'new/other' }), undefined);
  const text = readFileSync(onlyFile(), 'utf8');
  writeFileSync(onlyFile(), text.replace('new/home', 'new/none'));
  assert.equal(await ledgers.read(key), undefined);
  assert.equal(await ledgers.last(key.target), undefined);
});

test('a damaged ledger says nothing', async () => {
  await ledgers.write(key, sent([0, 5]));
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
    assert.equal(await ledgers.read(key), undefined, wrong.slice(0, 80));
  }
});

test('what was written is read again, in place of what was there before', async () => {
  await ledgers.write(other, sent([0, 9]));
  const noted = { sent: [[0, 5] as const, [7, 8] as const], ending: 7 };
  await ledgers.write(key, noted);
  assert.deepEqual(await ledgers.read(key), noted);
  assert.deepEqual(await ledgers.last(key.target), { ...noted, ...key });
  assert.equal(readdirSync(folder).length, 1, 'one file for a target, and nothing half written');
  await ledgers.remove(key.target);
  assert.deepEqual([await ledgers.read(key), readdirSync(folder)], [undefined, []]);
  await ledgers.remove(key.target);
});

test('a try is on disk before it sends, and what it sent after it', async () => {
  const first = await LedgerEntry.begin(ledgers, key, { before: undefined, from: 0 }, never);
  assert.deepEqual(await ledgers.read(key), sent());
  void first.sent(900, 0);
  await first.end();
  const begun = { before: await ledgers.read(key), from: 800 };
  const entry = await LedgerEntry.begin(ledgers, key, begun, never);
  assert.deepEqual(await ledgers.read(key), sent([0, 900]));
  for (let n = 1; n <= 100; n++) void entry.sent(800 + n * 10, n);
  await entry.end();
  assert.deepEqual(await ledgers.read(key), sent([0, 1800]));
  assert.deepEqual(entry.intervals, [[0, 1800]]);
});

test('what a receive may have refused is not noted', async () => {
  const before = { sent: [[0, 900 * MIB] as const], ending: 890 * MIB };
  await ledgers.write(key, before);
  const entry = await LedgerEntry.begin(ledgers, key, { before, from: 850 * MIB }, never);
  await entry.sent(851 * MIB - 1, 0);
  assert.deepEqual(await ledgers.read(key), before, 'it may lie in the pipe');
  await entry.refused();
  assert.deepEqual(await ledgers.read(key), before);
  const again = await LedgerEntry.begin(ledgers, key, { before, from: 850 * MIB }, never);
  for (let more = 1; more <= 60; more++) await again.sent((850 + more) * MIB, more);
  await again.ending();
  assert.deepEqual(await ledgers.read(key), { sent: [[0, 910 * MIB]], ending: 910 * MIB });
  await again.refused();
  assert.deepEqual(await ledgers.read(key), before, 'however large a pipe is');
});

test('a try that is refused leaves alone what the zkeep writes that is still at it', async () => {
  const before = sent([0, 30]);
  await ledgers.write(key, before);
  const entry = await LedgerEntry.begin(ledgers, key, { before, from: 20 }, never);
  await ledgers.write(key, sent([0, 80]));
  await entry.sent(60, 0);
  await entry.refused();
  assert.deepEqual(await ledgers.read(key), sent([0, 80]));
});

test('that only the last piece is left is on disk before that is sent', async () => {
  const entry = await LedgerEntry.begin(ledgers, key, { before: undefined, from: 0 }, never);
  await entry.sent(700, 0);
  await entry.ending();
  const noted = (await ledgers.read(key)) ?? assert.fail();
  assert.deepEqual(noted, { sent: [[0, 700]], ending: 700 });
  assert.equal(wasEnding(noted), true);
});

test('a try that broke off at once takes nothing from the one that was about to end', async () => {
  const before = { sent: [[0, 900] as const], ending: 900 };
  await ledgers.write(key, before);
  const entry = await LedgerEntry.begin(ledgers, key, { before, from: 800 }, never);
  await entry.sent(850, 0);
  await entry.end();
  assert.deepEqual(await ledgers.read(key), before);
});

test('what another receive brought had all of its stream only where its last piece was about to be sent, and all before it was', () => {
  const unknown = { kind: 'failed', code: 'restore.unaccounted' };
  const whole = { sent: [[0, 900] as const], ending: 900 };
  checkBrought(sent([0, 300]), whole, key);
  checkBrought(undefined, { sent: [], ending: 0 }, key); // a stream of one piece
  for (const now of [
    sent(),
    sent([0, 1000]),
    { sent: [[0, 899] as const], ending: 900 },
    { sent: [[1, 900] as const], ending: 900 },
    { sent: [[0, 400] as const, [401, 900] as const], ending: 900 },
  ]) {
    assert.throws(() => checkBrought(whole, now, key), unknown, JSON.stringify(now));
  }
});

test('a ledger that another zkeep took away meanwhile was accounted for by it; one that never was, by nobody', () => {
  checkBrought(sent([0, 300]), undefined, key);
  assert.throws(() => checkBrought(undefined, undefined, key), { code: 'restore.unaccounted' });
});

test('what was sent is noted by its amount too, not only by the clock', async () => {
  const entry = await LedgerEntry.begin(ledgers, key, { before: undefined, from: 0 }, never);
  void entry.sent(MIB, 0); // the first one of a second
  await until(async () => (await notedEnd()) === MIB);
  await until(async () => {
    void entry.sent(20 * MIB, 1); // left out while the one before is being written
    return (await notedEnd()) === 20 * MIB;
  });
  await entry.end();
});

test('never is more than a segment sent that is not noted on disk', async () => {
  const entry = await LedgerEntry.begin(ledgers, key, { before: undefined, from: 0 }, never);
  for (let reached = MIB; reached <= 300 * MIB; reached += MIB) {
    const noted = await notedEnd();
    assert.ok(reached - noted <= 18 * MIB, `${reached - noted} bytes are not noted`);
    await entry.sent(reached, 1);
  }
  await entry.end();
});

async function notedEnd(): Promise<number> {
  return (await ledgers.read(key))?.sent[0]?.[1] ?? 0;
}

async function until(look: () => Promise<boolean>): Promise<void> {
  for (let left = 1000; left > 0; left--) {
    if (await look()) return;
    await sleep(5);
  }
  assert.fail('waited in vain');
}

test('a try that begins behind what was sent leaves a gap', async () => {
  const entry = await LedgerEntry.begin(ledgers, key, { before: sent([0, 900]), from: 1000 }, never);
  void entry.sent(2000, 0);
  await entry.end();
  assert.deepEqual(await ledgers.read(key), sent([0, 900], [1000, 2000]));
  assert.throws(() => checkAccounted(entry.intervals, 2000, key), {
    kind: 'failed',
    code: 'restore.unaccounted',
  });
});

test('only when every byte was sent is a stream accounted for', () => {
  checkAccounted([[0, 100]], 100, key);
  for (const intervals of [
    [],
    [[0, 99]],
    [[1, 100]],
    [
      [0, 40],
      [41, 100],
    ],
  ] as [number, number][][]) {
    assert.throws(() => checkAccounted(intervals, 100, key), { code: 'restore.unaccounted' });
  }
});

test('a folder that cannot be written is said once, and the try goes on', async () => {
  writeFileSync(folder, 'a file is in the way');
  const troubles: unknown[] = [];
  const entry = await LedgerEntry.begin(ledgers, key, { before: undefined, from: 0 }, (thrown) =>
    troubles.push(thrown),
  );
  for (let n = 1; n < 5; n++) void entry.sent(n, n * 5000);
  await entry.end();
  assert.equal(troubles.length, 1);
  assert.deepEqual(entry.intervals, [[0, 4]]);
  assert.equal(await ledgers.read(key), undefined);
});

test('what a process that was killed while it wrote left goes with the ledger', async () => {
  await ledgers.write(key, sent([0, 5]));
  await ledgers.write({ ...key, target: 'new/other' }, sent([0, 5]));
  writeFileSync(`${onlyFile()}.1607.partial`, '{');
  await ledgers.remove(key.target);
  await ledgers.remove('new/other');
  assert.deepEqual(readdirSync(folder), []);
});

test('what was fetched and how the stream begins is noted beside, and read back', async () => {
  const beside = { fetched: [[0, 16 * MIB]] satisfies Interval[], begin: 'QkVHSU4=' };
  const begun = { before: undefined, from: 0, beside: () => beside };
  const entry = await LedgerEntry.begin(ledgers, key, begun, never);
  await entry.sent(2 * MIB, 0);
  await entry.end();
  assert.deepEqual(await ledgers.read(key), { sent: [[0, 2 * MIB]], ending: undefined, ...beside });
});
