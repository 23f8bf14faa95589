/** Work that is interrupted at its worst moments: agent, service and network, one at a time. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Fault, type FaultProxy, startFaultProxy } from '../../fault-proxy.ts';
import { makeStream } from '../../made-stream.ts';
import { AgentHouse, type Running } from './agent-house.ts';

/** A stream of its own for each test, of somewhat over 1 MiB. */
let guid = 1n;
function ownStream(size = 10): Buffer {
  guid += 1n;
  return Buffer.concat([...makeStream({ toGuid: guid, toName: 'tank/made@one', blocks: blocks(size) })]);
}

describe('an import in the middle of its stream', () => {
  let house: AgentHouse;
  before(async () => {
    house = await AgentHouse.open();
  });
  after(async () => await house.end());

  /** Starts an import, and lets it wait for the rest of its stream. */
  async function halfway(words: readonly string[], stream: Buffer): Promise<Running & { finish(): void }> {
    const running = house.begin([...words, '--json']);
    const half = stream.length >> 1;
    running.child.stdin.write(stream.subarray(0, half));
    await house.untilOpen(1);
    return { ...running, finish: () => void running.child.stdin.end(stream.subarray(half)) };
  }

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    it(`ends in order at ${signal}, with nothing left open`, async () => {
      const { child, ended } = await halfway(['import', '--dataset', 'tank/signal'], ownStream());
      child.kill(signal);
      const { code, stdout } = await ended;
      assert.equal(code, 130);
      assert.equal(JSON.parse(stdout.toString()).error.code, 'agent.interrupted');
      assert.equal(await house.isClean(), 0);
    });
  }

  it('keeps a second agent off the same dataset, with words that say who is at it', async () => {
    const words = ['import', '--dataset', 'tank/two'];
    const { child, ended, finish } = await halfway(words, ownStream());
    const second = await house.document(words, 6, { stdin: ownStream() });
    assert.equal(second.error.code, 'backup.busy');
    assert.match(second.error.message, new RegExp(`process ${child.pid} on `));
    finish();
    assert.equal((await ended).code, 0);
    assert.equal(await house.isClean(), 1);
  });

  it('that was killed is taken over at once by the next one on this host', async () => {
    const words = ['import', '--dataset', 'tank/killed'];
    const stream = ownStream();
    const { child, ended } = await halfway(words, stream);
    child.kill('SIGKILL');
    await ended;
    assert.equal(await house.openBackups(), 1);
    await house.document(words, 0, { stdin: stream });
    assert.equal(await house.isClean(), 2);
  });

  it('can be abandoned by its id, and then is no backup', async () => {
    const words = ['import', '--dataset', 'tank/left'];
    const { ended, finish } = await halfway(words, ownStream());
    const busy = await house.document(words, 6, { stdin: ownStream() });
    assert.equal((await house.zkeep(['backup', '--abandon', String(busy.error.facts['backup'])])).code, 0);
    finish();
    const { code, stdout } = await ended;
    assert.equal(code, 3, stdout.toString());
    assert.equal(await house.isClean(), 2);
  });

  it('goes on when the service is restarted in between', async () => {
    const stream = ownStream(250);
    const { ended, finish } = await halfway(['import', '--dataset', 'tank/big'], stream);
    await house.stop();
    finish();
    await sleep(500);
    await house.start();
    const { code, stdout, stderr } = await ended;
    assert.equal(code, 0, `${stdout}${stderr}`);
    assert.equal(await house.isClean(), 3);
    const back = await house.zkeep(['export', 'tank/big', '--quiet']);
    assert.ok(back.stdout.equals(stream));
  });
});

describe('an export', () => {
  it('whose reader leaves fails', async () => {
    const house = await AgentHouse.open();
    try {
      await house.document(['import', '--dataset', 'tank/big'], 0, { stdin: ownStream(100) });
      const { child, ended } = house.begin(['export', 'tank/big']);
      // Its output cannot be had whole: that is the point.
      ended.catch(() => undefined);
      const exited = once(child, 'exit');
      child.stdout.once('data', () => child.stdout.destroy());
      assert.deepEqual(await exited, [1, null]);
    } finally {
      await house.end();
    }
  });
});

describe('an import over a network that loses', () => {
  let house: AgentHouse;
  let proxy: FaultProxy;
  before(async () => {
    house = await AgentHouse.open();
    proxy = await startFaultProxy(Number(new URL(house.url).port));
    // Segments go by the proxy too.
    await house.restartAs(`public_url = "${proxy.url}"`);
  });
  after(async () => {
    await proxy.stop();
    await house.end();
  });

  it('any one of its answers, or has it refused, stores its stream once', async () => {
    const env = { ZKEEP_SERVICE: proxy.url };
    let stored = 0;
    const faults: [Fault, number[]][] = [
      [{ dropAnswer: true }, [0, 1, 2, 3, 4]],
      [{ refuse: true }, [1, 3]],
      [{ busy: true }, [2, 4]],
    ];
    for (const [fault, exchanges] of faults) {
      for (const exchange of exchanges) {
        proxy.clear();
        proxy.meet({}, exchange);
        proxy.meet(fault);
        const given = { stdin: ownStream(1), env };
        const { backups } = await house.document(['import', '--dataset', 'tank/made'], 0, given);
        assert.equal(backups[0]?.outcome, 'stored', `${JSON.stringify(fault)} at exchange ${exchange}`);
        stored += 1;
      }
    }
    assert.equal(await house.isClean(), stored);
  });
});

function* blocks(count: number): Generator<Uint8Array> {
  // Incompressible, so that a segment is as large as its stream.
  for (let index = 0; index < count; index++) yield randomBytes(131_072);
}
