/** The places in the pool: what is there, and what would be lost. */
import type { DatasetRestore, PreflightFacts } from './facts.ts';
import { type Finding, listOf, refuse, warn } from './finding.ts';

export function findInPlaces({ datasets, pool, force }: PreflightFacts): Finding[] {
  const coming = new Set(datasets.map(({ place }) => place.target));
  const there = pool.creating === null && pool.properties !== null;
  return [
    ...findTwice(datasets),
    ...datasets.flatMap((dataset) => [
      ...(there ? findParent(dataset, coming) : []),
      ...findPartial(dataset, force),
      ...findTaken(dataset, force),
      ...findNewer(dataset, force),
    ]),
  ];
}

function findTwice(datasets: readonly DatasetRestore[]): Finding[] {
  const byTarget = Map.groupBy(datasets, ({ place }) => place.target);
  return [...byTarget].flatMap(([target, { length }]) =>
    length < 2
      ? []
      : [
          refuse(
            'target-twice',
            `${length} datasets would go to ${target}`,
            'restore them one by one, each with its own --to',
            { target },
          ),
        ],
  );
}

/** A parent that is restored together with its child need not be there yet. */
function findParent({ place }: DatasetRestore, coming: ReadonlySet<string>): Finding[] {
  const { target, above, exists } = place;
  const parent = target.slice(0, Math.max(0, target.lastIndexOf('/')));
  if (exists || parent === '' || above?.parent || coming.has(parent)) return [];
  const message = `there is no ${parent} to put ${target} into`;
  return [refuse('no-parent', message, `zfs create -p -o canmount=off ${parent}`, { target, parent })];
}

/** What an interrupted receive left: ours goes on or begins anew, that of others is left alone. */
function findPartial({ place, streams }: DatasetRestore, force: boolean): Finding[] {
  const { target, partial } = place;
  if (!partial || streams.length === 0) return [];
  const ours = streams.find(({ to }) => to === partial.to);
  if (ours) {
    const message = `${target} holds an interrupted receive of @${ours.name}, which is part of this restore`;
    return [warn('partial-own', message, 'nothing need be done: the restore deals with it', { target })];
  }
  const message = `${target} holds an interrupted receive of something else`;
  const facts = { target, to: partial.to };
  if (force) return [warn('partial', message, 'it is thrown away, because of --force', facts)];
  const advice = `finish it, or throw it away: zfs receive -A ${target}, or --force`;
  return [refuse('partial', message, advice, facts)];
}

/** A full stream makes a new dataset: nothing may be in its place. */
function findTaken({ place, streams, base }: DatasetRestore, force: boolean): Finding[] {
  const { target, exists, snapshots, partial } = place;
  // A new dataset that was not received to its end goes with what is left of it.
  const leftover = partial !== undefined && snapshots.length === 0;
  if (!exists || base !== null || streams.length === 0 || leftover) return [];
  const [newest] = snapshots;
  if (newest) {
    const message = `${target} exists and holds snapshots of its own, the newest is @${newest.name}`;
    const advice = `choose another name for --to, or destroy it yourself: zfs destroy -r ${target}`;
    return [refuse('target-exists', message, advice, { target, newest: newest.name })];
  }
  const message = `${target} exists and is not part of the chain`;
  if (force) return [warn('target-exists', message, 'it is replaced, because of --force', { target })];
  const advice = 'choose another name for --to; --force replaces it, and what is in it is lost';
  return [refuse('target-exists', message, advice, { target })];
}

/** The place has something newer than what the first stream goes on from. */
function findNewer({ place, base, rollback, streams }: DatasetRestore, force: boolean): Finding[] {
  if (base === null || (streams.length === 0 && !rollback)) return [];
  const { target, snapshots, written } = place;
  const at = snapshots.findIndex(({ guid }) => guid === base);
  const newer = snapshots.slice(0, Math.max(0, at)).map(({ name }) => `@${name}`);
  const facts = { target, newer, written };
  const findings: Finding[] = [];
  if (newer.length > 0) {
    const message = `${target} has newer snapshots than the restore goes on from: ${listOf(newer)}`;
    findings.push(
      force
        ? warn('target-newer', message, 'they are lost, because of --force', facts)
        : refuse(
            'target-newer',
            message,
            'restore to another name, or go back with --force: they are lost then',
            facts,
          ),
    );
  }
  if (newer.length === 0 && written !== null && written > 0) {
    const message = `${target} may have been written to since its newest snapshot (${written} bytes)`;
    findings.push(
      force
        ? warn('target-written', message, 'what was written is lost, because of --force', facts)
        : warn(
            'target-written',
            message,
            `zfs receive may refuse it: zfs diff ${target}@${snapshots[0]?.name ?? ''} ${target} shows what changed, --force rolls it back`,
            facts,
          ),
    );
  }
  return findings;
}
