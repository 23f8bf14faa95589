/** Runs over several datasets that are killed between two of them, with nothing open: the next run completes their set. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { AgentHouse, type Running } from '../../road/agent-house.ts';
import type { BackupDocument } from '../../road/backup-documents.ts';
import { ZfsHost } from '../resume/zfs-host.ts';

const DATASETS = ['tank/a', 'tank/b', 'tank/c'];
let house: AgentHouse;
let host: ZfsHost;

beforeEach(async () => {
  house = await AgentHouse.open();
  host = new ZfsHost({ 'tank/a': 1, 'tank/b': 2, 'tank/c': 3 });
  for (const id of [1, 2, 3]) {
    host.makeStream(DATASETS[id - 1] ?? '', id * 100 + 1, 'full', 0.1);
    for (const more of [2, 3]) host.makeStream(DATASETS[id - 1] ?? '', id * 100 + more, 'incremental', 0.1);
  }
});
afterEach(async () => {
  await house.end();
  host.end();
});

const notes = () => {
  const folder = join(house.folder, 'state', 'runs');
  return existsSync(folder) ? readdirSync(folder) : [];
};

async function backUp(words: readonly string[], code = 0): Promise<BackupDocument> {
  const document: unknown = await house.document(['backup', ...words], code, { env: host.env });
  return document as BackupDocument;
}

/** Lets a run come as far as to send this dataset's snapshot; nothing of it is sent yet. */
async function before(dataset: string, words: readonly string[] = DATASETS): Promise<Running> {
  host.fault('stops-at', `^send -L .*${dataset}@`);
  const running = house.begin(['backup', ...words, '--json', '--quiet'], host.env);
  await host.untilWaiting();
  await house.untilOpen(0);
  return running;
}

async function end({ child, ended }: Running, signal: NodeJS.Signals = 'SIGKILL') {
  child.kill(signal);
  const ran = await ended;
  host.mend('stops-at');
  return ran;
}

const told = ({ backups }: BackupDocument) =>
  backups.map(({ dataset, outcome, kind }) => `${dataset} ${kind ?? outcome}`);

/** The datasets of each set of which the repository has something, the oldest set first. */
async function sets(): Promise<string[]> {
  const found = new Map<string | null, string[]>();
  for (const dataset of DATASETS) {
    const list = await house.zkeep(['list', dataset, '--json']);
    const { snapshots } = JSON.parse(list.stdout.toString()) as {
      snapshots?: { set: string | null }[];
    };
    for (const { set } of snapshots ?? []) found.set(set, [...(found.get(set) ?? []), dataset]);
  }
  return [...found.values()].map((members) => members.join(' '));
}

