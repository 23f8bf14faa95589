/** Configuration files: TOML, checked whole by a TypeBox schema, with errors that name file, line and key. */
import { parse, TomlError } from 'smol-toml';
import type { Static, TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { ZkeepError } from './errors.ts';

/** Where a text comes from, for the words of its errors. */
export interface TomlPlace {
  readonly file: string;
  /** The program that reads it: `zkeep-server`. */
  readonly reader: string;
  /** The page that lists every key. */
  readonly page: string;
  /** The table that is checked: `store`, `job 2`; none: the file as a whole. */
  readonly section?: string;
}

/**
 * Reads TOML.
 *
 * @throws {ZkeepError} `usage` (`configuration.malformed`) with line and column.
 */
export function parseToml(text: string, file: string): unknown {
  try {
    return parse(text);
  } catch (thrown) {
    if (!(thrown instanceof TomlError)) throw thrown;
    const [reason] = thrown.message.split('\n');
    const words = `${file}:${thrown.line}:${thrown.column}: ${reason}`;
    throw new ZkeepError('usage', 'configuration.malformed', words, {
      advice: 'the file is TOML: key = "value", sections in [brackets]',
      facts: { file, line: thrown.line, column: thrown.column },
    });
  }
}

/**
 * Checks what was read.
 *
 * @throws {ZkeepError} `usage` (`configuration.wrong`) naming the key and what is wrong with it.
 */
export function checkToml<T extends TSchema>(schema: T, value: unknown, place: TomlPlace): Static<T> {
  const compiled = Compile(schema);
  if (compiled.Check(value)) return value as Static<T>;
  const errors = compiled.Errors(value);
  // For an unknown key the first error is that its schema is `false`; the one that names it comes later.
  const first = errors.find(({ keyword }) => keyword === 'additionalProperties') ?? errors[0];
  const keys = (first?.instancePath ?? '').split('/').filter(Boolean);
  if (first?.keyword === 'additionalProperties') {
    const [unknown] = first.params.additionalProperties;
    throw wrongKey(place, [...keys, unknown].join('.'), `is not a key that ${place.reader} knows`);
  }
  if (first?.keyword === 'required') {
    throw wrongKey(place, [...keys, first.params.requiredProperties[0]].join('.'), 'is missing');
  }
  const choices = errors.flatMap((error) =>
    error.keyword === 'const' ? [String(error.params.allowedValue)] : [],
  );
  const reason = choices.length > 0 ? `must be one of ${choices.join(', ')}` : reasonOf(schema, first);
  throw wrongKey(place, keys.join('.'), reason);
}

/** What people call the types of JSON Schema. */
const TYPES: Readonly<Record<string, string>> = {
  array: 'a list: ["...", "..."]',
  boolean: 'true or false',
  integer: 'a whole number',
  number: 'a number',
  object: 'a table',
  string: 'a text in quotes',
};

/** A pattern is for machines: where its schema has a description, that is said instead. */
function reasonOf(
  schema: TSchema,
  error: ReturnType<ReturnType<typeof Compile>['Errors']>[number] | undefined,
): string {
  if (error?.keyword === 'type') {
    const { type } = error.params;
    return `must be ${[type]
      .flat()
      .map((one) => TYPES[one] ?? one)
      .join(' or ')}`;
  }
  const described = error?.keyword === 'pattern' ? descriptionAt(schema, error.schemaPath) : undefined;
  return described === undefined ? (error?.message ?? 'is wrong') : `must be ${described}`;
}

/** @param path of a schema within the other: `#/properties/keep/properties/within`. */
function descriptionAt(schema: TSchema, path: string): string | undefined {
  let found: unknown = schema;
  for (const key of path.split('/').slice(1)) {
    found = typeof found === 'object' && found !== null ? Reflect.get(found, key) : undefined;
  }
  const described =
    typeof found === 'object' && found !== null ? Reflect.get(found, 'description') : undefined;
  return typeof described === 'string' ? described : undefined;
}

/** The error about one key: `file: store.bucket is missing`. */
export function wrongKey({ file, section, page }: TomlPlace, key: string, reason: string): ZkeepError {
  const full = [section, key].filter(Boolean).join('.');
  return new ZkeepError('usage', 'configuration.wrong', `${file}: ${full} ${reason}`, {
    advice: `${page} lists every key`,
    facts: { file, key: full },
  });
}
