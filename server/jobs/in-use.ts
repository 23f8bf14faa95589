/** What is being read just now and must not be removed meanwhile. */
import type { BackupId } from '../../catalog/words.ts';

/**
 * Backups that this process is reading. In memory only: with the process, its readers end.
 *
 * @example
 * const done = inUse.hold(backup);
 * try { await read(backup); } finally { done(); }
 */
export class InUse {
  readonly #readers = new Map<BackupId, number>();

  /** Notes that a backup is being read; gives what ends that, which may be called twice. */
  hold(backup: BackupId): () => void {
    this.#readers.set(backup, (this.#readers.get(backup) ?? 0) + 1);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      const left = (this.#readers.get(backup) ?? 1) - 1;
      if (left > 0) this.#readers.set(backup, left);
      else this.#readers.delete(backup);
    };
  }

  has(backup: BackupId): boolean {
    return this.#readers.has(backup);
  }

  all(): BackupId[] {
    return [...this.#readers.keys()];
  }
}