describe('a run that was killed between two datasets', () => {
  for (const [at, stored] of [
    ['tank/a', 0],
    ['tank/b', 1],
    ['tank/c', 2],
  ] as const) {
    it(`is completed by the next one where ${stored} of three were stored`, async () => {
      await end(await before(at));
      assert.equal(notes().length, 1);
      assert.equal(host.snapshots.length, 3);
      const document = await backUp(DATASETS);
      const owed = DATASETS.slice(stored).map((dataset) => `${dataset} full`);
      assert.deepEqual(told(document), [...owed, ...DATASETS.map((dataset) => `${dataset} incremental`)]);
      assert.deepEqual(await sets(), [DATASETS.join(' '), DATASETS.join(' ')]);
      assert.deepEqual(notes(), []);
      assert.ok(
        host.points.every((point) => !point.endsWith('+')),
        'nothing is held any more',
      );
      assert.equal(await house.isClean(), 6);
    });
  }

  it('is completed also where its note was lost: the repository knows the set of the others', async () => {
    await end(await before('tank/b'));
    rmSync(join(house.folder, 'state'), { recursive: true });
    await backUp(DATASETS);
    assert.deepEqual(await sets(), [DATASETS.join(' '), DATASETS.join(' ')]);
    assert.equal(await house.isClean(), 6);
  });

  it('is completed when it was refreshing, too, and leaves nothing but bookmarks', async () => {
    await end(await before('tank/b', [...DATASETS, '--refresh']));
    await backUp([...DATASETS, '--refresh']);
    assert.deepEqual(await sets(), [DATASETS.join(' '), DATASETS.join(' ')]);
    assert.deepEqual(host.snapshots, []);
    assert.equal(await house.isClean(), 6);
  });

  it('is completed as often as the run is killed that completes it', async () => {
    await end(await before('tank/b'));
    await end(await before('tank/b'));
    await end(await before('tank/c'));
    await backUp(DATASETS);
    assert.deepEqual(await sets(), [DATASETS.join(' '), DATASETS.join(' ')]);
    assert.deepEqual(notes(), []);
    assert.equal(await house.isClean(), 6);
  });

  it('is completed for the datasets that the next one is of, and for the others by a later one', async () => {
    await end(await before('tank/b'));
    assert.deepEqual(told(await backUp(['tank/c'])), ['tank/c full', 'tank/c incremental']);
    assert.equal(notes().length, 1);
    assert.deepEqual(told(await backUp(['tank/b'])), ['tank/b full', 'tank/b incremental']);
    assert.deepEqual(notes(), []);
    const [first] = await sets();
    assert.equal(first, DATASETS.join(' '));
  });

  it('is shown by a dry run, which changes nothing', async () => {
    await end(await before('tank/b'));
    const points = host.points;
    const { owed, plan } = await backUp([...DATASETS, '--dry-run']);
    assert.deepEqual(
      owed.map(({ dataset, set }) => [dataset, typeof set]),
      [
        ['tank/b', 'string'],
        ['tank/c', 'string'],
      ],
    );
    assert.ok(plan.every(({ kind }) => kind === 'incremental'));
    assert.deepEqual(host.points, points);
    const { stdout } = await house.zkeep(['backup', ...DATASETS, '--dry-run'], { env: host.env });
    assert.match(stdout.toString(), /# tank\/b@zkeep-\w+ was taken by a run that was killed, and is stored/);
  });

  it('is let go where a snapshot is gone, and that is said', async () => {
    await end(await before('tank/b'));
    host.lose('tank/b@');
    host.makeStream('tank/b', 202, 'full', 0.1);
    const { code, stderr } = await house.zkeep(['backup', ...DATASETS], { env: host.env });
    assert.equal(code, 0, stderr);
    assert.match(stderr, /tank\/b@zkeep-\w+, which a run that was killed had taken, is gone/);
    assert.deepEqual(await sets(), ['tank/a tank/c', DATASETS.join(' ')]);
    assert.deepEqual(notes(), []);
  });

  it('is given up at a dataset whose stream is refused, with its snapshot, and the others are stored', async () => {
    await end(await before('tank/b'));
    const spoilt = join(host.folder, 'stream-201');
    writeFileSync(spoilt, 'no stream at all, but long enough to be looked at as one'.repeat(20));
    const document = await backUp(DATASETS, 7);
    assert.deepEqual(told(document).slice(0, 2), ['tank/b full', 'tank/c full']);
    assert.equal(document.backups[0]?.outcome, 'failed');
    assert.deepEqual(notes(), []);
    host.makeStream('tank/b', 202, 'full', 0.1);
    await backUp(['tank/b']);
    assert.equal(host.points.filter((point) => point.startsWith('tank/b@')).length, 1);
  });
});

describe('a run that is stopped between two datasets', () => {
  it('keeps what its set lacks for the next one, and says so by nothing but the snapshots', async () => {
    const { code } = await end(await before('tank/b'), 'SIGTERM');
    assert.equal(code, 130);
    assert.equal(notes().length, 1);
    assert.deepEqual(host.points, ['tank/a@X', 'tank/b@X+', 'tank/c@X+', 'tank/a#X']);
    await backUp(DATASETS);
    assert.deepEqual(await sets(), [DATASETS.join(' '), DATASETS.join(' ')]);
    assert.deepEqual(notes(), []);
  });

  it('leaves nothing where nothing of its set is stored', async () => {
    await end(await before('tank/a'), 'SIGTERM');
    assert.deepEqual(host.points, []);
    assert.deepEqual(notes(), []);
  });
});

describe('a run that lives', () => {
  it('is not taken for dead between two datasets, and keeps its set', async () => {
    const first = await before('tank/b');
    host.fault('stops-at', '^send -L .*tank/c@');
    await host.untilWaiting();
    const { owed } = await backUp([...DATASETS, '--dry-run']);
    assert.deepEqual(owed, []);
    host.mend('stops-at');
    const { code, stderr } = await first.ended;
    assert.equal(code, 0, stderr);
    assert.deepEqual(await sets(), [DATASETS.join(' ')]);
  });

  it('is left alone by a second run, which stores snapshots of its own', async () => {
    const first = await before('tank/b');
    const second = await backUp(['tank/a']);
    assert.deepEqual(told(second), ['tank/a incremental']);
    host.mend('stops-at');
    const { code, stderr } = await first.ended;
    assert.equal(code, 0, stderr);
    assert.ok((await sets()).includes(DATASETS.join(' ')));
  });

  it('is not shown as left over', async () => {
    const first = await before('tank/b');
    const { leftovers } = await house.document(['leftovers'], 0, { env: host.env });
    assert.deepEqual(leftovers, []);
    await end(first);
    const { leftovers: then } = await house.document(['leftovers'], 0, { env: host.env });
    assert.deepEqual(
      then.map(({ name, what }) => [name.replace(/zkeep-\w+/, 'X'), what]),
      ['tank/b@X', 'tank/c@X'].map((at) => [
        at,
        `a snapshot that a run took which was killed; the next zkeep backup of ${at.slice(0, 6)} stores it`,
      ]),
    );
  });
});
