/** `zkeep attributes` over a chain of backups whose settings change, through the service and from the repository. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { guidToDecimal } from '../../../catalog/words.ts';
import { recordedStream } from '../../fixtures/recorded-streams.ts';
import { StandIns } from '../stand-ins.ts';
import { AgentHouse } from './agent-house.ts';

const DATASET = 'tank/fs';
/** The chain of one dataset, and what `zfs get -rHp all` said when each of its snapshots was taken. */
const CHAIN = [
  { stream: 'full', snapshot: 'a', recordsize: '131072', note: 'first' },
  { stream: 'incr-i-a-b', snapshot: 'b', recordsize: '131072', note: 'first' },
  { stream: 'incr-i-b-c', snapshot: 'c', recordsize: '1048576', note: 'it\'s "two", lines' },
];

/** The columns of `zfs get -Hp`. */
function printed(recordsize: string, note: string, name = DATASET): string {
  const rows = [
    ['type', 'filesystem', '-'],
    ['used', String(recordsize.length * 1000), '-'],
    ['recordsize', recordsize, 'local'],
    ['compression', 'on', 'default'],
    ['atime', 'off', 'inherited from tank'],
    ['org:note', note, 'local'],
  ];
  return rows.map(([property, value, source]) => `${name}\t${property}\t${value}\t${source}\n`).join('');
}

