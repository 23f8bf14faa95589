/**
 * `zfs get -j` and `zpool get -j` (OpenZFS 2.3 and later). The form says where a
 * value ends, but not all that it holds: characters beyond U+FFFF are left out,
 * the text breaks off at bytes that the locale cannot read, and a received value
 * that a local one hides is not there (`nvlist_print_json_string`,
 * `zprop_nvlist_one_property`). So it helps to read the other form, and stands
 * alone only where that is missing.
 */
import type { Property, PropertySource } from '../attributes.ts';
import { bytesOfText } from './text.ts';

/** Properties by name, of objects by name. */
export type JsonObjects = ReadonlyMap<string, ReadonlyMap<string, Property>>;

const SOURCES: Readonly<Record<string, PropertySource>> = {
  NONE: 'none',
  DEFAULT: 'default',
  LOCAL: 'local',
  INHERITED: 'inherited',
  RECEIVED: 'received',
  TEMPORARY: 'temporary',
};

/** Datasets, snapshots and bookmarks of `zfs get -j`; empty when it is not that. */
export function objectsOfZfsJson(text: string): JsonObjects {
  return objectsUnder(text, 'datasets');
}

/** Pools of `zpool get -j`; empty when it is not that. */
export function poolsOfZpoolJson(text: string): JsonObjects {
  return objectsUnder(text, 'pools');
}

/**
 * Parses what OpenZFS prints as JSON: control characters may stand raw in a
 * string, and a number may have more digits than JavaScript keeps: it stays text.
 *
 * @returns `undefined` when it cannot be read even so.
 */
export function parseZfsJson(text: string): unknown {
  try {
    return JSON.parse(repaired(text));
  } catch {
    return undefined;
  }
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Members of a record that are records themselves. */
export function recordsIn(value: unknown): [string, Record<string, unknown>][] {
  if (!isRecord(value)) return [];
  return Object.entries(value).flatMap(([name, member]) => (isRecord(member) ? [[name, member]] : []));
}

/**
 * Whether `-j` prints a value so. What stands beyond U+FFFF it leaves out; where
 * the locale is `C`, each byte from 0x80 on is a character of its own: the byte's
 * number, or (musl) that from U+DF80 on.
 */
export function isInJson(value: string, printed: string): boolean {
  if (value === printed) return true;
  if (/^\p{ASCII}*$/u.test(value)) return false;
  const bytes = bytesOfText(value).toString('latin1');
  const forms = [
    value.replace(/[\u{10000}-\u{10ffff}]/gu, ''),
    bytes,
    bytes.replace(/[\x80-\xff]/g, (byte) => String.fromCharCode(0xdf00 + byte.charCodeAt(0))),
  ];
  return forms.includes(printed);
}

function objectsUnder(text: string, member: string): JsonObjects {
  const whole = parseZfsJson(text);
  const objects = isRecord(whole) ? recordsIn(whole[member]) : [];
  return new Map(
    objects.map(([name, object]) => [
      name,
      new Map(
        recordsIn(object['properties']).flatMap(([property, told]) => {
          const read = propertyOf(told);
          return read ? [[property, read]] : [];
        }),
      ),
    ]),
  );
}

function propertyOf(told: Record<string, unknown>): Property | undefined {
  const { value, source: described } = told;
  if (typeof value !== 'string' || !isRecord(described)) return undefined;
  const { type, data } = described;
  const source = typeof type === 'string' && Object.hasOwn(SOURCES, type) ? SOURCES[type] : undefined;
  if (!source) return undefined;
  if (source === 'inherited' && typeof data === 'string') return { value, source, from: data };
  if (source === 'received') return { value, source, received: value };
  return { value, source };
}

/** Strings as they are, with control characters escaped; numbers in quotes. One that does not end is tried once only. */
function repaired(text: string): string {
  return text.replace(/"[^"\\]*(?:\\[\s\S][^"\\]*)*(?:"|\\?$)|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g, (token) =>
    token.startsWith('"') ? token.replace(CONTROL, escaped) : `"${token}"`,
  );
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /[\u0000-\u001f]/g;

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
