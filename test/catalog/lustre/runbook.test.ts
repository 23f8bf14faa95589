import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Attributes, Property } from '../../../catalog/attributes/attributes.ts';
import { type RunbookStep, runbookFor, runbookOf, runbookText } from '../../../catalog/lustre/runbook.ts';
import { type RunbookQuestion, runbookQuestion } from '../../../catalog/lustre/runbook-question.ts';
import { isOlder, word } from '../../../catalog/lustre/runbook-words.ts';

const NOW = { lustre: '2.17.57', zfs: '2.3.9', nids: ['10.0.2.15@tcp'], hostid: '00bab10c' };
const MDT: RunbookQuestion = {
  kind: 'mdt',
  mgs: false,
  fsname: 'lustrefs',
  index: 0,
  service: 'lustrefs-MDT0000',
  name: 'lustrefs-MDT0000',
  state: 'registered',
  mgsnode: '10.0.2.14@tcp',
  failover: null,
  multihost: 'on',
  source: 'mdtpool/mdt0',
  guid: '8457c2979ebea116',
  target: 'newpool/mdt0',
  stored: NOW,
  here: NOW,
};
const MGT: RunbookQuestion = {
  ...MDT,
  ...{ kind: 'mgt', mgs: true, fsname: null, index: null, service: 'MGS', name: 'MGS', mgsnode: null },
  ...{ source: 'mgspool/mgt', target: 'newpool/mgt' },
};
const OST: RunbookQuestion = {
  ...MDT,
  ...{ kind: 'ost', index: 1, service: 'lustrefs-OST0001', name: 'lustrefs-OST0001' },
};

/** The number of the only step that has a command like this. */
function stepOf(steps: readonly RunbookStep[], command: RegExp): number {
  const found = steps.flatMap(({ commands }, index) =>
    commands.some((each) => command.test(each)) ? [index] : [],
  );
  assert.equal(found.length, 1, `${command} is in steps ${found}`);
  return found[0] ?? -1;
}

const warnings = (question: RunbookQuestion) =>
  runbookFor(question)
    .map(({ warn = '' }) => warn)
    .join('\n');

test('the OSTs have their snapshots before anything of an MDT is mounted', () => {
  const steps = runbookFor(MDT);
  const snapshots = stepOf(steps, /^zfs snapshot OSTPOOL\/OST@before-lustrefs-MDT0000$/);
  const mounts = steps.flatMap(({ commands }, index) =>
    commands.some((command) => /\bmount -t (lustre|zfs)/.test(command)) ? [index] : [],
  );
  assert.ok(mounts.length >= 4);
  assert.ok(mounts.every((mount) => mount > snapshots));
});

test('of an MDT, the steps come in the order that loses nothing', () => {
  const steps = runbookFor({ ...MDT, here: { ...NOW, nids: ['10.0.2.99@tcp'] } });
  const order = [
    /^tunefs\.lustre --dryrun newpool\/mdt0$/,
    /^umount -a -t lustre$/,
    /^zfs snapshot /,
    /^lctl replace_nids lustrefs-MDT0000 10\.0\.2\.99@tcp$/,
    /^mount -t lustre -o ro 10\.0\.2\.14@tcp:\/lustrefs /,
    /--last-id/,
    /lov_objid OST_INDEX LAST_ID$/,
    /^zfs rollback /,
    /^mount -t lustre newpool\/mdt0 \/mnt\/lustrefs-MDT0000$/,
    /^lctl get_param -n osd-zfs\.lustrefs-MDT0000\.oi_scrub$/,
    /^lctl lfsck_start -M lustrefs-MDT0000 -A -t all -r -n on$/,
    /^lfs df /,
    /^zkeep backup newpool\/mdt0$/,
  ].map((command) => stepOf(steps, command));
  assert.deepEqual(
    order,
    order.toSorted((one, other) => one - other),
  );
});

test('LFSCK looks before it repairs', () => {
  const { commands = [] } = runbookFor(MDT).find(({ title }) => title.includes('LFSCK:')) ?? {};
  const starts = commands.filter((command) => command.startsWith('lctl lfsck_start'));
  assert.match(starts[0] ?? '', /-n on$/);
  assert.match(starts[1] ?? '', /-n off -o$/);
});

