/**
 * What `zfs`, `zpool` and `zdb` are asked about a dataset and its pool: what a
 * stream does not carry. Only the words; `agent/capture` asks them.
 */
import { poolOf } from './names.ts';

/** A command whose output belongs to the attributes. */
export interface Question {
  readonly command: readonly string[];
  /** Without an answer the attributes are not worth storing. */
  readonly needed: boolean;
  /** Of a longer answer the last so many bytes are kept, from the beginning of a line on. */
  readonly last?: number;
  /** Longest that it may take, milliseconds. */
  readonly timeout: number;
}

/** How long an answer is waited for, milliseconds. */
export interface Patience {
  readonly needed: number;
  readonly extra: number;
}

const PATIENCE: Patience = { needed: 120_000, extra: 30_000 };
/** Of a pool's history, which may be gigabytes, the last bytes. */
export const LAST_OF_HISTORY = 256 * 1024;
/** Of a list of very many snapshots, the newest ones, bytes. */
const LAST_OF_LIST = 1024 * 1024;
/** Of all that is known of very many bookmarks, that of the last by name, bytes: some hundreds of them. */
export const LAST_OF_BOOKMARKS = 256 * 1024;
/** A property that is asked for alone: three columns, three questions. */
const COLUMNS = ['value', 'received', 'source'];

/** `needed` and `extra` questions, with the time that each kind may take. */
export function questionKinds(patience: Patience = PATIENCE) {
  return {
    needed: (...command: string[]): Question => ({ command, needed: true, timeout: patience.needed }),
    extra: (...command: string[]): Question => ({ command, needed: false, timeout: patience.extra }),
  };
}

/** Which OpenZFS this is; older ones and illumos do not know. */
export function versionQuestion(patience?: Patience): Question {
  return questionKinds(patience).extra('zfs', 'version');
}

/**
 * Whether the commands know `-j` (OpenZFS 2.3), the form in which values may hold anything.
 *
 * @param version what `zfs version` printed.
 * @example knowsJson('zfs-2.3.9-0+deb13u1\nzfs-kmod-2.3.9-0+deb13u1\n') // true
 */
export function knowsJson(version: string): boolean {
  const [, major, minor] = /^zfs-(?:kmod-)?v?(\d{1,4})\.(\d{1,4})/.exec(version) ?? [];
  if (major === undefined || minor === undefined) return false;
  return Number(major) > 2 || (Number(major) === 2 && Number(minor) >= 3);
}

/**
 * What is asked about a dataset and one of its snapshots. `-o all` tells local,
 * received and inherited values apart. A bookmark has no properties that could be set:
 * all of them are asked about in one question, which an older ZFS answers as well.
 *
 * @param snapshot `pool/dataset@name`; `undefined`: of the dataset as it is now.
 */
export function questionsAboutDataset(
  dataset: string,
  snapshot: string | undefined,
  { json, patience }: { json: boolean; patience?: Patience },
): Question[] {
  const { needed, extra } = questionKinds(patience);
  const names = snapshot === undefined ? [dataset] : [dataset, snapshot];
  const points = ['zfs', 'list', '-Hp', '-t', 'snapshot,bookmark', '-s', 'createtxg', '-d', '1'];
  return [
    ...names.map((name) => needed('zfs', 'get', '-Hp', '-o', 'all', 'all', name)),
    ...(json ? [extra('zfs', 'get', '-j', '-p', '-o', 'all', 'all', ...names)] : []),
    { ...extra(...points, '-o', 'name,guid,createtxg,creation,userrefs', dataset), last: LAST_OF_LIST },
    {
      ...extra('zfs', 'get', '-Hp', '-o', 'all', '-t', 'bookmark', '-d', '1', 'all', dataset),
      last: LAST_OF_BOOKMARKS,
    },
    ...(snapshot === undefined ? [] : [extra('zfs', 'holds', '-H', snapshot)]),
    extra('zfs', 'allow', dataset),
  ];
}

/** What is asked about the pool of a dataset. */
export function questionsAboutPool(
  dataset: string,
  { json, patience }: { json: boolean; patience?: Patience },
): Question[] {
  const pool = poolOf(dataset);
  const { needed, extra } = questionKinds(patience);
  return [
    needed('zpool', 'get', '-Hp', '-o', 'all', 'all', pool),
    ...(json ? [extra('zpool', 'get', '-j', '-p', '-o', 'all', 'all', pool)] : []),
    extra('zpool', 'status', '-P', pool),
    ...(json ? [extra('zpool', 'status', '-j', '-P', pool)] : []),
    extra('zpool', 'list', '-vPp', pool),
    ...(json ? [extra('zpool', 'list', '-j', '-vPp', pool)] : []),
    // zdb reads the cache file, which pools imported with cachefile=none are not in; OpenZFS 2.2 tells by itself.
    extra('zpool', 'get', '-Hp', 'path,ashift', pool, 'all-vdevs'),
    extra('zdb', '-C', pool),
    { ...extra('zpool', 'history', '-il', pool), last: LAST_OF_HISTORY },
  ];
}

/**
 * One property by itself, for a value whose end `-o all` leaves in doubt: it holds tabs or newlines.
 * A user property's name may begin with a dash.
 */
export function questionsAboutProperty(property: string, name: string, patience?: Patience): Question[] {
  const { extra } = questionKinds(patience);
  const words = property.startsWith('-') ? ['--', property, name] : [property, name];
  return COLUMNS.map((column) => extra('zfs', 'get', '-Hp', '-o', column, ...words));
}
