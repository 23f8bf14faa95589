/** What was found out about backups: proofs and damage, of each depth the last one; and what follows for the backup's row. */
import type { Damage, Depth, Proof } from '../../journal/entry.ts';
import type { ProofRow } from '../../protocol/events.ts';
import type { BackupId } from '../../words.ts';
import { edgesOfLineage, remakeChains } from '../tables/chains.ts';
import type { IndexDatabase } from '../tables/database.ts';

/** A damage that holds. */
export type FoundDamage = Damage & {
  /** When it was found. */
  readonly found: string;
  /** The token of who found it; `null`: the service. */
  readonly by: string | null;
};

/** When something was said, and by whom. */
export interface Said {
  readonly id: string;
  readonly at: string;
  readonly by: string | null;
}

/** Notes a proof, unless a later one of its depth is known. */
export function noteProof(db: IndexDatabase, { backup, depth }: Proof, { id, at }: Said): void {
  db.run(
    `INSERT INTO proof (backup, depth, id, at) VALUES (?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET id = excluded.id, at = excluded.at WHERE excluded.id > id`,
    backup,
    depth,
    id,
    at,
  );
}

/** Notes a damage, unless a later one of its depth is known. */
export function noteDamage(db: IndexDatabase, damage: Damage, { id, at, by }: Said): void {
  db.run(
    `INSERT INTO damage (backup, depth, id, at, who, document) VALUES (?, ?, ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET id = excluded.id, at = excluded.at, who = excluded.who, document = excluded.document
       WHERE excluded.id > id`,
    damage.backup,
    damage.depth,
    id,
    at,
    by,
    JSON.stringify(damage),
  );
}

/** When a backup was last found whole. Who read every byte has seen that every object is there, too. */
export function proofOf(db: IndexDatabase, backup: BackupId): ProofRow {
  const proofs = read<FindingRow>(db, 'proof', backup);
  return { backup, light: lastOf(proofs, 'light')?.at ?? null, deep: lastOf(proofs, 'deep')?.at ?? null };
}

/** What is wrong with a backup: the last damage that no later proof of at least its depth has refuted. */
export function damageOf(db: IndexDatabase, backup: BackupId): FoundDamage | undefined {
  const proofs = read<FindingRow>(db, 'proof', backup);
  const holds = read<DamageRow>(db, 'damage', backup).filter((damage) => {
    const proof = proofs.reduce((last, one) => (covers(one, damage) && one.id > last ? one.id : last), '');
    return damage.id > proof;
  });
  const last = holds.reduce<DamageRow | undefined>((a, b) => (a && a.id > b.id ? a : b), undefined);
  return last && { ...(JSON.parse(last.document) as Damage), found: last.at, by: last.who };
}

/** All damage that holds, of backups that are there, by backup. */
export function allDamage(db: IndexDatabase): FoundDamage[] {
  const sql = 'SELECT backup FROM backup INDEXED BY backup_damaged WHERE damaged = 1 ORDER BY backup';
  return db.all<{ backup: BackupId }>(sql).flatMap(({ backup }) => damageOf(db, backup) ?? []);
}

/** Gives the new row of a backup what was found out about it before the row came. */
export function takeFindings(db: IndexDatabase, backup: BackupId): { readonly damaged: boolean } {
  const known = db.get('SELECT 1 FROM proof WHERE backup = ?', backup) ?? db.get(ANY_DAMAGE, backup);
  return known ? keepFindings(db, backup) : { damaged: false };
}

const ANY_DAMAGE = 'SELECT 1 FROM damage WHERE backup = ?';

/** Gives the rows of backups what was just found out about them; chains that this changes are made anew. */
export function applyFindings(db: IndexDatabase, backups: Iterable<BackupId>): void {
  const changed = new Set<number>();
  for (const backup of new Set(backups)) {
    const sql = 'SELECT lineage, damaged FROM backup WHERE backup = ?';
    const row = db.get<{ lineage: number; damaged: number }>(sql, backup);
    if (!row) continue;
    const { damaged } = keepFindings(db, backup);
    if (damaged !== (row.damaged === 1)) changed.add(row.lineage);
  }
  for (const lineage of changed) remakeChains(db, edgesOfLineage(db, lineage));
}

/** Whether it is damaged, and when it was last looked at, whatever was found. */
function keepFindings(db: IndexDatabase, backup: BackupId): { readonly damaged: boolean } {
  const damaged = damageOf(db, backup) !== undefined;
  const looks = [...read<FindingRow>(db, 'proof', backup), ...read<FindingRow>(db, 'damage', backup)];
  db.run(
    'UPDATE backup SET damaged = ?, light = ?, deep = ? WHERE backup = ?',
    Number(damaged),
    momentOf(lastOf(looks, 'light')),
    momentOf(lastOf(looks, 'deep')),
    backup,
  );
  return { damaged };
}

/** Forgets what was found out about a backup before it was removed. */
export function dropFindings(db: IndexDatabase, backup: BackupId, before: string): void {
  db.run('DELETE FROM proof WHERE backup = ? AND id < ?', backup, before);
  db.run('DELETE FROM damage WHERE backup = ? AND id < ?', backup, before);
}

interface FindingRow {
  readonly depth: Depth;
  readonly id: string;
  readonly at: string;
}

interface DamageRow extends FindingRow {
  readonly who: string | null;
  readonly document: string;
}

function read<Row>(db: IndexDatabase, table: 'proof' | 'damage', backup: BackupId): Row[] {
  return db.all<Row>(`SELECT * FROM ${table} WHERE backup = ?`, backup);
}

/** Of those that are deep enough, the one that was said last. */
function lastOf(findings: readonly FindingRow[], depth: Depth): FindingRow | undefined {
  return findings
    .filter((finding) => covers(finding, { depth }))
    .reduce<FindingRow | undefined>((a, b) => (a && a.at > b.at ? a : b), undefined);
}

function covers(finding: FindingRow, { depth }: { readonly depth: Depth }): boolean {
  return finding.depth === depth || finding.depth === 'deep';
}

function momentOf(finding: FindingRow | undefined): number | null {
  return finding ? Date.parse(finding.at) : null;
}