test('a snapshot is inspected by its GUID', () => {
  const commands = runbookFor(MDT).flatMap((step) => step.commands);
  assert.ok(
    commands.some((each) =>
      each.startsWith('zkeep lustre inspect mdtpool/mdt0 --guid 8457c2979ebea116 --last-id'),
    ),
  );
});

test('with the same NIDs nothing is replaced; with others, only the MGS is started for it', () => {
  assert.doesNotMatch(runbookText(runbookFor(MDT)), /replace_nids/);
  const moved = runbookFor({ ...MGT, here: { ...NOW, nids: ['10.0.2.99@tcp'] } });
  const { commands = [] } = moved[stepOf(moved, /replace_nids FSNAME-MDT0000/)] ?? {};
  assert.ok(commands.indexOf('mount -t lustre -o nosvc newpool/mgt /mnt/MGS') >= 0);
  assert.ok(commands.at(-1) === 'umount /mnt/MGS');
  stepOf(moved, /^zfs set lustre:mgsnode=/);
  assert.match(runbookText(runbookFor({ ...MDT, here: null })), /replace_nids lustrefs-MDT0000 NEW_NID/);
});

test('an MGT and an OST have no orphan window', () => {
  for (const question of [MGT, OST]) {
    assert.doesNotMatch(runbookText(runbookFor(question)), /lov_objid|rdonly_dev|--last-id/);
  }
  stepOf(runbookFor(OST), /^lfs find .* --ost lustrefs-OST0001_UUID$/);
  stepOf(runbookFor(OST), /^lctl lfsck_start -M lustrefs-MDT0000 .* -n on$/);
});

test('what is not as it should be is warned of', () => {
  assert.doesNotMatch(warnings(MDT), /older than the|hostid|registered state|multihost/);
  assert.match(
    warnings({ ...MDT, service: 'lustrefs:MDT0000', state: 'virgin' }),
    /lustrefs:MDT0000 is not in the registered state/,
  );
  assert.match(warnings({ ...MDT, service: 'x', state: null }), /none that Lustre writes/);
  assert.match(
    warnings({ ...MDT, here: { ...NOW, lustre: '2.15.5' } }),
    /Lustre here is 2\.15\.5, older than the 2\.17\.57/,
  );
  assert.match(
    warnings({ ...MDT, here: { ...NOW, zfs: '2.2.9' } }),
    /ZFS here is 2\.2\.9, older than the 2\.3\.9/,
  );
  assert.match(warnings({ ...MDT, here: { ...NOW, hostid: null } }), /no hostid/);
  assert.match(
    warnings({ ...MDT, failover: '10.0.2.16@tcp', multihost: 'off' }),
    /did not have multihost=on/,
  );
  assert.match(warnings(MDT), /several MDTs, all of them must come from one set/);
});

test('an MDT that is also the MGS is mounted once; LFSCK runs from the first MDT', () => {
  const both = runbookFor({ ...MDT, mgs: true, mgsnode: null });
  assert.doesNotMatch(runbookText(both), /MGTPOOL/);
  stepOf(both, /^mount -t lustre -o ro 10\.0\.2\.15@tcp:\/lustrefs /);
  const second = runbookFor({ ...MDT, index: 1, service: 'lustrefs-MDT0001', name: 'lustrefs-MDT0001' });
  stepOf(second, /^lctl lfsck_start -M lustrefs-MDT0000 .* -n on$/);
});

test('versions are compared by their numbers', () => {
  const pairs: [string, string, boolean][] = [
    ['2.15.5', '2.15.61', true],
    ['2.3.10', '2.3.9', false],
    ['2.3', '2.3.1', true],
    ['2.3.9-0+deb13u1', '2.3.9', false],
    ['zfs-2.1.0', '2.3.0', true],
    ['', '2.3.0', true],
    ['2.3.0', 'unknown', false],
  ];
  for (const [one, other, older] of pairs) assert.equal(isOlder(one, other), older, `${one} and ${other}`);
});

const property = (value: string, source: Property['source'] = 'local'): Property => ({ value, source });

