import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { guidToDecimal } from '../../../catalog/words.ts';
import { recordedStream } from '../../fixtures/recorded-streams.ts';
import { AgentHouse } from './agent-house.ts';

/** The chain of one dataset: full at @a, then a-b and b-c. */
const CHAIN = ['full', 'incr-i-a-b', 'incr-i-b-c'];

describe('real streams through the service', { concurrency: 3 }, () => {
  let house: AgentHouse;
  before(async () => {
    house = await AgentHouse.open();
    for (const name of CHAIN) {
      const { backups } = await house.document(['import', '--dataset', 'tank/fs'], 0, {
        stdin: recordedStream(name),
      });
      assert.deepEqual(
        backups.map(({ outcome }) => outcome),
        ['stored'],
      );
    }
  });
  after(async () => await house.end());

  /** Every reading command works with the service, and with the repository alone. */
  const places = () => [[], ['--repository', house.repository]];

  it('come back byte for byte', async () => {
    for (const [index, snapshot] of ['a', 'b', 'c'].entries()) {
      const place = places()[index % 2] ?? [];
      const ran = await house.zkeep(['export', 'tank/fs', '--snapshot', snapshot, '--quiet', ...place]);
      assert.equal(ran.code, 0, ran.stderr);
      assert.ok(ran.stdout.equals(recordedStream(CHAIN[index] ?? '')), `@${snapshot}`);
    }
  });

  it('are listed', async () => {
    for (const place of places()) {
      const { datasets } = await house.document(['list', ...place], 0);
      assert.deepEqual(
        datasets.map(({ host, dataset, snapshots }) => ({ host, dataset, snapshots })),
        [{ host: hostname(), dataset: 'tank/fs', snapshots: 3 }],
      );
      const { snapshots } = await house.document(['list', 'tank/fs', ...place], 0);
      assert.deepEqual(
        snapshots.map(({ name }) => name),
        ['a', 'b', 'c'],
      );
      assert.equal(snapshots[1]?.from, snapshots[0]?.to);
    }
  });

  it('are planned: by name, by GUID in hex and decimal, by time, and from what a target has', async () => {
    const { snapshots } = await house.document(['list', 'tank/fs'], 0);
    const [a, b, c] = snapshots;
    assert.ok(a && b && c);
    const steps = async (...wanted: string[]) =>
      (await house.document(['plan', 'tank/fs', ...wanted], 0)).plan.steps.map(({ name }) => name);
    assert.deepEqual(await steps(), ['a', 'b', 'c']);
    assert.deepEqual(await steps('--snapshot', 'b'), ['a', 'b']);
    assert.deepEqual(await steps('--guid', guidToDecimal(b.to)), ['a', 'b']);
    assert.deepEqual(await steps('--at', new Date(a.created * 1000).toISOString()), ['a']);
    assert.deepEqual(await steps('--have', guidToDecimal(b.to)), ['c']);
    assert.deepEqual(await steps('--have', c.to), []);
    const { plan } = await house.document(['plan', 'tank/fs', '--repository', house.repository], 0);
    assert.deepEqual(plan, (await house.document(['plan', 'tank/fs'], 0)).plan);
  });

  it('are shown, by dataset, snapshot and id', async () => {
    const newest = await house.document(['show', 'tank/fs'], 0);
    const named = await house.document(['show', 'tank/fs@c', '--repository', house.repository], 0);
    const byId = await house.document(['show', newest.manifest.backup], 0);
    assert.equal(newest.manifest.to.name, 'c');
    assert.deepEqual(named, newest);
    assert.deepEqual(byId, newest);
  });

  it('verify, lightly and deeply', async () => {
    for (const place of places()) {
      for (const depth of [[], ['--deep']]) {
        const { backups, segments, problems } = await house.document(['verify', ...depth, ...place], 0);
        assert.deepEqual([backups, segments, problems], [3, 3, []]);
      }
    }
  });

  it('are exported into a file, with the stream that starts from a base', async () => {
    const file = join(house.folder, 'out.zfs');
    const document = await house.document(['export', 'tank/fs', '--from', 'b', '--output', file], 0);
    assert.equal(document.bytes, recordedStream('incr-i-b-c').length);
    assert.ok(readFileSync(file).equals(recordedStream('incr-i-b-c')));
    const { error } = await house.document(['export', 'tank/fs', '--from', 'nothing', '--output', file], 3);
    assert.match(error.advice ?? '', /@b/);
  });

  it('speak to people in tables and sentences', async () => {
    const list = await house.zkeep(['list']);
    assert.match(list.stdout.toString(), /^HOST +DATASET +SNAPSHOTS +STORED/);
    const show = await house.zkeep(['show', 'tank/fs@b']);
    assert.match(show.stdout.toString(), /incremental|GUID/);
    const plan = await house.zkeep(['plan', 'tank/fs']);
    assert.match(plan.stdout.toString(), /3 streams, .* onto nothing/);
    const verify = await house.zkeep(['verify']);
    assert.match(verify.stdout.toString(), /3 backups, 3 segments, .*: all is well/);
  });

  it('are stored once: the same stream again is there already', async () => {
    const { backups } = await house.document(['import', '--dataset', 'tank/fs'], 0, {
      stdin: recordedStream('incr-i-a-b'),
    });
    assert.equal(backups[0]?.outcome, 'already');
    assert.equal(await house.isClean(), 3);
  });
});

describe('packages', () => {
  let house: AgentHouse;
  before(async () => {
    house = await AgentHouse.open();
  });
  after(async () => await house.end());

  it('are split into one backup a stream, each under its own dataset', async () => {
    const { backups } = await house.document(['import', '--dataset', 'old/rep', '--host', 'fs1'], 0, {
      stdin: recordedStream('repl-R'),
    });
    assert.ok(backups.every(({ outcome }) => outcome === 'stored'));
    const datasets = [...new Set(backups.map(({ dataset }) => dataset))];
    assert.deepEqual(datasets, [
      'old/rep',
      'old/rep/child1',
      'old/rep/child1/grand',
      'old/rep/vol',
      'old/rep/clone',
    ]);
    const listed = await house.document(['list', '--host', 'fs1'], 0);
    assert.equal(listed.datasets.length, 5);
    assert.equal(await house.isClean(), backups.length);
  });

  it('that came before are found again, stream by stream', async () => {
    const { backups } = await house.document(['import', '--dataset', 'old/rep', '--host', 'fs1'], 0, {
      stdin: recordedStream('repl-R'),
    });
    assert.ok(backups.every(({ outcome, backup }) => outcome === 'already' && backup !== null));
  });
});

describe('raw and volume streams', () => {
  it('keep their kind', async () => {
    const house = await AgentHouse.open();
    try {
      for (const name of ['raw-w', 'raw-w-incr']) {
        await house.document(['import', '--dataset', 'tank/enc'], 0, { stdin: recordedStream(name) });
      }
      for (const name of ['zvol', 'zvol-incr']) {
        await house.document(['import', '--dataset', 'tank/vol'], 0, { stdin: recordedStream(name) });
      }
      const raw = await house.document(['list', 'tank/enc'], 0);
      assert.ok(raw.snapshots.every(({ flags }) => flags.raw));
      const volume = await house.document(['show', 'tank/vol'], 0);
      assert.equal(volume.manifest.stream.begin.type, 3);
      assert.equal(await house.isClean(), 4);
    } finally {
      await house.end();
    }
  });
});
