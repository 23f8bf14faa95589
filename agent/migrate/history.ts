/** Where a migration stands, and which snapshots of the source are its history. */
import { ZkeepError } from '../../catalog/errors.ts';
import { isRefresh } from '../backup/tidy/names.ts';
import type { Target } from '../restore/target.ts';
import type { PointFacts, SourceFacts } from '../zfs/list.ts';

/** Names of the snapshots that a migration takes begin so. */
const OWN = /^migrate-\d{8}T\d{6}Z$/;

/** Whether a migration took a snapshot of this name. */
export function isMigrated(name: string): boolean {
  return OWN.test(name);
}

/**
 * The snapshots after a base, the oldest first, without those that migrations took, and temporary ones of refreshes.
 *
 * @param base what the target stands at, as the source has it; `null`: nothing is there.
 */
export function newerHistory({ points }: Pick<SourceFacts, 'points'>, base: PointFacts | null): PointFacts[] {
  return points.filter(
    ({ kind, name, createtxg }) =>
      kind === 'snapshot' &&
      !isMigrated(name) &&
      !isRefresh(name) &&
      (base === null || createtxg > base.createtxg),
  );
}

/**
 * The snapshots whose own properties are to be moved: those that are still to come, and those
 * that came by an earlier run, which may have been killed before it set any.
 */
export function historyAt(source: Pick<SourceFacts, 'points'>, place: Target): PointFacts[] {
  const there = new Set(place.snapshots.map(({ guid, name }) => `${guid} ${name}`));
  const standsAt = place.partial ? place.partial.to : place.snapshots[0]?.guid;
  const base = source.points.find(({ guid }) => guid === standsAt) ?? null;
  const coming = new Set(newerHistory(source, base));
  return newerHistory(source, null).filter((point) => {
    return coming.has(point) || point.guid === place.partial?.to || there.has(`${point.guid} ${point.name}`);
  });
}

/**
 * The target's newest snapshot, as the source has it; a snapshot rather than its bookmark.
 *
 * @throws {ZkeepError} `refused` when the target holds something else.
 */
export function baseOf(
  { dataset, points }: SourceFacts,
  { target, exists, snapshots }: Target,
): PointFacts | null {
  if (!exists) return null;
  const [newest] = snapshots;
  if (!newest) throw inTheWay(target, dataset);
  const same = points.filter(({ guid }) => guid === newest.guid);
  const base = same.find(({ kind }) => kind === 'snapshot') ?? same[0];
  if (!base) throw noBase(target, newest.name, dataset);
  return base;
}

function inTheWay(target: string, source: string): ZkeepError {
  return new ZkeepError('refused', 'migrate.exists', `${target} exists and has no snapshot of ${source}`, {
    advice: 'choose another name for --to: nothing is overwritten',
    facts: { target, source },
  });
}

function noBase(target: string, newest: string, source: string): ZkeepError {
  const message = `${source} does not have @${newest}, the newest snapshot of ${target}`;
  return new ZkeepError('refused', 'migrate.no-base', message, {
    advice: `choose another name for --to, or destroy what ${target} has beyond a common snapshot`,
    facts: { target, newest, source },
  });
}
