/** What a file system holds, as lines that can be compared: everything that a snapshot preserves. */
import { hash, randomBytes } from 'node:crypto';
import {
  chmod,
  chown,
  link,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { must, run, shell } from './command.ts';
import { withSnapshot } from './pool.ts';

/**
 * The tree of a snapshot: for every entry its name, kind, mode, owner, size,
 * times, object number, links, target or SHA-256 of the contents, and its
 * extended attributes.
 *
 * @example assert.deepEqual(await treeOf('new/fs@a'), await treeOf('tank/fs@a'))
 */
export async function treeOf(snapshot: string): Promise<string[]> {
  return withSnapshot(snapshot, async (folder) => {
    const entries = await readdir(folder, { recursive: true });
    const lines = await Promise.all(entries.toSorted().map((entry) => describe(folder, entry)));
    return [...lines, ...(await attributesOf(folder))];
  });
}

/** Puts one of everything into a folder: kinds of files, holes, links, odd names, modes, extended attributes. */
export async function fill(folder: string): Promise<void> {
  await mkdir(join(folder, 'empty folder'), { recursive: true });
  await mkdir(join(folder, 'deep/er/est'), { recursive: true });
  await writeFile(join(folder, 'random'), randomBytes(700_000));
  await writeFile(join(folder, 'text'), 'all work and no play\n'.repeat(20_000), { mode: 0o640 });
  await writeFile(join(folder, 'empty'), '');
  await writeFile(join(folder, 'deep/er/est/tiny'), 'x');
  await writeFile(join(folder, 'quote\' " \t\n ünd so'), 'odd name');
  await writeFile(join(folder, 'with holes'), 'begin');
  await truncate(join(folder, 'with holes'), 2_000_000);
  await symlink('../text', join(folder, 'deep/link'));
  await link(join(folder, 'text'), join(folder, 'deep/hard link'));
  await must('mkfifo', join(folder, 'fifo'));
  await must('mknod', join(folder, 'null'), 'c', '1', '3');
  await writeFile(join(folder, 'owned'), 'by others');
  await chown(join(folder, 'owned'), 1234, 4321);
  await chmod(join(folder, 'owned'), 0o4711);
  await must('setfattr', '-n', 'user.small', '-v', 'value', join(folder, 'text'));
  // Too long for the bonus of a dnode, so that it becomes a spill block; equal bytes are what `send -e` loses.
  await must('setfattr', '-n', 'user.large', '-v', 'y'.repeat(3000), join(folder, 'owned'));
  for (let n = 0; n < 20; n++) await writeFile(join(folder, `deep/file ${n}`), `${n}\n`.repeat(n * 50));
}

/** Changes a folder that `fill` made, differently each time: overwritten, grown, cut, renamed, removed, new. */
export async function change(folder: string, round: number): Promise<void> {
  await shell(
    `printf 'round ${round}' | dd of=random bs=1 seek=${round * 70_000} conv=notrunc status=none`,
    folder,
  );
  await shell(`echo 'round ${round}' >>text; setfattr -n user.round -v ${round} text`, folder);
  await truncate(join(folder, 'with holes'), 2_000_000 - round * 100_000);
  await rename(join(folder, `deep/file ${round}`), join(folder, `moved ${round}`));
  await rm(join(folder, `deep/file ${round + 10}`));
  await writeFile(join(folder, `new in round ${round}`), randomBytes(150_000));
  if (round === 2) await must('setfattr', '-x', 'user.large', join(folder, 'owned'));
}

/** Writes random bytes that do not compress, flushed to the pool. */
export async function fillRandom(file: string, mebibytes: number): Promise<void> {
  for (let n = 0; n < mebibytes; n += 8) {
    await writeFile(file, randomBytes(Math.min(8, mebibytes - n) * 1024 * 1024), { flag: 'a' });
  }
  await must('sync', '-f', file);
}

/** Writes numbered lines, which compress well, flushed to the pool. */
export async function fillText(file: string, mebibytes: number): Promise<void> {
  for (let n = 0; n < mebibytes; n++) {
    await writeFile(
      file,
      `this is mebibyte ${String(n).padStart(6)} of it\n`.repeat(32_768).slice(0, 1024 * 1024),
      { flag: 'a' },
    );
  }
  await must('sync', '-f', file);
}

async function describe(folder: string, entry: string): Promise<string> {
  const path = join(folder, entry);
  const facts = await lstat(path, { bigint: true });
  const content = facts.isFile()
    ? hash('sha256', await readFile(path))
    : facts.isSymbolicLink()
      ? await targetOf(path)
      : facts.rdev;
  const { mode, uid, gid, size, nlink, ino, mtimeNs, ctimeNs, birthtimeNs } = facts;
  return [
    JSON.stringify(entry),
    mode.toString(8),
    uid,
    gid,
    size,
    nlink,
    ino,
    mtimeNs,
    ctimeNs,
    birthtimeNs,
    content,
  ].join(' ');
}

/** A symbolic link on a Lustre MDT is Lustre's own to read: ZFS says that there is none. */
async function targetOf(link: string): Promise<string> {
  return readlink(link).catch((thrown: NodeJS.ErrnoException) => {
    if (thrown.code === 'ENOENT') return 'unreadable';
    throw thrown;
  });
}

/** `getfattr` prints a block for each file that has any, its attributes in no fixed order. */
async function attributesOf(folder: string): Promise<string[]> {
  const { exit, stdout, stderr } = await run(['getfattr', '-Rhd', '-m', '-', '-e', 'hex', '.'], {
    cwd: folder,
  });
  if (exit !== 0) throw new Error(`getfattr ended with ${exit}: ${stderr}`);
  const blocks = stdout.toString('utf8').split('\n\n').filter(Boolean);
  return blocks.map((block) => block.split('\n').toSorted().join(' ')).toSorted();
}
