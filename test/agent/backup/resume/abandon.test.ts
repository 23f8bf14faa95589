/** Backups that were interrupted and are to be ended. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FIRST_SEGMENT } from '../../../../catalog/repository/segment/sizes.ts';
import { backUp, eachAnew, halfway, host, house, kill, MIB } from './halfway.ts';

eachAnew();

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
