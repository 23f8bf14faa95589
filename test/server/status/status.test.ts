import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Policy } from '../../../catalog/chain/retention/policy.ts';
import type { DatasetState } from '../../../catalog/index/answers/state.ts';
import type { Drill } from '../../../catalog/journal/entry.ts';
import type { AgentJob, AgentRow } from '../../../catalog/protocol/agents.ts';
import type { Guid, LineageId } from '../../../catalog/words.ts';
import { type StatusFacts, statusOf } from '../../../server/status/status.ts';

const HOUR = 3600;
/** Seconds. */
const NOW = 1_795_000_000;

function dataset(name: string, more: Partial<DatasetState> = {}): DatasetState {
  return {
    host: 'mds1',
    dataset: name,
    lineage: '01980000-0000-7000-8000-000000000001' as LineageId,
    snapshots: 3,
    stored: 3000,
    newest: { guid: '00000000000000aa' as Guid, name: 'daily', created: NOW - HOUR, steps: 2, chain: 2000 },
    light: null,
    deep: null,
    damaged: 0,
    lost: 0,
    continued: null,
    drill: null,
    ...more,
  };
}

function policy(more: Partial<Policy>): Policy {
  return { name: 'p', datasets: [], hosts: [], lineages: [], keep: {}, zone: 'UTC', ...more };
}

function agent(jobs: Partial<AgentJob>[], more: Partial<AgentRow> = {}): AgentRow {
  const job = { name: 'nightly', datasets: [], schedule: 'every hour', next: null, running: false };
  return {
    agent: 'mds1',
    host: 'mds1',
    version: '1',
    clock: NOW * 1000,
    jobs: jobs.map((one) => ({ ...job, last: null, failing: false, ...one })),
    seen: new Date(NOW * 1000).toISOString(),
    away: false,
    ahead: 0,
    ...more,
  };
}

function drill(more: Partial<Drill>): DatasetState['drill'] {
  return {
    at: '2026-11-01T00:00:00.000Z',
    host: 'scratch',
    target: 'scratch/drill',
    lineage: '01980000-0000-7000-8000-000000000001' as LineageId,
    dataset: 'tank/a',
    guid: '00000000000000aa' as Guid,
    name: 'daily',
    created: NOW,
    passed: true,
    problems: [],
    steps: 2,
    bytes: 2000,
    stored: 1000,
    restore_seconds: 10,
    compare_seconds: 1,
    objects: 1,
    properties: 1,
    ...more,
  };
}

function status(facts: Partial<StatusFacts>) {
  return statusOf({ now: NOW * 1000, datasets: [], policies: [], agents: [], jobs: [], scope: {}, ...facts });
}

