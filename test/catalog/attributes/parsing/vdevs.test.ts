import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseOutputs } from '../../../../catalog/attributes/parsing/outputs.ts';
import {
  vdevsOfList,
  vdevsOfStatus,
  withConfiguration,
} from '../../../../catalog/attributes/parsing/vdevs.ts';
import { vdevsOfZdb } from '../../../../catalog/attributes/parsing/zdb.ts';
import { output, recorded } from '../printed.ts';

// In the form of OpenZFS's `print_list_stats`: `zpool list -vPp`.
const LIST = `NAME               SIZE       ALLOC        FREE  CKPOINT  EXPANDSZ   FRAG    CAP  DEDUP    HEALTH  ALTROOT
other         503316480      307200   503009280        -         -      3      0   1.00    ONLINE  -
  /dev/sdz    503316480      307200   503009280        -         -      3      0      -    ONLINE
tank          503316480      307200   503009280        -         -      3      0   1.00  DEGRADED  /mnt
  mirror-0    251658240      153600   251504640        -         -      3      0      -  DEGRADED
    /dev/sda1 258998272           -           -        -         -      -      -      -    ONLINE
    replacing-1         -         -           -        -         -      -      -      -  DEGRADED
      /dev/sdb1         -         -           -        -         -      -      -      -   OFFLINE
      /dev/sdc1 258998272       -           -        -         -      -      -      -    ONLINE
  draid2:4d:8c:1s-1  251658240      153600   251504640        -         -      3      0      -    ONLINE
    /my disks/a 5 1  258998272    -           -        -         -      -      -      -    ONLINE
special             -         -         -        -         -      -      -      -         -
  /dev/nvme0n1p1  503316480   1   503009280        -         -      3      0      -    ONLINE
logs                -         -         -        -         -      -      -      -         -
  mirror-3    251658240      153600   251504640        -         -      3      0      -    ONLINE
    /dev/nvme0n1p2  258998272     -           -        -         -      -      -      -    ONLINE
cache               -         -         -        -         -      -      -      -         -
  /dev/nvme1n1  503316480   1   503009280        -         -      3      0      -    ONLINE
spare               -         -         -        -         -      -      -      -         -
  /dev/sdd  258998272         -           -        -         -      -      -      -     AVAIL
  draid2-1-0  258998272         -           -        -         -      -      -      -     AVAIL
`;

const shape = (vdevs: ReturnType<typeof vdevsOfList>) =>
  vdevs.map(({ level, type, role, name, size, state }) => [level, type, role, name, size, state]);

test('a list becomes the tree of one pool, with roles, types, sizes and states', () => {
  assert.deepEqual(shape(vdevsOfList(LIST, 'tank')), [
    [0, 'mirror', 'data', 'mirror-0', '251658240', 'DEGRADED'],
    [1, 'disk', 'data', '/dev/sda1', '258998272', 'ONLINE'],
    [1, 'replacing', 'data', 'replacing-1', null, 'DEGRADED'],
    [2, 'disk', 'data', '/dev/sdb1', null, 'OFFLINE'],
    [2, 'disk', 'data', '/dev/sdc1', '258998272', 'ONLINE'],
    [0, 'draid2:4d:8c:1s', 'data', 'draid2:4d:8c:1s-1', '251658240', 'ONLINE'],
    [1, 'disk', 'data', '/my disks/a 5 1', '258998272', 'ONLINE'],
    [0, 'disk', 'special', '/dev/nvme0n1p1', '503316480', 'ONLINE'],
    [0, 'mirror', 'log', 'mirror-3', '251658240', 'ONLINE'],
    [1, 'disk', 'log', '/dev/nvme0n1p2', '258998272', 'ONLINE'],
    [0, 'disk', 'cache', '/dev/nvme1n1', '503316480', 'ONLINE'],
    [0, 'disk', 'spare', '/dev/sdd', '258998272', 'AVAIL'],
    [0, 'disk', 'spare', 'draid2-1-0', '258998272', 'AVAIL'],
  ]);
});

test('a list without indentation gives the same tree, but for what is being replaced', () => {
  const bare = LIST.split('\n')
    .filter((line) => !/^NAME|replacing|sdb1|sdc1/.test(line))
    .map((line) => (line.startsWith(' ') ? `\t${line.trim().replace(/ {2,}/g, '\t')}` : line))
    .join('\n');
  const indented = vdevsOfList(LIST, 'tank').filter(({ name }) => !/replacing|sdb1|sdc1/.test(name));
  assert.deepEqual(shape(vdevsOfList(bare, 'tank')), shape(indented));
});

test('the recorded list has one disk, whose size in words is not taken for bytes', () => {
  assert.deepEqual(shape(vdevsOfList(recorded('zpool-list-vHP.out').toString(), 'mgspool')), [
    [0, 'disk', 'data', '/root/rec/mgs.img', null, 'ONLINE'],
  ]);
});

