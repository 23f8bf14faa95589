import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { decideDue, MOST_TRIES_AGAIN, mended, nextRun, retryAt } from '../../../../agent/daemon/jobs/due.ts';
import { begun, ended, found, type JobEnd, newRecord } from '../../../../agent/daemon/jobs/records.ts';
import { parseSchedule } from '../../../../catalog/schedule.ts';

const at = (text: string) => Date.parse(`2026-11-20T${text}:00Z`);
const HOURLY = parseSchedule('every hour');
const job = (name: string, priority = 0, schedule = HOURLY) => ({ name, priority, schedule });
const DONE: JobEnd = { outcome: 'done', words: '', stored: 1, failed: [] };
const FAILED: JobEnd = { ...DONE, outcome: 'failed' };
const clockAt = (now: number) => ({ now: () => now, random: () => 0.5 });
const recordAt = (due: number) => newRecord(due);

/** Asks for jobs whose records are all of the same moment. */
const due = (jobs: ReturnType<typeof job>[], since: string, now: string, running: string[] = []) =>
  decideDue({
    jobs,
    records: new Map(jobs.map(({ name }) => [name, recordAt(at(since))])),
    running: new Set(running),
    now: at(now),
  });

describe('what is due', () => {
  it('is nothing before its moment, and it is said when that is', () => {
    assert.deepEqual(due([job('a')], '09:00', '09:59'), { due: [], next: at('10:00') });
  });

  it('is a job at its moment, and of many that were missed one run', () => {
    assert.deepEqual(due([job('a')], '09:00', '10:00').due, [{ name: 'a', at: at('10:00'), again: false }]);
    const { due: late } = due([job('a')], '09:00', '17:30');
    assert.equal(late.length, 1);
    const after = begun(recordAt(at('09:00')), { again: false }, at('17:30'));
    assert.equal(nextRun(HOURLY, after, at('17:31'))?.at, at('18:00'));
  });

  it('is never a job that runs', () => {
    assert.deepEqual(due([job('a')], '09:00', '17:30', ['a']), { due: [], next: undefined });
  });

  it('comes by priority, then by who waits the longest, then as the file has it', () => {
    const daily = parseSchedule('0 4 * * *');
    const jobs = [job('c'), job('b'), job('old', 0, daily), job('first', 7)];
    const names = due(jobs, '03:00', '12:00').due.map(({ name }) => name);
    assert.deepEqual(names, ['first', 'c', 'b', 'old']);
    const records = new Map(jobs.map(({ name }) => [name, recordAt(at('05:30'))]));
    records.set('b', recordAt(at('03:30')));
    const then = decideDue({ jobs, records, running: new Set(), now: at('12:00') });
    assert.deepEqual(
      then.due.map(({ name }) => name),
      ['first', 'b', 'c'],
    );
  });
});

describe('a clock that was wrong', () => {
  const DAY = 86_400_000;

  it('far ahead does not keep a job from running once it is right', () => {
    const record = begun(recordAt(at('09:00')), { again: false }, at('09:00') + 365 * DAY);
    const right = mended(HOURLY, record, at('10:30'));
    assert.equal(nextRun(HOURLY, right, at('10:30'))?.at, at('11:00'));
    assert.equal(mended(HOURLY, right, at('10:40')), right);
  });

  it('far ahead does not put off a try again', () => {
    const failed = ended(recordAt(at('09:00')), FAILED, clockAt(at('09:30') + 365 * DAY));
    assert.equal(mended(HOURLY, failed, at('09:30')).retry?.at, at('09:30'));
  });

  it('a little ahead does not have a job run twice', () => {
    const record = begun(recordAt(at('09:00')), { again: false }, at('10:00'));
    assert.equal(mended(HOURLY, record, at('09:59')), record);
    assert.equal(nextRun(HOURLY, record, at('09:59'))?.at, at('11:00'));
    const daily = parseSchedule('every day');
    const ran = begun(recordAt(0), { again: false }, at('00:00') + DAY);
    assert.equal(mended(daily, ran, at('19:00')), ran);
    assert.equal(nextRun(daily, ran, at('19:00'))?.at, at('00:00') + 2 * DAY);
  });

  it('behind has a job run once when it is right again', () => {
    const record = begun(recordAt(at('09:00')), { again: false }, at('10:00') - 365 * DAY);
    const now = at('10:30');
    assert.equal((nextRun(HOURLY, record, now)?.at ?? now) <= now, true);
    const after = begun(record, { again: false }, now);
    assert.equal(nextRun(HOURLY, after, now)?.at, at('11:00'));
  });
});

