/** `zkeep export`: a stored stream, as it was sent. */
import type { Command } from 'commander';
import { ZkeepError } from '../../catalog/errors.ts';
import type { BackupSummary } from '../../catalog/protocol/protocol.ts';
import type { Reading } from '../restore/resume/stream.ts';
import { type CommonOptions, readIdentities } from '../settings.ts';
import type { CatalogView } from '../view/view.ts';
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
  readonly resumeToken?: string;
}

const EXAMPLE = `zkeep export tank/home > home.zfs
zkeep export tank/home --snapshot daily-2 --from daily-1 | zfs receive new/home
zkeep export --resume-token 1-b6d9c12e6-b8-789c6360 | zfs receive -s new/home`;

export function addExport(program: Command, exit: (code: number) => void): void {
  const command = program
    .command('export')
    .description('write one stored stream to standard output, or to a file')
    .argument('[dataset]', 'as it was called where it was backed up')
    .option('--from <base>', 'the stream from this snapshot (name or GUID), or from "nothing": a full one')
    .option(
      '--resume-token <token>',
      'what an interrupted zfs receive -s still lacks: its receive_resume_token',
    )
    .option('--output <file>', 'write to a file, which appears only when it is whole');
  fromRepository(whichSnapshot(command));
  common(patient(command), EXAMPLE).action(async (dataset: string | undefined, options: ExportOptions) => {
    exit(await perform('export', options, async (surroundings) => await exportStream(dataset, surroundings)));
  });
}

/** What is written, and what is said of it. */
interface Exported {
  readonly backup: BackupSummary;
  readonly stream: (reading: Reading) => AsyncIterable<Uint8Array>;
  readonly bytes: number;
  /** The snapshot and its base, for people. */
  readonly words: string;
  readonly note: string | undefined;
  readonly more?: Readonly<Record<string, unknown>>;
}

async function exportStream(
  dataset: string | undefined,
  surroundings: Surroundings<ExportOptions>,
): Promise<Outcome> {
  const { options, progress, signal } = surroundings;
  const { output } = options;
  if (options.json && output === undefined) throw jsonNeedsFile();
  const choose = await choosing(dataset, options);
  const identities = options.identity === undefined ? [] : readIdentities(options.identity);
  const { sharedPool } = await import('../../catalog/repository/segment/threads/pool.ts');
  sharedPool().start();
  return await withView(surroundings, async (view) => {
    const chosen = await choose(view);
    const { checkIdentities } = await import('../restore/run.ts');
    const { writeFileWhole, writeStandardOutput } = await import('../restore/export.ts');
    const { backup, from, to } = chosen.backup;
    checkIdentities([chosen.backup], identities);
    if (chosen.note !== undefined && !options.quiet) progress.note(chosen.note);
    progress.begin(chosen.words);
    let bytes = 0;
    const told = counted(chosen.stream({ view, identities, signal }), (done) => {
      bytes = done;
      progress.tell({ bytes: done, total: chosen.bytes });
    });
    if (output === undefined) {
      await writeStandardOutput(told);
      return {};
    }
    await writeFileWhole(output, told);
    return {
      document: { backup, from, to, bytes, output, ...chosen.more },
      text: `${output}: ${bytes} bytes, ${chosen.words}`,
    };
  });
}

/** Which stream, checked before anybody is asked. */
async function choosing(
  dataset: string | undefined,
  options: ExportOptions,
): Promise<(view: CatalogView) => Promise<Exported>> {
  if (options.resumeToken !== undefined) return await choosingRest(dataset, options.resumeToken, options);
  if (dataset === undefined) throw unclear('neither a dataset nor a resume token is named');
  const { findWanted, wantedBy } = await import('../view/wanted.ts');
  const wanted = wantedBy(dataset, options);
  return async (view) => {
    const { backups, names } = await findWanted(view, wanted);
    const { baseInWords, chooseStream } = await import('../restore/export.ts');
    const { streamOf } = await import('../restore/resume/stream.ts');
    const backup = chooseStream(backups, names, options.from);
    const manifest = await view.manifest(backup);
    const { from, name, bytes } = backup;
    const base = baseInWords(from, names);
    const note = from === null ? undefined : `@${name} is kept as an increment from ${base}`;
    const words = `${dataset}@${name} from ${base}`;
    return { backup, stream: (reading) => streamOf(manifest, reading), bytes, words, note };
  };
}

/** What an interrupted receive still lacks, by the token that it left. */
async function choosingRest(
  dataset: string | undefined,
  text: string,
  { from, at, snapshot, guid, host }: ExportOptions,
): Promise<(view: CatalogView) => Promise<Exported>> {
  if ([from, at, snapshot, guid].some((given) => given !== undefined)) {
    throw unclear('a resume token says itself which stream it is of');
  }
  const { decodeToken } = await import('../../catalog/stream/resuming/token.ts');
  const token = decodeToken(text);
  return async (view) => {
    const { findStreamOf } = await import('../restore/export.ts');
    const { restOf, restPosition } = await import('../restore/resume/stream.ts');
    const meant = { ...(dataset === undefined ? {} : { dataset }), ...(host === undefined ? {} : { host }) };
    const { backup, manifest } = await findStreamOf(view, token, meant);
    const { name, bytes } = backup;
    const kept = restPosition(manifest, token);
    const words = `the rest of ${backup.dataset}@${name} from object ${token.object}, offset ${token.offset}`;
    const more = { resumes: { object: `${token.object}`, offset: `${token.offset}`, kept } };
    return {
      backup,
      stream: (reading: Reading) => restOf(manifest, token, reading),
      bytes: bytes - kept,
      words,
      note: undefined,
      more,
    };
  };
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

function unclear(what: string): ZkeepError {
  return new ZkeepError('usage', 'export.wanted', what, {
    advice: 'name one dataset, or --resume-token TOKEN alone',
  });
}
