/** Which backups must be planned together, in parts that are planned at once. */
import type { CatalogIndex } from '../../../catalog/index/catalog-index.ts';
import type { PruneRequest } from '../../../catalog/protocol/keeping.ts';
import type { Lineage } from '../../../catalog/protocol/protocol.ts';
import type { LineageId } from '../../../catalog/words.ts';

/** What is asked about: all of it when nothing is said. */
export type Scope = Pick<PruneRequest, 'dataset' | 'host' | 'lineage'>;

/** Backups that are planned at once, unless more hang together: a tenth of a second. */
const AT_ONCE = 10_000;
const PAGE = 1000;

/** Whether a backup is asked about. */
export function isIn({ dataset, host, lineage }: Scope, backup: Required<Scope>): boolean {
  return (
    (dataset === undefined || dataset === backup.dataset) &&
    (host === undefined || host === backup.host) &&
    (lineage === undefined || lineage === backup.lineage)
  );
}

/**
 * Lineages in parts: those that share a dataset are in one, also where it had several names, because
 * their snapshots may be counted together. Only parts in which something is asked about.
 */
export function partsOf(index: CatalogIndex, scope: Scope): LineageId[][] {
  const parts: LineageId[][] = [];
  let part: LineageId[] = [];
  let count = 0;
  for (const group of groupsOf(allLineages(index), index.renamedDatasets())) {
    if (!group.some((lineage) => touches(lineage, scope))) continue;
    part.push(...group.map(({ lineage }) => lineage));
    count += group.reduce((sum, { backups }) => sum + backups, 0);
    if (count < AT_ONCE) continue;
    parts.push(part);
    [part, count] = [[], 0];
  }
  return part.length > 0 ? [...parts, part] : parts;
}

function* allLineages(index: CatalogIndex): Generator<Lineage> {
  let after: string | null | undefined;
  do {
    const { lineages, next } = index.lineages({ limit: PAGE, ...(after ? { after } : {}) });
    yield* lineages;
    after = next;
  } while (after !== null);
}

function groupsOf(
  lineages: Iterable<Lineage>,
  renamed: readonly (readonly Named[])[],
): Iterable<readonly Lineage[]> {
  const groups = new Map<string, Lineage[]>();
  for (const lineage of lineages) joined(groups, lineage.datasets).push(lineage);
  for (const places of renamed) joined(groups, places);
  return new Set(groups.values());
}

/** A dataset name on a host. */
type Named = Lineage['datasets'][number];

/** The group of these datasets, one of what was several. */
function joined(groups: Map<string, Lineage[]>, places: readonly Named[]): Lineage[] {
  const keys = places.map(keyOf);
  // The largest takes in the others, so that none moves often.
  const found = new Set(keys.map((key) => groups.get(key)).filter((group) => group !== undefined));
  const [largest = [], ...others] = [...found].sort((a, b) => b.length - a.length);
  for (const other of others) {
    for (const one of other) {
      largest.push(one);
      for (const place of one.datasets) groups.set(keyOf(place), largest);
    }
  }
  for (const key of keys) groups.set(key, largest);
  return largest;
}

function keyOf({ host, dataset }: Named): string {
  return `${dataset}\0${host}`;
}

function touches({ lineage, datasets }: Lineage, scope: Scope): boolean {
  return datasets.some((place) => isIn(scope, { ...place, lineage }));
}
