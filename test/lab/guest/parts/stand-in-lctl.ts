/**
 * A stand-in for Lustre's `lctl`: no Lustre runs in the guest. It notes how it was
 * called, answers in the recorded words, and keeps a barrier that holds nothing back.
 */
import { existsSync } from 'node:fs';
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { eventually } from './command.ts';

const SCRIPT = `#!/bin/sh
# A stand-in for Lustre's lctl.
here=$(dirname "$0"); echo "$*" >>"$here/calls"
case "$1" in
barrier_freeze) echo frozen >"$here/barrier";;
barrier_stat)
  if [ -e "$here/hold" ] && [ "$(cat "$here/barrier")" = frozen ]; then
    touch "$here/held"
    while [ -e "$here/hold" ]; do sleep .1; done
  fi
  cat "$here/barrier";;
barrier_thaw) echo thawed >"$here/barrier";;
get_param) case "$*" in
  *mgs.MGS.live.lustrefs) printf 'fsname: lustrefs\\nflags: 0x20     gen: 7\\nlustrefs-MDT0000\\nlustrefs-OST0000\\n';;
  *) exit 2;;
  esac;;
*) exit 2;;
esac
`;

export class StandInLctl {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** @param parent a folder in which it gets one of its own. */
  static async open(parent: string): Promise<StandInLctl> {
    const folder = join(parent, 'stand-ins');
    await mkdir(folder);
    await writeFile(join(folder, 'lctl'), SCRIPT);
    await chmod(join(folder, 'lctl'), 0o755);
    const lctl = new StandInLctl(folder);
    await lctl.begin('init');
    return lctl;
  }

  /** The environment in which a command meets it. */
  get env(): Record<string, string> {
    return { PATH: `${this.#folder}${delimiter}${process.env['PATH'] ?? ''}` };
  }

  /** The barrier is in this state from now on, and nothing was called yet. */
  async begin(state: string): Promise<void> {
    await writeFile(join(this.#folder, 'barrier'), `${state}\n`);
    await writeFile(join(this.#folder, 'calls'), '');
  }

  /** From now on, who asks about a barrier that stands waits until `letGo`. */
  async hold(): Promise<void> {
    await rm(join(this.#folder, 'held'), { force: true });
    await writeFile(join(this.#folder, 'hold'), '');
  }

  async untilHeld(): Promise<void> {
    await eventually('the barrier', async () => existsSync(join(this.#folder, 'held')));
  }

  async letGo(): Promise<void> {
    await rm(join(this.#folder, 'hold'));
  }

  /** How it was called for its barrier, in order. */
  async calls(): Promise<string[]> {
    const lines = (await readFile(join(this.#folder, 'calls'), 'utf8')).split('\n');
    return lines.filter((line) => line.startsWith('barrier_'));
  }
}
