/** How these tests ask an index. */
import assert from 'node:assert/strict';
import { ZkeepError } from '../../../catalog/errors.ts';

/** All pages as one list. */
export function allPages<Key extends string, T>(
  read: (after: { after?: string }) => { [key in Key]: T[] } & { next: string | null },
  key: Key,
): T[] {
  const rows: T[] = [];
  for (let page = read({}); ; page = read({ after: page.next })) {
    rows.push(...page[key]);
    if (page.next === null) return rows;
  }
}

/** What came of it; what was thrown must be an error of zkeep's. */
export function outcomeOf<T>(work: () => T): T | ZkeepError {
  try {
    return work();
  } catch (error) {
    assert.ok(error instanceof ZkeepError, String(error));
    return error;
  }
}
