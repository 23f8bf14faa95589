/** `zkeep export`: a stored stream, as it was sent. */
import type { Command } from 'commander';
import { ZkeepError } from '../../catalog/errors.ts';
import { type CommonOptions, readIdentities } from '../settings.ts';
import type { WantedOptions } from '../view/wanted.ts';
import {
  common,
  fromRepository,
  type Outcome,
  patient,
  perform,
  type Surroundings,
  whichSnapshot,
} from './command.ts';
import { withView } from './connect.ts';

interface ExportOptions extends CommonOptions, WantedOptions {
  readonly from?: string;
  readonly output?: string;
}

const EXAMPLE = `zkeep export tank/home > home.zfs
zkeep export tank/home --snapshot daily-2 --from daily-1 | zfs receive new/home`;

export function addExport(program: Command, exit: (code: number) => void): void {
  const command = program
    .command('export')
    .description('write one stored stream to standard output, or to a file')
    .argument('<dataset>', 'as it was called where it was backed up')
    .option('--from <base>', 'the stream from this snapshot (name or GUID), or from "nothing": a full one')
    .option('--output <file>', 'write to a file, which appears only when it is whole');
  fromRepository(whichSnapshot(command));
  common(patient(command), EXAMPLE).action(async (dataset: string, options: ExportOptions) => {
    exit(await perform('export', options, async (surroundings) => await exportStream(dataset, surroundings)));
  });
}

async function exportStream(dataset: string, surroundings: Surroundings<ExportOptions>): Promise<Outcome> {
  const { options, progress, signal } = surroundings;
  if (options.json && options.output === undefined) throw jsonNeedsFile();
  const { findWanted, wantedBy } = await import('../view/wanted.ts');
  const wanted = wantedBy(dataset, options);
  const identities = options.identity === undefined ? [] : readIdentities(options.identity);
  return await withView(surroundings, async (view) => {
    const { backups, names } = await findWanted(view, wanted);
    const { baseInWords, chooseStream, writeFileWhole, writeStandardOutput } = await import(
      '../restore/export.ts'
    );
    const chosen = chooseStream(backups, names, options.from);
    const { checkIdentities, streamOf } = await import('../restore/run.ts');
    checkIdentities([chosen], identities);
    const { backup, from, to, bytes, name } = chosen;
    const base = baseInWords(from, names);
    if (from !== null && !options.quiet) progress.note(`@${name} is kept as an increment from ${base}`);
    progress.begin(`${dataset}@${name}`);
    const raw = streamOf(await view.manifest(chosen), { view, identities, signal });
    const told = counted(raw, (done) => progress.tell({ bytes: done, total: bytes }));
    if (options.output === undefined) {
      await writeStandardOutput(told);
      return {};
    }
    await writeFileWhole(options.output, told);
    return {
      document: { backup, from, to, bytes, output: options.output },
      text: `${options.output}: ${bytes} bytes, ${dataset}@${name} from ${base}`,
    };
  });
}

async function* counted(
  raw: AsyncIterable<Uint8Array>,
  tell: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of raw) {
    bytes += chunk.length;
    tell(bytes);
    yield chunk;
  }
}

function jsonNeedsFile(): ZkeepError {
  return new ZkeepError('usage', 'export.json', 'with --json, the stream cannot go to standard output', {
    advice: 'name a file: --output FILE',
  });
}
