import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readContent } from '../../../agent/drill/content.ts';
import { ZkeepError } from '../../../catalog/errors.ts';
import { guidOf } from '../../../catalog/words.ts';
import { type MadeStream, makeStream } from '../../made-stream.ts';

const meant = { guid: guidOf(7n), type: 'filesystem' } as const;

function made(more: Partial<MadeStream> = {}): Buffer {
  return Buffer.concat([
    ...makeStream({ toGuid: 7n, blocks: [Buffer.alloc(512, 1), Buffer.alloc(512, 2)], ...more }),
  ]);
}

async function* inPieces(stream: Uint8Array, size = 1000) {
  for (let at = 0; at < stream.length; at += size) yield stream.subarray(at, at + size);
}

const withCode = (code: string) => (thrown: unknown) => thrown instanceof ZkeepError && thrown.code === code;

test('a stream with a byte changed is damaged', async () => {
  const stream = made();
  stream.writeUInt8(stream.readUInt8(900) ^ 1, 900);
  await assert.rejects(readContent(inPieces(stream), meant), { kind: 'damaged' });
});

test('a stream that breaks off is damaged', async () => {
  await assert.rejects(readContent(inPieces(made().subarray(0, -312)), meant), { kind: 'damaged' });
});

test('the stream of another snapshot, or an increment, is not what was restored', async () => {
  await assert.rejects(readContent(inPieces(made({ toGuid: 8n })), meant), withCode('drill.content'));
  await assert.rejects(readContent(inPieces(made({ fromGuid: 6n })), meant), withCode('drill.content'));
});

test('a whole stream is counted: objects of a file system, blocks of a volume, and bytes', async () => {
  const stream = made();
  const told: number[] = [];
  const content = await readContent(inPieces(stream), meant, (bytes) => told.push(bytes));
  assert.equal(content.bytes, stream.length);
  assert.ok(content.objects > 0);
  assert.equal(told.at(-1), stream.length);
  assert.equal((await readContent(inPieces(stream), { ...meant, type: 'volume' })).objects, 2);
});
