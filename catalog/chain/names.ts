/** What snapshots are called in words. */
import type { Guid, LineageId } from '../words.ts';
import { compareText } from './order.ts';

/** What words can be made of, for a snapshot that a reason may have to name. */
export interface NamedSnapshot {
  readonly guid: Guid;
  readonly dataset: string;
  /** The part after `@`; `null`: unknown. */
  readonly name: string | null;
  /** Creation, seconds since 1970; absent or `null`: unknown. */
  readonly created?: number | null;
  readonly lineage?: LineageId;
  /** A chain leads from nothing to it; absent: found out from the backups given. */
  readonly restorable?: boolean;
}

/** Where names are looked up: a list, or a database that is asked only for what the words need. */
export interface NameSource {
  readonly get: (guid: Guid) => NamedSnapshot | undefined;
  /** Snapshots of a dataset that were created at `moment` (seconds since 1970) or before, the newest first. */
  readonly until: (dataset: string, moment: number) => Iterable<NamedSnapshot>;
}

/** Names in a list. */
export function nameSource(nodes: Iterable<NamedSnapshot>): NameSource {
  const byGuid = new Map([...nodes].map((node) => [node.guid, node]));
  const until = (dataset: string, moment: number) =>
    [...byGuid.values()]
      .filter((node) => node.dataset === dataset && createdOf(node) <= moment)
      .sort((a, b) => createdOf(b) - createdOf(a) || compareText(a.guid, b.guid));
  return { get: (guid) => byGuid.get(guid), until };
}

/**
 * A snapshot in words.
 *
 * @example sayName(names, guid) // 'tank/fs@a (918d38b26d2bd5af)', or 'snapshot 918d38b26d2bd5af'
 */
export function sayName(names: NameSource, guid: Guid): string {
  const node = names.get(guid);
  if (!node) return `snapshot ${guid}`;
  return node.name === null
    ? `a snapshot of ${node.dataset} (${guid})`
    : `${node.dataset}@${node.name} (${guid})`;
}

/** What is of unknown age is before nothing. */
function createdOf({ created }: NamedSnapshot): number {
  return created ?? Number.POSITIVE_INFINITY;
}
