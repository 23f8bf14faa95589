/** Backups that are interrupted, and gone on with: agent and service killed, ZFS gone, and all of it seen in the repository. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { FIRST_SEGMENT } from '../../../../catalog/repository/segment/sizes.ts';
import { AgentHouse, type Running } from '../../road/agent-house.ts';
import type { BackupDocument } from '../../road/backup-documents.ts';
import { guidText, until, ZfsHost } from './zfs-host.ts';

const MIB = 1024 * 1024;
/** `sent_again` at most: what was on its way when it broke. */
const TWO_SEGMENTS = 2 * FIRST_SEGMENT;

let house: AgentHouse;
let host: ZfsHost;
beforeEach(async () => {
  house = await AgentHouse.open();
  host = new ZfsHost({ 'tank/a': 1, 'tank/b': 2 });
});
afterEach(async () => {
  await house.end();
  host.end();
});

async function backUp(words: readonly string[], code = 0): Promise<BackupDocument> {
  const document: unknown = await house.document(['backup', ...words], code, { env: host.env });
  return document as BackupDocument;
}

/** Segments in the store, of all backups. */
function segments(): number {
  const folder = join(house.repository, 'segments');
  if (!existsSync(folder)) return 0;
  return readdirSync(folder).reduce((sum, backup) => sum + readdirSync(join(folder, backup)).length, 0);
}

/** The segments of the one backup that is there, each with the time at which it was written. */
function written(): string[] {
  const folder = join(house.repository, 'segments');
  const [backup = '', ...others] = readdirSync(folder);
  assert.deepEqual(others, []);
  const names = readdirSync(join(folder, backup)).toSorted();
  return names.map((name) => `${backup} ${name} ${statSync(join(folder, backup, name)).mtimeMs}`);
}

/** Starts a backup and lets it wait when all whole segments of the first so many bytes are stored. */
async function halfway(words: readonly string[], bytes: number): Promise<Running> {
  const before = segments();
  host.fault('waits-at', bytes);
  const running = house.begin(['backup', ...words, '--json'], host.env);
  await host.untilWaiting();
  const whole = Math.floor(bytes / FIRST_SEGMENT);
  await until(`${whole} segments`, () => segments() === before + whole);
  return running;
}

/** Kills it, as a power cut would, and lets ZFS go on. */
async function kill({ child, ended }: Running, signal: NodeJS.Signals = 'SIGKILL') {
  child.kill(signal);
  host.mend('waits-at');
  return await ended;
}

async function isStored(dataset: string, guid: number, stream: Buffer): Promise<void> {
  const words = ['export', dataset, '--guid', guidText(guid), '--quiet'];
  const { code, stdout, stderr } = await house.zkeep(words);
  assert.equal(code, 0, stderr);
  assert.ok(stdout.equals(stream), 'the stored stream is the one that was never cut');
}

