import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { AgentJob, CheckIn } from '../../../catalog/protocol/agents.ts';
import { outcomeChanges } from '../../../server/agents/changes.ts';

const TIME = '2027-01-15T08:00:00.000Z';
const job = (failing: boolean, more: Partial<AgentJob> = {}): AgentJob => ({
  name: 'nightly',
  datasets: ['tank/a', 'tank/b'],
  schedule: 'every day',
  next: null,
  running: false,
  last: { started: TIME, ended: TIME, outcome: failing ? 'failed' : 'done', words: 'no room', stored: 0 },
  failing,
  ...more,
});
const said = (...jobs: AgentJob[]): CheckIn => ({ host: 'h', version: '1', clock: 0, jobs });

describe('what the journal is told of an agent', () => {
  it('is that a job fails, once, with its datasets and words', () => {
    const facts = outcomeChanges(said(job(false)), said(job(true)));
    assert.deepEqual(facts, [
      { kind: 'run.failed', host: 'h', job: 'nightly', datasets: ['tank/a', 'tank/b'], words: 'no room' },
    ]);
    assert.deepEqual(outcomeChanges(said(job(true)), said(job(true))), []);
    assert.equal(outcomeChanges(undefined, said(job(true))).length, 1);
  });

  it('names only those that could not be stored, a hundred at most', () => {
    const failed = Array.from({ length: 100 }, (_, n) => `tank/${n}`);
    const last = { started: TIME, ended: TIME, outcome: 'partly' as const, words: '', stored: 1, failed };
    const [fact] = outcomeChanges(undefined, said(job(true, { last })));
    assert.deepEqual(fact?.kind === 'run.failed' && fact.datasets, failed);
    const many = Array.from({ length: 500 }, (_, n) => `tank/${n}`);
    const [bounded] = outcomeChanges(undefined, said(job(true, { datasets: many })));
    assert.equal(bounded?.kind === 'run.failed' && bounded.datasets.length, 100);
  });

  it('is that it is well again', () => {
    assert.deepEqual(outcomeChanges(said(job(true)), said(job(false))), [
      { kind: 'run.recovered', host: 'h', job: 'nightly' },
    ]);
  });

  it('is nothing of jobs that were always well, are gone, or are new and well', () => {
    assert.deepEqual(outcomeChanges(undefined, said(job(false))), []);
    assert.deepEqual(outcomeChanges(said(job(true)), said()), []);
    assert.deepEqual(outcomeChanges(said(), said(job(false))), []);
  });
});
