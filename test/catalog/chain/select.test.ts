import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { SnapshotNode } from '../../../catalog/chain/graph.ts';
import { type Candidate, type Selection, selectSnapshot } from '../../../catalog/chain/select.ts';
import { ZkeepError } from '../../../catalog/errors.ts';
import { backupId, guid, node, parseLineage } from './graphs.ts';

const lineage = (number: number) => parseLineage(backupId(number));
const fs = (more: Selection = {}): Selection => ({ dataset: 'tank/fs', ...more });
const at = (number: number) => node(number).created;

function fails(candidates: Candidate[], wanted: Selection, kind: string, code: string): ZkeepError {
  let thrown: unknown;
  assert.throws(
    () => selectSnapshot(candidates, wanted),
    (error) => {
      thrown = error;
      return error instanceof ZkeepError;
    },
  );
  assert.ok(thrown instanceof ZkeepError);
  assert.deepEqual([thrown.kind, thrown.code], [kind, code]);
  return thrown;
}

test('without more words the newest is meant', () => {
  assert.equal(selectSnapshot([node(1), node(3), node(2)], fs()).guid, guid(3));
});

test('at a moment, the newest of that moment or before is meant', () => {
  const nodes = [node(1), node(2), node(3)];
  assert.equal(selectSnapshot(nodes, fs({ at: at(2) })).guid, guid(2));
  assert.equal(selectSnapshot(nodes, fs({ at: at(3) - 1 })).guid, guid(2));
});

test('before the oldest there is nothing, and the oldest is named', () => {
  const error = fails([node(2), node(3)], fs({ at: at(2) - 1 }), 'missing', 'chain.too-early');
  assert.match(error.message, /the oldest is @s2 of 2023-11-14T22:15:20\.000Z/);
});

test('of snapshots within one second the one kept later is the newer', () => {
  const twins = [
    { ...node(2), created: 5, kept: backupId(1) },
    { ...node(9), created: 5, kept: backupId(2) },
    { ...node(5), created: 5, kept: backupId(0) },
  ];
  assert.equal(selectSnapshot(twins, fs()).guid, guid(9));
  assert.equal(selectSnapshot(twins.toReversed(), fs({ at: 5 })).guid, guid(9));
});

test('a name that several snapshots bore is ambiguous, and a moment decides', () => {
  const nodes = [node(1, { name: 'daily' }), node(2), node(3, { name: 'daily' })];
  const error = fails(nodes, fs({ name: 'daily' }), 'usage', 'chain.ambiguous-snapshot');
  assert.deepEqual(error.facts['candidates'], [guid(3), guid(1)]);
  assert.match(error.message, /0000000000000003 of .*, 0000000000000001 of /);
  assert.equal(selectSnapshot(nodes, fs({ name: 'daily', at: at(2) })).guid, guid(1));
});

test('a GUID needs neither dataset nor host, and two readings of it are ambiguous when both are kept', () => {
  const nodes = [node(1), node(2, { host: 'beta', lineage: lineage(2) })];
  assert.equal(selectSnapshot(nodes, { guids: [guid(2), guid(9)] }).host, 'beta');
  fails(nodes, { guids: [guid(1), guid(2)] }, 'usage', 'chain.ambiguous-snapshot');
  fails(nodes, { guids: [guid(9)] }, 'missing', 'chain.no-such-snapshot');
  fails(nodes, { dataset: 'tank/other', guids: [guid(1)] }, 'missing', 'chain.no-such-snapshot');
});

test('one lineage is one dataset over several hosts', () => {
  assert.equal(selectSnapshot([node(1), node(2, { host: 'beta' })], fs()).guid, guid(2));
});

test('several lineages of one host are the history of one dataset', () => {
  assert.equal(selectSnapshot([node(1), node(2, { lineage: lineage(2) })], fs()).guid, guid(2));
});

test('several lineages of several hosts are ambiguous until the host is named', () => {
  const nodes = [node(1), node(2, { host: 'beta', lineage: lineage(2) })];
  const error = fails(nodes, fs(), 'usage', 'chain.ambiguous-host');
  assert.match(error.message, /alpha, beta/);
  assert.equal(selectSnapshot(nodes, fs({ host: 'alpha' })).guid, guid(1));
  fails(nodes, fs({ host: 'gamma' }), 'missing', 'chain.nothing-kept');
});

test('a dataset, a name or a moment that is not there is said so', () => {
  fails([node(1)], {}, 'usage', 'chain.no-dataset');
  fails([node(1)], { dataset: 'tank/none' }, 'missing', 'chain.nothing-kept');
  fails([node(1)], fs({ name: 'none' }), 'missing', 'chain.no-such-snapshot');
  fails([node(1)], fs({ at: Number.MIN_SAFE_INTEGER }), 'missing', 'chain.too-early');
});

test('any snapshots and any words: the same as a plain search', () => {
  const nodes = fc.array(
    fc.record({
      number: fc.integer({ min: 1, max: 8 }),
      name: fc.constantFrom('a', 'b', 'c'),
      created: fc.integer({ min: 1, max: 4 }),
    }),
  );
  const selections = fc.record(
    {
      at: fc.integer({ min: 0, max: 5 }),
      name: fc.constantFrom('a', 'b', 'd'),
      guids: fc.array(fc.integer({ min: 1, max: 9 }).map(guid), { minLength: 1, maxLength: 2 }),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(nodes, selections, (drafts, words) => {
      const candidates = drafts.map(({ number, ...more }) => node(number, more));
      assert.deepEqual(outcome(candidates, fs(words)), naive(candidates, words));
      assert.deepEqual(outcome(candidates.toReversed(), fs(words)), outcome(candidates, fs(words)));
    }),
    { numRuns: 2000 },
  );
});

function outcome(candidates: Candidate[], wanted: Selection): { guid?: string; kind?: string } {
  try {
    return { guid: selectSnapshot(candidates, wanted).guid };
  } catch (error) {
    assert.ok(error instanceof ZkeepError);
    return { kind: error.kind };
  }
}

function naive(candidates: SnapshotNode[], { at, name, guids }: Selection): { guid?: string; kind?: string } {
  let left = candidates;
  if (guids) left = left.filter((it) => guids.includes(it.guid));
  if (name !== undefined) left = left.filter((it) => it.name === name);
  if (at === undefined && (guids || name !== undefined) && new Set(left.map((it) => it.guid)).size > 1) {
    return { kind: 'usage' };
  }
  if (at !== undefined) left = left.filter((it) => it.created <= at);
  const newest = Math.max(...left.map((it) => it.created));
  const guid = left
    .filter((it) => it.created === newest)
    .map((it) => it.guid as string)
    .sort()[0];
  return guid === undefined ? { kind: 'missing' } : { guid };
}
