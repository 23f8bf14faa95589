import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import { CatalogIndex } from '../../../catalog/index/catalog-index.ts';
import { settingsIn } from '../../../catalog/index/tables/settings.ts';
import type { Fact } from '../../../catalog/journal/entry.ts';
import { at, damaged, drilled, entry, marked, pin, policy, proven, removed } from './journal/entries.ts';
import { attributesOf, backupId, guid, manifestOf } from './manifests.ts';

/** A list without a filter walks an index from its end; a recursive step reads its own rows. */
const MAY_SCAN = [
  /^SCAN [bl] USING INDEX sqlite_autoindex_(backup|lineage)_1$/,
  /^SCAN dataset USING COVERING INDEX sqlite_autoindex_dataset_1$/,
  /^SCAN chain$/,
  /^SCAN \(subquery-\d+\)$/,
  /^SCAN CONSTANT ROW$/,
  // All that holds, by the index of just that; policies are few, drills too.
  /^SCAN (policy|r|o)$/,
  /^SCAN pin USING INDEX pin_holding$/,
  /^SCAN m USING INDEX mark_holding$/,
  /^SCAN backup USING COVERING INDEX backup_damaged$/,
  /^SCAN journal_object USING COVERING INDEX journal_object_partly$/,
  // One row, and so many of the last ones.
  /^SCAN (n|drill)$/,
  // The last ones.
  /^SCAN (entry|e) USING (COVERING )?INDEX sqlite_autoindex_entry_1$/,
  /^SCAN journal_object$/,
];
/** What retention asks for is every backup, in one pass. */
const PASS = /b\.drift, b\.damaged FROM\s+backup b CROSS JOIN dataset d .*\S\s*$/s;

