/** Jobs run when they are due or asked for, once at a time, on a clock that this file turns. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { pino } from 'pino';
import { ZkeepError } from '../../../catalog/errors.ts';
import type { Fact } from '../../../catalog/journal/entry.ts';
import type { JobState } from '../../../catalog/protocol/events.ts';
import type { Job, JobRun } from '../../../server/jobs/job.ts';
import type { Elsewhere, HeldLease, Taking } from '../../../server/jobs/lease.ts';
import { Jobs } from '../../../server/jobs/runner.ts';
import { JobRuns } from '../../../server/state/job-runs.ts';
import { openState, type State } from '../../../server/state/state.ts';
import { ManualClock } from '../fixture/manual-clock.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** Leases as this file wants them. */
class StandInLeases {
  answer: Elsewhere | undefined;
  releasedAt: number | undefined;
  taking: Taking | undefined;
  ticks = 0;
  released_ = 0;
  async take(_job: string, taking: Taking): Promise<HeldLease | Elsewhere> {
    this.taking = taking;
    if (this.answer) return this.answer;
    return {
      tick: async () => {
        this.ticks += 1;
      },
      release: async () => {
        this.released_ += 1;
      },
    };
  }
  async released(): Promise<number | undefined> {
    return this.releasedAt;
  }
}

