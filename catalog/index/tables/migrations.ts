/** The tables of the index, as the steps that make them. INDEX.md says what each holds. */
import type Database from 'better-sqlite3';
import { ZkeepError } from '../../errors.ts';

/** Step n brings `user_version` from n to n + 1. Steps that were released are never changed. */
const STEPS: readonly string[] = [
  `
  CREATE TABLE dataset (
    id INTEGER PRIMARY KEY,
    dataset TEXT NOT NULL,
    host TEXT NOT NULL,
    UNIQUE (dataset, host)
  ) STRICT;
  CREATE INDEX dataset_by_host ON dataset (host, dataset);

  CREATE TABLE lineage (
    id INTEGER PRIMARY KEY,
    lineage TEXT NOT NULL UNIQUE,
    snapshots INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE backup (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    backup TEXT NOT NULL UNIQUE,
    base TEXT,
    base_name TEXT,
    snapshot TEXT NOT NULL,
    raw INTEGER NOT NULL,
    large_blocks INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    stored INTEGER NOT NULL,
    committed TEXT NOT NULL,
    set_id TEXT,
    dataset INTEGER NOT NULL REFERENCES dataset,
    name TEXT NOT NULL,
    created INTEGER NOT NULL,
    attributes TEXT,
    segments INTEGER NOT NULL,
    encrypted INTEGER NOT NULL,
    lineage INTEGER NOT NULL REFERENCES lineage,
    chain_cost INTEGER,
    chain_steps INTEGER,
    chain_before TEXT
  ) STRICT;
  CREATE INDEX backup_by_snapshot ON backup (snapshot, backup);
  CREATE INDEX backup_by_base ON backup (base) WHERE base IS NOT NULL;
  CREATE INDEX backup_by_dataset ON backup (dataset, created, backup);
  CREATE INDEX backup_by_name ON backup (dataset, name, created);
  CREATE INDEX backup_by_lineage ON backup (lineage, created, backup);
  CREATE INDEX backup_by_set ON backup (set_id, backup) WHERE set_id IS NOT NULL;

  CREATE TABLE tally (
    dataset INTEGER NOT NULL REFERENCES dataset,
    lineage INTEGER NOT NULL REFERENCES lineage,
    snapshots INTEGER NOT NULL,
    backups INTEGER NOT NULL,
    stored INTEGER NOT NULL,
    oldest INTEGER NOT NULL,
    newest INTEGER NOT NULL,
    PRIMARY KEY (dataset, lineage)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX tally_by_lineage ON tally (lineage);
  `,
  `
  CREATE TABLE settings (
    id INTEGER PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    content BLOB NOT NULL
  ) STRICT;
  INSERT INTO settings (id, digest, content) VALUES (0, '', x'');

  ALTER TABLE backup ADD COLUMN settings INTEGER REFERENCES settings;
  ALTER TABLE backup ADD COLUMN drift INTEGER;
  CREATE INDEX backup_unread ON backup (attributes) WHERE attributes IS NOT NULL AND settings IS NULL;
  CREATE INDEX backup_known ON backup (dataset, created, backup) WHERE settings > 0;
  CREATE INDEX backup_by_settings ON backup (settings) WHERE settings > 0;

  CREATE TABLE change (
    dataset INTEGER NOT NULL REFERENCES dataset,
    created INTEGER NOT NULL,
    backup TEXT NOT NULL,
    scope TEXT NOT NULL,
    name TEXT NOT NULL,
    property TEXT NOT NULL,
    before TEXT,
    after TEXT,
    PRIMARY KEY (dataset, created, backup, scope, name, property)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX change_of_property ON change (dataset, property, created, backup);
  `,
  `
  CREATE TABLE journal_object (
    key TEXT PRIMARY KEY,
    whole INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX journal_object_partly ON journal_object (key) WHERE whole = 0;

  CREATE TABLE entry (
    id TEXT PRIMARY KEY,
    at TEXT NOT NULL,
    who TEXT,
    kind TEXT NOT NULL,
    body BLOB NOT NULL
  ) STRICT;
  CREATE INDEX entry_by_kind ON entry (kind, id);

  CREATE TABLE about (
    dataset TEXT NOT NULL,
    host TEXT NOT NULL,
    id TEXT NOT NULL,
    PRIMARY KEY (dataset, id, host)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX about_host ON about (host, id);

  CREATE TABLE policy (
    name TEXT PRIMARY KEY,
    id TEXT NOT NULL,
    document TEXT
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE pin (
    pin TEXT PRIMARY KEY,
    id TEXT NOT NULL,
    at TEXT NOT NULL,
    who TEXT,
    document TEXT
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX pin_holding ON pin (pin) WHERE document IS NOT NULL;

  CREATE TABLE mark (
    backup TEXT PRIMARY KEY,
    id TEXT NOT NULL,
    at TEXT NOT NULL,
    reason TEXT
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX mark_holding ON mark (backup) WHERE reason IS NOT NULL;

  CREATE TABLE proof (
    backup TEXT NOT NULL,
    depth TEXT NOT NULL,
    id TEXT NOT NULL,
    at TEXT NOT NULL,
    PRIMARY KEY (backup, depth)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE damage (
    backup TEXT NOT NULL,
    depth TEXT NOT NULL,
    id TEXT NOT NULL,
    at TEXT NOT NULL,
    who TEXT,
    document TEXT NOT NULL,
    PRIMARY KEY (backup, depth)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE gone (
    backup TEXT PRIMARY KEY,
    id TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE drill (
    id TEXT PRIMARY KEY,
    at TEXT NOT NULL,
    who TEXT,
    lineage TEXT NOT NULL,
    guid TEXT NOT NULL,
    host TEXT NOT NULL,
    dataset TEXT NOT NULL,
    document TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX drill_of_lineage ON drill (lineage, id);
  CREATE INDEX drill_of_snapshot ON drill (guid, id);
  CREATE INDEX drill_of_dataset ON drill (dataset, id);

  ALTER TABLE backup ADD COLUMN damaged INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE backup ADD COLUMN light INTEGER;
  ALTER TABLE backup ADD COLUMN deep INTEGER;
  CREATE INDEX backup_damaged ON backup (backup) WHERE damaged = 1;
  CREATE INDEX backup_by_light ON backup (light);
  CREATE INDEX backup_by_deep ON backup (deep);
  `,
  `
  ALTER TABLE backup ADD COLUMN source TEXT;
  CREATE INDEX backup_by_source ON backup (source, dataset, created, backup) WHERE source IS NOT NULL;
  `,
];

