import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { PoolAttributes, Vdev } from '../../../catalog/attributes/attributes.ts';
import { poolsOfZpoolGet } from '../../../catalog/attributes/parsing/zpool-get.ts';
import { type PoolQuestion, planPool, type ZfsAbilities } from '../../../catalog/attributes/pool-plan.ts';
import { ZkeepError } from '../../../catalog/errors.ts';

/** The pool of a live Lustre MGS, whose mkfs left `longname` disabled and set `multihost`. */
const printed = readFileSync(new URL('../../fixtures/outputs/mgspool-get.out', import.meta.url), 'utf8');
const MGSPOOL: PoolAttributes = {
  name: 'mgspool',
  guid: '7459550368327809452',
  health: 'ONLINE',
  properties: Object.fromEntries(poolsOfZpoolGet(printed).get('mgspool') ?? []),
  vdevs: [],
};
const FEATURES = Object.keys(MGSPOOL.properties).flatMap((name) => /^feature@(.*)/.exec(name)?.[1] ?? []);
const ABILITIES: ZfsAbilities = {
  version: '2.3.9-0+deb13u1',
  module: '2.3.9-0+deb13u1',
  features: new Set(FEATURES),
  properties: new Set(['compression']),
  poolProperties: new Set(['comment', 'compatibility', 'failmode', 'multihost', 'autotrim', 'cachefile']),
  compatibilities: new Set(['openzfs-2.1-linux']),
};

type Changes = Readonly<Record<string, string>>;
const plan = (question: Partial<PoolQuestion> = {}) =>
  planPool({ stored: MGSPOOL, name: 'new', vdevs: '/dev/sdd1', abilities: ABILITIES, ...question });
/** The pool with properties set otherwise. */
const poolWith = (changes: Changes, vdevs: Vdev[] = []): PoolAttributes => {
  const local = Object.entries(changes).map(([name, value]) => [name, { value, source: 'local' }] as const);
  return { ...MGSPOOL, properties: { ...MGSPOOL.properties, ...Object.fromEntries(local) }, vdevs };
};
const options = ({ command }: { command: readonly string[] }) => command.slice(2, command.indexOf('new'));
const said = (made: ReturnType<typeof planPool>, what: string) =>
  made.differences.find((difference) => difference.what === what);
const vdev = (ashift: number | null, level = 0, type = 'disk'): Vdev => ({
  level,
  type,
  name: '/dev/x',
  role: 'data',
  state: 'ONLINE',
  size: null,
  ashift,
});

/** What `zpool create` makes of these options (OpenZFS `zpool_do_create`). */
function enabledBy(command: readonly string[], known: ReadonlySet<string>): Set<string> {
  const enabled = new Set(command.includes('-d') ? [] : known);
  for (const word of command) {
    const [, name = '', state] = /^feature@(.*)=(.*)$/.exec(word) ?? [];
    if (state === 'enabled') enabled.add(name);
    if (state === 'disabled') enabled.delete(name);
  }
  return enabled;
}

