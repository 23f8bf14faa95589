/** Drills on real pools: what passes, what does not, and what is left when one is ended. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Type } from 'typebox';
import { DrillSchema } from '../../../catalog/journal/entry.ts';
import { DrillRowSchema } from '../../../catalog/protocol/events.ts';
import { eventually, must, run, shell } from './parts/command.ts';
import { readDocument } from './parts/documents.ts';
import { errorOf, Lab } from './parts/lab.ts';
import { guidOf, makeFilesystem, property } from './parts/pool.ts';
import { change, fill } from './parts/tree.ts';

const Document = Type.Object({
  command: Type.Literal('drill'),
  drill: DrillSchema,
  earlier: Type.Array(Type.String()),
});
const List = Type.Object({ drills: Type.Array(DrillRowSchema) });
const Leftovers = Type.Object({
  leftovers: Type.Array(
    Type.Object({
      kind: Type.String(),
      name: Type.String(),
      clear: Type.Array(Type.Array(Type.String())),
    }),
  ),
});
const Doctor = Type.Object({
  findings: Type.Array(
    Type.Object({
      code: Type.String(),
      dataset: Type.Union([Type.String(), Type.Null()]),
      safe: Type.Boolean(),
    }),
  ),
});
const Checked = Type.Object({
  jobs: Type.Array(
    Type.Object({
      job: Type.String(),
      datasets: Type.Array(Type.String()),
      drill: Type.Union([Type.Object({ to: Type.String() }), Type.Null()]),
      problems: Type.Array(Type.String()),
    }),
  ),
});
const JobRun = Type.Object({ outcome: Type.String(), words: Type.String() });
const Preview = Type.Object({ commands: Type.Array(Type.Array(Type.String())), target: Type.String() });

const lab = await Lab.open();
after(() => lab.close());
before(async () => {
  await lab.pool('tank');
  await lab.pool('scratch');
  await must('zfs', 'create', '-o', 'canmount=off', 'scratch/drill');
  await makeFilesystem('tank/home', '-o', 'quota=300M', '-o', 'lab:team=storage');
  await fill(await property('tank/home', 'mountpoint'));
  await lab.backup('tank/home', '--snapshot', await taken('tank/home', 'one'));
  await change(await property('tank/home', 'mountpoint'), 1);
  await lab.backup('tank/home', '--snapshot', await taken('tank/home', 'two'));
});

async function taken(dataset: string, name: string): Promise<string> {
  await must('zfs', 'snapshot', `${dataset}@${name}`);
  return name;
}

const inScratch = async () =>
  (await must('zfs', 'list', '-Hro', 'name', 'scratch/drill')).split('\n').slice(1);

test('a dry run says what it would do, and does nothing', async () => {
  const { commands, target } = await lab.json(
    Preview,
    ...['drill', 'tank/home', '--to', 'scratch/drill', '--dry-run'],
  );
  const verbs = commands.map(([, verb]) => verb);
  assert.deepEqual([verbs[0], verbs.at(-2), verbs.at(-1)], ['create', 'send', 'destroy']);
  assert.match(target, /^scratch\/drill\/zkeep-drill-[0-9TZ]+-[0-9a-f]{8}\/data$/);
  assert.deepEqual(await inScratch(), []);
});

test('a snapshot that stands again as it was passes, the service has the evidence, and nothing is left', async () => {
  const { drill } = await lab.json(Document, 'drill', 'tank/home', '--to', 'scratch/drill');
  assert.deepEqual([drill.passed, drill.problems, drill.steps], [true, [], 2]);
  assert.equal(drill.guid, await guidOf('tank/home@two'));
  assert.ok(drill.objects > 0 && drill.properties > 0 && drill.restore_seconds > 0);
  assert.deepEqual(await inScratch(), []);
  const { drills } = await lab.json(List, 'drill', '--list', 'tank/home');
  assert.deepEqual(
    drills.map(({ guid, passed }) => [guid, passed]),
    [[drill.guid, true]],
  );
});

test('a volume passes, too, and chance finds something to try where nothing is named', async () => {
  await must('zfs', 'create', '-V', '8M', '-b', '16K', 'tank/volume');
  await eventually('the device', () => shell('test -e /dev/zvol/tank/volume && echo yes').catch(() => false));
  await shell('dd if=/dev/urandom of=/dev/zvol/tank/volume bs=1M count=4 conv=fsync');
  await lab.backup('tank/volume', '--snapshot', await taken('tank/volume', 'v'));
  const { drill } = await lab.json(Document, 'drill', 'tank/volume', '--random', '--to', 'scratch/drill');
  assert.deepEqual([drill.passed, drill.problems], [true, []]);
  assert.ok(drill.objects >= 4 * 64, `${drill.objects} blocks`);
  const byChance = await lab.json(Document, 'drill', '--to', 'scratch/drill');
  assert.deepEqual([byChance.drill.passed, byChance.drill.problems], [true, []]);
  assert.deepEqual(await inScratch(), []);
});

test('a drill that cannot begin is no evidence', async () => {
  const before = (await lab.json(List, 'drill', '--list')).drills.length;
  const nowhere = errorOf(await lab.zkeep(['drill', 'tank/home', '--to', 'scratch/none', '--json']));
  assert.equal(nowhere.kind, 'missing');
  const unknown = errorOf(await lab.zkeep(['drill', 'tank/none', '--to', 'scratch/drill', '--json']));
  assert.equal(unknown.kind, 'missing');
  assert.equal((await lab.json(List, 'drill', '--list')).drills.length, before);
  assert.deepEqual(await inScratch(), []);
});

test('a store that is away, or a scratch pool that is full, is no evidence, and leaves nothing', async () => {
  const before = (await lab.json(List, 'drill', '--list')).drills.length;
  const drill = ['drill', 'tank/home', '--to', 'scratch/drill', '--patience', '0', '--json'];
  const started = lab.start(drill);
  await eventually('the place', async () => (await inScratch())[0]);
  await lab.service.stop('SIGKILL');
  const away = await started.ended;
  await lab.service.start();
  assert.equal(errorOf(away).kind, 'unavailable', away.stdout.toString());
  assert.deepEqual(await inScratch(), []);
  // What the last one took is given back in the background.
  await eventually(
    'a small quota',
    async () => (await run(['zfs', 'set', 'quota=512K', 'scratch/drill'])).exit === 0,
  );
  const full = await lab.zkeep([...drill.slice(0, -3), '--json']);
  await must('zfs', 'set', 'quota=none', 'scratch/drill');
  assert.ok(['full', 'refused'].includes(errorOf(full).kind), full.stdout.toString());
  assert.deepEqual(await inScratch(), []);
  assert.equal((await lab.json(List, 'drill', '--list')).drills.length, before);
});

test('a drill that is ended in order clears up; of one that was killed the next one tells', async () => {
  const arguments_ = ['drill', 'tank/home', '--to', 'scratch/drill', '--json'];
  const there = () => eventually('the place', async () => (await inScratch())[0]);
  const ended = lab.start(arguments_);
  await there();
  ended.kill('SIGTERM');
  assert.equal((await ended.ended).exit, 130);
  assert.deepEqual(await inScratch(), []);

  const killed = lab.start(arguments_);
  const left = await there();
  killed.kill('SIGKILL');
  await killed.ended;
  const next = await lab.json(Document, ...arguments_.slice(0, -1));
  assert.deepEqual([next.drill.passed, next.earlier], [true, [left]]);
  assert.ok((await inScratch()).includes(left), 'it is not for a drill to clear it');
  const { leftovers } = await lab.json(Leftovers, 'leftovers', 'scratch');
  assert.deepEqual(
    leftovers.map(({ kind, name, clear }) => [kind, name, clear]),
    [['drill', left, [['zfs', 'destroy', '-r', left]]]],
  );
  const doctor = await lab.zkeep(['agent', 'doctor', 'scratch', '--json']);
  const { findings } = readDocument(Doctor, doctor.stdout.toString('utf8'));
  assert.deepEqual(
    findings.filter(({ code }) => code === 'left-drill').map(({ dataset, safe }) => [dataset, safe]),
    [[left, false]],
  );
});

test('a drill of the agent clears what was killed, brings the evidence, and is no dataset of any job', async () => {
  assert.equal((await inScratch()).filter((name) => !name.endsWith('/data')).length, 1);
  const config = join(lab.folder, 'agent.toml');
  const state = join(lab.folder, 'state');
  await writeFile(
    config,
    `state = "${state}"
[[job]]
name = "all"
datasets = ["scratch/**"]
schedule = "every day"
[[drill]]
name = "try"
datasets = ["tank/home"]
to = "scratch/drill"
point = "random"
schedule = "every day"
`,
  );
  const { jobs } = await lab.json(Checked, 'agent', 'check', '--config', config);
  assert.deepEqual(
    jobs.map(({ job, datasets, drill, problems }) => [job, datasets, drill?.to ?? null, problems]),
    [
      ['all', ['scratch', 'scratch/drill'], null, []],
      ['try', [], 'scratch/drill', []],
    ],
  );
  const before = (await lab.json(List, 'drill', '--list')).drills.length;
  const { outcome, words } = await lab.json(JobRun, 'agent', 'run', 'try', '--config', config);
  assert.equal(outcome, 'done', words);
  assert.match(words, /^tank\/home@(one|two) passed: /);
  assert.deepEqual(await inScratch(), []);
  const { drills } = await lab.json(List, 'drill', '--list');
  assert.deepEqual([drills.length, drills[0]?.passed], [before + 1, true]);
});

test('a drill that keeps what it restored is not cleared by another one', async () => {
  await lab.json(Document, 'drill', 'tank/volume', '--to', 'scratch/drill', '--keep');
  const [kept = ''] = await inScratch();
  assert.equal(await property(`${kept}/data`, 'volmode'), 'none');
  await shell(`test ! -e /dev/zvol/${kept}/data`);
  const config = join(lab.folder, 'agent.toml');
  await lab.json(JobRun, 'agent', 'run', 'try', '--config', config);
  assert.deepEqual(await inScratch(), [kept, `${kept}/data`]);
  await must('zfs', 'destroy', '-r', kept);
});

test('where bytes of the repository are spoilt the drill does not pass, and that is evidence', async () => {
  await shell(`find ${lab.service.repository} -type f -size +64k | sort | while IFS= read -r file; do
    printf spoilt | dd of="$file" bs=1 seek=40000 conv=notrunc status=none; done`);
  const ended = await lab.zkeep(['drill', 'tank/home', '--to', 'scratch/drill', '--json']);
  const printed = ended.stdout.toString('utf8');
  const { drill } = readDocument(Document, printed);
  assert.deepEqual([ended.exit, drill.passed], [1, false], printed);
  assert.ok(drill.problems.length > 0);
  assert.deepEqual(await inScratch(), []);
  const { drills } = await lab.json(List, 'drill', '--list');
  assert.equal(drills[0]?.passed, false);
});