describe('a backup whose agent was killed', () => {
  it('goes on behind the last segment, wherever that was, and the next one is made on it', async () => {
    const stream = host.makeStream('tank/a', 101, 'full', 72);
    host.makeStream('tank/a', 102, 'incremental', 0.1);
    await kill(await halfway(['tank/a'], 40 * MIB + 12_345));
    assert.deepEqual(host.points, ['tank/a@X+']);
    host.forgetCalls();
    const { backups, set } = await backUp(['tank/a']);
    assert.deepEqual(
      backups.map(({ outcome, kind, resumed }) => [outcome, kind, resumed?.how]),
      [
        ['stored', 'full', 'resumed'],
        ['stored', 'incremental', undefined],
      ],
    );
    assert.equal(set, null);
    const [first] = backups;
    assert.equal(first?.bytes, stream.length);
    assert.equal(first.resumed?.kept, 2 * FIRST_SEGMENT);
    assert.ok(first.resumed.sent_again <= TWO_SEGMENTS, String(first.resumed.sent_again));
    assert.deepEqual(host.sends, ['zfs send -t', 'zfs send -L -c -i tank/a@X tank/a@X']);
    assert.deepEqual(host.points, ['tank/a@X', 'tank/a#X', 'tank/a@X+', 'tank/a#X']);
    await isStored('tank/a', 101, stream);
    assert.equal(await house.isClean(), 2);
  });

  it('goes on as often as it is killed, at any byte', async () => {
    const stream = host.makeStream('tank/a', 101, 'full', 100);
    host.makeStream('tank/a', 102, 'incremental', 0.1);
    let stored = 0;
    for (const bytes of [16 * MIB + 1, 33 * MIB, 64 * MIB, 96 * MIB + 400]) {
      const more = Math.floor(bytes / FIRST_SEGMENT) - stored;
      const before = segments();
      // With -t it counts from the point on.
      host.fault('waits-at', stored === 0 ? bytes : bytes - stored * FIRST_SEGMENT + MIB);
      const running = house.begin(['backup', 'tank/a', '--json'], host.env);
      await host.untilWaiting();
      await until(`${more} more segments`, () => segments() >= before + more);
      await kill(running);
      stored += more;
    }
    const { backups } = await backUp(['tank/a']);
    assert.equal(backups[0]?.resumed?.how, 'resumed');
    assert.ok(backups[0].resumed.kept >= 6 * FIRST_SEGMENT, String(backups[0].resumed.kept));
    await isStored('tank/a', 101, stream);
    assert.equal(await house.isClean(), 2);
  });

  it('is shown by a dry run, which takes nothing over', async () => {
    host.makeStream('tank/a', 101, 'full', 20);
    await kill(await halfway(['tank/a'], 17 * MIB));
    const { interrupted, plan } = await backUp(['tank/a', '--dry-run']);
    const [row] = interrupted;
    assert.deepEqual([row?.decision, row?.dataset, row?.bytes], ['resume', 'tank/a', FIRST_SEGMENT]);
    assert.deepEqual(row?.commands[1], ['zfs', 'send', '-t', 'TOKEN']);
    assert.deepEqual([plan[0]?.kind, plan[0]?.from], ['incremental', guidText(101)]);
    const told = await house.zkeep(['backup', 'tank/a', '--dry-run'], { env: host.env });
    assert.match(
      told.stdout.toString(),
      /# tank\/a@zkeep-\w+ was interrupted and goes on at about 16.0 MiB, because /,
    );
    assert.equal(await house.openBackups(), 1);
  });

  it('is whole although the service was killed too, and started again', async () => {
    const stream = host.makeStream('tank/a', 101, 'full', 20);
    host.makeStream('tank/a', 102, 'incremental', 0.1);
    await kill(await halfway(['tank/a'], 17 * MIB));
    await house.stop();
    await house.start();
    const { backups } = await backUp(['tank/a']);
    assert.equal(backups[0]?.resumed?.kept, FIRST_SEGMENT);
    await isStored('tank/a', 101, stream);
  });

  it('goes on under the names that dataset and snapshot have by then', async () => {
    const stream = host.makeStream('tank/a', 101, 'full', 20);
    host.makeStream('tank/a', 102, 'incremental', 0.1);
    await kill(await halfway(['tank/a'], 17 * MIB));
    host.rename('tank/a', 'tank/new');
    const { backups } = await backUp(['tank/new']);
    assert.deepEqual(
      backups.map(({ dataset, resumed }) => [dataset, resumed?.how]),
      [
        ['tank/new', 'resumed'],
        ['tank/new', undefined],
      ],
    );
    await isStored('tank/a', 101, stream);
    assert.equal(await house.isClean(), 2);
  });

  it('is sent from its start, and nothing that is stored is sent twice, when ZFS is another version', async () => {
    const stream = host.makeStream('tank/a', 101, 'full', 36);
    host.makeStream('tank/a', 102, 'incremental', 0.1);
    await kill(await halfway(['tank/a'], 33 * MIB));
    host.version = 'zfs-2.4.0-1';
    host.forgetCalls();
    const { backups } = await backUp(['tank/a']);
    const [first] = backups;
    assert.deepEqual([first?.resumed?.how, first?.resumed?.kept], ['again', 2 * FIRST_SEGMENT]);
    assert.match(first?.resumed?.reason ?? '', /another version/);
    assert.equal(host.sends[0], 'zfs send -L -c tank/a@X');
    await isStored('tank/a', 101, stream);
    assert.equal(await house.isClean(), 2);
  });

  const refused: [string, () => void][] = [
    [
      'zfs send -t refuses the token',
      () => host.fault('refuses-tokens', "warning: cannot send 'tank/a@x': No such file or directory"),
    ],
    ['what zfs send -t gives is not the rest', () => host.fault('differs')],
  ];
  for (const [what, meet] of refused) {
    it(`is sent from its start, into the same backup, when ${what}`, async () => {
      const stream = host.makeStream('tank/a', 101, 'full', 20);
      host.makeStream('tank/a', 102, 'incremental', 0.1);
      await kill(await halfway(['tank/a'], 17 * MIB));
      meet();
      const { backups, given_up } = await backUp(['tank/a']);
      assert.deepEqual([backups[0]?.resumed?.how, backups[0]?.resumed?.kept], ['again', FIRST_SEGMENT]);
      assert.deepEqual(given_up, []);
      await isStored('tank/a', 101, stream);
    });
  }

  it('is begun anew, in the same run, when zfs send makes another stream of the same snapshot', async () => {
    host.makeStream('tank/a', 101, 'full', 20);
    await kill(await halfway(['tank/a'], 17 * MIB));
    // As if another version compressed blocks otherwise.
    const stream = host.makeStream('tank/a', 101, 'full', 20, 7);
    host.version = 'zfs-2.4.0-1';
    host.makeStream('tank/a', 102, 'incremental', 0.1);
    const { backups, given_up } = await backUp(['tank/a']);
    assert.deepEqual([backups[0]?.outcome, backups[0]?.resumed?.kept], ['stored', 0]);
    assert.match(given_up[0]?.reason ?? '', /stored with another content/);
    await isStored('tank/a', 101, stream);
    assert.equal(await house.isClean(), 2);
  });

  it('is ended, and a new one is begun, when its snapshot is gone', async () => {
    host.makeStream('tank/a', 101, 'full', 20);
    host.makeStream('tank/a', 102, 'full', 1);
    await kill(await halfway(['tank/a'], 17 * MIB));
    host.lose('@');
    const { backups, given_up } = await backUp(['tank/a']);
    assert.deepEqual([backups.length, backups[0]?.kind, backups[0]?.resumed], [1, 'full', null]);
    assert.match(given_up[0]?.reason ?? '', /its snapshot 0000000000000065 is gone from tank\/a/);
    assert.equal(await house.isClean(), 1);
  });

  it('is ended with its snapshot, and a new one is begun, when its base is gone', async () => {
    host.makeStream('tank/a', 101, 'full', 1);
    host.makeStream('tank/a', 102, 'incremental', 20);
    await backUp(['tank/a']);
    await kill(await halfway(['tank/a'], 17 * MIB));
    host.lose('\t101\t');
    host.makeStream('tank/a', 103, 'full', 1);
    const { backups, given_up } = await backUp(['tank/a']);
    assert.deepEqual([backups.length, backups[0]?.kind], [1, 'full']);
    assert.match(given_up[0]?.reason ?? '', /its base 0000000000000065 is gone/);
    assert.deepEqual(host.points, ['tank/a@X+', 'tank/a#X']);
    assert.equal(await house.isClean(), 2);
  });
});

