/** The whole content in one canonical form: what two indexes of the same bucket must agree in. */
import { BACKUP_COLUMNS, BACKUP_TABLES } from './tables/backup.ts';
import type { IndexDatabase } from './tables/database.ts';

/**
 * Every fact of the index as a line of JSON, in an order that depends on the
 * content alone; no row ids, which depend on the order of adds.
 */
export function* dump(db: IndexDatabase): Generator<string> {
  for (const [table, sql] of TABLES) {
    for (const row of db.each<object>(sql)) yield JSON.stringify({ table, ...row });
  }
}

/**
 * A text that tells two contents apart without reading them: how many backups there are, the newest, of how many the
 * settings are known, and how many entries of each kind the journal has. A prune that removes as much as comes
 * leaves entries. Ends of jobs are left out: a copy of the index is a job, and would call for the next.
 */
export function contentMark(db: IndexDatabase): string {
  const count = (sql: string) => db.get<{ value: number | string | null }>(sql)?.value ?? 0;
  const kinds = db.all<{ kind: string; count: number }>(
    "SELECT kind, count(*) AS count FROM entry WHERE kind <> 'job.ended' GROUP BY kind ORDER BY kind",
  );
  return [
    count('SELECT count(*) AS value FROM backup'),
    count('SELECT max(backup) AS value FROM backup'),
    count('SELECT count(*) AS value FROM backup INDEXED BY backup_by_settings WHERE settings > 0'),
    ...kinds.map(({ kind, count }) => `${kind}:${count}`),
  ].join(' ');
}

const TABLES: readonly (readonly [table: string, sql: string])[] = [
  [
    'backup',
    `SELECT ${BACKUP_COLUMNS}, b.chain_cost, b.chain_steps, b.chain_before, b.damaged, b.light, b.deep
     FROM ${BACKUP_TABLES} ORDER BY b.backup`,
  ],
  ['lineage', 'SELECT lineage, snapshots FROM lineage ORDER BY lineage'],
  ['dataset', 'SELECT dataset, host FROM dataset ORDER BY dataset, host'],
  [
    'tally',
    `SELECT d.dataset, d.host, l.lineage, t.snapshots, t.backups, t.stored, t.oldest, t.newest
     FROM tally t JOIN dataset d ON d.id = t.dataset JOIN lineage l ON l.id = t.lineage
     ORDER BY d.dataset, d.host, l.lineage`,
  ],
  [
    'settings',
    `SELECT b.backup, s.digest FROM backup b INDEXED BY sqlite_autoindex_backup_1 JOIN settings s ON s.id = b.settings
     ORDER BY b.backup`,
  ],
  ['kept settings', 'SELECT digest FROM settings WHERE id > 0 ORDER BY digest'],
  [
    'change',
    `SELECT d.dataset, d.host, c.created, c.backup, c.scope, c.name, c.property, c.before, c.after
     FROM change c JOIN dataset d ON d.id = c.dataset ORDER BY c.backup, c.scope, c.name, c.property`,
  ],
  ['journal object', 'SELECT key, whole FROM journal_object ORDER BY key'],
  ['entry', 'SELECT id, at, who, kind, hex(body) AS body FROM entry ORDER BY id'],
  ['about', 'SELECT dataset, host, id FROM about ORDER BY id, dataset, host'],
  ['policy', 'SELECT * FROM policy ORDER BY name'],
  ['pin', 'SELECT * FROM pin ORDER BY pin'],
  ['mark', 'SELECT * FROM mark ORDER BY backup'],
  ['proof', 'SELECT * FROM proof ORDER BY backup, depth'],
  ['damage', 'SELECT * FROM damage ORDER BY backup, depth'],
  ['gone', 'SELECT * FROM gone ORDER BY backup'],
  ['drill', 'SELECT * FROM drill ORDER BY id'],
];
