import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAttributes } from '../../../catalog/attributes/attributes.ts';
import { attributesOfFiles } from '../../../catalog/attributes/hand-made.ts';
import { ZkeepError } from '../../../catalog/errors.ts';
import { recorded } from './printed.ts';

const pool = recorded('zpool-get-all.out');
const datasets = recorded('zfs-get-rHp-all.out');

const refusal = (code: string) => (thrown: unknown) =>
  thrown instanceof ZkeepError && thrown.kind === 'usage' && thrown.code === code && !!thrown.advice;

test('both files become the attributes of one dataset, as their commands would have told them', () => {
  const attributes = attributesOfFiles({ dataset: 'mgspool/mgt', pool, datasets });
  parseAttributes(attributes);
  assert.deepEqual(
    attributes.outputs.map(({ command }) => command.join(' ')),
    ['zfs get -rHp all mgspool/mgt', 'zpool get all mgspool'],
  );
  const { parsed } = attributes;
  assert.deepEqual(
    parsed?.objects.map(({ name }) => name),
    ['mgspool/mgt', 'mgspool/mgt@daily-1', 'mgspool/mgt#daily-1', 'mgspool/mgt@daily-2'],
  );
  assert.deepEqual(parsed?.pool?.properties['cachefile'], { value: 'none', source: 'local' });
  assert.deepEqual(parsed?.pool?.properties['feature@userobj_accounting'], {
    value: 'active',
    source: 'local',
  });
  assert.equal(Object.keys(parsed?.pool?.properties ?? {}).length, 78);
  assert.equal(parsed?.host, null);
});

test('of a file that tells of several datasets only the lines of the wanted one are kept', () => {
  const { outputs } = attributesOfFiles({ dataset: 'mgspool', datasets });
  const names = new Set(outputs[0]?.output.split('\n').map((line) => line.split('\t')[0]));
  assert.deepEqual([...names], ['mgspool', '']);
});

test('one file is enough, and files with received values or without a header are recognised', () => {
  const lustre = attributesOfFiles({
    dataset: 'mdtpool/mdt0',
    datasets: recorded('lustre/zfs-get-all.s1.txt'),
    pool: recorded('lustre/zpool-get-all.s1.txt'),
  });
  assert.deepEqual(
    lustre.outputs.map(({ command }) => command.join(' ')),
    ['zfs get -rHp -o all all mdtpool/mdt0', 'zpool get -Hp all mdtpool'],
  );
  assert.equal(lustre.parsed?.objects[0]?.properties['lustre:svname']?.value, 'lustrefs-MDT0000');
  assert.equal(lustre.parsed?.pool?.guid, '2350273724191405253');
});

test('of a file that tells of several pools the second is found as well, and only where it begins', () => {
  const pools = recorded('lustre/zpool-get-all.s1.txt').toString();
  const { parsed } = attributesOfFiles({ dataset: 'mgspool/mgt', pool: pools });
  assert.equal(parsed?.pool?.guid, /^mgspool\tguid\t(\d+)/m.exec(pools)?.[1]);
  const deceiving =
    'tank\tsize\t1\t-\ntank\thealth\tONLINE\t-\ntank\tlab:x\tone\nother\thealth\tFAULTED\tlocal\n';
  assert.throws(() => attributesOfFiles({ dataset: 'other', pool: deceiving }), { code: 'attributes.other' });
});

test('a value over several lines and bytes that are not UTF-8 are kept', () => {
  const file = Buffer.concat([
    Buffer.from('tank/a\ttype\tfilesystem\t-\ntank/a\tlab:x\tone\n'),
    Buffer.from([0xff]),
    Buffer.from('\tlocal\n'),
  ]);
  const attributes = attributesOfFiles({ dataset: 'tank/a', datasets: file });
  assert.equal(attributes.outputs[0]?.encoding, 'base64');
  assert.equal(attributes.parsed?.objects[0]?.properties['lab:x']?.value, 'one\n\udcff');
});

test('of very many snapshots the newest are kept, and it is said', () => {
  const long = 'x'.repeat(8000);
  const lines = ['tank/a\ttype\tfilesystem\t-\n'];
  for (let at = 0; at < 1200; at++) lines.push(`tank/a@${at}\tlab:x\t${long}\tlocal\n`);
  const { outputs, parsed } = attributesOfFiles({ dataset: 'tank/a', datasets: lines.join('') });
  assert.match(outputs[0]?.error ?? '', /^cut: /);
  assert.equal(parsed?.objects[0]?.name, 'tank/a');
  assert.equal(parsed?.objects.at(-1)?.name, 'tank/a@1199');
  assert.ok((parsed?.objects.length ?? 0) > 1000 && (parsed?.objects.length ?? 0) < 1100);
});

test('a file of another command is refused: what a person may mix up', () => {
  const notThat = refusal('attributes.not-that');
  const dataset = 'mgspool/mgt';
  for (const wrong of [
    pool,
    recorded('zpool-get-Hp-all.out'),
    recorded('zfs-get-j.json'),
    '',
    'a\tb\tc\td\n',
  ]) {
    assert.throws(() => attributesOfFiles({ dataset, datasets: wrong }), notThat);
  }
  for (const wrong of [datasets, recorded('zpool-status-v.out'), '', Buffer.from([0xff])]) {
    assert.throws(() => attributesOfFiles({ dataset, pool: wrong }), notThat);
  }
  // The names of both are the pool's: only the properties tell them apart.
  assert.throws(
    () => attributesOfFiles({ dataset: 'mgspool', datasets: recorded('zpool-get-Hp-all.out') }),
    notThat,
  );
});

test('a file of another dataset or pool is refused, and says whose it is', () => {
  assert.throws(
    () => attributesOfFiles({ dataset: 'mgspool/other', datasets }),
    (thrown) =>
      refusal('attributes.other')(thrown) && /mgspool\/mgt/.test((thrown as ZkeepError).advice ?? ''),
  );
  assert.throws(() => attributesOfFiles({ dataset: 'tank/a', pool }), refusal('attributes.other'));
});

test('no file at all is a mistake', () => {
  assert.throws(() => attributesOfFiles({ dataset: 'tank/a' }), refusal('attributes.no-file'));
});
