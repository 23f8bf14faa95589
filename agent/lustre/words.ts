/** Lustre targets as a document and as people read them. */
import type { HostTargets, LustreTarget } from '../../catalog/lustre/targets.ts';
import { table } from '../output/table.ts';
import { printable } from '../output/words.ts';

/** What `--json` says. */
export function targetsDocument({ host, targets, problems }: HostTargets): Readonly<Record<string, unknown>> {
  return { host, targets, problems };
}

/** A table, and below it what is wrong. */
export function targetsInWords({ host, targets, problems }: HostTargets): string {
  const wrong = [
    ...targets.flatMap((target) => target.problems.map((words) => `${target.dataset}: ${words}`)),
    ...problems,
  ];
  const first = targets.length === 0 ? `${host} has no Lustre targets` : tableOf(targets);
  return [first, ...wrong.map((words) => `! ${printable(words)}`)].join('\n');
}

function tableOf(targets: readonly LustreTarget[]): string {
  const columns = ['dataset', 'kind', 'file system', 'index', 'service', 'state', 'mount', 'multihost'];
  return table(
    columns.map((title) => ({ title, ...(title === 'index' ? { right: true } : {}) })),
    targets.map((target) => [
      target.dataset,
      target.mgs && target.kind !== 'mgt' ? `mgt+${target.kind}` : target.kind,
      target.fsname ?? '-',
      target.index === null ? '-' : String(target.index),
      target.service,
      target.state ?? '?',
      target.mount ?? '-',
      target.multihost ?? '-',
    ]),
  );
}
