/** The tables of `service.db`, as the steps that make them. */
import { ZkeepError } from '../../catalog/errors.ts';
import type { State } from './state.ts';

/** Each step takes the database one version further; a step that was released never changes. */
const STEPS: readonly string[] = [
  `CREATE TABLE kept (
     name TEXT PRIMARY KEY,
     value BLOB NOT NULL
   ) STRICT, WITHOUT ROWID;

   CREATE TABLE token (
     name TEXT PRIMARY KEY,
     scope TEXT NOT NULL CHECK (scope IN ('reader', 'agent', 'operator')),
     hash BLOB NOT NULL UNIQUE,
     created TEXT NOT NULL
   ) STRICT, WITHOUT ROWID;

   -- The two UNIQUE rules are the lease: one writer to a dataset, one to a snapshot.
   CREATE TABLE open_backup (
     backup TEXT PRIMARY KEY,
     token TEXT NOT NULL,
     host TEXT NOT NULL,
     dataset TEXT NOT NULL,
     to_guid TEXT NOT NULL UNIQUE,
     opened INTEGER NOT NULL,
     heard INTEGER NOT NULL,
     request TEXT NOT NULL,
     -- What the manifest will say, from the moment on when it may have been written.
     committing TEXT,
     UNIQUE (host, dataset)
   ) STRICT, WITHOUT ROWID;

   CREATE TABLE part (
     backup TEXT NOT NULL REFERENCES open_backup ON DELETE CASCADE,
     number INTEGER NOT NULL,
     segment TEXT NOT NULL,
     sha256 TEXT NOT NULL,
     -- When the last grant for it ends, milliseconds since 1970.
     expires INTEGER NOT NULL,
     -- 1: grants for other contents of this part were given out before.
     contested INTEGER NOT NULL DEFAULT 0,
     PRIMARY KEY (backup, number)
   ) STRICT, WITHOUT ROWID;

   -- Segments to delete, again once no grant for them can be alive.
   CREATE TABLE abandoned (
     backup TEXT PRIMARY KEY,
     to_guid TEXT NOT NULL,
     token TEXT NOT NULL,
     expires INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID;`,

  `-- Sets that several hosts take together; those that are over for a day.
   CREATE TABLE snapshot_set (
     set_id TEXT PRIMARY KEY,
     opened INTEGER NOT NULL,
     phase TEXT NOT NULL,
     document TEXT NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX snapshot_set_by_phase ON snapshot_set (phase);`,

  `-- Who may write an open backup; nobody knows the session ''.
   ALTER TABLE open_backup ADD COLUMN session TEXT NOT NULL DEFAULT '';
   -- Who writes it since it was resumed; NULL: who opened it.
   ALTER TABLE open_backup ADD COLUMN writer TEXT;
   -- Digest of its attribute manifest.
   ALTER TABLE open_backup ADD COLUMN attributes TEXT;

   -- Every content of a part for which a grant was given: only one of them is in the store.
   CREATE TABLE candidate (
     backup TEXT NOT NULL REFERENCES open_backup ON DELETE CASCADE,
     number INTEGER NOT NULL,
     sha256 TEXT NOT NULL,
     -- Raw bytes.
     size INTEGER NOT NULL,
     segment TEXT NOT NULL,
     -- NULL: an older service wrote it down, which did not know.
     after TEXT,
     point TEXT,
     -- When the last grant for it ends, milliseconds since 1970.
     expires INTEGER NOT NULL,
     -- 1: it was found in the store.
     durable INTEGER NOT NULL,
     -- 1: of the part's contents the one that was granted last.
     latest INTEGER NOT NULL,
     PRIMARY KEY (backup, number, sha256)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX candidate_by_number ON candidate (backup, number, size);
   -- Nobody knows how their streams stood behind their parts, so nobody can go on with them; commits that have begun end.
   INSERT INTO abandoned
     SELECT backup, to_guid, token, coalesce((SELECT max(expires) FROM part p WHERE p.backup = o.backup), 0)
     FROM open_backup o WHERE committing IS NULL;
   DELETE FROM open_backup WHERE committing IS NULL;
   INSERT INTO candidate
     SELECT backup, number, sha256, json_extract(segment, '$.size'), segment, NULL, NULL, expires, 0, 1 FROM part;
   DROP TABLE part;`,

  `-- 1: it is written down in the bucket as well.
   ALTER TABLE candidate ADD COLUMN noted INTEGER NOT NULL DEFAULT 0;
   CREATE INDEX candidate_to_note ON candidate (backup, number) WHERE noted = 0 AND after IS NOT NULL;
   -- 0: a lost database may have granted other contents of the part, of which nobody knows.
   ALTER TABLE candidate ADD COLUMN sure INTEGER NOT NULL DEFAULT 1;
   -- When it was found in the bucket, milliseconds since 1970; NULL: it was opened here.
   ALTER TABLE open_backup ADD COLUMN adopted INTEGER;
   -- The attributes that are written down there.
   ALTER TABLE open_backup ADD COLUMN noted_attributes TEXT;
   -- A service that knows its repository knows its open backups: it takes none from the bucket.
   INSERT INTO kept SELECT 'uploads', x'01' WHERE EXISTS (SELECT 1 FROM kept WHERE name = 'repository');`,

  `-- How the last run of each job ended; moments are milliseconds since 1970.
   CREATE TABLE job_run (
     job TEXT PRIMARY KEY,
     started INTEGER NOT NULL,
     ended INTEGER NOT NULL,
     outcome TEXT NOT NULL,
     words TEXT NOT NULL
   ) STRICT, WITHOUT ROWID;`,

  `-- What agents said last of themselves; seen in milliseconds since 1970.
   CREATE TABLE agent (
     token TEXT NOT NULL,
     host TEXT NOT NULL,
     seen INTEGER NOT NULL,
     said TEXT NOT NULL,
     PRIMARY KEY (token, host)
   ) STRICT, WITHOUT ROWID;

   -- Codes that nobody has used; expires in milliseconds since 1970.
   CREATE TABLE enrolment (
     hash BLOB PRIMARY KEY,
     name TEXT NOT NULL UNIQUE,
     scope TEXT NOT NULL CHECK (scope IN ('reader', 'agent', 'operator')),
     expires INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID;`,

  `-- Entries that are to be written to the journal.
   CREATE TABLE outbox (
     id TEXT PRIMARY KEY,
     entry TEXT NOT NULL
   ) STRICT, WITHOUT ROWID;`,

  `-- Stored bytes that deep proofs read on a day (YYYY-MM-DD).
   CREATE TABLE verify_read (
     day TEXT PRIMARY KEY,
     bytes INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID;
   -- Where a deep proof goes on that was cut off.
   CREATE TABLE verify_place (
     backup TEXT PRIMARY KEY,
     -- Those found whole, from the first on, and the frames in them that the second decoder decoded as well.
     segments INTEGER NOT NULL,
     frames INTEGER NOT NULL,
     -- In [0, 1): chose these frames.
     chance REAL NOT NULL
   ) STRICT, WITHOUT ROWID;
   -- When a damaged backup was looked at again, milliseconds since 1970.
   CREATE TABLE verify_again (
     backup TEXT PRIMARY KEY,
     at INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID;`,

  `-- Whom notices are brought to. Moments are milliseconds since 1970.
   CREATE TABLE notice_place (
     -- Digest of what it is, for it may be secret.
     place TEXT PRIMARY KEY,
     -- Up to then it was looked what is to be told.
     looked INTEGER NOT NULL,
     -- Given up since one was delivered.
     dropped INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE notice (
     place TEXT NOT NULL REFERENCES notice_place ON DELETE CASCADE,
     -- Id of the entry, and its moment.
     entry TEXT NOT NULL,
     at INTEGER NOT NULL,
     -- NULL: delivered, or given up.
     document TEXT,
     queued INTEGER NOT NULL,
     due INTEGER NOT NULL,
     tries INTEGER NOT NULL,
     PRIMARY KEY (place, entry)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX notice_waiting ON notice (place, entry) WHERE document IS NOT NULL;
   CREATE INDEX notice_over ON notice (place, at) WHERE document IS NULL;`,

  `-- Who made a code: the journal names him for the token that it becomes. NULL: nobody wrote that down then.
   ALTER TABLE enrolment ADD COLUMN made_by TEXT;`,
];

/**
 * Brings the tables up to date, in one transaction.
 *
 * @param file named when it cannot be done.
 * @throws {ZkeepError} `refused` (`state.newer`) when a newer zkeep wrote it.
 */
export function migrate(state: State, file: string): void {
  state
    .transaction(() => {
      const version = Number(state.pragma('user_version', { simple: true }));
      if (version > STEPS.length) {
        throw new ZkeepError(
          'refused',
          'state.newer',
          `${file} was written by a newer zkeep (version ${version})`,
          {
            advice: 'update zkeep on this host',
            facts: { file, version, known: STEPS.length },
          },
        );
      }
      for (const step of STEPS.slice(version)) state.exec(step);
      state.pragma(`user_version = ${STEPS.length}`);
    })
    .immediate();
}