describe('a backup that is interrupted in another way', () => {
  it('keeps what is stored at SIGTERM, and says what goes on with it', async () => {
    const stream = host.makeStream('tank/a', 101, 'full', 20);
    host.makeStream('tank/a', 102, 'incremental', 0.1);
    const { code, stdout } = await kill(await halfway(['tank/a'], 17 * MIB), 'SIGTERM');
    assert.equal(code, 130, stdout.toString());
    const { error } = JSON.parse(stdout.toString());
    assert.equal(error.code, 'agent.interrupted');
    // The answer to the last write may have been cut off: then it is not known to be stored.
    assert.ok([0, FIRST_SEGMENT].includes(error.facts.resumes_at), error.facts.resumes_at);
    assert.match(error.advice, /zkeep backup tank\/a goes on.*; zkeep backup --abandon \S+ ends it/);
    assert.deepEqual(host.points, ['tank/a@X+']);
    const { backups } = await backUp(['tank/a']);
    assert.equal(backups[0]?.resumed?.kept, FIRST_SEGMENT);
    await isStored('tank/a', 101, stream);
  });

  it('leaves nothing when nothing was stored yet', async () => {
    host.makeStream('tank/a', 101, 'full', 20);
    const { code } = await kill(await halfway(['tank/a'], 8 * MIB), 'SIGTERM');
    assert.equal(code, 130);
    assert.deepEqual(host.points, []);
    assert.equal(await house.isClean(), 0);
  });

  it('goes on when zfs send died', async () => {
    const stream = host.makeStream('tank/a', 101, 'full', 20);
    host.makeStream('tank/a', 102, 'incremental', 0.1);
    host.fault('dies-at', 18 * MIB);
    const { ended } = await halfway(['tank/a'], 17 * MIB);
    host.mend('waits-at');
    const { error } = JSON.parse((await ended).stdout.toString());
    assert.match(error.advice ?? '', /zkeep backup tank\/a goes on from/);
    host.mend('dies-at');
    const { backups } = await backUp(['tank/a']);
    assert.equal(backups[0]?.resumed?.how, 'resumed');
    await isStored('tank/a', 101, stream);
  });

  it('waits for a service that is away, and when its patience is over, the next run goes on', async () => {
    const stream = host.makeStream('tank/a', 101, 'full', 36);
    host.makeStream('tank/a', 102, 'incremental', 0.1);
    const { ended } = await halfway(['tank/a', '--patience', '1s'], 17 * MIB);
    await house.stop();
    host.mend('waits-at');
    const { code, stdout } = await ended;
    assert.equal(code, 10, stdout.toString());
    assert.match(JSON.parse(stdout.toString()).error.advice, /zkeep backup tank\/a goes on from/);
    await house.start();
    const { backups } = await backUp(['tank/a']);
    assert.equal(backups[0]?.resumed?.kept, FIRST_SEGMENT);
    await isStored('tank/a', 101, stream);
    assert.equal(await house.isClean(), 2);
  });
});

