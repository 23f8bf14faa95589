/** `zkeep verify`: whether what is kept is whole. */
import { join } from 'node:path';
import type { Command } from 'commander';
import { systemClock } from '../../catalog/clock.ts';
import { parseDuration } from '../../catalog/durations.ts';
import { EXIT_CODES, ZkeepError } from '../../catalog/errors.ts';
import type { VerifyOptions, VerifyReport } from '../../catalog/repository/verify.ts';
import { counted, printable, sizeInWords } from '../output/words.ts';
import type { Proving } from '../service/proving.ts';
import { type CommonOptions, readIdentities, stateFolder } from '../settings.ts';
import type { Reported } from '../verify/reporter.ts';
import type { CatalogView } from '../view/view.ts';
import { common, fromRepository, type Outcome, patient, perform, type Surroundings } from './command.ts';
import { withProving, withView } from './connect.ts';
import { mustBeKept } from './kept.ts';

interface VerifyCommandOptions extends CommonOptions {
  readonly deep?: boolean;
  readonly report?: boolean;
  readonly olderThan?: string;
}

const EXAMPLE = `zkeep verify
zkeep verify tank/home --deep
zkeep verify --repository s3://backups/zkeep --deep
zkeep verify --deep --identity key.txt --report --older-than 90d`;

export function addVerify(program: Command, exit: (code: number) => void): void {
  const command = program
    .command('verify')
    .description('check that every backup is whole')
    .argument('[dataset]', 'only backups of this dataset')
    .option('--deep', 'read, decode and check every byte, not only that every object is there')
    .option('--report', 'tell the service what is proven and what is damaged (needs an operator token)')
    .option(
      '--older-than <duration>',
      'with --report: only backups without a proof within it, the oldest first',
    );
  common(patient(fromRepository(command)), EXAMPLE).action(
    async (dataset: string | undefined, options: VerifyCommandOptions) => {
      exit(await perform('verify', options, async (surroundings) => await verify(dataset, surroundings)));
    },
  );
}

async function verify(
  dataset: string | undefined,
  surroundings: Surroundings<VerifyCommandOptions>,
): Promise<Outcome> {
  const { options, progress, signal } = surroundings;
  if (options.olderThan !== undefined && options.report !== true) throw onlyWithReport();
  const identities = options.identity === undefined ? [] : readIdentities(options.identity);
  const verifying: VerifyOptions = {
    deep: options.deep === true,
    ...(dataset === undefined ? {} : { dataset }),
    identities,
    onProgress: ({ bytes }) => progress.tell({ bytes }),
    signal,
  };
  const { report, reported, names } = await withView(surroundings, async (view) => {
    progress.begin('verify');
    const verified =
      options.report === true
        ? await withProving(
            surroundings,
            async (proving) => await verifyAndReport(view, proving, verifying, options.olderThan),
          )
        : { report: await view.verify(verifying), reported: null };
    const { backups, problems } = verified.report;
    if (dataset !== undefined && backups + problems.length === 0) await mustBeKept(view, { dataset });
    return { ...verified, names: await namesOf(view, problems) };
  });
  return {
    document: { ...report, reported },
    text: [
      ...problemsInWords(report, names),
      summaryInWords(report, reported),
      ...whatToDo(report, options),
    ].join('\n'),
    exit: report.problems.length === 0 ? 0 : EXIT_CODES.damaged,
  };
}

