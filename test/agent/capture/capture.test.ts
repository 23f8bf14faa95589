/** The attributes of a dataset whose host is made of stand-ins: what is asked, what is kept, what is made of it. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { type Attributes, parseAttributes } from '../../../catalog/attributes/attributes.ts';
import { ZkeepError } from '../../../catalog/errors.ts';
import { StandIns } from '../stand-ins.ts';
import { DATASET, PROPERTIES, SNAPSHOT, standInForLustreHost } from './lustre-host.ts';

const standIns = new StandIns();
const root = mkdtempSync(join(tmpdir(), 'zkeep-host-'));
let module: typeof import('../../../agent/capture/capture.ts');

before(async () => {
  // The children's search path is made when the module is loaded.
  process.env['PATH'] = standIns.path;
  module = await import('../../../agent/capture/capture.ts');
});
beforeEach(() => {
  standInForLustreHost(standIns);
  standIns.forgetCalls();
});
after(() => {
  standIns.end();
  rmSync(root, { recursive: true });
});

const capture = () =>
  new module.Capture({ root, platform: 'linux', patience: { needed: 1_000, extra: 500 } });
const about = ({ outputs }: Attributes, command: string) =>
  outputs.find((output) => output.command.join(' ') === command) ?? assert.fail(`nothing about ${command}`);
const propertyOf = (attributes: Attributes, name: string, property: string) =>
  attributes.parsed?.objects.find((object) => object.name === name)?.properties[property];
const failed = (code: string) => (thrown: unknown) => thrown instanceof ZkeepError && thrown.code === code;
const replaceDataset = (out: string | Uint8Array) =>
  standIns.answer('zfs', ['get', '-Hp', '-o', 'all', 'all', DATASET], { out });

describe('the attributes of a backup', () => {
  it('hold what the commands printed and what it says', async () => {
    const attributes = parseAttributes(await capture().of(DATASET, SNAPSHOT));
    assert.equal(about(attributes, `zfs get -Hp -o all all ${DATASET}`).output, PROPERTIES.dataset);
    assert.deepEqual(propertyOf(attributes, DATASET, 'lustre:svname'), { value: 'MGS', source: 'local' });
    assert.equal(propertyOf(attributes, SNAPSHOT, 'guid')?.value, '8532199743824507815');
    assert.equal(attributes.parsed?.pool?.properties['multihost']?.source, 'local');
    assert.equal(attributes.parsed?.host?.zfs.module, '2.2.9');
  });

  it('are asked of the host once and of each pool once, however many datasets', async () => {
    const both = capture();
    await Promise.all([both.of(DATASET, SNAPSHOT), both.of(DATASET)]);
    const { calls } = standIns;
    for (const once of ['zfs version', 'zpool get -Hp -o all all mgspool', 'zpool history -il mgspool']) {
      assert.equal(calls.filter((call) => call === once).length, 1, once);
    }
    assert.equal(calls.filter((call) => call === `zfs get -Hp -o all all ${DATASET}`).length, 2);
  });

  it('are asked for as JSON only where that is known', async () => {
    await capture().of(DATASET, SNAPSHOT);
    assert.ok(!standIns.calls.some((call) => / -j /.test(call)));
    standInForLustreHost(standIns, 'zfs-2.3.9');
    const attributes = await capture().of(DATASET, SNAPSHOT);
    // The stand-ins know no JSON: four questions without an answer harm nothing.
    assert.equal(standIns.calls.filter((call) => / -j /.test(call)).length, 4);
    assert.equal(propertyOf(attributes, DATASET, 'lustre:svname')?.value, 'MGS');
  });

  it('are there although all that is not needed fails, hangs, or prints without end', async () => {
    for (const script of ['exit 3', 'sleep 30', 'yes']) {
      standIns.answer('zfs', ['allow', DATASET], { script });
      standIns.answer('zfs', ['holds', '-H', SNAPSHOT], { script });
      standIns.answer('zdb', ['-C', 'mgspool'], { script });
      standIns.answer('zpool', ['status', '-P', 'mgspool'], { script });
      standIns.answer('zpool', ['history', '-il', 'mgspool'], { script });
      const attributes = await capture().of(DATASET, SNAPSHOT);
      assert.notEqual(about(attributes, 'zdb -C mgspool').exit, 0);
      assert.equal(propertyOf(attributes, DATASET, 'lustre:svname')?.value, 'MGS');
    }
  });

  it('are not there when what is needed fails or hangs', async () => {
    const words = ['get', '-Hp', '-o', 'all', 'all', DATASET];
    standIns.answer('zfs', words, { err: `cannot open '${DATASET}': dataset does not exist`, exit: 1 });
    await assert.rejects(capture().of(DATASET, SNAPSHOT), failed('zfs.no-dataset'));
    standIns.answer('zfs', words, { script: 'sleep 30' });
    await assert.rejects(capture().of(DATASET, SNAPSHOT), failed('zfs.timeout'));
  });

  it('are asked of the pool again when that failed for the dataset before', async () => {
    const both = capture();
    standIns.answer('zpool', ['get', '-Hp', '-o', 'all', 'all', 'mgspool'], { exit: 1 });
    await assert.rejects(both.of(DATASET, SNAPSHOT), failed('zfs.failed'));
    standInForLustreHost(standIns);
    assert.equal((await both.of(DATASET, SNAPSHOT)).parsed?.pool?.name, 'mgspool');
  });

  it('end with the reason of an abort', async () => {
    standIns.answer('zfs', ['allow', DATASET], { script: 'sleep 30' });
    const stop = new AbortController();
    setTimeout(() => stop.abort(new Error('enough')), 300);
    await assert.rejects(
      new module.Capture({ root, platform: 'linux', signal: stop.signal }).of(DATASET, SNAPSHOT),
      /enough/,
    );
  });
});

describe('the bookmarks of a dataset', () => {
  const words = ['get', '-Hp', '-o', 'all', '-t', 'bookmark', '-d', '1', 'all', DATASET];
  const question = `zfs ${words.join(' ')}`;
  const lines = (name: string, guid: string) =>
    ['type\tbookmark', 'creation\t1795161000', 'referenced\t24576', 'createtxg\t40', `guid\t${guid}`]
      .map((told) => `${DATASET}#${name}\t${told}\t-\t-\n`)
      .join('');

  it('are kept with every property, as ZFS prints it and taken apart', async () => {
    standIns.answer('zfs', words, { out: lines('base', '77') });
    const attributes = await capture().of(DATASET, SNAPSHOT);
    assert.equal(about(attributes, question).output, lines('base', '77'));
    const bookmarks = attributes.parsed?.objects.filter(({ kind }) => kind === 'bookmark');
    assert.deepEqual(
      bookmarks?.map(({ name, properties }) => [name, Object.keys(properties).toSorted()]),
      [[`${DATASET}#base`, ['createtxg', 'creation', 'guid', 'referenced', 'type']]],
    );
    assert.deepEqual(propertyOf(attributes, `${DATASET}#base`, 'referenced'), {
      value: '24576',
      source: 'none',
    });
  });

  it('are known by name, GUID and time where ZFS does not answer that', async () => {
    const list = 'list -Hp -t snapshot,bookmark -s createtxg -d 1 -o name,guid,createtxg,creation,userrefs';
    const out = `${DATASET}#base\t77\t40\t1795161000\t-\n`;
    standIns.answer('zfs', [...list.split(' '), DATASET], { out });
    for (const script of ["echo 'invalid type' >&2; exit 2", 'sleep 30']) {
      standIns.answer('zfs', words, { script });
      const attributes = await capture().of(DATASET, SNAPSHOT);
      assert.notEqual(about(attributes, question).exit, 0);
      assert.equal(propertyOf(attributes, `${DATASET}#base`, 'guid')?.value, '77');
    }
  });

  it('are bounded: of very many the last are kept, and the cut is said', async () => {
    const script = `seq -f '${DATASET}#b%06.0f\tguid\t7\t-\t-' 1 20000`;
    standIns.answer('zfs', words, { script });
    const attributes = await capture().of(DATASET, SNAPSHOT);
    const { output, error } = about(attributes, question);
    assert.ok(output.length <= 262_144);
    assert.match(error ?? '', /only its last \d+ bytes are kept/);
    assert.equal(propertyOf(attributes, `${DATASET}#b020000`, 'guid')?.value, '7');
    assert.equal(propertyOf(attributes, `${DATASET}#b000001`, 'guid'), undefined);
  });
});

describe('the end of a long history', () => {
  it('is kept, from the beginning of a line on, and the cut is said', async () => {
    const script = "printf 'History\\n'; seq -f '2026-11-20.07:23:18 [txg:%.0f] set x=1' 1 50000";
    standIns.answer('zpool', ['history', '-il', 'mgspool'], { script });
    const { output, error, exit } = about(await capture().of(DATASET), 'zpool history -il mgspool');
    assert.ok(output.length > 200_000 && output.length <= 262_144);
    assert.match(output, /^2026-11-20.*\[txg:50000\] set x=1\n$/s);
    assert.equal(exit, 0);
    assert.match(error ?? '', /only its last \d+ bytes are kept/);
  });
});

describe('a pool of many datasets', () => {
  const other = 'mgspool/other';
  const answer = (words: string, out: string) => standIns.answer('zfs', words.split(' '), { out });

  it('has its history beside the first of them, and only the end of it beside the others', async () => {
    standIns.answer('zpool', ['history', '-il', 'mgspool'], { script: "seq -f 'line %.0f' 1 20000" });
    answer(`get -Hp -o all all ${other}`, PROPERTIES.dataset.replaceAll(DATASET, other));
    const both = capture();
    const first = about(await both.of(DATASET), 'zpool history -il mgspool');
    const second = about(await both.of(other), 'zpool history -il mgspool');
    assert.ok(first.output.length > 200_000 && second.output.length <= 16_384);
    assert.match(second.output, /^line \d+\n.*\nline 20000\n$/s);
    assert.match(second.error ?? '', /more of it beside mgspool\/mgt$/);
  });
});

describe('values that hold anything', () => {
  const note = 'two words,\ta tab\nand mgspool/mgt\tlab:other\tx\t-\tlocal';
  const single = (column: string, property: string, out: string | Uint8Array) =>
    standIns.answer('zfs', ['get', '-Hp', '-o', column, property, DATASET], { out });

  it('are asked for one by one, and are then certain', async () => {
    replaceDataset(`${PROPERTIES.dataset}${DATASET}\tlab:note\t${note}\t-\tlocal\n`);
    single('value', 'lab:note', `${note}\n`);
    single('received', 'lab:note', '-\n');
    single('source', 'lab:note', 'local\n');
    const attributes = await capture().of(DATASET, SNAPSHOT);
    assert.deepEqual(propertyOf(attributes, DATASET, 'lab:note'), { value: note, source: 'local' });
    assert.equal(about(attributes, `zfs get -Hp -o value lab:note ${DATASET}`).output, `${note}\n`);
  });

  it('are kept byte for byte when they are not UTF-8', async () => {
    const line = Buffer.concat([
      Buffer.from(`${DATASET}\tlab:raw\ta`),
      Buffer.from([0xff]),
      Buffer.from('b\t-\tlocal\n'),
    ]);
    const whole = Buffer.concat([Buffer.from(PROPERTIES.dataset), line]);
    replaceDataset(whole);
    const attributes = await capture().of(DATASET, SNAPSHOT);
    const { encoding, output } = about(attributes, `zfs get -Hp -o all all ${DATASET}`);
    assert.equal(encoding, 'base64');
    assert.ok(Buffer.from(output, 'base64').equals(whole));
    assert.equal(propertyOf(attributes, DATASET, 'lab:raw')?.value, 'a\udcffb');
  });

  it('are not asked for without end, and never about another dataset', async () => {
    const lines = Array.from({ length: 500 }, (_, index) => `${DATASET}\tlab:n${index}\ta\tb\nc\t-\tlocal\n`);
    const other = `${DATASET}\tlab:evil\tx\nelse/where\tlab:y\tz\tz\tz\t-\tlocal\n`;
    replaceDataset(`${PROPERTIES.dataset}${lines.join('')}${other}`);
    await capture().of(DATASET, SNAPSHOT);
    const asked = standIns.calls.filter((call) => /-o (value|received|source) /.test(call));
    assert.ok(asked.length > 0 && asked.length <= 3 * 64, `${asked.length} questions`);
    assert.ok(asked.every((call) => call.endsWith(` ${DATASET}`)));
  });
});

describe('attributes that are too large', () => {
  const large: Attributes = {
    format: 1,
    dataset: DATASET,
    outputs: ['a', 'b', 'c'].map((name, index) => ({
      command: ['zfs', name],
      exit: 0,
      output: 'x'.repeat(1000 * (index + 1)),
      encoding: 'utf8',
    })),
    parsed: { objects: [], pool: null, host: null },
  };

  it('lose their largest outputs first, and say so', () => {
    const { outputs, parsed } = module.fitting(large, 4000);
    assert.deepEqual(
      outputs.map(({ output }) => output.length),
      [1000, 2000, 0],
    );
    assert.match(outputs[2]?.error ?? '', /left out/);
    assert.ok(parsed);
  });

  it('stay as they are when they fit', () => {
    assert.deepEqual(module.fitting(large, 10_000), large);
  });

  it('are without what was made of them when that alone is too much', () => {
    assert.equal(module.fitting(large, 300).parsed, null);
  });
});
