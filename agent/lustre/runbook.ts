/** The runbook for what a restore plan brings, where that is a Lustre target. */
import type { HostAttributes } from '../../catalog/attributes/attributes.ts';
import { messageOf } from '../../catalog/errors.ts';
import type { RunbookStep } from '../../catalog/lustre/runbook.ts';
import type { BackupSummary, RestorePlan } from '../../catalog/protocol/protocol.ts';
import type { CatalogView } from '../view/view.ts';

/** What the runbook is made with. */
export interface RunbookTools {
  readonly view: Pick<CatalogView, 'attributes' | 'backups'>;
  /** Told when the attributes cannot be read: a restore is none the worse for it. */
  readonly onProblem: (words: string) => void;
}

/**
 * The steps after a restore of this plan into `target`; none when it is no Lustre target.
 *
 * @param here what the target's host says of itself, where that is known.
 * @example const steps = await runbookOfPlan(plan, { target: 'newpool/mdt0' }, { view, onProblem })
 */
export async function runbookOfPlan(
  { wanted, steps }: Pick<RestorePlan, 'wanted' | 'steps'>,
  place: { readonly target: string; readonly here?: HostAttributes | null },
  { view, onProblem }: RunbookTools,
): Promise<RunbookStep[]> {
  const { runbookOf } = await import('../../catalog/lustre/runbook.ts');
  try {
    const backup = steps.at(-1) ?? (await backupOf(wanted, view));
    if (!backup?.attributes) return [];
    const { dataset, outputs, parsed } = await view.attributes(backup.attributes);
    const { parseOutputs } = await import('../../catalog/attributes/parsing/outputs.ts');
    const known = { dataset, parsed: parsed ?? parseOutputs(dataset, outputs) };
    return runbookOf(known, { ...place, guid: wanted.guid });
  } catch (thrown) {
    onProblem(`no runbook: ${messageOf(thrown)}`);
    return [];
  }
}

/** A backup that leads to the wanted snapshot, with attributes where one of several has them. */
async function backupOf(
  { dataset, host, guid }: RestorePlan['wanted'],
  view: RunbookTools['view'],
): Promise<BackupSummary | undefined> {
  let found: BackupSummary | undefined;
  for await (const backup of view.backups({ dataset, host, to: guid })) {
    if (!found?.attributes) found = backup;
  }
  return found;
}
