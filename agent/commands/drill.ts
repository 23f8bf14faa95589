/** `zkeep drill`: tries whether a snapshot can be restored, and gives the service the evidence. */
import type { Command } from 'commander';
import { systemClock } from '../../catalog/clock.ts';
import { ZkeepError } from '../../catalog/errors.ts';
import type { Wanted } from '../../catalog/protocol/protocol.ts';
import type { MarkedPlace } from '../drill/mark.ts';
import type { Drilled, PreparedDrill } from '../drill/run.ts';
import { type CommonOptions, readIdentities, stateFolder } from '../settings.ts';
import type { CatalogView } from '../view/view.ts';
import type { WantedOptions } from '../view/wanted.ts';
import {
  common,
  failureDocument,
  type Outcome,
  patient,
  perform,
  type Surroundings,
  whichSnapshot,
} from './command.ts';
import { accessOf, withView } from './connect.ts';

interface DrillOptions extends CommonOptions, WantedOptions {
  readonly to?: string;
  readonly random?: boolean;
  readonly keep?: boolean;
  readonly dryRun?: boolean;
  readonly list?: boolean;
}

const EXAMPLE = `zkeep drill tank/home --to scratch/drill
zkeep drill --random --to scratch/drill
zkeep drill --list`;

export function addDrill(program: Command, exit: (code: number) => void): void {
  const command = program
    .command('drill')
    .description(
      'restore a snapshot to a scratch place, compare it, destroy it again; exits 0 when it passed',
    )
    .argument('[dataset]', 'as it was called where it was backed up; else one whose last drill is long ago')
    .option('--to <place>', 'pool or dataset that is there; the drill makes a dataset of its own below it')
    .option('--random', 'a random snapshot, not the newest')
    .option('--keep', 'leave what was restored')
    .option('--dry-run', 'print the commands that would be run')
    .option('--list', 'the drills that were, the newest first')
    .option('--identity <file>', 'age identity file, for an encrypted repository');
  common(patient(whichSnapshot(command)), EXAMPLE).action(
    async (dataset: string | undefined, options: DrillOptions) => {
      const work = options.list ? list : drill;
      exit(await perform('drill', options, async (surroundings) => await work(dataset, surroundings)));
    },
  );
}

async function drill(
  dataset: string | undefined,
  surroundings: Surroundings<DrillOptions>,
): Promise<Outcome> {
  const { options, progress, signal } = surroundings;
  const scratch = checkOptions(dataset, options);
  const identities = options.identity === undefined ? [] : readIdentities(options.identity);
  const { drillPlace } = await import('../drill/place.ts');
  const { drillPlacesIn, markNow } = await import('../drill/mark.ts');
  const { performDrill, prepareDrill } = await import('../drill/run.ts');
  const { listSource } = await import('../zfs/list.ts');
  const place = drillPlace(scratch, markNow(systemClock.now(), options.keep === true));
  const access = await accessOf(surroundings);
  return await withView(surroundings, async (view) => {
    const wanted = await wantedOf(dataset, surroundings, view);
    await listSource(scratch, signal);
    const places = await drillPlacesIn(scratch, signal);
    await tellEarlier(places, surroundings);
    const earlier = places.map(({ container }) => container);
    const ready = await prepareDrill(wanted, place, { view, identities, signal });
    if (options.dryRun) return await preview(ready, earlier, options.keep === true);
    for (const { message, advice } of ready.prepared.findings) progress.note(`${message}; ${advice}`);
    const { Ledgers } = await import('../restore/resume/ledger.ts');
    const { hostname } = await import('node:os');
    const tools = { view, identities, progress, ledgers: new Ledgers(stateFolder()), signal };
    const how = { host: hostname(), keep: options.keep === true };
    const drilled = await performDrill(ready, tools, how);
    const { reportDrill } = await import('../service/drills.ts');
    await reportDrill(access, drilled.drill, signal);
    return await outcomeOf(drilled, ready, earlier, how.keep);
  });
}

/** @returns the scratch place. */
function checkOptions(dataset: string | undefined, options: DrillOptions): string {
  const { to, at, snapshot, guid, random } = options;
  if (to === undefined)
    throw unclear('nothing says where to restore to', 'name a scratch place: --to POOL/DATASET');
  const exact = [at, snapshot, guid].some((given) => given !== undefined);
  if (exact && random) throw unclear('--random and a snapshot are given', 'leave one of them out');
  if (exact && dataset === undefined) {
    throw unclear(
      'a snapshot is named, but no dataset',
      'name the dataset as well, or let chance decide both',
    );
  }
  return to;
}

/** What is to be tried; chance decides what nobody named. */
async function wantedOf(
  dataset: string | undefined,
  surroundings: Surroundings<DrillOptions>,
  view: CatalogView,
): Promise<Wanted> {
  const { options, signal } = surroundings;
  const { datasetByChance, pointByChance } = await import('../drill/wanted.ts');
  const { wantedBy } = await import('../view/wanted.ts');
  const { host, random } = options;
  const query = host === undefined ? {} : { host };
  const wanted =
    dataset === undefined
      ? await datasetByChance(await accessOf(surroundings), { query, fits: () => true }, signal)
      : wantedBy(dataset, options);
  return random ? await pointByChance(wanted, view) : wanted;
}

