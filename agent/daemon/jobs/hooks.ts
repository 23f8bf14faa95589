/** Runs the hooks of a job: an array of arguments, never a shell, bounded in time, with all that it started. */
import { type ChildProcess, spawn } from 'node:child_process';
import { messageOf, ZkeepError } from '../../../catalog/errors.ts';

/** Which one it is: its place in the run. */
export type HookName = 'before' | 'after' | 'ended';

/** What a hook is told. */
export interface HookFacts {
  readonly job: string;
  readonly datasets: readonly string[];
  /** The part after `@`; empty where there is none, or several. */
  readonly snapshot: string;
  /** `before`: nothing yet. */
  readonly outcome: string;
}

/** A hook, and how long it may take, milliseconds. */
export interface HookCall {
  readonly name: HookName;
  readonly command: readonly string[];
  readonly timeout: number;
  readonly facts: HookFacts;
  /** Ends it before its time. */
  readonly signal?: AbortSignal | undefined;
}

/** After it, what does not go by itself is killed, milliseconds. */
const GRACE = 5_000;
/** For so long after the end what was printed last is waited for: what was left running may hold the pipe. */
const LAST_WORDS = 200;
/** Most bytes of what it printed that are kept. */
const MOST_OUTPUT = 2_000;
/** Most bytes of one variable: the kernel takes 128 KiB. */
const MOST_NAMES = 64 * 1024;

/**
 * Runs a hook to its good end. All datasets stand on its standard input, a line each.
 *
 * @throws {ZkeepError} `failed` with code `agent.hook` when it cannot be run, ends badly or takes too long;
 *   or the signal's reason.
 */
export async function runHook({ name, command, timeout, facts, signal }: HookCall): Promise<void> {
  signal?.throwIfAborted();
  const [file = '', ...args] = command;
  const child = spawn(file, args, {
    // A group of its own, so that it can be ended with all that it started.
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
    env: environmentOf(name, facts),
    cwd: '/',
  });
  const said = lastWordsOf(child);
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(facts.datasets.map((dataset) => `${dataset}\n`).join(''));
  try {
    const end = await endOf(child, timeout, signal);
    signal?.throwIfAborted();
    if (end === undefined) return;
    await Promise.race([said.whole, new Promise((resolve) => setTimeout(resolve, LAST_WORDS))]);
    throw hookFailed(name, command, end, said.text());
  } finally {
    child.stdout?.destroy();
    child.stderr?.destroy();
  }
}

/** @returns how it ended badly, in words. */
async function endOf(
  child: ChildProcess,
  timeout: number,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const ended = new Promise<string | undefined>((resolve) => {
    child.once('error', (thrown) => resolve(`could not be run: ${messageOf(thrown)}`));
    child.once('exit', (code, killedBy) => {
      if (code === 0) resolve(undefined);
      else resolve(killedBy === null ? `ended with exit code ${code}` : `was ended by ${killedBy}`);
    });
  });
  let late = false;
  let killing: NodeJS.Timeout | undefined;
  const stop = () => {
    killGroup(child, 'SIGTERM');
    killing ??= setTimeout(() => killGroup(child, 'SIGKILL'), GRACE);
  };
  const timer = setTimeout(() => {
    late = true;
    stop();
  }, timeout);
  signal?.addEventListener('abort', stop, { once: true });
  try {
    const end = await ended;
    return late ? `did not end within ${Math.round(timeout / 1000)} s` : end;
  } finally {
    clearTimeout(timer);
    clearTimeout(killing);
    signal?.removeEventListener('abort', stop);
    // What it left behind of its group ends with it, where it was to be ended.
    if (late || signal?.aborted) killGroup(child, 'SIGKILL');
    child.unref();
  }
}

function killGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // It is gone.
  }
}

function lastWordsOf({ stdout, stderr }: ChildProcess): { whole: Promise<unknown>; text: () => string } {
  let kept = '';
  const closed = [stdout, stderr].map((stream) => {
    stream?.setEncoding('utf8');
    stream?.on('data', (text: string) => {
      kept = (kept + text).slice(-MOST_OUTPUT);
    });
    return new Promise((resolve) => stream?.once('close', resolve));
  });
  return { whole: Promise.all(closed), text: () => kept.trim().replace(/\s+/g, ' ') };
}

function environmentOf(name: HookName, { job, datasets, snapshot, outcome }: HookFacts): NodeJS.ProcessEnv {
  return {
    ...process.env,
    // A hook has no business with the service.
    ZKEEP_TOKEN: undefined,
    ZKEEP_HOOK: name,
    ZKEEP_JOB: job,
    ZKEEP_DATASETS: bounded(datasets),
    ZKEEP_DATASETS_COUNT: String(datasets.length),
    ZKEEP_SNAPSHOT: snapshot,
    ZKEEP_OUTCOME: outcome,
  };
}

/** A name a line, as many as the kernel takes: all of them stand on standard input. */
function bounded(datasets: readonly string[]): string {
  const lines: string[] = [];
  let size = 0;
  for (const dataset of datasets) {
    size += dataset.length + 1;
    if (size > MOST_NAMES) break;
    lines.push(dataset);
  }
  return lines.join('\n');
}

function hookFailed(name: HookName, command: readonly string[], how: string, said: string): ZkeepError {
  const words = said === '' ? '' : `: ${said}`;
  return new ZkeepError('failed', 'agent.hook', `the hook "${name}" ${how}${words}`, {
    advice: 'run it by hand to see why; AGENT.md says what it is told',
    facts: { hook: name, command: [...command], said },
  });
}
