/** Streams that `zfs send -e` has spoilt are refused, and no others. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StreamReader } from '../../../catalog/stream/reader.ts';
import { StreamError } from '../../../catalog/stream/stream-error.ts';
import { recordedStream } from '../../fixtures/recorded-streams.ts';
import { begun, END, type Part, part, putTogether, takeApart } from './parts.ts';

function read(stream: Uint8Array): void {
  const reader = new StreamReader();
  reader.write(stream);
  reader.end();
}

const spoilt = (parts: readonly Part[], object: number) => {
  assert.throws(
    () => read(putTogether(parts)),
    (thrown) => {
      assert.ok(thrown instanceof StreamError);
      assert.equal(thrown.code, 'stream.spoilt');
      assert.equal(thrown.facts['object'], object);
      return true;
    },
  );
};

const object = (number: bigint, flags = 4) => part('OBJECT', { object: number, flags });
const spill = (number: bigint) => part('SPILL', { object: number, length: 4n }, Buffer.alloc(4));
const write = (number: bigint) => part('WRITE', { object: number, logical_size: 4n }, Buffer.alloc(4));
const embedded = (number: bigint, offset: bigint) =>
  part('WRITE_EMBEDDED', { object: number, offset, psize: 8 }, Buffer.alloc(8));

test('streams recorded with `zfs send -e` from OpenZFS 2.3.9 that lost a spill block are refused', () => {
  assert.throws(() => read(recordedStream('spoilt-e')), {
    name: 'StreamError',
    code: 'stream.spoilt',
    message: /^object 2 announces a spill block .* that does not come \(record 11, WRITE, at byte 4440\)$/,
    advice: /send again without -e/,
  });
  assert.throws(() => read(recordedStream('spoilt-e-incr')), { code: 'stream.spoilt' });
});

test('the same snapshots sent without -e are sound, and so are the streams of a live Lustre sent with it', () => {
  for (const name of [
    'spill-Lc',
    'spill-Lc-incr',
    'raw-spill',
    'embedded-Lec',
    'lustre-mdt0-full-s1',
    'lustre-mdt0-incr-s1-s2',
    'lustre-mgt-full-s1',
    'lustre-mgt-incr-s1-s2',
  ]) {
    assert.doesNotThrow(() => read(recordedStream(name)), name);
  }
});

test('a real stream is refused when any one of its spill blocks is left out', () => {
  const parts = takeApart(recordedStream('lustre-mdt0-incr-s1-s2'));
  const spills = parts.filter(({ record }) => record.name === 'SPILL');
  assert.ok(spills.length > 10);
  for (const left of spills) {
    const rest = parts.filter((each) => each !== left);
    spoilt(rest, left.record.name === 'SPILL' ? Number(left.record.fields.object) : -1);
  }
});

test('the block that comes as an embedded write instead is no spill block', () => {
  spoilt([begun(), object(7n), embedded(7n, (1n << 64n) - 6144n), object(8n, 0), write(8n), END], 7);
});

test('it is missed at the next object’s data, at an object of another block of dnodes, or at END', () => {
  spoilt([begun(), object(7n), END], 7);
  spoilt([begun(), object(7n), object(8n, 0), write(8n), END], 7);
  spoilt([begun(), object(7n), object(8n), spill(8n), spill(7n), END], 7);
  spoilt([begun(), object(31n), object(32n, 0), spill(31n), END], 31);
  spoilt([begun(), object(7n), part('OBJECT_RANGE', { firstobj: 32n, numslots: 32n }), spill(7n), END], 7);
});

test('data, holes and other objects of the same block may come before it', () => {
  assert.doesNotThrow(() =>
    read(
      putTogether([
        begun(),
        object(7n),
        part('FREE', { object: 7n, offset: 0n, length: 4n }),
        write(7n),
        embedded(7n, 8n),
        part('FREEOBJECTS', { firstobj: 8n, numobjs: 1n }),
        spill(7n),
        END,
      ]),
    ),
  );
});

test('senders before 2.0, which write up to 32 OBJECTs before their data, raise no alarm', () => {
  const numbers = Array.from({ length: 32 }, (_, n) => BigInt(n + 64));
  const parts = [...numbers.map((number) => object(number)), ...numbers.flatMap((n) => [write(n), spill(n)])];
  assert.doesNotThrow(() => read(putTogether([begun(), ...parts, END])));
  const without = parts.filter(({ record }) => !(record.name === 'SPILL' && record.fields.object === 70n));
  spoilt([begun(), ...without, END], 70);
});

test('a sender that does not say which objects have spill blocks is not asked for them', () => {
  assert.doesNotThrow(() => read(putTogether([begun({ flags: 4 }), object(7n), END])));
});

test('an incremental of a sender that leaves out unmodified spill blocks is refused, with the setting named', () => {
  // zfs_send_unmodified_spill_blocks=0: sound for receivers since 2.0, and not to be told from a spoilt one.
  assert.throws(() => read(recordedStream('spill-unsent-incr')), {
    code: 'stream.spoilt',
    advice: /zfs_send_unmodified_spill_blocks/,
  });
});