describe('the plan of a pool', () => {
  it("is Lustre's own way of making one, for a pool that Lustre made", () => {
    assert.deepEqual(plan({ vdevs: `mirror /dev/sdd1 '/dev/disk/by-id/two words'` }).command, [
      'zpool',
      'create',
      ...['-o', 'feature@longname=disabled', '-o', 'multihost=on'],
      ...['-o', 'cachefile=none', '-O', 'canmount=off'],
      ...['new', 'mirror', '/dev/sdd1', '/dev/disk/by-id/two words'],
    ]);
    assert.equal(plan().multihost, true);
  });

  it('says that the pool will not be imported by itself, unless that was so before', () => {
    assert.match(said(plan(), 'cachefile')?.why ?? '', /zpool set cachefile='' undoes it/);
    assert.equal(said(plan({ stored: poolWith({ cachefile: 'none' }) }), 'cachefile'), undefined);
  });

  it('sets what was set, leaves defaults and facts alone, and keeps any value one argument', () => {
    const comment = `rack 7, "left" it's $x`;
    const stored = poolWith({ comment, failmode: 'panic', altroot: '/mnt', readonly: 'on' });
    assert.deepEqual(
      options(plan({ stored })).filter((word) => !/^(-o|-O|feature@.*)$/.test(word)),
      [`comment=${comment}`, 'failmode=panic', 'multihost=on', 'cachefile=none', 'canmount=off'],
    );
  });

  it('says what this ZFS does not know, and what cannot be set now', () => {
    const stored = poolWith({ dedup_table_quota: '1073741824', bootfs: 'mgspool/root' });
    const made = plan({ stored });
    assert.match(
      said(made, 'dedup_table_quota')?.why ?? '',
      /1073741824; this ZFS \(2\.3\.9.* does not know it/,
    );
    assert.match(said(made, 'bootfs')?.why ?? '', /after the restore: zpool set bootfs=/);
    assert.ok(!made.command.some((word) => /dedup_table_quota|bootfs/.test(word)));
  });

  it('sets user properties once the pool is there, where this ZFS has them', () => {
    const stored = poolWith({ 'lab:owner': 'Ann, "Bob"' });
    assert.deepEqual(plan({ stored }).after, [['zpool', 'set', 'lab:owner=Ann, "Bob"', 'new']]);
    const old = plan({ stored, abilities: { ...ABILITIES, version: '2.1.11', module: '2.1.11' } });
    assert.deepEqual(old.after, []);
    assert.match(said(old, 'lab:owner')?.why ?? '', /does not know it/);
  });

  it('keeps the compatibility where its file is there, with the features named one by one', () => {
    const made = plan({ stored: poolWith({ compatibility: 'openzfs-2.1-linux' }) });
    assert.ok(made.command.includes('compatibility=openzfs-2.1-linux'));
    assert.ok(made.command.includes('-d'), 'the file would take away what is not named');
    assert.deepEqual(enabledBy(made.command, ABILITIES.features), new Set(made.features));
    const without = plan({ stored: poolWith({ compatibility: 'openzfs-2.1-linux,ours' }) });
    assert.ok(!without.command.some((word) => word.startsWith('compatibility=')));
    assert.match(said(without, 'compatibility')?.why ?? '', /no file for ours/);
  });

  it('makes a pool of before feature flags with just what the streams need', () => {
    const properties = { version: { value: '28', source: 'local' as const } };
    const made = plan({ stored: { ...MGSPOOL, properties }, needed: ['extensible_dataset'] });
    assert.deepEqual(options(made).slice(0, 3), ['-d', '-o', 'feature@extensible_dataset=enabled']);
    assert.deepEqual(made.features, ['extensible_dataset']);
    assert.match(said(made, 'version')?.why ?? '', /it was 28/);
  });

  it('makes a default pool where nothing is stored, and says so', () => {
    const made = plan({ stored: null });
    assert.deepEqual(options(made), ['-o', 'cachefile=none', '-O', 'canmount=off']);
    assert.deepEqual(made.features, FEATURES.toSorted());
    assert.equal(said(made, 'pool')?.matters, true);
  });

  it('refuses names that no pool can have', () => {
    for (const name of [
      '',
      '-f',
      '1pool',
      'mirror2',
      'raidz',
      'log',
      'sparepool',
      'a/b',
      'a@b',
      'a\nb',
      `p${'x'.repeat(255)}`,
    ]) {
      const refused = (thrown: unknown) => thrown instanceof ZkeepError && thrown.code === 'pool.bad-name';
      assert.throws(() => plan({ name }), refused, name);
    }
    assert.equal(plan({ name: 'new' }).name, 'new');
  });
});

describe('the ashift of a new pool', () => {
  it('is that of the stored vdevs where all agree, else the property', () => {
    assert.ok(
      plan({ stored: poolWith({}, [vdev(null, 0, 'mirror'), vdev(12, 1), vdev(12, 1)]) }).command.includes(
        'ashift=12',
      ),
    );
    const mixed = plan({ stored: poolWith({ ashift: '13' }, [vdev(12), vdev(9)]) });
    assert.equal(mixed.ashift, 13);
    assert.match(said(mixed, 'ashift')?.why ?? '', /had 9 and 12; now all get 13/);
    assert.equal(plan({ stored: poolWith({}, [vdev(12), vdev(9)]) }).ashift, null);
    assert.equal(plan().ashift, null);
    assert.ok(!plan().command.some((word) => word.startsWith('ashift=')));
  });

  it('is another one when asked for, which is said', () => {
    const made = plan({ stored: poolWith({}, [vdev(9)]), ashift: 12 });
    assert.ok(made.command.includes('ashift=12'));
    assert.match(said(made, 'ashift')?.why ?? '', /12 as asked; it was 9/);
    assert.equal(said(plan({ stored: poolWith({}, [vdev(12)]), ashift: 12 }), 'ashift'), undefined);
  });
});

describe('the vdevs of a new pool', () => {
  const mirrored = poolWith({}, [vdev(12, 0, 'mirror'), vdev(12, 1), vdev(12, 1)]);

  it('are warned of when fewer disks may fail than before', () => {
    const { matters, why } = said(plan({ stored: mirrored }), 'vdevs') ?? {};
    assert.equal(matters, true);
    assert.equal(why, 'they are 1 disk; they were 1 mirror of 2: fewer disks may fail than before');
  });

  it('are only named when they are otherwise as safe, and not at all when they are the same', () => {
    assert.equal(said(plan({ stored: mirrored, vdevs: 'raidz2 a b c d' }), 'vdevs')?.matters, false);
    assert.equal(said(plan({ stored: mirrored, vdevs: 'mirror a b' }), 'vdevs'), undefined);
    assert.equal(said(plan(), 'vdevs'), undefined, 'a pool whose vdevs nobody stored');
  });

  it('count a special vdev as data, and not a cache', () => {
    assert.equal(said(plan({ stored: mirrored, vdevs: 'mirror a b special c' }), 'vdevs')?.matters, true);
    assert.equal(said(plan({ stored: mirrored, vdevs: 'mirror a b cache c' }), 'vdevs')?.matters, false);
  });
});

describe('the features of a new pool', () => {
  const names = FEATURES.slice(0, 12);
  const state = fc.constantFrom('enabled', 'active', 'disabled', undefined);
  const arbitrary = fc.record({
    states: fc.array(state, { minLength: names.length, maxLength: names.length }),
    known: fc.subarray(names),
    needed: fc.subarray(names),
    compatibility: fc.constantFrom('off', 'openzfs-2.1-linux', 'unheard'),
  });

  it('are those that the stored one had and the streams need, as far as this ZFS knows them, and no others', () => {
    fc.assert(
      fc.property(arbitrary, ({ states, known, needed, compatibility }) => {
        const had = names.flatMap((name, at) =>
          states[at] === undefined ? [] : [[name, states[at]] as const],
        );
        fc.pre(had.length > 0);
        const properties = Object.fromEntries(
          [
            ...had.map(([name, value]) => [`feature@${name}`, value] as const),
            ['compatibility', compatibility] as const,
          ].map(([name, value]) => [name, { value, source: 'local' as const }]),
        );
        const abilities = { ...ABILITIES, features: new Set(known) };
        const made = plan({ stored: { ...MGSPOOL, properties }, abilities, needed });
        const wanted = [...had.filter(([, value]) => value !== 'disabled').map(([name]) => name), ...needed];
        const expected = new Set(wanted.filter((name) => known.includes(name)));
        assert.deepEqual(enabledBy(made.command, abilities.features), expected);
        assert.deepEqual(new Set(made.features), expected);
        for (const name of wanted) {
          if (!known.includes(name))
            assert.match(said(made, `feature@${name}`)?.why ?? '', /does not know it/);
        }
      }),
    );
  });

  it('are said when they were active and are unknown, when they are newer, and when a stream adds them', () => {
    const features = new Set([...FEATURES, 'block_cloning_endian'].filter((name) => name !== 'large_dnode'));
    const made = plan({ abilities: { ...ABILITIES, features }, needed: ['longname'] });
    assert.equal(said(made, 'feature@large_dnode')?.matters, true);
    assert.match(said(made, 'features that stay disabled')?.why ?? '', /block_cloning_endian/);
    assert.match(said(made, 'feature@longname')?.why ?? '', /the streams ask for it/);
    assert.equal(said(plan(), 'feature@longname'), undefined);
  });
});
