/**
 * The two files that people make by hand beside a stream:
 * `zpool get all POOL > POOL.attr` and `zfs get -rHp all POOL > POOL.SET.attr`.
 */
import { ZkeepError } from '../errors.ts';
import type { Attributes, CommandOutput } from './attributes.ts';
import { parseOutputs } from './parsing/outputs.ts';
import { bytesOfText, textOfBytes } from './parsing/text.ts';
import { parseZfsGet, type Row } from './parsing/zfs-get.ts';
import { poolsOfAligned, poolsOfZpoolGet } from './parsing/zpool-get.ts';

/** What the files hold, and whose attributes are wanted of them. */
export interface HandMade {
  /** `pool/dataset`, as the files name it. */
  readonly dataset: string;
  /** What `zpool get all POOL` printed, as text or as its bytes. */
  readonly pool?: string | Uint8Array;
  /** What `zfs get -rHp all POOL` printed, as text or as its bytes. */
  readonly datasets?: string | Uint8Array;
}

/**
 * The attributes that such files hold of one dataset: of other datasets and pools
 * that they tell of nothing is taken. `-o all` and `-H` are recognised as well.
 *
 * @throws {ZkeepError} `usage` when a file is not what such a command prints, or tells nothing of the dataset.
 * @example attributesOfFiles({ dataset: 'tank/home', datasets: readFileSync('tank.home.attr') })
 */
export function attributesOfFiles({ dataset, pool, datasets }: HandMade): Attributes {
  const outputs = [
    ...(datasets === undefined ? [] : [outputOfDatasets(dataset, datasets)]),
    ...(pool === undefined ? [] : [outputOfPool(dataset, pool)]),
  ];
  if (outputs.length === 0) {
    throw new ZkeepError('usage', 'attributes.no-file', 'there is no file to take attributes from', {
      advice: `make one with zfs get -rHp all ${poolOf(dataset)}, or with zpool get all ${poolOf(dataset)}`,
    });
  }
  return { format: 1, dataset, outputs, parsed: parseOutputs(dataset, outputs) };
}

/** Most characters of one dataset's rows that are kept: what is parsed of them says it all once more. */
const MAX_KEPT = 8 * 1024 * 1024;

function outputOfDatasets(dataset: string, file: string | Uint8Array): CommandOutput {
  const text = textIn(file);
  const option = optionOf(text);
  const rows = rowsIn(text, option);
  if (rows.length === 0 || rows.some(isOfPool))
    throw notThat('of datasets', `zfs get -rHp all ${poolOf(dataset)}`, text);
  if (!rows.some(({ name }) => name === dataset)) {
    throw nothingOf(
      dataset,
      namesIn(rows).filter((name) => !isPoint(name)),
    );
  }
  // Only what is wanted: the file may tell of thousands of datasets, and is stored with each of them.
  const own = rows.filter(({ name }) => name === dataset).map(lineOf);
  const points = rows
    .filter(({ name }) => isPoint(name) && /^[^@#]*/.exec(name)?.[0] === dataset)
    .map(lineOf);
  const kept = newest(points, MAX_KEPT);
  const columns = option === undefined ? [] : ['-o', option];
  const output = outputOf(['zfs', 'get', '-rHp', ...columns, 'all', dataset], [...own, ...kept].join(''));
  if (kept.length === points.length) return output;
  return {
    ...output,
    error: `cut: of its snapshots the last ${kept.length} of ${points.length} lines are kept`,
  };
}

function outputOfPool(dataset: string, file: string | Uint8Array): CommandOutput {
  const text = textIn(file);
  const name = poolOf(dataset);
  const aligned = poolsOfAligned(text);
  const found = [...(aligned.size > 0 ? aligned : poolsOfZpoolGet(text))];
  const pools = found.filter(([, properties]) =>
    [...properties.keys()].some((property) => isOfPool({ property })),
  );
  if (pools.length === 0) throw notThat('of a pool', `zpool get all ${name}`, text);
  const names = pools.map(([known]) => known);
  if (!names.includes(name)) throw nothingOf(name, names);
  return outputOf(['zpool', 'get', ...(aligned.size > 0 ? [] : ['-Hp']), 'all', name], text);
}

/** `-o all` has one column more; no type, with which every object begins, holds a tab. */
function optionOf(text: string): string | undefined {
  return text.slice(0, text.indexOf('\n')).split('\t').length === 5 ? 'all' : undefined;
}

function rowsIn(text: string, option: string | undefined): Row[] {
  return parseZfsGet(text, option).rows.filter(({ reading }) => reading !== null);
}

/** A file of `zpool get -Hp` has the same columns as one of `zfs get`. */
function isOfPool({ property }: { readonly property: string }): boolean {
  return property === 'health' || property.startsWith('feature@');
}

function namesIn(rows: readonly Row[]): string[] {
  return [...new Set(rows.map(({ name }) => name))];
}

function lineOf({ name, property, rest }: Row): string {
  return `${name}\t${property}\t${rest}\n`;
}

/** The last lines, so many that they fit: snapshots are printed in the order in which they were made. */
function newest(lines: readonly string[], most: number): string[] {
  let length = 0;
  const first = lines.findLastIndex((line) => {
    length += line.length;
    return length > most;
  });
  return lines.slice(first + 1);
}

function isPoint(name: string): boolean {
  return /[@#]/.test(name);
}

function poolOf(dataset: string): string {
  return dataset.split('/', 1)[0] ?? dataset;
}

function textIn(file: string | Uint8Array): string {
  return typeof file === 'string' ? file : textOfBytes(file);
}

function outputOf(command: string[], text: string): CommandOutput {
  const isUtf8 = !/[\udc80-\udcff]/u.test(text);
  return isUtf8
    ? { command, exit: 0, output: text, encoding: 'utf8' }
    : { command, exit: 0, output: bytesOfText(text).toString('base64'), encoding: 'base64' };
}

function notThat(whose: string, command: string, text: string): ZkeepError {
  const first = text.split('\n', 1)[0] ?? '';
  return new ZkeepError('usage', 'attributes.not-that', `the file ${whose} is not what "${command}" prints`, {
    advice: `make it with "${command} > FILE", as it is, without a pager or an editor in between`,
    facts: { begins: first.slice(0, 200) },
  });
}

function nothingOf(name: string, told: readonly string[]): ZkeepError {
  const some = told.slice(0, 10).join(', ');
  const others = `${some}${told.length > 10 ? ` and ${told.length - 10} more` : ''}`;
  return new ZkeepError('usage', 'attributes.other', `the file tells nothing of ${name}`, {
    advice: `give the file that was made of it; this one tells of ${others || 'snapshots only'}`,
    facts: { name, told: told.slice(0, 100) },
  });
}
