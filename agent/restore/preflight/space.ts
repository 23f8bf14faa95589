/** Whether there is room: estimates, and said as such. */
import { type PoolLayout, toleranceOf, type VdevGroup } from '../../../catalog/attributes/pool/layout.ts';
import { hasFeature } from '../../../catalog/stream/features.ts';
import { sizeInWords } from '../../output/words.ts';
import type { VdevFacts } from '../../zfs/pools/vdevs.ts';
import type { DatasetRestore, PreflightFacts } from './facts.ts';
import { type Finding, refuse, warn } from './finding.ts';

/** Part of the room from which on it is said: copy on write gets slow in a full pool. */
const TIGHT = 0.8;
const MEBIBYTE = 1024 * 1024;
/** What ZFS keeps of each device for its labels and boot block: 4 labels of 256 KiB and 3.5 MiB. */
const LABELS = 4.5 * MEBIBYTE;
/** What ZFS keeps of a pool for itself (`spa_get_slop_space`): a 32nd, 128 MiB to 128 GiB, never more than half. */
const SLOP = { part: 32, least: 128 * MEBIBYTE, most: 128 * 1024 * MEBIBYTE } as const;

/** What will be taken, against what is free there. */
export function findInSpace(facts: PreflightFacts): Finding[] {
  const { datasets, pool } = facts;
  const sums = pool.creating
    ? [{ where: pool.name, room: roomOf(pool.creating.plan.layout, pool.creating.vdevs), datasets }]
    : [...Map.groupBy(datasets, ({ place }) => place.above?.name ?? '')].map(([where, some]) => ({
        where,
        room: some[0]?.place.above?.available ?? null,
        datasets: some,
      }));
  return sums.flatMap((sum) => (sum.room === null ? [] : findTight(sum.where, sum.room, sum.datasets)));
}

function findTight(where: string, room: number, datasets: readonly DatasetRestore[]): Finding[] {
  const need = datasets.reduce((sum, dataset) => sum + spaceOf(dataset), 0);
  const facts = { where, need, room };
  const inWords = `${sizeInWords(need)} for ${datasets.length === 1 ? datasets[0]?.place.target : `${datasets.length} datasets`}`;
  const advice = `make room, raise the quota of ${where}, or restore to a larger pool`;
  if (need > room && datasets.every(isExact)) {
    return [
      refuse(
        'no-space',
        `${where} has room for ${sizeInWords(room)}, and about ${inWords} will be written`,
        advice,
        facts,
      ),
    ];
  }
  if (need <= room * TIGHT) return [];
  const message = `${where} has room for ${sizeInWords(room)}, and up to ${inWords} will be written`;
  return [warn('tight-space', message, `${advice}, if it does not suffice`, facts)];
}

/** What a dataset will take, bytes, besides what an interrupted receive of one of its streams has there already. */
export function spaceOf(dataset: DatasetRestore): number {
  return Math.max(0, wholeOf(dataset) - receivedOf(dataset));
}

/**
 * One stream takes what its snapshot referenced where it was; of several each keeps
 * what it brings, in the snapshots.
 */
function wholeOf({ streams, referenced, base }: DatasetRestore): number {
  const bytes = streams.reduce((sum, stream) => sum + stream.bytes, 0);
  if (base !== null || referenced === null || streams.length === 0) return bytes;
  return streams.length === 1 ? referenced : Math.max(referenced, bytes);
}

/** It is gone on with, or makes room again by being thrown away. What was sent twice counts once. */
function receivedOf({ place: { partial }, streams }: DatasetRestore): number {
  const stream = streams.find(({ to }) => to === partial?.to);
  return Math.min(stream?.bytes ?? 0, Number(partial?.token?.bytes ?? 0n));
}

/** Blocks that travel as they are stored take as much as they have; others may compress on arrival. */
function isExact({ streams, base, referenced }: DatasetRestore): boolean {
  if (base === null && referenced !== null && streams.length === 1) return true;
  return streams.every(({ begin }) => hasFeature(begin, 'COMPRESSED') || hasFeature(begin, 'RAW'));
}

/** What a new pool will have room for, bytes; `null` where the size of a device is not known. */
export function roomOf(layout: PoolLayout, vdevs: readonly VdevFacts[]): number | null {
  const sizes = new Map(vdevs.map(({ name, size }) => [name, size]));
  let room = 0;
  for (const group of layout.groups) {
    if (group.role !== 'data') continue;
    const found = group.devices.map((device) => sizes.get(device) ?? null);
    const known = found.filter((size) => size !== null);
    if (known.length < found.length) return null;
    room += dataOf(group) * Math.max(0, Math.min(...known) - LABELS);
  }
  const slop = Math.min(room / SLOP.part, SLOP.most);
  return Math.max(0, room - Math.max(slop, Math.min(room / 2, SLOP.least)));
}

/** How many devices' worth of data a vdev holds. */
function dataOf(group: VdevGroup): number {
  const count = group.devices.length;
  const draid = /^draid/.test(group.type);
  if (!draid) return count - toleranceOf(group);
  const spares = Number(/:([0-9]{1,3})s/.exec(group.type)?.[1] ?? 0);
  const data = Number(/:([0-9]{1,3})d/.exec(group.type)?.[1] ?? Math.max(1, Math.min(8, count - spares - 1)));
  return ((count - spares) * data) / (data + toleranceOf(group));
}