describe('attributes as history', { concurrency: 3 }, () => {
  const standIns = new StandIns();
  let house: AgentHouse;
  before(async () => {
    house = await AgentHouse.open();
    for (const { stream, recordsize, note } of CHAIN) {
      const file = join(house.folder, `${stream}.attr`);
      writeFileSync(file, printed(recordsize, note));
      const words = ['import', '--dataset', DATASET, '--dataset-attributes', file];
      await house.document(words, 0, { stdin: recordedStream(stream) });
    }
  });
  after(async () => {
    standIns.end();
    await house.end();
  });

  const places = () => [[], ['--repository', house.repository]];
  const attributes = async (words: readonly string[], code = 0, env = {}) =>
    await house.document(['attributes', DATASET, ...words], code, { env });
  const told = async (...words: string[]) => {
    const ran = await house.zkeep(['attributes', DATASET, ...words]);
    assert.equal(ran.code, 0, ran.stderr);
    return ran.stdout.toString();
  };
  const differing = async (...words: string[]) =>
    (await attributes(['--diff', ...words])).changes.map(({ property, before, after }) => [
      property,
      before?.value,
      after?.value,
    ]);

  it('are told as of a snapshot, a GUID, a moment, or the newest', async () => {
    const { snapshots } = await house.document(['list', DATASET], 0);
    const [a, b] = snapshots;
    assert.ok(a && b);
    for (const place of places()) {
      const value = async (...words: string[]) => {
        const { settings, backup } = await attributes([...words, ...place]);
        return [backup.name, settings.find(({ property }) => property === 'recordsize')?.value];
      };
      assert.deepEqual(await value(), ['c', '1048576']);
      assert.deepEqual(await value('--snapshot', 'a'), ['a', '131072']);
      assert.deepEqual(await value('--guid', guidToDecimal(b.to)), ['b', '131072']);
      assert.deepEqual(await value('--at', new Date(a.created * 1000).toISOString()), ['a', '131072']);
    }
  });

  it('are shown calmly: what somebody set, and with --all the rest', async () => {
    const text = await told('--snapshot', 'a');
    assert.match(
      text,
      new RegExp(`^tank/fs@a on ${hostname()}, .*, backup [0-9a-f-]{36}\n\ntank/fs, a file system\n`),
    );
    assert.match(text, /^recordsize +131072 +local$/m);
    assert.match(text, /^atime +off +inherited from tank$/m);
    assert.doesNotMatch(text, /compression|used/);
    assert.match(await told('--all'), /^compression +on +default$[\s\S]*^used /m);
  });

  it('are compared between two snapshots, whatever they are called by', async () => {
    const { snapshots } = await house.document(['list', DATASET], 0);
    const [a, , c] = snapshots;
    assert.ok(a && c);
    const changes = [
      ['org:note', 'first', 'it\'s "two", lines'],
      ['recordsize', '131072', '1048576'],
    ];
    for (const place of places()) {
      assert.deepEqual(await differing('a', 'b', ...place), []);
      assert.deepEqual(await differing('a', 'c', ...place), changes);
      assert.deepEqual(await differing('@b', c.to, ...place), changes);
    }
    assert.deepEqual(await differing(new Date(a.created * 1000).toISOString(), guidToDecimal(c.to)), changes);
    assert.match(
      await told('--diff', 'c', 'a'),
      /^dataset +recordsize +1048576 \(local\) +131072 \(local\)$/m,
    );
    assert.match(await told('--diff', 'a', 'b'), /nothing that is set differs/);
  });

  it('are compared with the live dataset, also with one of another name', async () => {
    standIns.answer('zpool', undefined, { err: 'not today', exit: 1 });
    standIns.answer('zdb', undefined, { err: 'not today', exit: 1 });
    standIns.answer('zfs', undefined, { err: 'not today', exit: 1 });
    standIns.answer('zfs', ['version'], { out: 'zfs-2.2.9\nzfs-kmod-2.2.9\n' });
    for (const name of [DATASET, 'newtank/fs']) {
      const all = printed('1048576', 'changed', name)
        .replace('inherited from tank', `inherited from ${name.replace('/fs', '')}`)
        .replaceAll(/\t([^\t]*\n)/g, '\t-\t$1');
      standIns.answer('zfs', ['get', '-Hp', '-o', 'all', 'all', name], { out: all });
      const pool = name.replace('/fs', '');
      standIns.answer('zpool', ['get', '-Hp', '-o', 'all', 'all', pool], {
        out: `${pool}\tcomment\tx\tlocal\n`,
      });
    }
    const env = { PATH: standIns.path };
    for (const [live, place] of [
      ['live', []],
      ['live:newtank/fs', ['--repository', house.repository]],
    ] as const) {
      const words = ['--diff', 'c', live, ...place];
      const { changes, before, after } = await attributes(words, 0, env);
      const ofDataset = changes.filter(({ scope }) => scope === 'dataset');
      assert.deepEqual(
        ofDataset.map((one) => [one.property, one.before?.value, one.after?.value]),
        [['org:note', 'it\'s "two", lines', 'changed']],
      );
      assert.deepEqual([before.backup?.name, after.backup], ['c', null]);
    }
  });

  it('say with --exit-code whether something changed', async () => {
    assert.equal((await attributes(['--exit-code', '--diff', 'a', 'c'], 1)).changes.length, 2);
    assert.equal((await attributes(['--exit-code', '--diff', 'a', 'b'], 0)).changes.length, 0);
  });

  it('tell when a property changed', async () => {
    for (const place of places()) {
      const { points, property } = await attributes(['--history', 'recordsize', ...place]);
      assert.equal(property, 'recordsize');
      assert.deepEqual(
        points.map(({ name, first, changes }) => [
          name,
          first,
          changes[0]?.before?.value,
          changes[0]?.after?.value,
        ]),
        [
          ['a', true, undefined, '131072'],
          ['c', false, '131072', '1048576'],
        ],
      );
    }
    const text = await told('--history', 'recordsize');
    assert.match(text, /@a +dataset +131072 \(local\) +not known/);
    assert.match(text, /@c +dataset +1048576 \(local\) +131072 \(local\)/);
  });

  it('mark a snapshot that drifted, in lists and where one is shown', async () => {
    for (const place of places()) {
      const { snapshots } = await house.document(['list', DATASET, ...place], 0);
      assert.deepEqual(
        snapshots.map(({ drift }) => drift),
        [null, 0, 2],
      );
      const show = await house.zkeep(['show', `${DATASET}@c`, ...place]);
      assert.match(show.stdout.toString(), /^drift +2 settings differ/m);
    }
    const list = await house.zkeep(['list', DATASET]);
    assert.match(list.stdout.toString(), /DRIFT/);
  });

  it('refuse what makes no sense, and say what is not there', async () => {
    for (const [words, code] of [
      [['--diff', 'a'], 2],
      [['--diff', 'a', 'b', 'c'], 2],
      [['--diff', 'a', 'b', '--snapshot', 'a'], 2],
      [['--history', 'atime', '--diff', 'a', 'b'], 2],
      [['--exit-code'], 2],
      [['--snapshot', 'a', '--guid', '1'], 2],
      [['--diff', 'a', 'nothing-like-it'], 3],
      [['--diff', 'a', '@1'], 3],
      [['--history', 'used'], 3],
      [['--at', '1999-01-01 00:00'], 3],
    ] as const) {
      for (const place of places()) {
        const { error } = await attributes([...words, ...place], code);
        assert.ok(error.advice, `${words.join(' ')}: ${error.message}`);
      }
    }
  });
});
