import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Manifest, parseManifest, sourceId } from '../../../catalog/repository/manifest.ts';
import { parseGuid } from '../../../catalog/words.ts';
import { madeManifest } from './kept.ts';

const good = madeManifest();
const [segment] = good.segments;
assert.ok(segment);

const BAD: readonly [string, Partial<Record<keyof Manifest, unknown>>][] = [
  ['another snapshot than BEGIN names', { to: { guid: parseGuid('00000000000000ff'), name: 'x' } }],
  ['a base that BEGIN does not name', { from: { guid: parseGuid('00000000000000ff'), name: null } }],
  ['segments that hold less than the stream', { segments: [{ ...segment, size: segment.size - 1 }] }],
  ['a gap between segments', { segments: [segment, { ...segment, offset: segment.size + 1 }] }],
  ['a state of another place', { segments: [{ ...segment, state: { ...segment.state, at: 4 } }] }],
  ['an empty segment', { segments: [segment, { ...segment, offset: segment.size, size: 0 }] }],
  ['no segment', { segments: [] }],
  ['a digest in capitals', { segments: [{ ...segment, sha256: segment.sha256.toUpperCase() }] }],
  ['a dataset GUID in decimal', { source: { ...good.source, dataset_guid: '7' } }],
  ['an id that is no UUIDv7', { backup: '00000000-0000-4000-8000-000000000000' }],
];

test('a manifest that fits together is taken as it is', () => {
  assert.deepEqual(parseManifest(JSON.parse(JSON.stringify(good))), good);
});

for (const [what, change] of BAD) {
  test(`a manifest with ${what} is refused`, () => {
    assert.throws(() => parseManifest({ ...good, ...change }), { kind: 'damaged' });
  });
}

test('a manifest of a newer format is told apart from damage', () => {
  assert.throws(() => parseManifest({ ...good, format: 2 }), { kind: 'refused', code: 'manifest.newer' });
});

test('what is no manifest at all is refused', () => {
  for (const value of [null, 7, 'text', [], {}])
    assert.throws(() => parseManifest(value), { kind: 'damaged' });
});

test('a manifest may tell the GUID of its dataset, or not: an older zkeep did not, and passes over it', () => {
  const [pool_guid, dataset_guid] = [parseGuid('00000000000000aa'), parseGuid('00000000000000bb')];
  const told = { ...good.source, host: 'mds1', pool_guid, dataset_guid };
  for (const source of [good.source, told, { ...told, dataset_guid: null }]) {
    assert.deepEqual(parseManifest({ ...good, source }).source, source);
  }
  assert.equal(sourceId(told), '00000000000000aa/00000000000000bb/mds1');
  assert.equal(sourceId({ ...told, dataset_guid: null }), null);
  assert.equal(sourceId({ ...told, pool_guid: null }), null);
  assert.equal(sourceId(good.source), null);
  const newer = { ...good, source: { ...told, what_is_to_come: 7 } };
  assert.deepEqual(parseManifest(newer), newer, 'so does this one with what it does not know');
});
