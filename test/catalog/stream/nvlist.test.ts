import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type NvList, type NvValue, packNvlist } from '../../../catalog/stream/nvlist.ts';
import { RECORD_SIZE } from '../../../catalog/stream/record.ts';
import { recordedStream } from '../../fixtures/recorded-streams.ts';

/** Reads XDR as RFC 4506 and `nvpair.c` have it, on its own: sizes in memory are taken as given. */
class XdrReader {
  #at = 4;
  readonly #view: DataView;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  get at(): number {
    return this.#at;
  }

  list(): NvList {
    assert.deepEqual([this.#u32(), this.#u32()], [0, 1]);
    const list = new Map<string, NvValue>();
    for (;;) {
      const start = this.#at;
      const [size, memory] = [this.#u32(), this.#u32()];
      if (size === 0 && memory === 0) return list;
      const name = Buffer.from(this.#text()).toString('utf8');
      const [type, count] = [this.#u32(), this.#u32()];
      list.set(name, this.#value(type, count));
      assert.equal(this.#at, start + size, `the size of ${name}`);
    }
  }

  #value(type: number, count: number): NvValue {
    if (type === 1 && count === 0) return true;
    assert.equal(count, 1);
    if (type === 8) {
      this.#at += 8;
      return this.#view.getBigUint64(this.#at - 8);
    }
    if (type === 9) return this.#text();
    assert.equal(type, 19);
    return this.list();
  }

  #u32(): number {
    this.#at += 4;
    return this.#view.getUint32(this.#at - 4);
  }

  #text(): Uint8Array {
    const length = this.#u32();
    const text = Uint8Array.from(this.#bytes.subarray(this.#at, this.#at + length));
    this.#at += Math.ceil(length / 4) * 4;
    return text;
  }
}

const value: fc.Arbitrary<NvValue> = fc.letrec<{ value: NvValue; list: NvList }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.constant<NvValue>(true),
    fc.bigInt(0n, 2n ** 64n - 1n),
    fc.uint8Array({ maxLength: 40 }),
    tie('list'),
  ),
  list: fc
    .uniqueArray(fc.tuple(fc.string({ maxLength: 20 }), tie('value')), {
      selector: ([name]) => name,
      maxLength: 5,
    })
    .map((pairs) => new Map(pairs)),
})).value;
const list = fc
  .uniqueArray(fc.tuple(fc.string({ unit: 'grapheme', maxLength: 20 }), value), {
    selector: ([name]) => name,
    maxLength: 6,
  })
  .map((pairs) => new Map(pairs));

describe('a packed list of names and values', () => {
  it('is read back as it was, every size in it right', () => {
    fc.assert(
      fc.property(list, (made) => {
        const packed = packNvlist(made);
        const reader = new XdrReader(packed);
        assert.deepEqual(reader.list(), made);
        assert.equal(reader.at, packed.length);
      }),
    );
  });

  it('is to the byte what zfs send -p wrote', () => {
    for (const name of ['lustre-mgt-full-p-s1', 'mgt-p', 'mgt-R']) {
      const stream = recordedStream(name);
      const length = new DataView(stream.buffer, stream.byteOffset).getUint32(4, true);
      const payload = stream.subarray(RECORD_SIZE, RECORD_SIZE + length);
      const reader = new XdrReader(payload);
      const again = packNvlist(reader.list());
      assert.deepEqual(Buffer.from(again), Buffer.from(payload.subarray(0, reader.at)), name);
    }
  });

  it('holds text as its UTF-8 bytes', () => {
    const packed = packNvlist(new Map([['a', 'ü']]));
    assert.deepEqual(new XdrReader(packed).list(), new Map([['a', Uint8Array.of(0xc3, 0xbc)]]));
  });
});
