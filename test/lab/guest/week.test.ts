/**
 * A week of a schedule on a clock that is set forward: the real daemon and the real service on real pools, with all
 * that happens to datasets in a week. At its end there is what the policy keeps, and all of it comes back.
 */
import assert from 'node:assert/strict';
import { appendFile, readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Policy } from '../../../catalog/chain/retention/policy.ts';
import { JobsAnswerSchema } from '../../../catalog/protocol/events.ts';
import { BackupsAnswerSchema, OpenBackupsAnswerSchema } from '../../../catalog/protocol/pages.ts';
import { RestorePlanSchema } from '../../../catalog/protocol/protocol.ts';
import { checker } from '../../../catalog/schema.ts';
import { type Guid, guidOfDecimal } from '../../../catalog/words.ts';
import { wantedOf } from '../../server/history/wanted.ts';
import { Agent, type Told } from './parts/agent.ts';
import { eventually, must } from './parts/command.ts';
import { SetRestoreDocument } from './parts/documents.ts';
import { GuestClock } from './parts/guest-clock.ts';
import { type Contents, Known } from './parts/known.ts';
import { assertClean, Lab } from './parts/lab.ts';
import { bookmarksOf, guidOf, holdsOf, snapshotsOf } from './parts/pool.ts';

const HOUR = 3_600_000;
const FIRST = Date.UTC(2027, 9, 25, 4, 30);
/** Every six hours of a week, and twice more in the hour that the clocks of Berlin show twice. */
const MOMENTS = [
  ...Array.from({ length: 29 }, (_, number) => FIRST + number * 6 * HOUR),
  Date.UTC(2027, 9, 31, 0, 10),
  Date.UTC(2027, 9, 31, 1, 10),
].toSorted();
const POLICY: Policy = {
  name: 'week',
  datasets: [],
  hosts: [],
  lineages: [],
  keep: { hourly: 9, daily: 4, weekly: 2 },
  zone: 'Europe/Berlin',
};
/** When the daemon is killed. */
const KILLED = Date.UTC(2027, 9, 31, 10, 30);
const JOBS = ['files', 'fresh', 'theirs'];

/** A snapshot, as ZFS itself told of it when it was taken. */
interface Point {
  readonly known: Known;
  readonly guid: Guid;
  /** Where it was taken, and the part after `@`. */
  readonly dataset: string;
  readonly name: string;
  /** Seconds since 1970. */
  readonly created: number;
  readonly contents: Contents;
}

const parse = {
  jobs: checker(JobsAnswerSchema, 'the jobs'),
  open: checker(OpenBackupsAnswerSchema, 'the open backups'),
  backups: checker(BackupsAnswerSchema, 'the backups'),
  plan: checker(RestorePlanSchema, 'the plan'),
};

const clock = new GuestClock();
clock.forward(FIRST - HOUR);
const lab = await Lab.open({ tables: '[prune]\ngrace = "6h"\n' });
const { service } = lab;
const agent = new Agent(lab);
after(async () => {
  await agent.stop();
  await lab.close();
});

const files = new Known(lab.folder, 'tank/files');
const child = new Known(lab.folder, 'tank/files/a');
const volume = new Known(lab.folder, 'tank/volume', 'volume');
const mail = new Known(lab.folder, 'tank/mail');
const theirs = new Known(lab.folder, 'tank/theirs');
const ALL = [files, child, volume, mail, theirs];
const points = new Map<Guid, Point>();
/** Of all that ever was in the repository. */
const stored = new Set<Guid>();
/** What ZFS said in the hook after the snapshots were taken: name, GUID, creation. */
const taken = join(lab.folder, 'taken');
let operator = '';

before(async () => {
  await lab.pool('tank');
  for (const known of ALL) await known.make();
  operator = await service.addToken('operator', 'operator');
  const { hourly, daily, weekly } = POLICY.keep;
  const keep = [
    '--datasets',
    '**',
    '--keep-hourly',
    hourly,
    '--keep-daily',
    daily,
    '--keep-weekly',
    weekly,
  ].map(String);
  await asOperator(
    ...['policy', 'set', POLICY.name, ...keep, '--zone', POLICY.zone],
    // What others take is six hours old when it is stored, and the week ends with more than six hours of waiting.
    ...['--objective', '20h', '--chain-steps', '8'],
  );
  const told = `zfs list -Hpo name,guid,creation -t snapshot >>'${taken}'`;
  await writeFile(join(lab.folder, 'note'), `sed "s/$/@$ZKEEP_SNAPSHOT/" | xargs ${told}\n`);
  await writeFile(taken, '');
  await agent.configure(jobsOn('tank'));
  await agent.start();
});

