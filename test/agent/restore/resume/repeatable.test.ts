import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Repeatable } from '../../../../agent/restore/resume/repeatable.ts';
import type { Sent } from '../../../../catalog/stream/resuming/stream.ts';

const MIB = 1024 * 1024;

/** Pieces of a MiB, all in one buffer as a reader has it; `read` counts those that were asked for. */
function made(count: number) {
  const told = { read: 0, closed: false };
  async function* source(): AsyncGenerator<Sent> {
    const bytes = new Uint8Array(MIB);
    try {
      for (let n = 1; n <= count; n++) {
        told.read = n;
        yield { bytes: bytes.fill(n), reached: n * MIB };
      }
    } finally {
      told.closed = true;
    }
  }
  return { told, stream: new Repeatable(source()) };
}

async function take(stream: Repeatable, count: number): Promise<number[]> {
  const taken: number[] = [];
  for await (const { bytes, reached } of stream.given()) {
    assert.ok(bytes.every((byte) => byte === bytes[0]));
    assert.equal(reached, (bytes[0] ?? 0) * MIB);
    taken.push(bytes[0] ?? 0);
    if (taken.length === count) break;
  }
  return taken;
}

test('what hardly anything was taken of is given again, and read once', async () => {
  const { told, stream } = made(6);
  assert.deepEqual(await take(stream, 2), [1, 2]);
  assert.deepEqual(await take(stream, 1), [1]);
  assert.equal(told.read, 2);
  assert.equal(told.closed, false);
  assert.deepEqual(await take(stream, 9), [1, 2, 3, 4, 5, 6]);
  assert.equal(told.closed, true);
});

test('what much was taken of is not given again', async () => {
  const { stream } = made(6);
  await take(stream, 4);
  assert.equal(stream.isWhole, true);
  await take(stream, 5);
  assert.equal(stream.isWhole, false);
  await assert.rejects(take(stream, 1), RangeError);
});

test('a piece that comes when its taker has left is there for the next one', async () => {
  let come = (_: Sent) => {};
  const late = new Promise<Sent>((resolve) => {
    come = resolve;
  });
  async function* source(): AsyncGenerator<Sent> {
    yield await late;
    yield { bytes: Uint8Array.of(2), reached: 2 };
  }
  const stream = new Repeatable(source());
  const given = stream.given();
  const asked = given.next();
  await new Promise((resolve) => setImmediate(resolve));
  const left = given.return(undefined);
  // The next one is there before it comes.
  const taken: number[] = [];
  const next = (async () => {
    for await (const { reached } of stream.given()) taken.push(reached);
  })();
  await new Promise((resolve) => setImmediate(resolve));
  come({ bytes: Uint8Array.of(1), reached: 1 });
  await Promise.all([asked, left, next]);
  assert.deepEqual(taken, [1, 2]);
});

test('a stream that is not wanted any more is closed', async () => {
  const { told, stream } = made(6);
  await take(stream, 1);
  await stream.close();
  assert.equal(told.closed, true);
});
