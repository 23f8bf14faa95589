/** The listing of a folder in the order of keys, without holding the whole tree in memory. */
import type { Stats } from 'node:fs';
import { opendir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isKey, isName } from '../key.ts';
import type { ObjectFacts } from '../store.ts';
import { errnoOf } from './errors.ts';

/** Files looked at together. */
const BATCH = 32;

/**
 * The objects below `root` whose key starts with `prefix`, by UTF-8 byte of the
 * key; with `after` only those with greater keys. Holds the names of one folder per level. What is no key (temporary files,
 * what others left there) is passed over, and so is what vanishes meanwhile.
 *
 * @throws the errors of the file system, but ENOENT.
 */
export async function* listFolder(
  root: string,
  { prefix, after = '' }: { readonly prefix: string; readonly after?: string | undefined },
  signal?: AbortSignal,
): AsyncGenerator<ObjectFacts> {
  const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
  const names = await namesIn(join(root, folder));
  const wanted = names.filter((name) => {
    const key = `${folder}${name}`;
    return key.startsWith(prefix) && (key > after || after.startsWith(key));
  });
  for await (const facts of walk(root, folder, wanted, signal)) if (facts.key > after) yield facts;
}

async function* walk(
  root: string,
  folder: string,
  names: readonly string[],
  signal: AbortSignal | undefined,
): AsyncGenerator<ObjectFacts> {
  for (let next = 0; next < names.length; ) {
    signal?.throwIfAborted();
    const files = filesFrom(names, next);
    yield* await look(root, folder, files);
    next += files.length;
    const inner = names[next];
    if (files.length > 0 || inner === undefined) continue;
    yield* walk(root, `${folder}${inner}`, await namesIn(join(root, folder, inner)), signal);
    next++;
  }
}

/** A batch of files up to the next folder. */
function filesFrom(names: readonly string[], start: number): string[] {
  const batch = names.slice(start, start + BATCH);
  const folder = batch.findIndex((name) => name.endsWith('/'));
  return folder < 0 ? batch : batch.slice(0, folder);
}

/**
 * Names in the order of keys, those of folders with a slash at the end: so the
 * folder `a` comes after the file `a-b`, as `a/b` does after `a-b`.
 */
async function namesIn(path: string): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const entry of await opendir(path, { bufferSize: 1024 })) {
      if (!isName(entry.name)) continue;
      if (entry.isDirectory()) names.push(`${entry.name}/`);
      else if (entry.isFile()) names.push(entry.name);
    }
  } catch (thrown) {
    if (!isAbsent(thrown)) throw thrown;
  }
  return names.sort();
}

async function look(root: string, folder: string, files: readonly string[]): Promise<ObjectFacts[]> {
  const keys = files.map((name) => `${folder}${name}`).filter(isKey);
  const found = await Promise.all(keys.map((key) => statIfThere(join(root, key))));
  return keys.flatMap((key, at) => factsOf(key, found[at]) ?? []);
}

/** What a listing tells of a file; `undefined` when there is none. */
export function factsOf(key: string, stats: Stats | undefined): ObjectFacts | undefined {
  return stats?.isFile() ? { key, size: stats.size, modified: Math.trunc(stats.mtimeMs) } : undefined;
}

/** Looks at a path; `undefined` when nothing is there. */
export async function statIfThere(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (thrown) {
    if (isAbsent(thrown)) return undefined;
    throw thrown;
  }
}

function isAbsent(thrown: unknown): boolean {
  const errno = errnoOf(thrown);
  return errno === 'ENOENT' || errno === 'ENOTDIR';
}
