import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type CommandOutput,
  type ObjectAttributes,
  parseAttributes,
} from '../../../../catalog/attributes/attributes.ts';
import { doubtfulIn, parseOutputs } from '../../../../catalog/attributes/parsing/outputs.ts';
import {
  DATASET,
  imitating,
  objectsWith,
  output,
  printedAlone,
  printedAsJson,
  printedByGet,
  recorded,
  values,
} from '../printed.ts';

const mgt = [
  output('zfs get -rHp all mgspool', recorded('zfs-get-rHp-all.out')),
  output('zpool get -Hp -o all all mgspool', recorded('zpool-get-Hp-all.out')),
  output('zpool list -vHP mgspool', recorded('zpool-list-vHP.out')),
  output('zdb -C mgspool', recorded('zdb-C-imported.out')),
  output('zfs version -j', recorded('zfs-version-j.json')),
  output('hostid', recorded('hostid.out')),
];

test('recorded outputs become the dataset, its snapshots and bookmarks in their order, the pool and the host', () => {
  const parsed = parseOutputs('mgspool/mgt', mgt);
  assert.deepEqual(
    parsed.objects.map(({ name, kind }) => [name, kind]),
    [
      ['mgspool/mgt', 'filesystem'],
      ['mgspool/mgt@daily-1', 'snapshot'],
      ['mgspool/mgt#daily-1', 'bookmark'],
      ['mgspool/mgt@daily-2', 'snapshot'],
    ],
  );
  assert.deepEqual(parsed.objects[0]?.properties['lustre:svname'], { value: 'MGS', source: 'local' });
  assert.equal(parsed.pool?.guid, '7638985747920707416');
  assert.equal(parsed.pool?.health, 'ONLINE');
  assert.equal(parsed.pool?.properties['multihost']?.source, 'local');
  const [vdev] = parsed.pool?.vdevs ?? [];
  assert.deepEqual([vdev?.type, vdev?.ashift, vdev?.state], ['file', 9, 'ONLINE']);
  assert.deepEqual(parsed.host?.zfs, { userland: '2.3.9-0+deb13u1', module: '2.3.9-0+deb13u1' });
  assert.equal(parsed.host?.hostid, '08cbc6ba');
  parseAttributes({ format: 1, dataset: 'mgspool/mgt', outputs: mgt, parsed });
});

test('both forms of the recorded pool say the same', () => {
  const lines = parseOutputs('mgspool', [
    output('zpool get -Hp all mgspool', recorded('zpool-get-Hp-all.out')),
  ]);
  const json = parseOutputs('mgspool', [output('zpool get -j all mgspool', recorded('zpool-get-j.json'))]);
  assert.deepEqual(Object.keys(json.pool?.properties ?? {}), Object.keys(lines.pool?.properties ?? {}));
  assert.deepEqual(json.pool?.properties['failmode'], lines.pool?.properties['failmode']);
});

test('a property that JSON tells and the lines do not is taken over', () => {
  const json = output('zfs get -j -r all mgspool', recorded('zfs-get-j.json'));
  const parsed = parseOutputs('mgspool/mgt', [json]);
  assert.equal(parsed.objects.length, 4);
  assert.equal(parsed.objects[0]?.properties['lustre:flags']?.value, '36');
});

test('a list adds the snapshots that nobody asked all about', () => {
  const list = output(
    'zfs list -Hp -t snapshot,bookmark -o name,guid,createtxg,creation,userrefs -d 1 tank/a',
    'tank/a@two\t43\t9\t1795159399\t1\ntank/a@one\t42\t8\t1795159398\t0\ntank/a#one\t42\t8\t1795159398\t-\n',
  );
  const { objects } = parseOutputs('tank/a', [list]);
  assert.deepEqual(
    objects.map(({ name }) => name),
    ['tank/a@one', 'tank/a#one', 'tank/a@two'],
  );
  assert.deepEqual(objects[2]?.properties, {
    guid: { value: '43', source: 'none' },
    createtxg: { value: '9', source: 'none' },
    creation: { value: '1795159399', source: 'none' },
    userrefs: { value: '1', source: 'none' },
  });
});

const byName = (objects: readonly ObjectAttributes[]) =>
  new Map(objects.map((one) => [one.name, one.properties]));

/** What is asked after what was printed first, and what comes of both. */
function settled(objects: readonly ObjectAttributes[], first: readonly CommandOutput[]) {
  const alone = doubtfulIn(first).flatMap((doubt) => printedAlone(objects, doubt));
  const all = [...first, ...alone];
  return { parsed: parseOutputs(DATASET, all), left: doubtfulIn(all) };
}

test('objects with ordinary values are read back from their lines, without a doubt', () => {
  fc.assert(
    fc.property(objectsWith(values.ordinary), (objects) => {
      const printed = [printedByGet(objects)];
      assert.deepEqual(doubtfulIn(printed), []);
      assert.deepEqual(byName(parseOutputs(DATASET, printed).objects), byName(objects));
    }),
  );
});

test('objects with tabs and newlines in their values are read back once the doubtful ones were asked for alone', () => {
  fc.assert(
    fc.property(objectsWith(values.nasty), (objects) => {
      const { parsed, left } = settled(objects, [printedByGet(objects)]);
      assert.deepEqual(byName(parsed.objects), byName(objects));
      assert.deepEqual(left, []);
    }),
    { numRuns: 500 },
  );
});

