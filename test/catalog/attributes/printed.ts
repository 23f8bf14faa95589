/** Outputs for tests: as recorded, and as zfs would print made-up objects. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import type { CommandOutput, ObjectAttributes, Property } from '../../../catalog/attributes/attributes.ts';
import { bytesOfText } from '../../../catalog/attributes/parsing/text.ts';

/** A recorded output, as its bytes. */
export function recorded(name: string): Buffer {
  return readFileSync(new URL(`../../fixtures/attributes/${name}`, import.meta.url));
}

/** An output of a command, given as one line; base64 where its text holds bytes that are not UTF-8. */
export function output(command: string | string[], text: string | Uint8Array): CommandOutput {
  const words = typeof command === 'string' ? command.split(' ') : command;
  const bytes = typeof text === 'string' ? bytesOfText(text) : Buffer.from(text);
  const utf8 = bytes.toString();
  return Buffer.from(utf8).equals(bytes)
    ? { command: words, exit: 0, output: utf8, encoding: 'utf8' }
    : { command: words, exit: 0, output: bytes.toString('base64'), encoding: 'base64' };
}

export function sourceWords({ source, from }: Property): string {
  if (source === 'none') return '-';
  return source === 'inherited' ? `inherited from ${from}` : source;
}

/** `zfs get -Hp -o all all NAME...` (OpenZFS, `zprop_print_one_property`). */
export function printedByGet(objects: readonly ObjectAttributes[]): CommandOutput {
  const lines = objects.flatMap(({ name, properties }) =>
    Object.entries(properties).map(
      ([property, told]) =>
        `${name}\t${property}\t${told.value}\t${told.received ?? '-'}\t${sourceWords(told)}\n`,
    ),
  );
  const names = objects.map(({ name }) => name);
  return output(['zfs', 'get', '-Hp', '-o', 'all', 'all', ...names], lines.join(''));
}

/** `zfs get -j -p -o all all NAME...`: without what stands beyond U+FFFF, and without hidden received values. */
export function printedAsJson(objects: readonly ObjectAttributes[]): CommandOutput {
  const told = objects.map(({ name, properties }) => [
    name,
    { name, properties: Object.fromEntries(Object.entries(properties).map(inJson)) },
  ]);
  const names = objects.map(({ name }) => name);
  const text = JSON.stringify({ datasets: Object.fromEntries(told) });
  return output(['zfs', 'get', '-j', '-p', '-o', 'all', 'all', ...names], `${text}\n`);
}

function inJson([property, told]: [string, Property]): [string, unknown] {
  const data = told.source === 'inherited' ? told.from : told.source === 'received' ? told.value : '-';
  const value = told.value.replace(/[\u{10000}-\u{10ffff}]/gu, '');
  return [property, { value, source: { type: told.source.toUpperCase(), data } }];
}

/** `zfs get -Hp -o COLUMN PROPERTY NAME`, for each of the three columns. */
export function printedAlone(
  objects: readonly ObjectAttributes[],
  { name, property }: { name: string; property: string },
): CommandOutput[] {
  const told = objects.find((object) => object.name === name)?.properties[property];
  const columns = { value: told?.value ?? '-', received: told?.received ?? '-' };
  const source = told ? sourceWords(told) : '-';
  return Object.entries({ ...columns, source }).map(([column, text]) =>
    output(['zfs', 'get', '-Hp', '-o', column, property, name], `${text}\n`),
  );
}

export const DATASET = 'tank/a b';
const POINTS = [`${DATASET}@one`, `${DATASET}#one`];

const ordinary = fc.string({
  unit: fc.constantFrom('a', 'Z', '0', ' ', ',', ':', '"', '\\', '-', '=', 'é', '😀'),
});
const nasty = fc.string({
  unit: fc.constantFrom('a', '\t', '\n', '\t-\tlocal', '\r', '\u0001', '-', 'é', '😀', 'local', '\\', '"'),
  maxLength: 12,
});
/** Values that hold what looks like lines of `zfs get`. */
export const imitating = fc
  .tuple(
    nasty,
    fc.constantFrom(DATASET, ...POINTS),
    fc.constantFrom('quota', 'lab:a', 'lab:z', 'type'),
    nasty,
  )
  .map(([before, name, property, value]) => `${before}\t-\tlocal\n${name}\t${property}\t${value}`);

/** A user property with any of these values. */
export function propertyWith(value: fc.Arbitrary<string>): fc.Arbitrary<Property> {
  return fc.oneof(
    value.map((text): Property => ({ value: text, source: 'local' })),
    value.map((text): Property => ({ value: text, source: 'received', received: text })),
    value.map((text): Property => ({ value: text, source: 'inherited', from: 'tank' })),
    fc
      .tuple(
        value,
        value.filter((text) => text !== '-'),
      )
      .map(([text, received]): Property => ({ value: text, source: 'local', received })),
  );
}

/** A dataset with a snapshot and a bookmark, their user properties with such values. */
export function objectsWith(value: fc.Arbitrary<string>): fc.Arbitrary<ObjectAttributes[]> {
  const users = fc.dictionary(
    fc.constantFrom('lab:a', 'lab:b', 'lab:c', 'lab.d:e-f', 'lustre:svname'),
    propertyWith(value),
  );
  const kinds = ['filesystem', 'snapshot', 'bookmark'] as const;
  return fc.tuple(users, users, users).map((all) =>
    all.map((user, index) => {
      const kind = kinds[index] ?? 'filesystem';
      const native: Record<string, Property> = {
        type: { value: kind, source: 'none' },
        createtxg: { value: String(index + 1), source: 'none' },
        ...(kind === 'filesystem' ? { quota: { value: '4096', source: 'local' } } : {}),
      };
      return { name: [DATASET, ...POINTS][index] ?? '', kind, properties: { ...native, ...user } };
    }),
  );
}

export const values = { ordinary, nasty: fc.oneof(ordinary, nasty) };
