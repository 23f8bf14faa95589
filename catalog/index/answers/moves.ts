/** Which datasets have been under several names or on several hosts, by their own GUIDs. */
import { movesOf, type Stay } from '../../chain/retention/stays.ts';
import type { OwnGuids } from '../../words.ts';
import type { IndexDatabase } from '../tables/database.ts';

/** A dataset name on a host. */
export interface Where {
  readonly host: string;
  readonly dataset: string;
}

/** Where datasets went on. Of each that was in several places this is found out once. */
export class Moves {
  readonly #db: IndexDatabase;
  readonly #found = new Map<OwnGuids, ReadonlyMap<number, number>>();

  constructor(db: IndexDatabase) {
    this.#db = db;
  }

  /**
   * The place in which a dataset was next after another one; `undefined`: none that is known.
   *
   * @param place row id of the other one.
   * @param own what tells the dataset.
   */
  from(place: number, own: OwnGuids | null): Where | undefined {
    if (own === null || !this.#isIn(own, place)) return undefined;
    const moves = this.#found.get(own) ?? movesOf(this.#db.all<Stay<number>>(STAYS, own));
    this.#found.set(own, moves);
    const next = moves.get(place);
    return next === undefined ? undefined : this.#db.get<Where>(PLACE, next);
  }

  /** Whether it was in another place as well: two looks, and no more for most. */
  #isIn(own: OwnGuids, place: number): boolean {
    return this.#db.get(BEFORE, own, place) !== undefined || this.#db.get(BEHIND, own, place) !== undefined;
  }
}

const BEFORE = 'SELECT 1 FROM backup INDEXED BY backup_by_own WHERE own = ? AND dataset < ? LIMIT 1';
const BEHIND = 'SELECT 1 FROM backup INDEXED BY backup_by_own WHERE own = ? AND dataset > ? LIMIT 1';
const PLACE = 'SELECT host, dataset FROM dataset WHERE id = ?';
const STAYS = `SELECT dataset AS place, min(created) AS oldest, max(created) AS newest, min(backup) AS first, max(backup) AS last
  FROM backup INDEXED BY backup_by_own WHERE own = ? GROUP BY dataset`;

/** The places of each dataset that was in several: one pass over an index. */
export function movedDatasets(db: IndexDatabase): Where[][] {
  const rows = db.all<Where & { readonly own: OwnGuids }>(MOVED);
  return [...Map.groupBy(rows, ({ own }) => own).values()].map((places) =>
    places.map(({ host, dataset }) => ({ host, dataset })),
  );
}

const MOVED = `SELECT DISTINCT m.own, d.host, d.dataset
  FROM (SELECT own FROM backup INDEXED BY backup_by_own WHERE own IS NOT NULL
    GROUP BY own HAVING min(dataset) < max(dataset)) m
  CROSS JOIN backup b INDEXED BY backup_by_own ON b.own = m.own
  CROSS JOIN dataset d ON d.id = b.dataset`;
