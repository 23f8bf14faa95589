/** Measures a whole process: wall time, CPU time of its tree and the peak of its memory. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A process and what flows through it. */
export interface Command {
  readonly argv: readonly string[];
  /** File that becomes its standard input, through a pipe, as from `zfs send`. */
  readonly stdin?: string;
  /** File that its standard output is written to; by default it is thrown away. */
  readonly stdout?: string;
  /** File that its standard output goes to through a pipe, as to `zfs receive`. */
  readonly piped?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** What it took. */
export interface Measured {
  readonly seconds: number;
  /** CPU seconds, user and system, of the process and its children that it waited for. */
  readonly cpu: number;
  /** Peak resident memory of the largest single process seen, bytes. */
  readonly peak: number;
}

const MIB = 1024 * 1024;
const TICKS = 100; // USER_HZ on Linux
const SAMPLE = 25; // milliseconds

/** Runs a command to its end; throws when it fails. */
export async function measure({ argv, stdin, stdout, piped, env }: Command): Promise<Measured> {
  const [name = '', ...rest] = argv;
  const began = performance.now();
  const from = stdin === undefined ? undefined : pipeFrom(stdin);
  const to = piped === undefined ? undefined : pipeTo(piped);
  const file = stdout === undefined ? undefined : openSync(stdout, 'w');
  const child = spawn(name, rest, {
    stdio: [from?.fd ?? 'ignore', to?.fd ?? file ?? 'ignore', 'pipe'],
    env: { ...process.env, ...env },
  });
  for (const fd of [from?.fd, to?.fd, file]) if (fd !== undefined) closeSync(fd); // the child has its own
  const errors = collect(child);
  const usage = { cpu: 0, peak: 0 };
  const sampler = setInterval(() => sample(child.pid, usage), SAMPLE);
  const ends = [child, from?.cat, to?.cat].map((process) => process && once(process, 'close'));
  const [[code] = [undefined]] = await Promise.all(ends);
  clearInterval(sampler);
  const seconds = (performance.now() - began) / 1000;
  if (code !== 0) throw new Error(`${argv.join(' ')} ended with ${code}: ${errors().slice(-2000)}`);
  return { seconds, cpu: usage.cpu, peak: usage.peak };
}

/**
 * Memory that nobody has used for seconds may be slow to have: a virtual machine gives it back to its
 * host, and a GiB of files or buffers then costs 2 s instead of 0.2. Whoever comes next finds so much
 * of it at hand.
 *
 * @param folder on the disk that is measured.
 */
export function warmMemory(folder: string, bytes: number): void {
  const path = join(folder, 'warm');
  const file = openSync(path, 'w');
  const piece = Buffer.alloc(MIB, 1);
  for (let done = 0; done < bytes; done += piece.length) writeSync(file, piece);
  closeSync(file);
  rmSync(path);
}

/** One end of a pipe, and the process at the other. */
interface Pipe {
  readonly fd: number;
  readonly cat: ChildProcess;
}

/** A true pipe, with a name for a moment: what `spawn` makes between processes is a pair of sockets. */
function openPipe(script: string, file: string, flag: 'r' | 'w'): Pipe {
  const path = join(tmpdir(), `zkeep-bench-pipe-${process.pid}`);
  rmSync(path, { force: true });
  const { status } = spawnSync('mkfifo', [path]);
  if (status !== 0) throw new Error(`mkfifo ${path} ended with ${status}`);
  const cat = spawn('sh', ['-c', script, file, path], { stdio: ['ignore', 'ignore', 'inherit'] });
  const fd = openSync(path, flag); // returns when the other end is open
  rmSync(path);
  return { fd, cat };
}

const pipeFrom = (file: string) => openPipe('exec cat "$0" > "$1"', file, 'r');
const pipeTo = (file: string) => openPipe('exec cat < "$1" > "$0"', file, 'w');

/** The peak so far of a process that goes on, e.g. a service, bytes; 0 when it is gone. */
export function peakOf(pid: number | undefined): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/** CPU seconds so far of a process and of the children that it waited for; 0 when it is gone. */
export function cpuOf(pid: number | undefined): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / TICKS;
  } catch {
    return 0;
  }
}

function sample(pid: number | undefined, usage: { cpu: number; peak: number }): void {
  usage.peak = Math.max(usage.peak, peakOf(pid));
  usage.cpu = Math.max(usage.cpu, cpuOf(pid));
}

function collect(child: ChildProcess): () => string {
  let text = '';
  child.stderr?.on('data', (piece: Buffer) => {
    text = (text + piece.toString()).slice(-8000);
  });
  return () => text;
}
