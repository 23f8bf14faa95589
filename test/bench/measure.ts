/** Measures a whole process: wall time, CPU time of its tree and the peak of its memory. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';

/** A process and what flows through it. */
export interface Command {
  readonly argv: readonly string[];
  /** File that becomes its standard input, through a pipe. */
  readonly stdin?: string;
  /** File that its standard output goes to; by default it is thrown away. */
  readonly stdout?: string;
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

const TICKS = 100; // USER_HZ on Linux
const SAMPLE = 25; // milliseconds

/** Runs a command to its end; throws when it fails. */
export async function measure(command: Command): Promise<Measured> {
  const stdout = command.stdout ? openSync(command.stdout, 'w') : undefined;
  const [name = '', ...rest] = command.argv;
  const began = performance.now();
  // A pipe, as from zfs send: not a file that a program might map or read ahead.
  const feeder = command.stdin
    ? spawn('cat', [command.stdin], { stdio: ['ignore', 'pipe', 'inherit'] })
    : undefined;
  const child = spawn(name, rest, {
    stdio: [feeder?.stdout ?? 'ignore', stdout ?? 'ignore', 'pipe'],
    env: { ...process.env, ...command.env },
  });
  feeder?.stdout.destroy(); // the child has its own end
  const errors = collect(child);
  const usage = { cpu: 0, peak: 0 };
  const sampler = setInterval(() => sample(child.pid, usage), SAMPLE);
  const [code] = (await once(child, 'close')) as [number | null];
  clearInterval(sampler);
  const seconds = (performance.now() - began) / 1000;
  if (stdout !== undefined) closeSync(stdout);
  if (code !== 0) throw new Error(`${command.argv.join(' ')} ended with ${code}: ${errors().slice(-2000)}`);
  return { seconds, cpu: usage.cpu, peak: usage.peak };
}

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
