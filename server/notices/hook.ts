/** Notices by a program: an array of arguments, never a shell, the JSON document on its standard input. */
import { execa, type Result } from 'execa';
import type { Delivered, Receiver } from './delivery.ts';
import type { NoticeDocument } from './document.ts';

/** Longest that it may run, milliseconds. */
const TIMEOUT = 60_000;
/** After that, what does not go by itself is killed, milliseconds. */
const GRACE = 5_000;
/** All that it gets of the service's environment, which may hold the keys of the bucket. */
const PASSED_ON = ['PATH', 'HOME', 'LANG', 'TZ'];

export class Hook implements Receiver {
  readonly name: string;
  readonly #command: readonly string[];
  readonly #timeout: number;

  /** @param timeout milliseconds. */
  constructor(command: readonly string[], timeout = TIMEOUT) {
    this.#command = command;
    this.#timeout = timeout;
    this.name = `hook ${command[0] ?? ''}`;
  }

  async deliver(document: NoticeDocument, signal: AbortSignal): Promise<Delivered> {
    const [file = '', ...args] = this.#command;
    const ended = await execa(file, args, {
      input: JSON.stringify(document),
      // What it prints is its own: a pipe that something else keeps open would be waited for.
      stdout: 'ignore',
      stderr: 'ignore',
      extendEnv: false,
      env: environment(document),
      cwd: '/',
      reject: false,
      timeout: this.#timeout,
      cancelSignal: signal,
      killDescendants: true,
      forceKillAfterDelay: GRACE,
    });
    if (!ended.failed) return { kind: 'delivered' };
    if (ended.isCanceled) return { kind: 'away', words: 'it was ended with the service' };
    return { kind: 'refused', words: ended.timedOut ? 'it did not end in time' : howItEnded(ended) };
  }

  async close(): Promise<void> {}
}

/** Without its arguments, which may be secret. */
function howItEnded({ exitCode, signal, code }: Pick<Result, 'exitCode' | 'signal' | 'code'>): string {
  if (exitCode !== undefined) return `it ended with exit code ${exitCode}`;
  return signal === undefined
    ? `it could not be run: ${code ?? 'nobody knows why'}`
    : `it was ended by ${signal}`;
}

function environment({ event, id, words }: NoticeDocument): Record<string, string> {
  const passed = PASSED_ON.flatMap((name): [string, string][] => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value]];
  });
  return {
    ...Object.fromEntries(passed),
    ZKEEP_EVENT: event,
    ZKEEP_NOTICE: id,
    // A variable ends at a NUL.
    ZKEEP_WORDS: words.replaceAll('\0', ' '),
  };
}
