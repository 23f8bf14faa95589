/** The agent as a real process, on a stand-in for ZFS and a real service. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { Compile } from 'typebox/compile';
import { AgentsAnswerSchema } from '../../../catalog/protocol/agents.ts';
import { MIB } from '../backup/resume/halfway.ts';
import { ZfsHost } from '../backup/resume/zfs-host.ts';
import { until } from '../made-host.ts';
import { AgentHouse, type Ran, type Running } from '../road/agent-house.ts';

const isAgents = Compile(AgentsAnswerSchema);

describe('zkeep agent', () => {
  let house: AgentHouse;
  let host: ZfsHost;
  const running: Running[] = [];
  beforeEach(async () => {
    house = await AgentHouse.open();
    host = new ZfsHost({ 'tank/a': 1, 'tank/b': 2 });
    for (const [dataset, id] of [
      ['tank/a', 1],
      ['tank/b', 2],
    ] as const) {
      host.makeStream(dataset, id * 100 + 1, 'full', 0.1);
      for (let n = 2; n < 30; n++) host.makeStream(dataset, id * 100 + n, 'incremental', 0.1);
    }
  });
  afterEach(async () => {
    for (const { child } of running.splice(0)) child.kill('SIGKILL');
    await house.end();
    host.end();
  });

  const file = () => join(house.folder, 'agent.toml');
  const write = (text: string) => writeFileSync(file(), text);
  const job = (name: string, more = '') =>
    `[[job]]\nname = "${name}"\ndatasets = ["tank/**"]\nspread = "0"\nschedule = "* * * * * *"\n${more}\n`;
  const env = () => ({ ...host.env, ZKEEP_AGENT_CONFIG: file() });
  const lines: string[] = [];
  function start(): Running {
    lines.length = 0;
    const agent = house.begin(['agent'], env());
    running.push(agent);
    agent.child.stderr.on('data', (text: Buffer) => lines.push(...text.toString().split('\n')));
    return agent;
  }
  const isTold = async (words: RegExp) =>
    await until(`${words}`, () => lines.some((line) => words.test(line)));
  async function end({ child, ended }: Running, signal: NodeJS.Signals = 'SIGTERM'): Promise<Ran> {
    child.kill(signal);
    return await ended;
  }
  const agents = async () => {
    const token = house.service.tokens.list().some(({ name }) => name === 'reader')
      ? reader
      : house.service.tokens.add('reader', 'reader');
    reader = token;
    const answer = await fetch(`${house.url}/v1/agents`, { headers: { authorization: `Bearer ${token}` } });
    const said: unknown = await answer.json();
    assert.ok(isAgents.Check(said), JSON.stringify(said));
    return said.agents;
  };
  let reader = '';
  const snapshots = () => host.points.filter((point) => point.includes('@')).length;

  it('is not started with a wrong configuration, nor twice', async () => {
    write(job('one', 'colour = "red"'));
    const wrong = await house.zkeep(['agent'], { env: env() });
    assert.equal(wrong.code, 2);
    assert.match(wrong.stderr, /agent\.toml: job "one"\.colour is not a key/);
    write('');
    const first = start();
    await isTold(/runs 0 jobs/);
    const second = await house.zkeep(['agent', 'start', '--json'], { env: env() });
    assert.equal(second.code, 6, second.stderr);
    assert.equal(JSON.parse(second.stdout.toString()).error.code, 'agent.running');
    // A killed one leaves no lock.
    await end(first, 'SIGKILL');
    const again = start();
    await isTold(/runs 0 jobs/);
    assert.equal((await end(again)).code, 0);
  });

  it('runs its job, tells the service, and ends in order', async () => {
    write(job('all'));
    const agent = start();
    await isTold(
      /"all".*done: 2 snapshots stored .*; tank\/a in full, because .*; tank\/b in full, because /,
    );
    await until('the service knows', async () => (await agents())[0]?.jobs[0]?.last?.outcome === 'done');
    const [row] = await agents();
    assert.deepEqual(row?.jobs[0]?.datasets, ['tank/a', 'tank/b']);
    assert.deepEqual([row?.agent, row?.away], ['agent', false]);
    const { code, stdout } = await end(agent);
    assert.deepEqual([code, stdout.toString()], [0, '']);
    for (const line of lines.filter((text) => text !== '')) JSON.parse(line);
  });

  it('reads its configuration anew at SIGHUP, and stays with the old one when it is wrong', async () => {
    write(job('first'));
    const agent = start();
    await isTold(/"first".*done/);
    write('[[job]]\n');
    agent.child.kill('SIGHUP');
    await isTold(/the old one stays/);
    write(job('second'));
    agent.child.kill('SIGHUP');
    await isTold(/"second".*done/);
    assert.equal((await end(agent)).code, 0);
  });

  it('that was killed in the middle goes on with what it had begun, and owes no hook', async () => {
    const out = join(house.folder, 'hooks');
    const hook = (name: string) => `${name} = ["/bin/sh", "-c", "echo ${name} $ZKEEP_OUTCOME >>'${out}'"]`;
    write(job('all', `[job.hooks]\n${hook('before')}\n${hook('after')}\n${hook('ended')}`));
    const stream = host.makeStream('tank/a', 101, 'full', 20);
    host.fault('waits-at', 17 * MIB);
    const agent = start();
    await house.untilStored(16 * MIB);
    await end(agent, 'SIGKILL');
    host.mend('waits-at');
    const again = start();
    await isTold(/"all".*done/);
    assert.equal((await end(again)).code, 0);
    assert.ok(stream.length > 0);
    assert.equal(readFileSync(out, 'utf8').split('\n').slice(0, 2).join(' '), 'before after taken');
    assert.ok(
      host.sends.some((send) => send.includes('-t')),
      'it was not sent from its start',
    );
    await house.isClean();
  });

  it('that was killed between two datasets completes their set, and so does a run by hand', async () => {
    write(job('all'));
    for (const by of ['hand', 'itself']) {
      host.fault('stops-at', '^send -L .*tank/b@');
      const agent = start();
      await host.untilWaiting();
      await end(agent, 'SIGKILL');
      host.mend('stops-at');
      await house.untilOpen(0);
      if (by === 'itself') {
        const again = start();
        await isTold(/"all".*done/);
        assert.equal((await end(again)).code, 0);
      }
      // Also what its end has interrupted.
      assert.equal((await house.zkeep(['agent', 'run', 'all'], { env: env() })).code, 0);
    }
    const setsOf = async (dataset: string) => {
      const { snapshots } = await house.document(['list', dataset], 0);
      return snapshots.map(({ set }) => set);
    };
    const [first, second] = [await setsOf('tank/a'), await setsOf('tank/b')];
    assert.ok(first.length >= 4 && first.every((set) => set !== null));
    assert.deepEqual(first.toSorted(), second.toSorted());
    await house.isClean();
  });

  it('takes no snapshot when the hook before it fails, runs the one after it, and says so', async () => {
    const out = join(house.folder, 'hooks');
    const hooks = `before = ["/bin/false"]\nafter = ["/bin/sh", "-c", "echo $ZKEEP_OUTCOME >>'${out}'"]`;
    write(job('all', `[job.hooks]\n${hooks}`));
    const { code, stdout } = await house.zkeep(['agent', 'run', 'all', '--json'], { env: env() });
    assert.equal(code, 1, stdout.toString());
    const { outcome, error } = JSON.parse(stdout.toString());
    assert.deepEqual([outcome, error.code], ['failed', 'agent.run-failed']);
    assert.match(error.message, /the hook "before" ended with exit code 1/);
    assert.equal(snapshots(), 0);
    assert.equal(readFileSync(out, 'utf8'), 'failed\n');
  });

  it('stores what is taken when the hook after it fails, and tells that it did', async () => {
    write(job('all', '[job.hooks]\nafter = ["/bin/false"]'));
    const { code, stdout } = await house.zkeep(['agent', 'run', 'all', '--json'], { env: env() });
    assert.equal(code, 7, stdout.toString());
    assert.match(JSON.parse(stdout.toString()).words, /2 snapshots stored .*the hook "after" ended/);
    assert.equal(await house.isClean(), 2);
  });

  it('lives on without the service, and is heard of again when that is back', async () => {
    write(`patience = "0"\n${job('all')}`);
    await house.stop();
    const agent = start();
    await isTold(/"all".*failed/);
    await isTold(/does not hear of this agent/);
    await house.start();
    await isTold(/"all".*done/);
    await isTold(/hears of this agent again/);
    await until('the service knows', async () => (await agents())[0]?.jobs[0]?.failing === false);
    assert.equal((await end(agent)).code, 0);
  });

  it('runs a job of snapshots that others take, the newest of each dataset', async () => {
    host.add('tank/a@auto_1', 101);
    host.add('tank/a@auto_2', 102);
    host.add('tank/a@hand', 103);
    host.add('tank/b@auto_1', 201);
    host.makeStream('tank/a', 102, 'full', 0.1);
    write(job('auto', 'snapshot = "use-newest:auto_*"'));
    const { code, stdout } = await house.zkeep(['agent', 'run', 'auto', '--json'], { env: env() });
    assert.equal(code, 0, stdout.toString());
    assert.deepEqual(
      host.sends.map((send) => send.split(' ').at(-1)),
      ['tank/a@auto_2', 'tank/b@auto_1'],
    );
  });

  it('says of a job that is not there which ones are', async () => {
    write(job('one'));
    const { code, stderr } = await house.zkeep(['agent', 'run', 'two'], { env: env() });
    assert.equal(code, 3);
    assert.match(stderr, /no job "two"[\s\S]*its jobs are one/);
  });

  it('checks its configuration: what each job covers, when it runs, and what cannot be run', async () => {
    write(
      `${job('all', '[job.hooks]\nbefore = ["/nowhere/quiesce", "-x"]')}[[job]]\nname = "gone"\ndatasets = ["tank/gone"]\nschedule = "every day"\n`,
    );
    const { code, stdout } = await house.zkeep(['agent', 'check', '--json'], { env: env() });
    assert.equal(code, 1, stdout.toString());
    const { jobs } = JSON.parse(stdout.toString());
    assert.deepEqual(jobs[0].datasets, ['tank/a', 'tank/b']);
    assert.equal(jobs[0].next.length, 3);
    assert.match(jobs[0].problems[0], /the hook "before" cannot be run: \/nowhere\/quiesce/);
    assert.deepEqual(jobs[1].problems, [
      'no dataset of this host fits',
      'there is no dataset tank/gone, or it is excluded',
    ]);
    const words = (await house.zkeep(['agent', 'check'], { env: env() })).stdout.toString();
    assert.match(words, /all {2}\* \* \* \* \* \*\n {2}next: [\s\S]* {4}tank\/a/);
    write(job('all'));
    assert.equal((await house.zkeep(['agent', 'check'], { env: env() })).code, 0);
    write('');
    assert.equal((await house.zkeep(['agent', 'check'], { env: env() })).code, 1, 'nothing is backed up');
    assert.ok(!existsSync(join(house.folder, 'state')), 'it writes nothing');
  });
});
