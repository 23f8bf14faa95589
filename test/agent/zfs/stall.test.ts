import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { sendStream } from '../../../agent/zfs/send.ts';
import { checkPool, runOnPool, watchStream } from '../../../agent/zfs/stall.ts';
import { ZkeepError } from '../../../catalog/errors.ts';

const suspended = (thrown: unknown) =>
  thrown instanceof ZkeepError && thrown.code === 'zfs.suspended' && thrown.kind === 'unavailable';

/** A `zpool` that answers so. */
const answering =
  (health: string, exit = 0) =>
  () =>
    Promise.resolve({ exit, stdout: Buffer.from(`${health}\n`), stderr: '' });

describe('a stream that stops flowing', () => {
  it('is waited for as long as its pool is well', async () => {
    let looks = 0;
    const look = async () => {
      looks += 1;
    };
    async function* slow() {
      yield 1;
      await new Promise((resolve) => setTimeout(resolve, 120));
      yield 2;
    }
    const got: number[] = [];
    for await (const one of watchStream(slow(), look, 20)) got.push(one);
    assert.deepEqual(got, [1, 2]);
    assert.ok(looks >= 2, `${looks} looks`);
  });

  it('ends with what is found out about its pool', async () => {
    async function* silent() {
      yield 1;
      await new Promise(() => setTimeout(() => undefined, 5_000).unref());
    }
    const found = new Error('found');
    const look = () => Promise.reject(found);
    await assert.rejects(async () => {
      for await (const _ of watchStream(silent(), look, 20));
    }, found);
  });

  it('comes to its end and gives its own errors unchanged', async () => {
    const own = new Error('own');
    async function* failing() {
      yield 1;
      throw own;
    }
    await assert.rejects(async () => {
      for await (const _ of watchStream(failing(), async () => {}, 1_000));
    }, own);
    let length = 0;
    for await (const chunk of sendStream(['/bin/sh', '-c', 'printf 12345', 'tank/a@b']))
      length += chunk.length;
    assert.equal(length, 5);
  });
});

describe('a pool that is looked at', () => {
  it('is called suspended only by its own word', async () => {
    await assert.rejects(checkPool('tank', answering('SUSPENDED')), suspended);
    await checkPool('tank', answering('DEGRADED'));
  });

  it('is not called so where it cannot be asked', async () => {
    await checkPool('tank', answering('', 1));
    await checkPool('tank', () => Promise.reject(new Error('no zpool')));
  });
});

describe('a command that changes a dataset', () => {
  it('is waited for while its pool is well, and gives what it printed', async () => {
    const pools: string[] = [];
    const look = async (pool: string) => void pools.push(pool);
    const printed = await runOnPool(
      ['/bin/sh', '-c', 'sleep 0.3; echo done', 'tank@one'],
      {},
      { silence: 50, look },
    );
    assert.equal(printed, 'done\n');
    assert.ok(pools.length > 0 && pools.every((pool) => pool === 'tank'), pools.join());
  });

  it('ends with what is found out about its pool, or with its own failure', async () => {
    const found = new Error('found');
    const sleeper = ['/bin/sh', '-c', 'sleep 2', 'tank/a@one'];
    await assert.rejects(runOnPool(sleeper, {}, { silence: 20, look: () => Promise.reject(found) }), found);
    const failing = ['/bin/sh', '-c', 'echo no such tag >&2; exit 1', 'tank/a@one'];
    await assert.rejects(
      runOnPool(failing),
      (thrown) => thrown instanceof ZkeepError && thrown.code === 'zfs.not-held',
    );
  });
});
