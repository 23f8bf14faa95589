import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { ZkeepError } from '../../../catalog/errors.ts';
import { CatalogIndex } from '../../../catalog/index/catalog-index.ts';
import { backupOf } from '../../../catalog/index/tables/backup.ts';
import { backupId, type Draft, guid, manifestOf } from './manifests.ts';

let index: CatalogIndex;

beforeEach(() => {
  index = new CatalogIndex(':memory:');
});

afterEach(() => index.close());

const add = (...drafts: Draft[]) => drafts.map((draft) => index.add(manifestOf(draft)));

describe('adding', () => {
  test('two manifests with one id are a conflict, and the first one stays', () => {
    const [first] = add({ number: 1, from: null, to: 1 });
    assert.throws(() => add({ number: 1, from: null, to: 2 }), { kind: 'damaged', code: 'index.conflict' });
    assert.throws(() => add({ number: 1, from: null, to: 1, stored: 7 }), { code: 'index.conflict' });
    assert.deepEqual(index.backups().backups, [first]);
  });

  test('a conflict among many adds none of them, unless somebody takes it', () => {
    const [one, two, twin] = [1, 2, 1].map((number, at) =>
      backupOf(manifestOf({ number, from: null, to: at + 1 })),
    );
    assert.ok(one && two && twin);
    assert.throws(() => index.addAll([one, two, twin]), { code: 'index.conflict' });
    assert.deepEqual([...index.dump()], []);
    const refused: string[] = [];
    assert.equal(
      index.addAll([one, two, twin], (_backup, { code }) => refused.push(code)),
      2,
    );
    assert.deepEqual(refused, ['index.conflict']);
  });

  test('a manifest with numbers beyond counting is damaged', () => {
    const manifest = manifestOf({ number: 1, from: null, to: 1, created: 1e300 });
    assert.throws(() => index.add(manifest), { kind: 'damaged', code: 'index.number' });
    const [segment] = manifest.segments;
    assert.ok(segment);
    const huge = { ...segment, stored: Number.MAX_SAFE_INTEGER };
    assert.throws(() => backupOf({ ...manifest, segments: [huge, huge] }), { code: 'index.number' });
  });

  test('a snapshot that its manifest does not name is called as its stream calls it', () => {
    const manifest = manifestOf({ number: 1, from: null, to: 1, name: 'daily' });
    const added = index.add({ ...manifest, to: { ...manifest.to, name: null } });
    assert.equal(added.name, 'daily');
  });

  test('a backup that links two lineages makes them one, under the smaller id', () => {
    add({ number: 5, from: null, to: 1 }, { number: 3, from: 2, to: 3 });
    assert.equal(index.lineages().lineages.length, 2);
    const [link] = add({ number: 9, from: 1, to: 2 });
    assert.equal(link?.lineage, backupId(3));
    assert.deepEqual(
      index.lineages().lineages.map(({ backups, snapshots }) => [backups, snapshots]),
      [[3, 3]],
    );
    index.remove(backupId(9));
    assert.deepEqual(
      index.lineages().lineages.map(({ lineage }) => lineage as string),
      [backupId(5), backupId(3)],
    );
  });
});

describe('what is known', () => {
  test('a snapshot that is only a base is known and not restorable, and a stranger is not known', () => {
    add({ number: 1, from: 1, to: 2 });
    assert.deepEqual(index.known([guid(3), guid(2), guid(1)]), [
      { guid: guid(2), restorable: false, flags: null },
      { guid: guid(1), restorable: false, flags: null },
    ]);
  });

  test('all ways to a snapshot are told, the cheapest first', () => {
    add({ number: 1, from: null, to: 1, stored: 9 }, { number: 2, from: null, to: 1, raw: true });
    assert.deepEqual(
      index.ways(guid(1)).map(({ raw }) => raw),
      [false, true],
    );
    assert.equal(index.known([guid(1)])[0]?.flags?.raw, false);
  });

  test('of several backups between the same snapshots the newest is told', () => {
    add({ number: 1, from: 1, to: 2 }, { number: 2, from: 1, to: 2 }, { number: 3, from: null, to: 2 });
    assert.equal(index.backupOf(guid(1), guid(2))?.backup, backupId(2));
    assert.equal(index.backupOf(null, guid(2))?.backup, backupId(3));
    assert.equal(index.backupOf(null, guid(1)), undefined);
    assert.equal(index.backupsTo(guid(2)).length, 3);
  });
});