/** The same, and the service learns of each backup; what was cut off goes on in the same backup. */
async function verifyAndReport(
  view: CatalogView,
  proving: Proving,
  verifying: VerifyOptions,
  olderThan: string | undefined,
): Promise<{ report: VerifyReport; reported: Reported }> {
  const { signal, dataset, deep } = verifying;
  const id = await proving.repositoryId(signal);
  if ((await view.repositoryId()) !== id) throw otherRepository(view.location);
  // Asked before anything is read: an agent's token is turned away here.
  await proving.report({ proofs: [], damage: [] }, signal);
  const { Reporter, dueNames } = await import('../verify/reporter.ts');
  const { PlaceFile } = await import('../verify/places.ts');
  const reporter = new Reporter(proving, systemClock);
  const depth = deep ? ('deep' as const) : ('light' as const);
  const due = (period: string) => {
    const before = new Date(systemClock.now() - parseDuration(period)).toISOString();
    return dueNames(
      { proving, view },
      { depth, before, ...(dataset === undefined ? {} : { dataset }) },
      signal,
    );
  };
  try {
    const report = await view.verify({
      ...verifying,
      ...(olderThan === undefined ? {} : { names: due(olderThan) }),
      places: new PlaceFile(join(stateFolder(), 'verify', `${id}.json`), systemClock),
      onExamined: async (examined) => await reporter.take(examined, signal),
    });
    await reporter.flush(signal);
    return { report, reported: reporter.reported };
  } catch (thrown) {
    // What was proven until then was read for nothing otherwise.
    await reporter.flush(AbortSignal.timeout(LAST_REPORT)).catch(() => undefined);
    throw thrown;
  }
}

/** Backups with problems whose snapshots are looked up. */
const MOST_NAMED = 100;

/** How long the service is waited for once the command is to end, milliseconds. */
const LAST_REPORT = 10_000;

/** The snapshots of damaged backups, of the first ones, by their ids. */
async function namesOf(
  view: CatalogView,
  problems: VerifyReport['problems'],
): Promise<ReadonlyMap<string, string>> {
  const names = new Map<string, string>();
  const backups = new Set(problems.flatMap(({ backup }) => backup ?? []));
  for (const backup of [...backups].slice(0, MOST_NAMED)) {
    try {
      const { dataset, name, host } = await view.backup(backup);
      names.set(backup, `${dataset}@${name} on ${host}`);
    } catch (thrown) {
      // A manifest that cannot be read, or is gone, names nothing: that is the very problem.
      if (!(thrown instanceof ZkeepError) || !['missing', 'damaged'].includes(thrown.kind)) throw thrown;
    }
  }
  return names;
}

function problemsInWords({ problems }: VerifyReport, names: ReadonlyMap<string, string>): string[] {
  return problems.map(({ backup, key, message }) => {
    if (backup === null) return printable(`${key ?? 'repository'}: ${message}`);
    const name = names.get(backup);
    const what = name === undefined ? `backup ${backup}` : `${name}, backup ${backup}`;
    return printable(`${what}${key === null ? '' : `, ${key}`}: ${message}`);
  });
}

function summaryInWords(
  { backups, segments, checksums, bytes, frames, problems }: VerifyReport,
  reported: Reported | null,
): string {
  const looked = [
    counted(backups, 'backup'),
    counted(segments, 'segment'),
    sizeInWords(bytes),
    ...(checksums > 0 ? [`${counted(checksums, 'checksum')} told by the store`] : []),
    ...(frames > 0 ? [`${counted(frames, 'frame')} decoded twice`] : []),
  ];
  const end = problems.length === 0 ? 'all is well' : counted(problems.length, 'problem');
  const told = reported
    ? [`reported: ${counted(reported.proofs, 'proof')}, ${reported.damage} damaged (zkeep damage)`]
    : [];
  return [`${looked.join(', ')}: ${end}`, ...told].join('\n');
}

/** Damage that nobody reports stays in the way of plans and of the next backup. */
function whatToDo(
  { problems }: VerifyReport,
  { report, repository }: Pick<VerifyCommandOptions, 'report' | 'repository'>,
): string[] {
  if (report === true || repository !== undefined || !problems.some(({ damage }) => damage)) return [];
  return [
    'what to do: the same with --report, by an operator, so that no plan reads it and the next backup goes around it',
  ];
}

function onlyWithReport(): ZkeepError {
  return new ZkeepError('usage', 'verify.older-than', '--older-than asks the service for its proofs', {
    advice: 'use it with --report',
  });
}

function otherRepository(location: string): ZkeepError {
  return new ZkeepError('refused', 'verify.other-repository', `${location} is not what the service keeps`, {
    advice: 'what is found in one repository says nothing about another: check --repository and --service',
    facts: { location },
  });
}
