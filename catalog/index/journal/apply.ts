/** Entries of the journal into the tables: whatever their order and however often they come, the content is the same. */
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import type { Entry, Fact } from '../../journal/entry.ts';
import type { BackupId } from '../../words.ts';
import type { IndexDatabase } from '../tables/database.ts';
import { applyFindings, dropFindings, noteDamage, noteProof, type Said } from './findings.ts';

/** A row of the table of entries. */
export interface EntryRow {
  readonly id: string;
  readonly at: string;
  readonly who: string | null;
  readonly body: Buffer;
}

/**
 * Takes in entries, within the transaction of the caller.
 *
 * @returns those that were not there yet, in their order.
 */
export function applyEntries(db: IndexDatabase, entries: readonly Entry[]): Entry[] {
  const fresh = entries.filter((entry) => keepEntry(db, entry));
  const touched = new Set<BackupId>();
  for (const entry of fresh) for (const backup of fold(db, entry)) touched.add(backup);
  applyFindings(db, touched);
  return fresh;
}

/** The entry that a row holds. */
export function entryOf({ id, at, who, body }: EntryRow): Entry {
  const text = body[0] === BRACE ? body : zstdDecompressSync(body, { maxOutputLength: LONGEST });
  return { id, at, by: who, ...(JSON.parse(text.toString()) as Pick<Entry, 'fact' | 'about'>) };
}

/** `{`, with which JSON begins and zstd does not. */
const BRACE = 0x7b;
/** Bytes from which on compression is worth its time. */
const LONG = 1024;
/** Bytes of an entry that nobody could have written. */
const LONGEST = 64 * 1024 * 1024;

function keepEntry(db: IndexDatabase, { id, at, by, fact, about = [] }: Entry): boolean {
  if (db.get('SELECT 1 FROM entry WHERE id = ?', id)) return false;
  const json = Buffer.from(JSON.stringify({ fact, ...(about.length > 0 ? { about } : {}) }));
  const body =
    json.length < LONG ? json : zstdCompressSync(json, { params: { [constants.ZSTD_c_checksumFlag]: 1 } });
  db.run('INSERT INTO entry (id, at, who, kind, body) VALUES (?, ?, ?, ?, ?)', id, at, by, fact.kind, body);
  for (const { host, dataset } of about) {
    const sql = 'INSERT INTO about (dataset, host, id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING';
    db.run(sql, dataset ?? '', host, id);
  }
  return true;
}

/** Folds one entry into what holds; gives the backups of which something was found out. */
function fold(db: IndexDatabase, { fact, ...said }: Entry): BackupId[] {
  switch (fact.kind) {
    case 'policy.set':
      return setPolicy(db, fact.policy.name, JSON.stringify(fact.policy), said);
    case 'policy.removed':
      return setPolicy(db, fact.name, null, said);
    case 'pin.set':
      return setPin(db, fact.pin.pin, JSON.stringify(fact.pin), said);
    case 'pin.removed':
      return setPin(db, fact.pin, null, said);
    case 'backups.marked':
      for (const { backup, reason } of fact.backups) setMark(db, backup, reason, said);
      return [];
    case 'backups.unmarked':
      for (const { backup } of fact.backups) setMark(db, backup, null, said);
      return [];
    case 'backups.removed':
      return fact.backups.map(({ backup }) => forget(db, backup, said));
    case 'proven':
      return fact.proofs.flatMap((proof) => {
        if (wasRemoved(db, proof.backup, said)) return [];
        noteProof(db, proof, said);
        return [proof.backup];
      });
    case 'damaged':
      if (wasRemoved(db, fact.damage.backup, said)) return [];
      noteDamage(db, fact.damage, said);
      return [fact.damage.backup];
    case 'drilled':
      return keepDrill(db, fact, said);
    default:
      return [];
  }
}

function setPolicy(db: IndexDatabase, name: string, document: string | null, { id }: Said): [] {
  db.run(
    `INSERT INTO policy (name, id, document) VALUES (?, ?, ?)
     ON CONFLICT DO UPDATE SET id = excluded.id, document = excluded.document WHERE excluded.id > id`,
    name,
    id,
    document,
  );
  return [];
}

function setPin(db: IndexDatabase, pin: string, document: string | null, { id, at, by }: Said): [] {
  db.run(
    `INSERT INTO pin (pin, id, at, who, document) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET id = excluded.id, at = excluded.at, who = excluded.who, document = excluded.document
       WHERE excluded.id > id`,
    pin,
    id,
    at,
    by,
    document,
  );
  return [];
}

function setMark(db: IndexDatabase, backup: BackupId, reason: string | null, said: Said): void {
  if (wasRemoved(db, backup, said)) return;
  db.run(
    `INSERT INTO mark (backup, id, at, reason) VALUES (?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET id = excluded.id, at = excluded.at, reason = excluded.reason WHERE excluded.id > id`,
    backup,
    said.id,
    said.at,
    reason,
  );
}

/** What was said of a backup before it was removed holds no more; what is said of it later does, should it be back. */
function forget(db: IndexDatabase, backup: BackupId, { id }: Said): BackupId {
  db.run(
    `INSERT INTO gone (backup, id) VALUES (?, ?) ON CONFLICT DO UPDATE SET id = excluded.id WHERE excluded.id > id`,
    backup,
    id,
  );
  db.run('DELETE FROM mark WHERE backup = ? AND id < ?', backup, id);
  dropFindings(db, backup, id);
  return backup;
}

function wasRemoved(db: IndexDatabase, backup: BackupId, { id }: Said): boolean {
  return db.get('SELECT 1 FROM gone WHERE backup = ? AND id > ?', backup, id) !== undefined;
}

function keepDrill(db: IndexDatabase, { drill }: Fact & { kind: 'drilled' }, { id, at, by }: Said): [] {
  db.run(
    'INSERT INTO drill (id, at, who, lineage, guid, host, dataset, document) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
    id,
    at,
    by,
    drill.lineage,
    drill.guid,
    drill.host,
    drill.dataset,
    JSON.stringify(drill),
  );
  return [];
}
