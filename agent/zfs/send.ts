/** `zfs send`: its arguments, its estimate, and its stream. */
import { addAbortSignal } from 'node:stream';
import type { DatasetFacts } from './list.ts';
import { poolOf } from './names.ts';
import { run } from './run.ts';
import { checkPool, watchStream } from './stall.ts';
import { endOf, startChild, stopChild } from './stream-child.ts';

/** What is sent, and on which base. */
export interface Sending {
  /** `pool/dataset@snapshot`. */
  readonly to: string;
  /** `pool/dataset@snapshot` or `pool/dataset#bookmark`; `undefined` for a full stream. */
  readonly from: string | undefined;
  readonly flags: readonly string[];
}

/**
 * The flags for a dataset, the same for every stream of its chain: `-w` where it
 * is encrypted, else large blocks and compressed blocks as they are. Never `-e`:
 * OpenZFS 2.3 and later then lose extended attributes (openzfs#18239).
 */
export function sendFlags(dataset: Pick<DatasetFacts, 'encrypted'>): string[] {
  return dataset.encrypted ? ['-w'] : ['-L', '-c'];
}

/** @example sendCommand({ to: 't/a@b', from: 't/a@a', flags: ['-L'] }) // zfs send -L -i t/a@a t/a@b */
export function sendCommand(sending: Sending): string[] {
  const base = sending.from === undefined ? [] : ['-i', sending.from];
  return ['zfs', 'send', ...sending.flags, ...base, sending.to];
}

/** Sends the rest of a stream, from where a resume token says: that of a receiver, or one made from what is stored. */
export function sendRestCommand(token: string): string[] {
  return ['zfs', 'send', '-t', token];
}

/** How many bytes the stream will have, about, as ZFS estimates it. */
export async function estimateSend(sending: Sending, signal?: AbortSignal): Promise<number | undefined> {
  const [zfs = '', send = '', ...rest] = sendCommand(sending);
  return parseEstimate(await run([zfs, send, '-n', '-v', '-P', ...rest], { signal }));
}

/** Reads what `zfs send -nvP` prints; the last line is `size`, a tab, bytes. */
export function parseEstimate(printed: string): number | undefined {
  const found = /^size\t([0-9]{1,15})$/m.exec(printed);
  return found?.[1] === undefined ? undefined : Number(found[1]);
}

/**
 * The stream, a chunk at a time, no faster than it is read. It ends well only
 * when the command exited 0. Left early, the command is ended.
 *
 * @param pool whose devices are looked at when the stream stalls; by default that of the command's last word.
 * @throws {ZkeepError} what the command said, when it failed.
 */
export async function* sendStream(
  command: readonly string[],
  signal?: AbortSignal,
  pool = poolOf(command.at(-1) ?? ''),
): AsyncGenerator<Uint8Array> {
  const started = startChild(command, signal);
  started.child.stdin.destroy();
  // A child that waits for a dead device cannot be killed; its stream can be left all the same.
  const stdout = signal ? addAbortSignal(signal, started.child.stdout) : started.child.stdout;
  let ended = false;
  try {
    for await (const chunk of watchStream(stdout, () => checkPool(pool))) yield chunk;
    await endOf(started);
    ended = true;
  } catch (thrown) {
    signal?.throwIfAborted();
    throw thrown;
  } finally {
    if (!ended) await stopChild(started);
  }
}
