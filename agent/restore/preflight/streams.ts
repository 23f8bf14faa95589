/** What the streams ask of the ZFS and the pool that receive them. */
import { nameOfZfs } from '../../../catalog/attributes/pool/abilities.ts';
import { hasFeature, poolFeaturesOf, unreceivableFeatures } from '../../../catalog/stream/features.ts';
import type { DatasetRestore, PoolFacts, PreflightFacts, StreamFacts } from './facts.ts';
import { type Finding, listOf, refuse, warn } from './finding.ts';

/** What `zfs receive -s` itself asks for, whatever the stream (OpenZFS `dmu_recv.c`, `dmu_recv_begin_check`). */
const RESUMABLE = 'extensible_dataset';

/**
 * The pool features that must be enabled where these streams are received.
 *
 * @example neededFeatures(streams) // ['extensible_dataset', 'large_blocks', 'lz4_compress']
 */
export function neededFeatures(streams: readonly Pick<StreamFacts, 'begin'>[]): string[] {
  return [...new Set([RESUMABLE, ...streams.flatMap(({ begin }) => poolFeaturesOf(begin))])].toSorted();
}

/** Streams that nothing receives, features that are not enabled, and a ZFS older than the sender's. */
export function findInStreams({ datasets, pool, abilities }: PreflightFacts): Finding[] {
  const streams = datasets.flatMap((dataset) => dataset.streams);
  if (streams.length === 0) return [];
  return [
    ...datasets.flatMap(findUnreceivable),
    ...neededFeatures(streams).flatMap((feature) => {
      const state = stateIn(pool, feature);
      if (state === undefined || state === 'enabled' || state === 'active') return [];
      const asking = streams.find(({ begin }) => poolFeaturesOf(begin).includes(feature));
      return [notEnabled(pool, feature, state, asking, abilities)];
    }),
    ...findOlder(streams, abilities),
    ...findUnloaded(datasets),
  ];
}

/** The state of a feature; `undefined` where there is no pool to speak of. */
function stateIn({ creating, properties }: PoolFacts, feature: string): string | undefined {
  if (creating) return creating.plan.features.includes(feature) ? 'enabled' : 'unknown';
  if (properties === null) return undefined;
  return properties[`feature@${feature}`] ?? 'unknown';
}

function findUnreceivable({ place, streams }: DatasetRestore): Finding[] {
  return streams.flatMap(({ name, begin }) => {
    const flags = unreceivableFeatures(begin);
    if (flags.length === 0) return [];
    const advice = flags.some((flag) => flag.startsWith('DEDUP'))
      ? 'zkeep export gives the stream, zstream redup makes it one that can be received'
      : 'it needs a newer ZFS than zkeep knows: zkeep export gives the stream, receive it by hand';
    const message = `the stream of @${name} for ${place.target} has features that nothing here receives (${flags.join(', ')})`;
    return [refuse('stream-unreceivable', message, advice, { target: place.target, snapshot: name, flags })];
  });
}

function notEnabled(
  { name, creating }: PoolFacts,
  feature: string,
  state: string,
  asking: StreamFacts | undefined,
  abilities: PreflightFacts['abilities'],
): Finding {
  const facts = { pool: name, feature, state };
  const who = asking ? `the stream of @${asking.name}` : 'zfs receive -s';
  if (!abilities.features.has(feature)) {
    const message = `${who} needs the pool feature ${feature}, which ${nameOfZfs(abilities)} does not know`;
    return refuse(
      'feature-unknown',
      message,
      'receive on a host whose ZFS is at least as new as the one that sent',
      facts,
    );
  }
  const message = `${who} needs the pool feature ${feature}, which ${creating ? 'would not be' : 'is not'} enabled on ${name}`;
  const advice = creating
    ? `create the pool by hand, with -o feature@${feature}=enabled, and restore into it`
    : `zpool set feature@${feature}=enabled ${name}; it cannot be undone, and an older ZFS may then not import the pool`;
  return refuse('feature-disabled', message, advice, facts);
}

function findOlder(
  streams: readonly StreamFacts[],
  { module, version }: PreflightFacts['abilities'],
): Finding[] {
  const here = module ?? version;
  const senders = [...new Set(streams.flatMap(({ zfs }) => zfs ?? []))];
  const newer = senders.filter((sender) => here !== null && isOlder(here, sender));
  if (here === null || newer.length === 0) return [];
  const message = `ZFS is ${here} here, older than what sent (${listOf(newer)})`;
  const advice =
    'it may not know properties that were set, and Lustre wants no step back: better use a ZFS as new';
  return [warn('zfs-older', message, advice, { here, senders: newer })];
}

/** Whether one version is older than the other, by the first three numbers; `false` where that cannot be told. */
export function isOlder(one: string, other: string): boolean {
  const [first, second] = [one, other].map((text) => /(\d{1,6})\.(\d{1,6})(?:\.(\d{1,6}))?/.exec(text));
  for (const place of [1, 2, 3]) {
    const difference = Number(first?.[place] ?? 0) - Number(second?.[place] ?? 0);
    if (!first || !second || Number.isNaN(difference)) return false;
    if (difference !== 0) return difference < 0;
  }
  return false;
}

/** A plain stream that begins a dataset below an encrypted one is encrypted anew: its key must be loaded. */
function findUnloaded(datasets: readonly DatasetRestore[]): Finding[] {
  return datasets.flatMap(({ place, streams, base }) => {
    const { above } = place;
    const [first] = streams;
    if (!first || base !== null || hasFeature(first.begin, 'RAW')) return [];
    if (!above?.encrypted || above.keystatus === 'available') return [];
    const message = `${above.name} is encrypted and its key is not loaded: ${place.target} cannot be written below it`;
    return [
      refuse('key-not-loaded', message, `zfs load-key ${above.name}`, {
        target: place.target,
        above: above.name,
      }),
    ];
  });
}