test('with JSON beside the lines, values that imitate lines deceive nobody', () => {
  fc.assert(
    fc.property(objectsWith(fc.oneof(values.nasty, imitating)), (objects) => {
      const { parsed, left } = settled(objects, [printedByGet(objects), printedAsJson(objects)]);
      assert.deepEqual(byName(parsed.objects), byName(objects));
      assert.deepEqual(left, []);
    }),
    { numRuns: 500 },
  );
});

test('JSON settles a value with newlines without another question, and characters that it drops stay', () => {
  const objects: ObjectAttributes[] = [
    {
      name: DATASET,
      kind: 'filesystem',
      properties: {
        type: { value: 'filesystem', source: 'none' },
        'lab:a': { value: 'one\n\ttwo 😀\t', source: 'local', received: 'é' },
      },
    },
  ];
  const printed = [printedByGet(objects), printedAsJson(objects)];
  assert.deepEqual(doubtfulIn(printed), []);
  assert.deepEqual(parseOutputs(DATASET, printed).objects, objects);
});

test('bytes that are not UTF-8 are kept in values', () => {
  const bytes = Buffer.concat([
    Buffer.from('tank/a\ttype\tfilesystem\t-\ntank/a\tlab:x\t'),
    Buffer.from([0xff, 0x41]),
    Buffer.from('\tlocal\n'),
  ]);
  const printed = output('zfs get -Hp all tank/a', bytes);
  assert.equal(printed.encoding, 'base64');
  const [object] = parseOutputs('tank/a', [printed]).objects;
  assert.deepEqual(object?.properties['lab:x'], { value: '\udcffA', source: 'local' });
});

test('a volume is one by its type, and objects of other datasets are left out', () => {
  const lines = ['tank/v\ttype\tvolume\t-', 'tank/v2\ttype\tvolume\t-', 'tank/v/x\ttype\tfilesystem\t-', ''];
  const { objects } = parseOutputs('tank/v', [output('zfs get -Hp all', lines.join('\n'))]);
  assert.deepEqual(objects, [
    { name: 'tank/v', kind: 'volume', properties: { type: { value: 'volume', source: 'none' } } },
  ]);
});

const COMMANDS = [
  ['zfs', 'get', '-Hp', '-o', 'all', 'all', 'tank'],
  ['zfs', 'get', '-rHp', 'all', 'tank'],
  ['zfs', 'get', '-j', 'all', 'tank'],
  ['zfs', 'get', '-Hp', '-o', 'value', 'lab:x', 'tank'],
  ['zfs', 'list', '-Hp', '-o', 'name,guid', 'tank'],
  ['zfs', 'version'],
  ['zpool', 'get', '-Hp', 'all', 'tank'],
  ['zpool', 'get', 'all', 'tank'],
  ['zpool', 'get', '-j', 'all', 'tank'],
  ['zpool', 'list', '-vPp', 'tank'],
  ['zpool', 'list', '-vHp', 'tank'],
  ['zpool', 'status', '-P', 'tank'],
  ['zdb', '-C', 'tank'],
  ['uname', '-a'],
  ['hostid'],
  ['cat', '/etc/os-release'],
  ['cat', '/etc/hostid'],
  ['cat', '/proc/mounts'],
  ['cat', '/sys/module/spl/parameters/spl_hostid'],
  ['sysctl', 'vfs.zfs'],
  ['lctl', 'get_param', 'version'],
  ['lctl', 'list_nids'],
  ['true'],
];
const word = fc.constantFrom(
  ...[
    'tank',
    'tank@a',
    'type',
    'lab:x',
    '__proto__',
    'local',
    '-',
    '\t',
    '\n',
    ' ',
    '  ',
    '\n\t',
    '"',
    '{',
    '}',
    ':',
  ],
  ...[
    'mirror-0',
    'logs',
    'ONLINE',
    'NAME',
    'PROPERTY',
    'VALUE',
    'SOURCE',
    'pool: tank',
    'children[0]:',
    "type: 'disk'",
  ],
  ...['ashift: 12', '-'.repeat(9), 'inherited from ', 'lustre', '=', '\\', '\u0000', '99999999999999999999'],
);
const foreign = fc.oneof(
  fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  fc.array(word, { maxLength: 60 }).map((words) => Buffer.from(words.join(''))),
);

test('nothing that a command may print makes it throw, and what comes of it can be stored', () => {
  const printed = fc
    .tuple(fc.constantFrom(...COMMANDS), foreign)
    .map(([command, text]) => output(command, text));
  fc.assert(
    fc.property(fc.array(printed, { maxLength: 6 }), (outputs) => {
      const parsed = parseOutputs('tank', outputs);
      doubtfulIn(outputs);
      parseAttributes({ format: 1, dataset: 'tank', outputs, parsed });
    }),
    { numRuns: 2000 },
  );
});

test('a long output of one kind of character takes no long time', () => {
  const begun = performance.now();
  for (const character of ['\t', '\n', ' ', '"', '\\', '{', 'a', '-', 'a\t', '- ', '"\\']) {
    const text = character.repeat(200_000 / character.length);
    const row = `tank\ttype\tfilesystem\t-\t-\ntank\tlab:x\t${text}\t-\tlocal\n`;
    for (const command of COMMANDS) parseOutputs('tank', [output(command, text), output(command, row)]);
  }
  assert.ok(performance.now() - begun < 20_000);
});