describe('the jobs of a service', () => {
  let folder: string;
  let state: State;
  let clock: ManualClock;
  let leases: StandInLeases;
  let journal: { by: string | null; fact: Fact }[];
  let ran: number[];
  let work: (run: JobRun) => Promise<string | null>;
  let jobs: Jobs;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'zkeep-jobs-'));
    state = openState(folder);
    // A full hour.
    clock = new ManualClock(Date.UTC(2026, 10, 20, 9));
    leases = new StandInLeases();
    journal = [];
    ran = [];
    work = async () => 'well done';
    jobs = made();
  });
  afterEach(async () => {
    await jobs.stop();
    state.close();
    rmSync(folder, { recursive: true });
  });

  function made(more: Partial<Job> = {}): Jobs {
    const job: Job = {
      name: 'sweep',
      exclusive: false,
      schedule: 'every hour',
      run: async (run) => {
        ran.push(clock.now());
        return await work(run);
      },
      ...more,
    };
    return new Jobs([job], {
      clock,
      log: pino({ level: 'silent' }),
      zone: 'UTC',
      leases,
      runs: new JobRuns(state),
      journal: {
        note: (by, ...facts) => {
          for (const fact of facts) journal.push({ by, fact });
        },
      },
    });
  }
  async function tick(): Promise<void> {
    jobs.tick();
    await jobs.idle();
  }
  const only = (): JobState => jobs.states()[0] ?? assert.fail('there is no job');
  const outcomes = () =>
    journal.map(({ fact }) => (fact.kind === 'job.ended' ? `${fact.outcome}: ${fact.words}` : fact.kind));

  it('run when they are due, and say how that went', async () => {
    await tick();
    assert.deepEqual(ran, []);
    assert.equal(only().next, '2026-11-20T10:00:00.000Z');
    clock.pass(HOUR);
    await tick();
    assert.deepEqual(ran, [clock.now()]);
    assert.deepEqual(only(), {
      job: 'sweep',
      running: false,
      elsewhere: null,
      since: null,
      progress: null,
      last: { at: '2026-11-20T10:00:00.000Z', outcome: 'done', seconds: 0, words: 'well done' },
      next: '2026-11-20T11:00:00.000Z',
    });
    assert.deepEqual(outcomes(), ['done: well done']);
  });

  it('that had nothing to do leave no trace in the journal', async () => {
    work = async () => null;
    clock.pass(HOUR);
    await tick();
    assert.deepEqual([ran.length, journal], [1, []]);
    assert.equal(only().last?.outcome, 'done');
  });

  it('run once when several runs were missed, also by a service that was not there', async () => {
    clock.pass(5.5 * HOUR);
    await tick();
    await tick();
    assert.equal(ran.length, 1);
    assert.equal(only().next, '2026-11-20T15:00:00.000Z');
    await jobs.stop();
    clock.pass(3 * HOUR);
    jobs = made();
    assert.equal(only().last?.words, 'well done');
    await tick();
    await tick();
    assert.equal(ran.length, 2);
  });

  it('do not overlap themselves, and show how far they are', async () => {
    const { promise, resolve } = Promise.withResolvers<string>();
    work = async ({ tell }) => {
      tell('half of it');
      return await promise;
    };
    clock.pass(HOUR);
    jobs.tick();
    await Promise.resolve();
    clock.pass(3 * HOUR);
    jobs.tick();
    assert.equal(jobs.ask('sweep').running, true);
    assert.deepEqual([only().running, only().progress, ran.length], [true, 'half of it', 1]);
    assert.equal(only().since, '2026-11-20T10:00:00.000Z');
    resolve('all of it');
    await jobs.idle();
    assert.deepEqual([only().running, only().last?.seconds], [false, 3 * 3600]);
    jobs.tick();
    assert.equal(ran.length, 1, 'what came due meanwhile is not made up for');
  });

  it('run when they are asked for, in the name of the one who asks', async () => {
    assert.equal(jobs.ask('sweep', 'alice').running, true);
    await jobs.idle();
    assert.equal(journal[0]?.by, 'alice');
    assert.throws(() => jobs.ask('verify'), { code: 'job.none', kind: 'missing' });
  });

  it('without a schedule run only when they are asked for', async () => {
    jobs = made({ schedule: null });
    clock.pass(1000 * HOUR);
    await tick();
    assert.deepEqual([ran, only().next], [[], null]);
    jobs.ask('sweep');
    await jobs.idle();
    assert.equal(ran.length, 1);
  });

  it('that fail run again as scheduled; the same failure is journalled once an hour', async () => {
    jobs = made({ schedule: 'every 10 minutes' });
    work = async () => {
      throw new ZkeepError('full', 'store.full', 'no room');
    };
    for (let run = 0; run < 8; run++) {
      clock.pass(10 * MINUTE);
      await tick();
    }
    assert.equal(ran.length, 8);
    assert.deepEqual(outcomes(), ['failed: no room', 'failed: no room']);
    assert.equal(only().last?.outcome, 'failed');
    work = async () => 'well again';
    clock.pass(10 * MINUTE);
    await tick();
    assert.equal(outcomes().at(-1), 'done: well again');
  });

  it('are cut off when the service stops, and run at the next start where they came to no end', async () => {
    work = async ({ signal }) =>
      await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    clock.pass(HOUR);
    jobs.tick();
    await Promise.resolve();
    await jobs.stop();
    assert.deepEqual(outcomes(), ['interrupted: the service stops']);
    assert.throws(() => jobs.ask('sweep'), { code: 'job.none' });
  });

  it('do not wait for a moment that a clock set back has made far away', async () => {
    clock.pass(48 * HOUR);
    await tick();
    clock.pass(-48 * HOUR);
    await tick();
    assert.equal(only().next, '2026-11-20T10:00:00.000Z');
    clock.pass(HOUR);
    await tick();
    assert.equal(ran.length, 2);
  });

  it('that only one service may run, run under a lease that is looked after and given back', async () => {
    jobs = made({ exclusive: true });
    const { promise, resolve } = Promise.withResolvers<string>();
    work = async () => await promise;
    clock.pass(HOUR);
    jobs.tick();
    await new Promise((done) => setImmediate(done));
    jobs.tick();
    jobs.tick();
    assert.equal(leases.ticks, 2);
    resolve('done');
    await jobs.idle();
    assert.equal(leases.released_, 1);
  });

  it('are cut off when their lease is lost', async () => {
    jobs = made({ exclusive: true });
    work = async ({ signal }) =>
      await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    jobs.ask('sweep');
    await new Promise((done) => setImmediate(done));
    leases.taking?.lost(new ZkeepError('unavailable', 'job.lease-lost', 'it ran out'));
    await jobs.idle();
    assert.deepEqual(outcomes(), ['interrupted: it ran out']);
  });

  it('that run in another service are left to it, unless it comes to no end', async () => {
    jobs = made({ exclusive: true });
    clock.pass(HOUR);
    leases.answer = { service: 'other', until: clock.now() + 4 * MINUTE };
    await tick();
    assert.deepEqual([ran.length, only().elsewhere, only().running], [0, 'other', false]);
    assert.equal(only().next, '2026-11-20T10:04:00.000Z');
    clock.pass(4 * MINUTE);
    leases.releasedAt = clock.now() - MINUTE;
    leases.answer = undefined;
    await tick();
    assert.deepEqual([ran.length, only().next], [0, '2026-11-20T11:00:00.000Z'], 'it was done there');
    clock.pass(56 * MINUTE);
    leases.answer = { service: 'other', until: clock.now() + 4 * MINUTE };
    leases.releasedAt = undefined;
    await tick();
    clock.pass(4 * MINUTE);
    leases.answer = undefined;
    await tick();
    assert.equal(ran.length, 1, 'the other one died at it');
  });

  it('that cannot get their lease because the store is away have failed, and try again', async () => {
    jobs = made({ exclusive: true });
    leases.take = async () => {
      throw new ZkeepError('unavailable', 'store.away', 'away');
    };
    clock.pass(HOUR);
    await tick();
    assert.deepEqual([ran.length, outcomes()], [0, ['failed: away']]);
    assert.equal(only().next, '2026-11-20T11:00:00.000Z');
  });
});
