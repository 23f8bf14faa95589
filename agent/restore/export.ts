/** One stored stream, as it was sent: which one, and into which file. */
import { open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type ErrorKind, messageOf, ZkeepError } from '../../catalog/errors.ts';
import type { BackupSummary } from '../../catalog/protocol/protocol.ts';
import type { Manifest } from '../../catalog/repository/manifest.ts';
import type { ResumeToken } from '../../catalog/stream/resuming/token.ts';
import { type Guid, guidsMeant } from '../../catalog/words.ts';
import type { BackupsMeant, CatalogView } from '../view/view.ts';
import { isSentAlike } from './resume/decide.ts';

/**
 * The stream to export, of those that lead to the wanted snapshot: the one from
 * the base that is asked for; else the full one; else the smallest.
 *
 * @param names names of snapshots, by GUID.
 * @param from a snapshot's name or GUID, or `nothing`.
 * @throws {ZkeepError} `missing` with the bases that there are.
 */
export function chooseStream(
  backups: readonly BackupSummary[],
  names: ReadonlyMap<Guid, string>,
  from: string | undefined,
): BackupSummary {
  const meant = from === undefined ? undefined : basesMeant(from, names);
  const [best] = backups
    .filter((backup) => meant === undefined || meant.has(backup.from))
    .toSorted((one, other) => fullFirst(one) - fullFirst(other) || one.stored - other.stored);
  if (best) return best;
  const bases = new Set(backups.map((backup) => baseInWords(backup.from, names)));
  throw new ZkeepError(
    'missing',
    'export.no-stream',
    `no stored stream leads to that snapshot from ${from}`,
    {
      advice: `there is one from ${[...bases].join(', and from ')}`,
      facts: { from: from ?? null, bases: [...bases] },
    },
  );
}

/**
 * The stored stream that an interrupted receive was getting.
 *
 * @param token what it left.
 * @param meant the dataset and host that it is of, where they are named.
 * @throws {ZkeepError} `missing` when it is not stored, or only in a form that cannot be gone on with.
 */
export async function findStreamOf(
  view: Pick<CatalogView, 'backups' | 'manifest'>,
  token: ResumeToken,
  meant: Pick<BackupsMeant, 'dataset' | 'host'>,
): Promise<{ backup: BackupSummary; manifest: Manifest }> {
  const { toguid: to, fromguid: from, toname } = token;
  let others = 0;
  for await (const backup of view.backups({ ...meant, to })) {
    const manifest = backup.from === from ? await view.manifest(backup) : undefined;
    if (manifest && isSentAlike(manifest.stream.begin, token)) return { backup, manifest };
    others++;
  }
  const base = from === null ? 'nothing' : `snapshot ${from}`;
  const message = `no stored stream is the one that the token is of: ${toname} (${to}), from ${base}`;
  throw new ZkeepError('missing', 'export.no-stream', message, {
    advice:
      others > 0
        ? 'its snapshot is stored, but from another base or with other flags: throw what was received away (zfs receive -A) and begin anew'
        : 'ask the service or the repository that the stream came from',
    facts: { to, from, name: toname, others },
  });
}

/** A base as people know it: its name, else its GUID, else `nothing`. */
export function baseInWords(from: Guid | null, names: ReadonlyMap<Guid, string>): string {
  if (from === null) return 'nothing';
  const name = names.get(from);
  return name === undefined ? from : `@${name} (${from})`;
}

/**
 * Writes the stream to a file. The file has its name only once it is whole and
 * durable; a device or pipe is written to as it is.
 *
 * @throws {ZkeepError} what the stream throws; else by what the file system says.
 */
export async function writeFileWhole(file: string, stream: AsyncIterable<Uint8Array>): Promise<void> {
  const special = (await stat(file).catch(() => undefined))?.isFile() === false;
  const place = special ? file : `${file}.partial`;
  try {
    // Opened first, so that what is removed after a failure is there already.
    const handle = await open(place, 'w');
    await writeAll(stream, handle.createWriteStream({ flush: !special }));
    if (special) return;
    await rename(place, file);
    await syncFolder(dirname(file));
  } catch (thrown) {
    if (!special) await rm(place, { force: true });
    throw explained(thrown, file);
  }
}

/**
 * Writes the stream to standard output.
 *
 * @throws {ZkeepError} `failed` when its reader has left.
 */
export async function writeStandardOutput(stream: AsyncIterable<Uint8Array>): Promise<void> {
  if (process.stdout.isTTY) {
    throw new ZkeepError('usage', 'export.terminal', 'a stream is not for a terminal', {
      advice: 'write it into a file (> FILE or --output FILE), or into "zfs receive"',
    });
  }
  try {
    await writeAll(stream, process.stdout);
    // Left open for what may follow, it would not wait for its last bytes by itself.
    await new Promise((resolve) => process.stdout.write('', resolve));
  } catch (thrown) {
    throw explained(thrown, 'standard output');
  }
}

async function writeAll(stream: AsyncIterable<Uint8Array>, writable: Writable): Promise<void> {
  await pipeline(stream, writable, { end: writable !== process.stdout });
}

/** `from` as a name, and as a GUID where it can be one: what it may mean, all of it. */
function basesMeant(from: string, names: ReadonlyMap<Guid, string>): Set<Guid | null> {
  if (from === 'nothing') return new Set([null]);
  const name = from.startsWith('@') ? from.slice(1) : from;
  const named = [...names].filter(([, known]) => known === name).map(([guid]) => guid);
  if (named.length > 0) return new Set(named);
  try {
    return new Set(guidsMeant(from));
  } catch {
    return new Set();
  }
}

function fullFirst({ from }: BackupSummary): number {
  return from === null ? 0 : 1;
}

/** Makes what was renamed or made in a folder durable. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

const KINDS: Readonly<Record<string, ErrorKind>> = {
  ENOSPC: 'full',
  EDQUOT: 'full',
  EACCES: 'denied',
  EPERM: 'denied',
  EROFS: 'denied',
  ENOENT: 'missing',
  ENOTDIR: 'missing',
};

function explained(thrown: unknown, place: string): unknown {
  if (thrown instanceof ZkeepError || !(thrown instanceof Error && 'code' in thrown)) return thrown;
  const code = String(thrown.code);
  if (code === 'EPIPE' || code === 'ERR_STREAM_PREMATURE_CLOSE') {
    return new ZkeepError('failed', 'export.closed', 'the reader of the stream has left before its end', {
      advice: 'see what it says, and start again',
      cause: thrown,
    });
  }
  return new ZkeepError(
    KINDS[code] ?? 'failed',
    'export.unwritable',
    `cannot write ${place}: ${messageOf(thrown)}`,
    {
      advice: 'see that there is room and that this user may write there',
      facts: { place, code },
      cause: thrown,
    },
  );
}
