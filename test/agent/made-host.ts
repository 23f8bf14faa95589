/** What hosts that are made of stand-ins share: a folder of programs and of the files that these keep their state in. */
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** A host in a folder of its own; its programs fail as the files there tell them to. */
export class MadeHost<Fault extends string> {
  readonly folder: string;

  /** @param name of the folder, with a random end. */
  constructor(name: string) {
    this.folder = mkdtempSync(join(tmpdir(), `${name}-`));
  }

  /** Lets something fail from now on. */
  fault(fault: Fault, words: string | number = ''): void {
    this.write(fault, String(words));
  }

  mend(fault: Fault): void {
    rmSync(join(this.folder, fault), { force: true });
  }

  /** Waits until a command that was told to wait has begun to. */
  async untilWaiting(): Promise<void> {
    const waiting = join(this.folder, 'waiting');
    await until('a command that waits', () => existsSync(waiting));
    rmSync(waiting);
  }

  end(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  protected program(name: string, text: string): void {
    this.write(name, text);
    chmodSync(join(this.folder, name), 0o755);
  }

  protected write(name: string, text: string): void {
    writeFileSync(join(this.folder, name), text);
  }

  /** A file that is not there is empty. */
  protected read(name: string): string {
    const file = join(this.folder, name);
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  }
}

/** Waits, in steps, until something is so. */
export async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (let left = 3000; left > 0; left--) {
    if (await isSo()) return;
    await sleep(20);
  }
  throw new Error(`waited for ${what} in vain`);
}
