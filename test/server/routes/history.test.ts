import assert from 'node:assert/strict';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Attributes, Property } from '../../../catalog/attributes/attributes.ts';
import { HistoryAnswerSchema, SettingsAnswerSchema } from '../../../catalog/protocol/history.ts';
import { AttributesAnswerSchema, SnapshotsAnswerSchema } from '../../../catalog/protocol/pages.ts';
import { type BackupSummary, BackupSummarySchema } from '../../../catalog/protocol/protocol.ts';
import { TestService } from '../fixture/running-service.ts';
import { commitRequest, openRequest, someAttributes } from '../fixture/samples.ts';

const DATASET = 'pool/mdt0';

/** What an agent captured of the dataset when these were its local properties. */
function attributesWith(values: Readonly<Record<string, string>>, dataset = DATASET): Attributes {
  const properties = Object.fromEntries(
    Object.entries(values).map(([name, value]): [string, Property] => [name, { value, source: 'local' }]),
  );
  const objects = [{ name: dataset, kind: 'filesystem' as const, properties }];
  return { format: 1, dataset, outputs: [], parsed: { objects, pool: null, host: null } };
}

async function backUp(
  service: TestService,
  number: bigint,
  body: Attributes | null,
  dataset = DATASET,
): Promise<BackupSummary> {
  const from = number % 10n === 1n ? {} : { from: number - 1n };
  const request = openRequest({ to: number, dataset, ...from });
  const backup = await service.open(request);
  await service.send(backup, 1);
  const path = `/v1/backups/${backup}`;
  const digest =
    body && (await service.ask(AttributesAnswerSchema, 'PUT', `${path}/attributes`, { body })).digest;
  service.clock.pass(1000);
  return await service.ask(BackupSummarySchema, 'POST', `${path}/commit`, {
    body: { ...commitRequest(request, 1), attributes: digest },
  });
}

describe('attributes as history', () => {
  const service = new TestService();
  let backups: BackupSummary[];
  before(async () => {
    await service.start();
    backups = [
      await backUp(service, 1n, attributesWith({ recordsize: '131072', quota: '0' })),
      await backUp(service, 2n, null),
      await backUp(service, 3n, attributesWith({ recordsize: '1048576', quota: '0' })),
      await backUp(service, 4n, someAttributes(DATASET)),
      await backUp(service, 5n, attributesWith({ recordsize: '1048576', 'org:note': 'a\tb\n"c"' })),
    ];
  });
  after(() => service.end());

  const history = async (query: string) =>
    (await service.ask(HistoryAnswerSchema, 'GET', `/v1/history?${query}`)).points;
  const ofDataset = `dataset=${encodeURIComponent(DATASET)}`;

  it('a commit tells how far the settings drifted, and so do lists', async () => {
    const drifts = [null, null, 1, null, 2];
    assert.deepEqual(
      backups.map(({ drift }) => drift),
      drifts,
    );
    const { snapshots } = await service.ask(SnapshotsAnswerSchema, 'GET', `/v1/snapshots?${ofDataset}`);
    assert.deepEqual(
      snapshots.map(({ drift }) => drift),
      drifts.toReversed(),
    );
  });

  it('it is told when a property changed, and from what to what', async () => {
    const points = await history(`${ofDataset}&property=recordsize`);
    assert.deepEqual(
      points.map(({ name, first, changes }) => [
        name,
        first,
        changes.map(({ before, after }) => [before?.value, after?.value]),
      ]),
      [
        ['s3', false, [['131072', '1048576']]],
        ['s1', true, [[undefined, '131072']]],
      ],
    );
    const [last] = await history(`${ofDataset}&scope=dataset`);
    assert.deepEqual(
      last?.changes.map(({ property, before, after }) => [property, before?.value, after?.value]),
      [
        ['org:note', undefined, 'a\tb\n"c"'],
        ['quota', '0', undefined],
      ],
    );
  });

  it('it comes a page at a time', async () => {
    const page = await service.ask(HistoryAnswerSchema, 'GET', `/v1/history?${ofDataset}&limit=2`);
    assert.deepEqual(
      page.points.map(({ name }) => name),
      ['s5', 's3'],
    );
    const rest = await history(`${ofDataset}&limit=2&after=${page.next}`);
    assert.deepEqual(
      rest.map(({ name, first }) => [name, first]),
      [['s1', true]],
    );
    const refusal = await service.refusal('GET', `/v1/history?${ofDataset}&after=nonsense`);
    assert.equal(refusal.status, 400);
  });

  it('the settings as of a snapshot, a moment, or now', async () => {
    const ask = async (wanted: object) =>
      await service.ask(SettingsAnswerSchema, 'POST', '/v1/settings', {
        body: { wanted: { dataset: DATASET, ...wanted } },
      });
    const value = async (wanted: object) =>
      (await ask(wanted)).settings.find(({ property }) => property === 'recordsize')?.value;
    assert.equal(await value({ name: 's1' }), '131072');
    assert.equal(await value({ at: backups[1]?.created }), '131072', 'known from before');
    assert.equal(await value({ guids: [backups[2]?.to] }), '1048576');
    assert.deepEqual((await ask({})).backup, backups[4]);
  });

  it('says that nothing is known where nothing is', async () => {
    const settings = (wanted: object) => service.refusal('POST', '/v1/settings', { body: { wanted } });
    const none = await settings({ dataset: DATASET, name: 's2' });
    assert.deepEqual([none.status, none.code], [404, 'settings.unknown']);
    assert.equal((await settings({ dataset: 'pool/none' })).code, 'chain.nothing-kept');
    assert.equal((await service.refusal('GET', '/v1/history?dataset=pool%2Fnone')).status, 404);
    assert.equal((await service.refusal('GET', '/v1/history')).status, 400);
  });

  it('attributes that cannot be read keep no backup from being committed, and no service from starting', async () => {
    const request = openRequest({ to: 11n, dataset: 'pool/mgt' });
    const backup = await service.open(request);
    await service.send(backup, 1);
    const body = attributesWith({ recordsize: '4096' }, 'pool/mgt');
    const path = `/v1/backups/${backup}`;
    const { digest } = await service.ask(AttributesAnswerSchema, 'PUT', `${path}/attributes`, { body });
    const folder = join(service.objects, 'attributes');
    const file = join(folder, readdirSync(folder).find((name) => name.startsWith(digest)) ?? assert.fail());
    writeFileSync(file, 'spoilt');
    const committed = await service.ask(BackupSummarySchema, 'POST', `${path}/commit`, {
      body: { ...commitRequest(request, 1), attributes: digest },
    });
    assert.deepEqual([committed.attributes, committed.drift], [digest, null]);
    await service.restart();
    assert.equal((await history('dataset=pool%2Fmgt')).length, 0);
    rmSync(file);
    await service.repository().then((repository) => repository.putAttributes(body));
    await service.restart();
    assert.equal((await history('dataset=pool%2Fmgt')).length, 1, 'mended, it is read at the next start');
  });
});