/** The jobs of a configuration. @param limit of what is sent. */
function jobsOn(pool: string, limit = 'none', schedule = 'every hour'): string {
  const job = (name: string, datasets: string, more: string) =>
    `[[job]]\nname = "${name}"\ndatasets = ${datasets}\nschedule = "${schedule}"\nspread = "0"\n${more}\n`;
  const hook = `[job.hooks]\nafter = ["/bin/sh", "${join(lab.folder, 'note')}"]`;
  return [
    `concurrency = 2\n[bandwidth]\nlimits = [{ limit = "${limit}" }]`,
    job('files', `["${pool}/files/**"]`, `keep_on_source = 3\n${hook}`),
    job('fresh', `["${pool}/volume*", "${pool}/mail*"]`, `refresh = true\n${hook}`),
    job('theirs', `["${pool}/theirs"]`, 'snapshot = "use-newest:auto-*"'),
  ].join('\n');
}

async function asOperator(...args: string[]): Promise<void> {
  const { exit, stdout, stderr } = await lab.zkeep(args, { env: { ZKEEP_TOKEN: operator } });
  assert.equal(exit, 0, `zkeep ${args.join(' ')}: ${stdout} ${stderr}`);
}

/** No job of the service is cut off by the clock. */
async function idle(): Promise<void> {
  await eventually('the jobs of the service', async () => {
    const { jobs } = parse.jobs(await service.ask('/v1/jobs'));
    if (jobs.every(({ running }) => !running)) return true;
    await sleep(250);
    return false;
  });
}

/** What happens before a moment; with `during`, while its runs go on; with `reason`, why something is stored in full then. */
interface Event {
  readonly before?: () => Promise<void>;
  readonly during?: () => Promise<void>;
  readonly reason?: RegExp;
}

/**
 * The pool changes at the first moment of a day of Berlin, and no chain is renewed on that day: so the snapshots of
 * before and after are counted together as long as any of the older ones is kept.
 */
const EVENTS: Readonly<Record<string, Event>> = {
  '2027-10-25T22:30': { before: async () => await rename(child, 'tank/files/b') },
  '2027-10-26T04:30': { before: async () => await destroyOld(files) },
  '2027-10-26T10:30': { before: async () => await destroy(files, await snapshotsOf(files.dataset)) },
  '2027-10-27T10:30': { before: slowly, during: restartService },
  '2027-10-27T16:30': { before: rollBack },
  '2027-10-27T22:30': { before: async () => await rename(volume, 'tank/volume-2') },
  '2027-10-28T04:30': { before: async () => await destroy(theirs, await snapshotsOf(theirs.dataset)) },
  '2027-10-28T22:30': {
    // Nothing links the old name and the new one but the dataset itself.
    before: async () => {
      await forget(mail);
      await rename(mail, 'tank/mail-2');
    },
    reason: /tank\/mail-2 in full, because tank\/mail-2 has no snapshot or bookmark older/,
  },
  '2027-10-29T22:30': { before: losePool },
  '2027-10-31T10:30': { before: slowly, during: killAgent },
  '2027-10-31T16:30': {
    before: async () => {
      await destroy(theirs, await snapshotsOf(theirs.dataset));
      await forget(theirs);
    },
    reason: /new\/theirs in full, because new\/theirs has no snapshot or bookmark older/,
  },
};

async function rename(known: Known, name: string): Promise<void> {
  await must('zfs', 'rename', known.dataset, name);
  known.dataset = name;
}

async function destroy({ dataset }: Known, names: readonly string[]): Promise<void> {
  assert.ok(names.length > 0, `${dataset} has snapshots`);
  await must('zfs', 'destroy', `${dataset}@${names.join(',')}`);
}

async function destroyOld(known: Known): Promise<void> {
  await destroy(known, (await snapshotsOf(known.dataset)).slice(0, -1));
}

async function forget({ dataset }: Known): Promise<void> {
  for (const name of await bookmarksOf(dataset)) await must('zfs', 'destroy', `${dataset}#${name}`);
}

/** Back behind the newest snapshot, which is gone with its bookmark. */
async function rollBack(): Promise<void> {
  const [name = ''] = (await snapshotsOf(files.dataset)).slice(-2);
  await must('zfs', 'rollback', '-r', `${files.dataset}@${name}`);
  files.contents = points.get(await guidOf(`${files.dataset}@${name}`))?.contents ?? assert.fail(name);
}

