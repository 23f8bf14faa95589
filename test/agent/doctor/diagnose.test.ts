import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { diagnose } from '../../../agent/doctor/diagnose.ts';
import type { DoctorFacts } from '../../../agent/doctor/facts.ts';
import type { Finding } from '../../../agent/doctor/finding.ts';
import { mend } from '../../../agent/doctor/mend.ts';
import { doctorInWords } from '../../../agent/doctor/words.ts';
import type { PointFacts } from '../../../agent/zfs/list.ts';
import { ZkeepError } from '../../../catalog/errors.ts';
import type { KnownSnapshot } from '../../../catalog/protocol/protocol.ts';
import { guidOf } from '../../../catalog/words.ts';
import { point, source } from '../backup/resume/facts.ts';

const NOW = Date.UTC(2026, 10, 20, 13);
const OWN = 'zkeep-20261120T120000Z';
const TEMPORARY = 'zkeep-refresh-20261120T120000Z-42';

function facts(points: PointFacts[] = [], more: Partial<DoctorFacts> = {}): DoctorFacts {
  const held = points.filter(({ references }) => references > 0);
  return {
    ...{ host: 'here', now: NOW, scope: [], ahead: 0, zfs: null, service: null, openToken: null },
    here: {
      sources: [source('tank/a', points)],
      pools: new Map([['tank', guidOf(1n)]]),
      partials: [],
      drills: [],
      holds: new Map(held.map(({ name }) => [`tank/a@${name}`, ['zkeep']])),
      used: new Map(),
      atWork: new Set(),
      owed: new Set(),
    },
    kept: { open: [], known: [], backups: new Map(), living: new Set() },
    versions: { here: '0.4.0', service: '0.4.0' },
    state: { folder: '/var/lib/zkeep', problem: null },
    rights: [],
    user: 'backup',
    coverage: null,
    ...more,
  };
}

function stored(...ids: number[]): DoctorFacts['kept'] {
  const known = ids.map((id): KnownSnapshot => {
    return { guid: guidOf(BigInt(id)), restorable: true, flags: { raw: false, large_blocks: true } };
  });
  return { open: [], known, backups: new Map(), living: new Set() };
}

const only = (found: readonly Finding[]): Finding => {
  assert.equal(found.length, 1, JSON.stringify(found, undefined, 1));
  return found[0] ?? assert.fail();
};
const words = ({ mend: commands }: Finding) => commands.map((command) => command.join(' '));

