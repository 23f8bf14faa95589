import assert from 'node:assert/strict';
import { it } from 'node:test';
import { CheckIns } from '../../../agent/daemon/check-ins.ts';
import { parseAgentConfiguration } from '../../../agent/daemon/configuration.ts';
import { newRecord } from '../../../agent/daemon/jobs/records.ts';
import { ZkeepError } from '../../../catalog/errors.ts';
import type { CheckIn } from '../../../catalog/protocol/agents.ts';
import { FakeClock } from './fake-clock.ts';

const TEXT = '[[job]]\nname = "one"\ndatasets = ["tank/**"]\nspread = "0"\nschedule = "every hour"\n';

it('an agent is heard of at its start, after changes and every five minutes, and says what is wrong once', async () => {
  const clock = new FakeClock('2026-11-20T09:30:00Z');
  const told: string[] = [];
  const said: CheckIn[] = [];
  let [away, zfsIsAway, ahead] = [false, false, 0];
  const tell = (_facts: unknown, words: string) => void told.push(words);
  const checkIns = new CheckIns({
    clock,
    log: { info: tell, warn: tell, error: tell },
    version: '1',
    datasets: async () => {
      if (zfsIsAway) throw new ZkeepError('unavailable', 'zfs.not-loaded', 'no module');
      return ['tank/a'];
    },
    send: async (body) => {
      if (away) throw new ZkeepError('unavailable', 'service.unreachable', 'nobody answers');
      said.push(body);
      return { clock: clock.now() - ahead };
    },
  });
  const configuration = parseAgentConfiguration(TEXT, 'agent.toml');
  const state = {
    configuration,
    records: new Map([['one', newRecord(clock.now())]]),
    running: new Set<string>(),
  };
  const stop = new AbortController();
  const over = checkIns.run(stop.signal);
  checkIns.changed(state);
  await clock.pass(2_000);
  assert.deepEqual(said[0]?.jobs[0], {
    name: 'one',
    datasets: ['tank/a'],
    schedule: 'every hour',
    next: '2026-11-20T10:00:00.000Z',
    running: false,
    last: null,
    failing: false,
  });
  checkIns.changed({ ...state, running: new Set(['one']) });
  await clock.pass(2_000);
  assert.deepEqual([said.length, said[1]?.jobs[0]?.running], [2, true]);
  // What it covered stays known while ZFS cannot be asked.
  zfsIsAway = true;
  await clock.pass(11 * 60_000);
  assert.deepEqual([said.length, said[3]?.jobs[0]?.datasets], [4, ['tank/a']]);
  away = true;
  await clock.pass(60 * 60_000);
  assert.deepEqual(told, ['the service does not hear of this agent: nobody answers']);
  [away, ahead] = [false, 3_600_000];
  await clock.pass(30 * 60_000);
  assert.deepEqual(told.slice(1), [
    'the service hears of this agent again',
    'the clock of this host is 60 m ahead of that of the service: is one of them wrong?',
  ]);
  stop.abort(new Error('stopped'));
  await over;
});
