/** What is kept beside a stream, from a host of stand-ins or from files made by hand, to the words of `zkeep show`. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { Attributes } from '../../../catalog/attributes/attributes.ts';
import { recordedStream } from '../../fixtures/recorded-streams.ts';
import { DATASET, PROPERTIES, SNAPSHOT, standInForLustreHost } from '../capture/lustre-host.ts';
import { StandIns } from '../stand-ins.ts';
import { AgentHouse } from './agent-house.ts';

async function attributesOf(house: AgentHouse, what: string): Promise<Attributes> {
  const { attributes } = await house.document(['show', what, '--attributes'], 0);
  assert.ok(attributes);
  return attributes;
}

describe('a backup', () => {
  const standIns = new StandIns();
  let house: AgentHouse;
  before(async () => {
    house = await AgentHouse.open();
    standInForLustreHost(standIns);
  });
  beforeEach(() => standInForLustreHost(standIns));
  after(async () => {
    standIns.end();
    await house.end();
  });
  const backup = async () =>
    await house.zkeep(['backup', DATASET, '--snapshot', 's1', '--json'], { env: { PATH: standIns.path } });

  it('is none when what is needed of the attributes cannot be had', async () => {
    const command = ['get', '-Hp', '-o', 'all', 'all', SNAPSHOT];
    standIns.answer('zfs', command, { err: 'cannot open: permission denied', exit: 1 });
    const ran = await backup();
    assert.equal(ran.code, 8, ran.stdout.toString());
    assert.equal(await house.isClean(), 0);
  });

  it('keeps them, whatever else of them fails', async () => {
    standIns.answer('zpool', undefined, { err: 'not today', exit: 1 });
    standIns.answer('zpool', ['history', '-il', 'mgspool'], { script: 'kill -9 $$' });
    const ran = await backup();
    assert.equal(ran.code, 0, ran.stdout.toString());
    const { outputs, parsed } = await attributesOf(house, SNAPSHOT);
    assert.equal(parsed?.objects[0]?.properties['lustre:svname']?.value, 'MGS');
    assert.equal(parsed?.pool?.properties['multihost']?.value, 'on');
    const history = outputs.find(({ command }) => command[1] === 'history');
    assert.notEqual(history?.exit, 0);
  });

  it('is shown with what was set first, the rest after it', async () => {
    const ran = await house.zkeep(['show', SNAPSHOT, '--attributes']);
    const text = ran.stdout.toString();
    assert.match(text, /^mgspool\/mgt, a file system\nPROPERTY +VALUE +SOURCE\ncanmount +off +local\n/m);
    assert.match(text, /^mgspool\/mgt@s1, a snapshot\n/m);
    assert.match(text, /^pool mgspool, GUID \d+, ONLINE\n/m);
    assert.match(text, /^multihost +on +local$/m);
    assert.ok(text.indexOf('lustre:svname') < text.indexOf('atime'));
    assert.ok(!text.includes('$ zfs get'));
  });

  it('is shown as the commands printed it', async () => {
    const ran = await house.zkeep(['show', SNAPSHOT, '--attributes', '--raw']);
    const text = ran.stdout.toString();
    assert.ok(text.includes(`$ zfs get -Hp -o all all ${DATASET}\n${PROPERTIES.dataset.trimEnd()}\n`));
    assert.match(text, /\$ zdb -C mgspool\n\nfailed: zdb: can't open mgspool/);
  });
});

describe('a backup of a dataset with strange values', () => {
  it('gives them back byte for byte', async () => {
    const house = await AgentHouse.open();
    const standIns = new StandIns();
    try {
      standInForLustreHost(standIns);
      const note = 'a\nmgspool/mgt\tlab:no\tone\t-\tlocal';
      const whole = Buffer.concat([
        Buffer.from(`${PROPERTIES.dataset}${DATASET}\tlab:raw\t`),
        Buffer.from([0xff, 0xfe, 0x80]),
        Buffer.from(`\t-\tlocal\n${DATASET}\tlab:note\t${note}\t-\tlocal\n`),
      ]);
      standIns.answer('zfs', ['get', '-Hp', '-o', 'all', 'all', DATASET], { out: whole });
      for (const [column, out] of Object.entries({ value: note, received: '-', source: 'local' })) {
        standIns.answer('zfs', ['get', '-Hp', '-o', column, 'lab:note', DATASET], { out: `${out}\n` });
        const absent = { out: '-\n' };
        standIns.answer('zfs', ['get', '-Hp', '-o', column, 'lab:no', DATASET], absent);
      }
      const words = ['backup', DATASET, '--snapshot', 's1', '--quiet'];
      const ran = await house.zkeep(words, { env: { PATH: standIns.path } });
      assert.equal(ran.code, 0, ran.stderr);
      const { outputs, parsed } = await attributesOf(house, SNAPSHOT);
      const told = outputs.find(({ encoding }) => encoding === 'base64');
      assert.ok(Buffer.from(told?.output ?? '', 'base64').equals(whole));
      const properties = parsed?.objects[0]?.properties ?? {};
      assert.equal(properties['lab:raw']?.value, '\udcff\udcfe\udc80');
      assert.equal(properties['lab:note']?.value, note);
      assert.equal(properties['lab:no'], undefined);
      const { stdout } = await house.zkeep(['show', SNAPSHOT, '--attributes']);
      assert.match(stdout.toString(), /^lab:raw +\\xff\\xfe\\x80 +local$/m);
      assert.match(stdout.toString(), /^lab:note +a\\u000amgspool/m);
    } finally {
      standIns.end();
      await house.end();
    }
  });
});

describe('an import with files that were made by hand', () => {
  let house: AgentHouse;
  before(async () => {
    house = await AgentHouse.open();
  });
  after(async () => await house.end());

  function file(name: string, content: string | Uint8Array): string {
    const path = join(house.folder, name);
    writeFileSync(path, content);
    return path;
  }
  const four = (text: string) => text.replace(/^([^\t]*\t[^\t]*\t.*)\t[^\t]*\t([^\t]*)$/gm, '$1\t$2');
  const dataset = four(PROPERTIES.dataset);
  const pool =
    'NAME     PROPERTY   VALUE      SOURCE\nmgspool  multihost  on         local\nmgspool  health     ONLINE     -\nmgspool  guid       7638985747920707416  -\n';
  const words = (...more: string[]) => ['import', '--dataset', DATASET, ...more];
  const stdin = recordedStream('lustre-mgt-full-s1');

  it('is refused when a file is not there, and nothing is stored', async () => {
    for (const option of ['--pool-attributes', '--dataset-attributes']) {
      const { error } = await house.document(words(option, '/nowhere/at/all'), 3, { stdin });
      assert.equal(error.kind, 'missing');
    }
    assert.equal(await house.isClean(), 0);
  });

  it('is refused when a file is something else, or the other of the two', async () => {
    const cases = [
      ['--pool-attributes', file('text', 'hello\n')],
      ['--dataset-attributes', file('zeros', Buffer.alloc(100))],
      ['--pool-attributes', file('swapped-1', dataset)],
      ['--dataset-attributes', file('swapped-2', pool)],
    ];
    for (const [option = '', path = ''] of cases) {
      const { error } = await house.document(words(option, path), 2, { stdin });
      assert.equal(error.kind, 'usage', `${option} ${path}`);
    }
    assert.equal(await house.isClean(), 0);
  });

  it('is refused when a file tells of another dataset only', async () => {
    const path = file('other', dataset.replaceAll('mgspool/mgt', 'mgspool/other'));
    const { error } = await house.document(words('--dataset-attributes', path), 2, { stdin });
    assert.equal(error.kind, 'usage');
    assert.match(error.message, /mgspool\/mgt/);
    assert.equal(await house.isClean(), 0);
  });

  it('keeps what they tell of the dataset, and no more', async () => {
    const all = `${dataset}${four(PROPERTIES.snapshot)}${dataset.replaceAll('mgspool/mgt', 'mgspool/other')}`;
    const options = ['--dataset-attributes', file('datasets', all), '--pool-attributes', file('pool', pool)];
    const { backups } = await house.document(words(...options), 0, { stdin });
    assert.equal(backups[0]?.outcome, 'stored');
    const { parsed } = await attributesOf(house, SNAPSHOT);
    assert.deepEqual(
      parsed?.objects.map(({ name }) => name),
      [DATASET, SNAPSHOT],
    );
    assert.deepEqual(parsed?.objects[0]?.properties['lustre:index'], { value: '65535', source: 'local' });
    assert.equal(parsed?.pool?.properties['multihost']?.value, 'on');
  });

  it('gives each stream of a package the part of its own dataset', async () => {
    const names = ['', '/child1', '/child1/grand', '/vol', '/clone'].map((below) => `tank/rep${below}`);
    const lines = names.map(
      (name) => `${name}\ttype\tfilesystem\t-\n${name}\tlab:who\tI am ${name}\tlocal\n`,
    );
    const path = file('package', lines.join(''));
    const options = ['import', '--dataset', 'old/rep', '--dataset-attributes', path];
    await house.document(options, 0, { stdin: recordedStream('repl-R') });
    const { parsed } = await attributesOf(house, 'old/rep/child1/grand');
    assert.equal(parsed?.objects[0]?.properties['lab:who']?.value, 'I am tank/rep/child1/grand');
  });
});
