import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  chainFlagsOf,
  FEATURES,
  featureNames,
  hasFeature,
  poolFeaturesOf,
  unreceivableFeatures,
} from '../../../catalog/stream/features.ts';
import { StreamReader } from '../../../catalog/stream/reader.ts';
import { recordedStream } from '../../fixtures/recorded-streams.ts';

/** The BEGIN of a recorded stream. */
function beginOf(name: string) {
  const reader = new StreamReader();
  reader.write(recordedStream(name));
  return reader.end().begin;
}

test('no two features have the same bit', () => {
  const bits = Object.values(FEATURES).map(({ bit }) => bit);
  assert.equal(new Set(bits).size, bits.length);
});

test('bits are named in their order, and unknown ones by their number', () => {
  assert.deepEqual(featureNames('0'), []);
  assert.deepEqual(featureNames('100004'), ['SA_SPILL', 'RESUMING']);
  assert.deepEqual(featureNames('80000000000000'), ['bit 55']);
});

test('the flags of recorded streams are what they were sent with', () => {
  assert.deepEqual(featureNames(beginOf('full').features), ['SA_SPILL']);
  assert.deepEqual(featureNames(beginOf('zvol').features), []);
  assert.deepEqual(featureNames(beginOf('compressed-c-zstd').features), [
    'SA_SPILL',
    'LZ4',
    'COMPRESSED',
    'ZSTD',
  ]);
  assert.deepEqual(featureNames(beginOf('redacted').features), ['SA_SPILL', 'REDACTED']);
  assert.deepEqual(chainFlagsOf(beginOf('full')), { raw: false, large_blocks: false });
  assert.deepEqual(chainFlagsOf(beginOf('large-L')), { raw: false, large_blocks: true });
  assert.deepEqual(chainFlagsOf(beginOf('raw-w')), { raw: true, large_blocks: false });
  assert.equal(hasFeature(beginOf('raw-w'), 'RAW'), true);
  assert.equal(hasFeature(beginOf('full'), 'RAW'), false);
});

test('a receiver’s pool needs the features that the stream uses', () => {
  assert.deepEqual(poolFeaturesOf(beginOf('full')), []);
  assert.deepEqual(poolFeaturesOf(beginOf('embedded-Lec')), ['embedded_data', 'lz4_compress']);
  assert.deepEqual(poolFeaturesOf(beginOf('compressed-c-zstd')), ['lz4_compress', 'zstd_compress']);
  assert.deepEqual(poolFeaturesOf(beginOf('large-L')), ['large_blocks']);
  assert.deepEqual(poolFeaturesOf(beginOf('raw-w')), ['lz4_compress', 'encryption']);
  assert.deepEqual(poolFeaturesOf(beginOf('redacted')), ['redacted_datasets']);
  assert.deepEqual(poolFeaturesOf(beginOf('lustre-mdt0-full-s1')), [
    'embedded_data',
    'lz4_compress',
    'large_dnode',
  ]);
});

test('what no receiver takes is named', () => {
  assert.deepEqual(unreceivableFeatures({ features: '5' }), ['DEDUP']);
  assert.deepEqual(unreceivableFeatures({ features: '40000004' }), ['bit 30']);
  assert.deepEqual(unreceivableFeatures(beginOf('embedded-Lec')), []);
});
