/** Backups whose agent was killed, and that are gone on with: what is stored in the end is the stream that was never cut. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { FIRST_SEGMENT } from '../../../../catalog/repository/segment/sizes.ts';
import { until } from '../../made-host.ts';
import {
  backUp,
  eachAnew,
  halfway,
  host,
  house,
  houseAs,
  isStored,
  kill,
  MIB,
  segments,
  TWO_SEGMENTS,
} from './halfway.ts';
import { guidText } from './zfs-host.ts';

eachAnew();

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
    assert.deepEqual(host.points, ['tank/a@X', 'tank/a#X', 'tank/a@X', 'tank/a#X']);
    await isStored('tank/a', 101, stream);
    const { manifest } = await house.document(['show', String(first.backup)], 0);
    assert.notEqual(manifest.attributes, null);
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
    assert.deepEqual(host.points, ['tank/a@X', 'tank/a#X']);
    assert.equal(await house.isClean(), 2);
  });
});

describe('an interrupted backup in an encrypted repository', () => {
  for (const [what, how, version] of [
    ['goes on behind the last segment', 'resumed', 'zfs-2.3.9-1'],
    ['is sent from its start and keeps what is stored', 'again', 'zfs-2.4.0-1'],
  ] as const) {
    it(`${what}, although no segment is encrypted to the same bytes twice`, async () => {
      const secret = await generateIdentity();
      await houseAs(`recipients = ["${await identityToRecipient(secret)}"]`);
      const identity = join(house.folder, 'identity');
      writeFileSync(identity, secret);
      const stream = host.makeStream('tank/a', 101, 'full', 36);
      host.makeStream('tank/a', 102, 'incremental', 0.1);
      await kill(await halfway(['tank/a'], 33 * MIB));
      host.version = version;
      const { backups } = await backUp(['tank/a']);
      assert.deepEqual([backups[0]?.resumed?.how, backups[0]?.resumed?.kept], [how, 2 * FIRST_SEGMENT]);
      const words = ['export', 'tank/a', '--guid', guidText(101), '--identity', identity, '--quiet'];
      const { stdout } = await house.zkeep(words);
      assert.ok(stdout.equals(stream));
    });
  }
});
