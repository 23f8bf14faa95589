/** All that must be known before a migration: the source, the place, the properties. Changes nothing. */
import type { ParsedAttributes } from '../../catalog/attributes/attributes.ts';
import { parseOutputs } from '../../catalog/attributes/parsing/outputs.ts';
import { captureAttributes } from '../capture/capture.ts';
import { lookAtTarget } from '../restore/target.ts';
import { readAbilities } from '../zfs/abilities.ts';
import { listSource, type SourceFacts } from '../zfs/list.ts';
import { parseDataset } from '../zfs/names.ts';
import type { MigrationPlace } from './plan.ts';
import { decideProperties, type MigratedProperties } from './properties.ts';
import { SWAPPED } from './stream.ts';

/** What was asked for. */
export interface MigrationWish {
  readonly source: string;
  readonly target: string;
  readonly takeMountpoint: boolean;
}

/** What is known. */
export interface MigrationFacts {
  readonly source: SourceFacts;
  readonly place: MigrationPlace;
  readonly properties: MigratedProperties;
  /** All that the host tells of the source. */
  readonly parsed: ParsedAttributes;
  /** By ZFS or, as a target, by Lustre. */
  readonly mounted: boolean;
  /** Of this host's ZFS, e.g. `2.3.9-1`. */
  readonly version: string | null;
}

/**
 * Looks at both ends.
 *
 * @throws {ZkeepError} `usage` for a name that cannot be one, `missing` when the source or the target's parent is not there.
 */
export async function lookAtMigration(
  { source: name, target, takeMountpoint }: MigrationWish,
  signal: AbortSignal,
): Promise<MigrationFacts> {
  const dataset = parseDataset(name);
  const [source, place, { outputs }, here] = await Promise.all([
    listSource(dataset, signal),
    lookAtPlace(target, signal),
    captureAttributes(dataset, undefined, signal),
    readAbilities({ signal }),
  ]);
  const parsed = parseOutputs(dataset, outputs);
  const question = { source: dataset, target: place.target, parsed, here, takeMountpoint, swapped: SWAPPED };
  return {
    source,
    place,
    properties: decideProperties(question),
    parsed,
    mounted: isMounted(dataset, parsed),
    version: here.version,
  };
}

async function lookAtPlace(name: string, signal: AbortSignal): Promise<MigrationPlace> {
  const place = await lookAtTarget(name, signal);
  const token = place.partial ? (await listSource(place.target, signal)).resumeToken : undefined;
  return { ...place, token: token ?? null };
}

function isMounted(dataset: string, { objects, host }: ParsedAttributes): boolean {
  const byZfs = objects.find(({ name }) => name === dataset)?.properties['mounted']?.value === 'yes';
  return byZfs || (host?.lustre?.mounts ?? []).some(({ device }) => device === dataset);
}
