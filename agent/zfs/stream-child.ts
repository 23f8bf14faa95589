/** A `zfs send` or `zfs receive` that streams: its end, its last words, and its end by force. */
import { execa } from 'execa';
import { ZkeepError } from '../../catalog/errors.ts';
import { failureOf, notFound, showCommand } from './failure.ts';
import { CHILD_OPTIONS, within } from './run.ts';

/** Characters of standard error that are kept: the last ones say why it failed. */
const TAIL = 8_192;
/** How long an aborted child may take to go, milliseconds; one that waits for a dead device never goes. */
const GRACE = 7_000;
/** How long a child may take to end by itself, milliseconds, once its stream was closed. */
const POLITE = 1_000;

/** A child whose standard input or output carries a stream. */
export type StreamChild = ReturnType<typeof startChild>;

/**
 * Starts a command that streams. Its standard error is read all the time, so
 * that it never waits for us, and its last words are kept.
 */
export function startChild(command: readonly string[], signal: AbortSignal | undefined) {
  signal?.throwIfAborted();
  const [file = '', ...args] = command;
  const child = execa(file, args, {
    ...CHILD_OPTIONS,
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'pipe',
    encoding: 'buffer',
    buffer: false,
    reject: false,
    ...(signal === undefined ? {} : { cancelSignal: signal }),
  });
  let tail = '';
  child.stderr.on('data', (chunk: Buffer) => {
    tail = (tail + chunk.toString('utf8')).slice(-TAIL);
  });
  // The child's own end tells what happened; a broken pipe to it tells nothing more.
  child.stdin.on('error', () => undefined);
  return { command, child, signal, lastWords: () => tail };
}

/**
 * Waits for the child's end.
 *
 * @throws {ZkeepError} unless it exited 0; the signal's reason when that ended it.
 */
export async function endOf(started: StreamChild): Promise<void> {
  const { command, child, signal } = started;
  const over = new AbortController();
  const result = await Promise.race([child, afterAbort(signal, over.signal)]);
  over.abort();
  signal?.throwIfAborted();
  if (result === undefined) throw neverEnded(command);
  if (result.exitCode === 0) return;
  if (result.code === 'ENOENT') throw notFound(command, result.cause);
  throw failureOf({
    command,
    exit: result.exitCode,
    killedBy: result.signal,
    stderr: started.lastWords(),
    cause: result.cause,
  });
}

/** Ends the child: it first gets the chance to notice that its stream has ended. */
export async function stopChild(started: StreamChild): Promise<void> {
  const { child } = started;
  child.stdin.destroy();
  child.stdout.destroy();
  if ((await within(POLITE, child)) !== undefined) return;
  child.kill('SIGTERM');
  await within(GRACE, child);
}

/** Long after the abort, for a child that does not go. */
function afterAbort(signal: AbortSignal | undefined, over: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    const wait = () => setTimeout(() => resolve(undefined), GRACE).unref();
    signal?.addEventListener('abort', wait, { once: true, signal: over });
  });
}

function neverEnded(command: readonly string[]): ZkeepError {
  return new ZkeepError('unavailable', 'zfs.timeout', `"${showCommand(command)}" did not end`, {
    advice: 'zpool status shows whether the pool waits for a device',
    facts: { command: [...command] },
  });
}
