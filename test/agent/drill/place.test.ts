import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { DrillMark } from '../../../agent/drill/mark.ts';
import { ZkeepError } from '../../../catalog/errors.ts';
import { StandIns } from '../stand-ins.ts';

const host = new StandIns();
after(() => host.end());
process.env['PATH'] = host.path;
// Only now: where commands are looked for is read once.
const { clearPlace, drillPlace, makePlaceCommand } = await import('../../../agent/drill/place.ts');

const mark: DrillMark = { began: '2026-11-20T21:50:00.123Z', process: 4711, boot: '6b0d', kept: false };
const container = 'scratch/drill/zkeep-drill-20261120T215000Z-0123abcd';
const text = '2026-11-20T21:50:00.123Z process 4711 of boot 6b0d';

test('a place without a name in ZFS, or with one that grows too long, is a usage error', () => {
  const isUsage = (thrown: unknown) => thrown instanceof ZkeepError && thrown.kind === 'usage';
  for (const scratch of ['', '-r', 'scratch@one', `scratch/${'x'.repeat(230)}`]) {
    assert.throws(() => drillPlace(scratch, mark), isUsage, scratch);
  }
});

test('two drills of one moment have different places', () => {
  assert.notEqual(drillPlace('scratch', mark).container, drillPlace('scratch', mark).container);
});

test('the place is marked as it is made, mounted nowhere, and its volumes have no devices', () => {
  const place = drillPlace('scratch/drill', mark, '0123abcd');
  assert.deepEqual([place.container, place.target, place.mark], [container, `${container}/data`, text]);
  assert.deepEqual(makePlaceCommand(place), [
    ...['zfs', 'create', '-o', 'canmount=off', '-o', 'mountpoint=none', '-o', 'volmode=none'],
    ...['-o', `zkeep:drill=${text}`, container],
  ]);
});

test('only a place that bears the mark of this very drill is destroyed', async () => {
  const ask = ['get', '-Hp', '-s', 'local', '-o', 'value', 'zkeep:drill', container];
  const destroys = () => host.calls.filter((call) => call.startsWith('zfs destroy'));
  host.answer('zfs', ['destroy', '-r', container], {});
  for (const other of ['', `${text} kept\n`, `${text.replace('4711', '4712')}\n`]) {
    host.answer('zfs', ask, { out: other });
    await assert.rejects(clearPlace({ container, mark: text }, 1), { code: 'drill.left' });
  }
  assert.deepEqual(destroys(), []);
  host.answer('zfs', ask, { out: `${text}\n` });
  await clearPlace({ container, mark: text }, 1);
  assert.deepEqual(destroys(), [`zfs destroy -r ${container}`]);
  host.answer('zfs', ask, { exit: 1, err: `cannot open '${container}': dataset does not exist\n` });
  await clearPlace({ container, mark: text }, 1);
});
