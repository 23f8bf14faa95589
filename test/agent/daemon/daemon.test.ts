import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseAgentConfiguration } from '../../../agent/daemon/configuration.ts';
import { Daemon, type JobRun } from '../../../agent/daemon/daemon.ts';
import type { JobEnd, JobRecord } from '../../../agent/daemon/jobs/records.ts';
import type { LogFacts } from '../../../agent/daemon/log.ts';
import { ZkeepError } from '../../../catalog/errors.ts';
import { FakeClock } from './fake-clock.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DONE: JobEnd = { outcome: 'done', words: '1 snapshot stored', stored: 1, failed: [] };
const job = (name: string, schedule = 'every hour', more = '') =>
  `[[job]]\nname = "${name}"\ndatasets = ["tank/**"]\nspread = "0"\nschedule = "${schedule}"\n${more}\n`;

const drill = (name: string) => job(name, 'every hour', 'to = "scratch"').replace('[[job]]', '[[drill]]');

/** A daemon on a fake clock, whose jobs take as long and end as the test says. */
class Rig {
  readonly clock = new FakeClock('2026-11-20T09:30:00Z');
  readonly told: string[] = [];
  /** `HH:MM:SS name` of each run that began; with a `*` those of some datasets alone. */
  readonly began: string[] = [];
  /** What the daemon keeps on disk. */
  disk = new Map<string, JobRecord>();
  diskIsFull = false;
  /** How often it was said that something changed. */
  changes = 0;
  text: string;
  /** How a run ends; by default well, at once. */
  how: (run: JobRun) => Promise<JobEnd> | JobEnd = () => DONE;
  covers: Record<string, string[]> = {};
  /** Jobs of which nobody can tell what they cover. */
  unknown = new Set<string>();
  #stop = new AbortController();
  #over: Promise<void> = Promise.resolve();
  #daemon: Daemon | undefined;

  constructor(text: string) {
    this.text = text;
  }

  get daemon(): Daemon {
    return this.#daemon ?? assert.fail('it does not run');
  }

  async start(): Promise<this> {
    this.#stop = new AbortController();
    const tell = (mark: string) => (facts: LogFacts, words: string) => {
      this.told.push(`${mark}${facts.job ?? '-'}: ${words}`);
    };
    this.#daemon = new Daemon({
      clock: this.clock,
      log: { info: tell(''), warn: tell('! '), error: tell('!! ') },
      records: {
        read: async () => new Map(this.disk),
        write: async (records) => {
          if (this.diskIsFull) throw new Error('no space left on device');
          this.disk = structuredClone(new Map(records));
        },
      },
      load: () => parseAgentConfiguration(this.text, 'agent.toml'),
      perform: async (run) => {
        const time = this.clock.time.slice(11, 19);
        this.began.push(`${time} ${run.job.name}${run.only ? `* ${run.only.join(' ')}` : ''}`);
        return await this.how(run);
      },
      datasets: async ({ name }) => {
        if (this.unknown.has(name)) throw new Error('ZFS does not answer');
        return this.covers[name] ?? [name];
      },
      changed: () => {
        this.changes += 1;
      },
    });
    this.#over = this.#daemon.run(this.#stop.signal);
    await this.clock.settle();
    return this;
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error('stopped'));
    await this.#over;
  }
}

/** A run that takes so long, or ends as interrupted. */
const lasting =
  (rig: Rig, milliseconds: number) =>
  async (run: JobRun): Promise<JobEnd> => {
    try {
      await rig.clock.sleep(milliseconds, run.signal);
      return DONE;
    } catch {
      return { ...DONE, outcome: 'interrupted', words: 'stopped' };
    }
  };

