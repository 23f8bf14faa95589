/** Several datasets at one moment, and a run that is interrupted in the middle of one. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { backUp, eachAnew, halfway, host, house, isStored, kill, MIB } from './halfway.ts';

eachAnew();

describe('a set that was interrupted', () => {
  it('is whole in the end: what was interrupted, and what had not begun', async () => {
    const stream = host.makeStream('tank/a', 101, 'full', 20);
    host.makeStream('tank/b', 201, 'full', 1);
    host.makeStream('tank/a', 102, 'incremental', 0.1);
    host.makeStream('tank/b', 202, 'incremental', 0.1);
    await kill(await halfway(['tank/a', 'tank/b'], 17 * MIB));
    const { backups, set } = await backUp(['tank/a', 'tank/b']);
    assert.deepEqual(
      backups.map(({ dataset, kind, resumed }) => [dataset, kind, resumed?.how]),
      [
        ['tank/a', 'full', 'resumed'],
        ['tank/b', 'full', undefined],
        ['tank/a', 'incremental', undefined],
        ['tank/b', 'incremental', undefined],
      ],
    );
    assert.deepEqual(
      backups.map((row) => row.set === backups[0]?.set),
      [true, true, false, false],
    );
    assert.equal(set, backups[2]?.set);
    await isStored('tank/a', 101, stream);
    assert.equal(await house.isClean(), 4);
  });

  it('keeps the snapshots of all its members at SIGTERM', async () => {
    host.makeStream('tank/a', 101, 'full', 20);
    host.makeStream('tank/b', 201, 'full', 1);
    await kill(await halfway(['tank/a', 'tank/b'], 17 * MIB), 'SIGTERM');
    assert.deepEqual(host.points, ['tank/a@X+', 'tank/b@X+']);
  });

  it('does not keep the datasets from being backed up that are not in its way', async () => {
    host.makeStream('tank/a', 101, 'full', 20);
    host.makeStream('tank/b', 201, 'full', 1);
    const running = await halfway(['tank/a'], 17 * MIB);
    const { backups } = await backUp(['tank/a', 'tank/b'], 7);
    assert.deepEqual(
      backups.map(({ dataset, outcome, error }) => [dataset, outcome, error?.code]),
      [
        ['tank/a', 'failed', 'backup.busy'],
        ['tank/b', 'stored', undefined],
      ],
    );
    await kill(running);
  });
});