/** The version of the tables that this zkeep makes. */
export const INDEX_VERSION = STEPS.length;

/** `zkee`: tells our files from other programs' (sqlite.org/pragma.html#pragma_application_id). */
const APPLICATION = 0x7a_6b_65_65;

/**
 * Looks, without a change, whether the file is ours to use.
 *
 * @throws {ZkeepError} `refused`: `index.newer` when a newer zkeep made it, `index.foreign` when another program did.
 */
export function checkVersion(db: Database.Database, path: string): void {
  const version = versionOf(db);
  const application = Number(db.pragma('application_id', { simple: true }));
  const isEmpty = db.prepare('SELECT 1 FROM sqlite_schema').get() === undefined;
  if (application !== APPLICATION && !(isEmpty && application === 0 && version === 0)) {
    throw new ZkeepError('refused', 'index.foreign', `${path} is the database of another program`, {
      advice: 'name another place for the index',
      facts: { path, application },
    });
  }
  if (version > STEPS.length) {
    throw new ZkeepError('refused', 'index.newer', `a newer zkeep made the index ${path}`, {
      advice: 'use that zkeep, or delete the index: it is built again from the bucket',
      facts: { path, version, known: STEPS.length },
    });
  }
}

/**
 * Brings the tables up to date, in one transaction.
 *
 * @param options `anew`: drops them first.
 */
export function migrate(db: Database.Database, options: { readonly anew?: boolean } = {}): void {
  const step = db.transaction(() => {
    if (options.anew) dropAll(db);
    for (const sql of STEPS.slice(versionOf(db))) db.exec(sql);
    db.pragma(`user_version = ${STEPS.length}`);
    db.pragma(`application_id = ${APPLICATION}`);
  });
  step.immediate();
}

function versionOf(db: Database.Database): number {
  return Number(db.pragma('user_version', { simple: true }));
}

/** Children before the tables that they refer to. */
const TABLES = [
  'change',
  'tally',
  'backup',
  'lineage',
  'dataset',
  'settings',
  'journal_object',
  'entry',
  'about',
  'policy',
  'pin',
  'mark',
  'proof',
  'damage',
  'gone',
  'drill',
];

function dropAll(db: Database.Database): void {
  for (const table of TABLES) db.exec(`DROP TABLE IF EXISTS ${table}`);
  db.pragma('user_version = 0');
}
