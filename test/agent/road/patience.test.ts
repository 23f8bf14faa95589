/** A store or a service in passing trouble: the command waits and says so, as long as it is told to, and not longer. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { after, before, beforeEach, describe, it } from 'node:test';
import { type FaultProxy, startFaultProxy } from '../../fault-proxy.ts';
import { makeStream } from '../../made-stream.ts';
import { AgentHouse, type Running } from './agent-house.ts';

describe('a store in trouble', () => {
  let house: AgentHouse;
  let proxy: FaultProxy;
  before(async () => {
    house = await AgentHouse.open();
    proxy = await startFaultProxy(Number(new URL(house.url).port));
    // Segments go by the proxy, and nothing else does.
    await house.restartAs(`public_url = "${proxy.url}"`);
  });
  after(async () => {
    await proxy.stop();
    await house.end();
  });
  beforeEach(() => proxy.clear());

  it('that has no room, or too much to do, is waited for, and the import then ends well', async () => {
    for (const fault of [{ full: true }, { busy: true }, { refuse: true }]) {
      proxy.meet(fault, 3);
      const ran = await house.zkeep(['import', '--dataset', 'tank/waits'], { stdin: ownStream() });
      assert.equal(ran.code, 0, ran.stderr);
      assert.match(ran.stderr, /^zkeep: waits for the store: it .*; gives up in 60 s$/m);
      assert.match(ran.stderr, /^zkeep: the store is back after [0-9]+ s: it goes on$/m);
    }
    assert.equal(await house.isClean(), 3);
  });

  it('is not waited for at all with --patience 0, and what failed goes on when there is room', async () => {
    const stdin = ownStream();
    const words = ['import', '--dataset', 'tank/hasty'];
    const before = proxy.met;
    proxy.meet({ full: true });
    const failed = await house.document([...words, '--patience', '0'], 9, { stdin });
    assert.equal(failed.error.code, 'store.full');
    assert.equal(proxy.met - before, 1);
    await house.document([...words, '--patience', '0'], 0, { stdin });
    assert.equal(await house.isClean(), 4);
  });

  it('is given up when the patience ends, with what is wrong with it', async () => {
    proxy.meet({ full: true }, 1000);
    const given = { stdin: ownStream(), env: { ZKEEP_PATIENCE: '1s' } };
    const { code, stderr } = await house.zkeep(['import', '--dataset', 'tank/short'], given);
    assert.equal(code, 9, stderr);
    assert.match(stderr, /waits for the store: it is full; gives up in 1 s\n/);
    assert.match(stderr, /the store has no room left/);
  });

  it('does not keep a wait from ending at once when it is interrupted', async () => {
    proxy.meet({ full: true }, 1000);
    const running = house.begin(['import', '--dataset', 'tank/stopped', '--patience', '1d']);
    running.child.stdin.end(ownStream());
    await says(running, /waits for the store: it is full; gives up in 24 h/);
    running.child.kill('SIGINT');
    assert.equal((await running.ended).code, 130);
  });

  it('is waited for by export and by verify too', async () => {
    const stdin = ownStream();
    await house.document(['import', '--dataset', 'tank/back'], 0, { stdin });
    for (const fault of [{ busy: true }, { cutDown: 1000 }, { refuse: true }]) {
      proxy.meet(fault, 2);
      const { code, stdout, stderr } = await house.zkeep(['export', 'tank/back']);
      assert.equal(code, 0, stderr);
      assert.ok(stdout.equals(stdin));
      assert.match(stderr, /waits for the store/);
    }
    proxy.meet({ busy: true }, 2);
    const verified = await house.zkeep(['verify', 'tank/back']);
    assert.equal(verified.code, 0, verified.stderr);
    assert.match(verified.stderr, /waits for the store/);
    proxy.meet({ busy: true });
    const { error } = await house.document(['export', 'tank/back', '--output', 'x', '--patience', '0'], 10);
    assert.equal(error.code, 'store.unavailable');
  });
});

describe('a wait', () => {
  it('of a time that is none is a usage error, before anything is asked', async () => {
    const house = await AgentHouse.open();
    try {
      await house.stop();
      const { error } = await house.document(['verify', '--patience', 'long'], 2);
      assert.equal(error.code, 'settings.patience');
    } finally {
      await house.end();
    }
  });
});

/** Until the command has told it on standard error. */
async function says({ child }: Running, words: RegExp): Promise<void> {
  let told = '';
  while (!words.test(told)) {
    const [chunk] = await once(child.stderr, 'data', { signal: AbortSignal.timeout(60_000) });
    told += String(chunk);
  }
}

/** A stream of its own for each test, of somewhat over 1 MiB. */
let guid = 100n;
function ownStream(): Buffer {
  guid += 1n;
  const blocks = Array.from({ length: 10 }, () => randomBytes(131_072));
  return Buffer.concat([...makeStream({ toGuid: guid, toName: 'tank/made@one', blocks })]);
}
