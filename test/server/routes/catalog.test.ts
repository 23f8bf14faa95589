import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import {
  BackupsAnswerSchema,
  DatasetsAnswerSchema,
  LineagesAnswerSchema,
  SnapshotsAnswerSchema,
} from '../../../catalog/protocol/pages.ts';
import {
  type BackupSummary,
  KnownAnswerSchema,
  LineageSchema,
  ReadGrantsAnswerSchema,
  RepositoryInfoSchema,
  RestorePlanSchema,
} from '../../../catalog/protocol/protocol.ts';
import { packStream } from '../../../catalog/repository/segment/pack.ts';
import { unpackStream } from '../../../catalog/repository/segment/unpack.ts';
import type { Begin } from '../../../catalog/stream/state.ts';
import { guidOf } from '../../../catalog/words.ts';
import { recordedStream } from '../../fixtures/recorded-streams.ts';
import { TestService } from '../fixture/running-service.ts';
import { openRequest } from '../fixture/samples.ts';

describe('the catalog of what was backed up', () => {
  const service = new TestService();
  let full: BackupSummary;
  let next: BackupSummary;
  before(async () => {
    await service.start();
    full = await service.backUp(openRequest({ to: 1n }));
    service.clock.pass(1000);
    next = await service.backUp(openRequest({ to: 2n, from: 1n }), 3);
    service.clock.pass(1000);
    await service.backUp(openRequest({ to: 9n, dataset: 'pool/mgt' }), 1);
  });
  after(() => service.end());

  it('says what repository it is of', async () => {
    const { id } = (await service.repository()).marker;
    const info = await service.ask(RepositoryInfoSchema, 'GET', '/v1/repository');
    assert.deepEqual(info, { id, format: 1, location: service.objects, recipients: [] });
  });

  it('knows snapshots by GUID', async () => {
    const body = { guids: [guidOf(2n), guidOf(7n)] };
    const { known } = await service.ask(KnownAnswerSchema, 'POST', '/v1/known', { body });
    const flags = { raw: false, large_blocks: false };
    assert.deepEqual(known, [{ guid: guidOf(2n), restorable: true, flags, renew: null }]);
  });

  it('lists datasets, snapshots and lineages', async () => {
    const { datasets } = await service.ask(DatasetsAnswerSchema, 'GET', '/v1/datasets');
    assert.deepEqual(
      datasets.map(({ dataset, snapshots }) => [dataset, snapshots]),
      [
        ['pool/mdt0', 2],
        ['pool/mgt', 1],
      ],
    );
    const { snapshots } = await service.ask(
      SnapshotsAnswerSchema,
      'GET',
      '/v1/snapshots?dataset=pool%2Fmdt0',
    );
    assert.deepEqual(snapshots.map(({ name }) => name).sort(), ['s1', 's2']);
    const { lineages } = await service.ask(LineagesAnswerSchema, 'GET', '/v1/lineages?dataset=pool%2Fmdt0');
    assert.deepEqual(
      lineages.map(({ lineage, backups }) => [lineage, backups]),
      [[full.lineage, 2]],
    );
    const lineage = await service.ask(LineageSchema, 'GET', `/v1/lineages/${full.lineage}`);
    assert.deepEqual(lineage, lineages[0]);
  });

  it('keeps names with tabs, line feeds and quotes as they are', async () => {
    const dataset = 'pool/a\tb"c\'\n\\d\u{1F600}';
    const { backup } = await service.backUp(openRequest({ to: 20n, dataset }));
    const query = `dataset=${encodeURIComponent(dataset)}`;
    const { backups } = await service.ask(BackupsAnswerSchema, 'GET', `/v1/backups?${query}`);
    assert.deepEqual(
      backups.map((found) => [found.backup, found.dataset]),
      [[backup, dataset]],
    );
  });

  it('lists backups a page at a time, each once', async () => {
    const seen: string[] = [];
    let after: string | null = '';
    for (let pages = 0; after !== null; pages++) {
      assert(pages < 10, 'the pages do not end');
      const query: string = after === '' ? '' : `&after=${after}`;
      const page: { backups: BackupSummary[]; next: string | null } = await service.ask(
        BackupsAnswerSchema,
        'GET',
        `/v1/backups?limit=1${query}`,
      );
      assert(page.backups.length <= 1);
      seen.push(...page.backups.map(({ backup }) => backup));
      after = page.next;
    }
    assert.equal(seen.length, 4);
    assert.equal(new Set(seen).size, 4);
    const { backups } = await service.ask(BackupsAnswerSchema, 'GET', `/v1/backups?to=${next.to}`);
    assert.deepEqual(backups, [next]);
  });

  it('refuses a page that never was', async () => {
    const refusal = await service.refusal('GET', '/v1/backups?after=nonsense');
    assert.deepEqual([refusal.status, refusal.kind], [400, 'usage']);
  });

  it('plans the way to a snapshot, from nothing and from a base', async () => {
    const wanted = { dataset: 'pool/mdt0' };
    const plan = (have: string[]) =>
      service.ask(RestorePlanSchema, 'POST', '/v1/plans', { body: { wanted, have, rollback: false } });
    const fresh = await plan([]);
    assert.deepEqual(fresh.steps, [full, next]);
    assert.equal(fresh.stored, full.stored + next.stored);
    assert.deepEqual((await plan([full.to])).steps, [next]);
    assert.deepEqual((await plan([next.to])).steps, []);
  });

  it('says why there is no plan', async () => {
    const refused = (body: unknown) => service.refusal('POST', '/v1/plans', { body });
    const strange = await refused({ wanted: { dataset: 'pool/mdt0' }, have: [guidOf(77n)], rollback: false });
    assert.equal(strange.status >= 400 && strange.status < 500, true);
    const unknown = await refused({ wanted: { dataset: 'pool/none' }, have: [], rollback: false });
    assert.deepEqual([unknown.status, unknown.kind], [404, 'missing']);
  });

  it('says that there is no such backup, lineage or attributes', async () => {
    const other = full.backup.replace(/.$/, (digit) => (digit === '0' ? '1' : '0'));
    for (const path of [`/v1/backups/${other}`, `/v1/backups/${other}/manifest`, `/v1/lineages/${other}`]) {
      assert.equal((await service.refusal('GET', path)).status, 404, path);
    }
    assert.equal((await service.refusal('GET', `/v1/attributes/${'0'.repeat(64)}`)).status, 404);
  });
});

