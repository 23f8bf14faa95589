/** Which open backups are of the datasets that are asked for, and what else belongs to their sets. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type MatchQuestion, matchOpen } from '../../../../agent/backup/resume/find.ts';
import { missingMembers } from '../../../../agent/backup/resume/members.ts';
import { guidOf } from '../../../../catalog/words.ts';
import { OWN, point, row, SET, source } from './facts.ts';

const SOURCES = [source('tank/a', [point('tank/a', OWN, 7)]), source('tank/b', [point('tank/b', OWN, 8)])];

function match(more: Partial<MatchQuestion>) {
  const pools = new Map([['tank', guidOf(99n)]]);
  const question = { rows: [row()], sources: SOURCES, trees: [], host: 'here', pools, ...more };
  return matchOpen(question).map(({ source: found, moved }) => [found?.dataset, moved]);
}

describe('an open backup', () => {
  it('belongs to the dataset of its host and name', () => {
    assert.deepEqual(match({}), [['tank/a', false]]);
  });

  it('belongs to it even when its snapshot is gone', () => {
    assert.deepEqual(match({ sources: [source('tank/a', [])] }), [['tank/a', false]]);
  });

  it('follows its snapshot to another name in the same pool', () => {
    const sources = [source('tank/new', [point('tank/new', OWN, 7)])];
    assert.deepEqual(match({ sources }), [['tank/new', true]]);
  });

  it('follows its pool to another host', () => {
    assert.deepEqual(match({ host: 'there' }), [['tank/a', true]]);
  });

  it('is not one of a copy in another pool, or of a dataset that only has its name on another host', () => {
    const sources = [source('other/a', [point('other/a', OWN, 7)])];
    assert.deepEqual(match({ sources, pools: new Map([['other', guidOf(98n)]]) }), []);
    const elsewhere = { ...row().source, host: 'there', pool_guid: null };
    assert.deepEqual(match({ rows: [row({ source: elsewhere })] }), []);
  });

  it('of a dataset that is gone is found when all above it was asked for', () => {
    assert.deepEqual(match({ sources: [], trees: ['tank'] }), [[undefined, false]]);
    assert.deepEqual(match({ sources: [], trees: ['tan'] }), []);
    assert.deepEqual(match({ sources: [], trees: [] }), []);
  });
});

describe('the rest of a set that was interrupted', () => {
  const taken = (dataset: string, guid: number, txg: bigint) =>
    source(dataset, [point(dataset, OWN, guid, { createtxg: txg })]);
  const finished = [{ dataset: 'tank/a', snapshot: OWN, set: SET }];
  const sources = [
    taken('tank/a', 7, 5n),
    taken('tank/b', 8, 5n),
    taken('tank/c', 9, 6n),
    taken('one/d', 10, 5n),
  ];
  const facts = {
    finished,
    sources,
    stored: new Set([guidOf(0n)]),
    open: new Set([guidOf(7n)]),
    isOneMoment: false,
  };
  const names = (more: Partial<typeof facts> = {}) =>
    missingMembers({ ...facts, ...more }).flatMap((set) => set.sources.map(({ dataset }) => dataset));

  it('is what the same transaction of the same pool took', () => {
    assert.deepEqual(names(), ['tank/b']);
    assert.equal(missingMembers(facts)[0]?.set, SET);
  });

  it('is all of that name where they are the targets of one file system', () => {
    assert.deepEqual(names({ isOneMoment: true }), ['tank/b', 'tank/c', 'one/d']);
  });

  it('is not what is stored or open already, nor what others named', () => {
    assert.deepEqual(names({ open: new Set([guidOf(7n), guidOf(8n)]) }), []);
    assert.deepEqual(names({ stored: new Set([guidOf(8n)]) }), []);
    assert.deepEqual(names({ finished: [{ dataset: 'tank/a', snapshot: 'daily', set: SET }] }), []);
  });
});
