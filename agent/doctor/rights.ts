/** What a user who is not root may do to datasets, from `zfs allow`. */
import { run } from '../zfs/run.ts';

/** What a backup does. */
export const NEEDED = ['bookmark', 'destroy', 'hold', 'mount', 'release', 'send', 'snapshot'] as const;

/** Who is asking. */
export interface Who {
  readonly user: string;
  readonly groups: readonly string[];
}

/**
 * The rights of {@link NEEDED} that are not given.
 *
 * @param printed what `zfs allow DATASET` prints: the dataset's own and those from above.
 * @example lackingIn(printed, 'tank/a', { user: 'backup', groups: [] }) // ['hold', 'release']
 */
export function lackingIn(printed: string, dataset: string, { user, groups }: Who): string[] {
  const given = new Set<string>();
  const sets = new Map<string, string[]>();
  let isOwn = false;
  let section = '';
  for (const line of printed.split('\n')) {
    const place = /^---- Permissions on (.+?) -*$/.exec(line)?.[1];
    if (place !== undefined) isOwn = place === dataset;
    else if (/^\S.*:$/.test(line)) section = line;
    const set = /^\s+(@\S+)\s+(\S+)$/.exec(line);
    if (set?.[1] && set[2]) sets.set(set[1], set[2].split(','));
    const one = /^\s+(?:(user|group) (.+?)|(everyone)) (\S+)$/.exec(line);
    if (!one || !holdsFor(section, isOwn)) continue;
    const [, kind, name = '', everyone, words = ''] = one;
    const isOurs = everyone !== undefined || (kind === 'user' ? name === user : groups.includes(name));
    if (isOurs) for (const word of words.split(',')) given.add(word);
  }
  // A set may name others.
  for (const word of given) for (const meant of sets.get(word) ?? []) given.add(meant);
  return NEEDED.filter((right) => !given.has(right));
}

/** Local ones are for the dataset alone, descendent ones for those below it alone. */
function holdsFor(section: string, isOwn: boolean): boolean {
  if (section.startsWith('Local+Descendent')) return true;
  return section.startsWith('Local') ? isOwn : section.startsWith('Descendent') && !isOwn;
}

/** Asks ZFS, for a bounded number of datasets. */
export async function lackingRights(
  datasets: readonly string[],
  who: Who,
  signal: AbortSignal,
): Promise<{ dataset: string; lacking: string[] }[]> {
  const found: { dataset: string; lacking: string[] }[] = [];
  for (const dataset of datasets.slice(0, MOST_ASKED)) {
    const lacking = lackingIn(await run(['zfs', 'allow', dataset], { signal }), dataset, who);
    if (lacking.length > 0) found.push({ dataset, lacking });
  }
  return found;
}

/** A question each. */
const MOST_ASKED = 50;
