/** The kinds of streams that are cut: a dataset for each, filled so that its stream has what the kind is about. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { must, shell } from '../parts/command.ts';
import { makeFilesystem } from '../parts/pool.ts';
import { change, fill, fillRandom, fillText } from '../parts/tree.ts';

export interface Kind {
  readonly name: string;
  /** With which zkeep sends it. */
  readonly flags: readonly string[];
  /** What of `base` the source keeps, where the stream is an incremental one. */
  readonly base?: 'snapshot' | 'bookmark';
  /** Options of `zfs create`. */
  readonly options: readonly string[];
  readonly volume?: true;
  /** Many files, each with an extended attribute that needs a spill block. */
  readonly spill?: true;
}

const PLAIN = ['-L', '-c'];
const LEGACY = ['-o', 'dnodesize=legacy', '-o', 'xattr=sa'];
const ENCRYPTED = ['-o', 'encryption=on', '-o', 'keyformat=passphrase'];

export const KINDS = [
  { name: 'full', flags: PLAIN, options: [] },
  { name: 'large', flags: PLAIN, options: ['-o', 'recordsize=1M', '-o', 'compression=zstd'] },
  { name: 'on-snapshot', flags: PLAIN, base: 'snapshot', options: ['-o', 'dnodesize=auto'] },
  { name: 'on-bookmark', flags: PLAIN, base: 'bookmark', options: ['-o', 'recordsize=1M'] },
  { name: 'raw', flags: ['-w'], options: ENCRYPTED },
  { name: 'raw-on-snapshot', flags: ['-w'], base: 'snapshot', options: ENCRYPTED },
  { name: 'raw-on-bookmark', flags: ['-w'], base: 'bookmark', options: ENCRYPTED },
  { name: 'volume', flags: PLAIN, options: [], volume: true },
  { name: 'volume-on-snapshot', flags: PLAIN, base: 'snapshot', options: [], volume: true },
  { name: 'spill', flags: PLAIN, options: LEGACY, spill: true },
  { name: 'spill-on-snapshot', flags: PLAIN, base: 'snapshot', options: LEGACY, spill: true },
] as const satisfies readonly Kind[];

export function kindNamed(name: string): Kind {
  const found = (KINDS as readonly Kind[]).find((kind) => kind.name === name);
  if (!found) throw new Error(`there is no kind ${name}`);
  return found;
}

/** MiB of a pool that has room for these, or for what is restored of them. */
export function poolSize(kinds: readonly Kind[], mebibytes: number): number {
  return kinds.length * (mebibytes * 2 + 64) + 512;
}

/** Where the source of a kind lies in its pool. */
export function sourceOf(kind: Kind): string {
  return `tank/${kind.name}`;
}

/** The stored stream of the base of a kind that has one. */
export function baseFile(folder: string, kind: Kind): string {
  return join(folder, `${kind.name}-base.zfs`);
}

/**
 * Makes the source of a kind.
 *
 * @param folder where the stream of its base is kept.
 * @param mebibytes how large its stream becomes, about.
 */
export async function makeKind(kind: Kind, folder: string, mebibytes: number): Promise<void> {
  await (kind.volume ? makeVolume : makeFiles)(kind, folder, mebibytes);
}

async function makeFiles(kind: Kind, folder: string, mebibytes: number): Promise<void> {
  const dataset = sourceOf(kind);
  const passphrase = join(folder, 'passphrase');
  await writeFile(passphrase, 'correct horse battery\n');
  const encrypted = kind.options.includes('encryption=on');
  const key = encrypted ? ['-o', `keylocation=file://${passphrase}`] : [];
  const place = await makeFilesystem(dataset, ...kind.options, ...key);
  await fill(place);
  await must('python3', '-c', SMALL, place, 'small', '1', '400', '41');
  if (kind.spill) await must('python3', '-c', SPILL, place);
  if (kind.base) {
    await fillRandom(join(place, 'older'), 4);
    await keepBase(kind, folder);
    await change(place, 1);
    // The extended attributes of a file whose mode changes come along, changed or not.
    if (kind.spill) await shell('chmod 600 spill-0*; setfattr -n user.large -v 0x00ff spill-10*', place);
    // Holes, a shorter file, freed objects and some that are used anew: what only an incremental stream has.
    await shell('fallocate -p -o 1M -l 700K older; truncate -s 3M older; rm small-{100..180}', place);
    await must('python3', '-c', SMALL, place, 'again', '100', '140', '90');
  }
  await fillText(join(place, 'text file'), Math.ceil(mebibytes / 10));
  await fillRandom(join(place, 'random file'), mebibytes);
  await must('zpool', 'sync', 'tank');
}

async function makeVolume(kind: Kind, folder: string, mebibytes: number): Promise<void> {
  const dataset = sourceOf(kind);
  const device = `/dev/zvol/${dataset}`;
  const size = mebibytes + 16;
  await must('zfs', 'create', '-s', '-V', `${size}M`, '-o', 'volblocksize=16K', ...kind.options, dataset);
  const write = (from: string, skip: number, length: number) =>
    shell(`for i in {1..200}; do [ -b ${device} ] && break; sleep .05; done
      head -c ${length}M ${from} | dd of=${device} bs=1M seek=${skip} iflag=fullblock conv=fsync status=none`);
  await write('/dev/urandom', 4, 4);
  if (kind.base) await keepBase(kind, folder);
  await write('/dev/urandom', 7, mebibytes);
  // Not at the end of the data: a receiver would not know that there once was something.
  await write('/dev/zero', 8, 1);
  await must('zpool', 'sync', 'tank');
}

/** The base is stored with every fresh service, from a file: its snapshot may be gone by then. */
async function keepBase(kind: Kind, folder: string): Promise<void> {
  const dataset = sourceOf(kind);
  await must('zfs', 'snapshot', `${dataset}@base`);
  await shell(`zfs send ${kind.flags.join(' ')} ${dataset}@base >${baseFile(folder, kind)}`);
  if (kind.base === 'snapshot') return;
  await must('zfs', 'bookmark', `${dataset}@base`, `${dataset}#base`);
  await must('zfs', 'destroy', `${dataset}@base`);
}

/** One process for all of them: on an emulated machine a process costs more than a file. */
const SMALL = `
import os, sys
folder, name, first, last, size = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
for n in range(first, last + 1):
    with open(os.path.join(folder, '%s-%d' % (name, n)), 'wb') as file: file.write(os.urandom(n * size))
`;

const SPILL = `
import os, sys
for n in range(1200):
    path = os.path.join(sys.argv[1], 'spill-%04d' % n)
    with open(path, 'wb') as file: file.write(os.urandom(n))
    os.setxattr(path, 'user.large', os.urandom(700 + n) if n % 3 else b'y' * 3000)
`;
