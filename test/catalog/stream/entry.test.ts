import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StreamReader } from '../../../catalog/stream/reader.ts';
import type { EntryPoint } from '../../../catalog/stream/state.ts';
import { recordedStream } from '../../fixtures/recorded-streams.ts';
import { begun, END, type Part, part, putTogether, takeApart } from './parts.ts';

const RAW = 1n << 24n;

/** All entry points of a stream, or those from a position on. */
function entriesOf(stream: Uint8Array, from = 0): EntryPoint[] {
  const entries: EntryPoint[] = [];
  const reader = new StreamReader({ onEntryPoint: (entry) => entries.push(entry) });
  reader.entryFrom = from;
  reader.write(stream);
  reader.end();
  return entries;
}

const write = (object: bigint, offset: bigint) =>
  part('WRITE', { object, offset, logical_size: 4n }, Buffer.alloc(4));

test('OBJECT and WRITE are entry points, no other record is', () => {
  const parts: Part[] = [
    begun(),
    part('FREEOBJECTS', { firstobj: 0n, numobjs: 2n }),
    part('OBJECT', { object: 2n }),
    part('FREE', { object: 2n, offset: 0n, length: 8n }),
    write(2n, 8n),
    part('WRITE_EMBEDDED', { object: 2n, offset: 16n, psize: 8 }, Buffer.alloc(8)),
    write(2n, (1n << 64n) - 8n),
    part('OBJECT', { object: 1n << 40n }),
    END,
  ];
  assert.deepEqual(entriesOf(putTogether(parts)), [
    { position: 624, object_position: 624, object: '2', offset: '0' },
    { position: 1248, object_position: 624, object: '2', offset: '8' },
    { position: 1884, object_position: 624, object: '2', offset: '18446744073709551608' },
    { position: 2200, object_position: 2200, object: '1099511627776', offset: '0' },
  ]);
});

test('in a raw stream the OBJECT_RANGE must be sent before, and inside an object the OBJECT too', () => {
  const parts: Part[] = [
    begun({ versioninfo: 1n | (RAW << 2n) }),
    part('OBJECT_RANGE', { firstobj: 0n, numslots: 32n }),
    part('OBJECT', { object: 1n }),
    part('OBJECT', { object: 2n }),
    write(2n, 0n),
    part('OBJECT_RANGE', { firstobj: 32n, numslots: 32n }),
    part('OBJECT', { object: 33n }),
    END,
  ];
  assert.deepEqual(entriesOf(putTogether(parts)), [
    { position: 624, object_position: 312, object: '1', offset: '0' },
    { position: 936, object_position: 312, object: '2', offset: '0' },
    { position: 1248, object_position: 312, object: '2', offset: '0', object_record: 936 },
    { position: 1876, object_position: 1564, object: '33', offset: '0' },
  ]);
});

test('a WRITE that does not belong to the last OBJECT is none', () => {
  // Senders before 2.0 write the OBJECTs of a block of dnodes first, then their data.
  const parts = [
    begun(),
    part('OBJECT', { object: 1n }),
    part('OBJECT', { object: 2n }),
    write(1n, 0n),
    write(2n, 0n),
    END,
  ];
  const objects = entriesOf(putTogether(parts)).map(({ object, offset, position }) => [
    object,
    offset,
    position,
  ]);
  assert.deepEqual(objects, [
    ['1', '0', 312],
    ['2', '0', 624],
    ['2', '0', 1252],
  ]);
});

test('entryFrom gives the first entry point whose record begins at or after it', () => {
  for (const name of ['full', 'raw-w', 'zvol', 'lustre-mdt0-full-s1']) {
    const stream = recordedStream(name);
    const all = entriesOf(stream);
    for (let from = 0; from < stream.length; from += 40_000) {
      const wanted = all.find(({ position }) => position >= from);
      assert.deepEqual(entriesOf(stream, from)[0], wanted, `${name} from ${from}`);
    }
    const middle = all[all.length >> 1];
    assert.ok(middle);
    assert.deepEqual(entriesOf(stream, middle.position)[0], middle);
    assert.notDeepEqual(entriesOf(stream, middle.position + 1)[0], middle);
  }
});

test('one entry point for each stretch: entryFrom is set to its end when one is told', () => {
  const stream = recordedStream('lustre-mdt0-full-s1');
  const stretch = 256 * 1024;
  const found: EntryPoint[] = [];
  const reader: StreamReader = new StreamReader({
    onEntryPoint: (entry) => {
      found.push(entry);
      reader.entryFrom = Math.ceil((entry.position + 1) / stretch) * stretch;
    },
  });
  for (let at = 0; at < stream.length; at += 10_000) reader.write(stream.subarray(at, at + 10_000));
  const all = entriesOf(stream);
  const wanted = [];
  for (let from = 0; from < stream.length; from += stretch) {
    wanted.push(all.find(({ position }) => position >= from && position < from + stretch));
  }
  assert.deepEqual(found, wanted);
  assert.ok(found.length > 10);
});

test('the entry points of recorded streams name the records that lie there', () => {
  for (const name of ['full', 'raw-w', 'raw-spill', 'zvol', 'embedded-Lec', 'lustre-mdt0-full-s1']) {
    const stream = recordedStream(name);
    const parts = new Map(takeApart(stream).map(({ record, position }) => [position, record]));
    const entries = entriesOf(stream);
    const isRaw = name.startsWith('raw');
    assert.ok(entries.length >= 10, name);
    for (const { position, object_position, object, offset, object_record } of entries) {
      const record = parts.get(position);
      const before = parts.get(object_position);
      assert.ok(record?.name === 'OBJECT' || record?.name === 'WRITE', name);
      assert.equal(String(record.fields.object), object);
      assert.equal(record.name === 'WRITE' ? String(record.fields.offset) : '0', offset);
      assert.equal(before?.name, isRaw ? 'OBJECT_RANGE' : 'OBJECT');
      const owner = isRaw && record.name === 'WRITE' ? parts.get(object_record ?? -1) : undefined;
      assert.equal(owner?.name, isRaw && record.name === 'WRITE' ? 'OBJECT' : undefined);
      if (owner?.name === 'OBJECT') assert.equal(owner.fields.object, record.fields.object);
      if (before?.name === 'OBJECT') assert.equal(before.fields.object, record.fields.object);
      if (before?.name === 'OBJECT_RANGE') {
        const { firstobj, numslots } = before.fields;
        assert.ok(record.fields.object >= firstobj && record.fields.object < firstobj + numslots);
      }
    }
  }
});
