/**
 * A stand-in for Lustre's `lctl`: no Lustre runs in the guest. It notes how it was
 * called, answers in the recorded words, and keeps a barrier that holds back `change` alone.
 */
import { existsSync } from 'node:fs';
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { eventually, type Running, start } from './command.ts';

const SCRIPT = `#!/bin/sh
# A stand-in for Lustre's lctl.
here=$(dirname "$0"); echo "$*" >>"$here/calls"
case "$1" in
barrier_freeze) flock "$here/writing" sh -c "echo frozen >'$here/barrier'";;
barrier_stat)
  if [ -e "$here/hold" ] && [ "$(cat "$here/barrier")" = frozen ]; then
    touch "$here/held"
    while [ -e "$here/hold" ]; do sleep .1; done
  fi
  cat "$here/barrier";;
barrier_thaw) echo thawed >"$here/barrier";;
get_param) case "$*" in
  *mgs.MGS.live.lustrefs) cat "$here/live";;
  *) exit 2;;
  esac;;
*) exit 2;;
esac
`;

export class StandInLctl {
  /** Where it lies. */
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /**
   * @param parent a folder in which it gets one of its own.
   * @param registered the targets of `lustrefs` that the MGS knows.
   */
  static async open(
    parent: string,
    registered: readonly string[] = ['lustrefs-MDT0000', 'lustrefs-OST0000'],
  ): Promise<StandInLctl> {
    const folder = join(parent, 'stand-ins');
    await mkdir(folder);
    await writeFile(join(folder, 'lctl'), SCRIPT);
    await chmod(join(folder, 'lctl'), 0o755);
    const live = ['fsname: lustrefs', 'flags: 0x20     gen: 7', ...registered, ''];
    await writeFile(join(folder, 'live'), live.join('\n'));
    const lctl = new StandInLctl(folder);
    await lctl.begin('init');
    return lctl;
  }

  /** The environment in which a command meets it. */
  get env(): Record<string, string> {
    return { PATH: `${this.folder}${delimiter}${process.env['PATH'] ?? ''}` };
  }

  /**
   * Writes one number into several files again and again, as changes of metadata that go to several
   * MDTs: as long as a barrier stands, none is under way and none begins.
   */
  change(files: readonly string[]): Running {
    const script = `
      n=0; exec 9>"$0/writing"
      while sleep .01; do
        flock 9
        if [ "$(cat "$0/barrier")" != frozen ]; then n=$((n + 1)); for file; do echo $n >"$file"; done; fi
        flock -u 9
      done`;
    // It lives as long as the test in which it is ended.
    return start(['sh', '-c', script, this.folder, ...files], { longest: 3_600_000 });
  }

  /** The barrier is in this state from now on, and nothing was called yet. */
  async begin(state: string): Promise<void> {
    await writeFile(join(this.folder, 'barrier'), `${state}\n`);
    await writeFile(join(this.folder, 'calls'), '');
  }

  /** From now on, who asks about a barrier that stands waits until `letGo`. */
  async hold(): Promise<void> {
    await rm(join(this.folder, 'held'), { force: true });
    await writeFile(join(this.folder, 'hold'), '');
  }

  async untilHeld(): Promise<void> {
    await eventually('the barrier', async () => existsSync(join(this.folder, 'held')));
  }

  async letGo(): Promise<void> {
    await rm(join(this.folder, 'hold'));
  }

  /** How it was called for its barrier, in order. */
  async calls(): Promise<string[]> {
    const lines = (await readFile(join(this.folder, 'calls'), 'utf8')).split('\n');
    return lines.filter((line) => line.startsWith('barrier_'));
  }
}
