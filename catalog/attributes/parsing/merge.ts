/**
 * Properties of datasets, snapshots and bookmarks out of all that tells them.
 * Questions for one property say exactly what it is; the lines of `zfs get -H`
 * hold every byte, and JSON says where a value ends: together they leave little
 * in doubt.
 */
import type { CommandOutput, Property } from '../attributes.ts';
import { type Command, commandOf } from './command.ts';
import { textOf } from './text.ts';
import { columnsOf, type Doubt, keyOf, type Row, readingsOf, rowsOfZfsGet, sourceOf } from './zfs-get.ts';
import { isInJson, type JsonObjects, objectsOfZfsJson } from './zfs-json.ts';

/** Properties by name, of objects by name, and those that may be otherwise. */
export interface Merged {
  readonly objects: Map<string, Map<string, Property>>;
  readonly doubtful: Doubt[];
}

/** Puts together what `zfs get` and `zfs list` printed, in whatever form. */
export function mergeObjects(outputs: readonly CommandOutput[]): Merged {
  const told: Told = { rows: [], json: new Map(), single: new Map(), lists: [] };
  for (const output of outputs) hear(told, output);
  const objects = new Map<string, Map<string, Property>>();
  const doubts = new Map<string, Doubt>();
  const embedded = rowsInValues(told);
  let before: Row | undefined;
  for (const { row, withReceived } of told.rows) {
    if (embedded.has(keyOf(row))) {
      // It ends the row before it too early.
      if (before) doubt(doubts, before);
      continue;
    }
    const { property, certain } = settled(row, withReceived, told.json.get(row.name)?.get(row.property));
    if (property) add(objects, row, property);
    if (!certain) doubt(doubts, row);
    if (told.json.get(row.name)?.has(row.property) === false) {
      // Either it is new, or it stands in a received value, which JSON does not show.
      doubt(doubts, row);
      if (before) doubt(doubts, before);
    }
    before = row;
  }
  for (const [name, properties] of told.json) {
    for (const [property, value] of properties) add(objects, { name, property }, value);
  }
  for (const [row, property] of told.lists) add(objects, row, property);
  for (const [key, single] of told.single) {
    const known = objects.get(single.name) ?? new Map<string, Property>();
    const property = answerOf(single, known.get(single.property));
    if (!property) continue;
    doubts.delete(key);
    objects.set(single.name, known);
    // What has neither value nor source is not there: it was part of another one's value.
    const isThere = property.source !== 'none' || (property.value !== '-' && !single.property.includes(':'));
    if (!isThere) known.delete(single.property);
    else known.set(single.property, property);
  }
  return { objects, doubtful: [...doubts.values()] };
}

interface Told {
  readonly rows: { row: Row; withReceived: boolean }[];
  readonly json: Map<string, Map<string, Property>>;
  readonly single: Map<string, Single>;
  readonly lists: [Doubt, Property][];
}

/** What was answered about one property alone, by column. */
interface Single extends Doubt {
  readonly columns: Map<string, string>;
}

function hear(told: Told, output: CommandOutput): void {
  const command = commandOf(output.command);
  if (command.name === 'zfs list') hearList(told, command, textOf(output));
  if (command.name !== 'zfs get') return;
  const text = textOf(output);
  if (command.flags.has('j')) {
    addJson(told.json, objectsOfZfsJson(text));
    return;
  }
  if (!command.flags.has('H')) return;
  const option = command.values.get('o');
  const columns = columnsOf(option);
  if (columns) {
    const withReceived = columns.includes('received');
    for (const row of rowsOfZfsGet(text, columns, namesIn(command))) told.rows.push({ row, withReceived });
  } else if (option !== undefined) hearSingle(told, command, option, text);
}

/** The objects that a command names; `undefined` where it asks about those below them as well. */
function namesIn({ flags, values, rest }: Command): ReadonlySet<string> | undefined {
  const names = rest.slice(1);
  return flags.has('r') || values.has('d') || names.length === 0 ? undefined : new Set(names);
}

