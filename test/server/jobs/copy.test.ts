import assert from 'node:assert/strict';
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { pino } from 'pino';
import { CatalogIndex } from '../../../catalog/index/catalog-index.ts';
import type { IndexCopy } from '../../../catalog/index/copy/description.ts';
import { takeCopy } from '../../../catalog/index/copy/take.ts';
import { JobsAnswerSchema } from '../../../catalog/protocol/events.ts';
import { digestOf } from '../../../catalog/repository/store/body.ts';
import { guidOf, newUuid7 } from '../../../catalog/words.ts';
import { type FoundationOptions, openFoundation } from '../../../server/foundation.ts';
import { type CopyTools, copyJob } from '../../../server/jobs/copy.ts';
import { policy } from '../../catalog/index/journal/entries.ts';
import { manifestOf } from '../../catalog/index/manifests.ts';
import { TestService } from '../fixture/running-service.ts';
import { openRequest, someAttributes } from '../fixture/samples.ts';

const log = pino({ level: process.env['LOG'] ?? 'silent' });
const signal = new AbortController().signal;

/** A service with two chains, attributes, a policy, a pin and damage, whose index has a copy. */
async function madeService(): Promise<TestService> {
  const service = await new TestService().start();
  const { journal } = service.running;
  const full = await backUpWithAttributes(service, 1n);
  await service.backUp(openRequest({ to: 2n, from: 1n }));
  await service.backUp(openRequest({ to: 9n, dataset: 'pool/other' }));
  await journal.record('olga', { kind: 'policy.set', policy: policy('nightly') });
  const problems = [{ code: 'segment.missing', key: null, message: 'it is not there' }];
  await journal.record(null, {
    kind: 'damaged',
    damage: { backup: full, depth: 'light', problems, count: 1 },
  });
  return service;
}

async function backUpWithAttributes(service: TestService, to: bigint) {
  const request = openRequest({ to });
  const backup = await service.open(request);
  await service.call('PUT', `/v1/backups/${backup}/attributes`, { body: someAttributes('pool/mdt0') });
  await service.send(backup, 2);
  await service.commit(backup, request, 2);
  return backup;
}

