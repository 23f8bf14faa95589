/** What stands in the way of a migration, found before a snapshot is taken. */
import type { ObjectAttributes } from '../../catalog/attributes/attributes.ts';
import { FEATURES, type FeatureName } from '../../catalog/stream/features.ts';
import { guidOf } from '../../catalog/words.ts';
import type { PlaceFacts, StreamFacts } from '../restore/preflight/facts.ts';
import { gatherPreflight } from '../restore/preflight/gather.ts';
import { type Finding, preflight } from '../restore/preflight/preflight.ts';
import { snapshotOf } from '../zfs/snapshot.ts';
import type { MigrationFacts } from './look.ts';
import type { MigrationPlan } from './plan.ts';

/** Records larger than this travel as large blocks (`SPA_OLD_MAXBLOCKSIZE`). */
const OLD_MAX_BLOCK = 128 * 1024;
/** Stands for a snapshot that is still to be taken: ZFS gives none this GUID. */
const FUTURE = guidOf(0n);

/** Asks what a preflight judges, and judges it. Changes nothing. */
export async function preflightMigration(
  plan: MigrationPlan,
  { source, place, properties, abilities }: MigrationFacts,
  signal: AbortSignal,
): Promise<Finding[]> {
  const [first] = plan.steps;
  const base = first?.kind === 'full' ? null : (place.snapshots[0]?.guid ?? null);
  const dataset = properties.stored;
  const question = { place, manifests: [], base, rollback: false, dataset, snapshot: dataset };
  const facts = await gatherPreflight({ datasets: [question], plan: null, abilities, force: false }, signal);
  const streams = streamsOf(plan, expectedFeatures(dataset, source.encrypted), abilities.version);
  const taking = first?.kind === 'full' ? takenBy(dataset, plan) : null;
  const datasets = facts.datasets.map((restore) => ({ ...restore, streams, referenced: taking }));
  return preflight({ ...facts, datasets }).map((finding) => withoutForce(finding, plan.target, place));
}

/** What will be taken, bytes; of what was interrupted, and of what is new, nobody knows how much is to come. */
export function takenBy(
  { properties }: ObjectAttributes,
  { steps }: Pick<MigrationPlan, 'steps'>,
): number | null {
  const counted = steps.length > 1 ? ['usedbydataset', 'usedbysnapshots'] : ['referenced'];
  const values = counted.map((property) => properties[property]?.value ?? '');
  if (!values.every((value) => /^[0-9]{1,16}$/.test(value))) return null;
  return values.reduce((sum, value) => sum + Number(value), 0);
}

/** A migration never rolls its target back: whoever wants that does it. */
function withoutForce(finding: Finding, target: string, { snapshots: [newest] }: PlaceFacts): Finding {
  if (finding.code !== 'preflight.target-written' || !newest) return finding;
  const last = snapshotOf(target, newest.name);
  const advice = `zfs diff ${last} ${target} shows what changed; zfs rollback ${last} undoes it, if zfs receive refuses`;
  return { ...finding, advice };
}

/**
 * The feature bits that its streams will surely have.
 *
 * @example expectedFeatures(stored, false) // '400000': COMPRESSED
 */
export function expectedFeatures({ properties }: ObjectAttributes, encrypted: boolean): string {
  const block = Number(properties['recordsize']?.value ?? properties['volblocksize']?.value ?? 0);
  const names: FeatureName[] = [encrypted ? 'RAW' : 'COMPRESSED', ...(block > OLD_MAX_BLOCK ? LARGE : [])];
  return names.reduce((bits, name) => bits | (1n << BigInt(FEATURES[name].bit)), 0n).toString(16);
}

const LARGE: readonly FeatureName[] = ['LARGE_BLOCKS'];

function streamsOf({ steps }: MigrationPlan, features: string, version: string | null): StreamFacts[] {
  const zfs = version === null ? null : `zfs-${version}`;
  return steps.map(({ snapshot, guid }) => {
    return { name: snapshot, to: guid ?? FUTURE, begin: { features }, bytes: 0, zfs };
  });
}
