/** What `zkeep restore` says: what it would do, what it did, and what is not as it was. */
import type { HostAttributes } from '../../../catalog/attributes/attributes.ts';
import { ZkeepError } from '../../../catalog/errors.ts';
import { type RunbookStep, runbookOf, runbookText } from '../../../catalog/lustre/runbook.ts';
import { sizeInWords } from '../../output/words.ts';
import type { RestoredItem } from '../../restore/perform.ts';
import type { Prepared } from '../../restore/prepare.ts';
import type { ProofDifference } from '../../restore/proof.ts';
import type { Received } from '../../restore/run.ts';
import { allCommands, type RestoreItem } from '../../restore/whole.ts';
import { showCommand } from '../../zfs/failure.ts';
import { failureDocument, type Outcome } from '../command.ts';

/**
 * What would be done; of a set, dataset by dataset. The runbook of a Lustre target comes with it.
 *
 * @param here what this host says of itself, for the runbooks.
 */
export function previewOutcome(
  { whole, findings, poolStands }: Prepared,
  set: string | undefined,
  here: HostAttributes | null,
): Outcome {
  const commands = allCommands(whole);
  const runbooks = whole.items.map((item) => runbookAfter(item, here));
  const previews = whole.items.map((item, at) => ({
    ...previewDocument(item),
    runbook: runbooks[at] ?? [],
  }));
  const notes = [
    ...findings.map(({ message, advice }) => `# ${message}; ${advice}`),
    ...(poolStands ? [`# the pool ${whole.pool?.name} is there: an earlier try made it`] : []),
    ...(whole.pool?.differences ?? [])
      .filter(({ matters }) => !matters)
      .map(({ what, why }) => `# ${what}: ${why}`),
    ...whole.items.flatMap(notesOf),
  ];
  const document = { ...common(whole.pool, findings), commands };
  const [single] = previews;
  return {
    document: set === undefined ? { ...single, ...document } : { set, ...document, restores: previews },
    text: [
      ...notes,
      ...(commands.length > 0 ? commands.map(showCommand) : [standsThere(whole.items)]),
      ...whole.items.flatMap((item, at) => runbookPreview(item, runbooks[at] ?? [])),
    ].join('\n'),
  };
}

/**
 * What was done, and whether all that matters agrees; the runbook of each Lustre target.
 *
 * @param here what this host says of itself, for the runbooks.
 */
export function restoredOutcome(
  restored: readonly RestoredItem[],
  { whole, findings }: Prepared,
  set: string | undefined,
  here: HostAttributes | null,
): Outcome {
  const runbooks = restored.map(({ item }) => runbookAfter(item, here));
  const documents = restored.map((each, at) => ({ ...restoredDocument(each), runbook: runbooks[at] ?? [] }));
  const failures = restored.flatMap(failureOfProof);
  const error = failures[0] ? { error: failureDocument(failures[0].failure) } : {};
  const [single] = documents;
  const document = { ...common(whole.pool, findings), ...error };
  return {
    document: set === undefined ? { ...single, ...document } : { set, ...document, restores: documents },
    text: [
      ...restored.flatMap(linesOf),
      ...restored.flatMap(({ item }, at) => runbookLines(item, runbooks[at] ?? [])),
    ].join('\n'),
    failures,
    exit: failures.length > 0 ? 1 : 0,
  };
}

function common(pool: Prepared['whole']['pool'], findings: Prepared['findings']) {
  return {
    pool: pool ? { name: pool.name, command: pool.command, differences: pool.differences } : null,
    findings,
  };
}

function previewDocument(item: RestoreItem) {
  const { looked, actions, settings } = item;
  const resume = resumeOf(item);
  const resumes = resume && {
    backup: resume.backup.backup,
    object: `${resume.token.object}`,
    offset: `${resume.token.offset}`,
  };
  const { target, again } = actions;
  return { plan: looked.plan, target, skipped: settings.skipped, resumes: resumes ?? null, again };
}

function restoredDocument({ item, received, differences }: RestoredItem) {
  const { plan, stored } = item.looked;
  return {
    plan,
    target: item.actions.target,
    received,
    guid: plan.wanted.guid,
    proof: { guid_matches: true, attributes: stored.dataset !== null, differences },
  };
}

/** Whether it is a Lustre target, the attributes say that were stored with it. */
export function isLustre({ looked: { stored } }: RestoreItem): boolean {
  return stored.dataset?.properties['lustre:svname'] !== undefined;
}

