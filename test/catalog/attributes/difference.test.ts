import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ParsedAttributes, Vdev } from '../../../catalog/attributes/attributes.ts';
import { compareSettings, type Setting, settingsOf } from '../../../catalog/attributes/difference.ts';
import { parseOutputs } from '../../../catalog/attributes/parsing/outputs.ts';
import { DATASET, objectsWith, output, recorded, values } from './printed.ts';

const mgt = () =>
  parseOutputs('mgspool/mgt', [
    output('zfs get -rHp all mgspool', recorded('zfs-get-rHp-all.out')),
    output('zpool get -Hp all mgspool', recorded('zpool-get-Hp-all.out')),
    output('zpool list -vHP mgspool', recorded('zpool-list-vHP.out')),
    output('zdb -C mgspool', recorded('zdb-C-imported.out')),
    output('zfs version -j', recorded('zfs-version-j.json')),
  ]);

/** The same outputs of a pool and dataset of other names. */
const renamed = (parsed: ParsedAttributes, from: string, to: string): ParsedAttributes =>
  JSON.parse(JSON.stringify(parsed).replaceAll(from, to));

const mdt = (when: string) =>
  settingsOf(
    parseOutputs('mdtpool/mdt0', [
      output('zfs get -rHp -o all all', recorded(`lustre/zfs-get-all.${when}.txt`)),
    ]),
    'mdtpool/mdt0',
  );

const inWords = (changes: ReturnType<typeof compareSettings>) =>
  changes.map(({ property, before, after }) => [property, before?.value ?? null, after?.value ?? null]);

test('the settings of the recorded file system are what was chosen, not what changes by itself', () => {
  const settings = settingsOf(mgt(), 'mgspool/mgt');
  const local = settings.filter(({ scope, source }) => scope === 'dataset' && source === 'local');
  assert.deepEqual(
    local.map(({ property, value }) => `${property}=${value}`),
    [
      'canmount=off',
      'dnodesize=auto',
      'lustre:flags=36',
      'lustre:fsname=lustrefs',
      'lustre:index=65535',
      'lustre:svname=MGS',
      'lustre:version=1',
      'xattr=on',
    ],
  );
  const told = new Set(settings.map(({ property }) => property));
  for (const passing of ['used', 'guid', 'creation', 'mounted', 'health', 'free', 'load_guid', 'altroot']) {
    assert.ok(!told.has(passing), passing);
  }
});

test('a snapshot has the user properties that are its own, a pool its build, a host its versions', () => {
  const settings = settingsOf(mgt(), 'mgspool/mgt');
  assert.deepEqual(
    settings.filter(({ scope }) => scope === 'snapshot'),
    [
      {
        scope: 'snapshot',
        name: 'mgspool/mgt@daily-2',
        property: 'lab:made-by',
        value: 'me',
        source: 'local',
      },
    ],
  );
  const find = (wanted: string) => settings.find(({ property }) => property === wanted);
  assert.equal(find('vdev layout')?.value, 'disk');
  assert.equal(find('vdev ashift')?.value, '9');
  assert.equal(find('zfs module')?.value, '2.3.9-0+deb13u1');
  assert.equal(find('feature@longname')?.scope, 'pool');
});

test('the first mount of an MDT shows as its flags and its service name, and nothing else', () => {
  assert.deepEqual(inWords(compareSettings(mdt('mkfs'), mdt('s1'))), [
    ['lustre:flags', '97', '33'],
    ['lustre:svname', 'lustrefs:MDT0000', 'lustrefs-MDT0000'],
  ]);
});

test('a pool and a dataset of other names have the same settings', () => {
  const before = settingsOf(mgt(), 'mgspool/mgt');
  const elsewhere = renamed(renamed(mgt(), 'mgspool/mgt', 'mgspool/deep/er'), 'mgspool', 'newpool');
  assert.deepEqual(compareSettings(before, settingsOf(elsewhere, 'newpool/deep/er')), []);
});

const one = (told: Partial<Setting> & { property: string }): Setting => ({
  scope: 'dataset',
  name: 'tank/a/b',
  value: 'x',
  source: 'local',
  ...told,
});
const compared = (before: Setting, after: Setting) => inWords(compareSettings([before], [after]));

test('what is inherited from as far above is inherited from the same', () => {
  const atime = (name: string, from: string) =>
    one({ name, property: 'atime', value: 'off', source: 'inherited', from });
  assert.deepEqual(compared(atime('tank/a/b', 'tank/a'), atime('new/c/d', 'new/c')), []);
  assert.equal(compared(atime('tank/a/b', 'tank/a'), atime('new/c/d', 'new')).length, 1);
});

test('a value that names the dataset or the pool is the same under other names', () => {
  const named = (property: string, name: string, value: string, source = 'none') =>
    one({ property, name, value, source });
  assert.deepEqual(compared(named('encryptionroot', 't/a', 't'), named('encryptionroot', 'u/b', 'u')), []);
  assert.deepEqual(compared(named('origin', 't/a', 't/c@s'), named('origin', 'u/b', 'u/c@s')), []);
  assert.equal(compared(named('origin', 't/a', 't/c@s'), named('origin', 'u/b', 'u/d@s')).length, 1);
  const mountpoint = (name: string, source: string) => named('mountpoint', name, `/${name}`, source);
  assert.deepEqual(compared(mountpoint('t/a', 'default'), mountpoint('u/b', 'default')), []);
  assert.equal(compared(mountpoint('t/a', 'local'), mountpoint('u/b', 'local')).length, 1);
});

