/** What this host has: datasets, and their snapshots and bookmarks, from `zfs list`. */
import { ZkeepError } from '../../catalog/errors.ts';
import { type Guid, guidOfDecimal } from '../../catalog/words.ts';
import { failureOf } from './failure.ts';
import { parseDataset, parsePoint } from './names.ts';
import { outputOf, run } from './run.ts';
import { runOnPool } from './stall.ts';

/** A file system or volume as it is now. */
export interface DatasetFacts {
  readonly dataset: string;
  readonly type: 'filesystem' | 'volume';
  /** Its own, which a rename does not change; `null`: it does not tell it. */
  readonly guid: Guid | null;
  readonly encrypted: boolean;
  /** What an interrupted `zfs receive -s` left behind. */
  readonly resumeToken: string | undefined;
}

/** A snapshot, or the bookmark that remembers one. */
export interface PointFacts {
  readonly dataset: string;
  readonly kind: 'snapshot' | 'bookmark';
  /** The part after `@` or `#`. */
  readonly name: string;
  readonly guid: Guid;
  /** Orders the snapshots of one pool. */
  readonly createtxg: bigint;
  /** Seconds since 1970. */
  readonly created: number;
  /** Holds and clones on a snapshot. */
  readonly references: number;
}

/** A dataset with its snapshots and bookmarks, the oldest first. */
export interface SourceFacts extends DatasetFacts {
  readonly points: readonly PointFacts[];
}

/** Names in one command at most: the kernel bounds a command line. */
const AT_ONCE = 500;
const DATASET_COLUMNS = ['name', 'type', 'encryption', 'receive_resume_token', 'guid'];
const POINT_COLUMNS = ['name', 'guid', 'createtxg', 'creation', 'userrefs'];

/**
 * Datasets, or with `recursive` they and all below them, each with its snapshots
 * and bookmarks, in the order of their names.
 *
 * @throws {ZkeepError} `missing` when one of them is not there.
 */
export async function listSources(
  names: readonly string[],
  options: { recursive: boolean; signal: AbortSignal },
): Promise<SourceFacts[]> {
  const { recursive, signal } = options;
  const found: SourceFacts[] = [];
  for (let at = 0; at < names.length; at += AT_ONCE) {
    const some = names.slice(at, at + AT_ONCE);
    const depth = recursive ? ['-r'] : [];
    found.push(
      ...(await listLot([...depth, ...some], [...(recursive ? depth : ['-d', '1']), ...some], signal)),
    );
  }
  return found;
}

/** All datasets of this host, without their snapshots: one question, which is quick. */
export async function listDatasets(signal: AbortSignal): Promise<DatasetFacts[]> {
  const columns = DATASET_COLUMNS.join(',');
  return parseDatasets(
    await run(['zfs', 'list', '-Hp', '-t', 'filesystem,volume', '-o', columns], { signal }),
  );
}

/** All datasets of this host, as {@link listSources} gives them: two questions, however many there are. */
export async function listHost(signal: AbortSignal): Promise<SourceFacts[]> {
  return await listLot([], [], signal);
}

/** @param datasets what the question about datasets ends with; `points`: that about snapshots and bookmarks. */
async function listLot(
  datasets: readonly string[],
  points: readonly string[],
  signal: AbortSignal,
): Promise<SourceFacts[]> {
  const list = async (types: string, columns: readonly string[], rest: readonly string[]) =>
    await run(['zfs', 'list', '-Hp', '-t', types, '-o', columns.join(','), ...rest], { signal });
  const [found, remembered] = await Promise.all([
    list('filesystem,volume', DATASET_COLUMNS, datasets),
    list('snapshot,bookmark', POINT_COLUMNS, points),
  ]);
  return joinSources(parseDatasets(found), parsePoints(remembered));
}

/** One dataset as {@link listSources} gives it. */
export async function listSource(name: string, signal: AbortSignal): Promise<SourceFacts> {
  const [found] = await listSources([name], { recursive: false, signal });
  if (found) return found;
  throw strange('', 'nothing');
}

/** Those of these snapshots (`pool/dataset@name`) that are there. */
export async function listSnapshots(names: readonly string[], signal?: AbortSignal): Promise<PointFacts[]> {
  const found: PointFacts[] = [];
  for (let at = 0; at < names.length; at += AT_ONCE) {
    const some = names.slice(at, at + AT_ONCE);
    const command = ['zfs', 'list', '-Hp', '-t', 'snapshot', '-o', POINT_COLUMNS.join(','), ...some];
    const { exit, stdout, stderr } = await outputOf(command, { signal });
    // Of several, it lists those that are there and complains about the others.
    if (exit !== 0 && stdout.length === 0) throw failureOf({ command, exit, stderr });
    found.push(...parsePoints(stdout.toString('utf8')));
  }
  return found;
}

