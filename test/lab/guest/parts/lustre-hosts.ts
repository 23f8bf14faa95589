/**
 * Two hosts of a Lustre file system in one guest: each has its own host name, and sees
 * only the targets in its own pools where it looks for targets. All else is the real ZFS.
 */
import { existsSync } from 'node:fs';
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { eventually, must, shell } from './command.ts';
import type { ZkeepOptions } from './lab.ts';

export class LustreHost {
  readonly #folder: string;
  readonly #name: string;
  readonly #path: string;

  private constructor(folder: string, name: string, path: string) {
    this.#folder = folder;
    this.#name = name;
    this.#path = path;
  }

  /**
   * @param pools those whose targets are this host's.
   * @param path searched before all else, but after the host's own `zfs`: where its `lctl` is.
   */
  static async open(parent: string, name: string, pools: readonly string[], path = ''): Promise<LustreHost> {
    const folder = join(parent, name);
    await mkdir(folder);
    const zfs = await shell('command -v zfs');
    const script = `#!/bin/sh
here=$(dirname "$0")
case "$*" in
snapshot*)
  if [ -e "$here/hold" ]; then
    touch "$here/held"
    while [ -e "$here/hold" ]; do sleep .1; done
  fi;;
*lustre:svname*) ${zfs} "$@" | grep -E '^(${pools.join('|')})/'; exit 0;;
esac
exec ${zfs} "$@"
`;
    await writeFile(join(folder, 'zfs'), script);
    await chmod(join(folder, 'zfs'), 0o755);
    return new LustreHost(folder, name, path);
  }

  /** How a command meets it. */
  options(ldev: string): ZkeepOptions {
    const path = [this.#folder, this.#path, process.env['PATH'] ?? ''].filter((part) => part !== '');
    return { host: this.#name, env: { PATH: path.join(delimiter), ZKEEP_LDEV_CONF: ldev } };
  }

  /** From now on its snapshots are not taken until `letGo`. */
  async hold(): Promise<void> {
    await writeFile(join(this.#folder, 'hold'), '');
  }

  async untilHeld(): Promise<void> {
    await eventually(`${this.#name} to take snapshots`, async () => existsSync(join(this.#folder, 'held')));
  }

  async letGo(): Promise<void> {
    await rm(join(this.#folder, 'hold'));
  }
}

/** A target as mkfs.lustre makes it, and where it is mounted, as Lustre would. */
export async function makeTarget(
  dataset: string,
  properties: Readonly<Record<string, string>>,
  folder: string,
): Promise<string> {
  await must('zfs', 'create', '-o', 'canmount=off', '-o', 'xattr=sa', '-o', 'dnodesize=auto', dataset);
  const lustre = Object.entries({ version: '1', ...properties });
  await must('zfs', 'set', ...lustre.map(([name, value]) => `lustre:${name}=${value}`), dataset);
  const place = join(folder, dataset.replaceAll('/', '-'));
  await mkdir(place);
  await must('mount', '-t', 'zfs', '-o', 'zfsutil', dataset, place);
  return place;
}