describe('the daemon', () => {
  it('is not started with a configuration that is wrong', async () => {
    await assert.rejects(new Rig('[[job]]').start(), { kind: 'usage', code: 'configuration.wrong' });
  });

  it('runs a job at its moments', async () => {
    const rig = await new Rig(job('one')).start();
    await rig.clock.pass(2 * HOUR + 31 * MINUTE);
    assert.deepEqual(rig.began, ['10:00:00 one', '11:00:00 one', '12:00:00 one']);
    await rig.stop();
  });

  it('never lets a job overlap itself, and makes up for all that it missed by one run', async () => {
    const rig = await new Rig(job('one', 'every 15 minutes')).start();
    rig.how = lasting(rig, 40 * MINUTE);
    await rig.clock.pass(90 * MINUTE);
    assert.deepEqual(rig.began, ['09:45:00 one', '10:25:00 one']);
    await rig.stop();
  });

  it('runs as many at once as it may, the most urgent first', async () => {
    const text = `concurrency = 2\n${job('low')}${job('high', 'every hour', 'priority = 5')}${job('next')}`;
    const rig = await new Rig(text).start();
    rig.how = lasting(rig, 10 * MINUTE);
    await rig.clock.pass(50 * MINUTE);
    assert.deepEqual(rig.began, ['10:00:00 high', '10:00:00 low', '10:10:00 next']);
    await rig.stop();
  });

  it('lets two jobs of one dataset wait for each other, and others pass', async () => {
    const rig = new Rig(`concurrency = 3\n${job('one')}${job('same')}${job('other')}`);
    rig.covers = { one: ['tank/a'], same: ['tank/b', 'tank/a'], other: ['tank/c'] };
    await rig.start();
    rig.how = lasting(rig, 10 * MINUTE);
    await rig.clock.pass(45 * MINUTE);
    assert.deepEqual(rig.began, ['10:00:00 one', '10:00:00 other', '10:10:00 same']);
    assert.equal(rig.told.filter((line) => line.includes('waits for one')).length, 1);
    await rig.stop();
  });

  it('lets a job wait of which nobody can tell whether it is at the datasets of another one', async () => {
    const rig = new Rig(`concurrency = 3\n${job('one')}${job('unknown')}${job('other')}`);
    rig.unknown.add('unknown');
    await rig.start();
    rig.how = lasting(rig, 10 * MINUTE);
    await rig.clock.pass(55 * MINUTE);
    assert.deepEqual(rig.began, ['10:00:00 one', '10:00:00 other', '10:10:00 unknown']);
    await rig.stop();
  });

  it('lets no drill keep a backup waiting, and no two of them run at once', async () => {
    const rig = await new Rig(`${job('one')}${drill('long')}${drill('second')}`).start();
    rig.how = lasting(rig, 20 * MINUTE);
    await rig.clock.pass(55 * MINUTE);
    assert.deepEqual(rig.began, ['10:00:00 one', '10:00:00 long', '10:20:00 second']);
    await rig.stop();
  });

  it('lives on while the service is away for hours, and tries again in between', async () => {
    const rig = await new Rig(job('nightly', '0 10 * * *')).start();
    const until = rig.clock.now() + 5 * HOUR;
    rig.how = () => (rig.clock.now() < until ? { ...DONE, outcome: 'failed', words: 'away' } : DONE);
    await rig.clock.pass(20 * HOUR);
    assert.deepEqual(rig.began.slice(0, 4), [
      '10:00:00 nightly',
      '10:01:00 nightly',
      '10:03:00 nightly',
      '10:07:00 nightly',
    ]);
    assert.equal(rig.began.length, 7);
    await rig.clock.pass(6 * HOUR);
    assert.deepEqual(rig.began.slice(7), ['10:00:00 nightly']);
    assert.ok(rig.told.some((line) => /^!! nightly: failed: away; again in/.test(line)));
    assert.match(rig.told.at(-1) ?? '', /done/);
    await rig.stop();
  });

  it('says when it runs again: as scheduled, where that comes before the try', async () => {
    const rig = await new Rig(job('one', '*/20 * * * * *')).start();
    rig.how = () => ({ ...DONE, outcome: 'failed', words: 'away' });
    await rig.clock.pass(MINUTE);
    const told = rig.told.filter((line) => line.includes('failed: away'));
    assert.ok(told.length > 0 && told.every((line) => line.endsWith('; again in 20 s')), told.join('\n'));
    await rig.stop();
  });

  it('tries again only of the datasets that could not be stored', async () => {
    const rig = await new Rig(job('one')).start();
    rig.how = ({ only }) => (only ? DONE : { ...DONE, outcome: 'partly', failed: ['tank/b'] });
    await rig.clock.pass(35 * MINUTE);
    assert.deepEqual(rig.began, ['10:00:00 one', '10:01:00 one* tank/b']);
    await rig.stop();
  });

  it('goes on when a run throws what nobody foresaw', async () => {
    const rig = await new Rig(job('one')).start();
    rig.how = () => {
      throw new TypeError(`x is undefined ${'!'.repeat(5000)}`);
    };
    await rig.clock.pass(31 * MINUTE);
    assert.ok(rig.told.some((line) => line.includes('something unforeseen: x is undefined')));
    const { words = '' } = rig.disk.get('one')?.last ?? {};
    assert.equal(words.length, 2000, 'as long as what is read again may be');
    await rig.stop();
  });

  it('goes on when it cannot write down what ran, and says so', async () => {
    const rig = await new Rig(job('one')).start();
    rig.diskIsFull = true;
    await rig.clock.pass(2 * HOUR);
    assert.deepEqual(rig.began, ['10:00:00 one', '11:00:00 one']);
    assert.ok(rig.told.some((line) => line.includes('cannot write down')));
    await rig.stop();
  });
});

