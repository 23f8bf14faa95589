/** How far a running zkeep has come: its child that sends or receives, and the bytes that went through it. */
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Running } from '../parts/command.ts';

/** Milliseconds between two looks. */
const LOOK = 50;

/** `rchar`: what the process read, `wchar`: what it wrote (proc_pid_io(5)). */
export type Counter = 'rchar' | 'wchar';

/** A zkeep that runs, looked at all the time. */
export class Watch {
  /** The ids of its children that carry a stream, with their command lines, the first one first. */
  readonly children: { readonly pid: number; readonly words: string[] }[] = [];
  /** Bytes that were moved since the first of them was seen. */
  moved = 0;
  readonly #agent: Running;
  readonly #verb: 'send' | 'receive';
  readonly #counter: Counter;
  #before: number | undefined;
  #isOver = false;

  constructor(agent: Running, verb: 'send' | 'receive') {
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
      await this.#look();
      if (reached()) return true;
      await sleep(LOOK);
    }
    return false;
  }

  /** The last child that carries a stream, if it lives. */
  child(): number | undefined {
    return this.children.at(-1)?.pid;
  }

  async #look(): Promise<void> {
    const { pid } = this.#agent;
    const now = await count(pid, this.#counter);
    if (this.#before !== undefined && now !== undefined) this.moved = now - this.#before;
    for (const child of await childrenOf(pid)) {
      if (this.children.some((known) => known.pid === child)) continue;
      const words = (await read(`/proc/${child}/cmdline`)).split('\0').slice(0, -1);
      // An estimate (-n) carries nothing.
      if (words[0] !== 'zfs' || words[1] !== this.#verb || words.includes('-n') || words.includes('-A'))
        continue;
      this.children.push({ pid: child, words });
      this.#before ??= now;
    }
  }
}

/** Whether a process is there still. */
export async function lives(pid: number): Promise<boolean> {
  const status = await read(`/proc/${pid}/stat`);
  return status !== '' && !/\) [ZX] /.test(status);
}

async function childrenOf(pid: number): Promise<number[]> {
  const line = await read(`/proc/${pid}/task/${pid}/children`);
  return line.split(' ').filter(Boolean).map(Number);
}

async function count(pid: number, counter: Counter): Promise<number | undefined> {
  const found = new RegExp(`^${counter}: ([0-9]+)$`, 'm').exec(await read(`/proc/${pid}/io`));
  return found ? Number(found[1]) : undefined;
}

async function read(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '');
}
