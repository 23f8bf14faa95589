import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { Ahead } from '../../../agent/capture/ahead.ts';

function pieces(count: number, most: number, thrown?: { at: number }) {
  const begun: number[] = [];
  const works = Array.from({ length: count }, (_, index) => async () => {
    begun.push(index);
    await setImmediate();
    if (thrown?.at === index) throw new Error(`piece ${index}`);
    return index * 10;
  });
  return { begun, ahead: new Ahead(works, most) };
}

async function rest(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await setImmediate();
}

describe('work that is begun ahead', () => {
  it('is not begun before somebody waits', async () => {
    const { begun } = pieces(3, 2);
    await rest();
    assert.deepEqual(begun, []);
  });

  it('is begun in order, so many pieces at most before they are waited for', async () => {
    const { begun, ahead } = pieces(10, 3);
    assert.equal(await ahead.at(0), 0);
    await rest();
    assert.deepEqual(begun, [0, 1, 2]);
    assert.equal(await ahead.at(1), 10);
    await rest();
    assert.deepEqual(begun, [0, 1, 2, 3]);
  });

  it('throws what a piece throws where that one is waited for, and the others go on', async () => {
    const { ahead } = pieces(3, 3, { at: 1 });
    assert.equal(await ahead.at(0), 0);
    await rest();
    await assert.rejects(ahead.at(1), /piece 1/);
    assert.equal(await ahead.at(2), 20);
  });

  it('may be passed over', async () => {
    const { ahead } = pieces(5, 2, { at: 2 });
    assert.equal(await ahead.at(4), 40);
    await assert.rejects(ahead.at(5), RangeError);
  });

  it('lets go of what was taken', async () => {
    const { ahead } = pieces(2, 2);
    await ahead.at(0);
    await assert.rejects(ahead.at(0), RangeError);
  });
});