function addJson(all: Map<string, Map<string, Property>>, objects: JsonObjects): void {
  for (const [name, properties] of objects) {
    const known = all.get(name) ?? new Map<string, Property>();
    for (const [property, value] of properties) if (!known.has(property)) known.set(property, value);
    all.set(name, known);
  }
}

/** `zfs get -Hp -o value PROPERTY NAME` prints the value and a newline, nothing else. */
function hearSingle(told: Told, { rest }: Command, column: string, text: string): void {
  const [property = '', name = '', ...more] = rest;
  const asked = ['value', 'received', 'source'].includes(column);
  if (!asked || more.length > 0 || name === '' || property.includes(',') || property === 'all') return;
  if (!text.endsWith('\n')) return;
  const key = keyOf({ name, property });
  const single = told.single.get(key) ?? { name, property, columns: new Map<string, string>() };
  single.columns.set(column, text.slice(0, -1));
  told.single.set(key, single);
}

/** `zfs list -Hp -o name,guid,...`: numbers and words, never tabs. */
function hearList(told: Told, { flags, values }: Command, text: string): void {
  const columns = (values.get('o') ?? '').split(',');
  if (!flags.has('H') || !flags.has('p') || columns[0] !== 'name') return;
  for (const line of text.split('\n')) {
    const cells = line.split('\t');
    if (cells.length !== columns.length || cells[0] === '') continue;
    columns.forEach((property, index) => {
      const value = cells[index] ?? '-';
      const name = cells[0] ?? '';
      if (index > 0 && value !== '-')
        told.lists.push([
          { name, property },
          { value, source: 'none' },
        ]);
    });
  }
}

/** Lines that look like rows and stand within a value: whoever may set a user property may write such lines. */
function rowsInValues({ json, single }: Told): Set<string> {
  const found = new Set<string>();
  const look = (value: string) => {
    if (!value.includes('\n')) return;
    for (const line of value.split('\n').slice(1)) {
      const [name, property, ...more] = line.split('\t');
      if (name === undefined || property === undefined || more.length === 0) continue;
      if (!json.get(name)?.has(property)) found.add(keyOf({ name, property }));
    }
  };
  for (const properties of json.values()) for (const { value } of properties.values()) look(value);
  for (const { columns } of single.values()) {
    look(columns.get('value') ?? '');
    look(columns.get('received') ?? '');
  }
  return found;
}

/** A row's reading in the light of what JSON says of the same property. */
function settled(
  row: Row,
  withReceived: boolean,
  inJson: Property | undefined,
): { property: Property | null; certain: boolean } {
  const plain = inJson === undefined || !/[\t\n]/.test(inJson.value);
  if (inJson === undefined || (row.certain && plain)) return { property: row.reading, certain: row.certain };
  const fitting = readingsOf(row.rest, withReceived).filter(
    ({ value, source, from }) =>
      source === inJson.source && from === inJson.from && isInJson(value, inJson.value),
  );
  const [only] = fitting;
  if (only && fitting.length === 1) return { property: only, certain: row.ends };
  return { property: inJson, certain: false };
}

/** What the single questions say; what they were not asked stays as it was read. */
function answerOf({ columns }: Single, read: Property | undefined): Property | undefined {
  const value = columns.get('value') ?? read?.value;
  const source = columns.has('source') ? sourceOf(columns.get('source') ?? '') : read;
  if (value === undefined || !source) return undefined;
  const told = columns.get('received') ?? read?.received ?? '-';
  const received = told === '-' ? (source.source === 'received' ? value : undefined) : told;
  return {
    value,
    source: source.source,
    ...(source.from === undefined ? {} : { from: source.from }),
    ...(received === undefined ? {} : { received }),
  };
}

function doubt(doubts: Map<string, Doubt>, { name, property }: Doubt): void {
  doubts.set(keyOf({ name, property }), { name, property });
}

/** The first that tells a property is believed. */
function add(objects: Map<string, Map<string, Property>>, { name, property }: Doubt, value: Property): void {
  const known = objects.get(name) ?? new Map<string, Property>();
  if (!known.has(property)) known.set(property, value);
  objects.set(name, known);
}
