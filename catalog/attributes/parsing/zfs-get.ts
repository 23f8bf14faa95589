/**
 * The lines of `zfs get -H`: columns with tabs between them. User properties are
 * arbitrary bytes without zero, up to 8 KiB, and are printed as they are
 * (OpenZFS, `zprop_print_one_property`): a value may hold tabs, newlines, and
 * what looks like a line of its own. So a row is what begins like one, and each
 * says whether it could be taken apart in one way only.
 */
import type { Property, PropertySource } from '../attributes.ts';

/** Columns that `-o` knows. */
export type Column = 'name' | 'property' | 'value' | 'received' | 'source';

/** A property that could not be taken apart with certainty. */
export interface Doubt {
  readonly name: string;
  readonly property: string;
}

/** One property as the text has it. */
export interface Row {
  readonly name: string;
  readonly property: string;
  /** What follows name and property: value, received value where asked for, source. */
  readonly rest: string;
  /** The likeliest reading; `null` when there is none. */
  readonly reading: Property | null;
  /** It is sure to end where the next one begins. */
  readonly ends: boolean;
  /** There is no other reading. */
  readonly certain: boolean;
}

/** Tabs in one row beyond which no readings are tried: an honest value has few. */
const MOST_TABS = 2000;
const NAME = /^[A-Za-z][A-Za-z0-9_.: /@#%-]{0,1023}$/;
const PROPERTY = /^[a-z0-9_.:-]{1,256}$|^[a-z]+[@#][^\t\n]{1,256}$/;
const SOURCES: Readonly<Record<string, PropertySource>> = {
  '-': 'none',
  default: 'default',
  local: 'local',
  received: 'received',
  temporary: 'temporary',
};

/**
 * The columns of a command's `-o`; `undefined` where rows cannot be told apart:
 * they must begin with name and property, and end with the source.
 */
export function columnsOf(option: string | undefined): readonly Column[] | undefined {
  const text =
    option === undefined
      ? 'name,property,value,source'
      : option === 'all'
        ? 'name,property,value,received,source'
        : option;
  if (text === 'name,property,value,source') return ['name', 'property', 'value', 'source'];
  if (text === 'name,property,value,received,source') {
    return ['name', 'property', 'value', 'received', 'source'];
  }
  return undefined;
}

/**
 * Takes the text apart into rows, in their order; lines that belong to none are left out.
 *
 * @param names the objects that were asked about, where the command named each of them.
 * @param opener the property with which a pool that was not seen before begins, as `get all` prints it.
 */
export function rowsOfZfsGet(
  text: string,
  columns: readonly Column[],
  names?: ReadonlySet<string>,
  opener = 'type',
): Row[] {
  const withReceived = columns.includes('received');
  const found: { name: string; property: string; rest: string }[] = [];
  const pools = new Set<string>();
  const ended = text.endsWith('\n');
  for (const line of (ended ? text.slice(0, -1) : text).split('\n')) {
    const start = startOf(line, pools, opener, names);
    const last = found.at(-1);
    if (start) found.push(start);
    else if (last) last.rest += `\n${line}`;
  }
  const times = new Map<string, number>();
  for (const row of found) times.set(keyOf(row), (times.get(keyOf(row)) ?? 0) + 1);
  // Of two rows of one property one stands in the value of the row before it.
  const isTwice = (row: Doubt | undefined) => row !== undefined && times.get(keyOf(row)) !== 1;
  return found.map((row, index) => {
    const readings = readingsOf(row.rest, withReceived);
    const whole = ended || index < found.length - 1;
    const ends = whole && !isTwice(row) && !isTwice(found[index + 1]);
    const certain = ends && readings.length === 1 && !row.rest.includes('\n');
    return { ...row, reading: readings[0] ?? null, ends, certain };
  });
}

/** Those of the rows that may be read in another way, each property once. */
export function doubtsOf(rows: readonly Row[]): Doubt[] {
  const doubts = new Map<string, Doubt>();
  for (const row of rows) {
    if (!row.certain) doubts.set(keyOf(row), { name: row.name, property: row.property });
  }
  return [...doubts.values()];
}

/**
 * Takes the output of `zfs get -Hp` apart: the rows, and which of them are doubtful.
 *
 * @param option what `-o` was given; `undefined` for none.
 */
export function parseZfsGet(text: string, option?: string): { rows: Row[]; doubtful: Doubt[] } {
  const columns = columnsOf(option);
  const rows = columns ? rowsOfZfsGet(text, columns) : [];
  return { rows, doubtful: doubtsOf(rows) };
}

/**
 * Every way to read what follows name and property, the likeliest first: a value
 * as long as possible, because received values that differ are rare.
 */
export function readingsOf(rest: string, withReceived: boolean): Property[] {
  const lastTab = rest.lastIndexOf('\t');
  const source = sourceOf(rest.slice(lastTab + 1));
  if (lastTab < 0 || !source) return [];
  const middle = rest.slice(0, lastTab);
  if (!withReceived) return [{ value: middle, ...source }];
  if (source.source === 'received') {
    // Then value and received value are the same: only one cut gives that.
    const half = (middle.length - 1) / 2;
    const value = middle.slice(0, half);
    return middle === `${value}\t${value}` ? [{ value, ...source, received: value }] : [];
  }
  const readings: Property[] = [];
  for (let tab = middle.lastIndexOf('\t'); tab >= 0; tab = middle.lastIndexOf('\t', tab - 1)) {
    const received = middle.slice(tab + 1);
    readings.push({
      value: middle.slice(0, tab),
      ...source,
      ...(received === '-' ? {} : { received }),
    });
    if (tab === 0 || readings.length > MOST_TABS) break;
  }
  return readings;
}

/** What a source column says; `undefined` when it is none. */
export function sourceOf(text: string): Pick<Property, 'source' | 'from'> | undefined {
  const source = Object.hasOwn(SOURCES, text) ? SOURCES[text] : undefined;
  if (source) return { source };
  const from = /^inherited from (.+)$/.exec(text)?.[1];
  return from !== undefined && NAME.test(from) ? { source: 'inherited', from } : undefined;
}

/** Name and property as one key: neither holds a tab. */
export function keyOf({ name, property }: Doubt): string {
  return `${name}\t${property}`;
}

/** The row that a line begins: of a pool that was not seen before the opener alone begins one. */
function startOf(
  line: string,
  pools: Set<string>,
  opener: string,
  names: ReadonlySet<string> | undefined,
): { name: string; property: string; rest: string } | undefined {
  const first = line.indexOf('\t');
  const second = line.indexOf('\t', first + 1);
  if (first < 1 || second < 0) return undefined;
  const name = line.slice(0, first);
  const property = line.slice(first + 1, second);
  if (!NAME.test(name) || !PROPERTY.test(property) || names?.has(name) === false) return undefined;
  const pool = name.split(/[/@#]/, 1)[0] ?? name;
  if (!pools.has(pool) && pools.size > 0 && property !== opener) return undefined;
  pools.add(pool);
  return { name, property, rest: line.slice(second + 1) };
}
