import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { Proving } from '../../../agent/service/proving.ts';
import { PlaceFile } from '../../../agent/verify/places.ts';
import { dueNames, Reporter } from '../../../agent/verify/reporter.ts';
import { ZkeepError } from '../../../catalog/errors.ts';
import type { FindingsRequest } from '../../../catalog/protocol/events.ts';
import type { BackupSummary } from '../../../catalog/protocol/protocol.ts';
import type { Examined } from '../../../catalog/repository/verify.ts';
import { type BackupId, guidOf } from '../../../catalog/words.ts';
import { ManualClock } from '../../server/fixture/manual-clock.ts';
import { someBackup } from '../../server/fixture/samples.ts';

function examined(number: number, damaged = false): Examined {
  const backup = someBackup(number);
  const proof = { backup, depth: 'deep' as const, bytes: 1, frames: 0, checksums: 0 };
  const problems = [{ code: 'segment.digest', key: 'k', message: 'm' }];
  const damage = { backup, depth: 'deep' as const, problems, count: 1 };
  const seen = { backup, manifest: undefined, problems: [], checksums: 0, frames: 0 };
  return damaged ? { ...seen, proof: null, damage } : { ...seen, proof, damage: null };
}

describe('what is reported', () => {
  let clock: ManualClock;
  let brought: FindingsRequest[];
  let failure: Error | undefined;
  let reporter: Reporter;
  beforeEach(() => {
    clock = new ManualClock();
    brought = [];
    failure = undefined;
    const report: Proving['report'] = async (findings) => {
      if (failure) throw failure;
      brought.push(findings);
      return { proofs: findings.proofs.length, damage: findings.damage.length };
    };
    reporter = new Reporter({ report }, clock);
  });
  const counts = () => brought.map(({ proofs, damage }) => [proofs.length, damage.length]);

  it('are proofs by the hundred, or after half a minute, and what is left', async () => {
    for (let number = 0; number < 130; number++) await reporter.take(examined(number));
    assert.deepEqual(counts(), [[100, 0]]);
    clock.pass(30_000);
    await reporter.take(examined(130));
    await reporter.take(examined(131));
    await reporter.flush();
    await reporter.flush();
    assert.deepEqual(counts(), [
      [100, 0],
      [31, 0],
      [1, 0],
    ]);
    assert.deepEqual(reporter.reported, { proofs: 132, damage: 0 });
  });

  it('is damage at once, and the proofs of before with it', async () => {
    await reporter.take(examined(1));
    await reporter.take(examined(2, true));
    assert.deepEqual(counts(), [[1, 1]]);
  });

  it('is not lost when the service does not take it', async () => {
    await reporter.take(examined(1));
    failure = new ZkeepError('unavailable', 'service.unavailable', 'away');
    await assert.rejects(reporter.flush(), failure);
    failure = undefined;
    await reporter.flush();
    assert.deepEqual(counts(), [[1, 0]]);
  });
});

describe('the backups that are due', () => {
  it('come in the order of the service, each once, without those that are gone', async () => {
    const [one, two, gone] = [someBackup(1), someBackup(2), someBackup(3)];
    const pages: BackupId[][] = [
      [one, gone],
      [one, two],
      [one, two],
    ];
    const proofs: Proving['proofs'] = async () =>
      (pages.shift() ?? []).map((backup) => ({ backup, light: null, deep: null }));
    const view = {
      backup: async (backup: BackupId) => {
        if (backup === gone) throw new ZkeepError('missing', 'backup.missing', 'gone');
        return { backup, to: guidOf(7n) } as BackupSummary;
      },
    };
    const names: BackupId[] = [];
    for await (const { backup, to, key } of dueNames({ proving: { proofs }, view }, { depth: 'deep' })) {
      names.push(backup);
      assert.equal(key, `backups/${to}/${backup}.json`);
    }
    assert.deepEqual(names, [one, two]);
  });
});

describe('the place in a backup', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'zkeep-places-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('is the last one, for a week, and of that backup alone', () => {
    const clock = new ManualClock();
    const file = join(folder, 'verify', 'id.json');
    const place = { segments: 3, frames: 1, chance: 0.5 };
    assert.equal(new PlaceFile(file, clock).read(someBackup(1)), undefined);
    new PlaceFile(file, clock).keep(someBackup(1), place);
    const found = new PlaceFile(file, clock).read(someBackup(1));
    assert.deepEqual([found?.segments, found?.frames, found?.chance], [3, 1, 0.5]);
    assert.equal(new PlaceFile(file, clock).read(someBackup(2)), undefined);
    new PlaceFile(file, clock).drop(someBackup(2));
    assert.ok(new PlaceFile(file, clock).read(someBackup(1)));
    new PlaceFile(file, clock).drop(someBackup(1));
    assert.equal(new PlaceFile(file, clock).read(someBackup(1)), undefined);
    new PlaceFile(file, clock).keep(someBackup(1), place);
    clock.pass(8 * 24 * 3600_000);
    assert.equal(new PlaceFile(file, clock).read(someBackup(1)), undefined);
  });

  it('that cannot be read is none, and one that cannot be written is let go', () => {
    const file = join(folder, 'id.json');
    writeFileSync(file, '{"backup":');
    assert.equal(new PlaceFile(file, new ManualClock()).read(someBackup(1)), undefined);
    const below = new PlaceFile(join(file, 'no-folder'), new ManualClock());
    below.keep(someBackup(1), { segments: 1, frames: 0, chance: 0 });
    assert.equal(below.read(someBackup(1)), undefined);
  });
});
