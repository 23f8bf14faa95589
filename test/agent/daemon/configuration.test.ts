import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { describe, it } from 'node:test';
import { loadAgentConfiguration, parseAgentConfiguration } from '../../../agent/daemon/configuration.ts';

const FILE = '/etc/zkeep/agent.toml';
const parse = (text: string) => parseAgentConfiguration(text, FILE);
const job = (lines: string) => `[[job]]\nname = "one"\nschedule = "every hour"\n${lines}`;
const COVERED = 'datasets = ["tank/**"]\n';

/** Text, and what its error must say. */
const drill = (lines: string) =>
  `[[drill]]\nname = "try"\ndatasets = ["tank/**"]\nschedule = "every day"\n${lines}\n`;
const WRONG: readonly [string, RegExp][] = [
  ['service = 1', /service must be a text in quotes/],
  ['service = "localhost"', /service is wrong: .*address/],
  ['patience = "long"', /patience is wrong/],
  ['concurrency = 0', /concurrency must be >= 1/],
  ['zone = "Mars/Base"', /zone is no time zone/],
  ['jobs = []', /jobs is not a key that zkeep knows/],
  ['[[job]]\nschedule = "every hour"\ndatasets = ["a"]', /job 1\.name is missing/],
  ['[[job]]\nname = "one"\ndatasets = ["a"]', /job "one"\.schedule is missing/],
  [job(''), /job "one"\.datasets is missing/],
  [job(`${COVERED}colour = "red"`), /job "one"\.colour is not a key/],
  [job(`${COVERED}schedule = "x"`), /agent\.toml:\d+:\d+/],
  [job('datasets = []'), /job "one"\.datasets/],
  [job('datasets = ["!tank/a"]'), /datasets only excludes/],
  [job('datasets = ["tank/a@b"]'), /datasets is wrong: .*snapshot/],
  [job('datasets = ["tank/*"]\nrecursive = true'), /recursive goes with plain names/],
  [job(`${COVERED}exclude = ["!a"]`), /exclude "!a" needs no "!"/],
  [job(`${COVERED}spread = "5 minutes"`), /spread is wrong/],
  [job(`${COVERED}zone = "x"`), /zone is no time zone/],
  [job(`${COVERED}refresh = true\nkeep_on_source = 2`), /keep_on_source does not go with "refresh"/],
  [job(`${COVERED}refresh = true\nsnapshot = "use-newest:a*"`), /refresh does not go with "snapshot"/],
  [job(`${COVERED}snapshot = "daily"`), /snapshot is written as "use-newest:autosnap_\*"/],
  [job(`${COVERED}snapshot = "use-newest:a/b"`), /snapshot is wrong/],
  [
    job(`${COVERED}snapshot = "use-newest:a*"\n[job.hooks]\nbefore = ["x"]`),
    /hooks\.before is for snapshots/,
  ],
  [job(`${COVERED}join = true`), /join is for jobs with "lustre"/],
  [job('lustre = "lustrefs"\nrefresh = true'), /refresh does not go with "lustre"/],
  [job('lustre = "a b"'), /lustre is no file system's name|lustre is wrong/],
  [job('lustre = "fs"\njoin = true\nbarrier_timeout = "30s"'), /lustre is wrong: .*barrier/],
  [job(`${COVERED}[job.hooks]\nbefore = "sync"`), /hooks\.before must be a list/],
  [job(`${COVERED}[job.hooks]\ntimeout = "25h"`), /hooks\.timeout is longer than 24 h/],
  [`${job(COVERED)}\n${job(COVERED)}`, /job 2\.name "one" is that of job 1, too/],
  [drill(''), /drill "try"\.to is missing/],
  [drill('to = "scratch@a"'), /drill "try"\.to is wrong: .*snapshot/],
  [drill('to = "scratch"\nkeep_on_source = 1'), /drill "try"\.keep_on_source is not a key/],
  [drill('to = "scratch"\npoint = "oldest"'), /drill "try"\.point/],
  [drill('to = "scratch"').replace('tank/**', '!tank'), /drill "try"\.datasets only excludes/],
  [`${job(COVERED)}${drill('to = "scratch"').replace('try', 'one')}`, /drill 1\.name "one" is that of job 1/],
  ['[bandwidth]\nlimits = [{ limit = "fast" }]', /bandwidth limit 1\.limit is written as/],
  [
    '[bandwidth]\nlimits = [{ limit = "1 MiB/s", hours = "8-18" }]',
    /bandwidth limit 1\.hours are written as/,
  ],
  ['[bandwidth]\nlimits = [{ limit = "1 MiB/s", hours = "08:00-24:30" }]', /hours are written as/],
  ['[bandwidth]\nlimits = [{ limit = "1 MiB/s", days = "mo-fr" }]', /days are written as/],
  ['[bandwidth]\nlimits = []\nzone = "x"', /bandwidth\.zone is no time zone/],
];

describe("the agent's configuration", () => {
  for (const [text, says] of WRONG) {
    it(`is refused with the file and the key: ${text.replaceAll('\n', ' | ').slice(0, 90)}`, () => {
      assert.throws(
        () => parse(text),
        (thrown: Error & { kind?: string }) => {
          assert.match(thrown.message, says);
          assert.match(thrown.message, /^\/etc\/zkeep\/agent\.toml/);
          return thrown.kind === 'usage';
        },
      );
    });
  }

  it('that is not there is missing, and says how one is made', () => {
    assert.throws(() => loadAgentConfiguration('/nowhere/agent.toml'), {
      kind: 'missing',
      code: 'configuration.unreadable',
    });
  });

  it('has a default for everything but what is to be done', () => {
    const { jobs, bandwidth, ...rest } = parse('');
    assert.deepEqual(jobs, []);
    assert.deepEqual(bandwidth, { zone: 'UTC', windows: [] });
    assert.deepEqual(rest, {
      file: FILE,
      service: undefined,
      tokenFile: undefined,
      state: undefined,
      patience: undefined,
      concurrency: 1,
    });
  });

  it('takes relative paths from its own folder', () => {
    const { tokenFile, state, service, patience } = parse(
      'token_file = "token"\nstate = "/s"\nservice = "https://z/"\npatience = "1h"',
    );
    assert.deepEqual(
      [tokenFile, state, service, patience],
      ['/etc/zkeep/token', '/s', 'https://z', 3_600_000],
    );
  });
});

describe('a job', () => {
  const only = (lines: string) => {
    const [first] = parse(job(lines)).jobs;
    assert.ok(first?.kind === 'backup');
    return first;
  };

  it('covers names with all below them, patterns, and not what is excluded', () => {
    const { covered } = only('datasets = ["tank", "ssd/a"]\nrecursive = true\nexclude = ["tank/tmp/**"]');
    assert.deepEqual(covered, {
      kind: 'datasets',
      patterns: ['tank/**', 'ssd/a/**', '!tank/tmp/**'],
      named: ['tank', 'ssd/a'],
      only: undefined,
    });
    const patterns = only('datasets = ["tank/**", "!tank/x", "ssd"]\nkind = "volume"').covered;
    assert.deepEqual(patterns, {
      kind: 'datasets',
      patterns: ['tank/**', '!tank/x', 'ssd'],
      named: ['ssd'],
      only: 'volume',
    });
  });

  it('of a Lustre file system is asked as the command is', () => {
    const { covered } = only('lustre = "lustrefs"\nbarrier_timeout = "45s"\nwait = "5m"');
    assert.deepEqual(covered, {
      kind: 'lustre',
      asked: { fsname: 'lustrefs', barrier: 45, join: false, wait: 300, dryRun: false },
    });
  });

  it('is spread over a tenth of its period, at most ten minutes, unless it says otherwise', () => {
    const spreadOf = (schedule: string, more = '') =>
      parse(`[[job]]\nname = "x"\n${COVERED}schedule = "${schedule}"\n${more}`).jobs[0]?.spread;
    assert.equal(spreadOf('every 15 minutes'), 90_000);
    assert.equal(spreadOf('30 2 * * *'), 600_000);
    assert.equal(spreadOf('every day', 'spread = "0"'), 0);
  });

  it('starts at another moment on another host or under another name, each time the same', () => {
    const text = `${job(COVERED)}[[job]]\nname = "two"\nschedule = "every hour"\n${COVERED}`;
    const [one, two] = parse(text).jobs;
    const [again] = parse(text).jobs;
    assert.notEqual(one?.schedule.next(0), two?.schedule.next(0));
    assert.equal(one?.schedule.next(0), again?.schedule.next(0));
    assert.ok(hostname().length > 0);
  });

  it('says which snapshots it stores, and what runs around them', () => {
    assert.deepEqual(only(`${COVERED}keep_on_source = 3`).snapshot, { kind: 'take', keepOnSource: 3 });
    assert.deepEqual(only(`${COVERED}refresh = true`).snapshot, { kind: 'refresh' });
    assert.deepEqual(only(`${COVERED}snapshot = "use-newest:autosnap_*_daily"`).snapshot, {
      kind: 'newest',
      pattern: 'autosnap_*_daily',
    });
    const { hooks } = only(`${COVERED}[job.hooks]\nbefore = ["/bin/sync", "-f"]\ntimeout = "30s"`);
    assert.deepEqual(hooks, {
      before: ['/bin/sync', '-f'],
      after: undefined,
      ended: undefined,
      timeout: 30_000,
    });
  });
});

describe('a drill', () => {
  it('is of all hosts and of the newest snapshot, unless it says otherwise', () => {
    const [usual] = parse(drill('to = "scratch/drill"')).jobs;
    assert.ok(usual?.kind === 'drill');
    const { datasets, hosts, to, point, identity } = usual;
    assert.deepEqual(
      { datasets, hosts, to, point, identity },
      { datasets: ['tank/**'], hosts: ['**'], to: 'scratch/drill', point: 'newest', identity: undefined },
    );
    const [other] = parse(
      drill('to = "scratch"\nhosts = ["mds*"]\npoint = "random"\nidentity = "/etc/zkeep/key"\nspread = "0"'),
    ).jobs;
    assert.ok(other?.kind === 'drill');
    assert.deepEqual(
      [other.hosts, other.point, other.identity, other.spread],
      [['mds*'], 'random', '/etc/zkeep/key', 0],
    );
  });
});
