import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { splitPackage } from '../../../catalog/stream/package.ts';
import { packageHead, type Wrapping, wrapStream } from '../../../catalog/stream/wrap.ts';
import { recordedStream } from '../../fixtures/recorded-streams.ts';
import { makeStream } from '../../made-stream.ts';

const none = new Map();
const bare: Wrapping = { name: 'tank/a@one', guid: 1n, properties: none, snapshotProperties: none };

async function* chunked(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function streamsIn(source: AsyncIterable<Uint8Array>): Promise<Buffer[]> {
  const found: Buffer[] = [];
  for await (const { packaged, bytes } of splitPackage(source)) {
    assert.ok(packaged);
    const parts: Uint8Array[] = [];
    for await (const part of bytes) parts.push(Buffer.from(part));
    found.push(Buffer.concat(parts));
  }
  return found;
}

describe('a stream within a package', () => {
  it('comes out again as it went in, and all checksums of the package are right', async () => {
    const properties = fc.dictionary(
      fc.string({ maxLength: 30 }),
      fc.oneof(fc.string(), fc.bigInt(0n, 2n ** 64n - 1n)),
    );
    await fc.assert(
      fc.asyncProperty(
        properties,
        fc.bigInt(1n, 2n ** 64n - 1n),
        fc.integer({ min: 1, max: 5000 }),
        async (values, guid, size) => {
          const stream = Buffer.concat([...makeStream({ toGuid: guid, blocks: [Buffer.alloc(1024, 7)] })]);
          const wrapping = { ...bare, guid, properties: new Map(Object.entries(values)) };
          assert.deepEqual(await streamsIn(wrapStream(chunked(stream, size), wrapping)), [stream]);
        },
      ),
    );
  });

  it('begins as the one that zfs send -p wrote, but for the number that the dataset had', () => {
    const recorded = recordedStream('mgt-p');
    const name = recorded.subarray(56, recorded.indexOf(0, 56)).toString();
    const head = packageHead({ ...bare, name });
    // Header and name: what follows is the list, which nvlist.test.ts compares.
    assert.deepEqual(head.subarray(8, 312), recorded.subarray(8, 312));
  });

  it('ends with a record of nothing but its type', async () => {
    const parts: Uint8Array[] = [];
    for await (const part of wrapStream(chunked(new Uint8Array(), 1), bare)) parts.push(part);
    const last = Buffer.from(parts.at(-1) ?? []);
    assert.equal(last.length, 312);
    assert.deepEqual([last.readUInt32LE(0), last.subarray(4).every((byte) => byte === 0)], [5, true]);
  });
});
