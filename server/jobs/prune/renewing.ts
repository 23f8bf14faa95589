/** Which known snapshots no backup should hang on any more, and why. */

import { expectedBy } from '../../../catalog/chain/recovery.ts';
import { isFor } from '../../../catalog/chain/retention/policy.ts';
import { type ChainFacts, chainRenewal } from '../../../catalog/chain/retention/renewal.ts';
import type { CatalogIndex } from '../../../catalog/index/catalog-index.ts';
import type { KnownSnapshot } from '../../../catalog/protocol/protocol.ts';
import type { Guid, LineageId } from '../../../catalog/words.ts';
import type { Marks } from './marks.ts';

/** The dataset that is to be backed up. */
interface Of {
  readonly host: string;
  readonly dataset: string;
}

/** The chains of so many are looked at, the newest snapshots first: an agent takes the newest that fits. */
const LOOKED_AT = 20;

/**
 * Says of what is known where its chain must end: by the limits of the policies for that dataset, or because
 * the snapshot itself is about to be removed.
 */
export function renewing(
  { index, marks }: { readonly index: CatalogIndex; readonly marks: Pick<Marks, 'isLeaving'> },
  known: readonly KnownSnapshot[],
  of: Of | undefined,
): KnownSnapshot[] {
  const dear = of ? tooDear(index, known, of) : new Map<Guid, string>();
  return known.map((one) => {
    if (!one.restorable) return one;
    const renew = marks.isLeaving(one.guid) ? 'it is marked and about to be removed' : dear.get(one.guid);
    return { ...one, renew: renew ?? null };
  });
}

function tooDear(index: CatalogIndex, known: readonly KnownSnapshot[], of: Of): Map<Guid, string> {
  const policies = index.policies().filter(({ chain }) => chain && Object.keys(chain).length > 0);
  const reasons = new Map<Guid, string>();
  if (policies.length === 0) return reasons;
  const newest = known
    .filter(({ restorable }) => restorable)
    .map(({ guid }) => ({ guid, created: index.backupsTo(guid).at(-1)?.created ?? 0 }))
    .sort((a, b) => b.created - a.created)
    .slice(0, LOOKED_AT);
  for (const { guid } of newest) {
    const { wanted, steps, bytes } = index.plan({ wanted: { guids: [guid] }, have: [], rollback: false });
    const [first, ...others] = steps;
    const increments = others.reduce((sum, { stored }) => sum + stored, 0);
    const chain: ChainFacts = { steps: steps.length, full: first?.stored ?? 0, increments };
    const expected = expectedOf(index, wanted.lineage, bytes);
    for (const policy of policies) {
      if (!isFor(policy, of) && !policy.lineages.includes(wanted.lineage)) continue;
      const why = chainRenewal(policy.chain ?? {}, chain, expected);
      if (why !== null) reasons.set(guid, `${why} (policy ${policy.name})`);
    }
  }
  return reasons;
}

/** So many drills are looked at, the newest first: one that did not pass has measured nothing. */
const DRILLS = 50;

/** As the last drill of the lineage that passed measured it, else the last ones of any; of raw bytes. */
function expectedOf(index: CatalogIndex, lineage: LineageId, bytes: number): number | null {
  const measured = ({ drills }: ReturnType<CatalogIndex['drills']>) =>
    drills
      .filter(({ passed }) => passed)
      .map((drill) => ({ bytes: drill.bytes, seconds: drill.restore_seconds }));
  const own = measured(index.drills({ lineage, limit: DRILLS })).slice(0, 1);
  return expectedBy(own)(bytes) ?? expectedBy(measured(index.drills({ limit: DRILLS })))(bytes);
}
