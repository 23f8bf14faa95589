/** Settings, what changed of them, and when, as people read them. */
import type { ParsedAttributes, Property } from '../../catalog/attributes/attributes.ts';
import type { Change, Setting } from '../../catalog/attributes/difference.ts';
import type { HistoryPoint } from '../../catalog/protocol/history.ts';
import { valueInWords } from './attributes.ts';
import { table } from './table.ts';
import { momentInWords } from './words.ts';

/** What somebody set: without defaults, and without what nobody can set. Of bookmarks, on which nothing can be set, all. */
export function withoutDefaults(parsed: ParsedAttributes): ParsedAttributes {
  const { objects, pool, host } = parsed;
  return {
    objects: objects.map((object) =>
      object.kind === 'bookmark' ? object : { ...object, properties: chosen(object.properties) },
    ),
    pool: pool && { ...pool, properties: chosen(pool.properties) },
    host,
  };
}

/** A row for each change. */
export function changesInWords(changes: readonly Change[]): string {
  const columns = ['of', 'property', 'before', 'after'].map((title) => ({ title }));
  const rows = changes.map(({ scope, property, before, after }) => [
    scope,
    property,
    settingInWords(before, after),
    settingInWords(after, before),
  ]);
  return table(columns, rows);
}

/** A row for each change, the oldest first. */
export function historyInWords(points: readonly HistoryPoint[]): string {
  const columns = ['created', 'snapshot', 'of', 'value', 'before', 'host'].map((title) => ({ title }));
  const rows = points.flatMap(({ created, name, host, first, changes }) =>
    changes.map(({ scope, before, after }) => [
      momentInWords(created),
      `@${name}`,
      scope,
      settingInWords(after, before),
      first ? 'not known' : settingInWords(before, after),
      host,
    ]),
  );
  return table(columns, rows);
}

/** The value, and where it is from when the other one is of the same value, or somebody chose it. */
function settingInWords(setting: Setting | null, other: Setting | null): string {
  if (!setting) return 'not there';
  const { value, source, from } = setting;
  const isTold = source !== 'none' || other?.value === value;
  const words = source === 'none' ? '-' : from === undefined ? source : `inherited from ${from}`;
  return isTold ? `${valueInWords(value)} (${words})` : valueInWords(value);
}

function chosen(properties: Readonly<Record<string, Property>>): Record<string, Property> {
  return Object.fromEntries(
    Object.entries(properties).filter(([, { source }]) => source !== 'default' && source !== 'none'),
  );
}
