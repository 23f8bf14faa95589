import assert from 'node:assert/strict';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { DatasetsAnswerSchema } from '../../catalog/protocol/pages.ts';
import { RepositoryInfoSchema } from '../../catalog/protocol/protocol.ts';
import type { Grant } from '../../catalog/repository/store/store.ts';
import { gone } from './fixture/faulty-store.ts';
import { TestService } from './fixture/running-service.ts';
import { bodyOf, openRequest, part } from './fixture/samples.ts';

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

describe('a stop of the service', () => {
  let service: TestService;
  let grant: Grant;
  beforeEach(async () => {
    service = await new TestService({ settings: '[limits]\nstop_seconds = 1\n' }).start();
    const backup = await service.open(openRequest({ to: 1n }));
    [grant = assert.fail()] = await service.grant(backup, [part(0)]);
  });
  afterEach(() => service.end());

  it('lets a write that has begun come to its end', async () => {
    const write = beginWrite(grant);
    await write.hasBegun;
    const stopped = service.stop();
    await setTimeout(50);
    write.finish();
    assert.match(await write.answer, /^HTTP\/1\.1 204 /);
    const begun = performance.now();
    await stopped;
    assert(performance.now() - begun < 700, 'it waited for a connection on which nothing comes');
    assert.equal((await service.keys('segments/')).length, 1);
  });

  it('waits no longer than it was told to', async () => {
    const write = beginWrite(grant);
    await write.hasBegun;
    const begun = performance.now();
    await service.stop();
    assert(performance.now() - begun < 5000);
    assert.equal(await write.answer, '');
    assert.deepEqual(await service.keys('segments/'), []);
  });
});

/** A granted write of part 0 whose second half comes when the test says so. */
function beginWrite(grant: Grant): { hasBegun: Promise<void>; finish: () => void; answer: Promise<string> } {
  const { host, port, pathname } = new URL(grant.url);
  const head = Object.entries({ host, ...grant.headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  const socket = connect(Number(port), '127.0.0.1');
  socket.write(`PUT ${pathname} HTTP/1.1\r\n${head.join('')}\r\n`);
  const body = bodyOf(0);
  socket.write(body.subarray(0, 100));
  const answer = readAll(socket);
  return { hasBegun: setTimeout(100), finish: () => socket.write(body.subarray(100)), answer };
}

async function readAll(socket: Socket): Promise<string> {
  let text = '';
  try {
    for await (const chunk of socket.setEncoding('utf8')) text += chunk;
  } catch {
    // The other side hung up.
  }
  return text;
}
