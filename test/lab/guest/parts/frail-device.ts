/** A block device that can be taken away under a pool, and given back: device mapper over a loop device over a file. */
import { rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { must, run } from './command.ts';

const SECTOR = 512;

export class FrailDevice {
  readonly path: string;
  readonly #name: string;
  readonly #file: string;
  readonly #loop: string;
  readonly #sectors: number;

  private constructor(name: string, file: string, loop: string, sectors: number) {
    this.path = `/dev/mapper/${name}`;
    this.#name = name;
    this.#file = file;
    this.#loop = loop;
    this.#sectors = sectors;
  }

  /**
   * @param folder where its file lies.
   * @param mebibytes its size.
   */
  static async make(folder: string, name: string, mebibytes: number): Promise<FrailDevice> {
    const file = join(folder, `${name}.device`);
    await writeFile(file, '');
    await truncate(file, mebibytes * 1024 * 1024);
    await must('modprobe', '-a', 'loop', 'dm-mod');
    const loop = await must('losetup', '--find', '--show', file);
    const device = new FrailDevice(name, file, loop, (mebibytes * 1024 * 1024) / SECTOR);
    await must('dmsetup', 'create', name, '--table', device.#whole);
    return device;
  }

  /** From now on every read and write fails. */
  async takeAway(): Promise<void> {
    await this.#become(`0 ${this.#sectors} error`);
  }

  /** It is there again, with all that was written before. */
  async giveBack(): Promise<void> {
    await this.#become(this.#whole);
  }

  async remove(): Promise<void> {
    await run(['dmsetup', 'remove', '--force', this.#name]);
    await run(['losetup', '--detach', this.#loop]);
    await rm(this.#file, { force: true });
  }

  get #whole(): string {
    return `0 ${this.#sectors} linear ${this.#loop} 0`;
  }

  /** What was on its way is not waited for: it fails, or goes on, by the new table. */
  async #become(table: string): Promise<void> {
    await must('dmsetup', 'load', this.#name, '--table', table);
    await must('dmsetup', 'suspend', '--noflush', '--nolockfs', this.#name);
    await must('dmsetup', 'resume', this.#name);
  }
}
