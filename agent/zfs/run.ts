/** Runs one short `zfs` or `zpool` command: an array of arguments, never a shell. */
import { execa } from 'execa';
import { ZkeepError } from '../../catalog/errors.ts';
import { failureOf, notFound, showCommand } from './failure.ts';

/** Longest that a command may take, milliseconds: listing very many snapshots takes minutes. */
const TIMEOUT = 10 * 60_000;
/** After it, the time a killed command gets to go; in the kernel it may never. */
const GRACE = 6_000;
/** Most output of one command, bytes. */
const MAX_OUTPUT = 64 * 1024 * 1024;

/** How a command may be bounded. */
export interface RunOptions {
  /** Milliseconds. */
  readonly timeout?: number;
  /** Most bytes of standard output. */
  readonly maxBytes?: number;
  readonly signal?: AbortSignal | undefined;
}

/** A command that ended by itself, well or not. */
export interface Ended {
  readonly exit: number;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/**
 * Runs a command to its good end and gives what it printed.
 *
 * @throws {ZkeepError} what `failureOf` makes of its words, when it ended badly.
 * @example await run(['zfs', 'hold', 'zkeep', 'tank/a@one'])
 */
export async function run(command: readonly string[], options: RunOptions = {}): Promise<string> {
  const { exit, stdout, stderr } = await outputOf(command, options);
  if (exit !== 0) throw failureOf({ command, exit, stderr });
  return stdout.toString('utf8');
}

/**
 * Runs a command and gives what it printed, whatever its exit code.
 *
 * @throws {ZkeepError} when it is not installed, was killed, took too long or printed too much.
 */
export async function outputOf(command: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const { timeout = TIMEOUT, maxBytes = MAX_OUTPUT, signal } = options;
  signal?.throwIfAborted();
  const [file = '', ...args] = command;
  const child = execa(file, args, {
    ...CHILD_OPTIONS,
    stdin: 'ignore',
    encoding: 'buffer',
    stripFinalNewline: false,
    reject: false,
    timeout,
    maxBuffer: { stdout: maxBytes, stderr: 1024 * 1024 },
    ...(signal === undefined ? {} : { cancelSignal: signal }),
  });
  const result = await within(timeout + GRACE, child);
  if (result === undefined) throw tooSlow(command, timeout);
  if (result.isCanceled) signal?.throwIfAborted();
  if (result.timedOut) throw tooSlow(command, timeout);
  if (result.isMaxBuffer) throw tooMuch(command, maxBytes);
  const stderr = Buffer.from(result.stderr).toString('utf8');
  if (result.exitCode === undefined) {
    if (result.code === 'ENOENT') throw notFound(command, result.cause);
    throw failureOf({ command, exit: undefined, killedBy: result.signal, stderr, cause: result.cause });
  }
  return { exit: result.exitCode, stdout: Buffer.from(result.stdout), stderr };
}

/** What the work gives, or `undefined` when it takes longer; it goes on then, unheard. */
export async function within<T>(milliseconds: number, work: PromiseLike<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), milliseconds);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** What all children share: plain words, system folders in the path, a process group of their own. */
export const CHILD_OPTIONS = {
  env: {
    LC_ALL: 'C',
    PATH: `${process.env['PATH'] ?? '/usr/bin:/bin'}:/usr/local/sbin:/usr/sbin:/sbin`,
    // OpenZFS warns of a kernel deadlock when it enlarges pipes.
    ZFS_SET_PIPE_MAX: undefined,
  },
  // A Ctrl-C at the terminal reaches zkeep alone, which then ends its children in order.
  killDescendants: true,
  forceKillAfterDelay: 5_000,
} as const;

/** The error for a command that does not end. */
export function tooSlow(command: readonly string[], timeout: number): ZkeepError {
  const seconds = Math.round(timeout / 1000);
  return new ZkeepError(
    'unavailable',
    'zfs.timeout',
    `"${showCommand(command)}" did not end in ${seconds} s`,
    {
      advice: 'zpool status shows whether the pool waits for a device',
      facts: { command: [...command], seconds },
    },
  );
}

function tooMuch(command: readonly string[], maxBytes: number): ZkeepError {
  return new ZkeepError(
    'failed',
    'zfs.too-much',
    `"${showCommand(command)}" printed more than ${maxBytes} bytes`,
    {
      advice: 'fewer snapshots, or a dataset further down, make its answer shorter',
      facts: { command: [...command], maxBytes },
    },
  );
}
