/** Prune on a real service: two phases, nothing that is in use, and a good end whenever it is cut off. */
import assert from 'node:assert/strict';
import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { Keep } from '../../../catalog/chain/retention/policy.ts';
import { CatalogIndex } from '../../../catalog/index/catalog-index.ts';
import type { Fact } from '../../../catalog/journal/entry.ts';
import { type JobState, JobsAnswerSchema } from '../../../catalog/protocol/events.ts';
import { type PrunePlan, PrunePlanSchema, RemovedAnswerSchema } from '../../../catalog/protocol/keeping.ts';
import { SnapshotsAnswerSchema } from '../../../catalog/protocol/pages.ts';
import { KnownAnswerSchema, RestorePlanSchema } from '../../../catalog/protocol/protocol.ts';
import { digestOf } from '../../../catalog/repository/store/body.ts';
import { type Guid, guidOf, newUuid7, parseBackupId } from '../../../catalog/words.ts';
import { gone } from '../fixture/faulty-store.ts';
import { TestService } from '../fixture/running-service.ts';
import { openRequest, someBackup } from '../fixture/samples.ts';

const HOUR = 3_600_000;
const DATASET = 'pool/mdt0';

let service: TestService;
async function started(): Promise<TestService> {
  return await new TestService({ settings: '[prune]\ngrace = "24h"\n[sweep]\ngrace = "24h"' }).start();
}
const operator = () => ({ token: service.token('operator') });

async function policy(keep: Keep): Promise<void> {
  const said = { name: 'usual', datasets: ['**'], hosts: [], lineages: [], keep, zone: 'UTC' };
  await service.running.journal.record('op', { kind: 'policy.set', policy: said });
}

/** Two chains: 1 to 4, and 5 to 6, which is all that is wanted when the last one is kept. */
async function twoChains(): Promise<void> {
  await service.backUp(openRequest({ to: 1n }), 1);
  for (const to of [2n, 3n, 4n]) await service.backUp(openRequest({ to, from: to - 1n }), 1);
  await service.backUp(openRequest({ to: 5n }), 1);
  await service.backUp(openRequest({ to: 6n, from: 5n }), 1);
}

async function plan(body: object = {}): Promise<PrunePlan> {
  return await service.ask(PrunePlanSchema, 'POST', '/v1/prune/plan', { body });
}
async function act(body: object = {}) {
  const { digest } = await plan(body);
  return await service.ask(RemovedAnswerSchema, 'POST', '/v1/prune', {
    ...operator(),
    body: { ...body, digest },
  });
}
const fates = ({ rows }: PrunePlan) => rows.map(({ name, fate }) => `${name} ${fate}`);

