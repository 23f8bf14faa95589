/** Migrations between datasets of this host that are not at their end. */
import type { Guid } from '../../catalog/words.ts';
import { isMigrated } from '../migrate/history.ts';
import { HOLD_TAG, snapshotOf } from '../zfs/snapshot.ts';
import type { HereFacts } from './facts.ts';

/** The dataset of this host, another than `target`, that has the snapshot. */
export function migratingFrom(
  { sources }: HereFacts,
  to: Guid,
  target: string,
): { readonly dataset: string; readonly own: boolean } | undefined {
  for (const { dataset, points } of sources) {
    const point = points.find(({ kind, guid }) => kind === 'snapshot' && guid === to);
    if (point && dataset !== target) return { dataset, own: isMigrated(point.name) };
  }
  return undefined;
}

/** The dataset that stands at this snapshot of `source`, or was getting it when its receive was interrupted. */
export function migratingTo(
  { sources, partials }: HereFacts,
  guid: Guid,
  source: string,
): string | undefined {
  const getting = partials.find(({ dataset, token }) => dataset !== source && token?.to === guid);
  if (getting) return getting.dataset;
  return sources.find(({ dataset, points }) => {
    return dataset !== source && points.findLast(({ kind }) => kind === 'snapshot')?.guid === guid;
  })?.dataset;
}

/** Whether another dataset than `target` holds this snapshot for the next step of a migration into it. */
export function isHeldElsewhere({ sources, holds }: HereFacts, guid: Guid, target: string): boolean {
  return sources.some(
    ({ dataset, points }) =>
      dataset !== target &&
      points.some(
        (point) =>
          point.guid === guid &&
          point.kind === 'snapshot' &&
          holds.get(snapshotOf(dataset, point.name))?.includes(HOLD_TAG),
      ),
  );
}

/** Whether another dataset than `target` has this snapshot and newer ones: it is where `target` came from. */
export function isPassedElsewhere({ sources }: HereFacts, guid: Guid, target: string): boolean {
  return sources.some(({ dataset, points }) => {
    if (dataset === target) return false;
    const snapshots = points.filter(({ kind }) => kind === 'snapshot');
    return snapshots.slice(0, -1).some((point) => point.guid === guid);
  });
}
