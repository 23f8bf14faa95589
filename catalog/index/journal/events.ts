/** The journal as it is read: the newest entries first, of some kinds, about some dataset or host. */
import { FACT_KINDS, type FactKind } from '../../journal/entry.ts';
import type { EventsAnswer, EventsQuery } from '../../protocol/events.ts';
import { newUuid7 } from '../../words.ts';
import { Conditions, keyAfter, limitOf, pageOf } from '../answers/page.ts';
import type { IndexDatabase } from '../tables/database.ts';
import { type EntryRow, entryOf } from './apply.ts';

/** Bytes of stored entries after which a page ends: one entry may name a thousand backups. */
const PAGE_BYTES = 1024 * 1024;

/** Entries, the newest first. A page may end before its limit when its entries are long. */
export function listEvents(db: IndexDatabase, query: EventsQuery): EventsAnswer {
  const limit = limitOf(query);
  const [after] = keyAfter(query, ['string']) ?? [];
  const rows: EntryRow[] = [];
  let bytes = 0;
  for (const row of found(db, query, after as string | undefined, limit + 1)) {
    rows.push(row);
    bytes += row.body.length;
    if (rows.length > 1 && bytes > PAGE_BYTES) break;
  }
  const { items, next } = pageOf(
    rows,
    bytes > PAGE_BYTES ? Math.max(1, rows.length - 1) : limit,
    ({ id }) => [id],
  );
  return { events: items.map(entryOf), next };
}

/** @returns the kinds that are meant: those that are called so, or begin so. */
function kindsMeant(text: string): FactKind[] {
  const starts = text.split(',');
  return FACT_KINDS.filter((kind) => starts.some((start) => kind.startsWith(start)));
}

function found(
  db: IndexDatabase,
  { kinds, dataset, host, since }: EventsQuery,
  after: string | undefined,
  limit: number,
): EntryRow[] {
  const of = kinds === undefined ? undefined : kindsMeant(kinds);
  const within = (column: string) =>
    new Conditions()
      .add(`${column} < ?`, after)
      // An id is never older than its moment.
      .add(`${column} >= ?`, since && newUuid7(Date.parse(since), new Uint8Array(10)))
      .add('e.at >= ?', since);
  if (dataset === undefined && host === undefined) {
    const read = (conditions: Conditions) =>
      db.all<EntryRow>(
        `SELECT ${COLUMNS} FROM entry e ${conditions.where} ORDER BY e.id DESC LIMIT ?`,
        ...conditions.values,
        limit,
      );
    if (!of) return read(within('e.id'));
    // Each kind is in order by an index; together they are not.
    const rows = of.flatMap((kind) => read(within('e.id').add('e.kind = ?', kind)));
    return rows.sort((a, b) => (a.id < b.id ? 1 : -1)).slice(0, limit);
  }
  const conditions = within('a.id').add('a.dataset = ?', dataset).add('a.host = ?', host);
  if (of) conditions.addAll(`e.kind IN (${of.map(() => '?')})`, of);
  const index = dataset === undefined ? 'INDEXED BY about_host' : '';
  return db.all<EntryRow>(
    `SELECT DISTINCT ${COLUMNS} FROM about a ${index} CROSS JOIN entry e ON e.id = a.id ${conditions.where}
     ORDER BY a.id DESC LIMIT ?`,
    ...conditions.values,
    limit,
  );
}

const COLUMNS = 'e.id, e.at, e.who, e.body';
