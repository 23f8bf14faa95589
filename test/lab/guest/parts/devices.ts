/** Files to put pools on, and block devices over them. */
import { open, truncate, writeFile } from 'node:fs/promises';
import { must, run } from './command.ts';

/** A sparse file. */
export async function sparseFile(path: string, mebibytes: number): Promise<string> {
  await writeFile(path, '');
  await truncate(path, mebibytes * 1024 * 1024);
  return path;
}

/** Where the first partition begins, and how many sectors of 512 bytes it has. */
const FIRST = { begin: 2048, sectors: 100_000 };

/** Writes a partition table (MBR) with one partition of 49 MiB at the beginning of a file. */
export async function partition(path: string): Promise<string> {
  const table = Buffer.alloc(512);
  table.writeUInt8(0x83, 446 + 4); // type: Linux
  table.writeUInt32LE(FIRST.begin, 446 + 8);
  table.writeUInt32LE(FIRST.sectors, 446 + 12);
  table.writeUInt16LE(0xaa55, 510);
  const file = await open(path, 'r+');
  await file.write(table, 0, table.length, 0);
  await file.close();
  return path;
}

/** Loop devices that are all let go together. */
export class Loops {
  readonly #paths: string[] = [];

  /**
   * A loop device over a file.
   *
   * @param options of `losetup`.
   * @example await loops.over(file, '--sector-size', '4096')
   */
  async over(file: string, ...options: string[]): Promise<string> {
    await must('modprobe', 'loop');
    const path = await must('losetup', '--find', '--show', ...options, file);
    this.#paths.push(path);
    return path;
  }

  async close(): Promise<void> {
    for (const path of this.#paths.toReversed()) await run(['losetup', '--detach', path]);
  }
}
