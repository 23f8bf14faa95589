/** What the ZFS of this host can do, from what its commands say of themselves. */
import { readdir } from 'node:fs/promises';
import type { ZfsAbilities } from '../../../catalog/attributes/pool/abilities.ts';
import { ZkeepError } from '../../../catalog/errors.ts';
import { failureOf } from '../failure.ts';
import { outputOf } from '../run.ts';

const TIMEOUT = 60_000;
/** A list of features or properties has some kilobytes. */
const MAX_BYTES = 1024 * 1024;
/** Where `zpool` looks for the files that the property `compatibility` names (`zpool-features(7)`). */
const COMPATIBILITY_FOLDERS = ['/etc/zfs/compatibility.d', '/usr/share/zfs/compatibility.d'];

/** How the commands are asked. */
export interface AbilitiesOptions {
  readonly signal?: AbortSignal | undefined;
  /** Of the files that `compatibility` may name; others in tests. */
  readonly folders?: readonly string[];
}

/**
 * Asks the commands what they and the module know.
 *
 * @throws {ZkeepError} when ZFS is not installed, its module is not loaded, or it cannot tell its features.
 * @example const { features } = await readAbilities({ signal });
 */
export async function readAbilities(options: AbilitiesOptions = {}): Promise<ZfsAbilities> {
  const { signal, folders = COMPATIBILITY_FOLDERS } = options;
  const bounds = { timeout: TIMEOUT, maxBytes: MAX_BYTES, signal };
  const upgrade = ['zpool', 'upgrade', '-v'];
  const [version, known, datasets, pools, files] = await Promise.all([
    outputOf(['zfs', 'version'], bounds),
    outputOf(upgrade, bounds),
    // Without a property they print how they are used, with the list, on standard error.
    outputOf(['zfs', 'get'], bounds),
    outputOf(['zpool', 'get'], bounds),
    Promise.all(folders.map(namesIn)),
  ]);
  if (known.exit !== 0) throw failureOf({ command: upgrade, exit: known.exit, stderr: known.stderr });
  const features = parseFeatures(known.stdout.toString('utf8'));
  if (features.size === 0) throw noFeatures(upgrade, known.stdout);
  return {
    ...parseVersions(version.stdout.toString('utf8')),
    features,
    properties: parseProperties(datasets.stderr),
    poolProperties: parseProperties(pools.stderr),
    compatibilities: new Set(files.flat()),
  };
}

/** Reads `zfs version`: a line of the commands, and one of the module. */
export function parseVersions(printed: string): Pick<ZfsAbilities, 'version' | 'module'> {
  const find = (pattern: RegExp) => pattern.exec(printed)?.[1] ?? null;
  return {
    version: find(/^zfs-(?!kmod-)(\S{1,200})\s*$/m),
    module: find(/^zfs-kmod-(\S{1,200})\s*$/m),
  };
}

/** Reads `zpool upgrade -v`: names at the beginning of lines, each with a description below. */
export function parseFeatures(printed: string): Set<string> {
  const [, features = ''] =
    /^FEAT DESCRIPTION\n-+\n([\s\S]*?)(?:^The following legacy|$(?![\s\S]))/m.exec(printed) ?? [];
  const found = features.matchAll(/^([a-z][a-z0-9_]{0,99})(?: +\(read-only compatible\))? *$/gm);
  return new Set([...found].map(([, name = '']) => name));
}

/** Reads the table in the usage of `zfs get` and `zpool get`; families (`userquota@...`) are left out. */
export function parseProperties(usage: string): Set<string> {
  const found = usage.matchAll(/^\t([a-z][a-z0-9_]{0,99}) +(?:YES|NO) /gm);
  return new Set([...found].map(([, name = '']) => name));
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).slice(0, 1000);
  } catch {
    return [];
  }
}

function noFeatures(command: readonly string[], printed: Buffer): ZkeepError {
  return new ZkeepError('failed', 'zfs.strange-output', 'zpool upgrade -v named no pool feature', {
    advice: 'zkeep knows OpenZFS 2.0 to 2.4; please report what it prints',
    facts: { command: [...command], printed: printed.toString('utf8', 0, 500) },
  });
}