test('the same value from another source is a change', () => {
  const [change] = compareSettings(
    [one({ property: 'quota' })],
    [one({ property: 'quota', source: 'received' })],
  );
  assert.deepEqual([change?.before?.source, change?.after?.source], ['local', 'received']);
});

test('a property that nobody set is the same as one that is not there', () => {
  const other = one({ property: 'sync' });
  const unset = one({ property: 'direct', source: 'default' });
  assert.deepEqual(compareSettings([other], [other, unset]), []);
  assert.deepEqual(compareSettings([other, unset], [other]), []);
  assert.deepEqual(inWords(compareSettings([other], [other, one({ property: 'direct' })])), [
    ['direct', null, 'x'],
  ]);
});

test('a feature that came into use is still the enabled one; one that was disabled is like none', () => {
  const feature = (value: string) => one({ scope: 'pool', name: 'tank', property: 'feature@x', value });
  assert.deepEqual(compared(feature('enabled'), feature('active')), []);
  assert.deepEqual(compared(feature('disabled'), feature('enabled')), [['feature@x', 'disabled', 'enabled']]);
  const other = one({ scope: 'pool', name: 'tank', property: 'comment' });
  assert.deepEqual(compareSettings([other], [other, feature('disabled')]), []);
  assert.deepEqual(inWords(compareSettings([other], [other, feature('active')])), [
    ['feature@x', null, 'active'],
  ]);
});

test('nothing has changed in what only one side was told of: a pool, a host, how a pool is built', () => {
  const setting = one({ property: 'quota' });
  const pool = one({ scope: 'pool', name: 'tank', property: 'comment' });
  const build = one({ scope: 'pool', name: 'tank', property: 'vdev ashift', value: '12' });
  const host = one({ scope: 'host', name: 'mds1', property: 'kernel' });
  assert.deepEqual(compareSettings([setting], [setting, pool, build, host]), []);
  assert.deepEqual(compareSettings([setting, pool, build, host], [setting, pool]), []);
  assert.deepEqual(inWords(compareSettings([build], [{ ...build, value: '9' }])), [
    ['vdev ashift', '12', '9'],
  ]);
  const snapshot = one({ scope: 'snapshot', name: 't@a', property: 'c:c' });
  assert.deepEqual(inWords(compareSettings([setting], [setting, snapshot])), [['c:c', null, 'x']]);
});

test('one snapshot is compared with one snapshot, several by their names', () => {
  const comment = (name: string, value: string) => one({ scope: 'snapshot', property: 'c:c', name, value });
  assert.deepEqual(compared(comment('t@1', 'x'), comment('t@2', 'x')), []);
  const several = [comment('t@1', 'x'), comment('t@2', 'y')];
  assert.deepEqual(inWords(compareSettings(several, several.toReversed())), []);
  assert.deepEqual(inWords(compareSettings([comment('t@1', 'x')], several)), [['c:c', null, 'y']]);
});

test('a vdev that is being replaced, or has another path or size, is no other build', () => {
  const pool = (vdevs: Vdev[]): ParsedAttributes => ({
    objects: [],
    pool: { name: 'tank', guid: null, health: null, properties: {}, vdevs },
    host: null,
  });
  const vdev = (level: number, type: string, role: Vdev['role'] = 'data'): Vdev => {
    const facts = { name: `/dev/${Math.random()}`, state: 'ONLINE', size: String(Math.random()) };
    return { level, type, role, ...facts, ashift: 12 };
  };
  const build = (vdevs: Vdev[]) => settingsOf(pool(vdevs), 'tank').map(({ value }) => value);
  const mirror = () => [vdev(0, 'mirror'), vdev(1, 'disk'), vdev(1, 'disk')];
  assert.deepEqual(build([...mirror(), ...mirror(), vdev(0, 'disk', 'log')]), [
    '12',
    '2 x mirror(2 disk), log disk',
  ]);
  const replacing = [
    vdev(0, 'mirror'),
    vdev(1, 'disk'),
    vdev(1, 'replacing'),
    vdev(2, 'disk'),
    vdev(2, 'disk'),
  ];
  assert.deepEqual(build([...replacing, vdev(0, 'disk')]), ['12', 'mirror(2 disk), disk']);
});

const anyObjects = fc.oneof(objectsWith(values.ordinary), objectsWith(values.nasty));
const anyParsed = fc
  .tuple(anyObjects, fc.boolean())
  .map(([objects, more]): ParsedAttributes => ({ ...(more ? mgt() : { pool: null, host: null }), objects }));

test('attributes do not differ from themselves, and the way back is the same change turned round', () => {
  fc.assert(
    fc.property(anyParsed, anyParsed, (before, after) => {
      const [old, now] = [settingsOf(before, DATASET), settingsOf(after, DATASET)];
      assert.deepEqual(compareSettings(old, old), []);
      const forth = compareSettings(old, now).map(({ scope, property, before, after }) => ({
        ...{ scope, property, before, after },
      }));
      const back = compareSettings(now, old).map(({ scope, property, before, after }) => ({
        ...{ scope, property, before: after, after: before },
      }));
      assert.deepEqual(back, forth);
    }),
    { numRuns: 60 },
  );
});

test('the order of settings does not depend on the order of what tells them', () => {
  fc.assert(
    fc.property(anyParsed, (parsed) => {
      const turned = {
        ...parsed,
        objects: parsed.objects.toReversed().map((object) => ({
          ...object,
          properties: Object.fromEntries(Object.entries(object.properties).toReversed()),
        })),
      };
      assert.deepEqual(settingsOf(turned, DATASET), settingsOf(parsed, DATASET));
    }),
    { numRuns: 60 },
  );
});
