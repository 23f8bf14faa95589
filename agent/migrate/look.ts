/** All that must be known before a migration: the source, the place, the properties. Changes nothing. */
import type { ObjectAttributes, ParsedAttributes } from '../../catalog/attributes/attributes.ts';
import { parseOutputs } from '../../catalog/attributes/parsing/outputs.ts';
import type { ZfsAbilities } from '../../catalog/attributes/pool/abilities.ts';
import { captureAttributes } from '../capture/capture.ts';
import { captureObjects } from '../restore/captured.ts';
import type { PlaceFacts } from '../restore/preflight/facts.ts';
import { lookAtPlace } from '../restore/preflight/gather.ts';
import { holdsOn } from '../zfs/holds.ts';
import { listSource, type SourceFacts } from '../zfs/list.ts';
import { parseDataset } from '../zfs/names.ts';
import { readAbilities } from '../zfs/pools/abilities.ts';
import { MIGRATION_TAG, snapshotOf } from '../zfs/snapshot.ts';
import { historyAt } from './history.ts';
import type { MigrationPlace } from './plan.ts';
import { decideProperties, type MigratedProperties } from './properties.ts';
import { SWAPPED } from './stream.ts';

/** What was asked for. */
export interface MigrationWish {
  readonly source: string;
  readonly target: string;
  readonly takeMountpoint: boolean;
  /** The history moves too. */
  readonly snapshots: boolean;
}

/** What is known. */
export interface MigrationFacts {
  readonly source: SourceFacts;
  readonly place: PlaceFacts & MigrationPlace;
  readonly properties: MigratedProperties;
  /** Names of its snapshots that an earlier run of the same migration holds. */
  readonly held: ReadonlySet<string>;
  /** All that the host tells of the source. */
  readonly parsed: ParsedAttributes;
  /** By ZFS or, as a target, by Lustre. */
  readonly mounted: boolean;
  /** What the ZFS of this host can do. */
  readonly abilities: ZfsAbilities;
}

/**
 * Looks at both ends.
 *
 * @throws {ZkeepError} `usage` for a name that cannot be one, `missing` when the source is not there.
 */
export async function lookAtMigration(
  { source: name, target, takeMountpoint, snapshots }: MigrationWish,
  signal: AbortSignal,
): Promise<MigrationFacts> {
  const dataset = parseDataset(name);
  const [source, place, { outputs }, here] = await Promise.all([
    listSource(dataset, signal),
    lookAtEnd(target, signal),
    captureAttributes(dataset, undefined, signal),
    readAbilities({ signal }),
  ]);
  const parsed = parseOutputs(dataset, outputs);
  const history = snapshots ? await historyObjects(source, place, signal) : [];
  const question = { source: dataset, target: place.target, parsed, here, takeMountpoint, swapped: SWAPPED };
  return {
    source,
    place,
    held: await heldOf(source, signal),
    properties: decideProperties({ ...question, history }),
    parsed,
    mounted: isMounted(dataset, parsed),
    abilities: here,
  };
}

/** The properties of the snapshots that move, each by itself: few have any of their own. */
async function historyObjects(
  source: SourceFacts,
  place: MigrationPlace,
  signal: AbortSignal,
): Promise<ObjectAttributes[]> {
  const names = historyAt(source, place).map(({ name }) => name);
  const found = await captureObjects(source.dataset, names, signal);
  return names.flatMap((name) => found.get(snapshotOf(source.dataset, name)) ?? []);
}

async function heldOf({ dataset, points }: SourceFacts, signal: AbortSignal): Promise<Set<string>> {
  const held = points.filter(({ kind, references }) => kind === 'snapshot' && references > 0);
  const tags = await holdsOn(
    held.map(({ name }) => snapshotOf(dataset, name)),
    signal,
  );
  const ours = held.filter(({ name }) => tags.get(snapshotOf(dataset, name))?.includes(MIGRATION_TAG));
  return new Set(ours.map(({ name }) => name));
}

async function lookAtEnd(name: string, signal: AbortSignal): Promise<PlaceFacts & MigrationPlace> {
  const place = await lookAtPlace(name, signal);
  const token = place.partial ? (await listSource(place.target, signal)).resumeToken : undefined;
  return { ...place, token: token ?? null };
}

function isMounted(dataset: string, { objects, host }: ParsedAttributes): boolean {
  const byZfs = objects.find(({ name }) => name === dataset)?.properties['mounted']?.value === 'yes';
  return byZfs || (host?.lustre?.mounts ?? []).some(({ device }) => device === dataset);
}