/** Has the job run, and waits for its end; gives its last words. */
async function askForCopy(service: TestService): Promise<string | undefined> {
  await service.call('POST', '/v1/jobs/copy', { token: service.token('operator') });
  for (let left = 500; left > 0; left--) {
    const { jobs } = await service.ask(JobsAnswerSchema, 'GET', '/v1/jobs');
    const copy = jobs.find(({ job }) => job === 'copy');
    if (copy?.running === false && copy.last) return copy.last.words;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.fail('the job did not end');
}

function dumpOf(service: TestService): string[] {
  const index = new CatalogIndex(join(service.folder, 'index.db'));
  try {
    return [...index.dump()];
  } finally {
    index.close();
  }
}

function loseIndex(service: TestService): void {
  for (const name of readdirSync(service.folder)) {
    if (name.startsWith('index')) rmSync(join(service.folder, name));
  }
}

/** Opens what a service stands on, as `rebuild` does. */
async function opened(service: TestService, anew?: FoundationOptions['anew']) {
  const { configuration, clock } = service;
  const foundation = await openFoundation({ configuration, clock, log, ...(anew ? { anew } : {}) });
  await foundation.close();
  return foundation;
}

describe('a service whose index has a copy in the bucket', () => {
  let service: TestService;
  let dump: string[];
  before(async () => {
    service = await madeService();
    assert.match((await askForCopy(service)) ?? '', /^stored a copy of the index/);
    // What comes after the copy: another backup, another policy, and the end of the first one.
    await service.backUp(openRequest({ to: 10n, from: 9n, dataset: 'pool/other' }));
    await service.running.journal.record('olga', { kind: 'policy.set', policy: policy('weekly') });
    await service.running.journal.record('olga', { kind: 'policy.removed', name: 'nightly' });
    await service.stop();
    dump = dumpOf(service);
  });
  after(() => service.end());

  it('rebuilds it from the copy, brought up to date', async () => {
    const { copy, report } = await opened(service, 'copy');
    assert.ok(copy);
    assert.deepEqual([report.listed, report.added], [4, 1]);
    assert.deepEqual(dumpOf(service), dump);
  });

  it('rebuilds the same from manifests and journal alone', async () => {
    const { copy, report } = await opened(service, 'manifests');
    assert.deepEqual([copy, report.added], [undefined, 4]);
    assert.deepEqual(dumpOf(service), dump);
  });

  it('takes the copy when it starts with an empty data folder', async () => {
    loseIndex(service);
    const { copy } = await opened(service);
    assert.ok(copy);
    assert.deepEqual(dumpOf(service), dump);
  });

  it('takes it when the index is gone but its log is not', async () => {
    rmSync(join(service.folder, 'index.db'));
    writeFileSync(join(service.folder, 'index.db-wal'), 'of another file');
    await opened(service);
    assert.deepEqual(dumpOf(service), dump);
  });

  it('leaves the copy alone while it has an index', async () => {
    assert.equal((await opened(service)).copy, undefined);
  });

  it('lacks nothing that the journal says and the copy did not know, however old its name', async () => {
    const said = service.clock.now() - 90 * 86_400_000;
    const policy = { name: 'old', datasets: [], hosts: [], lineages: [], keep: { last: 3 }, zone: 'UTC' };
    const entry = { id: newUuid7(said), at: new Date(said).toISOString(), by: 'olga' };
    const entries = [{ ...entry, fact: { kind: 'policy.set', policy } }];
    const body = Buffer.from(JSON.stringify({ format: 1, service: 'behind', entries }));
    const { store } = await service.repository();
    await store.put(`journal/${newUuid7(said)}.json`, body, { sha256: digestOf(body) });
    const { copy } = await opened(service, 'copy');
    assert.ok(copy);
    const index = new CatalogIndex(join(service.folder, 'index.db'));
    assert.ok(index.policies().some(({ name }) => name === 'old'));
    index.close();
  });

  it('drops what was removed from the bucket since', async () => {
    const gone = (await service.keys('backups/')).find((key) => key.includes(guidOf(10n))) ?? assert.fail();
    const store = (await service.repository()).store;
    await store.delete(gone);
    loseIndex(service);
    const { report } = await opened(service);
    assert.deepEqual([report.listed, report.added], [3, 0]);
  });

  it('goes without it when it is damaged, and says so', async () => {
    const [piece = ''] = (await service.keys('index/')).filter((key) => key.endsWith('.part'));
    writeFileSync(join(service.objects, piece), 'spoilt');
    loseIndex(service);
    const { copy, report } = await opened(service, 'copy');
    assert.deepEqual([copy, report.added], [undefined, 3]);
    assert.ok(existsSync(join(service.folder, 'index.db')));
  });
});

describe('the job copy', () => {
  let service: TestService;
  let tools: CopyTools;
  let index: CatalogIndex;
  beforeEach(async () => {
    service = await new TestService().start();
    const repository = await service.repository();
    index = new CatalogIndex(':memory:');
    const { clock, folder } = service;
    tools = { repository, index, clock, log, folder, settings: { schedule: null, keep: 2 } };
  });
  afterEach(async () => {
    index.close();
    await service.end();
  });

  const run = (asked = false) => copyJob(tools).run({ signal, tell: () => undefined, asked });
  const copies = async () => (await service.keys('index/')).filter((key) => key.endsWith('.json')).length;
  const add = (number: number) => index.add(manifestOf({ number, from: null, to: number }));

  it('stores a copy after changes, none without', async () => {
    add(1);
    assert.match((await run()) ?? '', /^stored a copy/);
    assert.equal(await run(), null);
    assert.equal(await run(true), null);
    add(2);
    assert.match((await run()) ?? '', /^stored a copy/);
    assert.equal(await copies(), 2);
  });

  it('is not called for by its own end', async () => {
    add(1);
    await run();
    const fact = { kind: 'job.ended', job: 'copy', outcome: 'done', seconds: 1, words: '' } as const;
    const id = '0199c3a5-6f00-7000-8000-000000000000';
    index.apply([{ id, at: '2026-01-01T00:00:00.000Z', by: null, fact }]);
    assert.equal(await run(), null);
  });

  it('keeps the last ones', async () => {
    for (let number = 1; number <= 5; number++) {
      add(number);
      service.clock.pass(1000);
      await run();
    }
    assert.equal(await copies(), 2);
  });

  it('that took long waits a hundred times as long, unless it is asked for', async () => {
    add(1);
    const slow = tools.clock;
    let told = 0;
    const clock = { now: () => slow.now() + told, sleep: slow.sleep, random: slow.random };
    tools = { ...tools, clock };
    await copyJob(tools).run({
      signal,
      tell: () => {
        told += 30_000;
      },
    });
    add(2);
    service.clock.pass(60_000);
    assert.equal(await run(), null);
    assert.match((await run(true)) ?? '', /^stored a copy/);
    add(3);
    service.clock.pass(3 * 3_600_000);
    assert.match((await run()) ?? '', /^stored a copy/);
  });

  it('goes on after a copy that was made by a clock of a year ahead, and the next one is the newest', async () => {
    add(1);
    service.clock.pass(365 * 86_400_000);
    await run();
    service.clock.pass(-365 * 86_400_000);
    assert.equal(await run(), null, 'nothing has changed');
    add(2);
    assert.match((await run()) ?? '', /^stored a copy/);
    assert.equal(await run(), null);
    for (let number = 3; number <= 4; number++) {
      add(number);
      assert.match((await run()) ?? '', /^stored a copy/);
    }
    const taken: IndexCopy | undefined = await takeCopy((await service.repository()).store, {
      repository: (await service.repository()).marker.id,
      file: join(service.folder, 'taken.db'),
      onUnfit: (key) => assert.fail(key),
    });
    assert.equal(taken?.content, index.contentMark());
  });

  it('makes another one when the last cannot be read', async () => {
    add(1);
    await run();
    const [description = ''] = (await service.keys('index/')).filter((key) => key.endsWith('.json'));
    writeFileSync(join(service.objects, description), 'spoilt');
    service.clock.pass(1000);
    assert.match((await run()) ?? '', /^stored a copy/);
  });
});
