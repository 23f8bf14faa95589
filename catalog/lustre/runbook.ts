/**
 * The runbook of a restored Lustre target: what only the administrator may do,
 * in order, each command filled in, with what to expect of it. Sources: the
 * Lustre manual ("Changing a Server NID", "Fixing a Bad LAST_ID", LFSCK), the
 * files of Lustre that are named beside the facts, and a live file system that
 * was restored so.
 */

import type { Attributes } from '../attributes/attributes.ts';
import { firstLook, lookAtProperties, readyHost, sameVersions, settleNids } from './runbook-before.ts';
import { backUpAgain, checkClients, mountTarget, runLfsck, watchScrub } from './runbook-mount.ts';
import { countOrphans, olderOst, snapshotOsts, stopClients, threeWays } from './runbook-objects.ts';
import { type RunbookPlace, type RunbookQuestion, runbookQuestion } from './runbook-question.ts';
import { plain } from './runbook-words.ts';

/** One step. */
export interface RunbookStep {
  readonly title: string;
  /** For a shell, in order; words in capitals are to be filled in. */
  readonly commands: readonly string[];
  /** What they should show, or what the step is for. */
  readonly expect: string;
  /** What can be lost, or is not as it should be. */
  readonly warn?: string;
}

/**
 * The runbook of a dataset by its stored attributes; no steps when it is no Lustre target.
 *
 * @example runbookText(runbookOf(attributes, { target: 'newpool/mdt0', guid }))
 */
export function runbookOf(
  attributes: Pick<Attributes, 'dataset' | 'parsed'>,
  place: RunbookPlace,
): RunbookStep[] {
  const question = runbookQuestion(attributes, place);
  return question ? runbookFor(question) : [];
}

/**
 * The steps for one target.
 *
 * @example runbookText(runbookFor(question))
 */
export function runbookFor(question: RunbookQuestion): RunbookStep[] {
  const looks = [lookAtProperties(question), sameVersions(question), readyHost(question)];
  const nids = settleNids(question);
  const end = [checkClients(question), backUpAgain(question)];
  if (question.kind === 'mgt') return [...looks, ...nids, mountTarget(question), ...end];
  const serve = [mountTarget(question), watchScrub(question), runLfsck(question)];
  if (question.kind === 'ost') return [...looks, ...nids, ...serve, olderOst(question), ...end];
  const objects = [firstLook(question), countOrphans(question), ...threeWays(question)];
  return [...looks, stopClients(question), snapshotOsts(question), ...nids, ...objects, ...serve, ...end];
}

/**
 * The steps as numbered text, lines of at most about 100 characters but for commands.
 *
 * @returns an empty text for no steps.
 */
export function runbookText(steps: readonly RunbookStep[]): string {
  return steps
    .map(({ title, commands, expect, warn }, index) =>
      [
        `${String(index + 1).padStart(2)}. ${plain(title)}`,
        ...(warn === undefined ? [] : folded(`! ${warn}`)),
        ...commands.map((command) => `      ${plain(command)}`),
        ...folded(expect),
      ].join('\n'),
    )
    .join('\n');
}

const WIDTH = 94;

/** Lines of whole words, indented. */
function folded(text: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of plain(text).split(' ')) {
    if (line !== '' && line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = '';
    }
    line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].map((each) => `    ${each}`);
}
