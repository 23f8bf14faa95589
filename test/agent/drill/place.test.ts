import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drillPlace, makePlaceCommand, parseMarks } from '../../../agent/drill/place.ts';
import { ZkeepError } from '../../../catalog/errors.ts';

const NOW = Date.parse('2026-11-20T21:50:00.123Z');
const container = 'scratch/drill/zkeep-drill-20261120T215000Z-0123abcd';

test('a place without a name in ZFS, or with one that grows too long, is a usage error', () => {
  const isUsage = (thrown: unknown) => thrown instanceof ZkeepError && thrown.kind === 'usage';
  for (const scratch of ['', '-r', 'scratch@one', `scratch/${'x'.repeat(230)}`]) {
    assert.throws(() => drillPlace(scratch, NOW), isUsage, scratch);
  }
});

test('two drills of one moment have different places', () => {
  assert.notEqual(drillPlace('scratch', NOW).container, drillPlace('scratch', NOW).container);
});

test('the place is marked as it is made, and mounted nowhere', () => {
  const place = drillPlace('scratch/drill', NOW, '0123abcd');
  assert.deepEqual([place.container, place.target], [container, `${container}/data`]);
  const command = makePlaceCommand(place).join(' ');
  assert.equal(
    command,
    `zfs create -o canmount=off -o mountpoint=none -o zkeep:drill=2026-11-20T21:50:00.123Z ${container}`,
  );
});

test('only what is called as a drill calls it counts as one that was left', () => {
  const printed = `scratch/drill/mine\tx\n${container}\t2026-11-20T21:50:00.123Z\n${container}/data\tx\n`;
  assert.deepEqual(parseMarks(printed), [container]);
  assert.deepEqual(parseMarks(''), []);
});
