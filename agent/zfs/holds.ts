/** Who keeps snapshots from being destroyed, and what they take: asked for few of them, never for all. */
import { failureOf } from './failure.ts';
import { outputOf } from './run.ts';

/** Names in one command at most: the kernel bounds a command line. */
const AT_ONCE = 500;
/** Longest that is waited for the answer about one lot of names, milliseconds. */
const TIMEOUT = 120_000;

/** The tags of the holds on these snapshots (`pool/dataset@name`); those without any, or gone, are left out. */
export async function holdsOn(
  snapshots: readonly string[],
  signal?: AbortSignal,
): Promise<Map<string, string[]>> {
  const tags = new Map<string, string[]>();
  await askFor(snapshots, ['zfs', 'holds', '-H'], signal, (printed) => {
    for (const { snapshot, tag } of parseHolds(printed)) {
      tags.set(snapshot, [...(tags.get(snapshot) ?? []), tag]);
    }
  });
  return tags;
}

/** Bytes that only this snapshot keeps, for each of these; those that are gone are left out. */
export async function usedBy(
  snapshots: readonly string[],
  signal?: AbortSignal,
): Promise<Map<string, number>> {
  return await usedOf(snapshots, ['-t', 'snapshot'], signal);
}

/** Bytes that each of these datasets takes, with all below it; those that are gone are left out. */
export async function bytesIn(
  datasets: readonly string[],
  signal?: AbortSignal,
): Promise<Map<string, number>> {
  return await usedOf(datasets, [], signal);
}

async function usedOf(
  names: readonly string[],
  types: readonly string[],
  signal: AbortSignal | undefined,
): Promise<Map<string, number>> {
  const used = new Map<string, number>();
  await askFor(names, ['zfs', 'list', '-Hp', ...types, '-o', 'name,used'], signal, (printed) => {
    for (const line of printed.split('\n')) {
      const [name, bytes = ''] = line.split('\t');
      if (name && /^[0-9]{1,15}$/.test(bytes)) used.set(name, Number(bytes));
    }
  });
  return used;
}

/**
 * Reads what `zfs holds -H` prints: snapshot, tag and time, a line each. A tag may
 * hold tabs, the others may not.
 *
 * @example parseHolds('tank/a@b\tzkeep\tFri Nov 20 16:10 2026\n') // [{ snapshot: 'tank/a@b', tag: 'zkeep' }]
 */
export function parseHolds(printed: string): { snapshot: string; tag: string }[] {
  return printed.split('\n').flatMap((line) => {
    const [snapshot, ...rest] = line.split('\t');
    return snapshot && rest.length >= 2 ? [{ snapshot, tag: rest.slice(0, -1).join('\t') }] : [];
  });
}

/** Of several names, the commands tell of those that are there, and complain about the others. */
async function askFor(
  names: readonly string[],
  command: readonly string[],
  signal: AbortSignal | undefined,
  take: (printed: string) => void,
): Promise<void> {
  for (let at = 0; at < names.length; at += AT_ONCE) {
    const asked = [...command, ...names.slice(at, at + AT_ONCE)];
    const { exit, stdout, stderr } = await outputOf(asked, { signal, timeout: TIMEOUT });
    const failure = exit === 0 || stdout.length > 0 ? undefined : failureOf({ command: asked, exit, stderr });
    // All of them may be gone since they were listed: then there is nothing to tell.
    if (failure && failure.kind !== 'missing') throw failure;
    take(stdout.toString('utf8'));
  }
}
