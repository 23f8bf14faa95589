/** `zkeep status` and `zkeep events` as those see them who go by exit codes. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { manifestKey } from '../../../catalog/repository/names.ts';
import { recordedStream } from '../../fixtures/recorded-streams.ts';
import { AgentHouse } from './agent-house.ts';

describe('the state of all datasets', () => {
  let house: AgentHouse;
  let operator: string;
  before(async () => {
    house = await AgentHouse.open();
    operator = house.service.tokens.add('alice', 'operator');
    await house.document(['import', '--dataset', 'tank/fs'], 0, { stdin: recordedStream('full') });
  });
  after(() => house.end());

  /** A policy whose objective the recorded snapshot keeps, or not. */
  const objective = async (duration: string, datasets: string[] = []) => {
    const headers = { authorization: `Bearer ${operator}` };
    const kept = { name: 'test', datasets, hosts: [], lineages: [], zone: 'UTC', keep: { last: 10 } };
    const payload = { ...kept, objective: duration };
    const url = '/v1/policies/test';
    const answer = await house.service.app.inject({ method: 'PUT', url, headers, payload });
    assert.ok(answer.statusCode < 300, answer.body);
  };
  const status = async () => await house.zkeep(['status', '--json']);
  const stateIn = (stdout: Buffer) => (JSON.parse(stdout.toString()) as { state: string }).state;

  it('is well, with exit code 0, while nothing is asked of it', async () => {
    const { code, stdout } = await status();
    assert.deepEqual([code, stateIn(stdout)], [0, 'well']);
  });

  it('is late, with exit code 1, and says which dataset and what to do', async () => {
    await objective('1s');
    const { code, stdout } = await status();
    assert.deepEqual([code, stateIn(stdout)], [1, 'late']);
    const words = (await house.zkeep(['status'])).stdout.toString();
    assert.match(words, /tank\/fs on .* is late: /);
    assert.match(words, /what to do: on .*: zkeep backup tank\/fs/);
  });

  it('is well again when one of which no more is to come is excepted from its policies, as is said', async () => {
    await objective('1s');
    const told = (await house.zkeep(['status'])).stdout.toString();
    const [, pattern = ''] =
      /if no more is to come of it: except it .* with '(.*)' last among/.exec(told) ?? [];
    assert.equal(pattern, '!tank/fs');
    await objective('1s', ['**', pattern]);
    assert.equal((await status()).code, 0);
  });

  it('is broken, with exit code 2, when a snapshot is lost', async () => {
    const { backups } = await house
      .document(['list', 'tank/fs'], 0)
      .then(({ snapshots }) => ({ backups: snapshots }));
    const [backup] = backups;
    assert.ok(backup);
    const problems = [{ code: 'segment.gone', key: null, message: 'a segment is gone' }];
    const damage = { backup: backup.backup, depth: 'light' as const, problems, count: 1 };
    await house.service.journal.record(null, { kind: 'damaged', damage });
    const { code, stdout } = await status();
    assert.deepEqual([code, stateIn(stdout)], [2, 'broken']);
    assert.match((await house.zkeep(['status'])).stdout.toString(), /what to do: zkeep damage tank\/fs/);
  });

  it('says what to do about a drill that did not pass', async () => {
    const { snapshots } = await house.document(['list', 'tank/fs'], 0);
    const { to: guid, lineage, host, name, created } = snapshots[0] ?? assert.fail();
    const measured = {
      steps: 1,
      bytes: 1,
      stored: 1,
      restore_seconds: 1,
      compare_seconds: 1,
      objects: 1,
      properties: 1,
    };
    const what = { host, target: 'scratch', lineage, dataset: 'tank/fs', guid, name, created };
    const drill = { ...what, ...measured, passed: false, problems: ['another GUID'] };
    await house.service.journal.record(null, { kind: 'drilled', drill });
    const { code, stdout } = await house.zkeep(['status', 'tank/fs']);
    assert.equal(code, 2);
    assert.match(
      stdout.toString(),
      /its last drill did not pass\n[\s\S]*what to do: zkeep drill --list tank\/fs/,
    );
  });

  it('is not called well of what is not there: exit code 3', async () => {
    for (const command of ['status', 'verify', 'damage', 'prune']) {
      const { code, stdout, stderr } = await house.zkeep([command, 'tank/fss', '--json'], {
        env: { ZKEEP_TOKEN: operator },
      });
      assert.equal(code, 3, `${command}: ${stdout}${stderr}`);
      const { error } = JSON.parse(stdout.toString()) as { error: { code: string } };
      assert.equal(error.code, 'list.nothing');
    }
    assert.equal((await house.zkeep(['status', '--host', 'nobody'])).code, 3);
    assert.equal((await house.zkeep(['damage', '--host', 'nobody'])).code, 3);
    assert.equal((await house.zkeep(['verify', 'tank/fs'])).code, 0);
  });

  it('is not called well when the service cannot be asked: exit code 10', async () => {
    const env = { ZKEEP_SERVICE: 'http://127.0.0.1:9', ZKEEP_PATIENCE: '0' };
    assert.equal((await house.zkeep(['status'], { env })).code, 10);
  });

  it('came about by what the audit trail tells: who did it, what it was, in words', async () => {
    const { code, stdout } = await house.zkeep(['events']);
    assert.equal(code, 0);
    assert.match(
      stdout.toString(),
      /alice {2}policy test is set: all datasets: keeps last 10 \(UTC\), objective 1s/,
    );
    assert.match(
      stdout.toString(),
      /the service {2}backup \S+ of tank\/fs on \S+ is damaged: a segment is gone/,
    );
    const some = await house.zkeep(['events', '--kinds', 'damaged', '--json']);
    const { events } = JSON.parse(some.stdout.toString()) as { events: { fact: { kind: string } }[] };
    assert.deepEqual(
      events.map(({ fact }) => fact.kind),
      ['damaged'],
    );
  });
});

it('where a manifest was taken out of the bucket, what hung on it is broken, and verify names the gap', async () => {
  const house = await AgentHouse.open();
  try {
    const importing = ['import', '--dataset', 'tank/fs'];
    for (const name of ['full', 'incr-i-a-b', 'incr-i-b-c'])
      await house.document(importing, 0, { stdin: recordedStream(name) });
    const { snapshots } = await house.document(['list', 'tank/fs'], 0);
    const { backup, to } = snapshots[1] ?? assert.fail();
    await house.stop();
    rmSync(join(house.repository, manifestKey(to, backup)));
    await house.start();
    const { code, stdout } = await house.zkeep(['status', 'tank/fs']);
    assert.equal(code, 2);
    assert.match(
      stdout.toString(),
      /is broken: 1 of its snapshots cannot be restored\n.*zkeep verify tank\/fs names/,
    );
    const verified = await house.zkeep(['verify', 'tank/fs']);
    assert.match(verified.stdout.toString(), /^tank\/fs@c on .*: its base, snapshot .* is in no backup/);
  } finally {
    await house.end();
  }
});
