/** What the preflight of a command says. */
import assert from 'node:assert/strict';
import { FindingsDocument, readDocument } from './documents.ts';
import { errorOf, type Lab } from './lab.ts';

/**
 * Runs a command with `--dry-run`, and gives what its preflight found: warnings where nothing
 * refuses, else what refuses.
 *
 * @returns `level code` of each, without `preflight.`.
 * @example assert.deepEqual(await findingsOf(lab, 'restore', 'tank/fs', '--to', 'no/fs'), ['refuse no-pool'])
 */
export async function findingsOf(lab: Lab, ...args: string[]): Promise<string[]> {
  const ended = await lab.zkeep([...args, '--dry-run', '--json']);
  if (ended.exit === 0) {
    const { findings } = readDocument(FindingsDocument, ended.stdout.toString('utf8'));
    return findings.map(({ level, code }) => `${level} ${bare(code)}`);
  }
  const { code, kind, facts } = errorOf(ended);
  assert.ok(kind === 'refused' || kind === 'full', `${ended.stdout} ${ended.stderr}`);
  const { codes = [code] } = facts;
  return Array.isArray(codes) ? codes.map((one) => `refuse ${bare(String(one))}`) : [];
}

function bare(code: string): string {
  return code.replace(/^preflight\./, '');
}
