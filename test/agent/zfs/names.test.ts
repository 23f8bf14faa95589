import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parentOf, parseDataset, parsePoint, parseSnapshotName, poolOf } from '../../../agent/zfs/names.ts';
import { ZkeepError } from '../../../catalog/errors.ts';

const refused = (reason: RegExp) => (thrown: unknown) =>
  thrown instanceof ZkeepError && thrown.kind === 'usage' && reason.test(thrown.message);

describe('names in ZFS', () => {
  it('refuses what no dataset can be called, and says why', () => {
    assert.throws(() => parseDataset(''), refused(/letter of a pool/));
    assert.throws(() => parseDataset('-r'), refused(/letter of a pool/));
    assert.throws(() => parseDataset('/tank'), refused(/letter of a pool/));
    assert.throws(() => parseDataset('tank/'), refused(/empty/));
    assert.throws(() => parseDataset('tank//a'), refused(/empty/));
    assert.throws(() => parseDataset('tank/..'), refused(/"\.\."/));
    assert.throws(() => parseDataset('tank/a\tb'), refused(/"\\t"/));
    assert.throws(() => parseDataset('tank/a\nb'), refused(/"\\n"/));
    assert.throws(() => parseDataset(`tank/it's`), refused(/"'"/));
    assert.throws(() => parseDataset('tank/$(reboot)'), refused(/"\$"/));
    assert.throws(() => parseDataset('tank/ä'), refused(/"ä"/));
    assert.throws(() => parseDataset(`tank/${'a'.repeat(251)}`), refused(/255 bytes/));
  });

  it('points from a snapshot to its dataset and option', () => {
    assert.throws(
      () => parseDataset('tank/a@daily'),
      (thrown: unknown) =>
        thrown instanceof ZkeepError &&
        thrown.advice === 'give tank/a; where one snapshot is meant, with --snapshot daily',
    );
  });

  it('takes spaces and punctuation that ZFS allows', () => {
    for (const name of ['tank', 'tank/home of ann', 'p1/a-b_c.d:e', `tank/${'a'.repeat(250)}`]) {
      assert.equal(parseDataset(name), name);
    }
    assert.equal(parseSnapshotName('@daily 1'), 'daily 1');
  });

  it('refuses a snapshot name with a slash or a second @', () => {
    assert.throws(() => parseSnapshotName('a/b'), refused(/"\/"/));
    assert.throws(() => parseSnapshotName('a@b'), refused(/"@"/));
    assert.throws(() => parsePoint('tank/a@b@c'), refused(/"@"/));
    assert.throws(() => parsePoint('tank/a'), refused(/neither a snapshot nor a bookmark/));
  });

  it('takes snapshots and bookmarks apart', () => {
    assert.deepEqual(parsePoint('tank/a b@x y'), { dataset: 'tank/a b', kind: 'snapshot', name: 'x y' });
    assert.deepEqual(parsePoint('tank#x'), { dataset: 'tank', kind: 'bookmark', name: 'x' });
  });

  it('knows the pool and the parent', () => {
    assert.equal(poolOf('tank/a/b'), 'tank');
    assert.deepEqual(['tank', 'tank@one', 'tank#one', 'tank/a@one'].map(poolOf), Array(4).fill('tank'));
    assert.equal(parentOf('tank/a/b'), 'tank/a');
    assert.equal(parentOf('tank'), undefined);
  });

  it('either gives any text back unchanged or refuses it in words', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        try {
          assert.equal(parseDataset(text), text);
          assert.match(text, /^[A-Za-z][A-Za-z0-9_.: /-]*$/);
        } catch (thrown) {
          assert.ok(thrown instanceof ZkeepError && thrown.kind === 'usage');
        }
      }),
    );
  });
});
