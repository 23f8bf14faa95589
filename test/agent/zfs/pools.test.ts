import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseFeatures, parseProperties, parseVersions } from '../../../agent/zfs/pools/abilities.ts';
import {
  contentsOf,
  holdersOf,
  mountsOf,
  nodesOf,
  parseBlockDevices,
} from '../../../agent/zfs/pools/block-devices.ts';
import { parseAbove, parseDevices, parseImportable } from '../../../agent/zfs/pools/pools.ts';
import { factsOfDevice, parseLabel } from '../../../agent/zfs/pools/vdevs.ts';

const recorded = (name: string) =>
  readFileSync(new URL(`../../fixtures/outputs/${name}`, import.meta.url), 'utf8');

/** As `zpool upgrade -v` prints it (OpenZFS `zpool_main.c`). */
const UPGRADE = `This system supports ZFS pool feature flags.

The following features are supported:

FEAT DESCRIPTION
-------------------------------------------------------------
async_destroy                         (read-only compatible)
     Destroy filesystems asynchronously.
lz4_compress                         
     LZ4 compression algorithm support.
a_name_that_is_longer_than_its_column_of_37 (read-only compatible)
     It has a description of several words.

The following legacy versions are also supported:

VER  DESCRIPTION
---  --------------------------------------------------------
 1   Initial ZFS version
 28  Multiple vdev replacements

For more information on a particular version, including supported releases,
see the ZFS Administration Guide.
`;

describe('what ZFS can do', () => {
  it('is read from zpool upgrade -v: features, and nothing of the legacy versions', () => {
    assert.deepEqual(
      [...parseFeatures(UPGRADE)],
      ['async_destroy', 'lz4_compress', 'a_name_that_is_longer_than_its_column_of_37'],
    );
    assert.deepEqual(
      [...parseFeatures(UPGRADE.slice(0, UPGRADE.indexOf('\nThe following legacy')))].length,
      3,
    );
    assert.equal(parseFeatures('see\nthe\nguide\n').size, 0);
  });

  it('is read from the usage of zfs get and zpool get', () => {
    const zfs = `missing property=value argument(s)
usage:
	get [-rHp] [-d max] [-j [--json-int]] [-o "all" | field[,...]]
	    <"all" | property[,...]> [filesystem|volume|snapshot|bookmark] ...

The following properties are supported:

	PROPERTY              EDIT  INHERIT   VALUES

	available               NO       NO   <size>
	compression            YES      YES   on | off | lz4
	userused@...            NO       NO   <size>
	written@<snap>          NO       NO   <size>

User-defined properties can be specified by using a name containing a colon (:).
`;
    assert.deepEqual([...parseProperties(zfs)], ['available', 'compression']);
    const zpool =
      '\tPROPERTY             EDIT   VALUES\n\n\tallocated              NO   <size>\n\tmultihost             YES   on | off\n\tfeature@...           YES   disabled\n';
    assert.deepEqual([...parseProperties(zpool)], ['allocated', 'multihost']);
  });

  it('is read from zfs version, also where the module does not answer', () => {
    assert.deepEqual(parseVersions('zfs-2.3.9-0+deb13u1\nzfs-kmod-2.2.2-1\n'), {
      version: '2.3.9-0+deb13u1',
      module: '2.2.2-1',
    });
    assert.deepEqual(parseVersions('zfs-2.1.11\n'), { version: '2.1.11', module: null });
    assert.deepEqual(parseVersions(''), { version: null, module: null });
  });
});

describe('pools', () => {
  it('that could be imported are read from a real list', () => {
    const real = recorded('zpool-import-list.out');
    assert.deepEqual(parseImportable(real), [{ name: 'mgspool', id: '7638985747920707416' }]);
    const two = `${real}\n   pool: two words\n     id: 18446744073709551615\n  state: UNAVAIL\n`;
    assert.equal(parseImportable(two)[1]?.name, 'two words');
    assert.deepEqual(parseImportable('no pools available to import\n'), []);
  });

  it('have their devices in a list, logs and spares as well', () => {
    assert.deepEqual(
      [...parseDevices(recorded('../attributes/zpool-list-vHP.out'))],
      [['/root/rec/mgs.img', 'mgspool']],
    );
    const printed = [
      'tank\t480M\t300K\t480M\t-\t-\t3%\t0%\t1.00x\tONLINE\t-',
      '\tmirror-0\t512M\t300K\t480M\t-\t-\t3%\t0.06%\t-\tONLINE',
      '\t/dev/sda1\t512M\t-\t-\t-\t-\t-\t-\t-\tONLINE',
      'logs               -      -      -        -         -      -      -      -         -',
      '\t/dev/disk/two words\t512M\t-\t-\t-\t-\t-\t-\t-\tONLINE',
      'gone\t-\t-\t-\t-\t-\t-\t-\t-\tUNAVAIL\t-',
      '\t/dev/sdb\t-\t-\t-\t-\t-\t-\t-\t-\tUNAVAIL',
      '',
    ];
    assert.deepEqual(
      [...parseDevices(printed.join('\n'))],
      [
        ['/dev/sda1', 'tank'],
        ['/dev/disk/two words', 'tank'],
        ['/dev/sdb', 'gone'],
      ],
    );
  });

  it('have room as the dataset above says', () => {
    const above = { name: 'tank/enc', parent: true };
    assert.deepEqual(parseAbove('tank/enc\t1024\taes-256-gcm\tunavailable\n', 'tank/enc', true), {
      ...above,
      available: 1024,
      encrypted: true,
      keystatus: 'unavailable',
    });
    const plain = { available: null, encrypted: false, keystatus: null };
    assert.deepEqual(parseAbove('tank/enc\t-\toff\t-\n', 'tank/enc', true), { ...above, ...plain });
    assert.deepEqual(parseAbove('', 'tank/enc', true), { ...above, ...plain });
  });
});

