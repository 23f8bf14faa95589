/** Runs what mends: only commands of findings that are safe. */
import { messageOf, ZkeepError } from '../../catalog/errors.ts';
import { runOnPool } from '../zfs/stall.ts';
import type { Finding } from './finding.ts';

/** How one command went. */
export interface Mended {
  readonly command: readonly string[];
  /** `null`: it is done. */
  readonly error: string | null;
}

/** Whether a finding was mended to its end is told by its commands. Of one that fails, the rest is not tried. */
export async function mend(
  findings: readonly Finding[],
  signal: AbortSignal,
  runs: (command: readonly string[], options: { signal: AbortSignal }) => Promise<unknown> = runOnPool,
): Promise<Map<Finding, Mended[]>> {
  const all = new Map<Finding, Mended[]>();
  for (const finding of findings.filter(({ safe }) => safe)) {
    const mended: Mended[] = [];
    all.set(finding, mended);
    for (const command of finding.mend) {
      signal.throwIfAborted();
      const error = await failureOf(() => runs(command, { signal }));
      mended.push({ command, error });
      if (error !== null) break;
    }
  }
  return all;
}

/** What is gone by now, or was done by somebody else meanwhile, is mended. */
async function failureOf(work: () => Promise<unknown>): Promise<string | null> {
  try {
    await work();
    return null;
  } catch (thrown) {
    if (!(thrown instanceof ZkeepError)) throw thrown;
    return DONE_BEFORE.has(thrown.code) ? null : messageOf(thrown);
  }
}

const DONE_BEFORE: ReadonlySet<string> = new Set([
  'zfs.no-dataset',
  'zfs.no-bookmark',
  'zfs.not-held',
  'zfs.bookmark-exists',
]);
