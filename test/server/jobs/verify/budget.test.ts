import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseConfiguration } from '../../../../server/configuration/configuration.ts';
import { Budget } from '../../../../server/jobs/verify/budget.ts';
import { ManualClock } from '../../fixture/manual-clock.ts';

function ledger() {
  const days = new Map<string, number>();
  return {
    days,
    read: (day: string) => days.get(day) ?? 0,
    spend: (day: string, bytes: number) => void days.set(day, (days.get(day) ?? 0) + bytes),
  };
}

test('a budget counts what was read and what is noted, and is used up at its end', () => {
  const notes = ledger();
  const budget = new Budget(notes, { clock: new ManualClock(), perDay: 100, zone: 'UTC' });
  budget.read(60);
  assert.deepEqual([budget.usedToday, budget.isUsedUp, notes.days.size], [60, false, 0]);
  budget.note();
  budget.note();
  assert.deepEqual([...notes.days.values()], [60]);
  budget.read(40);
  assert.ok(budget.isUsedUp);
});

test('a day is one of the zone, also where it has 25 hours', () => {
  const notes = ledger();
  // 24 October 2026, 23:30 in Berlin; the clocks go back in the night.
  const clock = new ManualClock(Date.UTC(2026, 9, 24, 21, 30));
  const budget = new Budget(notes, { clock, perDay: 10, zone: 'Europe/Berlin' });
  const spend = () => {
    budget.read(1);
    budget.note();
  };
  spend();
  clock.pass(3600_000);
  spend();
  clock.pass(24 * 3600_000);
  spend();
  clock.pass(3600_000);
  spend();
  assert.deepEqual(
    [...notes.days],
    [
      ['2026-10-24', 1],
      ['2026-10-25', 2],
      ['2026-10-26', 1],
    ],
  );
});

test('the settings that CONFIGURATION.md shows for proofs are settings', () => {
  const file = fileURLToPath(new URL('../../../../server/configuration/CONFIGURATION.md', import.meta.url));
  const page = readFileSync(file, 'utf8');
  const [, toml = ''] = /## Proofs\n\n```toml\n([\s\S]*?)```/.exec(page) ?? [];
  const { jobs } = parseConfiguration(toml, 'server.toml', { data: '/var/lib/zkeep' });
  assert.deepEqual(jobs.verify, {
    schedule: 'every hour',
    light: 7 * 86_400_000,
    deep: 90 * 86_400_000,
    bytesPerDay: 102_400 * 1024 * 1024,
    secondDecoder: 0.01,
    identityFile: '/etc/zkeep/age.key',
  });
});
