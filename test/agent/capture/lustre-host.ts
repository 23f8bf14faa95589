/** A host with the MGT of a live Lustre file system, as its commands described it; what fails by design, fails. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { recordedStream } from '../../fixtures/recorded-streams.ts';
import type { StandIns } from '../stand-ins.ts';

export const DATASET = 'mgspool/mgt';
export const SNAPSHOT = 'mgspool/mgt@s1';
/** As `zfs list` prints it. */
export const SNAPSHOT_GUID = '8532199743824507815';

const POINT = 'name,guid,createtxg,creation,userrefs';
const recorded = (name: string) =>
  readFileSync(new URL(`../../fixtures/outputs/${name}.out`, import.meta.url), 'utf8');

/** What `zfs get -Hp -o all all` printed about the dataset, and about its snapshot. */
export const PROPERTIES = { dataset: recorded('mgt-get'), snapshot: recorded('mgt-s1-get') };

/** Makes the stand-ins answer as that host. */
export function standInForLustreHost(standIns: StandIns, version = 'zfs-2.2.9'): void {
  const zfs = (words: string, out: string) => standIns.answer('zfs', words.split(' '), { out });
  zfs('version', `${version}\n${version.replace('zfs-', 'zfs-kmod-')}\n`);
  zfs(`get -Hp -o all all ${DATASET}`, PROPERTIES.dataset);
  zfs(`get -Hp -o all all ${SNAPSHOT}`, PROPERTIES.snapshot);
  const point = `${SNAPSHOT}\t${SNAPSHOT_GUID}\t48\t1795161055\t0\n`;
  zfs(
    `list -Hp -t filesystem,volume -o name,type,encryption,receive_resume_token,guid ${DATASET}`,
    `${DATASET}\tfilesystem\toff\t-\t7\n`,
  );
  zfs(`list -Hp -t snapshot,bookmark -o ${POINT} -d 1 ${DATASET}`, point);
  zfs(`list -Hp -t snapshot -o ${POINT} ${SNAPSHOT}`, point);
  zfs(`list -Hp -t snapshot,bookmark -s createtxg -d 1 -o ${POINT} ${DATASET}`, point);
  for (const words of [
    `hold zkeep ${SNAPSHOT}`,
    `release zkeep ${SNAPSHOT}`,
    `bookmark ${SNAPSHOT} ${DATASET}#s1`,
  ])
    zfs(words, '');
  zfs(`allow ${DATASET}`, '');
  zfs(`holds -H ${SNAPSHOT}`, '');
  const stream = join(standIns.folder, 'stream');
  writeFileSync(stream, recordedStream('lustre-mgt-full-s1'));
  standIns.answer('zfs', ['send', '-L', '-c', SNAPSHOT], { script: `exec cat '${stream}'` });
  const zpool = (words: string, out: string) => standIns.answer('zpool', words.split(' '), { out });
  zpool('list -Hp -o name,guid mgspool', 'mgspool\t7638985747920707416\n');
  zpool('get -Hp -o all all mgspool', recorded('mgspool-get'));
  zpool('status -P mgspool', '  pool: mgspool\n state: ONLINE\n');
  zpool('history -il mgspool', "History for 'mgspool':\n2026-11-20.07:23:18 [txg:4] create pool\n");
  standIns.answer('zdb', ['-C', 'mgspool'], { err: "zdb: can't open mgspool: Permission denied", exit: 1 });
  standIns.answer('lctl', undefined, { err: 'no Lustre here', exit: 1 });
}
