/** What a run of zkeep said of itself, read without its schemas: a soak must go on whatever it says. */
import type { Ended } from '../parts/command.ts';

export interface Ending {
  readonly exit: number | undefined;
  readonly signal: string | undefined;
  /** Of the failure, `undefined` where there is none. */
  readonly code: string | undefined;
  /** In the words of the results, figures and names left out, so that they can be counted. */
  readonly reasons: readonly string[];
  /** Raw bytes that it says it sent once more, and those that it needed not send. */
  readonly sentAgain: number;
  readonly kept: number;
  /** How interrupted backups were gone on with: `resumed`, `again`, `committed`. */
  readonly ways: readonly string[];
  /** Interrupted backups that were ended, or a partial receive that was thrown away: in its words. */
  readonly thrownAway: string | undefined;
  /** An error that no interruption excuses. */
  readonly isFault: boolean;
  readonly printed: string;
}

/** What a cut must never lead to, whenever it comes: a stream or an object that is not what it must be, a slip of ours. */
const FAULTS = /^(damaged|usage)$/;

export function endingOf({ exit, signal, stdout, stderr }: Ended): Ending {
  const printed = stdout.toString('utf8');
  const document = parse(printed);
  const error = failureIn(document);
  return {
    exit,
    signal,
    code: error?.code ?? (exit === 0 || exit === undefined ? undefined : `exit ${exit}`),
    reasons: [...new Set([...valuesOf(document, 'reason')].map((reason) => withoutFigures(String(reason))))],
    ways: [...valuesOf(document, 'how')].map(String),
    thrownAway: /^.*(?:is thrown away|cannot be gone on with).*$/m.exec(stderr)?.[0],
    sentAgain: sumOf(valuesOf(document, 'sent_again')),
    kept: sumOf(valuesOf(document, 'kept')),
    isFault: exit !== 0 && exit !== undefined && (error === undefined || FAULTS.test(error.kind)),
    printed: `exit ${exit} ${signal ?? ''}\n${printed}\n${stderr}`,
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function failureIn(value: unknown): { kind: string; code: string } | undefined {
  if (typeof value !== 'object' || value === null || !('error' in value)) return undefined;
  const { error } = value;
  if (typeof error !== 'object' || error === null || !('kind' in error) || !('code' in error))
    return undefined;
  return { kind: String(error.kind), code: String(error.code) };
}

/** What stands under a name, wherever it does. */
function* valuesOf(value: unknown, name: string): Generator<unknown> {
  if (typeof value !== 'object' || value === null) return;
  for (const [key, held] of Object.entries(value)) {
    if (key === name && (typeof held === 'string' || typeof held === 'number')) yield held;
    else yield* valuesOf(held, name);
  }
}

function sumOf(values: Iterable<unknown>): number {
  return [...values].reduce((sum: number, value) => sum + Number(value), 0);
}

function withoutFigures(words: string): string {
  return words
    .replaceAll(/\b[a-z-]+\/[\w./@#-]+/g, '...')
    .replaceAll(/(zkeep-|round-)[0-9TZ]+/g, '...')
    .replaceAll(/\b[0-9a-f]{16}\b/g, '...')
    .replaceAll(/[0-9][0-9.,]*( [KMG]?i?B)?/g, 'n')
    .slice(0, 160);
}