describe('a doctor finds', () => {
  it('nothing where all is well', () => {
    const points = [point('tank/a', OWN, 5), point('tank/a', OWN, 5, { kind: 'bookmark' })];
    assert.deepEqual(diagnose(facts(points, { kept: stored(5) })), []);
    assert.equal(doctorInWords([], new Map()), 'all is well');
  });

  it('a leaked hold on what is stored, which is safe to release', () => {
    const points = [
      point('tank/a', OWN, 5, { references: 1 }),
      point('tank/a', OWN, 5, { kind: 'bookmark' }),
    ];
    const found = only(diagnose(facts(points, { kept: stored(5) })));
    assert.deepEqual([found.code, found.safe], ['leaked-hold', true]);
    assert.deepEqual(words(found), [`zfs release zkeep tank/a@${OWN}`]);
  });

  it('a hold on what is not stored, and a snapshot of ours, that a run may be at: not safe', () => {
    const held = only(diagnose(facts([point('tank/a', 'daily', 5, { references: 1 })])));
    assert.deepEqual([held.code, held.safe], ['leaked-hold', false]);
    assert.equal(held.advice, 'first try whether its backup goes on: zkeep backup tank/a --snapshot daily');
    const left = only(diagnose(facts([point('tank/a', OWN, 5)])));
    assert.deepEqual([left.code, left.safe], ['left-snapshot', false]);
    assert.deepEqual(words(left), [`zkeep backup tank/a --snapshot ${OWN}`]);
    assert.equal(left.advice, 'where it is not to go on: zkeep leftovers tank/a shows what clears it');
  });

  it('a temporary snapshot that nobody is at, which is safe to destroy', () => {
    const points = [point('tank/a', TEMPORARY, 5, { references: 1 })];
    const found = only(diagnose(facts(points)));
    assert.deepEqual([found.code, found.safe], ['left-temporary', true]);
    assert.deepEqual(words(found), [
      `zfs release zkeep tank/a@${TEMPORARY}`,
      `zfs destroy tank/a@${TEMPORARY}`,
    ]);
  });

  it('a bookmark of ours that the repository does not know, and none of somebody else', () => {
    const points = [OWN, 'daily'].map((name, at) => point('tank/a', name, 5 + at, { kind: 'bookmark' }));
    const found = only(diagnose(facts(points)));
    assert.deepEqual(
      [found.code, found.safe, words(found)],
      ['stale-bookmark', false, [`zfs destroy tank/a#${OWN}`]],
    );
  });

  it('clocks that differ, a time before zkeep, and a snapshot of the future', () => {
    assert.deepEqual(diagnose(facts([], { ahead: 59_000 })), []);
    const behind = only(diagnose(facts([], { ahead: 61_000 })));
    assert.match(behind.what, /61 s behind the service's/);
    assert.match(only(diagnose(facts([], { ahead: -3_600_000 }))).what, /3600 s ahead of/);
    assert.match(only(diagnose(facts([], { now: 0, ahead: NOW }))).what, /says 1970-01-01/);
    const tomorrow = NOW / 1000 + 86_400;
    const found = only(diagnose(facts([point('tank/a', 'daily', 5, { created: tomorrow })])));
    assert.deepEqual([found.code, found.dataset], ['snapshot-from-future', 'tank/a']);
  });

  it('a version behind that of the service, and none ahead of it', () => {
    const code = (here: string, service: string) =>
      diagnose(facts([], { versions: { here, service } })).map((one) => one.code);
    assert.deepEqual(code('0.4.0', '0.10.0'), ['version-old']);
    assert.deepEqual(code('0.4.1', '0.4.0'), []);
  });

  it('what cannot be asked, written, or is open to others, and rights that are missing', () => {
    const trouble = { code: 'service.unreachable', message: 'it does not answer', advice: 'start it' };
    const found = diagnose(
      facts([], {
        service: trouble,
        kept: null,
        state: { folder: '/var/lib/zkeep', problem: 'EACCES' },
        openToken: '/etc/zkeep/token',
        rights: [{ dataset: 'tank', lacking: ['hold', 'release'] }],
      }),
    );
    assert.deepEqual(
      found.map(({ code }) => code),
      ['service-unreachable', 'state-unwritable', 'token-readable', 'rights-missing'],
    );
    assert.deepEqual(words(found[2] ?? assert.fail()), ['chmod 600 /etc/zkeep/token']);
    assert.deepEqual(words(found[3] ?? assert.fail()), ['zfs allow -u backup hold,release tank']);
  });

  it('datasets that no job covers, of those that are meant', () => {
    const coverage = {
      file: 'agent.toml',
      meant: ['tank', 'tank/a', 'tank/b'],
      covered: new Set(['tank/a']),
    };
    assert.match(only(diagnose(facts([], { coverage }))).what, /^no job covers tank, tank\/b$/);
    assert.deepEqual(diagnose(facts([], { coverage, scope: ['tank/a'] })), []);
    const broken = { code: 'configuration.wrong', message: 'agent.toml: job 1 is wrong', advice: undefined };
    assert.equal(only(diagnose(facts([], { coverage: broken }))).code, 'configuration-wrong');
  });
});

describe('what is mended', () => {
  const points = [
    point('tank/a', TEMPORARY, 5, { references: 1 }),
    point('tank/a', OWN, 6),
    point('tank/a', OWN.replace('12', '11'), 4, { kind: 'bookmark' }),
    point('tank/a', TEMPORARY.replace('12', '11'), 3),
  ];

  it('is what is safe, and nothing else', async () => {
    const ran: string[] = [];
    const findings = diagnose(facts(points));
    const runs = async (command: readonly string[]) => void ran.push(command.join(' '));
    const mended = await mend(findings, new AbortController().signal, runs);
    assert.deepEqual(ran, [
      `zfs release zkeep tank/a@${TEMPORARY}`,
      `zfs destroy tank/a@${TEMPORARY}`,
      `zfs destroy tank/a@${TEMPORARY.replace('12', '11')}`,
    ]);
    assert.match(doctorInWords(findings, mended), /done: zfs destroy/);
  });

  it('ends at a command that fails, is told, and does not keep the others from being mended', async () => {
    const findings = diagnose(facts(points));
    const failing = async (command: readonly string[]) => {
      if (command[1] === 'release') throw new ZkeepError('denied', 'zfs.denied', 'permission denied');
      throw new ZkeepError('missing', 'zfs.no-dataset', 'it is gone');
    };
    const mended = [...(await mend(findings, new AbortController().signal, failing)).values()];
    assert.deepEqual(
      mended.map((all) => all.map(({ error }) => error)),
      [['permission denied'], [null]],
    );
  });

  it('does not take it for mended where there is no zfs any more', async () => {
    const failing = async () => {
      throw new ZkeepError('missing', 'zfs.not-installed', 'there is no command "zfs"');
    };
    const mended = await mend(diagnose(facts(points)), new AbortController().signal, failing);
    assert.ok([...mended.values()].every(([first]) => first?.error === 'there is no command "zfs"'));
  });
});
