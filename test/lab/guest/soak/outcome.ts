/** What a run of zkeep said of itself, read without its schemas: a soak must go on whatever it says. */
import type { Ended } from '../parts/command.ts';

export interface Ending {
  readonly exit: number | undefined;
  readonly signal: string | undefined;
  /** Of the failure, `undefined` where there is none. */
  readonly code: string | undefined;
  /** In the words of the results, figures and names left out, so that they can be counted. */
  readonly reasons: readonly string[];
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
    reasons: [...reasonsIn(document)],
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

/** Every `reason`, wherever it stands. */
function* reasonsIn(value: unknown): Generator<string> {
  if (typeof value !== 'object' || value === null) return;
  for (const [key, held] of Object.entries(value)) {
    if (key === 'reason' && typeof held === 'string') yield withoutFigures(held);
    else yield* reasonsIn(held);
  }
}

function withoutFigures(words: string): string {
  return words
    .replaceAll(/\b[a-z-]+\/[\w./@#-]+/g, '...')
    .replaceAll(/(zkeep-|round-)[0-9TZ]+/g, '...')
    .replaceAll(/\b[0-9a-f]{16}\b/g, '...')
    .replaceAll(/[0-9][0-9.,]*( [KMG]?i?B)?/g, 'n')
    .slice(0, 160);
}