describe('a run that failed', () => {
  it('is tried again after pauses that double, so many times, and then as scheduled', () => {
    const daily = parseSchedule('every day');
    let record = begun(recordAt(at('00:00') - 1), { again: false }, at('00:00'));
    let now = at('00:00');
    const pauses: number[] = [];
    for (;;) {
      record = ended(record, FAILED, clockAt(now));
      const next = nextRun(daily, record, now);
      if (!next?.again) break;
      pauses.push((next.at - now) / 60_000);
      now = next.at;
      record = begun(record, { again: true }, now);
    }
    assert.deepEqual(pauses, [1, 2, 4, 8, 16, 32]);
    assert.equal(pauses.length, MOST_TRIES_AGAIN);
    assert.equal(nextRun(daily, record, now)?.at, at('00:00') + 86_400_000);
    assert.ok(record.failing);
  });

  it('is not tried again once its next scheduled run comes first', () => {
    const minutely = parseSchedule('every minute');
    const record = ended(
      begun(recordAt(at('09:00')), { again: false }, at('09:01')),
      FAILED,
      clockAt(at('09:01')),
    );
    assert.deepEqual(nextRun(minutely, record, at('09:01')), { at: at('09:02'), again: false });
  });

  it('of some of its datasets is tried again of these', () => {
    const partly: JobEnd = { ...DONE, outcome: 'partly', failed: ['tank/b'] };
    const record = ended(
      begun(recordAt(at('09:00')), { again: false }, at('10:00')),
      partly,
      clockAt(at('10:01')),
    );
    assert.deepEqual(record.retry, { at: at('10:02'), only: ['tank/b'] });
    const well = ended(begun(record, { again: true }, at('10:02')), DONE, clockAt(at('10:03')));
    assert.deepEqual([well.retry, well.tries, well.failing, well.due], [null, 0, false, at('10:00')]);
  });

  it('counts anew from its next scheduled run on', () => {
    let record = recordAt(at('09:00'));
    for (let n = 0; n < 9; n++)
      record = ended(begun(record, { again: true }, at('09:30')), FAILED, clockAt(at('09:30')));
    assert.equal(record.retry, null);
    record = ended(begun(record, { again: false }, at('10:00')), FAILED, clockAt(at('10:00')));
    assert.equal(record.retry?.at, at('10:01'));
  });

  it('comes back at another moment on each host', () => {
    const early = retryAt(1, false, { now: () => 0, random: () => 0 });
    const late = retryAt(1, false, { now: () => 0, random: () => 0.999 });
    assert.ok(early === 30_000 && late !== null && late > 80_000);
  });
});

describe('a run that was interrupted', () => {
  it('goes on at once at the next start, and is not said to have failed', () => {
    const killed = begun(recordAt(at('09:00')), { again: false }, at('10:00'));
    const record = found(killed, clockAt(at('10:20')));
    assert.deepEqual(nextRun(HOURLY, record, at('10:20')), { at: at('10:20'), again: true });
    assert.deepEqual([record.last?.outcome, record.failing], ['interrupted', false]);
    assert.equal(found(record, clockAt(at('10:21'))), record);
  });

  it('again and again is tried less and less often', () => {
    let record = recordAt(at('09:00'));
    record = found(begun(record, { again: false }, at('10:00')), clockAt(at('10:00')));
    record = found(begun(record, { again: true }, at('10:00')), clockAt(at('10:00')));
    assert.equal(record.retry?.at, at('10:02'));
  });

  it('leaves it as it was whether the job fails', () => {
    const failing = ended(begun(recordAt(0), { again: false }, 1), FAILED, clockAt(2));
    assert.ok(found(begun(failing, { again: true }, 3), clockAt(4)).failing);
  });
});

it('whatever happens, a job is due again within its period, the longest pause, or at once', () => {
  const outcomes = fc.constantFrom<JobEnd['outcome']>('done', 'partly', 'failed', 'interrupted');
  const step = fc.record({ outcome: outcomes, wait: fc.integer({ min: 0, max: 7_200_000 }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      let [record, now] = [recordAt(at('09:00')), at('09:00')];
      for (const { outcome, wait } of steps) {
        const next = nextRun(HOURLY, record, now);
        assert.ok(next && next.at <= now + 3_600_000, 'it comes within its period');
        now = Math.max(now + wait, next.at);
        const again = nextRun(HOURLY, record, now)?.again ?? false;
        record = begun(record, { again }, now);
        record = ended(record, { ...DONE, outcome }, clockAt(now));
        const after = nextRun(HOURLY, record, now);
        // What is done is not done again at once.
        if (outcome === 'done') assert.ok(after && after.at > now && !after.again);
      }
    }),
  );
});