test('every statement of adding, removing, listing and planning finds its rows by an index', () => {
  const folder = mkdtempSync(join(tmpdir(), 'zkeep-index-'));
  try {
    const path = join(folder, 'index.db');
    const statements = new Set<string>();
    new CatalogIndex(path).close();
    const index = new CatalogIndex(path, { onStatement: (sql) => statements.add(sql) });
    useAll(index);
    const db = new Database(path);
    const plans = [...statements].filter(isData).map((sql) => ({ sql, steps: explain(db, sql) }));
    db.close();
    index.close();
    assert.ok(plans.length > 50, 'the statements were seen');
    const slow = plans
      .filter(({ sql }) => !(PASS.test(sql) && !sql.includes('WHERE')))
      .flatMap(({ sql, steps }) => steps.filter(isScan).map((step) => `${step}: ${sql}`));
    assert.deepEqual(slow, []);
    const sorted = plans.filter(
      ({ sql, steps }) => / DESC,/.test(sql) && steps.some((step) => /TEMP B-TREE/.test(step)),
    );
    assert.deepEqual(
      sorted.filter(({ sql }) => /FROM\s+backup b/.test(sql)),
      [],
      'pages come in the order of an index',
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});

function useAll(index: CatalogIndex): void {
  for (let number = 1; number < 9; number++) {
    const attributes = number % 4;
    index.add(
      manifestOf({ number, from: number === 1 ? null : number - 1, to: number, set: 90, attributes }),
    );
  }
  for (let page = index.unread(2); page.length > 0; page = index.unread(2, page.at(-1))) {
    index.learn(page.map((digest) => settingsIn(digest, attributesOf(Number.parseInt(digest, 16)))));
  }
  index.unread(2, '', 'tank/fs');
  for (const wanted of [{}, { at: 1_700_000_300 }, { name: 's4' }]) {
    index.settings({ dataset: 'tank/fs', ...wanted });
  }
  for (const filter of [{}, { property: 'recordsize' }, { scope: 'dataset' as const }]) {
    page((after) => index.history({ dataset: 'tank/fs', ...filter, ...after, limit: 1 }));
  }
  index.add(manifestOf({ number: 20, from: null, to: 20 }));
  index.add(manifestOf({ number: 21, from: 21, to: 22, dataset: 'tank/other' }));
  index.add(manifestOf({ number: 22, from: 8, to: 20 }));
  index.add(manifestOf({ number: 23, from: 30, to: 31 }));
  const set = index.backup(backupId(1))?.set;
  const lineage = index.backup(backupId(1))?.lineage;
  assert.ok(set && lineage);
  const filters = [{}, { dataset: 'tank/fs' }, { host: 'alpha' }, { dataset: 'tank/fs', host: 'alpha' }];
  for (const filter of [...filters, { lineage }, { lineage, dataset: 'tank/fs' }]) {
    page((after) => index.backups({ ...filter, ...after, limit: 1 }));
    page((after) => index.snapshots({ ...filter, ...after, limit: 1 }));
  }
  for (const filter of filters) {
    page((after) => index.datasets({ ...filter, ...after, limit: 1 }));
    page((after) => index.lineages({ ...filter, ...after, limit: 1 }));
  }
  for (const filter of [{ to: guid(20) }, { set }])
    page((after) => index.backups({ ...filter, ...after, limit: 1 }));
  index.lineage(lineage);
  index.known([guid(1), guid(30), guid(99)]);
  for (const wanted of [{}, { at: 1_700_000_300 }, { name: 's4' }, { name: 's4', at: 1_800_000_000 }]) {
    for (const have of [[], [guid(2)], [guid(8), guid(2)], [guid(99)]]) {
      attempt(() => index.plan({ wanted: { dataset: 'tank/fs', ...wanted }, have, rollback: true }));
    }
  }
  index.add(manifestOf({ number: 24, from: null, to: 40, own: 901 }));
  index.add(manifestOf({ number: 25, from: null, to: 41, own: 901, dataset: 'tank/renamed' }));
  index.renamedDatasets();
  index.states();
  useJournal(index);
  for (const scope of [{}, { dataset: 'tank/fs' }, { host: 'alpha' }, { lineage }]) [...index.edges(scope)];
  for (const filter of [{}, { dataset: 'tank/fs' }, { host: 'alpha' }, { lineage }]) {
    page((after) => index.drills({ ...filter, ...after, limit: 1 }));
  }
  attempt(() => index.plan({ wanted: { guids: [guid(31)] }, have: [], rollback: false }));
  attempt(() => index.plan({ wanted: { guids: [guid(5)], host: 'alpha' }, have: [], rollback: false }));
  index.remove([backupId(4), backupId(21)]);
}

function useJournal(index: CatalogIndex): void {
  const about = [{ host: 'alpha', dataset: 'tank/fs' }];
  const facts = [
    damaged(5),
    proven(5),
    damaged(6, 'deep'),
    marked(2),
    removed(99),
    drilled(1, 1),
    drilled(2, 1),
  ];
  const pinned: Fact = { kind: 'pin.set', pin: pin(1, 1) };
  const kept: Fact = { kind: 'policy.set', policy: policy('a') };
  const entries = [...facts, pinned, kept].map((fact, number) => entry(number, fact, { about }));
  index.apply(entries, [{ key: 'journal/a.json', whole: false }]);
  for (const { fact } of entries) index.placesOf(fact);
  index.placesOf({ kind: 'pin.removed', pin: pin(1, 1).pin, reason: 'over' });
  index.policies();
  index.pins(0);
  index.marks();
  index.damage();
  index.proofOf(backupId(5));
  index.journal.unknown(['journal/b.json']);
  index.journal.partly();
  index.journal.last();
  index.lastEntry();
  const before = '2030-01-01T00:00:00.000Z';
  for (const depth of ['light', 'deep'] as const) {
    for (const filter of [{}, { dataset: 'tank/fs' }, { host: 'alpha' }]) {
      index.proofs({ depth, before, ...filter }, 1);
      index.proofs({ depth, ...filter });
    }
  }
  for (const filter of [
    {},
    { dataset: 'tank/fs' },
    { host: 'alpha' },
    { dataset: 'tank/fs', host: 'alpha' },
  ]) {
    for (const more of [{}, { kinds: 'proven,policy' }, { since: at(1) }]) {
      page((after) => index.events({ ...filter, ...more, ...after, limit: 1 }));
    }
  }
}

function page(read: (after: { after?: string }) => { next: string | null }): void {
  const { next } = read({});
  if (next !== null) read({ after: next });
}

function attempt(work: () => unknown): void {
  try {
    work();
  } catch {
    // A refusal reads more tables than a plan: that is why it is asked for.
  }
}

function isData(sql: string): boolean {
  return /^\s*(SELECT|WITH|INSERT|UPDATE|DELETE)/.test(sql) && !sql.includes('sqlite_schema');
}

function explain(db: Database.Database, sql: string): string[] {
  return db
    .prepare<[], { detail: string }>(`EXPLAIN QUERY PLAN ${sql}`)
    .all()
    .map(({ detail }) => detail);
}

function isScan(step: string): boolean {
  return step.startsWith('SCAN') && !MAY_SCAN.some((allowed) => allowed.test(step));
}