async function tellEarlier(places: readonly MarkedPlace[], { progress }: Surroundings): Promise<void> {
  const { clearCommand } = await import('../drill/place.ts');
  const { isAtDrill } = await import('../drill/mark.ts');
  const { showCommand } = await import('../zfs/failure.ts');
  for (const place of places) {
    const { container, says } = place;
    const clear = showCommand(clearCommand(container));
    if (isAtDrill(place)) progress.note(`${container} is of a drill that runs`);
    else {
      const why = says?.kept ? 'kept what it restored' : 'was killed';
      progress.note(`${container} is of a drill that ${why}; to clear it: ${clear}`);
    }
  }
}

async function preview(
  { place, prepared, item }: PreparedDrill,
  earlier: readonly string[],
  keep: boolean,
): Promise<Outcome> {
  const { allCommands } = await import('../restore/whole.ts');
  const { clearCommand } = await import('../drill/place.ts');
  const { sendCommand, sendFlags } = await import('../zfs/send.ts');
  const { showCommand } = await import('../zfs/failure.ts');
  const { plan, manifests } = item.looked;
  const { hasFeature } = await import('../../catalog/stream/features.ts');
  const encrypted = manifests.some(({ stream: { begin } }) => hasFeature(begin, 'RAW'));
  const to = `${place.target}@${plan.wanted.name}`;
  const commands = [
    ...allCommands(prepared.whole),
    sendCommand({ to, from: undefined, flags: sendFlags({ encrypted }) }),
    ...(keep ? [] : [clearCommand(place.container)]),
  ];
  return {
    document: { plan, target: place.target, commands, earlier, findings: prepared.findings },
    text: [
      `# ${plan.wanted.dataset}@${plan.wanted.name} of ${plan.wanted.host}`,
      ...prepared.findings.map(({ message, advice }) => `# ${message}; ${advice}`),
      ...commands.map(showCommand),
    ].join('\n'),
  };
}

async function outcomeOf(
  { drill: found, left }: Drilled,
  { place, item }: PreparedDrill,
  earlier: readonly string[],
  keep: boolean,
): Promise<Outcome> {
  const { durationInWords, sizeInWords } = await import('../output/words.ts');
  const what = `${found.dataset}@${found.name} of ${item.looked.plan.wanted.host}`;
  const failure = found.passed ? left : failedDrill(what, found.problems, place.target);
  const failures = failure === undefined ? [] : [{ what: 'zkeep drill', failure }];
  const restored = `${sizeInWords(found.bytes)} in ${durationInWords(found.restore_seconds)}`;
  return {
    document: {
      drill: found,
      kept: keep ? place.container : null,
      earlier,
      ...(failure === undefined ? {} : { error: failureDocument(failure) }),
    },
    text: [
      ...(found.passed
        ? [
            `${what} passed: ${restored}, ${found.objects} objects and ${found.properties} properties compared in ${durationInWords(found.compare_seconds)}`,
          ]
        : []),
      ...(keep ? [`kept as ${place.target}; to clear it: zfs destroy -r ${place.container}`] : []),
    ].join('\n'),
    failures,
    exit: failures.length > 0 ? 1 : 0,
  };
}

async function list(dataset: string | undefined, surroundings: Surroundings<DrillOptions>): Promise<Outcome> {
  const { askDrills } = await import('../service/drills.ts');
  const { host } = surroundings.options;
  const meant = { ...(dataset === undefined ? {} : { dataset }), ...(host === undefined ? {} : { host }) };
  const { drills } = await askDrills(await accessOf(surroundings), meant, surroundings.signal);
  const { table } = await import('../output/table.ts');
  const { durationInWords, momentInWords, sizeInWords } = await import('../output/words.ts');
  const rows = drills.map((one) => [
    momentInWords(Date.parse(one.at) / 1000),
    one.passed ? 'passed' : 'failed',
    `${one.dataset}@${one.name}`,
    one.host,
    sizeInWords(one.bytes),
    durationInWords(one.restore_seconds),
    one.problems[0] ?? '',
  ]);
  const titles = [
    ...[{ title: 'when' }, { title: 'result' }, { title: 'snapshot' }, { title: 'tried on' }],
    ...[{ title: 'size', right: true }, { title: 'restore', right: true }, { title: 'problem' }],
  ];
  return {
    document: { drills },
    text:
      rows.length > 0
        ? table(titles, rows)
        : `there was no drill${dataset === undefined ? '' : ` of ${dataset}`} yet`,
  };
}

function failedDrill(what: string, problems: readonly string[], target: string): ZkeepError {
  return new ZkeepError(
    'failed',
    'drill.failed',
    `the drill of ${what} did not pass: ${problems.join('; ')}`,
    {
      advice:
        'zkeep verify --deep shows whether what is stored is whole; --keep leaves what was restored, to look at',
      facts: { target, problems: [...problems] },
    },
  );
}

function unclear(what: string, advice: string): ZkeepError {
  return new ZkeepError('usage', 'drill.options', what, { advice });
}
