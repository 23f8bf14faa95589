/**
 * The demo: the service on its embedded default, a real chain in, a point in
 * time back out and compared, then the table of what it did. With ZFS and root
 * it makes a pool of file vdevs; elsewhere it takes recorded real streams.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { messageOf } from '../../catalog/errors.ts';
import { House } from '../house.ts';
import { Diary } from './diary.ts';
import { poolRoad, zfsIsHere } from './pool.ts';
import { recordedRoad } from './recorded.ts';

const folder = mkdtempSync(join(tmpdir(), 'zkeep-demo-'));
try {
  const withPool = zfsIsHere();
  console.log(
    withPool
      ? 'ZFS is here: the demo makes a pool of file vdevs, and destroys it again.\n'
      : 'No ZFS or no root here: the demo takes real streams, recorded on OpenZFS 2.3.9.\n',
  );
  const house = await House.start(join(folder, 'house'));
  const diary = new Diary(house);
  try {
    await (withPool ? poolRoad(diary, folder) : recordedRoad(diary, folder));
  } finally {
    await house.stop();
  }
  diary.print();
  console.log('\nEverything agreed.');
} catch (thrown) {
  console.error(`\nThe demo failed: ${messageOf(thrown)}`);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