/** The snapshots that are listed, each of which can be restored. */
async function restorable(): Promise<string[]> {
  const { snapshots } = await service.ask(SnapshotsAnswerSchema, 'GET', `/v1/snapshots?dataset=${DATASET}`);
  for (const { guid } of snapshots) await planned(guid);
  return snapshots.map(({ name }) => name).sort();
}
async function planned(guid: Guid) {
  const body = { wanted: { guids: [guid] }, have: [], rollback: false };
  return await service.ask(RestorePlanSchema, 'POST', '/v1/plans', { body });
}
/** Writes the note on a backup that another service has open. */
async function putNote(backup: string, text: string): Promise<void> {
  const { store } = await service.repository();
  const body = Buffer.from(text);
  await store.put(`uploads/${backup}/${backup}.json`, body, { sha256: digestOf(body) });
}
async function segmentsLeft(): Promise<number> {
  return new Set((await service.keys('segments/')).map((key) => key.split('/')[1])).size;
}
async function run(job: string): Promise<JobState> {
  await service.call('POST', `/v1/jobs/${job}`, operator());
  for (let turn = 0; turn < 2000; turn++) {
    const { jobs } = await service.ask(JobsAnswerSchema, 'GET', '/v1/jobs');
    const state = jobs.find((one) => one.job === job);
    if (state && !state.running) return state;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return assert.fail(`${job} does not end`);
}

describe('prune', () => {
  beforeEach(async () => {
    service = await started();
    await twoChains();
  });
  afterEach(() => service.end());

  it('keeps everything while no policy says otherwise', async () => {
    assert.deepEqual(fates(await plan()), ['s6 kept', 's5 kept', 's4 kept', 's3 kept', 's2 kept', 's1 kept']);
    assert.deepEqual(
      (await plan()).rows[0]?.because.map(({ reason }) => reason),
      ['newest', 'no-policy'],
    );
    assert.equal((await run('prune')).last?.words, '');
  });

  it('marks first, and removes when the grace is over', async () => {
    await policy({ last: 1 });
    const shown = await plan();
    assert.deepEqual(fates(shown), ['s6 kept', 's5 needed', 's4 mark', 's3 mark', 's2 mark', 's1 mark']);
    assert.deepEqual(shown.rows[1]?.needed_by, { count: 1, example: 'pool/mdt0@s6' });
    assert.deepEqual(await act(), { marked: 4, unmarked: 0, removed: 0, freed: 0 });
    const marked = await plan();
    assert.equal(fates(marked)[2], 's4 marked');
    assert.equal(marked.rows[2]?.until, new Date(service.clock.now() + 24 * HOUR).toISOString());
    assert.equal((await restorable()).length, 6);
  });

  it('removes manifests, rows and segments, and says so in the journal', async () => {
    await policy({ last: 1 });
    assert.equal((await run('prune')).last?.words, 'backups: marked 4');
    service.clock.pass(24 * HOUR);
    assert.deepEqual(fates(await plan()).slice(2), ['s4 remove', 's3 remove', 's2 remove', 's1 remove']);
    const state = await run('prune');
    assert.match(state.last?.words ?? '', /^backups: removed 4, [0-9]+ bytes$/);
    assert.deepEqual(await restorable(), ['s5', 's6']);
    assert.deepEqual([await service.verifies(), await segmentsLeft()], [2, 2]);
    assert.deepEqual(fates(await plan()), ['s6 kept', 's5 needed']);
    await service.restart();
    assert.deepEqual(await restorable(), ['s5', 's6']);
    assert.equal((await run('prune')).last?.words, '');
  });

  it('does what a plan showed, and refuses when that has changed', async () => {
    await policy({ last: 1 });
    const { digest } = await plan();
    await policy({ last: 4 });
    const refusal = await service.refusal('POST', '/v1/prune', { ...operator(), body: { digest } });
    assert.deepEqual([refusal.status, refusal.code], [422, 'prune.changed']);
    const agent = await service.refusal('POST', '/v1/prune', { body: { digest } });
    assert.deepEqual([agent.status, agent.code], [403, 'token.scope']);
  });

  it('counts a dataset once that has another name now, also when it is asked about by one of the two', async () => {
    const own = 99n;
    for (const to of [10n, 11n]) await service.backUp(openRequest({ to, dataset: 'pool/old', own }), 1);
    // Ids of one millisecond are in no order.
    service.clock.pass(1);
    await service.backUp(openRequest({ to: 12n, dataset: 'pool/new', own }), 1);
    await policy({ last: 2 });
    const named = async (dataset: string) => fates(await plan({ dataset }));
    assert.deepEqual(await named('pool/old'), ['s11 kept', 's10 mark']);
    assert.deepEqual(await named('pool/new'), ['s12 kept']);
    await service.backUp(openRequest({ to: 13n, dataset: 'pool/new', own }), 1);
    assert.deepEqual(await named('pool/old'), ['s11 mark', 's10 mark']);
    await run('prune');
    service.clock.pass(24 * HOUR);
    assert.match((await run('prune')).last?.words ?? '', /removed 6, /);
    assert.deepEqual(await named('pool/new'), ['s13 kept', 's12 kept']);
    assert.deepEqual(await named('pool/old'), []);
  });

  it('plans with other policies and at other moments without doing anything', async () => {
    const policies = [
      { name: 'try', datasets: ['**'], hosts: [], lineages: [], keep: { last: 2 }, zone: 'UTC' },
    ];
    const simulated = await plan({ policies, fates: ['mark'] });
    assert.deepEqual(fates(simulated), ['s4 mark', 's3 mark', 's2 mark', 's1 mark']);
    assert.equal(simulated.totals['kept']?.backups, 2);
    assert.deepEqual((await plan({ dataset: 'pool/none' })).rows, []);
    const wrong = [{ ...policies[0], zone: 'Europe/Nowhere' }];
    const refusal = await service.refusal('POST', '/v1/prune/plan', { body: { policies: wrong } });
    assert.equal(refusal.code, 'policy.wrong');
    assert.equal((await run('prune')).last?.words, '');
  });

  it('takes a mark back when what it marks is wanted again', async () => {
    await policy({ last: 1 });
    await run('prune');
    const pin = { pin: someBackup(1), guid: guidOf(3n), reason: 'audit', until: null, legal: false };
    await service.running.journal.record('op', { kind: 'pin.set', pin });
    assert.deepEqual(fates(await plan()).slice(2), ['s4 marked', 's3 unmark', 's2 unmark', 's1 unmark']);
    service.clock.pass(24 * HOUR);
    const state = await run('prune');
    assert.match(state.last?.words ?? '', /^backups: unmarked 3; removed 1,/);
    assert.deepEqual(await restorable(), ['s1', 's2', 's3', 's5', 's6']);
  });

  it('lets what a restore was planned for stay for another grace', async () => {
    await policy({ last: 1 });
    await run('prune');
    service.clock.pass(23 * HOUR);
    assert.equal((await planned(guidOf(2n))).steps.length, 2);
    service.clock.pass(HOUR);
    await run('prune');
    assert.deepEqual(await service.verifies(), 4, 's3 and s4 are gone');
    service.clock.pass(23 * HOUR);
    await run('prune');
    assert.deepEqual(await service.verifies(), 4);
    service.clock.pass(HOUR);
    await run('prune');
    assert.deepEqual(await service.verifies(), 2);
  });

  it('leaves alone what a backup that is being made hangs on', async () => {
    await policy({ last: 1 });
    const backup = await service.open(openRequest({ to: 9n, from: 3n, dataset: 'pool/other' }));
    assert.deepEqual(fates(await plan()).slice(2), ['s4 mark', 's3 in-use', 's2 in-use', 's1 in-use']);
    await run('prune');
    service.clock.pass(24 * HOUR);
    await run('prune');
    assert.equal(await service.verifies(), 5);
    await service.send(backup, 1);
    await service.commit(backup, openRequest({ to: 9n, from: 3n, dataset: 'pool/other' }), 1);
    assert.equal((await planned(guidOf(9n))).steps.length, 4);
  });

  it('leaves alone what another service makes a backup on, and removes nothing where that cannot be read', async () => {
    await policy({ last: 1 });
    await run('prune');
    service.clock.pass(24 * HOUR);
    const backup = parseBackupId(newUuid7(service.clock.now()));
    const request = openRequest({ to: 9n, from: 2n, dataset: 'pool/other' });
    const opened = new Date(service.clock.now()).toISOString();
    const head = { format: 1, backup, service: 'another', token: 'agent', opened, writer: request.writer };
    await putNote(backup, '{');
    await run('prune');
    assert.equal(await service.verifies(), 6);
    await putNote(backup, JSON.stringify({ ...head, request, attributes: null, parts: [] }));
    await run('prune');
    assert.deepEqual(await restorable(), ['s1', 's2', 's5', 's6']);
  });

  it('sees what another service has committed before it removes anything', async () => {
    await policy({ last: 1 });
    await service.backUp(openRequest({ to: 9n, from: 4n, dataset: 'pool/other' }), 1);
    // As if another service had made it: the manifest is in the bucket, and this index does not know it.
    const index = new CatalogIndex(join(service.folder, 'index.db'));
    assert.equal(index.remove(index.backupsTo(guidOf(9n)).map(({ backup }) => backup)), 1);
    index.close();
    assert.equal((await run('prune')).last?.words, 'backups: marked 4');
    service.clock.pass(24 * HOUR);
    assert.equal(fates(await plan()).at(-1), 's1 remove');
    await run('prune');
    assert.equal(await service.verifies(), 7);
    assert.equal((await planned(guidOf(9n))).steps.length, 5);
    assert.match((await run('prune')).last?.words ?? '', /^(|backups: unmarked 4)$/);
  });

  it('sees what another service commits between its look at the manifests and the next one at the notes', async () => {
    const request = openRequest({ to: 9n, from: 2n, dataset: 'pool/other' });
    const { backup, to } = await service.backUp(request, 1);
    // As if another service had it open still: its note is there, and its manifest is not.
    const folder = join(service.objects, 'backups', to);
    renameSync(folder, join(service.folder, 'committed later'));
    const index = new CatalogIndex(join(service.folder, 'index.db'));
    index.remove([backup]);
    index.close();
    const opened = new Date(service.clock.now()).toISOString();
    const head = { format: 1, backup, service: 'another', token: 'agent', opened, writer: request.writer };
    await putNote(backup, JSON.stringify({ ...head, request, attributes: null, parts: [] }));
    await policy({ last: 1 });
    const marked = (await plan()).rows.filter(({ fate }) => fate === 'mark');
    const backups = marked.map((row) => ({ backup: row.backup, reason: 'no policy keeps it' }));
    await service.running.journal.record(null, { kind: 'backups.marked', backups });
    service.clock.pass(24 * HOUR);
    const seen: string[] = [];
    service.faults.decide = ({ verb, key }) => {
      if (verb !== 'list') return undefined;
      if (key === 'uploads/' && seen.includes('backups/') && !seen.includes('committed')) {
        renameSync(join(service.folder, 'committed later'), folder);
        rmSync(join(service.objects, 'uploads', backup), { recursive: true });
        seen.push('committed');
      }
      seen.push(key);
      return undefined;
    };
    assert.match((await run('prune')).last?.words ?? '', /removed 2,/);
    service.faults.heal();
    assert.ok(seen.includes('committed'));
    await service.restart();
    assert.deepEqual((await planned(guidOf(9n))).steps.length, 3);
    assert.equal(await service.verifies(), 5);
  });

  it('removes nothing while the journal says what this zkeep does not understand: it may keep something', async () => {
    await policy({ last: 1 });
    await run('prune');
    service.clock.pass(24 * HOUR);
    const id = newUuid7(service.clock.now());
    const at = new Date(service.clock.now()).toISOString();
    const entry = { id, at, by: 'olga', fact: { kind: 'pinned.otherwise', all: true } };
    const body = Buffer.from(JSON.stringify({ format: 1, service: 'newer', entries: [entry] }));
    const { store } = await service.repository();
    await store.put(`journal/${id}.json`, body, { sha256: digestOf(body) });
    const state = await run('prune');
    assert.equal(state.last?.outcome, 'failed');
    assert.match(state.last?.words ?? '', /nothing is removed.*1 object/);
    const { digest } = await plan();
    const refusal = await service.refusal('POST', '/v1/prune', { ...operator(), body: { digest } });
    assert.deepEqual([refusal.status, refusal.code], [422, 'prune.journal-unread']);
    assert.equal(await service.verifies(), 6);
    await store.delete(`journal/${id}.json`);
    assert.match((await run('prune')).last?.words ?? '', /removed 4,/);
  });

  it('sees a pin that another service set long ago by a clock that is behind', async () => {
    await policy({ last: 1 });
    await run('prune');
    service.clock.pass(24 * HOUR);
    const said = service.clock.now() - 20 * 24 * HOUR;
    const pin = { pin: newUuid7(said), guid: guidOf(4n), reason: 'audit', until: null, legal: true };
    const entry = { id: newUuid7(said), at: new Date(said).toISOString(), by: 'olga' };
    const entries = [{ ...entry, fact: { kind: 'pin.set', pin } }];
    const body = Buffer.from(JSON.stringify({ format: 1, service: 'another', entries }));
    const { store } = await service.repository();
    await store.put(`journal/${newUuid7(said)}.json`, body, { sha256: digestOf(body) });
    await run('prune');
    assert.equal(await service.verifies(), 6);
  });

  it('lets nothing hang on what is about to go, so that no other service can be too late', async () => {
    await policy({ last: 1 });
    await run('prune');
    service.clock.pass(11 * HOUR);
    const known = async () => {
      const body = { guids: [guidOf(4n), guidOf(6n)] };
      const answer = await service.ask(KnownAnswerSchema, 'POST', '/v1/known', { body });
      return answer.known.map(({ renew }) => renew ?? null);
    };
    assert.deepEqual(await known(), [null, null]);
    service.clock.pass(HOUR);
    assert.deepEqual(await known(), ['it is marked and about to be removed', null]);
    const body = openRequest({ to: 9n, from: 4n, dataset: 'pool/other' });
    assert.equal((await service.refusal('POST', '/v1/backups', { body })).code, 'backup.base-leaving');
  });

  it('says where a chain ends by the limits of its policy', async () => {
    const chained = { steps: 2 };
    const said = {
      name: 'usual',
      datasets: ['pool/**'],
      hosts: [],
      lineages: [],
      keep: {},
      zone: 'UTC',
      chain: chained,
    };
    await service.running.journal.record('op', { kind: 'policy.set', policy: said });
    const ask = async (of?: object) => {
      const body = { guids: [guidOf(5n), guidOf(6n)], ...(of ? { of } : {}) };
      return (await service.ask(KnownAnswerSchema, 'POST', '/v1/known', { body })).known.map(
        ({ renew }) => renew,
      );
    };
    const words = 'it has 2 backups, and 2 are the most (policy usual)';
    assert.deepEqual(await ask({ host: 'mds1.example', dataset: DATASET }), [null, words]);
    assert.deepEqual(await ask({ host: 'mds1.example', dataset: 'other' }), [null, null]);
    assert.deepEqual(await ask(), [null, null]);
  });

  it('says where a chain ends because its restore is expected to take too long, as drills measured it', async () => {
    const said = { name: 'usual', datasets: ['pool/**'], hosts: [], lineages: [], keep: {}, zone: 'UTC' };
    const record = async (fact: Fact) => await service.running.journal.record('op', fact);
    await record({ kind: 'policy.set', policy: { ...said, chain: { restore: '1h' } } });
    const ask = async () => {
      const body = { guids: [guidOf(5n), guidOf(6n)], of: { host: 'mds1.example', dataset: DATASET } };
      return (await service.ask(KnownAnswerSchema, 'POST', '/v1/known', { body })).known;
    };
    const drill = async (seconds: number, passed = true) => {
      const { snapshots } = await service.ask(SnapshotsAnswerSchema, 'GET', '/v1/snapshots');
      const { lineage } = snapshots.find(({ guid }) => guid === guidOf(6n)) ?? assert.fail();
      const of = {
        host: 'h',
        target: 't',
        lineage,
        dataset: DATASET,
        name: 's6',
        created: 1,
      };
      const counts = {
        steps: 1,
        bytes: 64 * 1024 * 1024,
        stored: 1000,
        compare_seconds: 1,
        objects: 1,
        properties: 1,
      };
      const problems = passed ? [] : ['no'];
      const measured = { ...of, ...counts, guid: guidOf(6n), restore_seconds: seconds, passed, problems };
      await record({ kind: 'drilled', drill: measured });
    };
    assert.deepEqual(
      (await ask()).map(({ renew }) => renew),
      [null, null],
      'nothing was measured',
    );
    await drill(1_000_000_000_000);
    // What did not pass says nothing of how long a restore takes.
    await drill(1, false);
    const [full, last] = await ask();
    assert.equal(full?.renew, null, 'another full one would take as long');
    assert.match(
      last?.renew ?? '',
      /^its restore is expected to take \d+ minutes, and 1h is the most \(policy usual\)$/,
    );
    await drill(0.001);
    assert.deepEqual(
      (await ask()).map(({ renew }) => renew),
      [null, null],
    );
  });
});

describe('a service that dies while it prunes', () => {
  afterEach(() => service.end());

  async function due(): Promise<void> {
    service = await started();
    await twoChains();
    await policy({ last: 1 });
    await run('prune');
    service.clock.pass(24 * HOUR);
  }

  it('at any call of the store leaves only what can be restored, and the next run ends it', async () => {
    let survived = 0;
    for (let ended = false; !ended; survived++) {
      await due();
      const last = service.faults.calls + survived;
      service.faults.decide = ({ number }) => {
        if (number <= last) return undefined;
        return { when: number === last + 1 && survived % 2 === 1 ? 'after' : 'before', error: gone() };
      };
      const state = await run('prune');
      ended = state.last?.outcome === 'done' && service.faults.calls <= last;
      const place = `after ${survived} calls`;
      await service.stop();
      const left = await service.verifies();
      service.faults.heal();
      await service.start();
      const listed = await restorable();
      assert.equal(listed.length, left, place);
      assert.deepEqual(listed.slice(-2), ['s5', 's6'], place);
      service.clock.pass(25 * HOUR);
      await run('prune');
      service.clock.pass(25 * HOUR);
      await run('prune');
      await run('sweep');
      assert.deepEqual(await restorable(), ['s5', 's6'], place);
      assert.deepEqual([await service.verifies(), await segmentsLeft()], [2, 2], place);
      await service.end();
      assert.ok(survived < 200);
    }
    assert.ok(survived > 10, `${survived} calls`);
    service = await started();
  });
});
