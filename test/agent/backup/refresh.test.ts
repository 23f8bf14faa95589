/** Refreshes, and what stays on the source, with real processes on a host whose ZFS is a script. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { backUp, eachAnew, halfway, host, house, isStored, kill, MIB } from './resume/halfway.ts';

eachAnew();

describe('zkeep backup --refresh', () => {
  it('leaves nothing but a bookmark, which is the base of the next one', async () => {
    host.makeStream('tank/a', 101, 'full', 1);
    const second = host.makeStream('tank/a', 102, 'incremental', 1);
    await backUp(['tank/a', '--refresh']);
    assert.deepEqual(host.points, ['tank/a#R']);
    const { backups } = await backUp(['tank/a', '--refresh']);
    assert.equal(backups[0]?.kind, 'incremental');
    assert.deepEqual(host.points, ['tank/a#R', 'tank/a#R']);
    assert.deepEqual(host.sends, ['zfs send -L -c tank/a@R', 'zfs send -L -c -i tank/a#R tank/a@R']);
    await isStored('tank/a', 102, second);
    assert.equal(await house.isClean(), 2);
  });

  it('that was killed is finished by the next backup, whichever that is, and then gone', async () => {
    const stream = host.makeStream('tank/a', 101, 'full', 20);
    host.makeStream('tank/a', 102, 'incremental', 0.1);
    await kill(await halfway(['tank/a', '--refresh'], 17 * MIB));
    assert.deepEqual(host.points, ['tank/a@R+']);
    const { temporary, interrupted } = await backUp(['tank/a', '--dry-run']);
    assert.deepEqual([temporary, interrupted.length], [[], 1]);
    const { backups } = await backUp(['tank/a']);
    assert.deepEqual(
      backups.map(({ outcome, resumed }) => [outcome, resumed?.how]),
      [
        ['stored', 'resumed'],
        ['stored', undefined],
      ],
    );
    assert.deepEqual(host.points, ['tank/a#R', 'tank/a@X', 'tank/a#X']);
    await isStored('tank/a', 101, stream);
  });

  it('that was killed before anything was stored is gone with the next backup', async () => {
    host.add('tank/a@zkeep-refresh-20261120T090000Z-999999', 199);
    host.makeStream('tank/a', 101, 'full', 1);
    const { temporary } = await backUp(['tank/a', '--dry-run']);
    assert.equal(temporary[0]?.commands.at(-1)?.[1], 'destroy');
    await backUp(['tank/a']);
    assert.deepEqual(host.points, ['tank/a@X', 'tank/a#X']);
  });

  it('that fails leaves nothing', async () => {
    host.makeStream('tank/a', 101, 'full', 1);
    host.fault('dies-at', 100_000);
    await backUp(['tank/a', '--refresh'], 1);
    assert.deepEqual(host.points, []);
    host.mend('dies-at');
  });

  it('leaves alone what bears its name by the time it is stored: datasets were renamed meanwhile', async () => {
    host.makeStream('tank/a', 101, 'full', 20);
    const running = await halfway(['tank/a', '--refresh'], 17 * MIB);
    const [name = ''] = host.snapshots;
    host.rename('tank/a', 'tank/old');
    host.rename('tank/b', 'tank/a');
    host.add(name, 299);
    host.mend('waits-at');
    const { code, stderr } = await running.ended;
    assert.equal(code, 0, stderr);
    assert.deepEqual(host.points, ['tank/old@R+', 'tank/a@R']);
  });

  it('that fails leaves alone what bears its name by then', async () => {
    host.makeStream('tank/a', 101, 'full', 20);
    const running = await halfway(['tank/a', '--refresh'], 100_000);
    const [name = ''] = host.snapshots;
    host.rename('tank/a', 'tank/old');
    host.rename('tank/b', 'tank/a');
    host.add(name, 299);
    await kill(running, 'SIGTERM');
    assert.deepEqual(host.points, ['tank/old@R+', 'tank/a@R']);
  });

  it('goes neither with a snapshot that is there nor with a Lustre file system', async () => {
    const { error } = await backUp(['tank/a', '--refresh', '--snapshot', 'daily'], 2);
    assert.equal(error.code, 'backup.refresh-only');
  });
});

describe('zkeep backup --keep-on-source', () => {
  it('keeps the newest, what a clone hangs on and what others hold, and says so', async () => {
    for (const id of [101, 102, 103, 104]) {
      host.makeStream('tank/a', id, id === 101 ? 'full' : 'incremental', 0.1);
    }
    for (let turn = 0; turn < 3; turn++) await backUp(['tank/a']);
    assert.equal(host.points.filter((name) => name === 'tank/a@X').length, 3);
    const [first = '', second = ''] = host.snapshots;
    host.keepBy('cloned', first);
    host.keepBy('foreign', second);
    const ran = await house.zkeep(['backup', 'tank/a', '--keep-on-source', '1'], { env: host.env });
    assert.equal(ran.code, 0, ran.stderr);
    assert.ok(
      ran.stderr.includes(
        `${first} stays, because: cannot destroy '${first}': snapshot has dependent clones`,
      ),
    );
    assert.ok(ran.stderr.includes(`${second} stays, because`));
    assert.equal(host.snapshots.length, 3);
    assert.equal(await house.isClean(), 4);
  });
});

describe('zkeep backup --keep-on-source, while datasets are renamed', () => {
  it('leaves alone the snapshots of the one that bears the name by then', async () => {
    host.makeStream('tank/a', 101, 'full', 0.1);
    await backUp(['tank/a']);
    host.makeStream('tank/a', 102, 'incremental', 20);
    const [name = ''] = host.snapshots;
    const running = await halfway(['tank/a', '--keep-on-source', '1'], 17 * MIB);
    host.rename('tank/a', 'tank/old');
    host.rename('tank/b', 'tank/a');
    host.add(name, 299);
    host.mend('waits-at');
    const { code, stderr } = await running.ended;
    assert.equal(code, 0, stderr);
    assert.ok(host.snapshots.includes(name), 'another one than was looked at');
  });
});

describe('zkeep backup -r', () => {
  it('takes nothing of what a drill restored below', async () => {
    host.rename('tank/b', 'tank/a/zkeep-drill-20261120T215000Z-0123abcd');
    host.makeStream('tank/a', 101, 'full', 0.1);
    const { backups } = await backUp(['tank/a', '-r']);
    assert.deepEqual(
      backups.map(({ dataset, outcome }) => [dataset, outcome]),
      [['tank/a', 'stored']],
    );
    assert.equal(host.snapshots.length, 1);
  });
});

describe('zkeep backup --limit', () => {
  it('takes its time, and stores the same', async () => {
    const stream = host.makeStream('tank/a', 101, 'full', 1);
    const began = performance.now();
    await backUp(['tank/a', '--limit', '512 KiB/s']);
    assert.ok(performance.now() - began > 1_500);
    await isStored('tank/a', 101, stream);
    const { error } = await backUp(['tank/a', '--limit', 'fast'], 2);
    assert.equal(error.kind, 'usage');
  });
});
