/** What snapshots are called in words. */
import type { Guid, LineageId } from '../words.ts';

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

/** Names by GUID. */
export class Names {
  readonly #names: ReadonlyMap<Guid, NamedSnapshot>;

  constructor(nodes: Iterable<NamedSnapshot>) {
    this.#names = new Map([...nodes].map((node) => [node.guid, node]));
  }

  get(guid: Guid): NamedSnapshot | undefined {
    return this.#names.get(guid);
  }

  /**
   * A snapshot in words.
   *
   * @example names.say(guid) // 'tank/fs@a (918d38b26d2bd5af)', or 'snapshot 918d38b26d2bd5af'
   */
  say(guid: Guid): string {
    const node = this.#names.get(guid);
    if (!node) return `snapshot ${guid}`;
    return node.name === null
      ? `a snapshot of ${node.dataset} (${guid})`
      : `${node.dataset}@${node.name} (${guid})`;
  }

  /** The snapshots of a dataset, the newest first; those of unknown age are left out. */
  *of(dataset: string): Generator<NamedSnapshot & { readonly created: number }> {
    const dated = [...this.#names.values()].flatMap((node) =>
      node.dataset === dataset && typeof node.created === 'number'
        ? [{ ...node, created: node.created }]
        : [],
    );
    yield* dated.sort((a, b) => b.created - a.created || (a.guid < b.guid ? -1 : 1));
  }
}