/**
 * Whether the snapshot or bookmark of this full name is still the one that is meant. A name may be
 * another's by now: after a rename, a rollback, a promotion, or where all datasets have snapshots of one name.
 */
export async function isStillThere(point: string, guid: Guid, signal?: AbortSignal): Promise<boolean> {
  const type = point.includes('#') ? 'bookmark' : 'snapshot';
  const command = ['zfs', 'list', '-Hp', '-t', type, '-o', POINT_COLUMNS.join(','), point];
  try {
    return parsePoints(await runOnPool(command, { signal })).some((found) => found.guid === guid);
  } catch (thrown) {
    if (thrown instanceof ZkeepError && thrown.kind === 'missing') return false;
    throw thrown;
  }
}

/** The GUIDs of pools, by name; a pool that does not tell its own is left out. */
export async function poolGuids(pools: readonly string[], signal?: AbortSignal): Promise<Map<string, Guid>> {
  const printed = await run(['zpool', 'list', '-Hp', '-o', 'name,guid', ...pools], { signal });
  const rows = rowsOf(printed, ['name', 'guid']);
  return new Map(
    rows.flatMap(([name = '', told = '']) => {
      const guid = guidTold(told);
      return guid === null ? [] : [[name, guid]];
    }),
  );
}

/** The first line of `zfs version`, e.g. `zfs-2.3.9-0+deb13u1`. */
export async function zfsVersion(signal?: AbortSignal): Promise<string> {
  const printed = await run(['zfs', 'version'], { signal });
  return printed.split('\n')[0]?.trim().slice(0, 200) ?? '';
}

/** Reads the lines of `zfs list -Hp -o name,type,encryption,receive_resume_token,guid`. */
export function parseDatasets(printed: string): DatasetFacts[] {
  return rowsOf(printed, DATASET_COLUMNS).map(([name = '', type, encryption, token, guid = '']) => {
    if (type !== 'filesystem' && type !== 'volume') throw strange(printed, `type ${JSON.stringify(type)}`);
    return {
      dataset: parseDataset(name),
      type,
      guid: guidTold(guid),
      encrypted: encryption !== 'off' && encryption !== '-',
      resumeToken: token === '-' || token === '' ? undefined : token,
    };
  });
}

/** Reads the lines of `zfs list -Hp -t snapshot,bookmark -o name,guid,createtxg,creation,userrefs`. */
export function parsePoints(printed: string): PointFacts[] {
  return rowsOf(printed, POINT_COLUMNS).map(
    ([name = '', guid = '', txg = '', creation = '', userrefs = '']) => ({
      ...parsePoint(name),
      guid: guidOfDecimal(guid),
      createtxg: BigInt(digits(txg, printed)),
      created: Number(digits(creation, printed)),
      references: userrefs === '-' ? 0 : Number(digits(userrefs, printed)),
    }),
  );
}

function joinSources(datasets: readonly DatasetFacts[], points: readonly PointFacts[]): SourceFacts[] {
  const byDataset = Map.groupBy(points, (point) => point.dataset);
  return datasets.map((dataset) => ({
    ...dataset,
    points: (byDataset.get(dataset.dataset) ?? []).toSorted(byAge),
  }));
}

/** By pool time; a bookmark before the snapshot of the same moment, so that the snapshot counts as newer. */
function byAge(one: PointFacts, other: PointFacts): number {
  if (one.createtxg !== other.createtxg) return one.createtxg < other.createtxg ? -1 : 1;
  return one.kind === other.kind ? 0 : one.kind === 'bookmark' ? -1 : 1;
}

/** Names hold no tabs and no newlines, so the lines of `-H` can be taken apart exactly. */
function rowsOf(printed: string, columns: readonly string[]): string[][] {
  const lines = printed.split('\n').filter((line) => line !== '');
  return lines.map((line) => {
    const fields = line.split('\t');
    if (fields.length !== columns.length) throw strange(line, `${fields.length} columns`);
    return fields;
  });
}

/** Of a pool or dataset that does not tell its own it is a dash. */
function guidTold(text: string): Guid | null {
  return /^[0-9]{1,20}$/.test(text) ? guidOfDecimal(text) : null;
}

function digits(text: string, printed: string): string {
  if (!/^[0-9]{1,20}$/.test(text)) throw strange(printed, JSON.stringify(text.slice(0, 80)));
  return text;
}

function strange(printed: string, what: string): ZkeepError {
  return new ZkeepError('failed', 'zfs.strange-output', `zfs list printed what zkeep cannot read: ${what}`, {
    advice: 'zkeep knows OpenZFS 2.0 to 2.4; please report the version and the line',
    facts: { printed: printed.slice(0, 500) },
  });
}
