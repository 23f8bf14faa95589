/** The plan of what goes, made of what the index and the open backups say. */
import { setImmediate } from 'node:timers/promises';
import type { InUseFacts } from '../../../catalog/chain/retention/needs.ts';
import { digestOf, type PlannedRow, planRetention, totalsOf } from '../../../catalog/chain/retention/plan.ts';
import type { Policy } from '../../../catalog/chain/retention/policy.ts';
import type { CatalogIndex } from '../../../catalog/index/catalog-index.ts';
import type { BackupId, LineageId } from '../../../catalog/words.ts';
import { isIn, partsOf, type Scope } from './scope.ts';

/** What is asked, besides what the index knows. */
export interface PlanQuestion {
  readonly scope: Scope;
  readonly inUse: InUseFacts;
  /** Milliseconds since 1970, and how long what is marked stays. */
  readonly now: number;
  readonly grace: number;
  /** Instead of those that hold. */
  readonly policies?: readonly Policy[] | undefined;
}

/** A plan for all that is in the scope. */
export interface Planned {
  readonly digest: ReturnType<typeof digestOf>;
  readonly totals: ReturnType<typeof totalsOf>;
  /** Those rows that were wanted. */
  readonly rows: readonly PlannedRow[];
}

/**
 * Plans part by part, so that other calls are answered in between.
 *
 * @param isWanted which rows are given.
 */
export async function plan(
  index: CatalogIndex,
  question: PlanQuestion,
  isWanted: (row: PlannedRow) => boolean,
  signal?: AbortSignal,
): Promise<Planned> {
  const acts: PlannedRow[] = [];
  const rows: PlannedRow[] = [];
  const totals: Planned['totals'] = {};
  // Read once: there may be many, and what changes meanwhile is seen by who acts on the plan.
  const held = {
    policies: question.policies ?? index.policies(),
    pins: index.pins(question.now),
    marks: new Map(index.marks().map((mark) => [mark.backup, mark])),
  };
  for (const lineages of partsOf(index, question.scope)) {
    signal?.throwIfAborted();
    const part = planPart(index, lineages, { ...question, held });
    for (const row of part) {
      if (isAct(row)) acts.push(row);
      if (isWanted(row)) rows.push(row);
    }
    for (const [fate, { backups, stored }] of Object.entries(totalsOf(part))) {
      totals[fate] ??= { backups: 0, stored: 0 };
      totals[fate].backups += backups;
      totals[fate].stored += stored;
    }
    await setImmediate();
  }
  return { digest: digestOf(acts), totals, rows };
}

/** Whether something is done about it. */
export function isAct({ fate }: Pick<PlannedRow, 'fate'>): boolean {
  return fate === 'mark' || fate === 'unmark' || fate === 'remove';
}

/** What holds, by the journal. */
interface Held {
  readonly policies: readonly Policy[];
  readonly pins: ReturnType<CatalogIndex['pins']>;
  readonly marks: ReadonlyMap<BackupId, ReturnType<CatalogIndex['marks']>[number]>;
}

function planPart(
  index: CatalogIndex,
  lineages: readonly LineageId[],
  { scope, inUse, now, grace, held }: PlanQuestion & { readonly held: Held },
): PlannedRow[] {
  const edges = lineages.flatMap((lineage) => [...index.edges({ lineage })]);
  const asked = new Map(edges.map(({ backup, lineage }) => [backup, lineage]));
  const rows = planRetention({
    edges,
    policies: held.policies,
    pins: held.pins,
    marks: edges.flatMap(({ backup }) => held.marks.get(backup) ?? []),
    damaged: new Set(edges.filter(({ damaged }) => damaged).map(({ backup }) => backup)),
    inUse,
    now,
    grace,
    mayGo: (edge) => isIn(scope, edge),
  });
  return rows.filter(({ backup, dataset, host }) => {
    const lineage = asked.get(backup);
    return lineage !== undefined && isIn(scope, { dataset, host, lineage });
  });
}
