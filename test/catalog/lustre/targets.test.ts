import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseLdev } from '../../../catalog/lustre/ldev.ts';
import { parseServiceName, registeredName } from '../../../catalog/lustre/service-name.ts';
import {
  type HostView,
  type PropertyLine,
  parseLustreMounts,
  parsePropertyLines,
  targetsOf,
} from '../../../catalog/lustre/targets.ts';

/** Of a live file system, as `zfs get -Hp -o name,property,value,source` prints it. */
const recorded = (name: string) =>
  parsePropertyLines(
    readFileSync(new URL(`../../fixtures/outputs/lustre-properties.${name}.out`, import.meta.url), 'utf8'),
  );

function view(properties: readonly PropertyLine[], more: Partial<HostView> = {}): HostView {
  return { host: 'mds1', properties, multihost: new Map(), mounts: new Map(), ldev: undefined, ...more };
}

/** An MDT as Lustre makes it, with these properties otherwise. */
function mdt(otherwise: Record<string, string> = {}, source = 'local'): PropertyLine[] {
  const made = {
    'lustre:version': '1',
    'lustre:flags': '33',
    'lustre:index': '1',
    'lustre:fsname': 'fs',
    'lustre:svname': 'fs-MDT0001',
    canmount: 'off',
    mounted: 'no',
    ...otherwise,
  };
  return Object.entries(made).map(([property, value]) => ({ dataset: 'p/mdt1', property, value, source }));
}

describe('a service name', () => {
  it('tells its state by the separator', () => {
    const states = ['fs-MDT0000', 'fs:MDT0000', 'fs=MDT0000', 'fs+MDT0000'].map(
      (text) => parseServiceName(text)?.state,
    );
    assert.deepEqual(states, ['registered', 'virgin', 'writeconf', 'no-local-logs']);
  });

  it('counts its index in hex', () => {
    assert.equal(parseServiceName('lustrefs-OST001f')?.index, 31);
  });

  it('is none when anything is too much or too little', () => {
    const none = [
      '',
      'MDT0000',
      'fs-MDT',
      'fs-MDT00001',
      'fs-XYZ0000',
      'toolongname-MDT0000',
      'fs MDT0000',
      'fs-MDT0000\n',
    ];
    for (const text of none) assert.equal(parseServiceName(text), undefined, text);
  });

  it('is told apart from any name of a file system, also one with dashes', () => {
    fc.assert(
      fc.property(
        fc.stringMatching(/^[A-Za-z0-9_-]{1,8}$/),
        fc.constantFrom('mdt' as const, 'ost' as const),
        fc.integer({ min: 0, max: 0xffff }),
        fc.constantFrom('-', ':', '=', '+'),
        (fsname, kind, index, separator) => {
          const name = registeredName({ kind, fsname, index });
          const text = `${fsname}${separator}${name.slice(fsname.length + 1)}`;
          const parsed = parseServiceName(text);
          assert.ok(parsed);
          assert.deepEqual([parsed.fsname, parsed.kind, parsed.index], [fsname, kind, index]);
          assert.equal(registeredName(parsed), name);
        },
      ),
    );
  });
});

