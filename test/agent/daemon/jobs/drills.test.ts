/** A drill of the agent on a host whose ZFS is a script, where it cannot be done. */
import assert from 'node:assert/strict';
import { after, beforeEach, test } from 'node:test';
import { Progress } from '../../../../agent/output/progress.ts';
import { Ledgers } from '../../../../agent/restore/resume/ledger.ts';
import { systemClock } from '../../../../catalog/clock.ts';
import { Patience } from '../../../../catalog/patience.ts';
import { StandIns } from '../../stand-ins.ts';

const host = new StandIns();
after(() => host.end());
process.env['PATH'] = host.path;
// Only now: where commands are looked for is read once.
const { parseAgentConfiguration } = await import('../../../../agent/daemon/configuration.ts');
const { runDrill } = await import('../../../../agent/daemon/jobs/drills/run.ts');
const { ServiceView } = await import('../../../../agent/view/service-view.ts');
const { markNow, markText } = await import('../../../../agent/drill/mark.ts');

const [job] = parseAgentConfiguration(
  '[[drill]]\nname = "try"\ndatasets = ["**"]\nto = "scratch"\nschedule = "every day"',
  'agent.toml',
).jobs;
const LIST = ['list', '-Hp', '-t'];
const POINTS = 'name,guid,createtxg,creation,userrefs';
const place = (hex: string) => `scratch/zkeep-drill-20261120T215000Z-${hex}`;

beforeEach(() => {
  host.forgetCalls();
  const datasets = 'name,type,encryption,receive_resume_token,guid';
  host.answer('zfs', [...LIST, 'filesystem,volume', '-o', datasets, 'scratch'], {
    out: 'scratch\tfilesystem\toff\t-\t7\n',
  });
  host.answer('zfs', [...LIST, 'snapshot,bookmark', '-o', POINTS, '-d', '1', 'scratch'], {});
});

/** Runs it with a service that nobody can reach. */
async function run() {
  assert.ok(job?.kind === 'drill');
  const { signal } = new AbortController();
  const access = { url: 'http://127.0.0.1:9', token: 'x', patience: new Patience({ limit: 0 }) };
  const view = new ServiceView(access, signal);
  const progress = new Progress({ write: () => undefined }, systemClock, true);
  try {
    return await runDrill(job, { access, view, progress, ledgers: new Ledgers(host.folder), signal });
  } finally {
    await view.close();
  }
}

test('a drill whose scratch place is gone has failed', async () => {
  const datasets = 'name,type,encryption,receive_resume_token,guid';
  const gone = { exit: 1, err: "cannot open 'scratch': dataset does not exist\n" };
  host.answer('zfs', [...LIST, 'filesystem,volume', '-o', datasets, 'scratch'], gone);
  const { outcome, words } = await run();
  assert.equal(outcome, 'failed');
  assert.match(words, /does not exist/);
});

test('a drill first clears what was killed, and not what runs, is to stay or is not a drill', async () => {
  const now = Date.parse('2026-11-20T21:50:00Z');
  const mine = markNow(now, false);
  const marks = {
    [place('00000001')]: markText({ ...mine, boot: '0-0' }),
    [place('00000002')]: markText({ ...mine, process: process.ppid }),
    [place('00000003')]: markText({ ...mine, boot: '0-0', kept: true }),
    [place('00000004')]: 'by hand',
    'scratch/other': markText({ ...mine, boot: '0-0' }),
    [place('00000005')]: markText(mine),
  };
  const printed = Object.entries(marks).map(([name, mark]) => `${name}\t${mark}\n`);
  const asking = 'get -Hp -t filesystem -s local -o name,value zkeep:drill -r scratch'.split(' ');
  host.answer('zfs', asking, { out: printed.join('') });
  for (const [name, mark] of Object.entries(marks)) {
    host.answer('zfs', ['get', '-Hp', '-s', 'local', '-o', 'value', 'zkeep:drill', name], {
      out: `${mark}\n`,
    });
    host.answer('zfs', ['destroy', '-r', name], {});
  }
  const { outcome } = await run();
  assert.equal(outcome, 'failed', 'the service is away');
  assert.deepEqual(
    host.calls.filter((call) => call.startsWith('zfs destroy')),
    [place('00000001'), place('00000005')].map((name) => `zfs destroy -r ${name}`),
  );
});
