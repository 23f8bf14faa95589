/** How the streams of one command fared: for documents, for people, and as an exit code. */
import type { Guid } from '../../catalog/words.ts';
import { durationInWords, sizeInWords } from '../output/words.ts';

/** One stream: stored now, stored already, or not stored. */
export interface StoredResult {
  readonly dataset: string;
  readonly outcome: 'stored' | 'already' | 'failed';
  readonly kind: 'full' | 'incremental' | null;
  readonly backup: string | null;
  readonly from: Guid | null;
  readonly to: Guid | null;
  /** The part after `@`. */
  readonly snapshot: string | null;
  readonly bytes: number;
  readonly stored: number;
  readonly seconds: number;
  /** What was thrown; `undefined` unless it failed. */
  readonly failure: unknown;
}

/** Of several that failed for different reasons. */
const SOME_FAILED = 7;

/** The result of a stream of which nothing was stored. */
export function failedResult(
  facts: Pick<StoredResult, 'dataset' | 'kind' | 'snapshot'> & Partial<StoredResult>,
  failure: unknown,
): StoredResult {
  return {
    outcome: 'failed',
    backup: null,
    from: null,
    to: null,
    bytes: 0,
    stored: 0,
    seconds: 0,
    ...facts,
    failure,
  };
}

/** What documents say of a result. */
export function resultDocument(
  { failure, ...result }: StoredResult,
  describe: (failure: unknown) => unknown,
): Readonly<Record<string, unknown>> {
  return { ...result, error: failure === undefined ? null : describe(failure) };
}

/** The exit code of all: that of the failure when all failed alike, 7 when only some did, or for different reasons. */
export function exitOf(results: readonly StoredResult[], codeOf: (failure: unknown) => number): number {
  const codes = results.filter(({ outcome }) => outcome === 'failed').map(({ failure }) => codeOf(failure));
  const [first] = codes;
  if (first === undefined) return 0;
  return codes.length === results.length && codes.every((code) => code === first) ? first : SOME_FAILED;
}

/** A line for each stream that is stored. */
export function storedInWords(results: readonly StoredResult[]): string {
  return results
    .filter(({ outcome }) => outcome !== 'failed')
    .map((result) => {
      const { outcome, kind, bytes, stored, seconds, backup } = result;
      if (outcome === 'already') return `already  ${nameOf(result)}  as ${backup}`;
      const sizes = `${sizeInWords(bytes)} as ${sizeInWords(stored)} in ${durationInWords(seconds)}`;
      return `stored   ${nameOf(result)}  ${kind}, ${sizes}, ${backup}`;
    })
    .join('\n');
}

/** Those that are not, with the reason. */
export function failuresOf(results: readonly StoredResult[]): { what: string; failure: unknown }[] {
  return results
    .filter(({ outcome }) => outcome === 'failed')
    .map((result) => ({ what: nameOf(result), failure: result.failure }));
}

function nameOf({ dataset, snapshot }: StoredResult): string {
  return snapshot === null ? dataset : `${dataset}@${snapshot}`;
}
