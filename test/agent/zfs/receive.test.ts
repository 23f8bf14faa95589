import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { receiveStream } from '../../../agent/zfs/receive.ts';
import { ZkeepError } from '../../../catalog/errors.ts';

/** Takes five bytes and ends well, as `zfs receive` does at the END of a stream. */
const FIVE = ['head', '-c', '5'];

test('a child that ends well with its last byte, before the source says that it was the last, has received', async () => {
  async function* slow() {
    yield Buffer.from('12345');
    await sleep(300);
  }
  let taken = 0;
  const onTaken = (bytes: number) => {
    taken += bytes;
  };
  await receiveStream(FIVE, slow(), { onTaken });
  assert.equal(taken, 5);
});

test('a child that ends well before the last byte has ended early', async () => {
  async function* longer() {
    yield Buffer.from('12345');
    await sleep(300);
    yield Buffer.from('6');
  }
  await assert.rejects(receiveStream(FIVE, longer()), coded('zfs.ended-early'));
});

test('a child that ends badly ends the feeding, however long the source takes', async () => {
  let isLeft = false;
  async function* endless() {
    try {
      for (;;) {
        yield Buffer.from('1');
        await sleep(20);
      }
    } finally {
      isLeft = true;
    }
  }
  const refusing = ['sh', '-c', 'head -c 3 >/dev/null; echo "cannot receive: out of space" >&2; exit 1'];
  await assert.rejects(receiveStream(refusing, endless()), coded('zfs.full'));
  assert.equal(isLeft, true);
});

test('what the source throws is thrown, and the child ended', async () => {
  async function* broken() {
    yield Buffer.from('1');
    throw new ZkeepError('damaged', 'segment.digest', 'said by a test');
  }
  await assert.rejects(receiveStream(['cat'], broken()), coded('segment.digest'));
});

function coded(code: string) {
  return (thrown: unknown) => thrown instanceof ZkeepError && thrown.code === code;
}
