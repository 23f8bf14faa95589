import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { atWorkIn, type Looking, whileAtWork } from '../../../../agent/backup/tidy/at-work.ts';
import { refreshName, takerOf } from '../../../../agent/backup/tidy/names.ts';
import { point, source } from '../resume/facts.ts';

const NOW = Date.UTC(2026, 10, 20, 9);
const STARTED = NOW - 3_600_000;
const LOOKING: Looking = { process: 1, ours: new Set(), lives: (id) => id === 42, started: STARTED };

function found(process: number, created: number, more: Partial<Looking> = {}): boolean {
  const name = refreshName(created, process, () => false);
  const points = [point('tank/a', name, 5, { created: Math.floor(created / 1000) })];
  return atWorkIn([source('tank/a', points)], { ...LOOKING, ...more }).has(`tank/a@${name}`);
}

describe('a temporary snapshot', () => {
  it('is at work while the process lives that took it', () => {
    assert.deepEqual([found(42, NOW), found(43, NOW)], [true, false]);
  });

  it('is not where this host was started since: another process has that number now', () => {
    assert.equal(found(42, STARTED - 60_000), false);
  });

  it('of this process is at work only while a run of it says so', async () => {
    assert.equal(found(1, NOW), false);
    const name = refreshName(NOW, process.pid, () => false);
    const points = [point('tank/a', name, 5, { created: Math.floor(Date.now() / 1000) })];
    const look = () => atWorkIn([source('tank/a', points)]).size;
    assert.equal(await whileAtWork([`tank/a@${name}`], async () => look()), 1);
    assert.equal(look(), 0);
  });

  it('bears a name that no other snapshot has, and tells its process', () => {
    const first = refreshName(NOW, 7, () => false);
    const second = refreshName(NOW, 7, (name) => name === first);
    assert.notEqual(first, second);
    assert.deepEqual([first, second].map(takerOf), [7, 7]);
    assert.equal(takerOf('zkeep-20261120T090000Z'), undefined);
  });
});
