import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Vdev } from '../../../../catalog/attributes/attributes.ts';
import {
  describeGroups,
  groupsOf,
  parseLayout,
  toleranceOf,
} from '../../../../catalog/attributes/pool/layout.ts';
import { splitWords } from '../../../../catalog/attributes/pool/words.ts';
import { ZkeepError } from '../../../../catalog/errors.ts';

const refused = (reason: RegExp) => (thrown: unknown) =>
  thrown instanceof ZkeepError && thrown.kind === 'usage' && reason.test(thrown.message);
const quoted = (word: string) => `'${word.replaceAll("'", `'"'"'`)}'`;

/** The vdevs of a stored pool: a top-level vdev a line, its children after it. */
function stored(...tops: [type: string, children: number, role?: Vdev['role']][]): Vdev[] {
  const vdev = { state: 'ONLINE', size: null, ashift: 12 };
  return tops.flatMap(([type, children, role = 'data'], at) => [
    { ...vdev, level: 0, type, role, name: children > 0 ? `${type}-${at}` : `/dev/d${at}` },
    ...Array.from({ length: children }, (_, child) => ({
      ...vdev,
      level: 1,
      type: 'disk',
      role,
      name: `/dev/d${at}-${child}`,
    })),
  ]);
}

describe('the words of a vdev specification', () => {
  it('are split as a shell splits them, and nothing is expanded', () => {
    assert.deepEqual(splitWords(` mirror\t'/a b'  "/c \\"d\\"" /e\\ f/'g'"h" $x * `), [
      'mirror',
      '/a b',
      '/c "d"',
      '/e f/gh',
      '$x',
      '*',
    ]);
    assert.deepEqual(splitWords(''), []);
    assert.deepEqual(splitWords(`''`), ['']);
  });

  it('are refused when a quote does not end, or there is no end to them', () => {
    for (const text of [`mirror '/a`, `"/a`, '/a\\'])
      assert.throws(() => splitWords(text), refused(/does not end/));
    assert.throws(() => splitWords('a '.repeat(40_000)), refused(/longer/));
  });

  it('come back from quotes as they were', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' })), (words) => {
        assert.deepEqual(splitWords(words.map(quoted).join(' ')), words);
      }),
    );
  });
});

describe('a layout', () => {
  const groupsIn = (text: string) =>
    parseLayout(text).groups.map(({ role, type, devices }) => `${role} ${type}: ${devices.join(' ')}`);

  it('is taken apart as zpool create does', () => {
    assert.deepEqual(groupsIn('mirror a b mirror c d'), ['data mirror: a b', 'data mirror: c d']);
    assert.deepEqual(groupsIn('a b'), ['data disk: a', 'data disk: b']);
    assert.deepEqual(groupsIn('raidz a b c log mirror d e cache f spare g h'), [
      'data raidz1: a b c',
      'log mirror: d e',
      'cache disk: f',
      'spare disk: g',
      'spare disk: h',
    ]);
    assert.deepEqual(groupsIn('special mirror a b dedup c spare d mirror e f'), [
      'special mirror: a b',
      'dedup disk: c',
      'spare disk: d',
      'data mirror: e f',
    ]);
    assert.deepEqual(groupsIn('draid2:4d:8c:1s a b c'), ['data draid2:4d:8c:1s: a b c']);
  });

  it('is refused without a device for data, and with an option in it', () => {
    assert.throws(() => parseLayout(''), refused(/no vdev for data/));
    assert.throws(() => parseLayout('log a'), refused(/no vdev for data/));
    assert.throws(() => parseLayout('mirror'), refused(/mirror has no device/));
    assert.throws(() => parseLayout('a spare'), refused(/spare has no device/));
    assert.throws(() => parseLayout('-f mirror a b'), refused(/"-f" is no vdev/));
    assert.throws(() => parseLayout(`a ''`), refused(/"" is no vdev/));
  });

  it('holds every word that is not a keyword as a device once', () => {
    const word = fc.constantFrom(
      'mirror',
      'raidz2',
      'log',
      'cache',
      'spare',
      'special',
      '/dev/a',
      '/dev/b',
      'c',
    );
    fc.assert(
      fc.property(fc.array(word), (words) => {
        let parsed: ReturnType<typeof parseLayout>;
        try {
          parsed = parseLayout(words.join(' '));
        } catch (thrown) {
          assert.ok(thrown instanceof ZkeepError && thrown.kind === 'usage');
          return;
        }
        assert.deepEqual(parsed.words, words);
        assert.deepEqual(
          parsed.groups.flatMap(({ devices }) => devices),
          words.filter((one) => one.startsWith('/') || one === 'c'),
        );
      }),
    );
  });
});

describe('the vdevs of a stored pool', () => {
  it('are grouped as a layout is', () => {
    const vdevs = stored(['mirror', 2], ['mirror', 2], ['disk', 0, 'log']);
    assert.equal(describeGroups(groupsOf(vdevs)), '2 mirrors of 2, 1 disk for log');
    assert.equal(describeGroups(groupsOf(stored(['file', 0]))), '1 disk');
  });

  it('count what is being replaced as one device, and what was removed as none', () => {
    const [mirror, disk, other] = stored(['mirror', 2]);
    assert.ok(mirror && disk && other);
    const replacing = { ...disk, type: 'replacing', name: 'replacing-0' };
    const vdevs = [mirror, replacing, { ...disk, level: 2 }, { ...disk, level: 2 }, other];
    assert.equal(describeGroups(groupsOf(vdevs)), '1 mirror of 2');
    const alone = [{ ...replacing, level: 0 }, disk, other];
    assert.equal(describeGroups(groupsOf(alone)), '1 disk');
    const removed = { ...mirror, type: 'indirect', name: 'indirect-1' };
    const spread = { ...disk, level: 0, role: 'spare' as const, name: 'draid1-0-0' };
    assert.equal(describeGroups(groupsOf([...vdevs, removed, spread])), '1 mirror of 2');
  });

  it('tell how many disks may fail', () => {
    const tolerance = (text: string) => parseLayout(text).groups.map(toleranceOf);
    assert.deepEqual(tolerance('mirror a b c'), [2]);
    assert.deepEqual(tolerance('raidz a b raidz2 c d raidz3 e f'), [1, 2, 3]);
    assert.deepEqual(tolerance('draid a b c draid2:2d a b c d'), [1, 2]);
    assert.deepEqual(tolerance('a'), [0]);
  });
});
