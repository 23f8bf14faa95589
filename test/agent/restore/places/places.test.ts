import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { isOfEarlierTry } from '../../../../agent/restore/places/pool.ts';
import { parentsToMake, targetsOf } from '../../../../agent/restore/places/tree.ts';
import { ZkeepError } from '../../../../catalog/errors.ts';

describe('the places of a set', () => {
  it('are the paths without their pool, parents first', () => {
    assert.deepEqual(
      [...targetsOf(['tank/a/b', 'tank/a', 'mdt/mdt0'], 'new/x')],
      [
        ['tank/a', 'new/x/a'],
        ['tank/a/b', 'new/x/a/b'],
        ['mdt/mdt0', 'new/x/mdt0'],
      ],
    );
  });

  it('keep the pools where one is among them, or two would go to one place', () => {
    assert.deepEqual([...targetsOf(['tank', 'tank/a'], 'new').values()], ['new/tank', 'new/tank/a']);
    assert.deepEqual([...targetsOf(['p/a', 'q/a'], 'new').values()], ['new/p/a', 'new/q/a']);
  });

  it('are as many as the datasets, and each comes after what is above it', () => {
    const part = fc.constantFrom('a', 'b', 'c');
    const path = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => `p${parts.join('/')}`);
    fc.assert(
      fc.property(fc.uniqueArray(path, { minLength: 1, maxLength: 8 }), (datasets) => {
        const places = [...targetsOf(datasets, 'new').values()];
        assert.equal(new Set(places).size, datasets.length);
        places.forEach((place, at) => {
          assert.ok(!places.slice(0, at).some((before) => before.startsWith(`${place}/`)), places.join(' '));
        });
      }),
    );
  });

  it('need what is missing above them, the upper ones first', () => {
    const there = (dataset: string) => dataset === 'new';
    assert.deepEqual(parentsToMake(['new/a/b/c', 'new/a/b/c/d'], there), ['new/a', 'new/a/b']);
    assert.deepEqual(parentsToMake(['new/a', 'new/a/b'], there), []);
  });

  it('are nowhere without a pool', () => {
    assert.throws(
      () => parentsToMake(['new/a'], () => false),
      (thrown) =>
        thrown instanceof ZkeepError && thrown.kind === 'missing' && thrown.code === 'restore.no-parent',
    );
  });
});

describe('a pool that stands already', () => {
  const standing = { devices: ['/dev/sdd1', '/dev/disk/x-part1', '/img'], datasets: ['new', 'new/a'] };
  const devices = ['/dev/sdd', '/dev/disk/x', '/img'];

  it('is of an earlier try when it is of these devices, and holds nothing else', () => {
    assert.ok(isOfEarlierTry(standing, devices, ['new', 'new/a', 'new/a/b']));
  });

  it('is not when it holds something of its own, has another device, or one more', () => {
    assert.ok(!isOfEarlierTry({ ...standing, datasets: ['new', 'new/other'] }, devices, ['new', 'new/a']));
    assert.ok(!isOfEarlierTry(standing, ['/dev/sd', '/dev/disk/x', '/img'], ['new', 'new/a']));
    assert.ok(!isOfEarlierTry(standing, devices.slice(1), ['new', 'new/a']));
    assert.ok(
      !isOfEarlierTry({ ...standing, devices: ['/dev/sdd15', '/dev/disk/x-part1', '/img'] }, devices, [
        'new',
        'new/a',
      ]),
    );
  });
});