describe('the label of a device', () => {
  const real = recorded('zdb-l.out');

  it('is read from a real one', () => {
    assert.deepEqual(parseLabel(real), { pool: 'mgspool', state: 'active' });
  });

  it('tells what became of the pool', () => {
    const inState = (state: number) => parseLabel(real.replace('state: 0', `state: ${state}`))?.state;
    assert.deepEqual([0, 1, 2, 3, 4, 5].map(inState), [
      'active',
      'exported',
      'destroyed',
      'spare',
      'cache',
      'other',
    ]);
  });

  it('may know no pool, or not be there', () => {
    assert.deepEqual(parseLabel('    version: 5000\n    state: 3\n    guid: 1\n'), {
      pool: 'unknown',
      state: 'spare',
    });
    assert.equal(parseLabel('failed to unpack label 0\nfailed to unpack label 1\n'), null);
  });

  it('of a pool whose creation failed is none, as ZFS has it', () => {
    const failed = real.replace(/^ {4}txg: \d+$/m, '    txg: 0');
    assert.notEqual(failed, real);
    assert.equal(parseLabel(failed), null);
    assert.equal(parseLabel(`${failed}\n${real}`)?.pool, 'mgspool', 'another of its labels counts');
  });
});

describe('block devices', () => {
  const part = { path: '/dev/sda1', type: 'part', size: 100, fstype: 'zfs_member', mountpoints: [null] };
  const raid = { path: '/dev/md0', type: 'raid1', fstype: 'ext4', mountpoints: ['/srv'] };
  const members = {
    path: '/dev/sda2',
    type: 'part',
    fstype: 'linux_raid_member',
    mountpoints: [null],
    children: [raid],
  };
  const disk = {
    path: '/dev/sda',
    type: 'disk',
    size: 500,
    ro: false,
    fstype: null,
    mountpoints: [null],
    'log-sec': 512,
    'phy-sec': 4096,
  };
  const printed = (device: object) => JSON.stringify({ blockdevices: [device] });

  it('tell of themselves, of their parts, and of what is built upon them', () => {
    const device = parseBlockDevices(printed({ ...disk, children: [part, members] }));
    assert.ok(device);
    assert.deepEqual(
      [device.size, device.readonly, device.sectors],
      [500, false, { physical: 4096, logical: 512 }],
    );
    assert.deepEqual(
      nodesOf(device).map(({ path }) => path),
      ['/dev/sda', '/dev/sda1', '/dev/sda2'],
    );
    assert.deepEqual(mountsOf(device), ['/srv']);
    assert.deepEqual(holdersOf(device), ['raid1 /dev/md0']);
    assert.deepEqual(contentsOf(device), ['zfs_member', 'linux_raid_member']);
  });

  it('belong to a pool by any of their partitions, or have its label there', () => {
    const free = { ...part, path: '/dev/sda3', fstype: null };
    const device = parseBlockDevices(
      printed({ ...disk, fstype: 'zfs_member', children: [part, members, free] }),
    );
    assert.ok(device);
    const told = factsOfDevice(device, new Map([['/dev/sda3', 'tank']]));
    assert.equal(told.pool, 'tank');
    assert.deepEqual(told.contents, ['linux_raid_member']);
    assert.deepEqual(told.labelled, ['/dev/sda', '/dev/sda1']);
    assert.equal(factsOfDevice(device, new Map()).pool, null);
  });

  it('are read also in the words of older versions', () => {
    const old = {
      path: '/dev/sdb',
      type: 'disk',
      size: '500',
      ro: '1',
      mountpoint: '[SWAP]',
      'log-sec': '512',
      'phy-sec': '512',
    };
    const device = parseBlockDevices(printed(old));
    assert.deepEqual([device?.size, device?.readonly, device?.mounts], [500, true, ['[SWAP]']]);
  });

  it('are none in anything else, and never end in an error', () => {
    for (const text of [
      '',
      'no json',
      '[]',
      '{"blockdevices":[]}',
      '{"blockdevices":[{"path":7}]}',
      'null',
    ]) {
      assert.equal(parseBlockDevices(text), undefined);
    }
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const device = parseBlockDevices(
          JSON.stringify({ blockdevices: [{ ...disk, children: [value], size: value }] }),
        );
        assert.equal(device?.path, '/dev/sda');
      }),
    );
  });

  it('are not followed without end', () => {
    let device: object = { path: '/dev/end' };
    for (let depth = 0; depth < 1000; depth++) device = { path: '/dev/x', type: 'part', children: [device] };
    const read = parseBlockDevices(printed(device));
    assert.ok(read && nodesOf(read).length <= 21);
  });
});