describe('the targets of a host', () => {
  it('are those of a live file system, in order', () => {
    const { targets } = targetsOf(view(recorded('s2')));
    assert.deepEqual(
      targets.map(({ dataset, kind, fsname, index, state, problems }) => [
        dataset,
        kind,
        fsname,
        index,
        state,
        problems,
      ]),
      [
        ['mdtpool/mdt0', 'mdt', 'lustrefs', 0, 'registered', []],
        ['mgspool/mgt', 'mgt', null, null, 'registered', []],
      ],
    );
    assert.deepEqual(
      targets.map(({ mgs }) => mgs),
      [false, true],
    );
  });

  it('are virgin right after mkfs', () => {
    const [target] = targetsOf(view(recorded('mkfs'))).targets;
    assert.deepEqual(
      [target?.service, target?.name, target?.state],
      ['lustrefs:MDT0000', 'lustrefs-MDT0000', 'virgin'],
    );
    assert.match(target?.problems.join() ?? '', /never registered/);
  });

  it('are not what only inherits their properties, has no version, or no service', () => {
    assert.deepEqual(targetsOf(view(mdt({}, 'inherited from p'))).targets, []);
    assert.deepEqual(targetsOf(view(mdt({ 'lustre:version': '0' }))).targets, []);
    assert.deepEqual(targetsOf(view(mdt({ 'lustre:svname': '-' }, '-'))).targets, []);
  });

  it('know an MGT and MDT in one dataset', () => {
    const [target] = targetsOf(view(mdt({ 'lustre:flags': '5' }))).targets;
    assert.deepEqual([target?.kind, target?.mgs, target?.problems], ['mdt', true, []]);
  });

  const wrong: [string, Parameters<typeof view>[1], Record<string, string>, RegExp][] = [
    ['flags of another kind', {}, { 'lustre:flags': '34' }, /flags 34 are not those/],
    ['another file system', {}, { 'lustre:fsname': 'other' }, /fsname is not that/],
    ['another index', {}, { 'lustre:index': '2' }, /index is not that/],
    ['a service name that is none', {}, { 'lustre:svname': 'what' }, /"what" is no service name/],
    [
      'failover without multihost',
      { multihost: new Map([['p', 'off']]) },
      { 'lustre:failover.node': 'n@tcp' },
      /multihost is off/,
    ],
    ['a mount by zfs', {}, { mounted: 'yes' }, /zfs has mounted it/],
    ['canmount', {}, { canmount: 'on' }, /canmount is on/],
    ['another dataset in ldev.conf', { ldev: parseLdev('mds1 - fs-MDT0001 zfs:q/mdt1') }, {}, /at q\/mdt1/],
    ['another host in ldev.conf', { ldev: parseLdev('mds7 mds8 fs-MDT0001 zfs:p/mdt1') }, {}, /on mds7/],
    ['a line that ldev.conf lacks', { ldev: [] }, {}, /does not name it/],
  ];
  for (const [what, more, otherwise, words] of wrong) {
    it(`show ${what} as a problem, and as the only one`, () => {
      const [target] = targetsOf(view(mdt(otherwise), more)).targets;
      assert.equal(targetsOf(view(mdt())).targets[0]?.problems.length, 0);
      assert.equal(target?.problems.length, 1);
      assert.match(target.problems.join(), words);
    });
  }

  it('are not in need of multihost where no failover is set, which zfs get prints as a dash', () => {
    const unset = { dataset: 'p/mdt1', property: 'lustre:failover.node', value: '-', source: '-' };
    const [target] = targetsOf(view([...mdt(), unset], { multihost: new Map([['p', 'off']]) })).targets;
    assert.deepEqual(target?.problems, []);
  });

  it('show properties that are received, which Lustre does not see as its own', () => {
    assert.match(
      targetsOf(view(mdt({}, 'received'))).targets[0]?.problems.join() ?? '',
      /received, not local/,
    );
  });

  it('lack what ldev.conf has on this host', () => {
    const ldev = parseLdev(
      'mds1 - fs-MDT0001 zfs:p/mdt1\nmds1 - fs-MDT0002 zfs:p/mdt2\nmds2 - fs-MDT0003 zfs:p/mdt3',
    );
    const { problems } = targetsOf(view(mdt(), { ldev }));
    assert.deepEqual(problems, ['ldev.conf has fs-MDT0002 at p/mdt2 on this host: there is no such target']);
  });

  it('are mounted where Lustre says, with any character in the name', () => {
    const mounts = parseLustreMounts('p/mdt1 /mnt/a\\040b lustre_tgt rw 0 0\ntank /t zfs rw 0 0\n');
    assert.equal(targetsOf(view(mdt(), { mounts })).targets[0]?.mount, '/mnt/a b');
    assert.equal(mounts.size, 1);
  });

  it('never fail, whatever is printed', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string(), (printed, conf) => {
        const properties = [...parsePropertyLines(printed), ...mdt({ 'lustre:svname': printed })];
        targetsOf(view(properties, { ldev: parseLdev(conf), mounts: parseLustreMounts(printed) }));
      }),
    );
  });
});

describe('ldev.conf', () => {
  it('gives host, partner, label and dataset of each line, and leaves the rest out', () => {
    const text =
      '# comment\n\nmds1  mds2 fs-MDT0000 zfs:mdtpool/mdt0 - -\noss1 - fs-OST0000 zfs:/vdevs/ost/ost0\noss2 - fs-OST0001 md:/dev/md1\nshort line\n';
    assert.deepEqual(
      parseLdev(text).map(({ host, foreign, label, dataset }) => [host, foreign, label, dataset]),
      [
        ['mds1', 'mds2', 'fs-MDT0000', 'mdtpool/mdt0'],
        ['oss1', null, 'fs-OST0000', 'ost/ost0'],
        ['oss2', null, 'fs-OST0001', null],
      ],
    );
  });
});
