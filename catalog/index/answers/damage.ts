/** What damage there is, and what it costs: the rows of `GET /v1/damage`. */
import { setImmediate } from 'node:timers/promises';
import { costOfDamage, type DamageCosts } from '../../chain/damage.ts';
import type { DamageQuery, DamageRow } from '../../protocol/events.ts';
import type { BackupSummary } from '../../protocol/protocol.ts';
import type { BackupId, Guid, LineageId } from '../../words.ts';
import type { CatalogIndex } from '../catalog-index.ts';
import type { FoundDamage } from '../journal/findings.ts';
import type { KeptEdge } from './edges.ts';

/** Most rows that are told; of each, most lost snapshots that are named. */
export const MOST_DAMAGE = 1000;
const MOST_LOST = 1000;

/** What is read for it. */
type DamagedIndex = Pick<CatalogIndex, 'damage' | 'backup' | 'edges'>;

/**
 * The damaged backups, by lineage and backup, each with what is lost because of it. Others have
 * their turn between two of them.
 *
 * @example const lost = (await damageRows(index, {})).filter(({ lost_count }) => lost_count > 0)
 */
export async function damageRows(
  index: DamagedIndex,
  { dataset, host }: DamageQuery = {},
): Promise<DamageRow[]> {
  const found = index
    .damage()
    .flatMap((damage) => {
      const of = index.backup(damage.backup);
      return of ? [{ damage, of }] : [];
    })
    .filter(({ of }) => (dataset ?? of.dataset) === of.dataset && (host ?? of.host) === of.host)
    .slice(0, MOST_DAMAGE);
  const rows: DamageRow[] = [];
  for (const [lineage, some] of Map.groupBy(found, ({ of }) => of.lineage)) {
    const costs = costsIn(index, lineage);
    for (const { damage, of } of some) {
      const row = rowOf(damage, of, costs);
      if (row) rows.push(row);
      await setImmediate();
    }
  }
  return rows;
}

interface LineageCosts extends DamageCosts {
  /** Labels of each snapshot: those of the newest backup to it. */
  readonly labels: ReadonlyMap<Guid, KeptEdge>;
}

function costsIn(index: DamagedIndex, lineage: LineageId): LineageCosts {
  const edges = [...index.edges({ lineage })];
  const damaged = new Set<BackupId>();
  const labels = new Map<Guid, KeptEdge>();
  for (const edge of edges) {
    if (edge.damaged) damaged.add(edge.backup);
    const label = labels.get(edge.to);
    if (!label || label.backup < edge.backup) labels.set(edge.to, edge);
  }
  return { ...costOfDamage(edges, damaged), labels };
}

/** `undefined`: it was removed just now. */
function rowOf(
  damage: FoundDamage,
  { host, dataset, name, stored }: BackupSummary,
  { costOf, restorable, labels }: LineageCosts,
): DamageRow | undefined {
  const cost = costOf(damage.backup);
  if (!cost) return undefined;
  const lost = cost.lost.slice(0, MOST_LOST).flatMap((guid) => labels.get(guid) ?? []);
  return {
    ...damage,
    host,
    dataset,
    name,
    stored,
    lost: lost
      .map((edge) => {
        return {
          guid: edge.to,
          host: edge.host,
          dataset: edge.dataset,
          name: edge.name,
          created: edge.created,
        };
      })
      .sort((one, other) => one.created - other.created),
    lost_count: cost.lost.length,
    restorable_count: restorable.size,
    repaired: cost.repaired,
  };
}
