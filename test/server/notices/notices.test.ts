/** Webhooks and hooks of a running service: what is told, in which shape, and what becomes of it when nobody takes it. */
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import type { Fact } from '../../../catalog/journal/entry.ts';
import { StatusAnswerSchema } from '../../../catalog/protocol/agents.ts';
import { TestService } from '../fixture/running-service.ts';
import { PostOffice, until } from './post-office.ts';

const SECRET = 'only-for-this-test-0123456789';
const late = (dataset: string): Fact => ({
  kind: 'late',
  host: 'mds1',
  dataset,
  newest: null,
  objective: 60,
});

describe('a service with a webhook', () => {
  const folder = mkdtempSync(join(tmpdir(), 'zkeep-notices-'));
  const secretFile = join(folder, 'secret');
  let office: PostOffice;
  let service: TestService | undefined;
  before(() => writeFileSync(secretFile, `${SECRET}\n`));
  afterEach(async () => {
    await service?.end();
    service = undefined;
    await office.close();
  });
  after(() => rmSync(folder, { recursive: true }));

  const open = async (more = '') => {
    office = await PostOffice.open();
    const settings = `[[webhook]]\nurl = "${office.url}"\nsecret_file = "${secretFile}"\n${more}`;
    service = await new TestService({ settings }).start();
    return service;
  };
  const journal = () => service?.running.journal ?? assert.fail('no service');

  it('tells of what is late, with the entry of the journal and in words', async () => {
    await open();
    await journal().record(null, late('tank/home'));
    const [taken] = await office.comesToHave(1);
    assert.equal(taken?.document.event, 'late');
    assert.equal(taken?.document.words, 'tank/home on mds1 is late: nothing of it can be restored');
    assert.equal(taken?.document.entry.id, taken?.document.id);
    assert.deepEqual(taken?.document.entry.fact, late('tank/home'));
    assert.equal(taken?.document.dropped, 0);
  });

  it('signs moment and body, so that the receiver can tell who sent it and when', async () => {
    await open();
    await journal().record(null, late('tank/home'));
    const [taken] = await office.comesToHave(1);
    const [, moment = '', digest = ''] =
      /^t=([0-9]+),v1=([0-9a-f]{64})$/.exec(String(taken?.headers['zkeep-signature'])) ?? [];
    assert.equal(moment, String(Math.floor((service?.clock.now() ?? 0) / 1000)));
    const expected = createHmac('sha256', SECRET).update(`${moment}.${taken?.body}`).digest('hex');
    assert.equal(digest, expected);
  });

  it('is believed by the example of the page, as long as it is fresh and unchanged', async () => {
    await open();
    await journal().record(null, late('tank/home'));
    const [taken] = await office.comesToHave(1);
    const page = readFileSync(new URL('../../../server/notices/NOTICES.md', import.meta.url), 'utf8');
    const [, code = ''] = /```js\n([\s\S]*?)```/.exec(page) ?? [];
    const file = join(folder, 'example.mjs');
    writeFileSync(file, `${code}\nexport { isFromZkeep };\n`);
    const { isFromZkeep } = (await import(file)) as {
      isFromZkeep(header: string, body: string, secret: string, now: number): boolean;
    };
    const header = String(taken?.headers['zkeep-signature']);
    const now = (service?.clock.now() ?? 0) / 1000;
    const body = taken?.body ?? '';
    assert.equal(isFromZkeep(header, body, SECRET, now), true);
    assert.equal(isFromZkeep(header, body, SECRET, now + 1000), false);
    assert.equal(isFromZkeep(header, `${body} `, SECRET, now), false);
    assert.equal(isFromZkeep(header, body, 'another secret', now), false);
  });

  it('says nothing of what nobody has to act on', async () => {
    await open();
    await journal().record('alice', { kind: 'policy.removed', name: 'mdt' });
    await journal().record(null, { kind: 'job.ended', job: 'prune', outcome: 'done', seconds: 1, words: '' });
    await journal().record(null, late('tank/home'));
    assert.deepEqual(
      (await office.comesToHave(1)).map(({ document }) => document.event),
      ['late'],
    );
  });

  it('tries again what is not taken, in the order of the journal, and each until it is', async () => {
    await open();
    office.answers.push(503, 429, (response) => response.destroy());
    await journal().record(null, late('tank/a'));
    await journal().record(null, late('tank/b'));
    const taken = await office.comesToHave(5);
    const ids = taken.map(({ document }) => document.id);
    assert.equal(new Set(ids.slice(0, 4)).size, 1);
    assert.notEqual(ids[4], ids[0]);
  });

  it('gives up what the receiver does not want after a few tries, and tells with the next one', async () => {
    await open();
    office.answers.push(400, 400, 400, 400, 302, 404);
    await journal().record(null, late('tank/a'));
    await journal().record(null, late('tank/b'));
    const taken = await office.comesToHave(7);
    assert.equal(taken[6]?.document.entry.fact.kind, 'late');
    assert.notEqual(taken[6]?.document.id, taken[5]?.document.id);
    assert.equal(taken[6]?.document.dropped, 1);
    await journal().record(null, late('tank/c'));
    assert.equal((await office.comesToHave(8))[7]?.document.dropped, 0);
  });

  it('keeps what was not taken over a restart, and tells nothing twice that was', async () => {
    await open();
    await journal().record(null, late('tank/a'));
    await office.comesToHave(1);
    const { port } = office;
    await office.close();
    await journal().record(null, late('tank/b'));
    await service?.stop();
    office = await PostOffice.open(port);
    await service?.start();
    await journal().record(null, late('tank/c'));
    const told = (await office.comesToHave(2)).map(({ document }) => document.entry.fact);
    assert.deepEqual(told, [late('tank/b'), late('tank/c')]);
  });

  it('tells after a start of what came into the journal while it was down', async () => {
    await open();
    const first = service ?? assert.fail();
    // As a service that was killed between the bucket and its own database.
    const { database } = await import('./forget.ts');
    await first.running.journal.record(null, late('tank/a'));
    await office.comesToHave(1);
    await first.stop();
    database(first.folder, 'DELETE FROM notice');
    await first.start();
    const taken = await office.comesToHave(2);
    assert.equal(taken[0]?.document.id, taken[1]?.document.id);
  });

  it('goes on answering while a receiver hangs, and stops in time', async () => {
    await open();
    office.answers.push(() => undefined);
    await journal().record(null, late('tank/a'));
    await office.comesToHave(1);
    const { status } = (await service?.call('GET', '/v1/health', { token: null })) ?? {};
    assert.equal(status, 200);
    await service?.stop();
  });

  it('says in the status that a receiver does not take notices, without its secret path', async () => {
    const running = await open();
    office.answers.push(...Array.from({ length: 3 }, () => 500), () => undefined);
    await journal().record(null, late('tank/a'));
    await office.comesToHave(4);
    const { problems } = await running.ask(StatusAnswerSchema, 'GET', '/v1/status');
    const [problem = ''] = problems.filter((words) => words.includes('webhook'));
    assert.match(problem, /does not take notices, 1 wait: it answered with status 500/);
    assert.ok(!problem.includes('secret-path'));
  });
});

