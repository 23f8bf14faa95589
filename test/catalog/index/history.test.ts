import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  type Change,
  compareSettings,
  type Setting,
  settingsOf,
} from '../../../catalog/attributes/difference.ts';
import { ZkeepError } from '../../../catalog/errors.ts';
import { CatalogIndex } from '../../../catalog/index/catalog-index.ts';
import { backupOf, type KeptBackup } from '../../../catalog/index/tables/backup.ts';
import { type ReadAttributes, settingsIn } from '../../../catalog/index/tables/settings.ts';
import type { HistoryPoint } from '../../../catalog/protocol/history.ts';
import type { Guid } from '../../../catalog/words.ts';
import { outcomeOf } from './asking.ts';
import { attributesOf, digestOf, drafts, manifestOf, shuffled } from './manifests.ts';

const numberOf = (digest: string) => Number.parseInt(digest, 16);
const read = (digests: readonly string[]): ReadAttributes[] =>
  digests.map((digest) => settingsIn(digestOf(numberOf(digest)), attributesOf(numberOf(digest))));

describe('by brute force over all backups', () => {
  const chance = fc.infiniteStream(fc.nat());

  test('drift is the number of settings that differ from the backup before, whatever came first', () => {
    fc.assert(
      fc.property(drafts, chance, fc.infiniteStream(fc.boolean()), (all, order, choice) => {
        const kept = all.map((draft) => backupOf(manifestOf(draft)));
        const grown = grow(kept, order, choice);
        for (const backup of kept) {
          assert.equal(grown.backup(backup.backup)?.drift, driftOf(backup, kept), backup.backup);
        }
        const rows = kept.length === 0 ? [] : grown.snapshots({ host: 'alpha' }).snapshots;
        for (const { guid, drift } of rows) {
          assert.ok(kept.some((one) => one.to === guid && driftOf(one, kept) === drift));
        }
        grown.close();
      }),
      { numRuns: 150 },
    );
  });

  test('history is every backup that differs, and the first one, page by page', () => {
    const filters = fc.record(
      {
        host: fc.constantFrom('alpha', 'beta'),
        property: fc.constantFrom('recordsize', 'compression', 'org:note', 'atime'),
        scope: fc.constantFrom('dataset' as const, 'pool' as const),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(drafts, chance, filters, fc.integer({ min: 1, max: 3 }), (all, order, filter, limit) => {
        const kept = all.map((draft) => backupOf(manifestOf(draft)));
        const grown = grow(kept, order, undefined);
        const query = { dataset: 'tank/fs', ...filter };
        const { host } = filter;
        const refused = outcomeOf(() => grown.select({ dataset: 'tank/fs', ...(host ? { host } : {}) }));
        if (refused instanceof ZkeepError) {
          assert.throws(() => grown.history(query), { kind: refused.kind, code: refused.code });
        } else {
          const expected = (host ? [host] : ['alpha', 'beta']).flatMap((one) =>
            historyOf(
              kept.filter((it) => it.dataset === 'tank/fs' && it.host === one),
              filter,
            ),
          );
          assert.deepEqual(plain(grown.history(query).points), plain(expected));
          const points: HistoryPoint[] = [];
          for (let after: string | null | undefined; after !== null; ) {
            const page = grown.history({ ...query, limit, ...(after === undefined ? {} : { after }) });
            assert.ok(page.points.length <= limit);
            points.push(...page.points);
            after = page.next;
          }
          assert.deepEqual(plain(points), plain(expected));
        }
        grown.close();
      }),
      { numRuns: 200 },
    );
  });

  /** A snapshot has one time of creation, whoever kept it. */
  const ofOneTime = drafts.map((all) => all.map((draft) => ({ ...draft, created: 1 + (draft.to % 5) })));

  test('the settings at a moment are those of the last backup until then whose settings are known', () => {
    fc.assert(
      fc.property(ofOneTime, chance, fc.integer({ min: 1, max: 6 }), (all, order, at) => {
        const kept = all.map((draft) => backupOf(manifestOf(draft)));
        const grown = grow(kept, order, undefined);
        const here = kept.filter(({ dataset, host }) => dataset === 'tank/fs' && host === 'alpha');
        const wanted = { dataset: 'tank/fs', host: 'alpha', at };
        const told = here.filter((one) => one.created <= at && isKnown(one)).sort(byPlace);
        const found = outcomeOf(() => grown.settings(wanted));
        if (told.length === 0) {
          assert.ok(found instanceof ZkeepError && found.kind === 'missing');
        } else {
          assert.ok(!(found instanceof ZkeepError));
          const last = told.at(-1);
          assert.equal(found.backup.backup, last?.backup);
          assert.deepEqual(found.settings, last && settingsBy(last));
        }
        grown.close();
      }),
      { numRuns: 150 },
    );
  });
});

/** An index that learns what the manifests say before, with or after the backups, as chance has it. */
function grow(
  kept: readonly KeptBackup[],
  order: fc.Stream<number>,
  choice: fc.Stream<boolean> | undefined,
): CatalogIndex {
  const grown = new CatalogIndex(':memory:');
  const extra = backupOf(manifestOf({ number: 50, from: null, to: 7, created: 3, attributes: 10 }));
  for (const backup of shuffled([...kept, extra], order)) {
    const known = choice?.next().value === true && backup.attributes !== null;
    grown.add(backup, known ? read([backup.attributes ?? ''])[0] : undefined);
  }
  grown.learn(read(shuffled(grown.unread(100), order)));
  assert.deepEqual(grown.unread(100), []);
  grown.remove(extra.backup);
  return grown;
}

const isKnown = ({ attributes }: KeptBackup) => attributes !== null && numberOf(attributes) !== 3;

function byPlace(one: KeptBackup, other: KeptBackup): number {
  return one.created - other.created || (one.backup < other.backup ? -1 : 1);
}

function settingsBy({ attributes }: KeptBackup): Setting[] {
  const { parsed, dataset } = attributesOf(numberOf(attributes ?? ''));
  return parsed ? settingsOf(parsed, dataset) : [];
}

function beforeIt(backup: KeptBackup, kept: readonly KeptBackup[]): KeptBackup | undefined {
  return kept
    .filter(({ dataset, host }) => dataset === backup.dataset && host === backup.host)
    .filter((one) => isKnown(one) && byPlace(one, backup) < 0 && one.backup !== backup.backup)
    .sort(byPlace)
    .at(-1);
}

function changesOf(backup: KeptBackup, kept: readonly KeptBackup[]): Change[] | null {
  const before = beforeIt(backup, kept);
  return before && isKnown(backup) ? compareSettings(settingsBy(before), settingsBy(backup)) : null;
}

const driftOf = (backup: KeptBackup, kept: readonly KeptBackup[]) => changesOf(backup, kept)?.length ?? null;

function historyOf(
  here: readonly KeptBackup[],
  { property, scope }: { property?: string; scope?: string },
): HistoryPoint[] {
  const fits = (it: { property: string; scope: string }) =>
    (property === undefined || it.property === property) && (scope === undefined || it.scope === scope);
  const points = here
    .filter(isKnown)
    .sort(byPlace)
    .map((backup): HistoryPoint => {
      const first = beforeIt(backup, here) === undefined;
      const all = settingsBy(backup).map(({ scope, name, property, ...rest }) => {
        return { scope, name, property, before: null, after: { scope, name, property, ...rest } };
      });
      const changes = (first ? all : (changesOf(backup, here) ?? [])).filter(fits);
      const { host, dataset, name, created } = backup;
      return { host, dataset, backup: backup.backup, guid: backup.to as Guid, name, created, first, changes };
    });
  return points.filter(({ changes }) => changes.length > 0).reverse();
}

/** The changes of a point are a set. */
function plain(points: readonly HistoryPoint[]): unknown {
  return points.map(({ changes, ...point }) => ({
    ...point,
    changes: changes.map((change) => JSON.stringify(change, Object.keys(change).sort())).sort(),
  }));
}
