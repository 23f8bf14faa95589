import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { damageRows } from '../../../catalog/index/answers/damage.ts';
import { CatalogIndex } from '../../../catalog/index/catalog-index.ts';
import { newUuid7 } from '../../../catalog/words.ts';
import { backupId, type Draft, guid, manifestOf } from './manifests.ts';

const FOUND = 1_750_000_000_000;

describe('the rows of what is damaged', () => {
  let index: CatalogIndex;
  beforeEach(() => {
    index = new CatalogIndex(':memory:');
  });
  afterEach(() => index.close());

  const keep = (...drafts: Draft[]) => {
    for (const draft of drafts) index.add(manifestOf(draft));
  };
  const damage = (...numbers: number[]) => {
    for (const number of numbers) {
      const problems = [{ code: 'segment.digest', key: 'k', message: 'm' }];
      const found = { backup: backupId(number), depth: 'deep' as const, problems, count: 7 };
      const at = new Date(FOUND + number).toISOString();
      index.apply([
        { id: newUuid7(FOUND + number), at, by: 'alice', fact: { kind: 'damaged', damage: found } },
      ]);
    }
  };
  const full = (number: number, to: number, more: Partial<Draft> = {}): Draft => ({
    number,
    from: null,
    to,
    ...more,
  });
  const increment = (number: number, from: number, more: Partial<Draft> = {}): Draft => {
    return { number, from, to: from + 1, ...more };
  };

  it('say what was found, by whom, and which snapshots are lost, the oldest first', async () => {
    keep(full(1, 1), increment(2, 1), increment(3, 2, { dataset: 'tank/renamed' }), full(9, 50));
    damage(2);
    const lost = { host: 'alpha', created: 1_700_000_000 + 120 };
    assert.deepEqual(await damageRows(index), [
      {
        backup: backupId(2),
        depth: 'deep',
        problems: [{ code: 'segment.digest', key: 'k', message: 'm' }],
        count: 7,
        found: new Date(FOUND + 2).toISOString(),
        by: 'alice',
        host: 'alpha',
        dataset: 'tank/fs',
        name: 's2',
        stored: 100,
        lost: [
          { ...lost, guid: guid(2), dataset: 'tank/fs', name: 's2' },
          { ...lost, guid: guid(3), dataset: 'tank/renamed', name: 's3', created: lost.created + 60 },
        ],
        lost_count: 2,
        restorable_count: 1,
        repaired: false,
      },
    ]);
  });

  it('call it repaired once the same snapshot was kept again', async () => {
    keep(full(1, 1), increment(2, 1), increment(3, 2));
    damage(2);
    keep(increment(4, 1));
    const [row] = await damageRows(index);
    assert.deepEqual([row?.lost_count, row?.restorable_count, row?.repaired], [0, 3, true]);
  });

  it('are those of several lineages, or of one dataset or host', async () => {
    keep(full(1, 1), full(2, 20, { dataset: 'tank/b' }), full(3, 30, { host: 'beta' }));
    damage(1, 2, 3);
    const backups = async (query = {}) => (await damageRows(index, query)).map(({ backup }) => backup);
    assert.deepEqual(await backups(), [1, 2, 3].map(backupId));
    assert.deepEqual(await backups({ dataset: 'tank/b' }), [backupId(2)]);
    assert.deepEqual(await backups({ host: 'beta' }), [backupId(3)]);
    assert.deepEqual(await backups({ host: 'gamma' }), []);
  });

  it('are gone with the backup', async () => {
    keep(full(1, 1));
    damage(1);
    index.remove(backupId(1));
    assert.deepEqual(await damageRows(index), []);
  });
});
