/** Findings as a document and as people read them. */
import { counted, printable } from '../output/words.ts';
import { showCommand } from '../zfs/failure.ts';
import type { Finding } from './finding.ts';
import type { Mended } from './mend.ts';

/** What `--json` says. */
export function doctorDocument(
  host: string,
  findings: readonly Finding[],
  mended: ReadonlyMap<Finding, readonly Mended[]>,
): Readonly<Record<string, unknown>> {
  return { host, findings: findings.map((finding) => ({ ...finding, mended: mended.get(finding) ?? null })) };
}

/** A paragraph for each. */
export function doctorInWords(
  findings: readonly Finding[],
  mended: ReadonlyMap<Finding, readonly Mended[]>,
): string {
  if (findings.length === 0) return 'all is well';
  const safe = findings.filter((finding) => finding.safe && !mended.has(finding)).length;
  return [
    ...findings.map((finding) => inWords(finding, mended.get(finding))),
    ...(safe > 0 ? [`zkeep agent doctor --fix mends ${counted(safe, 'finding')} of these by itself`] : []),
  ].join('\n');
}

function inWords({ what, why, mend, advice }: Finding, done: readonly Mended[] | undefined): string {
  const lines = done
    ? done.map(
        ({ command, error }) =>
          `${error === null ? 'done:' : 'failed:'} ${showCommand(command)}${why_(error)}`,
      )
    : mend.map((command) => `mend:  ${showCommand(command)}`);
  return [
    printable(what),
    `    why:   ${printable(why)}`,
    ...(advice === null ? [] : [`    do:    ${printable(advice)}`]),
    ...lines.map((line) => `    ${line}`),
  ].join('\n');
}

function why_(error: string | null): string {
  return error === null ? '' : ` (${printable(error)})`;
}
