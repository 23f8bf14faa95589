/** Child processes of the tests: run to their end, or kept at hand to be stopped and killed. */
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa, type Options } from 'execa';

/** How a command ended. */
export interface Ended {
  /** `undefined` when a signal ended it. */
  readonly exit: number | undefined;
  readonly signal: string | undefined;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** A command that runs. */
export interface Running {
  readonly pid: number;
  readonly ended: Promise<Ended>;
  kill(signal: NodeJS.Signals): void;
}

/** What a command may be given: a folder, more environment, bytes for its standard input. */
export type CommandOptions = Pick<Options, 'cwd' | 'env' | 'input' | 'inputFile'> & {
  /** Longest that it may take, milliseconds; by default {@link LONGEST}. */
  readonly longest?: number;
};

/** Longest that any command of a test may take, milliseconds: emulated, on a machine that does other things as well. */
const LONGEST = 600_000;

/** Starts a command and does not wait for it. */
export function start(command: readonly string[], options: CommandOptions = {}): Running {
  const { longest = LONGEST, ...others } = options;
  const [file = '', ...args] = command;
  const child = execa(file, args, {
    ...others,
    stdin: options.input === undefined && options.inputFile === undefined ? 'ignore' : 'pipe',
    encoding: 'buffer',
    stripFinalNewline: false,
    reject: false,
    timeout: longest,
    killSignal: 'SIGKILL',
    maxBuffer: 256 * 1024 * 1024,
  });
  const pid = child.pid;
  if (pid === undefined) throw new Error(`could not start ${command.join(' ')}`);
  return {
    pid,
    ended: child.then((result) => endOf(command, result, longest)),
    kill: (signal) => child.kill(signal),
  };
}

/** Runs a command, whatever its exit code. */
export async function run(command: readonly string[], options: CommandOptions = {}): Promise<Ended> {
  return start(command, options).ended;
}

/**
 * Runs a command that must succeed and gives what it printed, without the last newline.
 *
 * @example await must('zfs', 'get', '-Hpo', 'value', 'guid', 'tank/fs@a')
 */
export async function must(...command: string[]): Promise<string> {
  const { exit, stdout, stderr } = await run(command);
  if (exit !== 0) throw new Error(`${command.join(' ')} ended with ${exit}: ${stderr}`);
  return stdout.toString('utf8').replace(/\n$/, '');
}

/** Runs a line of bash in which every part of a pipe must succeed. */
export async function shell(line: string, cwd = '/'): Promise<string> {
  const { exit, stdout, stderr } = await run(['bash', '-euo', 'pipefail', '-c', line], { cwd });
  if (exit !== 0) throw new Error(`${line} ended with ${exit}: ${stderr}`);
  return stdout.toString('utf8').replace(/\n$/, '');
}

/** Waits until `look` finds something other than `undefined` and `false`. */
export async function eventually<T>(
  what: string,
  look: () => Promise<T | undefined | false>,
  milliseconds = 400_000,
): Promise<T> {
  for (const deadline = Date.now() + milliseconds; Date.now() < deadline; await sleep(50)) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
  }
  throw new Error(`waited ${milliseconds / 1000} s in vain for ${what}`);
}

/** The process id of a child of `parent` whose command line begins with these words. */
export async function childOf(parent: number, ...words: string[]): Promise<number | undefined> {
  for (const name of await readdir('/proc')) {
    if (!/^[0-9]+$/.test(name)) continue;
    const [status = '', line = ''] = await Promise.all([
      readFile(`/proc/${name}/status`, 'utf8').catch(() => ''),
      readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => ''),
    ]);
    const isChild = new RegExp(`^PPid:\\s${parent}$`, 'm').test(status);
    if (isChild && words.every((word, at) => line.split('\0')[at] === word)) return Number(name);
  }
  return undefined;
}

/** What execa says of an end; one part or the other is missing when a signal came, or none. */
interface Result {
  readonly exitCode?: number | undefined;
  readonly signal?: string | undefined;
  readonly timedOut: boolean;
  readonly stdout: Uint8Array;
  readonly stderr: Uint8Array;
}

function endOf(command: readonly string[], result: Result, longest: number): Ended {
  if (result.timedOut) throw new Error(`${command.join(' ')} did not end in ${longest / 1000} s`);
  return {
    exit: result.exitCode,
    signal: result.signal,
    stdout: Buffer.from(result.stdout),
    stderr: Buffer.from(result.stderr).toString('utf8'),
  };
}
