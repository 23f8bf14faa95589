/**
 * A model of `zfs receive -s`: what the kernel checks of a resuming stream, and
 * what it does not (facts seen on OpenZFS 2.1, 2.3 and 2.4), and what of a dataset
 * the records make.
 */
import assert from 'node:assert/strict';
import { featureNames, hasFeature } from '../../../../catalog/stream/features.ts';
import type { ByteOrder } from '../../../../catalog/stream/fletcher4.ts';
import { readBegin } from '../../../../catalog/stream/reading/begin.ts';
import { readNvlist } from '../../../../catalog/stream/reading/nvlist.ts';
import { payloadLength } from '../../../../catalog/stream/reading/payload.ts';
import {
  decodeRecord,
  type NewRecord,
  RECORD_SIZE,
  RECORDS,
  type StreamRecord,
} from '../../../../catalog/stream/record.ts';
import type { Begin } from '../../../../catalog/stream/state.ts';
import { type Part, putTogether } from '../parts.ts';

/** One record of a stream. */
export interface Taken {
  readonly record: StreamRecord;
  readonly payload: Uint8Array;
  readonly position: number;
}

/** The records of a stream of either byte order. */
export function recordsOf(stream: Uint8Array, order: ByteOrder): Taken[] {
  const taken: Taken[] = [];
  const view = new DataView(stream.buffer, stream.byteOffset, stream.length);
  const little = order === 'little';
  for (let position = 0; position < stream.length; ) {
    const record = decodeRecord(stream.subarray(position), order);
    assert.ok(record, `a record at byte ${position}`);
    const start = position + RECORD_SIZE;
    const end = start + payloadLength(view, position, RECORDS[record.name].type, little);
    taken.push({ record, payload: stream.subarray(start, end), position });
    position = end;
  }
  return taken;
}

/** A record without what depends on where it is. */
export function contentOf({ record: { name, fields }, payload }: Taken): string {
  const { sum, checksum, ...others } = { sum: null, checksum: null, ...fields };
  const words = JSON.stringify({ name, ...others }, (_, value) =>
    typeof value === 'bigint' ? value.toString() : value,
  );
  return `${words} ${Buffer.from(payload).toString('base64')}`;
}

/** A record from which a receiver can be told to go on. */
export function isPoint({ record: { name } }: Taken): boolean {
  return name === 'OBJECT' || name === 'WRITE' || name === 'WRITE_EMBEDDED';
}

/** The point that it stands for. */
export function pointOf({ record }: Taken): { object: bigint; offset: bigint } {
  assert.ok(record.name === 'OBJECT' || record.name === 'WRITE' || record.name === 'WRITE_EMBEDDED');
  return { object: record.fields.object, offset: record.name === 'OBJECT' ? 0n : record.fields.offset };
}

/** The point that the payload of a resuming BEGIN names at its end: in a native list, two pairs of 40 bytes and the end. */
function pointIn(payload: Uint8Array): unknown[] {
  const native = payload[0] === 0;
  const alone = native ? Buffer.concat([payload.subarray(0, 12), payload.subarray(-84)]) : payload;
  const list = readNvlist(alone);
  return [list?.get('resume_object'), list?.get('resume_offset')];
}

/** A dataset that is being received. */
export class Receiver {
  readonly #objects = new Map<string, string>();
  readonly #blocks = new Map<string, Map<bigint, { length: bigint; content: string }>>();

  /** Takes some records of a stream. */
  apply(records: readonly Taken[]): void {
    for (const taken of records) this.#apply(taken);
  }

  /** All that it holds, to compare. */
  get content(): unknown {
    const blocks = [...this.#blocks].map(([object, each]) => [
      object,
      [...each].toSorted(([one], [other]) => (one < other ? -1 : 1)),
    ]);
    return [this.#objects, blocks].map((map) => new Map([...map].toSorted() as [unknown, unknown][]));
  }

  /** @throws {AssertionError} when the kernel would refuse the resuming stream; gives its records. */
  resume(stream: Uint8Array, stored: Begin, point: { object: bigint; offset: bigint }): Taken[] {
    const { order } = stored;
    const found = readBegin(stream);
    assert.ok(found?.header === 'stream');
    assert.ok(hasFeature(found.begin, 'RESUMING'));
    const { toGuid, fromGuid, flags, type, features } = stored;
    const same = { ...found.begin, features, payload: stored.payload };
    assert.deepEqual(same, { ...stored, toGuid, fromGuid, flags, type });
    assert.deepEqual(
      featureNames(found.begin.features).filter((name) => name !== 'RESUMING'),
      featureNames(features),
    );
    const records = recordsOf(stream, order);
    assert.deepEqual(pointIn(records[0]?.payload ?? new Uint8Array()), [point.object, point.offset]);
    const again = putTogether(
      records.map(({ record, payload }): Part => ({ record: record as NewRecord, payload })),
      { order },
    );
    assert.ok(again.equals(stream), 'every checksum is right');
    const first = records[1]?.record.name;
    if (hasFeature(stored, 'RAW') && first !== 'END') assert.notEqual(first, 'OBJECT');
    assert.equal(records.at(-1)?.record.name, 'END');
    this.apply(records);
    return records;
  }

  #apply(taken: Taken): void {
    const { record, payload } = taken;
    switch (record.name) {
      case 'OBJECT':
        this.#objects.set(`${record.fields.object}`, contentOf(taken));
        break;
      case 'OBJECT_RANGE':
        this.#objects.set(`range ${record.fields.firstobj}`, contentOf(taken));
        break;
      case 'SPILL':
        this.#objects.set(`spill ${record.fields.object}`, contentOf(taken));
        break;
      case 'FREEOBJECTS':
        this.#freeObjects(record.fields.firstobj, record.fields.numobjs);
        break;
      case 'FREE':
        this.#free(record.fields.object, record.fields.offset, record.fields.length);
        break;
      case 'WRITE':
        this.#write(record.fields.object, record.fields.offset, record.fields.logical_size, taken);
        break;
      case 'WRITE_EMBEDDED':
      case 'REDACT':
        this.#write(record.fields.object, record.fields.offset, record.fields.length, taken);
        break;
      default:
        assert.ok(record.name === 'BEGIN' || record.name === 'END', `${record.name} ${payload.length}`);
    }
  }

  #write(object: bigint, offset: bigint, length: bigint, taken: Taken): void {
    const blocks = this.#blocks.get(`${object}`) ?? new Map();
    this.#blocks.set(`${object}`, blocks.set(offset, { length, content: contentOf(taken) }));
  }

  #free(object: bigint, offset: bigint, length: bigint): void {
    const blocks = this.#blocks.get(`${object}`);
    for (const at of blocks?.keys() ?? []) if (at >= offset && at < offset + length) blocks?.delete(at);
    if (blocks?.size === 0) this.#blocks.delete(`${object}`);
  }

  #freeObjects(first: bigint, count: bigint): void {
    const isFreed = (object: string) => BigInt(object) >= first && BigInt(object) < first + count;
    for (const object of this.#blocks.keys()) if (isFreed(object)) this.#blocks.delete(object);
    for (const name of this.#objects.keys()) {
      const object = name.replace('spill ', '');
      if (!name.startsWith('range') && isFreed(object)) this.#objects.delete(name);
    }
  }
}
