import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FLETCHER4_ROOM, Fletcher4 } from '../../../catalog/stream/fletcher4.ts';
import { hexOf, plainFletcher4 } from './parts.ts';

const order = fc.constantFrom('little' as const, 'big' as const);
/** Bytes, and the places at which they are cut into buffers. */
const cutBytes = fc
  .uint8Array({ maxLength: 3000 })
  .chain((bytes) => fc.tuple(fc.constant(bytes), fc.array(fc.nat(bytes.length), { maxLength: 8 })));

const pieces = (bytes: Uint8Array, cuts: number[]) => {
  const places = [0, ...cuts.toSorted((one, other) => one - other), bytes.length];
  return places.slice(1).map((end, n) => bytes.subarray(places[n], end));
};

test('a room that does not lie in its memory is refused', () => {
  const memory = new WebAssembly.Memory({ initial: 2 });
  for (const at of [4, -8, 2 * 65536 - FLETCHER4_ROOM + 8]) {
    assert.throws(() => new Fletcher4('little', { memory, at }), { code: 'stream.room' });
  }
  assert.doesNotThrow(() => new Fletcher4('little', { memory, at: 2 * 65536 - FLETCHER4_ROOM }));
});

test('a state that is none is refused', () => {
  const sum = new Fletcher4('little');
  const word = new Uint8Array();
  assert.throws(() => sum.restore({ sum: 'f'.repeat(63), word }), { code: 'stream.state' });
  assert.throws(() => sum.restore({ sum: 'g'.repeat(64), word }), { code: 'stream.state' });
  assert.throws(() => sum.restore({ sum: 'f'.repeat(64), word: new Uint8Array(4) }), {
    code: 'stream.state',
  });
});

test('it is the checksum that its definition gives, for any bytes in any pieces', () => {
  fc.assert(
    fc.property(cutBytes, order, ([bytes, cuts], order) => {
      const sum = new Fletcher4(order);
      for (const piece of pieces(bytes, cuts)) sum.update(piece);
      assert.equal(sum.hex, hexOf(plainFletcher4(bytes, order)));
    }),
  );
});

test('the four sums wrap at 2^64', () => {
  const bytes = new Uint8Array(1 << 19).fill(0xff);
  for (const order of ['little', 'big'] as const) {
    const sum = new Fletcher4(order);
    for (let n = 0; n < 8; n++) sum.update(bytes);
    assert.deepEqual(sum.value, plainFletcher4(new Uint8Array(8 << 19).fill(0xff), order));
  }
});

test('a buffer larger than the scratch piece gives the same sum', () => {
  const bytes = new Uint8Array(FLETCHER4_ROOM * 2 + 3).map((_, at) => at * 7);
  const sum = new Fletcher4('little');
  sum.update(bytes);
  assert.equal(sum.hex, hexOf(plainFletcher4(bytes, 'little')));
});

test('saved at any byte and restored elsewhere it goes on', () => {
  fc.assert(
    fc.property(cutBytes, order, ([bytes, cuts], order) => {
      let sum = new Fletcher4(order);
      for (const piece of pieces(bytes, cuts)) {
        sum.update(piece);
        const next = new Fletcher4(order);
        next.restore(sum.save());
        sum = next;
      }
      assert.equal(sum.hex, hexOf(plainFletcher4(bytes, order)));
    }),
  );
});

for (const shared of [false, true]) {
  test(`bytes in its own ${shared ? 'shared ' : ''}memory are summed where they lie`, () => {
    const memory = new WebAssembly.Memory({ initial: 4, maximum: 4, shared });
    const sum = new Fletcher4('little', { memory, at: 8 });
    const scratch = new Uint8Array(memory.buffer, 8 + 512, FLETCHER4_ROOM - 512);
    const bytes = new Uint8Array(memory.buffer, 2 * 65536 + 1, 70_000);
    for (let at = 0; at < bytes.length; at++) bytes[at] = at * 13;
    sum.update(bytes);
    assert.equal(sum.hex, hexOf(plainFletcher4(bytes, 'little')));
    assert.ok(
      scratch.every((byte) => byte === 0),
      'nothing was copied',
    );
    sum.update(Uint8Array.of(1, 2, 3, 4)); // foreign bytes are
    assert.deepEqual([...scratch.subarray(0, 5)], [1, 2, 3, 4, 0]);
  });
}

test('two in one memory do not disturb each other', () => {
  const memory = new WebAssembly.Memory({ initial: 4 });
  const one = new Fletcher4('little', { memory, at: 0 });
  const other = new Fletcher4('big', { memory, at: FLETCHER4_ROOM });
  const bytes = new Uint8Array(1001).map((_, at) => at);
  for (const piece of pieces(bytes, [1, 500, 502])) {
    one.update(piece);
    other.update(piece);
  }
  assert.equal(one.hex, hexOf(plainFletcher4(bytes, 'little')));
  assert.equal(other.hex, hexOf(plainFletcher4(bytes, 'big')));
});

test('a memory that grows in between is followed', () => {
  for (const shared of [false, true]) {
    const memory = new WebAssembly.Memory({ initial: 2, maximum: 4, shared });
    const sum = new Fletcher4('little', { memory, at: 0 });
    const bytes = new Uint8Array(1001).map((_, at) => at);
    sum.update(bytes.subarray(0, 499));
    memory.grow(1);
    const inside = new Uint8Array(memory.buffer, 2 * 65536, 502);
    inside.set(bytes.subarray(499));
    sum.update(inside);
    assert.equal(sum.hex, hexOf(plainFletcher4(bytes, 'little')));
  }
});
