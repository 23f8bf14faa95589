/** `zkeep import`: keeps streams that are already files. */
import type { Command } from 'commander';
import { messageOf, ZkeepError } from '../../catalog/errors.ts';
import type { AttributesOf } from '../backup/import.ts';
import type { Amount } from '../output/progress.ts';
import type { CommonOptions } from '../settings.ts';
import {
  common,
  exitCodeOf,
  failureDocument,
  limited,
  type Outcome,
  patient,
  perform,
  type Surroundings,
  throttleOf,
} from './command.ts';
import { withClient } from './connect.ts';

interface ImportOptions extends CommonOptions {
  readonly dataset: string;
  readonly host?: string;
  readonly file?: string;
  readonly poolAttributes?: string;
  readonly datasetAttributes?: string;
  readonly limit?: string;
}

const EXAMPLE = `zkeep import --dataset tank/home < home.zfs
zfs send -R tank/home@daily | zkeep import --dataset tank/home
zkeep import --dataset mgspool/mgt --file mgt.zfs \\
    --pool-attributes mgspool.attr --dataset-attributes mgspool.mgt.attr`;

export function addImport(program: Command, exit: (code: number) => void): void {
  const command = program
    .command('import')
    .description('store a stream that zfs send wrote; a package (-R, -I, -p) is split into its streams')
    .requiredOption('--dataset <name>', 'the name to keep it under; datasets below keep their place below')
    .option('--host <name>', 'the host to keep it under, instead of this one')
    .option('--file <file>', 'read it from a file instead of standard input')
    .option('--pool-attributes <file>', 'keep what "zpool get all POOL" printed into this file')
    .option('--dataset-attributes <file>', 'keep what "zfs get -rHp all POOL" printed into this file');
  common(patient(limited(command)), EXAMPLE).action(async (options: ImportOptions) => {
    exit(await perform('import', options, importStream));
  });
}

async function importStream(surroundings: Surroundings<ImportOptions>): Promise<Outcome> {
  const { options, progress, signal } = surroundings;
  const { parseDataset } = await import('../zfs/names.ts');
  const dataset = parseDataset(options.dataset);
  const attributesOf = await handMade(options);
  const throttle = await throttleOf(options);
  const { stream, size } = await openSource(options.file, signal);
  const { sharedPool } = await import('../../catalog/repository/segment/threads/pool.ts');
  sharedPool().start();
  const results = await withClient(surroundings, async (client) => {
    const repository = await client.repository(signal);
    const { importStreams } = await import('../backup/import.ts');
    progress.begin(dataset);
    const onProgress = (amount: Amount) => progress.tell({ ...amount, total: size });
    return await importStreams(
      stream,
      { dataset, host: options.host },
      { client, repository, onProgress, signal, throttle, ...(attributesOf ? { attributesOf } : {}) },
    );
  });
  const { exitOf, failuresOf, resultDocument, storedInWords } = await import('../backup/results.ts');
  const failures = failuresOf(results);
  const [first] = failures;
  return {
    document: {
      backups: results.map((result) => resultDocument(result, failureDocument)),
      ...(first ? { error: failureDocument(first.failure) } : {}),
    },
    text: storedInWords(results),
    failures,
    exit: isDamaged(first?.failure) ? exitCodeOf(first?.failure) : exitOf(results, exitCodeOf),
  };
}

async function handMade({
  poolAttributes: pool,
  datasetAttributes: datasets,
}: ImportOptions): Promise<AttributesOf | undefined> {
  if (pool === undefined && datasets === undefined) return undefined;
  const { readHandMade } = await import('../backup/hand-made.ts');
  return await readHandMade({ pool, datasets });
}

/** What is read, and how long it is where that is known. */
interface StreamSource {
  readonly stream: AsyncIterable<Uint8Array>;
  readonly size: number | undefined;
}

async function openSource(file: string | undefined, signal: AbortSignal): Promise<StreamSource> {
  const { fstatSync, openSync } = await import('node:fs');
  const { readPieces } = await import('../backup/upload/pieces.ts');
  if (file === undefined && process.stdin.isTTY) throw fromTerminal();
  try {
    const fd = file === undefined ? 0 : openSync(file, 'r');
    const facts = fstatSync(fd);
    if (facts.isDirectory()) throw new Error('it is a folder');
    return { stream: readPieces(fd, signal), size: facts.isFile() ? facts.size : undefined };
  } catch (cause) {
    throw unreadable(file ?? 'standard input', cause);
  }
}

function fromTerminal(): ZkeepError {
  return new ZkeepError('usage', 'import.terminal', 'standard input is a terminal, not a stream', {
    advice: 'zkeep import --dataset NAME < FILE, or --file FILE',
  });
}

function unreadable(file: string, cause: unknown): ZkeepError {
  const absent = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
  const message = `cannot read ${file}: ${messageOf(cause)}`;
  return new ZkeepError(absent ? 'missing' : 'denied', 'import.unreadable', message, {
    facts: { file },
    cause,
  });
}

/** A file that is damaged anywhere is damaged, whatever was stored of it before. */
function isDamaged(failure: unknown): boolean {
  return failure instanceof ZkeepError && failure.kind === 'damaged';
}
