/** What `zkeep backup --lustre` was asked, from its options. */
import { ZkeepError } from '../../../catalog/errors.ts';

/** The options as they were typed. */
export interface LustreOptions {
  readonly lustre?: string;
  readonly barrier: boolean;
  readonly barrierTimeout?: string;
  readonly join?: boolean;
  readonly wait?: string;
  readonly recursive?: boolean;
  readonly snapshot?: string;
  readonly dryRun?: boolean;
}

/** The options as they are meant. */
export interface Asked {
  readonly fsname: string;
  /** Seconds; `null`: without a barrier. */
  readonly barrier: number | null;
  readonly join: boolean;
  /** How long the other hosts are waited for, seconds. */
  readonly wait: number;
  readonly dryRun: boolean;
}

const BARRIER = 30;
const WAIT = 120;

/**
 * Reads the options.
 *
 * @throws {ZkeepError} `usage` for what does not go together, or is no number.
 */
export function askedFor(datasets: readonly string[], options: LustreOptions): Asked {
  const { lustre: fsname = '', join = false, barrier, barrierTimeout, wait, recursive, snapshot } = options;
  const wrong: [boolean, string][] = [
    [datasets.length > 0, 'the datasets of the file system are found: name none'],
    [recursive === true || snapshot !== undefined, '--recursive and --snapshot do not go with it'],
    [join && (!barrier || barrierTimeout !== undefined), 'with --join the host of the MGS sets the barrier'],
    [!barrier && barrierTimeout !== undefined, '--no-barrier has no --barrier-timeout'],
  ];
  for (const [is, words] of wrong) if (is) throw usage(`--lustre: ${words}`);
  return {
    fsname,
    barrier: barrier && !join ? secondsOf(barrierTimeout, BARRIER) : null,
    join,
    wait: secondsOf(wait, WAIT),
    dryRun: options.dryRun === true,
  };
}

function secondsOf(text: string | undefined, usual: number): number {
  if (text === undefined) return usual;
  const seconds = /^[0-9]{1,4}$/.test(text) ? Number(text) : 0;
  if (seconds < 1 || seconds > 3600)
    throw usage(`${JSON.stringify(text.slice(0, 80))} is not 1 to 3600 seconds`);
  return seconds;
}

function usage(message: string): ZkeepError {
  return new ZkeepError('usage', 'lustre.usage', message, {
    advice: 'zkeep backup --help shows what goes together',
  });
}