describe('a daemon that is started again', () => {
  it('neither forgets a run nor repeats one', async () => {
    const rig = await new Rig(job('one')).start();
    await rig.clock.pass(35 * MINUTE);
    await rig.stop();
    await rig.start();
    await rig.clock.pass(20 * MINUTE);
    assert.deepEqual(rig.began, ['10:00:00 one']);
    await rig.stop();
    rig.clock.jump(3 * HOUR);
    await rig.start();
    await rig.clock.pass(MINUTE);
    assert.deepEqual(rig.began, ['10:00:00 one', '13:25:00 one']);
    await rig.stop();
  });

  it('knows when it first saw a job that never ran', async () => {
    const rig = await new Rig(job('weekly', 'every week')).start();
    await rig.stop();
    rig.clock.jump(8 * 24 * HOUR);
    await rig.start();
    await rig.clock.settle();
    assert.deepEqual(rig.began, ['09:30:00 weekly']);
    await rig.stop();
  });

  it('goes on at once with what a stop interrupted', async () => {
    const rig = await new Rig(job('one', 'every day', 'zone = "Asia/Tokyo"')).start();
    rig.how = lasting(rig, HOUR);
    await rig.clock.pass(6 * HOUR);
    assert.deepEqual(rig.began, ['15:00:00 one']);
    await rig.stop();
    assert.equal(rig.disk.get('one')?.last?.outcome, 'interrupted');
    await rig.start();
    assert.deepEqual(rig.began, ['15:00:00 one', '15:30:00 one']);
    await rig.clock.pass(20 * HOUR);
    assert.equal(rig.began.length, 2);
    await rig.stop();
  });

  it('goes on at once with what a kill interrupted', async () => {
    const rig = await new Rig(job('one')).start();
    rig.how = lasting(rig, HOUR);
    await rig.clock.pass(45 * MINUTE);
    const left = structuredClone(rig.disk);
    assert.notEqual(left.get('one')?.started, null);
    const again = new Rig(rig.text);
    again.disk = left;
    again.clock.jump(2 * HOUR);
    await again.start();
    assert.deepEqual(again.began, ['11:30:00 one']);
    await again.stop();
    await rig.stop();
  });
});

describe('a clock that is set anew', () => {
  it('forward is noticed within seconds, and what was missed is made up for once', async () => {
    const rig = await new Rig(job('one')).start();
    const { changes } = rig;
    rig.clock.jump(26 * HOUR);
    await rig.clock.pass(5_000);
    assert.deepEqual(rig.began, ['11:30:05 one']);
    assert.ok(rig.changes > changes, 'the service hears of it');
    assert.ok(rig.told.some((line) => line.includes('the clock was set anew')));
    await rig.stop();
  });

  it('back does not stop the jobs, nor run them twice for the same moment', async () => {
    const rig = await new Rig(job('one')).start();
    await rig.clock.pass(31 * MINUTE);
    rig.clock.jump(-5 * MINUTE);
    await rig.clock.pass(30 * MINUTE);
    assert.deepEqual(rig.began, ['10:00:00 one']);
    rig.clock.jump(-100 * 24 * HOUR);
    await rig.clock.pass(2 * HOUR);
    assert.deepEqual(rig.began.slice(1), ['11:00:00 one', '12:00:00 one']);
    await rig.stop();
  });
});

describe('a configuration that is read anew', () => {
  it('and is wrong changes nothing, which is said loudly', async () => {
    const rig = await new Rig(job('one')).start();
    rig.text = `${job('one')}colour = "red"`;
    rig.daemon.reload();
    await rig.clock.pass(31 * MINUTE);
    assert.ok(
      rig.told.some((line) =>
        /^!! -: the configuration is wrong, and the old one stays: .*colour/.test(line),
      ),
    );
    assert.deepEqual(rig.began, ['10:00:00 one']);
    await rig.stop();
  });

  it('brings new jobs, ends old ones, and lets what runs end under its old words', async () => {
    const rig = await new Rig(job('old')).start();
    const seen: JobRun[] = [];
    rig.how = async (run) => {
      seen.push(run);
      return await lasting(rig, 20 * MINUTE)(run);
    };
    await rig.clock.pass(35 * MINUTE);
    rig.text = job('new', 'every 30 minutes');
    rig.daemon.reload();
    await rig.clock.pass(2 * HOUR);
    assert.deepEqual(rig.began, [
      '10:00:00 old',
      '10:30:00 new',
      '11:00:00 new',
      '11:30:00 new',
      '12:00:00 new',
    ]);
    assert.equal(seen[0]?.configuration.jobs[0]?.name, 'old');
    assert.ok(rig.told.includes('old: done: 1 snapshot stored'));
    assert.deepEqual([...rig.disk.keys()], ['new']);
    await rig.stop();
  });
});

it('an unusable memory is told, and every job waits for its next moment', async () => {
  const rig = new Rig(job('one'));
  const clock = rig.clock;
  const told: string[] = [];
  const daemon = new Daemon({
    clock,
    log: { info: () => undefined, warn: () => undefined, error: (_facts, words) => void told.push(words) },
    records: {
      read: async (onDamage) => {
        onDamage(new ZkeepError('damaged', 'schema.mismatch', 'runs.json is malformed'));
        return new Map();
      },
      write: async () => undefined,
    },
    load: () => parseAgentConfiguration(rig.text, 'agent.toml'),
    perform: async () => assert.fail('nothing is due'),
    datasets: async () => [],
    changed: () => undefined,
  });
  const stop = new AbortController();
  const over = daemon.run(stop.signal);
  await clock.pass(20 * MINUTE);
  assert.match(told[0] ?? '', /not known any more/);
  stop.abort(new Error('stopped'));
  await over;
});
