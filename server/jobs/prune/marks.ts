/** The marks for removal: set, taken back, and taken back from what is used. */
import type { PlannedRow } from '../../../catalog/chain/retention/plan.ts';
import type { Clock } from '../../../catalog/clock.ts';
import type { CatalogIndex } from '../../../catalog/index/catalog-index.ts';
import { type Mark, MOST_IN_ENTRY } from '../../../catalog/journal/entry.ts';
import type { BackupId, Guid } from '../../../catalog/words.ts';
import type { Journal } from '../../journal/journal.ts';

export interface MarkTools {
  readonly index: CatalogIndex;
  readonly journal: Journal;
  readonly clock: Clock;
  /** How long what is marked stays, milliseconds. */
  readonly grace: number;
}

/**
 * What is marked, known without a question to the index. Who restores from a marked backup takes the mark
 * back, by the journal: so every service knows, and the grace begins anew should it be marked again.
 */
export class Marks {
  readonly #tools: MarkTools;
  /** Since when, milliseconds since 1970. */
  readonly #marked: Map<BackupId, number>;
  /** Those whose marks are being taken back, by how many. */
  readonly #used = new Map<BackupId, number>();
  #isStale = false;

  constructor(tools: MarkTools) {
    this.#tools = tools;
    this.#marked = new Map(tools.index.marks().map(({ backup, at }) => [backup, at]));
    tools.journal.onFact(({ fact }) => {
      if (fact.kind.startsWith('backups.')) this.#readSoon();
    });
  }

  /** Backups that somebody begins to restore from. */
  used(): BackupId[] {
    return [...this.#used.keys()];
  }

  /**
   * Takes the marks of these back, where they have any, because they are about to be read.
   *
   * @param by name of the token.
   * @throws what the store throws.
   */
  async use(backups: readonly BackupId[], by: string): Promise<void> {
    if (this.#marked.size === 0) return;
    const marked = backups.filter((backup) => this.#marked.has(backup));
    if (marked.length === 0) return;
    for (const backup of marked) this.#used.set(backup, (this.#used.get(backup) ?? 0) + 1);
    try {
      const reason = `a restore with the token ${by} needs it`;
      await this.#say(
        'backups.unmarked',
        by,
        marked.map((backup) => ({ backup, reason })),
      );
    } finally {
      for (const backup of marked) {
        const left = (this.#used.get(backup) ?? 1) - 1;
        if (left > 0) this.#used.set(backup, left);
        else this.#used.delete(backup);
      }
    }
  }

  /** Sets and takes back marks as planned; gives how many. */
  async set(
    by: string | null,
    rows: readonly PlannedRow[],
    signal: AbortSignal,
  ): Promise<{ marked: number; unmarked: number }> {
    const unmark = rows.filter(({ fate }) => fate === 'unmark').map((row) => markOf(row, whyNeeded(row)));
    const mark = rows.filter(({ fate }) => fate === 'mark').map((row) => markOf(row, 'no policy keeps it'));
    await this.#say('backups.unmarked', by, unmark, signal);
    await this.#say('backups.marked', by, mark, signal);
    return { marked: mark.length, unmarked: unmark.length };
  }

  /**
   * Whether a snapshot is so near to its removal that nothing may hang on it any more: all backups to it
   * have been marked for half of the grace. What another service began on it before can be seen by now.
   */
  isLeaving(snapshot: Guid): boolean {
    if (this.#marked.size === 0) return false;
    const { index, clock, grace } = this.#tools;
    const leading = index.backupsTo(snapshot);
    const since = clock.now() - grace / 2;
    return (
      leading.length > 0 &&
      leading.every(({ backup }) => (this.#marked.get(backup) ?? Number.POSITIVE_INFINITY) <= since)
    );
  }

  async #say(
    kind: 'backups.marked' | 'backups.unmarked',
    by: string | null,
    backups: readonly Mark[],
    signal?: AbortSignal,
  ): Promise<void> {
    for (let at = 0; at < backups.length; at += MOST_IN_ENTRY) {
      signal?.throwIfAborted();
      await this.#tools.journal.record(by, { kind, backups: backups.slice(at, at + MOST_IN_ENTRY) });
    }
  }

  /** Of two entries the later one holds, whichever comes first: the index knows. */
  #readSoon(): void {
    if (this.#isStale) return;
    this.#isStale = true;
    queueMicrotask(() => {
      this.#isStale = false;
      this.#marked.clear();
      for (const { backup, at } of this.#tools.index.marks()) this.#marked.set(backup, at);
    });
  }
}

function markOf({ backup }: PlannedRow, reason: string): Mark {
  return { backup, reason };
}

function whyNeeded({ because, needed_by: by }: PlannedRow): string {
  const [first] = because;
  if (first) return first.policy === null ? first.reason : `${first.reason} of policy ${first.policy}`;
  return by ? `${by.example} hangs on it` : 'it is needed again';
}