test('the recorded status of a mirror with one side gone is read', () => {
  assert.deepEqual(shape(vdevsOfStatus(recorded('status-degraded.out').toString(), 'mir')), [
    [0, 'mirror', 'data', 'mirror-0', null, 'DEGRADED'],
    [1, 'disk', 'data', '/root/rec/m1.img', null, 'ONLINE'],
    [1, 'disk', 'data', '/root/rec/m2.img', null, 'OFFLINE'],
  ]);
  assert.deepEqual(vdevsOfStatus(recorded('status-degraded.out').toString(), 'other'), []);
});

test('sections of a status give roles, and its errors no vdevs', () => {
  const status = `  pool: tank
 state: ONLINE
status: Some supported features are not enabled on the pool.
\tThe pool can still be used.
config:

\tNAME          STATE     READ WRITE CKSUM
\ttank          ONLINE       0     0     0
\t  /dev/sda    ONLINE       0     0     0  block size: 512B configured, 4096B native
\tlogs
\t  /dev/sdb    ONLINE       0     0     0
\tspares
\t  /dev/sdc    AVAIL

errors: No known data errors
`;
  assert.deepEqual(shape(vdevsOfStatus(status, 'tank')), [
    [0, 'disk', 'data', '/dev/sda', null, 'ONLINE'],
    [0, 'disk', 'log', '/dev/sdb', null, 'ONLINE'],
    [0, 'disk', 'spare', '/dev/sdc', null, 'AVAIL'],
  ]);
});

const ZDB = `
MOS Configuration:
        version: 5000
        name: 'tank'
        vdev_tree:
            type: 'root'
            id: 0
            children[0]:
                type: 'mirror'
                id: 0
                ashift: 12
                children[0]:
                    type: 'disk'
                    id: 0
                    path: '/dev/sda1'
                children[1]:
                    type: 'disk'
                    id: 1
                    path: '/dev/sdb1'
            children[1]:
                type: 'raidz'
                id: 1
                nparity: 2
                ashift: 9
                children[0]:
                    type: 'file'
                    path: '/img: a'
            children[2]:
                type: 'hole'
                id: 2
                ashift: 0
        features_for_read:
            com.delphix:hole_birth
`;

test('a configuration tells the ashift of each vdev and of what it is made of', () => {
  assert.deepEqual(
    [...vdevsOfZdb(ZDB).values()].toSorted((one, other) => (one.name < other.name ? -1 : 1)),
    [
      { name: '/dev/sda1', type: 'disk', ashift: 12 },
      { name: '/dev/sdb1', type: 'disk', ashift: 12 },
      { name: '/img: a', type: 'file', ashift: 9 },
      { name: 'mirror-0', type: 'mirror', ashift: 12 },
      { name: 'raidz2-1', type: 'raidz2', ashift: 9 },
    ],
  );
});

test('the recorded configuration says that the disk is a file', () => {
  const vdevs = vdevsOfList(recorded('zpool-list-vHP.out').toString(), 'mgspool');
  const [told] = withConfiguration(vdevs, vdevsOfZdb(recorded('zdb-C-imported.out').toString()));
  assert.deepEqual([told?.type, told?.ashift], ['file', 9]);
});

test('the label of a disk tells the ashift of its top-level vdev', () => {
  const label = `    name: 'tank'
    vdev_tree:
        type: 'mirror'
        id: 3
        ashift: 12
        children[0]:
            type: 'disk'
            path: '/dev/sda1'
    features_for_read:
`;
  assert.deepEqual(
    [...vdevsOfZdb(label).values()],
    [
      { name: '/dev/sda1', type: 'disk', ashift: 12 },
      { name: 'mirror-3', type: 'mirror', ashift: 12 },
    ],
  );
});

test('where zdb says nothing, properties of vdevs tell the ashift, and the JSON of a status what is a file', () => {
  const properties = [
    'root-0\tpath\t-\t-',
    'root-0\tashift\t0\t-',
    'mirror-0\tpath\t-\t-',
    'mirror-0\tashift\t12\t-',
    'sda\tpath\t/dev/sda1\t-',
    'sda\tashift\t12\t-',
    'draid2-1\tashift\t13\t-',
  ].join('\n');
  const status = {
    pools: {
      tank: {
        vdevs: {
          tank: {
            name: 'tank',
            vdev_type: 'root',
            vdevs: { '/my disks/a 5 1': { name: '/my disks/a 5 1', vdev_type: 'file' } },
          },
        },
      },
    },
  };
  const { pool } = parseOutputs('tank/a', [
    output('zpool list -vPp tank', LIST),
    { ...output('zdb -C tank', ''), exit: 1, error: "zdb: can't open 'tank': No such file or directory" },
    output('zpool get -Hp path,ashift tank all-vdevs', properties),
    output('zpool status -j -P tank', JSON.stringify(status)),
  ]);
  const told = pool?.vdevs.slice(0, 7).map(({ type, ashift }) => [type, ashift]);
  assert.deepEqual(told, [
    ['mirror', 12],
    ['disk', 12],
    ['replacing', null],
    ['disk', null],
    ['disk', null],
    ['draid2:4d:8c:1s', 13],
    ['file', null],
  ]);
});