describe('a list', () => {
  test('refuses limits and places that are none', () => {
    for (const limit of [0, -1, 1.5, 1001, Number.NaN]) {
      assert.throws(() => index.backups({ limit }), { kind: 'usage', code: 'index.limit' });
    }
    add({ number: 1, from: null, to: 1 }, { number: 2, from: 1, to: 2 });
    const { next } = index.backups({ limit: 1 });
    assert.ok(next);
    for (const after of ['', 'x', 'bnVsbA', 'W10']) {
      assert.throws(() => index.backups({ after }), { kind: 'usage', code: 'index.after' });
    }
    assert.throws(() => index.datasets({ after: next }), { kind: 'usage', code: 'index.after' });
  });

  test('goes on where it was while backups come and go', () => {
    add(...[1, 2, 3, 4].map((number) => ({ number, from: null, to: number })));
    const first = index.backups({ limit: 2 });
    assert.ok(first.next);
    index.remove(first.backups.map(({ backup }) => backup));
    add({ number: 9, from: null, to: 9 });
    const second = index.backups({ limit: 2, after: first.next });
    assert.deepEqual(
      second.backups.map(({ backup }) => backup),
      [backupId(2), backupId(1)],
    );
    assert.equal(second.next, null);
  });

  test('of a set gives its backups', () => {
    add(
      { number: 1, from: null, to: 1, set: 7 },
      { number: 2, from: null, to: 2 },
      { number: 3, from: null, to: 3, set: 7 },
    );
    const set = index.backup(backupId(1))?.set;
    assert.ok(set);
    assert.deepEqual(
      index.backups({ set }).backups.map(({ backup }) => backup),
      [backupId(3), backupId(1)],
    );
  });

  test('labels a snapshot as its newest backup does, and within a dataset as that one did', () => {
    add(
      { number: 1, from: null, to: 1, committed: 8, name: 'old', host: 'alpha' },
      { number: 2, from: null, to: 1, committed: 9, name: 'new', host: 'beta', dataset: 'pool/copy' },
    );
    assert.deepEqual(
      index.snapshots().snapshots.map(({ name }) => name),
      ['new'],
    );
    assert.deepEqual(
      index.snapshots({ host: 'alpha' }).snapshots.map(({ name }) => name),
      ['old'],
    );
    assert.equal(index.select({ dataset: 'tank/fs' }).name, 'old');
    assert.equal(index.select({ guids: [guid(1)] }).name, 'new');
  });
});

describe('a plan', () => {
  const plan = (wanted: object, have: number[] = []) =>
    index.plan({ wanted, have: have.map(guid), rollback: false });
  const reason = (wanted: object, have: number[] = []): ZkeepError => {
    try {
      plan(wanted, have);
    } catch (error) {
      assert.ok(error instanceof ZkeepError);
      return error;
    }
    return assert.fail('a plan was made');
  };

  test('gives whole summaries of its steps, in order, with their sums', () => {
    const [full, next] = add({ number: 1, from: null, to: 1 }, { number: 2, from: 1, to: 2 });
    const { wanted, base, rollback, steps, bytes, stored } = plan({ dataset: 'tank/fs' });
    assert.deepEqual(steps, [full, next]);
    assert.deepEqual([wanted.guid, base, rollback, bytes, stored], [guid(2), null, false, 402, 200]);
    assert.ok(!('kept' in wanted));
  });

  test('of snapshots taken within one second takes the one kept later for the newest', () => {
    add({ number: 0, from: null, to: 1, created: 4 });
    add({ number: 1, from: null, to: 9, created: 5 }, { number: 2, from: 9, to: 4, created: 5 });
    assert.equal(plan({ dataset: 'tank/fs' }).wanted.guid, guid(4));
    add({ number: 3, from: null, to: 9, created: 5 });
    assert.equal(
      plan({ dataset: 'tank/fs' }).wanted.guid,
      guid(4),
      'a later backup of the older one changes nothing',
    );
  });

  test('that is not possible names the missing backup, over the gap between two lineages', () => {
    add({ number: 1, from: null, to: 1 }, { number: 2, from: 1, to: 2 }, { number: 3, from: 3, to: 4 });
    const error = reason({ dataset: 'tank/fs' });
    assert.equal(error.code, 'chain.gap');
    assert.equal(
      error.message,
      'no chain leads to tank/fs@s4 (0000000000000004): the backup from tank/fs@s2 (0000000000000002) to tank/fs@s3 (0000000000000003) is missing',
    );
  });

  test('names a base that is only known as one as the last backup from it did', () => {
    const called = (number: number, name: string) => {
      const manifest = manifestOf({ number, from: 1, to: number });
      index.add({ ...manifest, from: { guid: guid(1), name } });
    };
    called(4, 'renamed');
    called(3, 'first');
    assert.match(
      reason({ guids: [guid(3)] }).message,
      /a full backup of tank\/fs@renamed \(0000000000000001\) is missing$/,
    );
  });

  test('onto a target that stands elsewhere says how it stands', () => {
    add({ number: 1, from: null, to: 1 }, { number: 2, from: 1, to: 2 }, { number: 3, from: 2, to: 3 });
    const newer = reason({ dataset: 'tank/fs', name: 's2' }, [3]);
    assert.equal(newer.code, 'chain.target-has-newer');
    assert.match(newer.message, /tank\/fs@s3 .*newer than tank\/fs@s2/);
    assert.equal(reason({ dataset: 'tank/fs' }, [77]).code, 'chain.target-unrelated');
    add({ number: 4, from: null, to: 9, dataset: 'tank/other' });
    assert.equal(reason({ dataset: 'tank/fs' }, [9]).code, 'chain.target-unrelated');
  });
});
