/** Pages: a list goes on after the key of the last row, so it stays fast and whole while backups come and go. */
import { ZkeepError } from '../../errors.ts';
import { DEFAULT_PAGE, MAX_PAGE } from '../../protocol/pages.ts';
import type { Value } from '../tables/database.ts';

/** Which part of a list. */
export interface PageRequest {
  /** `next` of the page before. */
  readonly after?: string;
  /** Rows, at most {@link MAX_PAGE}. */
  readonly limit?: number;
}

/** A part of a list. */
export interface Page<T> {
  readonly items: T[];
  /** To be given as `after` for the next page; `null`: this was the last one. */
  readonly next: string | null;
}

/** A key of the last row on a page: its values in the order of the list. */
export type Key = readonly (string | number)[];

/**
 * Rows in a page.
 *
 * @throws {ZkeepError} `usage` when it is not from 1 to {@link MAX_PAGE}.
 */
export function limitOf({ limit = DEFAULT_PAGE }: PageRequest): number {
  if (Number.isInteger(limit) && limit >= 1 && limit <= MAX_PAGE) return limit;
  throw new ZkeepError('usage', 'index.limit', `a page of ${limit} rows cannot be had`, {
    advice: `ask for 1 to ${MAX_PAGE}`,
    facts: { limit },
  });
}

/**
 * The key after which a page begins.
 *
 * @param shape the type of each value; other keys are not this list's.
 * @throws {ZkeepError} `usage` when `after` was not made by {@link pageOf} for such a list.
 */
export function keyAfter({ after }: PageRequest, shape: readonly ('string' | 'number')[]): Key | undefined {
  if (after === undefined) return undefined;
  const key = parse(after);
  const fits = key.length === shape.length && key.every((value, at) => typeof value === shape[at]);
  if (fits) return key.filter((value) => typeof value === 'string' || typeof value === 'number');
  throw new ZkeepError('usage', 'index.after', `no page ended at ${JSON.stringify(after.slice(0, 80))}`, {
    advice: 'give "next" of the page before, or nothing for the first page',
  });
}

/**
 * A page from rows that were asked for one beyond its limit.
 *
 * @example pageOf(rows, limit, (row) => [row.created, row.backup])
 */
export function pageOf<T>(rows: readonly T[], limit: number, keyOf: (row: T) => Key): Page<T> {
  const items = rows.slice(0, limit);
  const last = rows.length > limit ? items[limit - 1] : undefined;
  return {
    items,
    next: last === undefined ? null : Buffer.from(JSON.stringify(keyOf(last))).toString('base64url'),
  };
}

/** Conditions of a WHERE, joined, with their values. */
export class Conditions {
  readonly #texts: string[] = [];
  readonly #values: Value[] = [];

  /** Adds one, unless its value is absent. */
  add(text: string, value: Value | undefined): this {
    return value === undefined ? this : this.addAll(text, [value]);
  }

  /** Adds one with several values, unless they are absent. */
  addAll(text: string, values: readonly Value[] | undefined): this {
    if (!values) return this;
    this.#texts.push(text);
    this.#values.push(...values);
    return this;
  }

  get where(): string {
    return this.#texts.length > 0 ? `WHERE ${this.#texts.join(' AND ')}` : '';
  }

  get values(): readonly Value[] {
    return this.#values;
  }
}

function parse(after: string): unknown[] {
  try {
    const key: unknown = JSON.parse(Buffer.from(after, 'base64url').toString());
    return Array.isArray(key) ? key : [];
  } catch {
    return [];
  }
}
