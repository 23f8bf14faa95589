/** `zkeep lustre inspect`: what a stored MGT, MDT or OST says about itself, read from its streams. */
import type { Command } from 'commander';
import { ZkeepError } from '../../../catalog/errors.ts';
import type { TargetReport, TargetStream } from '../../../catalog/lustre/inspect/inspect.ts';
import type { OrphanWindow } from '../../../catalog/lustre/inspect/object-ids.ts';
import { type CommonOptions, readIdentities } from '../../settings.ts';
import type { WantedOptions } from '../../view/wanted.ts';
import {
  common,
  fromRepository,
  type Outcome,
  perform,
  type Surroundings,
  whichSnapshot,
} from '../command.ts';
import { withView } from '../connect.ts';

interface InspectOptions extends CommonOptions, WantedOptions {
  readonly stream: readonly string[];
  readonly lastId: readonly string[];
}

const EXAMPLE = `zkeep lustre inspect mdtpool/mdt0
zkeep lustre inspect mdtpool/mdt0 --at '2026-11-20 09:00' --last-id 0=289 --last-id 1=260
zkeep lustre inspect --stream full.zfs --stream increment.zfs`;

/** Adds the command below `zkeep lustre`. */
export function addLustreInspect(lustre: Command, exit: (code: number) => void): void {
  const command = lustre
    .command('inspect')
    .description('read from stored streams, without a pool, what a Lustre target says about itself')
    .argument('[dataset]', 'as it was called where it was backed up')
    .option(
      '--stream <file>',
      'read a file instead, or "-"; may be repeated: the full stream first',
      collect,
      [],
    )
    .option(
      '--last-id <index=id>',
      'LAST_ID of an OST: says how many objects a plain mount destroys (may be repeated)',
      collect,
      [],
    );
  fromRepository(whichSnapshot(command));
  common(command, EXAMPLE).action(async (dataset: string | undefined, options: InspectOptions) => {
    exit(await perform('lustre inspect', options, async (given) => await inspect(dataset, given)));
  });
}

async function inspect(
  dataset: string | undefined,
  surroundings: Surroundings<InspectOptions>,
): Promise<Outcome> {
  const { stream: files, lastId } = surroundings.options;
  if ((dataset === undefined) === (files.length === 0)) throw whatToRead();
  const { parseLastIds } = await import('../../lustre/inspect/last-ids.ts');
  const lastIds = parseLastIds(lastId);
  const report =
    dataset === undefined
      ? await inspectFiles(files, surroundings)
      : await inspectStored(dataset, surroundings);
  if (lastIds.size > 0 && !report.last_used) throw noMdt(report);
  const { orphanWindows } = await import('../../../catalog/lustre/inspect/object-ids.ts');
  const orphans = lastIds.size > 0 ? orphanWindows(report.last_used ?? [], lastIds) : null;
  return { document: { target: report, orphans }, text: await inWords(report, orphans) };
}

/** Only as much is read as is needed: each segment proves itself. */
async function inspectStored(
  dataset: string,
  surroundings: Surroundings<InspectOptions>,
): Promise<TargetReport> {
  const { options, progress, signal } = surroundings;
  const { wantedBy } = await import('../../view/wanted.ts');
  const wanted = wantedBy(dataset, options);
  const identities = options.identity === undefined ? [] : readIdentities(options.identity);
  const [{ checkIdentities }, { streamOf }] = await Promise.all([
    import('../../restore/run.ts'),
    import('../../restore/resume/stream.ts'),
  ]);
  const { inspectTarget } = await import('../../../catalog/lustre/inspect/inspect.ts');
  return await withView(surroundings, async (view) => {
    const { steps } = await view.plan({ wanted, have: [], rollback: false });
    checkIdentities(steps, identities);
    const manifests = [];
    for (const step of steps) manifests.push(await view.manifest(step));
    progress.begin(dataset);
    const read = reading((bytes) => progress.tell({ bytes }));
    const streams: TargetStream[] = manifests.map((manifest) => ({
      open: () => read(streamOf(manifest, { view, identities, signal })),
    }));
    return await inspectTarget(streams);
  });
}

/** Files are read to their ends, because nothing else proves them. */
async function inspectFiles(
  files: readonly string[],
  { progress, signal }: Surroundings<InspectOptions>,
): Promise<TargetReport> {
  const { openStreamFile } = await import('../../lustre/inspect/stream-file.ts');
  const { inspectTarget } = await import('../../../catalog/lustre/inspect/inspect.ts');
  progress.begin(files.join(', '));
  const read = reading((bytes) => progress.tell({ bytes }));
  const streams: TargetStream[] = files.map((file) => ({
    open: () => read(openStreamFile(file, signal)),
    once: file === '-',
  }));
  return await inspectTarget(streams, { whole: true });
}

/** Tells of all bytes that pass. */
function reading(tell: (bytes: number) => void) {
  let bytes = 0;
  return async function* (stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const piece of stream) {
      bytes += piece.length;
      tell(bytes);
      yield piece;
    }
  };
}

function collect(value: string, before: readonly string[]): string[] {
  return [...before, value];
}

async function inWords(report: TargetReport, orphans: readonly OrphanWindow[] | null): Promise<string> {
  const { orphansInWords, reportInWords } = await import('../../lustre/inspect/words.ts');
  const text = reportInWords(report);
  return orphans ? `${text}\n\n${orphansInWords(orphans)}` : text;
}

function whatToRead(): ZkeepError {
  return new ZkeepError('usage', 'inspect.what', 'name either a dataset or files, with --stream', {
    advice: 'zkeep lustre inspect DATASET, or zkeep lustre inspect --stream FILE',
  });
}

function noMdt({ snapshot, kind }: TargetReport): ZkeepError {
  return new ZkeepError('refused', 'inspect.no-mdt', `${snapshot.name} is an ${kind}: it has no lov_objid`, {
    advice: 'name the dataset of an MDT, or leave --last-id out',
    facts: { name: snapshot.name, kind },
  });
}
