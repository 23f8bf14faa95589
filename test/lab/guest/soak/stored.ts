/** What a stored backup and a restored dataset are held against: `zfs send` itself. */
import { join } from 'node:path';
import { segmentKey } from '../../../../catalog/repository/names.ts';
import { type Guid, guidOfDecimal } from '../../../../catalog/words.ts';
import { must, run, shell } from '../parts/command.ts';
import type { Service } from '../parts/service.ts';
import type { House } from './house.ts';
import { type Kind, sourceOf } from './kinds.ts';
import { differenceOf } from './records.ts';

/** A stored backup as the bucket itself tells it. */
export interface Stored {
  readonly backup: string;
  readonly from: Guid | null;
  readonly to: Guid;
  readonly dataset: string;
  readonly bytes: number;
  readonly stored: number;
  readonly keys: readonly string[];
}

/** All backups of a dataset in the bucket, the oldest first. */
export async function backupsOf(service: Service, dataset: string): Promise<Stored[]> {
  const found: Stored[] = [];
  for (const key of await service.keys('backups/')) {
    const backup = idIn(key);
    const { segments, from, to, source, ...manifest } = await service.manifest(backup);
    if (source.dataset !== dataset) continue;
    found.push({
      backup,
      from: from?.guid ?? null,
      to: to.guid,
      dataset,
      bytes: segments.reduce((sum, segment) => sum + segment.size, 0),
      stored: segments.reduce((sum, segment) => sum + segment.stored, 0),
      keys: segments.map((_, number) => segmentKey(manifest.backup, number, false)),
    });
  }
  return found.toSorted((one, other) => (one.backup < other.backup ? -1 : 1));
}

/** Backups that have their first segment and no manifest. */
export async function unfinishedIn(service: Service): Promise<string[]> {
  const keys = await service.keys('');
  const committed = new Set(keys.filter((key) => key.startsWith('backups/')).map(idIn));
  const begun = keys.filter((key) => key.startsWith('segments/') && key.includes('/00000000.'));
  return begun.map((key) => String(key.split('/')[1])).filter((backup) => !committed.has(backup));
}

function idIn(key: string): string {
  return key.replace(/^.*\/|\.json$/g, '');
}

/** What a target holds. */
export interface Standing {
  readonly snapshots: number;
  /** Bytes that an interrupted receive has taken; `undefined`: there is none. */
  readonly partial: number | undefined;
}

export async function standingAt(target: string): Promise<Standing> {
  const types = ['-t', 'filesystem,volume,snapshot'];
  const listed = await run(['zfs', 'list', '-Hpo', 'type,receive_resume_token', '-r', ...types, target]);
  const rows = listed.stdout
    .toString('utf8')
    .split('\n')
    .map((line) => line.split('\t'));
  const token = rows.find(([type, found]) => type !== 'snapshot' && found && found !== '-')?.[1];
  const snapshots = rows.filter(([type]) => type === 'snapshot').length;
  if (token === undefined) return { snapshots, partial: undefined };
  const { stdout } = await run(['zfs', 'send', '-nvt', token]);
  const bytes = /^\s*bytes = (0x[0-9a-f]+)$/m.exec(stdout.toString('utf8'))?.[1];
  return { snapshots, partial: Number(bytes ?? 0) };
}

/** Names in the source by GUID: `dataset@snapshot` and `dataset#bookmark`, a snapshot before its bookmark. */
export async function namesByGuid(dataset: string): Promise<Map<Guid, string>> {
  const types = 'bookmark,snapshot';
  const { stdout } = await run(['zfs', 'list', '-Hpo', 'guid,name', '-d', '1', '-t', types, dataset]);
  const lines = stdout.toString('utf8').split('\n').filter(Boolean).toSorted();
  const named = lines.map((line) => line.split('\t'));
  const bookmarksFirst = named.toSorted((one) => (one[1]?.includes('#') ? -1 : 1));
  return new Map(bookmarksFirst.map(([guid = '', name = '']) => [guidOfDecimal(guid), name]));
}

/** Writes what an uninterrupted `zfs send` gives, and compares the stored segments with it by stock tools. */
export async function checkStored(house: House, kind: Kind, stored: Stored): Promise<string | undefined> {
  const names = await namesByGuid(sourceOf(kind));
  const to = names.get(stored.to);
  const from = stored.from === null ? undefined : names.get(stored.from);
  if (!to || (stored.from !== null && !from)) return `${stored.backup}: its snapshots are not at the source`;
  await sendTo(house.file('sent.zfs'), kind.flags, to, from);
  const files = stored.keys.map((key) => join(house.service.repository, key)).join(' ');
  const { exit, stderr, stdout } = await run([
    'bash',
    '-c',
    `set -o pipefail; cat ${files} | zstd -dcq | cmp - ${house.file('sent.zfs')}`,
  ]);
  return exit === 0 ? undefined : `${to} is not what zfs send gives: ${stdout} ${stderr}`;
}

/**
 * Compares what was restored with its source: the GUID, and every record of a re-send.
 *
 * @param only the backup of this snapshot, where `sent.zfs` is what `zfs send` gave of it.
 */
export async function checkRestored(
  house: House,
  kind: Kind,
  target: string,
  snapshot: string,
  only?: Stored,
): Promise<string | undefined> {
  const guids = await Promise.all(
    [sourceOf(kind), target].map((dataset) =>
      must('zfs', 'get', '-Hpo', 'value', 'guid', `${dataset}@${snapshot}`),
    ),
  );
  if (guids[0] !== guids[1]) return `${target}@${snapshot} has the GUID ${guids[1]}, not ${guids[0]}`;
  const restored = await namesByGuid(target);
  if (only && (await sameAsSent(house, kind, only, `${target}@${snapshot}`, restored))) return undefined;
  const source = await namesByGuid(sourceOf(kind));
  // From the snapshot before it, which the source has perhaps as a bookmark only.
  const before = [...restored.keys()].find((guid) => restored.get(guid)?.endsWith('@base'));
  const from = (names: Map<Guid, string>) => (before === undefined ? undefined : names.get(before));
  // Blocks as they are, not as they are compressed: what comes uncompressed, a block that the source has
  // within its pointer or stored so for want of memory, is compressed as the target is set at that moment.
  const flags = kind.flags.filter((flag) => flag !== '-c');
  await sendTo(house.file('source.zfs'), flags, `${sourceOf(kind)}@${snapshot}`, from(source));
  await sendTo(house.file('restored.zfs'), flags, `${target}@${snapshot}`, from(restored));
  const files = [house.file('source.zfs'), house.file('restored.zfs')] as const;
  const difference = await differenceOf(...files, { decoded: flags.length < kind.flags.length });
  return difference && `${target}@${snapshot}: ${difference}`;
}

/** Whether a re-send, blocks compressed as they lie there, is what was compared with the stored segments before. */
async function sameAsSent(
  house: House,
  { flags }: Kind,
  { from }: Stored,
  name: string,
  restored: Map<Guid, string>,
): Promise<boolean> {
  await sendTo(house.file('restored.zfs'), flags, name, from === null ? undefined : restored.get(from));
  return (await differenceOf(house.file('sent.zfs'), house.file('restored.zfs'))) === undefined;
}

async function sendTo(
  file: string,
  flags: readonly string[],
  to: string,
  from: string | undefined,
): Promise<void> {
  const base = from === undefined ? '' : `-i '${from}'`;
  await shell(`zfs send ${flags.join(' ')} ${base} '${to}' >'${file}'`);
}
