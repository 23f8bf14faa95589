/** What all commands share: their options, and how what they did or failed at is told. */
import type { Command } from 'commander';
import { systemClock } from '../../catalog/clock.ts';
import { EXIT_CODES, messageOf, ZkeepError } from '../../catalog/errors.ts';
import type { Throttle } from '../backup/upload/throttle.ts';
import { Progress } from '../output/progress.ts';
import { printable } from '../output/words.ts';
import type { CommonOptions } from '../settings.ts';

/** The version of the JSON documents. */
const DOCUMENT_VERSION = 1;
/** As after any end by SIGINT. */
const INTERRUPTED = 130;

/** What a command did: the document for scripts, and the words for people. */
export interface Outcome {
  /** Without `zkeep` and `command`; none when the command's result is a stream on standard output. */
  readonly document?: Readonly<Record<string, unknown>>;
  readonly text?: string;
  /** What failed of it, for people, who are told on standard error; the document says it its own way. */
  readonly failures?: readonly { readonly what: string; readonly failure: unknown }[];
  /** 0 unless said. */
  readonly exit?: number;
}

/** What a command works with. */
export interface Surroundings<Options extends CommonOptions = CommonOptions> {
  readonly options: Options;
  readonly progress: Progress;
  /** Aborts at the first SIGINT, SIGTERM or SIGHUP. */
  readonly signal: AbortSignal;
}

/** Adds the options that every command has, and its example. */
export function common(command: Command, example: string): Command {
  return command
    .option(
      '--service <url>',
      'address of the catalog service (ZKEEP_SERVICE; default http://127.0.0.1:8470)',
    )
    .option(
      '--token-file <file>',
      'file with the token (ZKEEP_TOKEN_FILE, ZKEEP_TOKEN; default /etc/zkeep/token)',
    )
    .option('--json', 'one JSON document on standard output, no progress')
    .option('--quiet', 'no progress')
    .addHelpText('after', `\nExample:\n${example.replace(/^/gm, '  ')}`);
}

/** Adds the options of commands that can do without the service. */
export function fromRepository(command: Command): Command {
  return command
    .option(
      '--repository <place>',
      'read the repository itself: a folder, or s3://bucket/prefix?endpoint=...',
    )
    .option('--identity <file>', 'age identity file, for an encrypted repository');
}

/** Adds the option of commands that move streams, which should not fail for a passing trouble. */
export function patient(command: Command): Command {
  return command.option(
    '--patience <duration>',
    'wait so long for a service or a store that is away, slow or full (ZKEEP_PATIENCE; default 15m; 0: not at all)',
  );
}

/** Adds the option of commands that store. */
export function limited(command: Command): Command {
  return command.option('--limit <rate>', 'send no faster than this, such as "20 MiB/s"');
}

/**
 * What bounds the rate of a command that stores.
 *
 * @throws {ZkeepError} `usage` for what is no rate.
 */
export async function throttleOf({ limit }: { readonly limit?: string }): Promise<Throttle | undefined> {
  if (limit === undefined) return undefined;
  const { parseRate } = await import('../../catalog/rates.ts');
  const { Throttle: Made } = await import('../backup/upload/throttle.ts');
  const rate = parseRate(limit);
  return new Made(() => rate);
}

/** Adds the options that say which snapshot is wanted. */
export function whichSnapshot(command: Command): Command {
  return command
    .option(
      '--at <time>',
      "the newest snapshot at that time: 2026-11-20T09:00:00Z, or '2026-11-20 09:00' local",
    )
    .option('--snapshot <name>', 'the snapshot of that name')
    .option('--guid <guid>', 'the snapshot with that ZFS GUID, hex or decimal')
    .option('--host <name>', 'the host that it is from, where several have a dataset of that name');
}

/**
 * Runs a command's work, prints its outcome or its failure, and gives the exit code.
 *
 * @param name the command's name in documents and messages.
 */
export async function perform<Options extends CommonOptions>(
  name: string,
  options: Options,
  work: (surroundings: Surroundings<Options>) => Promise<Outcome>,
): Promise<number> {
  const { signal, forget } = interruption();
  const silent = options.quiet === true || options.json === true;
  const progress = new Progress(process.stderr, systemClock, silent);
  try {
    const outcome = await work({ options, progress, signal });
    progress.clear();
    await print(options.json === true ? documentText(name, outcome.document) : (outcome.text ?? ''));
    for (const { what, failure } of options.json === true ? [] : (outcome.failures ?? []))
      complain(what, failure);
    return outcome.exit ?? 0;
  } catch (thrown) {
    progress.clear();
    // Whatever an interrupted piece of work throws, the reason is the interruption.
    const reason: unknown = signal.aborted ? signal.reason : thrown;
    await tellFailure(name, reason, options.json === true);
    return exitCodeOf(reason);
  } finally {
    forget();
  }
}

/** The exit code for whatever was thrown. */
export function exitCodeOf(thrown: unknown): number {
  if (!(thrown instanceof ZkeepError)) return EXIT_CODES.failed;
  return thrown.code === 'agent.interrupted' ? INTERRUPTED : EXIT_CODES[thrown.kind];
}

/** A failure in the shape of documents, whatever was thrown. */
export function failureDocument(thrown: unknown): ReturnType<ZkeepError['toJSON']> {
  return foreseen(thrown).toJSON();
}

/** Tells of a failure of the whole command. */
export async function tellFailure(name: string | undefined, thrown: unknown, json: boolean): Promise<void> {
  if (json) await print(documentText(name ?? null, { error: failureDocument(thrown) }));
  else complain(name === undefined ? 'zkeep' : `zkeep ${name}`, thrown);
}

/** One line what, one line what to do. A stack only where it was asked for. */
function complain(what: string, thrown: unknown): void {
  const { message, advice } = foreseen(thrown);
  process.stderr.write(`${printable(what)}: ${printable(message)}\n`);
  if (advice !== undefined) process.stderr.write(`  what to do: ${printable(advice)}\n`);
  if (process.env['ZKEEP_DEBUG']) console.error(thrown);
}

/** Writes to standard output and waits until it is taken; a reader that has left is no failure. */
async function print(text: string): Promise<void> {
  if (text === '') return;
  await new Promise<void>((resolve, reject) => {
    process.stdout.write(text.endsWith('\n') ? text : `${text}\n`, (thrown) => {
      if (thrown && !('code' in thrown && thrown.code === 'EPIPE')) reject(thrown);
      else resolve();
    });
  });
}

function documentText(command: string | null, document: Outcome['document']): string {
  return document === undefined ? '' : JSON.stringify({ zkeep: DOCUMENT_VERSION, command, ...document });
}

function foreseen(thrown: unknown): ZkeepError {
  if (thrown instanceof ZkeepError) return thrown;
  return new ZkeepError('failed', 'agent.unforeseen', `something unforeseen: ${messageOf(thrown)}`, {
    advice: 'please report it, with what ZKEEP_DEBUG=1 prints',
    cause: thrown,
  });
}

/** The first signal asks the work to end in order, the second ends it at once. */
function interruption(): { signal: AbortSignal; forget: () => void } {
  const stop = new AbortController();
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  const heard = (name: NodeJS.Signals) => {
    if (stop.signal.aborted) process.exit(INTERRUPTED);
    stop.abort(new ZkeepError('failed', 'agent.interrupted', `interrupted by ${name}`));
  };
  for (const name of signals) process.on(name, heard);
  const forget = () => {
    for (const name of signals) process.off(name, heard);
  };
  return { signal: stop.signal, forget };
}
