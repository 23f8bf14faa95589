import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { expectedFeatures, takenBy } from '../../../agent/migrate/preflight.ts';
import type { ObjectAttributes, Property } from '../../../catalog/attributes/attributes.ts';
import { featureNames } from '../../../catalog/stream/features.ts';

const stored = (properties: Record<string, Property>): ObjectAttributes => {
  return { name: 'old/a', kind: 'filesystem', properties };
};
const size = (value: string): Property => ({ value, source: 'local' });

describe('the streams of a migration', () => {
  it('are expected to be compressed, or raw where the dataset is encrypted', () => {
    assert.deepEqual(featureNames(expectedFeatures(stored({}), false)), ['COMPRESSED']);
    assert.deepEqual(featureNames(expectedFeatures(stored({}), true)), ['RAW']);
  });

  it('are expected to hold large blocks where records are that large', () => {
    const names = (properties: Record<string, Property>) =>
      featureNames(expectedFeatures(stored(properties), false));
    assert.ok(names({ recordsize: size('1048576') }).includes('LARGE_BLOCKS'));
    assert.ok(!names({ recordsize: size('131072') }).includes('LARGE_BLOCKS'));
    assert.ok(!names({ volblocksize: size('16384') }).includes('LARGE_BLOCKS'));
  });
});

describe('the room that a migration takes', () => {
  const bytes = (value: number): Property => ({ value: String(value), source: 'none' });
  const object = stored({ referenced: bytes(5), usedbydataset: bytes(4), usedbysnapshots: bytes(3) });
  const steps = (count: number) => ({ steps: Array(count).fill({}) });

  it('is what is there now, and with the history also what its snapshots keep', () => {
    assert.equal(takenBy(object, steps(1)), 5);
    assert.equal(takenBy(object, steps(3)), 7);
    assert.equal(takenBy(stored({ usedbydataset: bytes(4) }), steps(3)), null);
  });
});
