/** Backups that are interrupted by a signal, by ZFS, by the service, or by another run. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FIRST_SEGMENT } from '../../../../catalog/repository/segment/sizes.ts';
import { until } from '../../made-host.ts';
import { backUp, eachAnew, halfway, host, house, isStored, kill, MIB, segments, written } from './halfway.ts';

eachAnew();

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

describe('a backup that was begun with another token', () => {
  it('is left alone, and stands in the way of a new one only as long as its lease lasts', async () => {
    host.makeStream('tank/a', 101, 'full', 20);
    host.makeStream('tank/a', 102, 'full', 0.1);
    host.makeStream('tank/a', 103, 'incremental', 0.1, 103, 101);
    await kill(await halfway(['tank/a'], 17 * MIB));
    const other = { ...host.env, ZKEEP_TOKEN: house.service.tokens.add('other', 'agent') };
    const { stdout, stderr } = await house.zkeep(['backup', 'tank/a', '--json'], { env: other });
    assert.equal(JSON.parse(stdout.toString()).error.code, 'backup.busy');
    assert.match(stderr, /tank\/a@zkeep-\w+ was begun with another token, and is left alone/);
    const { backups } = await backUp(['tank/a']);
    assert.equal(backups[0]?.resumed?.how, 'resumed');
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
