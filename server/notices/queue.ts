/** Notices that are to be delivered, in `service.db`: a restart loses none, and delivers none again that it knows of. */
import type { Entry } from '../../catalog/journal/entry.ts';
import type { State } from '../state/state.ts';

/** Most that wait for one receiver: the oldest are given up. */
const MOST_WAITING = 10_000;
/** What is older than this when it is looked at at the start was looked at before, milliseconds: clocks of services differ. */
export const LOOK_BACK = 3600_000;

/** A notice that waits. Moments are milliseconds since 1970. */
export interface Waiting {
  readonly entry: Entry;
  readonly queued: number;
  readonly due: number;
  /** That failed. */
  readonly tries: number;
}

interface Row extends Omit<Waiting, 'entry'> {
  readonly document: string;
}

/** What waits for one receiver: the tables `notice` and `notice_place`. */
export class NoticeQueue {
  readonly #state: State;
  readonly #place: string;

  /** @param place tells receivers apart, over restarts. */
  constructor(state: State, place: string) {
    this.#state = state;
    this.#place = place;
  }

  /**
   * Begins, or goes on with what a former run left.
   *
   * @returns up to when it was looked what is to be told; `undefined`: this receiver is new, and is told what happens from now on.
   */
  begin(now: number): number | undefined {
    const sql = 'SELECT looked FROM notice_place WHERE place = ?';
    const looked = this.#state.prepare<[string], { looked: number }>(sql).get(this.#place)?.looked;
    if (looked === undefined)
      this.#state.prepare('INSERT INTO notice_place VALUES (?, ?, 0)').run(this.#place, now);
    return looked;
  }

  /**
   * Adds notices; those that were there before, delivered or not, are left as they are.
   *
   * @returns how many were given up for them, because too many wait.
   */
  add(entries: readonly Entry[], now: number): number {
    const insert = this.#state.prepare(
      'INSERT OR IGNORE INTO notice (place, entry, at, document, queued, due, tries) VALUES (?, ?, ?, ?, ?, ?, 0)',
    );
    return this.#state
      .transaction(() => {
        for (const entry of entries)
          insert.run(this.#place, entry.id, Date.parse(entry.at), JSON.stringify(entry), now, now);
        this.#looked(now);
        return this.#bound();
      })
      .immediate();
  }

  /** Notes that all up to now was looked at; what is older than a restart would look at is forgotten. */
  looked(now: number): void {
    this.#state.transaction(() => this.#looked(now)).immediate();
  }

  /** The oldest that waits. */
  first(): Waiting | undefined {
    const row = this.#state
      .prepare<[string], Row>(
        'SELECT document, queued, due, tries FROM notice WHERE place = ? AND document IS NOT NULL ORDER BY entry LIMIT 1',
      )
      .get(this.#place);
    return row && { ...row, entry: JSON.parse(row.document) as Entry };
  }

  /** How many wait, and how many were given up since one was delivered. */
  counts(): { readonly waiting: number; readonly dropped: number } {
    const sql = `SELECT (SELECT count(*) FROM notice n WHERE n.place = p.place AND n.document IS NOT NULL) AS waiting,
      p.dropped FROM notice_place p WHERE p.place = ?`;
    const row = this.#state.prepare<[string], { waiting: number; dropped: number }>(sql).get(this.#place);
    return row ?? { waiting: 0, dropped: 0 };
  }

  /** It was delivered; the receiver was told with it of so many that were given up. */
  delivered({ entry }: Waiting, dropped: number): void {
    this.#state
      .transaction(() => {
        this.#end(entry.id);
        this.#state
          .prepare('UPDATE notice_place SET dropped = dropped - ? WHERE place = ?')
          .run(dropped, this.#place);
      })
      .immediate();
  }

  /** It was not, and will not be. */
  dropped({ entry }: Waiting): void {
    this.#state
      .transaction(() => {
        this.#end(entry.id);
        this.#state.prepare('UPDATE notice_place SET dropped = dropped + 1 WHERE place = ?').run(this.#place);
      })
      .immediate();
  }

  /** It is tried again then. */
  putOff({ entry, tries }: Waiting, due: number): void {
    this.#state
      .prepare('UPDATE notice SET due = ?, tries = ? WHERE place = ? AND entry = ?')
      .run(due, tries + 1, this.#place, entry.id);
  }

  #end(entry: string): void {
    this.#state
      .prepare('UPDATE notice SET document = NULL WHERE place = ? AND entry = ?')
      .run(this.#place, entry);
  }

  #looked(now: number): void {
    this.#state
      .prepare('UPDATE notice_place SET looked = max(looked, ?) WHERE place = ?')
      .run(now, this.#place);
    this.#state
      .prepare(
        'DELETE FROM notice WHERE place = ? AND document IS NULL AND at < (SELECT looked FROM notice_place WHERE place = ?) - ?',
      )
      .run(this.#place, this.#place, LOOK_BACK);
  }

  #bound(): number {
    const more = this.counts().waiting - MOST_WAITING;
    if (more <= 0) return 0;
    this.#state
      .prepare(
        `UPDATE notice SET document = NULL WHERE place = ? AND entry IN
          (SELECT entry FROM notice WHERE place = ? AND document IS NOT NULL ORDER BY entry LIMIT ?)`,
      )
      .run(this.#place, this.#place, more);
    this.#state
      .prepare('UPDATE notice_place SET dropped = dropped + ? WHERE place = ?')
      .run(more, this.#place);
    return more;
  }
}

/**
 * Forgets what waits for receivers that are not configured any more.
 *
 * @returns how many notices waited for them.
 */
export function forgetOthers(state: State, places: readonly string[]): number {
  return state
    .transaction(() => {
      const known = JSON.stringify(places);
      const others = 'place NOT IN (SELECT value FROM json_each(?))';
      const sql = `SELECT count(*) AS count FROM notice WHERE document IS NOT NULL AND ${others}`;
      const left = state.prepare<[string], { count: number }>(sql).get(known)?.count ?? 0;
      state.prepare(`DELETE FROM notice_place WHERE ${others}`).run(known);
      return left;
    })
    .immediate();
}
