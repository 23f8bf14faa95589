import assert from 'node:assert/strict';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { DatasetsAnswerSchema } from '../../catalog/protocol/pages.ts';
import { RepositoryInfoSchema } from '../../catalog/protocol/protocol.ts';
import { gone } from './fixture/faulty-store.ts';
import { TestService } from './fixture/running-service.ts';
import { openRequest } from './fixture/samples.ts';

describe('a start of the service', () => {
  let service: TestService;
  beforeEach(async () => {
    service = await new TestService().start();
  });
  afterEach(() => service.end());

  const datasets = async () =>
    (await service.ask(DatasetsAnswerSchema, 'GET', '/v1/datasets')).datasets.map(({ dataset }) => dataset);

  it('is refused when a newer zkeep made the repository, and nothing is touched', async () => {
    await service.stop();
    const marker = { ...(await service.repository()).marker, format: 2 };
    const text = `${JSON.stringify(marker)}\n`;
    writeFileSync(join(service.objects, 'zkeep.json'), text);
    const before = await service.keys('');
    await assert.rejects(service.start(), { kind: 'refused', code: 'repository.newer' });
    assert.deepEqual(await service.keys(''), before);
  });

  it('is refused when the repository has vanished, instead of making an empty one', async () => {
    await service.backUp(openRequest({ to: 1n }));
    await service.stop();
    renameSync(service.objects, `${service.objects}-unmounted`);
    await assert.rejects(service.start(), { kind: 'refused', code: 'repository.vanished' });
    rmSync(service.objects, { recursive: true });
    renameSync(`${service.objects}-unmounted`, service.objects);
    await service.start();
    assert.deepEqual(await datasets(), ['pool/mdt0']);
  });

  it('is refused when the store holds another repository', async () => {
    await service.stop();
    const { marker } = await service.repository();
    const other = { ...marker, id: marker.id.replace(/^./, (digit) => (digit === '0' ? '1' : '0')) };
    writeFileSync(join(service.objects, 'zkeep.json'), `${JSON.stringify(other)}\n`);
    await assert.rejects(service.start(), { kind: 'refused', code: 'repository.other' });
  });

  it('is refused while another service runs on the data folder', async () => {
    const { configuration } = service;
    const { buildService } = await import('../../server/app.ts');
    await assert.rejects(buildService({ configuration }), { kind: 'busy', code: 'service.running' });
  });

  it('is refused when the port is taken', async () => {
    const port = Number(new URL(service.url).port);
    const second = new TestService({ settings: `[limits]\nstop_seconds = 1` });
    try {
      await assert.rejects(second.start(port), { kind: 'usage', code: 'listen.failed' });
    } finally {
      await second.end();
    }
  });

  it('fails as unavailable when the store does not answer, and succeeds when it does again', async () => {
    await service.stop();
    service.faults.decide = () => ({ when: 'before', error: gone() });
    await assert.rejects(service.start(), { kind: 'unavailable' });
    service.faults.heal();
    await service.start();
  });

  it('brings an index that was lost, or is no index, up to date', async () => {
    await service.backUp(openRequest({ to: 1n }));
    await service.stop();
    for (const suffix of ['', '-wal', '-shm'])
      rmSync(join(service.folder, `index.db${suffix}`), { force: true });
    await service.start();
    assert.deepEqual(await datasets(), ['pool/mdt0']);
    await service.stop();
    writeFileSync(join(service.folder, 'index.db'), 'this is no database '.repeat(1000));
    await service.start();
    assert.deepEqual(await datasets(), ['pool/mdt0']);
  });

  it('brings an index that fell behind up to date', async () => {
    await service.backUp(openRequest({ to: 1n }));
    const { store } = await service.repository();
    const manifest = await store.get((await service.keys('backups/'))[0] ?? '', { maxBytes: 100_000 });
    const text = manifest
      .toString()
      .replaceAll('pool/mdt0', 'pool/mdt7')
      .replaceAll('0000000000000001', '0000000000000007');
    await service.stop();
    const [, , name = ''] = ((await service.keys('backups/'))[0] ?? '').split('/');
    const other = name.replace(/.\.json$/, (end) => (end.startsWith('0') ? '1.json' : '0.json'));
    const body = Buffer.from(text.replaceAll(name.replace('.json', ''), other.replace('.json', '')));
    const { hash } = await import('node:crypto');
    const { parseDigest } = await import('../../catalog/words.ts');
    await store.put(`backups/0000000000000007/${other}`, body, { sha256: parseDigest(hash('sha256', body)) });
    await service.start();
    assert.deepEqual(await datasets(), ['pool/mdt0', 'pool/mdt7']);
  });

  it('keeps id, tokens and backups over a restart', async () => {
    const { id } = await service.ask(RepositoryInfoSchema, 'GET', '/v1/repository');
    await service.backUp(openRequest({ to: 1n }));
    await service.restart();
    assert.equal((await service.ask(RepositoryInfoSchema, 'GET', '/v1/repository')).id, id);
    assert.deepEqual(await datasets(), ['pool/mdt0']);
  });
});