describe('the state of a dataset', () => {
  it('is broken when nothing of it can be restored, or a snapshot cannot, or a drill did not pass', () => {
    for (const more of [{ newest: null }, { lost: 1 }, { drill: drill({ passed: false }) }]) {
      const { state, datasets } = status({ datasets: [dataset('tank/a', more)] });
      assert.deepEqual([state, datasets[0]?.state, datasets[0]?.reasons.length], ['broken', 'broken', 1]);
    }
  });

  it('is late when its newest restorable snapshot is older than the strictest objective that is for it', () => {
    const objectives = (policies: Policy[]) => {
      const [one] = status({ datasets: [dataset('tank/a')], policies }).datasets;
      return [one?.state, one?.objective];
    };
    const strict = policy({ datasets: ['tank/*'], objective: '30m' });
    assert.deepEqual(objectives([policy({ objective: '2h' })]), ['well', 2 * HOUR]);
    assert.deepEqual(objectives([policy({ objective: '2h' }), strict]), ['late', HOUR / 2]);
    assert.deepEqual(objectives([policy({ datasets: ['other/**'], objective: '30m' })]), ['well', null]);
    assert.deepEqual(objectives([policy({ hosts: ['mds2'], objective: '30m' })]), ['well', null]);
    const lineages = [dataset('x').lineage];
    assert.deepEqual(objectives([policy({ lineages, objective: '30m' })]), ['late', HOUR / 2]);
  });

  it('is worst first, then by name', () => {
    const { datasets } = status({
      datasets: [dataset('tank/b'), dataset('tank/a'), dataset('tank/c', { lost: 1 }), dataset('tank/d')],
      policies: [policy({ datasets: ['tank/d'], objective: '1m' })],
    });
    assert.deepEqual(
      datasets.map(({ dataset }) => dataset),
      ['tank/c', 'tank/d', 'tank/a', 'tank/b'],
    );
  });

  it('is not told of one that goes on under another name, unless it is asked for', () => {
    const renamed = dataset('tank/old', { continued: { host: 'mds1', dataset: 'tank/new' } });
    const policies = [policy({ objective: '1m' })];
    assert.deepEqual(status({ datasets: [renamed], policies }).datasets, []);
    const [one] = status({ datasets: [renamed], policies, scope: { dataset: 'tank/old' } }).datasets;
    assert.deepEqual([one?.state, one?.reasons], ['well', ['it goes on as tank/new on mds1']]);
  });

  it('is late for one that a job covers and that was never stored, once a run has ended', () => {
    const last = {
      started: '2026-11-20T00:00:00.000Z',
      ended: '2026-11-20T00:00:01.000Z',
      outcome: 'done' as const,
      words: '',
      stored: 0,
      failed: [],
    };
    const before = status({ agents: [agent([{ datasets: ['tank/a'] }])] });
    assert.deepEqual([before.state, before.datasets[0]?.dataset], ['well', 'tank/a']);
    const after = status({ agents: [agent([{ datasets: ['tank/a'], last }])] });
    assert.deepEqual([after.state, after.datasets[0]?.covered?.job], ['late', 'nightly']);
    const elsewhere = status({ agents: [agent([{ datasets: ['tank/a'], last }])], scope: { host: 'mds2' } });
    assert.deepEqual(elsewhere.datasets, []);
  });

  it('says how long a restore takes by what a drill measured, of its lineage or else of its host', () => {
    const other = { lineage: '01980000-0000-7000-8000-000000000002' as LineageId };
    const recoveryOf = (datasets: DatasetState[]) =>
      status({ datasets }).datasets.map(({ dataset, recovery }) => [dataset, recovery]);
    assert.deepEqual(
      recoveryOf([
        dataset('tank/a', { drill: drill({ stored: 1000, restore_seconds: 10 }) }),
        dataset('tank/b', other),
        dataset('tank/c', { ...other, host: 'mds2' }),
      ]),
      [
        ['tank/a', 20],
        ['tank/b', 20],
        ['tank/c', null],
      ],
    );
  });
});

describe('how long a restore is expected to take', () => {
  it('is not judged by a drill of next to nothing, which took as long as any to begin', () => {
    const own = (number: number) => ({
      lineage: `01980000-0000-7000-8000-00000000000${number}` as LineageId,
    });
    const [bare, large, mail] = status({
      datasets: [
        dataset('tank/bare', { ...own(1), drill: drill({ stored: 3000, restore_seconds: 17 }) }),
        dataset('tank/large', { ...own(2), drill: drill({ stored: 4_000_000, restore_seconds: 18 }) }),
        dataset('tank/mail', {
          ...own(3),
          newest: { guid: '00000000000000aa' as Guid, name: 'n', created: NOW, steps: 2, chain: 4_100_000 },
        }),
      ],
    }).datasets;
    assert.ok((bare?.recovery ?? 0) < 17 && (large?.recovery ?? 0) < 18);
    assert.equal(Math.round(mail?.recovery ?? 0), 18);
  });

  it('is by the last drills of all where none is known of its lineage and host, as when it is asked for alone', () => {
    const [failed, passed] = [drill({ passed: false, restore_seconds: 1 }), drill({ restore_seconds: 30 })];
    const drills = [failed, passed].flatMap((one) => one ?? []);
    const { datasets } = status({ datasets: [dataset('tank/a')], drills, scope: { dataset: 'tank/a' } });
    assert.equal(datasets[0]?.recovery, 60);
  });
});

