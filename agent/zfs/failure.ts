/** What `zfs` and `zpool` say when they fail, as errors that say what to do. */
import { type ErrorKind, type Facts, ZkeepError } from '../../catalog/errors.ts';

/** How a command ended that did not end well. */
export interface Ending {
  readonly command: readonly string[];
  /** `undefined` when it never ran or was killed. */
  readonly exit: number | undefined;
  /** The signal that ended it. */
  readonly killedBy?: string | undefined;
  /** What it wrote to standard error, or the last part of it. */
  readonly stderr: string;
  readonly cause?: unknown;
}

interface Known {
  readonly says: RegExp;
  readonly kind: ErrorKind;
  readonly code: string;
  readonly advice: string;
}

/**
 * The messages worth an advice of their own, the most specific first. Seen on
 * OpenZFS 2.1 to 2.4, or read in `libzfs_util.c` and `libzfs_sendrecv.c`.
 */
const KNOWN: readonly Known[] = [
  {
    says: /permission denied|must be (superuser|root)|operation not permitted|insufficient privileges/i,
    kind: 'denied',
    code: 'zfs.denied',
    advice:
      'run zkeep as root, or delegate: zfs allow -u USER send,snapshot,hold,release,bookmark,destroy,mount DATASET',
  },
  {
    says: /unable to open \/dev\/zfs|ZFS modules? (are|is) not loaded|modules cannot be auto-loaded|internal error: failed to initialize ZFS library/i,
    kind: 'unavailable',
    code: 'zfs.not-loaded',
    advice: 'load the module with "modprobe zfs" as root, and see that this user may open /dev/zfs',
  },
  {
    says: /pool I\/O is currently suspended|pool is suspended|I\/O suspended/i,
    kind: 'unavailable',
    code: 'zfs.suspended',
    advice: 'the pool lost its devices: zpool status shows which; bring them back, then zpool clear',
  },
  {
    says: /out of space|no space left on device|quota exceeded|disc quota/i,
    kind: 'full',
    code: 'zfs.full',
    advice: 'make room on the pool, or raise the quota or reservation of the dataset above',
  },
  {
    says: /checksum mismatch|incomplete stream|invalid stream|stream is corrupt|invalid backup stream/i,
    kind: 'damaged',
    code: 'zfs.stream-refused',
    advice: 'the stream did not arrive whole: start the same command again',
  },
  {
    says: /does not\s+match incremental source/i,
    kind: 'refused',
    code: 'zfs.not-the-base',
    advice: 'the newest snapshot of the target is another one; --force rolls the target back to the base',
  },
  {
    says: /has been modified\s+since most recent snapshot/i,
    kind: 'refused',
    code: 'zfs.modified',
    advice:
      'the target was written to since; --force rolls it back to its last snapshot, what was written is lost',
  },
  {
    says: /must specify -F to overwrite|destination .* exists|dataset already exists|destination has snapshots/i,
    kind: 'refused',
    code: 'zfs.exists',
    advice: 'choose another name for the target',
  },
  {
    says: /incremental source .*(does not exist|no longer exists|is not earlier)|not an earlier snapshot/i,
    kind: 'missing',
    code: 'zfs.base-gone',
    advice: 'start the backup again: another base is chosen then',
  },
  {
    says: /kernel modules must be upgraded|pool must be upgraded|unsupported (feature|version)|feature .* (unsupported|not enabled)/i,
    kind: 'refused',
    code: 'zfs.too-old',
    advice: 'zpool upgrade the pool, or receive on a host whose ZFS is at least as new as the source',
  },
  {
    says: /tag already exists/i,
    kind: 'refused',
    code: 'zfs.already-held',
    advice: 'zfs holds shows who holds the snapshot',
  },
  {
    says: /no such tag/i,
    kind: 'missing',
    code: 'zfs.not-held',
    advice: 'zfs holds shows the holds of a snapshot',
  },
  {
    says: /bookmark exists/i,
    kind: 'refused',
    code: 'zfs.bookmark-exists',
    advice: 'zfs list -t bookmark shows the bookmarks',
  },
  {
    // The last one is said of EBUSY where there is a resume token: another receive is at it, perhaps a killed one that is just ending.
    says: /dataset is busy|pool or dataset is busy|has dependent clones|it's being held|contains partially-complete state/i,
    kind: 'busy',
    code: 'zfs.busy',
    advice:
      'something holds, mounts or receives it: zfs holds and zfs list -o receive_resume_token show what',
  },
  {
    says: /bookmark .* does not exist/i,
    kind: 'missing',
    code: 'zfs.no-bookmark',
    advice: 'zfs list -t bookmark shows the bookmarks',
  },
  {
    says: /no such pool|pool .* does not exist/i,
    kind: 'missing',
    code: 'zfs.no-pool',
    advice: 'zpool list shows the pools of this host, zpool import those that could be imported',
  },
  {
    says: /dataset does not exist|no such (dataset|snapshot)|could not find any snapshots|parent .* does not exist/i,
    kind: 'missing',
    code: 'zfs.no-dataset',
    advice: 'zfs list -t all shows the datasets and snapshots of this host',
  },
];

/**
 * The error for a command that failed: its kind and advice by what it said,
 * its words kept.
 *
 * @example throw failureOf({ command: ['zfs', 'list', 'tank/x'], exit: 1, stderr })
 */
export function failureOf(ending: Ending): ZkeepError {
  const { command, exit, killedBy, cause } = ending;
  const said = wordsOf(ending.stderr);
  const facts: Facts = {
    command: [...command],
    exit: exit ?? null,
    ...(killedBy === undefined ? {} : { signal: killedBy }),
    stderr: said,
  };
  const known = KNOWN.find((candidate) => candidate.says.test(said));
  if (known) return new ZkeepError(known.kind, known.code, said, { advice: known.advice, facts, cause });
  const how = killedBy === undefined ? `with exit code ${exit ?? 'unknown'}` : `by ${killedBy}`;
  const message = `"${command.slice(0, 2).join(' ')}" ended ${how}${said === '' ? '' : `: ${said}`}`;
  return new ZkeepError('failed', 'zfs.failed', message, {
    advice: `see what the command itself says: ${showCommand(command)}`,
    facts,
    cause,
  });
}

/** The error for a program that is not there. */
export function notFound(command: readonly string[], cause: unknown): ZkeepError {
  return new ZkeepError('missing', 'zfs.not-installed', `there is no command "${command[0]}" on this host`, {
    advice: 'install OpenZFS (Debian: zfsutils-linux); list, show, plan, import, export and verify need none',
    facts: { command: [...command] },
    cause,
  });
}

/**
 * A command as a person could type it into a shell, for messages and dry runs.
 * Never run: commands are run as arrays.
 *
 * @example showCommand(['zfs', 'list', 'tank/two words']) // "zfs list 'tank/two words'"
 */
export function showCommand(command: readonly string[]): string {
  return command
    .map((word) => (/^[A-Za-z0-9_@%+=:,./-][A-Za-z0-9_@%+=:,./#-]*$/.test(word) ? word : quoted(word)))
    .join(' ');
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** The last lines that say something, as one line, without the offer to resume by hand. */
function wordsOf(stderr: string): string {
  return stderr
    .replace(/A resuming stream can be generated[\s\S]*?zfs send -t \S+/, '')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .join(' ')
    .slice(-2000);
}
