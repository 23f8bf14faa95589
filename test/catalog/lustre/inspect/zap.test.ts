import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ZkeepError } from '../../../../catalog/errors.ts';
import type { KeptObject } from '../../../../catalog/lustre/inspect/objects.ts';
import { readZap } from '../../../../catalog/lustre/inspect/zap/zap.ts';
import { fatZap, microZap } from './made-target.ts';

function kept(bytes: Uint8Array, blockSize: number): KeptObject {
  const blocks = new Map<number, { bytes: Uint8Array; compression: number; size: number }>();
  for (let at = 0; at < bytes.length; at += blockSize) {
    const block = bytes.subarray(at, at + blockSize);
    blocks.set(at, { bytes: block, compression: 0, size: block.length });
  }
  return { number: 9, type: 20, blockSize, bonusType: 44, bonus: new Uint8Array(), blocks };
}

const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const name = (most: number) =>
  fc.string({ unit: fc.constantFrom(...'abcXYZ019._-é'), minLength: 1, maxLength: most });

test('a small table gives back the names and numbers that were put in', () => {
  fc.assert(
    fc.property(fc.dictionary(name(20), u64, { maxKeys: 60 }), (entries) => {
      const found = readZap(kept(microZap(entries, 8192), 8192), true, 'a table');
      assert.deepEqual(
        found,
        Object.entries(entries).map(([key, value]) => ({ name: key, values: [value] })),
      );
    }),
  );
});

test('a large table gives back names of any length and their numbers, over several leaves', () => {
  const entry = fc.tuple(name(60), fc.array(u64, { minLength: 1, maxLength: 5 }));
  const groups = fc.array(fc.array(entry, { maxLength: 12 }), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(groups, fc.boolean(), (made, table) => {
      const found = readZap(kept(fatZap(made, { table }), 16_384), true, 'a table');
      assert.deepEqual(
        found,
        made.flat().map(([key, values]) => ({ name: key, values })),
      );
    }),
  );
});

test('numbers of two bytes are read as such', () => {
  const layouts = kept(fatZap([[['2', [5n, 6n, 65_535n]]]], { width: 2 }), 16_384);
  assert.deepEqual(readZap(layouts, true, 'layouts'), [{ name: '2', values: [5n, 6n, 65_535n] }]);
});

test('a table with holes, or none at all, is an error in words', () => {
  const table = fatZap([[['one', [1n]]], [['two', [2n]]]]);
  const object = kept(table, 16_384);
  object.blocks.delete(32_768);
  assert.throws(() => readZap(object, true, 'CONFIGS'), /CONFIGS cannot be read/);
  assert.throws(() => readZap(kept(new Uint8Array(), 512), true, 'CONFIGS'), /no table of names/);
});

test('spoilt bytes give entries or an error in words, soon', () => {
  const sound = fatZap([
    [
      ['one', [1n, 2n, 3n]],
      ['a name that takes several chunks to hold', [4n]],
    ],
  ]);
  const edit = fc.record({ at: fc.nat({ max: sound.length - 1 }), value: fc.nat({ max: 255 }) });
  fc.assert(
    fc.property(
      fc.array(edit, { maxLength: 20 }),
      fc.constantFrom(512, 16_384),
      fc.boolean(),
      (edits, size, little) => {
        const bytes = Buffer.from(sound);
        for (const { at, value } of edits) bytes[at] = value;
        try {
          readZap(kept(bytes, size), little, 'a table');
        } catch (thrown) {
          assert.ok(thrown instanceof ZkeepError, String(thrown));
        }
      },
    ),
  );
});

test('leaves whose chunks lead in a circle, or to one another, end', () => {
  const table = fatZap([[['a name that takes several chunks to hold, and then some', [4n]]]]);
  const start = 16_384 + 48 + 1024;
  table.writeUInt16LE(1, start + 24 + 22); // the first chunk of the name leads to itself
  for (let chunk = 10; chunk < 600; chunk++) table.copy(table, start + chunk * 24, start, start + 24);
  const began = performance.now();
  assert.throws(() => readZap(kept(table, 16_384), true, 'a table'), /an entry of it is torn/);
  assert.ok(performance.now() - began < 1000);
});
