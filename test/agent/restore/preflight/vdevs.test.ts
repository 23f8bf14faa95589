import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { VdevFacts } from '../../../../agent/zfs/pools/vdevs.ts';
import { codes, newPool, only, vdev } from './made-facts.ts';

/** A mirror of which one disk is as told. */
const withDisk = (changes: Partial<VdevFacts>, plan = {}) => ({
  // Nothing to be stored, so that room is no matter.
  datasets: [],
  pool: newPool({ vdevs: [vdev('/dev/sdd1', changes), vdev('/dev/sde1')], plan }),
});

describe('a disk for a new pool', () => {
  const cases: [string, Partial<VdevFacts>, string, RegExp][] = [
    ['that is missing', { kind: 'missing', path: null }, 'refuse vdev-missing', /lsblk/],
    ['that is a folder', { kind: 'other' }, 'refuse vdev-unfit', /name a disk/],
    ['that is read-only', { readonly: true }, 'refuse vdev-readonly', /blockdev --setrw/],
    ['that is too small', { size: 63 * 1024 ** 2 }, 'refuse vdev-too-small', /larger/],
    ['that is a file too small', { kind: 'file', size: 10 }, 'refuse vdev-too-small', /truncate -s/],
    [
      'of an imported pool',
      { pool: 'tank' },
      'refuse vdev-in-pool',
      /zpool export tank, zpool labelclear -f/,
    ],
    ['that is mounted', { mounts: ['/home', '[SWAP]'], contents: ['ext4'] }, 'refuse vdev-mounted', /umount/],
    [
      'with LVM upon it',
      { holders: ['lvm /dev/mapper/a'], contents: ['LVM2_member'] },
      'refuse vdev-held',
      /LVM/,
    ],
    ['with a file system', { contents: ['xfs'] }, 'refuse vdev-holds-data', /wipefs --all/],
    [
      'of a pool that was exported',
      { label: { pool: 'old', state: 'exported' } },
      'refuse vdev-label',
      /labelclear -f/,
    ],
    [
      'of a pool that another host may have',
      { label: { pool: 'old', state: 'active' } },
      'refuse vdev-label',
      /labelclear/,
    ],
    [
      'of a pool that was destroyed',
      { label: { pool: 'old', state: 'destroyed' } },
      'warn vdev-label',
      /zpool import -D/,
    ],
  ];
  for (const [what, changes, code, advice] of cases) {
    it(`${what} gives one finding: ${code}`, () => {
      assert.deepEqual(codes(withDisk(changes)), [code]);
      const found = only(withDisk(changes));
      assert.match(found.advice, advice);
      assert.equal(found.facts['vdev'], '/dev/sdd1');
    });
  }

  it('is asked by its whole path where a bare name is nothing', () => {
    const vdevs = [vdev('disk.img', { kind: 'missing', path: null }), vdev('/dev/sde1')];
    assert.match(only({ pool: newPool({ vdevs }) }).advice, /whole path/);
  });

  it('may be a spare of several pools', () => {
    const shared: Partial<VdevFacts>[] = [{ pool: 'tank' }, { label: { pool: 'unknown', state: 'spare' } }];
    for (const changes of shared) {
      assert.deepEqual(codes(withDisk({ ...changes, role: 'spare' })), []);
      assert.equal(codes(withDisk({ ...changes, role: 'cache' })).length, 1);
    }
  });

  it('may not be named twice, under whatever name', () => {
    const vdevs = [vdev('/dev/sdd1'), vdev('/dev/disk/by-id/x', { path: '/dev/sdd1' })];
    assert.deepEqual(codes({ pool: newPool({ vdevs }) }), ['refuse vdev-twice']);
  });

  it('is found wanting in every way at once, each disk for itself', () => {
    const vdevs = [vdev('/dev/sdd1', { size: 10, contents: ['ext4'] }), vdev('/dev/sde1', { mounts: ['/'] })];
    assert.deepEqual(codes({ datasets: [], pool: newPool({ vdevs }) }), [
      'refuse vdev-too-small',
      'refuse vdev-holds-data',
      'refuse vdev-mounted',
    ]);
  });

  it('has no sectors larger than the pool writes', () => {
    const sectors = { physical: 4096, logical: 4096 };
    const found = only(withDisk({ sectors }, { ashift: 9 }));
    assert.equal(found.code, 'preflight.ashift-too-small');
    assert.match(found.advice, /--ashift 12/);
    assert.deepEqual(codes(withDisk({ sectors: { physical: 4096, logical: 512 } }, { ashift: 9 })), [
      'warn ashift-slow',
    ]);
    assert.deepEqual(codes(withDisk({ sectors }, { ashift: 12 })), []);
    assert.deepEqual(codes(withDisk({ sectors }, { ashift: null })), []);
  });
});

describe("zpool's own look", () => {
  const trial = 'invalid vdev specification use -f to override: /dev/sdd1 is part of exported pool old';

  it('has the last word', () => {
    const found = only({ pool: newPool({ trial }) });
    assert.equal(found.code, 'preflight.pool-refused');
    assert.match(found.message, /zpool would not create new: .*part of exported pool/);
  });

  it('is not repeated where the reason is known', () => {
    const vdevs = [vdev('/dev/sdd1', { contents: ['ext4'] }), vdev('/dev/sde1')];
    assert.deepEqual(codes({ pool: newPool({ trial, vdevs }) }), ['refuse vdev-holds-data']);
    assert.deepEqual(codes({ pool: newPool({ trial, folderInUse: true }) }), ['refuse folder-in-use']);
  });
});