describe('an import that was killed', () => {
  it('is gone on with by the same import, and no segment is written twice', async () => {
    const stream = host.makeStream('tank/a', 101, 'full', 36);
    const words = ['import', '--dataset', 'tank/a', '--json'];
    const running = house.begin(words);
    running.child.stdin.write(stream.subarray(0, 33 * MIB));
    await until('two segments', () => segments() === 2);
    await kill(running);
    const before = written();
    const { code, stdout } = await house.zkeep(words, { stdin: stream });
    assert.equal(code, 0, stdout.toString());
    assert.deepEqual(written().slice(0, 2), before);
    await isStored('tank/a', 101, stream);
    assert.equal(await house.isClean(), 1);
  });
});

describe('zkeep backup --abandon', () => {
  it('ends what was interrupted, by its dataset, with the snapshot that was taken for it', async () => {
    host.makeStream('tank/a', 101, 'full', 20);
    await kill(await halfway(['tank/a'], 17 * MIB));
    const { abandon } = await backUp(['--abandon', 'tank/a', '--dry-run']);
    assert.deepEqual(
      abandon[0]?.commands.map(([, verb]) => verb),
      ['release', 'destroy'],
    );
    assert.equal(await house.openBackups(), 1);
    const { abandoned } = await backUp(['--abandon', 'tank/a']);
    assert.deepEqual([abandoned[0]?.dataset, abandoned[0]?.bytes], ['tank/a', FIRST_SEGMENT]);
    assert.deepEqual(host.points, []);
    assert.equal(await house.isClean(), 0);
    const { error } = await backUp(['--abandon', 'tank/a'], 3);
    assert.equal(error.code, 'backup.none-open');
  });

  it('leaves a snapshot that somebody else made, and only lets go of it', async () => {
    host.add('tank/a@daily', 101);
    host.makeStream('tank/a', 101, 'full', 20);
    await kill(await halfway(['tank/a', '--snapshot', 'daily'], 17 * MIB));
    assert.deepEqual(host.points, ['tank/a@daily+']);
    await backUp(['--abandon', 'tank/a']);
    assert.deepEqual(host.points, ['tank/a@daily']);
    assert.equal(await house.isClean(), 0);
  });

  it('does not take a backup from a process that lives, unless its id is named', async () => {
    host.makeStream('tank/a', 101, 'full', 20);
    const { child, ended } = await halfway(['tank/a'], 17 * MIB);
    const { error } = await backUp(['--abandon', 'tank/a'], 6);
    assert.equal(error.facts['process'], child.pid);
    const { abandoned } = await backUp(['--abandon', String(error.facts['backup'])]);
    assert.deepEqual(abandoned[0]?.commands, []);
    host.mend('waits-at');
    const { code, stdout } = await ended;
    assert.equal(code, 3, stdout.toString());
    assert.deepEqual(host.points, []);
    assert.equal(await house.isClean(), 0);
  });
});

