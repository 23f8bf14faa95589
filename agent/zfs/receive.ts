/** `zfs receive`: its arguments, and how a stream is fed to it. */
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ZkeepError } from '../../catalog/errors.ts';
import { poolOf } from './names.ts';
import { outputOf } from './run.ts';
import { checkPool, SILENCE } from './stall.ts';
import { endOf, startChild, stopChild } from './stream-child.ts';

/** What is to be received, and how. */
export interface Receiving {
  readonly target: string;
  readonly type: 'filesystem' | 'volume';
  /** The target is not there yet. */
  readonly fresh: boolean;
  /** Roll the target back, losing what is newer: only when it was asked for. */
  readonly force: boolean;
  /** A new file system may mount, at the next mounting of all, where its name or its properties say. */
  readonly takeMountpoint?: boolean;
  /** The stream comes in a package: what was set on a file system is gone then, also where it does not mount. */
  readonly packaged?: boolean;
}

/**
 * The command: resumable (`-s`), never mounted (`-u`), and a new file system
 * never mounts by itself nor where the old one did. A volume has no such properties.
 * The same command takes the rest of an interrupted stream, in a package or not
 * (tried on OpenZFS 2.3.9: what the first try set by -o and -x stays, and may be said again).
 *
 * @example receiveCommand({ target: 't/new', type: 'filesystem', fresh: true, force: false })
 */
export function receiveCommand(receiving: Receiving): string[] {
  const { target, type, fresh, force, takeMountpoint = false, packaged = false } = receiving;
  const kept = (fresh || packaged) && type === 'filesystem' && !takeMountpoint;
  const unmounted = kept ? ['-o', 'canmount=noauto', '-x', 'mountpoint'] : [];
  return ['zfs', 'receive', '-s', '-u', ...(force ? ['-F'] : []), ...unmounted, target];
}

/** Throws away what an interrupted `zfs receive -s` left at a target. */
export function abortReceiveCommand(target: string): string[] {
  return ['zfs', 'receive', '-A', target];
}

/** The snapshot that an interrupted receive was getting, or `undefined` when ZFS cannot read its token. */
export async function readToken(token: string, signal?: AbortSignal): Promise<bigint | undefined> {
  const { stdout } = await outputOf(['zfs', 'send', '-n', '-v', '-t', token], { signal });
  return parseToken(stdout.toString('utf8'));
}

/** Reads `toguid` from what `zfs send -nvt TOKEN` prints about a token. */
export function parseToken(printed: string): bigint | undefined {
  const found = /^\s*toguid = (0x[0-9a-f]{1,16})$/m.exec(printed);
  return found?.[1] === undefined ? undefined : BigInt(found[1]);
}

/**
 * Feeds a stream to the command, no faster than it takes it, and waits for its end.
 *
 * @param onTaken told the bytes of each chunk that the command took.
 * @throws {ZkeepError} what the source threw; else what the command said, when it ended early or badly;
 *   `unavailable` when the target's pool is suspended.
 */
export async function receiveStream(
  command: readonly string[],
  source: AsyncIterable<Uint8Array>,
  options: { signal?: AbortSignal; onTaken?: (bytes: number) => void } = {},
): Promise<void> {
  const stalled = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, stalled.signal]) : stalled.signal;
  const started = startChild(command, signal);
  started.child.stdout.resume();
  const ended = endOf(started);
  const pool = poolOf(command.at(-1) ?? '');
  const look = () => checkPool(pool).catch((thrown) => stalled.abort(thrown));
  let watching = setInterval(look, SILENCE);
  const watched = watch(source, (bytes) => {
    clearInterval(watching);
    watching = setInterval(look, SILENCE);
    options.onTaken?.(bytes);
  });
  const [fed, end] = await Promise.allSettled([
    pipeline(watched.chunks, mouthOf(started.child.stdin, ended), { signal }).catch(
      async (thrown: unknown) => {
        await stopChild(started);
        throw thrown;
      },
    ),
    ended,
  ]);
  clearInterval(watching);
  signal.throwIfAborted();
  if (watched.failure) throw watched.failure.thrown;
  if (end.status === 'rejected') throw end.reason;
  if (fed.status === 'rejected') throw endedEarly(command, fed.reason);
}

/**
 * What a child's standard input is fed by. A child that ends badly ends the feeding at once; one that ends
 * well has perhaps had all of it, and the source only has to say so yet: just another byte is too many then.
 */
function mouthOf(stdin: Writable, ended: Promise<void>): Writable {
  const mouth = new Writable({
    write: (chunk: Uint8Array, _encoding, done) => {
      if (stdin.writable) stdin.write(chunk, done);
      else done(new Error('the child has closed its standard input'));
    },
    final: (done) => {
      stdin.end();
      done();
    },
  });
  ended.catch((thrown: unknown) => mouth.destroy(asError(thrown)));
  return mouth;
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

/** The source, with what it threw kept apart from what the child's end makes of the feeding. */
function watch(source: AsyncIterable<Uint8Array>, onTaken: (bytes: number) => void) {
  const watched = { failure: undefined as { thrown: unknown } | undefined, chunks: chunks() };
  async function* chunks(): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of source) {
        yield chunk;
        onTaken(chunk.length);
      }
    } catch (thrown) {
      watched.failure = { thrown };
      throw thrown;
    }
  }
  return watched;
}

function endedEarly(command: readonly string[], cause: unknown): ZkeepError {
  return new ZkeepError('failed', 'zfs.ended-early', '"zfs receive" ended well before the stream did', {
    advice: 'zkeep verify tells whether the stored stream is whole',
    facts: { command: [...command] },
    cause,
  });
}