/** So that there is time for something while it is sent. */
async function slowly(): Promise<void> {
  await agent.configure(jobsOn(dirname(files.dataset), '512 KiB/s'));
  await files.write('large', 48);
}

async function isSent(): Promise<void> {
  await eventually('that it is sent', async () => {
    const { open } = parse.open(await service.ask('/v1/backups/open'));
    if (open.some(({ source }) => source.dataset === files.dataset)) return true;
    await sleep(250);
    return false;
  });
}

async function restartService(): Promise<void> {
  await isSent();
  await service.stop('SIGKILL');
  await service.start();
}

async function killAgent(): Promise<void> {
  await isSent();
  await agent.stop('SIGKILL');
  await agent.start();
}

/** The pool is gone; all of it is restored on another one, where the same daemon goes on. */
async function losePool(): Promise<void> {
  const newest = ALL.map((known) => newestOf(known));
  await must('zpool', 'destroy', '-f', 'tank');
  await lab.pool('new');
  for (const known of [files, mail]) {
    const { guid } = newestOf(known);
    const { backups } = parse.backups(await service.ask(`/v1/backups?to=${guid}`));
    await lab.json(SetRestoreDocument, 'restore', '--set', String(backups[0]?.set), '--to', 'new');
  }
  await lab.restore(theirs.dataset, '--to', 'new/theirs');
  for (const [number, known] of ALL.entries()) {
    known.dataset = known.dataset.replace(/^tank\//, 'new/');
    const { guid, name } = newest[number] ?? assert.fail();
    assert.equal(await guidOf(`${known.dataset}@${name}`), guid);
    if (known.kind === 'volume') continue;
    await must('zfs', 'set', 'canmount=on', known.dataset);
    await must('zfs', 'mount', known.dataset);
  }
  await agent.configure(jobsOn('new'));
}

function newestOf(known: Known): Point {
  const own = [...points.values()].filter((point) => point.known === known && stored.has(point.guid));
  return own.reduce((one, other) => (other.created >= one.created ? other : one));
}

async function change(number: number): Promise<void> {
  for (const known of ALL) {
    await known.write(String(number % 7));
    if (number % 5 === 4 && known.kind === 'filesystem') await known.remove(String((number + 2) % 7));
  }
}

/** Lines of `zfs list`: of what was taken since the last look there is now what the test has written. */
async function noteTaken(): Promise<void> {
  for (const line of (await readFile(taken, 'utf8')).split('\n').filter((one) => one !== '')) {
    const [full = '', decimal = '', created] = line.split('\t');
    const guid = guidOfDecimal(decimal);
    if (points.has(guid)) continue;
    const [dataset = '', name = ''] = full.split('@');
    const known = ALL.find((one) => one.dataset === dataset) ?? assert.fail(full);
    points.set(guid, { known, guid, dataset, name, created: Number(created), contents: known.contents });
  }
  for (const guid of await readdir(join(service.repository, 'backups'))) stored.add(guid as Guid);
}

/** One moment of the schedule, with what happens before it and in it. */
async function pass(moment: number, number: number): Promise<Told[]> {
  await idle();
  const time = new Date(moment).toISOString().slice(0, 16);
  const { before: prepare, during, reason } = EVENTS[time] ?? {};
  await prepare?.();
  await change(number);
  const auto = `${theirs.dataset}@auto-${number}`;
  await must('zfs', 'snapshot', auto);
  await appendFile(taken, `${await must('zfs', 'list', '-Hpo', 'name,guid,creation', auto)}\n`);
  const [mark, before] = [await agent.mark(), stored.size];
  clock.forward(moment);
  await during?.();
  const told = await agent.hasRun(JOBS, mark);
  const ends = told.filter(({ outcome }) => outcome !== undefined && outcome !== 'interrupted');
  assert.ok(
    ends.every(({ outcome }) => outcome === 'done'),
    `${time}: ${JSON.stringify(told)}`,
  );
  if (reason)
    assert.ok(
      ends.some(({ msg }) => reason.test(msg)),
      `${time}: ${JSON.stringify(ends)}`,
    );
  await noteTaken();
  if (during) {
    await agent.configure(jobsOn(dirname(files.dataset)));
    await files.remove('large');
  }
  assert.ok(stored.size >= before + ALL.length, `${time}: ${stored.size - before} snapshots came`);
  if (number % 8 === 7) await asOperator('jobs', '--run', 'prune');
  return told;
}

test('a week goes by, and every run of it is well in the end', async (t) => {
  const began = performance.now();
  for (const [number, moment] of MOMENTS.entries()) {
    const at = performance.now();
    await pass(moment, number);
    const seconds = (performance.now() - at) / 1000;
    t.diagnostic(`${new Date(moment).toISOString()} took ${seconds.toFixed(1)} s`);
  }
  for (const { guid, dataset, name, created } of points.values()) {
    if (stored.has(guid)) continue;
    // The daemon was killed before it had begun to store it: the next run captures the present state anew.
    const isDropped = name.startsWith('zkeep-refresh-') && created * 1000 - KILLED < HOUR;
    assert.ok(isDropped && created * 1000 >= KILLED, `${dataset}@${name} was taken, and never stored`);
    assert.ok(!(await snapshotsOf(dataset)).includes(name), `${dataset}@${name} is left on the source`);
  }
  t.diagnostic(`${stored.size} snapshots in ${((performance.now() - began) / 1000).toFixed(0)} s`);
});

/** What is listed now, as it lies in the bucket. */
async function listed(): Promise<Guid[]> {
  const keys = await service.keys('backups/');
  return [...new Set(keys.map((key) => basename(dirname(key)) as Guid))].toSorted();
}

async function planTo(guid: Guid) {
  return parse.plan(await service.ask('/v1/plans', { wanted: { guids: [guid] }, have: [], rollback: false }));
}

/** Of each dataset, GUIDs of what the policy keeps of all that was ever stored. */
function wanted(): Map<Known, Set<string>> {
  const rows = [...points.values()].filter(({ guid }) => stored.has(guid));
  return new Map(
    ALL.map((known) => [
      known,
      wantedOf(
        rows.filter((point) => point.known === known),
        [POLICY],
        Date.now(),
      ),
    ]),
  );
}

test('what is listed in the end is what the policy keeps, and what the chains to that need', async (t) => {
  // Nothing more is due; what is marked now is removed when the grace is over.
  await agent.configure(jobsOn('new', 'none', 'every week'));
  await asOperator('jobs', '--run', 'prune');
  await idle();
  clock.forward(Date.now() + 6.5 * HOUR);
  await asOperator('jobs', '--run', 'prune');
  await idle();
  const kept = [...wanted().values()].flatMap((guids) => [...guids] as Guid[]);
  const needed = new Set<Guid>();
  for (const guid of kept) for (const { to } of (await planTo(guid)).steps) needed.add(to);
  const nameOf = (guid: Guid) => {
    const { known, name, created } = points.get(guid) ?? assert.fail(guid);
    return `${ALL.indexOf(known)} ${new Date(created * 1000).toISOString()} ${name}`;
  };
  const found = await listed();
  assert.deepEqual(found.map(nameOf).toSorted(), [...needed].map(nameOf).toSorted());
  t.diagnostic(
    `of ${stored.size} snapshots ${kept.length} are kept, and ${found.length - kept.length} needed`,
  );
});

test('a plan leads to each of them from nothing', async () => {
  for (const guid of await listed()) {
    let at: Guid | null = null;
    for (const { from, to, backup } of (await planTo(guid)).steps) {
      assert.equal(from, at);
      assert.equal((await service.manifest(backup)).to.guid, to);
      at = to;
    }
    assert.equal(at, guid);
  }
});

test('what is received holds what was written at the time', async (t) => {
  await lab.pool('fresh');
  const compared = new Set<Guid>();
  for (const [number, [known, guids]] of [...wanted()].entries()) {
    const own = [...points.values()].filter(({ guid }) => guids.has(guid));
    const [oldest, newest] = [own[0] ?? assert.fail(), own.at(-1) ?? assert.fail()];
    const meant = known === files || known === volume ? [newest, oldest] : [newest];
    for (const { dataset, guid, name } of meant) {
      const target = `fresh/${number}-${name}`;
      const { received } = await lab.restore(dataset, '--guid', guid, '--to', target);
      for (const step of received) {
        const point = points.get(step.guid) ?? assert.fail(step.guid);
        const snapshot = `${target}@${point.name}`;
        assert.equal(await guidOf(snapshot), point.guid);
        await known.assertHolds(snapshot, point.contents);
        if (guids.has(point.guid)) compared.add(point.guid);
      }
    }
  }
  assert.ok(compared.size >= 12, `${compared.size} kept snapshots were compared`);
  t.diagnostic(`${compared.size} kept snapshots were received and compared`);
});

test('all is proven, all is well, and nothing is held on the source', async () => {
  await assertClean(lab);
  const status = await lab.zkeep(['status']);
  assert.equal(status.exit, 0, status.stdout.toString());
  for (const { dataset, kind } of ALL)
    if (kind === 'filesystem') assert.deepEqual(await holdsOf(dataset), []);
  await agent.stop();
});