describe('a real stream', () => {
  const service = new TestService();
  before(() => service.start());
  after(() => service.end());

  it('goes in by grants and comes out again, byte for byte', async () => {
    const stream = recordedStream('full');
    let opened = openRequest({ to: 1n });
    const stored = Promise.withResolvers<Awaited<ReturnType<typeof service.open>>>();
    const summary = await packStream(pieces(stream, 10_000), {
      recipients: [],
      onBegin: async (begin) => {
        opened = requestFor(begin);
        stored.resolve(await service.open(opened));
      },
      send: async ({ body, ...part }) => {
        const [grant = assert.fail()] = await service.grant(await stored.promise, [part]);
        assert.equal((await service.follow(grant, body)).status, 204);
      },
    });
    const backup = await stored.promise;
    const body = { stream: summary, attributes: null, segments: 1 };
    const { status, text } = await service.call('POST', `/v1/backups/${backup}/commit`, { body });
    assert.equal(status, 200, text);
    const manifest = await (await service.repository()).manifest(opened.to.guid, backup);
    const read = async (number: number) => {
      const reads = { body: { segments: [number] } };
      const answer = await service.ask(ReadGrantsAnswerSchema, 'POST', `/v1/backups/${backup}/reads`, reads);
      return (await service.follow(answer.grants[0] ?? assert.fail())).bytes;
    };
    const back: Uint8Array[] = [];
    for await (const piece of unpackStream(manifest, read, { identities: [] })) back.push(Buffer.from(piece));
    assert(stream.equals(Buffer.concat(back)));
  });
});

async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

function requestFor(begin: Begin): ReturnType<typeof openRequest> {
  const request = openRequest({ to: 1n });
  return { ...request, begin, to: { guid: begin.toGuid, name: begin.toName.split('@')[1] ?? null } };
}