function attributes(properties: Record<string, Property>): Pick<Attributes, 'dataset' | 'parsed'> {
  return {
    dataset: 'mdtpool/mdt0',
    parsed: {
      objects: [
        { name: 'mdtpool/mdt0', kind: 'filesystem', properties },
        // As `lctl snapshot_create` leaves it.
        {
          name: 'mdtpool/mdt0@s',
          kind: 'snapshot',
          properties: { 'lustre:svname': property('134f4e06-MDT0000') },
        },
      ],
      pool: {
        name: 'mdtpool',
        guid: null,
        health: null,
        properties: { multihost: property('on') },
        vdevs: [],
      },
      host: null,
    },
  };
}

const RECORDED = {
  'lustre:version': property('1'),
  'lustre:flags': property('33'),
  'lustre:index': property('0'),
  'lustre:fsname': property('lustrefs'),
  'lustre:svname': property('lustrefs-MDT0000'),
  'lustre:mgsnode': property('10.0.2.15@tcp'),
};

test('the stored properties of a dataset say what it is; those of its snapshots do not', () => {
  const question = runbookQuestion(attributes(RECORDED), { target: 'new/mdt0', guid: 'abc' });
  assert.deepEqual(question, {
    ...MDT,
    ...{ mgsnode: '10.0.2.15@tcp', guid: 'abc', target: 'new/mdt0', here: null },
    stored: { lustre: null, zfs: null, nids: [], hostid: null },
  });
});

test('flags tell an MGT beside an MDT, and what a spoilt service name was', () => {
  const both = { ...RECORDED, 'lustre:flags': property('37') };
  assert.equal(runbookQuestion(attributes(both), { target: 't/d' })?.mgs, true);
  const spoilt = { ...RECORDED, 'lustre:flags': property('2'), 'lustre:svname': property('what?') };
  const { kind, state } = runbookQuestion(attributes(spoilt), { target: 't/d' }) ?? {};
  assert.deepEqual([kind, state], ['ost', null]);
});

test('a dataset without the properties, or that only inherits them, has no runbook', () => {
  const inherited = Object.entries(RECORDED).map(([name, { value }]) => [name, property(value, 'inherited')]);
  const cases = [
    attributes({}),
    attributes(Object.fromEntries(inherited)),
    attributes({ ...RECORDED, 'lustre:version': property('0') }),
    attributes({ ...RECORDED, 'lustre:svname': property('') }),
    { dataset: 'mdtpool/mdt0', parsed: null },
  ];
  for (const each of cases) assert.deepEqual(runbookOf(each, { target: 't/d' }), []);
  assert.equal(runbookText([]), '');
});

test('the text numbers the steps, and folds all but commands', () => {
  const lines = runbookText(runbookFor(MDT)).split('\n');
  const titles = lines.flatMap((line) => /^ ?(\d+)\. \S/.exec(line)?.[1] ?? []);
  assert.deepEqual(
    titles.map(Number),
    runbookFor(MDT).map((_, index) => index + 1),
  );
  for (const line of lines.filter((each) => /^ {4}\S/.test(each))) assert.ok(line.length <= 100, line);
});

test('names from other machines stay one word of a shell, and never reach the terminal as control characters', () => {
  const foreign = fc.string({
    unit: fc.constantFrom(...'ab/-@:, \'"$`;&|\n\u001b\u202e#*()'),
    maxLength: 30,
  });
  fc.assert(
    fc.property(foreign, foreign, foreign, (target, source, mgsnode) => {
      const text = runbookText(
        runbookFor({
          ...MDT,
          target,
          source,
          mgsnode,
          name: source,
          stored: { ...NOW, zfs: target },
          here: { ...NOW, nids: [mgsnode] },
        }),
      );
      assert.doesNotMatch(text.replaceAll('\n', ''), /[\p{Cc}\u202e]/u);
      const quoted = word(target);
      assert.ok(/^[A-Za-z0-9_@%+=:,./#-]+$/.test(quoted) || /^'.*'$/.test(quoted));
      // Outside of quotes nothing is left that a shell would act on.
      assert.doesNotMatch(quoted.replaceAll(/'[^']*'|\\'/g, ''), /[\s"$`;&|*()]/);
    }),
  );
});