describe('a service with a hook', () => {
  const folder = mkdtempSync(join(tmpdir(), 'zkeep-hooks-'));
  let service: TestService | undefined;
  afterEach(async () => {
    await service?.end();
    service = undefined;
  });
  after(() => rmSync(folder, { recursive: true }));
  const open = async (command: readonly string[], events: readonly string[]) => {
    const settings = `[[hook]]\ncommand = ${JSON.stringify(command)}\nevents = ${JSON.stringify(events)}\n`;
    service = await new TestService({ settings }).start();
    return service.running.journal;
  };

  it('gives the document to it on standard input, and nothing of its own environment', async () => {
    const file = join(folder, 'told');
    process.env['AWS_SECRET_ACCESS_KEY'] = 'not-for-hooks';
    try {
      const script = 'cat >"$0.part"; env >"$0.env"; mv "$0.part" "$0"';
      const journal = await open(['sh', '-c', script, file], ['policy.removed']);
      await journal.record('alice', { kind: 'policy.removed', name: 'mdt' });
      await until(() => existsSync(file));
    } finally {
      delete process.env['AWS_SECRET_ACCESS_KEY'];
    }
    const document: unknown = JSON.parse(readFileSync(file, 'utf8'));
    assert.ok(typeof document === 'object' && document !== null && 'words' in document);
    assert.equal(document.words, 'policy mdt is removed');
    const environment = readFileSync(`${file}.env`, 'utf8');
    assert.match(environment, /^ZKEEP_EVENT=policy\.removed$/m);
    assert.ok(!environment.includes('not-for-hooks'));
  });

  it('takes one that does not read what it is given as well', async () => {
    const file = join(folder, 'touched');
    const journal = await open(['touch', file], ['late']);
    await journal.record(null, late('tank/a'));
    await until(() => existsSync(file));
  });

  it('runs one that fails again, and gives up after a few tries', async () => {
    const file = join(folder, 'tries');
    const journal = await open(['sh', '-c', 'echo >>"$0"; exit 3', file], ['late']);
    await journal.record(null, late('tank/a'));
    await until(() => existsSync(file) && readFileSync(file, 'utf8').length >= 6);
    await service?.restart();
    assert.equal(readFileSync(file, 'utf8').length, 6);
  });
});