function runbookAfter({ looked, actions }: RestoreItem, here: HostAttributes | null): RunbookStep[] {
  const { plan, stored } = looked;
  const { dataset, guid } = plan.wanted;
  return runbookOf({ dataset, parsed: stored.parsed }, { target: actions.target, guid, here });
}

function runbookLines({ actions }: RestoreItem, steps: readonly RunbookStep[]): string[] {
  return steps.length > 0 ? ['', `What is to be done about ${actions.target} now:`, runbookText(steps)] : [];
}

/** As comments, like all in a dry run that is no command. */
function runbookPreview({ actions }: RestoreItem, steps: readonly RunbookStep[]): string[] {
  if (steps.length === 0) return [];
  const text = `What is to be done about ${actions.target} then:\n${runbookText(steps)}`;
  return ['', text.replace(/^/gm, '# ')];
}

function failureOfProof({ item, differences }: RestoredItem): { what: string; failure: ZkeepError }[] {
  const mattering = differences.filter(({ matters }) => matters);
  if (mattering.length === 0) return [];
  const { target } = item.actions;
  const list = mattering.map(({ name, property, why }) => `${property} of ${name} (${why})`);
  const message = `${target} holds the data of its snapshot, but not all is as it was: ${list.slice(0, 5).join('; ')}${list.length > 5 ? ` and ${list.length - 5} more` : ''}`;
  const failure = new ZkeepError('failed', 'restore.proof', message, {
    advice: 'see why, set it by hand with zfs set, or start the same command again',
    facts: { target, properties: list },
  });
  return [{ what: target, failure }];
}

/** What going on with an interrupted receive has spared. */
function resumedLine({ bytes, resumed, fetched_again: fetched }: Received): string[] {
  if (!resumed) return [];
  const { kept, sent_again: again } = resumed;
  return [
    `  gone on with after ${sizeInWords(kept)} of ${sizeInWords(bytes)}; ${sizeInWords(again)} were sent again, ${sizeInWords(fetched)} fetched again`,
  ];
}

function linesOf({ item, received, differences }: RestoredItem): string[] {
  const { plan, stored } = item.looked;
  const { guid, name, dataset, host } = plan.wanted;
  const { target } = item.actions;
  const stands = `${target} stands at @${name} (GUID ${guid}), of ${dataset} on ${host}`;
  const missing = stored.dataset
    ? []
    : ['  no attributes were stored with it: its properties are those of a new dataset'];
  return [
    received.length > 0 ? stands : `${target} stands there already`,
    ...received.flatMap(resumedLine),
    ...missing,
    ...differences.map((difference) => `  ${differenceInWords(difference)}`),
  ];
}

/** One property that is not as it was, in a line. */
export function differenceInWords({ name, property, stored, found, why }: ProofDifference): string {
  const was = stored ? `was ${shown(stored.value)} (${stored.source})` : 'was not there';
  const is = found ? `is ${shown(found.value)} (${found.source})` : 'is not there';
  return `${name} ${property}: ${was}, ${is}: ${why}`;
}

function shown(value: string): string {
  const text = JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}...` : value);
  return /^"[^\s"\\]+"$/.test(text) ? text.slice(1, -1) : text;
}

/** The interrupted receive that the first step goes on with. */
function resumeOf({ actions }: RestoreItem) {
  const [first] = actions.steps;
  return first?.resume ? { backup: first.backup, token: first.resume } : undefined;
}

function notesOf(item: RestoreItem): string[] {
  const { actions, looked, settings } = item;
  const { target, lost, again } = actions;
  const resume = resumeOf(item);
  return [
    ...(resume
      ? [
          `# goes on with the interrupted receive of @${resume.backup.name}, at object ${resume.token.object}, offset ${resume.token.offset}`,
        ]
      : []),
    ...(again === null ? [] : [`# an interrupted receive is thrown away: ${again}`]),
    ...lost.map(({ name }) => `# ${target}@${name} will be lost`),
    ...(looked.stored.dataset
      ? []
      : [`# no attributes were stored with ${looked.plan.wanted.dataset}@${looked.plan.wanted.name}`]),
    ...settings.skipped.map(
      ({ name, property, reason }) => `# ${property} of ${name} is left out: ${reason}`,
    ),
    ...[...settings.wraps.values()].flatMap(({ properties }) =>
      properties.size > 0
        ? [`# received with the last stream of ${target}: ${[...properties.keys()].join(', ')}`]
        : [],
    ),
  ];
}

function standsThere(items: readonly RestoreItem[]): string {
  return items.map(({ actions }) => `${actions.target} stands there already: nothing to do`).join('\n');
}
