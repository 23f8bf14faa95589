/** How commands of a runbook are written: names come from other machines, and the reader has a shell. */
import type { RunbookQuestion } from './runbook-question.ts';

/** The text without what a terminal would obey. */
export function plain(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not reach a terminal
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, '?');
}

/** A word as a shell takes it for one. */
export function word(text: string): string {
  const safe = plain(text);
  if (/^[A-Za-z0-9_@%+=:,./][A-Za-z0-9_@%+=:,./#-]*$/.test(safe)) return safe;
  return `'${safe.replaceAll("'", "'\\''")}'`;
}

/** Where a target is mounted in the commands. */
export function placeOf(question: RunbookQuestion): string {
  return word(`/mnt/${question.name.replaceAll('/', '_')}`);
}

/** The name of the file system, or what stands for it. */
export function fsnameOf({ fsname }: RunbookQuestion): string {
  return fsname === null ? 'FSNAME' : word(fsname);
}

/** The MGS as a client names it. */
export function mgsOf({ mgs, mgsnode, here }: RunbookQuestion): string {
  const [own] = here?.nids ?? [];
  if (mgs && own !== undefined) return word(own);
  return mgsnode === null || mgs ? 'MGS_NID' : word(mgsnode);
}

export function poolOf({ target }: RunbookQuestion): string {
  return word(target.split('/')[0] ?? target);
}

/**
 * Whether a version is older than another, by the numbers at its start.
 *
 * @example isOlder('2.15.5', '2.15.61') // true
 */
export function isOlder(version: string, than: string): boolean {
  const [one, other] = [numbersOf(version), numbersOf(than)];
  for (let n = 0; n < Math.max(one.length, other.length); n++) {
    const difference = (one[n] ?? 0) - (other[n] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}

function numbersOf(version: string): number[] {
  return (/^[^0-9]*([0-9]+(?:\.[0-9]+)*)/.exec(version)?.[1] ?? '0').split('.').map(Number);
}
