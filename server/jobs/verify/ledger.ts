/** What the verify job must remember over restarts, in `service.db`: what it read today, and where it stands. */
import type { Walked } from '../../../catalog/repository/verify/walk.ts';
import type { BackupId } from '../../../catalog/words.ts';
import type { State } from '../../state/state.ts';

/** Where a deep look stands that was cut off, and the chance by which it chose frames for the second decoder. */
export interface Place extends Walked {
  readonly chance: number;
}

/** The tables `verify_read`, `verify_place` and `verify_again`. */
export class VerifyLedger {
  readonly #state: State;

  constructor(state: State) {
    this.#state = state;
  }

  /** Stored bytes that deep looks read on a day (`YYYY-MM-DD`). */
  read(day: string): number {
    const sql = 'SELECT bytes FROM verify_read WHERE day = ?';
    return this.#state.prepare<[string], { bytes: number }>(sql).get(day)?.bytes ?? 0;
  }

  /** Notes that so many more were read; what other days read is forgotten. */
  spend(day: string, bytes: number): void {
    this.#state
      .transaction(() => {
        this.#state.prepare('DELETE FROM verify_read WHERE day <> ?').run(day);
        const sql =
          'INSERT INTO verify_read (day, bytes) VALUES (?, ?) ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes';
        this.#state.prepare(sql).run(day, bytes);
      })
      .immediate();
  }

  /** The backups of which a deep look was cut off. */
  begun(): BackupId[] {
    const sql = 'SELECT backup FROM verify_place ORDER BY backup';
    return this.#state
      .prepare<[], { backup: BackupId }>(sql)
      .all()
      .map(({ backup }) => backup);
  }

  place(backup: BackupId): Place | undefined {
    const sql = 'SELECT segments, frames, chance FROM verify_place WHERE backup = ?';
    return this.#state.prepare<[string], Place>(sql).get(backup);
  }

  keep(backup: BackupId, { segments, frames, chance }: Place): void {
    const sql = 'INSERT OR REPLACE INTO verify_place (backup, segments, frames, chance) VALUES (?, ?, ?, ?)';
    this.#state.prepare(sql).run(backup, segments, frames, chance);
  }

  drop(backup: BackupId): void {
    this.#state.prepare('DELETE FROM verify_place WHERE backup = ?').run(backup);
  }

  /** When a damaged backup was looked at again, milliseconds since 1970. */
  again(backup: BackupId): number | undefined {
    const sql = 'SELECT at FROM verify_again WHERE backup = ?';
    return this.#state.prepare<[string], { at: number }>(sql).get(backup)?.at;
  }

  noteAgain(backup: BackupId, at: number): void {
    this.#state.prepare('INSERT OR REPLACE INTO verify_again (backup, at) VALUES (?, ?)').run(backup, at);
  }

  /** Forgets when others than these were looked at again. */
  keepAgain(damaged: Pick<ReadonlySet<BackupId>, 'has'>): void {
    const rows = this.#state.prepare<[], { backup: BackupId }>('SELECT backup FROM verify_again').all();
    const drop = this.#state.prepare('DELETE FROM verify_again WHERE backup = ?');
    for (const { backup } of rows) if (!damaged.has(backup)) drop.run(backup);
  }
}
