/** `lctl` as this program uses it: the commands as data, what they print, and how they fail (man lctl-barrier). */
import { ZkeepError } from '../../../catalog/errors.ts';
import { parseServiceName } from '../../../catalog/lustre/service-name.ts';
import { showCommand } from '../../zfs/failure.ts';
import { type Ended, outputOf } from '../../zfs/run.ts';

/** The states of a barrier, in the words of `barrier_stat`. */
export const BARRIER_STATES = [
  'init',
  'freezing_p1',
  'freezing_p2',
  'frozen',
  'thawing',
  'thawed',
  'failed',
  'expired',
  'rescan',
  'unknown',
] as const;
export type BarrierState = (typeof BARRIER_STATES)[number];

/** Longest that a question to `lctl` may take, milliseconds. */
const TIMEOUT = 20_000;
const MAX_OUTPUT = 4 * 1024 * 1024;

/** Holds all changes of metadata back, until it is thawed or so many seconds have passed. */
export function freezeCommand(fsname: string, seconds: number): string[] {
  return ['lctl', 'barrier_freeze', fsname, String(seconds)];
}

/** Lets them go on. */
export function thawCommand(fsname: string): string[] {
  return ['lctl', 'barrier_thaw', fsname];
}

/** Asks for the state alone. */
export function statCommand(fsname: string): string[] {
  return ['lctl', 'barrier_stat', '-s', fsname];
}

/** Asks the MGS which targets of a file system are registered. */
export function liveCommand(fsname: string): string[] {
  return ['lctl', 'get_param', '-n', `mgs.MGS.live.${fsname}`];
}

/**
 * Runs `lctl` to its good end and gives what it printed.
 *
 * @param timeout milliseconds.
 * @throws {ZkeepError} with its own words.
 */
export async function lctl(
  command: readonly string[],
  { timeout = TIMEOUT, signal }: { timeout?: number; signal?: AbortSignal | undefined } = {},
): Promise<string> {
  const { exit, stdout, stderr } = await ended(command, timeout, signal);
  // Of older versions it prints its complaints on standard output.
  if (exit !== 0) throw failed(command, exit, `${stderr} ${stdout.toString('utf8')}`);
  return stdout.toString('utf8');
}

/** The state of the barrier of a file system. */
export async function barrierState(fsname: string): Promise<BarrierState> {
  return parseBarrierState(await lctl(statCommand(fsname)));
}

/** Reads what `barrier_stat` prints, with `-s` or without; what is no state is `unknown`. */
export function parseBarrierState(printed: string): BarrierState {
  const words = printed.trim().split(/[\s']+/);
  const at = words.indexOf('state:');
  const word = at < 0 ? words[0] : words[at + 1];
  return BARRIER_STATES.find((state) => state === word) ?? 'unknown';
}

/** Reads `mgs.MGS.live.FSNAME`: the MDTs that are registered, by name. */
export function parseLive(printed: string, fsname: string): string[] {
  return printed.split('\n').flatMap((line) => {
    const parsed = parseServiceName(line.trim());
    return parsed?.kind === 'mdt' && parsed.fsname === fsname && parsed.state === 'registered'
      ? [parsed.text]
      : [];
  });
}

async function ended(
  command: readonly string[],
  timeout: number,
  signal: AbortSignal | undefined,
): Promise<Ended> {
  try {
    return await outputOf(command, { timeout, maxBytes: MAX_OUTPUT, signal });
  } catch (thrown) {
    if (!(thrown instanceof ZkeepError)) throw thrown;
    if (thrown.code === 'zfs.not-installed') throw noLctl(thrown);
    if (thrown.code === 'zfs.timeout') throw tooSlow(command, timeout);
    throw thrown;
  }
}

function failed(command: readonly string[], exit: number, said: string): ZkeepError {
  const words = said
    .split(/\s+/)
    .filter((word) => word !== '')
    .join(' ')
    .slice(0, 1000);
  const denied = /permission denied|operation not permitted/i.test(words);
  return new ZkeepError(
    denied ? 'denied' : 'failed',
    denied ? 'lustre.denied' : 'lustre.lctl-failed',
    `"${command.slice(0, 2).join(' ')}" ended with exit code ${exit}: ${words || 'it says nothing'}`,
    {
      advice: denied ? 'run zkeep as root' : `see what the command itself says: ${showCommand(command)}`,
      facts: { command: [...command], exit, said: words },
    },
  );
}

function noLctl(cause: ZkeepError): ZkeepError {
  return new ZkeepError('missing', 'lustre.no-lctl', 'there is no command "lctl" on this host', {
    advice: 'run it on the server of the MGS; for a file system that is stopped there is --no-barrier',
    cause,
  });
}

function tooSlow(command: readonly string[], timeout: number): ZkeepError {
  const seconds = Math.round(timeout / 1000);
  return new ZkeepError(
    'unavailable',
    'lustre.timeout',
    `"${showCommand(command)}" did not end in ${seconds} s`,
    { advice: 'see in the kernel log what the MGS waits for', facts: { command: [...command], seconds } },
  );
}
