/** Files to put pools on, and block devices over them. */
import { truncate, writeFile } from 'node:fs/promises';
import { must, run } from './command.ts';

/** A sparse file. */
export async function sparseFile(path: string, mebibytes: number): Promise<string> {
  await writeFile(path, '');
  await truncate(path, mebibytes * 1024 * 1024);
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
