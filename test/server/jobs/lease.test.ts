/** Of several services that follow one bucket, one has the lease of a job, whatever goes wrong in between. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { ZkeepError } from '../../../catalog/errors.ts';
import { type HeldLease, LEASE_LIFE, Leases } from '../../../server/jobs/lease.ts';
import { Faults, FaultyStore, gone } from '../fixture/faulty-store.ts';
import { ManualClock } from '../fixture/manual-clock.ts';

const TOLERANCE = 60_000;

describe('the lease of a job', () => {
  let folder: string;
  let clock: ManualClock;
  let faults: Faults;
  let lost: ZkeepError[];
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'zkeep-lease-'));
    clock = new ManualClock();
    faults = new Faults();
    lost = [];
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const of = (service: string, time = clock) =>
    new Leases({ store: new FaultyStore(folder, faults), clock: time, service });
  const taking = () => ({
    signal: new AbortController().signal,
    lost: (reason: ZkeepError) => void lost.push(reason),
  });
  async function held(leases: Leases): Promise<HeldLease> {
    const taken = await leases.take('prune', taking());
    return 'tick' in taken ? taken : assert.fail(`${taken.service} has it`);
  }
  async function elsewhere(leases: Leases): Promise<{ service: string; until: number }> {
    const taken = await leases.take('prune', taking());
    return 'tick' in taken ? assert.fail('it was taken') : taken;
  }
  async function objects(): Promise<number> {
    let count = 0;
    for await (const _ of new FaultyStore(folder, new Faults()).list('leases/')) count += 1;
    return count;
  }

  it('is not had for a year by one whose clock was a year ahead: who sees that nobody renews it takes it', async () => {
    await held(of('a', new ManualClock(clock.now() + 365 * 86_400_000)));
    const other = of('b');
    assert.equal((await elsewhere(other)).until, clock.now() + LEASE_LIFE + TOLERANCE);
    clock.pass(LEASE_LIFE);
    await elsewhere(other);
    clock.pass(TOLERANCE + 1000);
    await held(other);
  });

  it('stays with one whose clock is ahead as long as it is renewed', async () => {
    const ahead = new ManualClock(clock.now() + 365 * 86_400_000);
    const first = await held(of('a', ahead));
    const other = of('b');
    for (let minutes = 0; minutes < 20; minutes++) {
      await elsewhere(other);
      clock.pass(61_000);
      ahead.pass(61_000);
      await first.tick();
    }
    assert.deepEqual(lost, []);
  });

  it('is left alone while the store lists what it does not have', async () => {
    const first = await held(of('a'));
    faults.decide = ({ verb, key }) => {
      if (verb !== 'get' || !key.startsWith('leases/')) return undefined;
      return { when: 'before', error: new ZkeepError('missing', 'store.missing', 'it is not there') };
    };
    await assert.rejects(of('b').take('prune', taking()), { code: 'job.lease-unclear' });
    faults.heal();
    await first.release();
  });

  it('is had by one, and free again when it is given back', async () => {
    const first = await held(of('a'));
    const other = await elsewhere(of('b'));
    assert.deepEqual(other, { service: 'a', until: clock.now() + LEASE_LIFE + TOLERANCE });
    assert.equal(await of('b').released('prune', taking().signal), undefined);
    await first.release();
    assert.equal(await of('b').released('prune', taking().signal), clock.now());
    await held(of('b'));
    assert.equal(await objects(), 1, 'what is over is removed');
  });

  it('of another job is another one', async () => {
    await held(of('a'));
    const taken = await of('b').take('sweep', taking());
    assert.ok('tick' in taken);
  });

  it('of two that ask at once is had by one', async () => {
    for (let round = 0; round < 20; round++) {
      const services = ['a', 'b', 'c'].map((name) => of(`${name}${round}`));
      const taken = await Promise.all(services.map((leases) => leases.take('prune', taking())));
      assert.equal(taken.filter((one) => 'tick' in one).length, 1, `round ${round}`);
      for (const one of taken) if ('tick' in one) await one.release();
    }
  });

  it('is renewed as long as it is looked after', async () => {
    const first = await held(of('a'));
    for (let minute = 0; minute < 10; minute++) {
      clock.pass(61_000);
      await first.tick();
      await elsewhere(of('b'));
    }
    assert.deepEqual(lost, []);
    assert.equal(await objects(), 1);
  });

  it('of a service that is gone is taken over when it has run out, and not before', async () => {
    await held(of('a'));
    clock.pass(LEASE_LIFE + TOLERANCE - 1);
    await elsewhere(of('b'));
    clock.pass(1);
    await held(of('b'));
  });

  it('of the same service is taken at once: its former process is dead', async () => {
    await held(of('a'));
    await held(of('a'));
  });

  it('is lost before anybody else may take it, when the store is away', async () => {
    const first = await held(of('a'));
    faults.decide = () => ({ when: 'before', error: gone() });
    for (let passed = 0; passed < LEASE_LIFE; passed += 20_000) {
      assert.deepEqual(lost, []);
      clock.pass(20_000);
      await first.tick();
    }
    assert.deepEqual(
      lost.map(({ code }) => code),
      ['job.lease-lost'],
    );
    faults.heal();
    await elsewhere(of('b'));
    await first.release();
    await elsewhere(of('b'));
  });

  it('outlives a store that was away for a moment, and a renewal whose answer was lost', async () => {
    const first = await held(of('a'));
    clock.pass(61_000);
    faults.decide = ({ verb }) => (verb === 'putStream' ? { when: 'after', error: gone() } : undefined);
    await first.tick();
    faults.heal();
    clock.pass(11_000);
    await first.tick();
    clock.pass(LEASE_LIFE - 20_000);
    await first.tick();
    assert.deepEqual(lost, []);
    await elsewhere(of('b'));
    await first.release();
    await held(of('b'));
  });

  it('is lost by a process that slept, though nobody has taken it yet', async () => {
    const first = await held(of('a'));
    clock.pass(3600_000);
    await first.tick();
    assert.equal(lost.length, 1);
    await held(of('b'));
    await first.tick();
    await first.release();
    await elsewhere(of('c'));
  });

  it('is lost by the slow one of two, when its renewal meets another taker', async () => {
    const slow = new ManualClock();
    const first = await held(of('a', slow));
    clock.pass(LEASE_LIFE + TOLERANCE);
    await held(of('b'));
    slow.pass(61_000);
    await first.tick();
    assert.match(String(lost[0]), /another service has taken it/);
    await elsewhere(of('c'));
  });

  it('whose object cannot be read is waited for as long as any', async () => {
    const store = new FaultyStore(folder, faults);
    const body = Buffer.from('{');
    const { digestOf } = await import('../../../catalog/repository/store/body.ts');
    await store.put('leases/prune/0000000007.json', body, { sha256: digestOf(body) });
    const real = new ManualClock(Date.now());
    await elsewhere(of('b', real));
    real.pass(LEASE_LIFE + TOLERANCE + 60_000);
    await held(of('b', real));
    assert.equal(await objects(), 1);
  });

  it('is had by one also where the store cannot decide', async () => {
    faults.conditions = false;
    const services = ['a', 'b'].map((name) => of(name));
    const taken = await Promise.all(services.map((leases) => leases.take('prune', taking())));
    assert.equal(taken.filter((one) => 'tick' in one).length, 1);
  });
});
