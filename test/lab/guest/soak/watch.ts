/** How far a running zkeep has come: its child that sends or receives, and the bytes that went through it. */
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Running } from '../parts/command.ts';

/** A child that carries a stream. */
export interface StreamChild {
  readonly pid: number;
  /** Its command line. */
  readonly words: readonly string[];
  /** Bytes that it moved; where nobody counts them, those that zkeep moved while it was the last one. */
  moved: number;
}

/** `rchar`: what the process read, `wchar`: what it wrote (proc_pid_io(5)). */
export type Counter = 'rchar' | 'wchar';

/** How it is looked at. */
export interface Looks {
  /** Milliseconds between two. */
  readonly look: number;
  /** The folder in which the bridge counts what each command moved. */
  readonly counts?: string;
}

/** A zkeep that runs, looked at all the time. */
export class Watch {
  /** Its children that carry a stream, the first one first. */
  readonly children: StreamChild[] = [];
  /** Bytes that were moved since the first of them was seen. */
  moved = 0;
  readonly #agent: Running;
  readonly #verb: 'send' | 'receive';
  readonly #counter: Counter;
  readonly #looks: Looks;
  readonly #seen = new Set<number>();
  #before: number | undefined;
  #isOver = false;

  constructor(agent: Running, verb: 'send' | 'receive', looks: Looks) {
    this.#looks = looks;
    this.#agent = agent;
    this.#verb = verb;
    this.#counter = verb === 'send' ? 'rchar' : 'wchar';
    const over = () => {
      this.#isOver = true;
    };
    agent.ended.then(over, over); // what it throws is thrown where it is awaited
  }

  /** Waits until a look finds `reached`; false when zkeep ended before. */
  async until(reached: () => boolean): Promise<boolean> {
    while (!this.#isOver) {
      this.#look();
      if (reached()) return true;
      await sleep(this.#looks.look);
    }
    return false;
  }

  /** The last child that carries a stream, if it lives. */
  child(): number | undefined {
    return this.children.at(-1)?.pid;
  }

  /** Forgets what was counted, when zkeep has ended and its children too. */
  end(): void {
    this.#count(undefined);
    const { counts } = this.#looks;
    if (counts === undefined) return;
    for (const name of readdirSync(counts)) rmSync(join(counts, name), { force: true });
  }

  #count(now: number | undefined): void {
    const { counts } = this.#looks;
    if (counts === undefined) {
      const last = this.children.at(-1);
      if (!last || this.#before === undefined || now === undefined) return;
      last.moved += now - this.#before - this.moved;
      this.moved = now - this.#before;
      return;
    }
    for (const child of this.children) {
      const told = readIfThere(join(counts, String(child.pid)));
      if (told.length !== 16) continue;
      child.moved = Number(told.readBigUInt64LE(this.#verb === 'receive' ? 0 : 8));
    }
    this.moved = this.children.reduce((sum, { moved }) => sum + moved, 0);
  }

  /** Files of `/proc` are read at once: to wait for a thread to do it costs ten times as much. */
  #look(): void {
    const { pid } = this.#agent;
    const now = this.#looks.counts === undefined ? count(pid, this.#counter) : undefined;
    this.#count(now);
    for (const child of childrenOf(pid)) {
      if (this.#seen.has(child)) continue;
      const words = read(`/proc/${child}/cmdline`).split('\0').slice(0, -1);
      // Before it is the command it is a copy of zkeep.
      if (words[0] !== 'zfs' && words[0] !== 'zpool' && words[0] !== 'zdb') continue;
      this.#seen.add(child);
      // An estimate (-n) carries nothing.
      if (words[0] !== 'zfs' || words[1] !== this.#verb || words.includes('-n') || words.includes('-A'))
        continue;
      this.children.push({ pid: child, words, moved: 0 });
      this.#before ??= now;
    }
  }
}

/** Whether a process is there still. */
export function lives(pid: number): boolean {
  const status = read(`/proc/${pid}/stat`);
  return status !== '' && !/\) [ZX] /.test(status);
}

function childrenOf(pid: number): number[] {
  const line = read(`/proc/${pid}/task/${pid}/children`);
  return line.split(' ').filter(Boolean).map(Number);
}

function count(pid: number, counter: Counter): number | undefined {
  const found = new RegExp(`^${counter}: ([0-9]+)$`, 'm').exec(read(`/proc/${pid}/io`));
  return found ? Number(found[1]) : undefined;
}

function read(path: string): string {
  return readIfThere(path).toString('utf8');
}

/** Empty where there is no such file, or its process is gone. */
function readIfThere(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch {
    return Buffer.alloc(0);
  }
}