describe('a set that was interrupted', () => {
  it('is whole in the end: what was interrupted, and what had not begun', async () => {
    const stream = host.makeStream('tank/a', 101, 'full', 20);
    host.makeStream('tank/b', 201, 'full', 1);
    host.makeStream('tank/a', 102, 'incremental', 0.1);
    host.makeStream('tank/b', 202, 'incremental', 0.1);
    await kill(await halfway(['tank/a', 'tank/b'], 17 * MIB));
    const { backups, set } = await backUp(['tank/a', 'tank/b']);
    assert.deepEqual(
      backups.map(({ dataset, kind, resumed }) => [dataset, kind, resumed?.how]),
      [
        ['tank/a', 'full', 'resumed'],
        ['tank/b', 'full', undefined],
        ['tank/a', 'incremental', undefined],
        ['tank/b', 'incremental', undefined],
      ],
    );
    assert.deepEqual(
      backups.map((row) => row.set === backups[0]?.set),
      [true, true, false, false],
    );
    assert.equal(set, backups[2]?.set);
    await isStored('tank/a', 101, stream);
    assert.equal(await house.isClean(), 4);
  });

  it('keeps the snapshots of all its members at SIGTERM', async () => {
    host.makeStream('tank/a', 101, 'full', 20);
    host.makeStream('tank/b', 201, 'full', 1);
    await kill(await halfway(['tank/a', 'tank/b'], 17 * MIB), 'SIGTERM');
    assert.deepEqual(host.points, ['tank/a@X+', 'tank/b@X+']);
  });

  it('does not keep the datasets from being backed up that are not in its way', async () => {
    host.makeStream('tank/a', 101, 'full', 20);
    host.makeStream('tank/b', 201, 'full', 1);
    const running = await halfway(['tank/a'], 17 * MIB);
    const { backups } = await backUp(['tank/a', 'tank/b'], 7);
    assert.deepEqual(
      backups.map(({ dataset, outcome, error }) => [dataset, outcome, error?.code]),
      [
        ['tank/a', 'failed', 'backup.busy'],
        ['tank/b', 'stored', undefined],
      ],
    );
    await kill(running);
  });
});

describe('a backup that was taken over', () => {
  it('ends, and leaves everything to whoever goes on with it', async () => {
    host.makeStream('tank/a', 101, 'full', 20);
    const { ended } = await halfway(['tank/a'], 17 * MIB);
    await house.takeOver();
    host.mend('waits-at');
    const { code, stdout } = await ended;
    assert.equal(code, 6, stdout.toString());
    assert.equal(JSON.parse(stdout.toString()).error.code, 'backup.taken-over');
    assert.deepEqual(host.points, ['tank/a@X+']);
    assert.equal(await house.openBackups(), 1);
  });
});
