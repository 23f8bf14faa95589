import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Manifest, parseManifest } from '../../../catalog/repository/manifest.ts';
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