describe('problems', () => {
  it('are agents that are away, clocks that differ, jobs that fail', () => {
    const seen = new Date((NOW - HOUR) * 1000).toISOString();
    const failed = { at: seen, outcome: 'failed', seconds: 1, words: 'the bucket is gone' };
    const { problems } = status({
      agents: [
        agent([{ failing: true }], { away: true, seen, ahead: -120_000 }),
        agent([], { agent: 'shared', host: 'mds2' }),
      ],
      jobs: [
        {
          job: 'prune',
          running: false,
          elsewhere: null,
          since: null,
          progress: null,
          last: failed,
          next: null,
        },
        { job: 'copy', running: false, elsewhere: null, since: null, progress: null, last: null, next: null },
      ],
    });
    assert.deepEqual(problems, [
      'agent mds1 was last heard of 60 minutes ago (where it is gone for good: zkeep-server token remove mds1)',
      'the clock of agent mds1 is 120 seconds behind',
      'job nightly of agent mds1 fails',
      "the service's job prune failed: the bucket is gone",
    ]);
  });

  const failed = {
    at: new Date(NOW * 1000).toISOString(),
    outcome: 'failed' as const,
    seconds: 1,
    words: 'no',
  };
  const idle = { running: false, elsewhere: null, since: null, progress: null, next: null };
  const prune = { job: 'prune' as const, ...idle, last: failed };

  it('make the whole late though every dataset is well: an agent that is away, a job that fails', () => {
    const datasets = [dataset('tank/a')];
    const wrong: Partial<StatusFacts>[] = [
      { agents: [agent([], { away: true })] },
      { agents: [agent([{ failing: true }])] },
      { jobs: [prune] },
    ];
    for (const facts of wrong) {
      const { state, datasets: told } = status({ datasets, ...facts });
      assert.deepEqual([state, told[0]?.state], ['late', 'well']);
    }
    assert.equal(status({ datasets, agents: [agent([], { ahead: 120_000 })] }).state, 'well');
    const broken = [dataset('tank/a', { lost: 1 })];
    assert.equal(status({ datasets: broken, agents: [agent([], { away: true })] }).state, 'broken');
  });

  it('are those of what is asked for', () => {
    const agents = [
      agent([{ datasets: ['tank/a'], failing: true }, { datasets: ['tank/b'] }]),
      agent([{ datasets: ['tank/b'] }], { agent: 'mds2', host: 'mds2', away: true }),
    ];
    const seen = (scope: StatusFacts['scope']) => {
      const { state, problems } = status({ agents, jobs: [prune], scope });
      return [state, problems.map((words) => words.split(' ').slice(0, 3).join(' '))];
    };
    assert.deepEqual(seen({ dataset: 'tank/a' }), ['late', ['job nightly of', "the service's job"]]);
    assert.deepEqual(seen({ dataset: 'tank/b', host: 'mds1' }), ['well', ["the service's job"]]);
    assert.deepEqual(seen({ host: 'mds2' }), ['late', ['agent mds2 was', "the service's job"]]);
  });

  it('say of an agent that is long away for how long', () => {
    const away = (hours: number) => {
      const seen = new Date((NOW - hours * HOUR) * 1000).toISOString();
      return status({ agents: [agent([], { away: true, seen })] }).problems[0]?.split(' (')[0];
    };
    assert.equal(away(5), 'agent mds1 was last heard of 5 hours ago');
    assert.equal(away(240), 'agent mds1 was last heard of 10 days ago');
  });
});
