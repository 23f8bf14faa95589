/** `zkeep import`: keeps streams that are already files. */
import type { Command } from 'commander';
import { messageOf, ZkeepError } from '../../catalog/errors.ts';
import type { Amount } from '../output/progress.ts';
import type { CommonOptions } from '../settings.ts';
import { common, exitCodeOf, failureDocument, type Outcome, perform, type Surroundings } from './command.ts';
import { withClient } from './connect.ts';

interface ImportOptions extends CommonOptions {
  readonly dataset: string;
  readonly host?: string;
  readonly file?: string;
}

const EXAMPLE = `zkeep import --dataset tank/home < home.zfs
zfs send -R tank/home@daily | zkeep import --dataset tank/home`;

export function addImport(program: Command, exit: (code: number) => void): void {
  const command = program
    .command('import')
    .description('store a stream that zfs send wrote; a package (-R, -I, -p) is split into its streams')
    .requiredOption('--dataset <name>', 'the name to keep it under; datasets below keep their place below')
    .option('--host <name>', 'the host to keep it under, instead of this one')
    .option('--file <file>', 'read it from a file instead of standard input');
  common(command, EXAMPLE).action(async (options: ImportOptions) => {
    exit(await perform('import', options, importStream));
  });
}

async function importStream(surroundings: Surroundings<ImportOptions>): Promise<Outcome> {
  const { options, progress, signal } = surroundings;
  const { parseDataset } = await import('../zfs/names.ts');
  const dataset = parseDataset(options.dataset);
  const source = await openSource(options.file, signal);
  const results = await withClient(surroundings, async (client) => {
    const repository = await client.repository(signal);
    const { importStreams } = await import('../backup/import.ts');
    progress.begin(dataset);
    const onProgress = (amount: Amount) => progress.tell(amount);
    return await importStreams(
      source,
      { dataset, host: options.host },
      { client, repository, onProgress, signal },
    );
  });
  const { exitOf, resultDocument, resultInWords } = await import('../backup/results.ts');
  const failure = results.find(({ outcome }) => outcome === 'failed')?.failure;
  return {
    document: {
      backups: results.map((result) => resultDocument(result, failureDocument)),
      ...(failure === undefined ? {} : { error: failureDocument(failure) }),
    },
    text: results.map(resultInWords).join('\n'),
    exit: isDamaged(failure) ? exitCodeOf(failure) : exitOf(results, exitCodeOf),
  };
}

async function openSource(file: string | undefined, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
  const { addAbortSignal } = await import('node:stream');
  if (file === undefined) {
    if (!process.stdin.isTTY) return addAbortSignal(signal, process.stdin);
    throw new ZkeepError('usage', 'import.terminal', 'standard input is a terminal, not a stream', {
      advice: 'zkeep import --dataset NAME < FILE, or --file FILE',
    });
  }
  const { open } = await import('node:fs/promises');
  try {
    const handle = await open(file, 'r');
    if ((await handle.stat()).isDirectory()) throw new Error('it is a folder');
    return addAbortSignal(signal, handle.createReadStream({ highWaterMark: 1024 * 1024 }));
  } catch (cause) {
    const absent = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
    throw new ZkeepError(
      absent ? 'missing' : 'denied',
      'import.unreadable',
      `cannot read ${file}: ${messageOf(cause)}`,
      {
        facts: { file },
        cause,
      },
    );
  }
}

/** A file that is damaged anywhere is damaged, whatever was stored of it before. */
function isDamaged(failure: unknown): boolean {
  return failure instanceof ZkeepError && failure.kind === 'damaged';
}
