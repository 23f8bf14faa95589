/** Sweep removes what belongs to nothing, and only that. */
import assert from 'node:assert/strict';
import { utimesSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { JobsAnswerSchema } from '../../../catalog/protocol/events.ts';
import type { BackupId } from '../../../catalog/words.ts';
import { serviceId } from '../../../server/state/kept.ts';
import { openState } from '../../../server/state/state.ts';
import { gone } from '../fixture/faulty-store.ts';
import { TestService } from '../fixture/running-service.ts';
import { bodyOf, openRequest, part, someBackup } from '../fixture/samples.ts';

const DAY = 86_400_000;

describe('sweep', () => {
  let service: TestService;
  beforeEach(async () => {
    service = await new TestService({ settings: '[sweep]\ngrace = "7d"' }).start();
    await service.backUp(openRequest({ to: 1n }));
  });
  afterEach(() => service.end());

  async function sweep(): Promise<string> {
    await service.call('POST', '/v1/jobs/sweep', { token: service.token('operator') });
    for (let turn = 0; turn < 2000; turn++) {
      const { jobs } = await service.ask(JobsAnswerSchema, 'GET', '/v1/jobs');
      const state = jobs.find(({ job }) => job === 'sweep');
      if (state && !state.running) return `${state.last?.outcome}: ${state.last?.words}`;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return assert.fail('it does not end');
  }
  /** A segment that nobody knows, of a backup of long ago. */
  async function orphan(number: number): Promise<BackupId> {
    const backup = someBackup(number);
    const { store } = await service.repository();
    const { digestOf } = await import('../../../catalog/repository/store/body.ts');
    const body = bodyOf(number);
    await store.put(`segments/${backup}/00000000.zst`, body, { sha256: digestOf(body) });
    return backup;
  }
  async function put(key: string, text: string): Promise<void> {
    const { store } = await service.repository();
    const { digestOf } = await import('../../../catalog/repository/store/body.ts');
    const body = Buffer.from(text);
    await store.put(key, body, { sha256: digestOf(body) });
  }
  function serviceName(): string {
    const state = openState(service.folder);
    try {
      return serviceId(state);
    } finally {
      state.close();
    }
  }
  const left = async () => new Set((await service.keys('segments/')).map((key) => key.split('/')[1])).size;

  it('removes segments and notes of backups that are neither there nor open', async () => {
    await orphan(1);
    await orphan(2);
    assert.match(await sweep(), /^done: removed 2 segments, [0-9]+ bytes, and notes of 2 backups/);
    assert.equal(await left(), 1);
    assert.equal(await service.verifies(), 1);
    assert.equal(await sweep(), 'done: ');
  });

  it('leaves alone what is younger than the grace, by its name or by the store', async () => {
    const backup = await orphan(1);
    const file = join(service.objects, 'segments', backup, '00000000.zst');
    const young = (service.clock.now() - 6 * DAY) / 1000;
    utimesSync(file, young, young);
    assert.equal(await sweep(), 'done: ');
    service.clock.pass(2 * DAY);
    assert.match(await sweep(), /removed 1 segments/);
  });

  it('leaves alone what is younger than the grace although all its notes are old', async () => {
    const backup = await orphan(1);
    const file = join(service.objects, 'segments', backup, '00000000.zst');
    const request = openRequest({ to: 2n });
    const note = {
      format: 1,
      backup,
      service: serviceName(),
      token: 'agent',
      opened: '2023-11-14T22:13:20.000Z',
      writer: request.writer,
      request,
      attributes: null,
      parts: [],
    };
    await put(`uploads/${backup}/${someBackup(5)}.json`, JSON.stringify(note));
    const old = (service.clock.now() - 30 * DAY) / 1000;
    utimesSync(join(service.objects, 'uploads', backup, `${someBackup(5)}.json`), old, old);
    const young = (service.clock.now() - 6 * DAY) / 1000;
    utimesSync(file, young, young);
    assert.equal(await sweep(), 'done: ');
    assert.equal(await left(), 2);
  });

  it('leaves alone what is open here, however long, and what was interrupted', async () => {
    const request = openRequest({ to: 2n, from: 1n });
    const backup = await service.open(request);
    await service.sendParts(backup, [part(0)]);
    service.clock.pass(400 * DAY);
    assert.equal(await sweep(), 'done: ');
    const { segments } = await service.resume(backup);
    assert.equal(segments, 1);
  });

  it('leaves alone what another service has notes on, and notes that it cannot read', async () => {
    const [noted, strange] = [await orphan(1), await orphan(2)];
    const request = openRequest({ to: 2n });
    const note = {
      format: 1,
      backup: noted,
      service: 'another',
      token: 'agent',
      opened: '2023-11-14T22:13:20.000Z',
      writer: request.writer,
      request,
      attributes: null,
      parts: [],
    };
    await put(`uploads/${noted}/${someBackup(5)}.json`, JSON.stringify(note));
    await put(`uploads/${strange}/${someBackup(6)}.json`, '{');
    assert.equal(await sweep(), 'done: ');
    assert.equal(await left(), 3);
  });

  it('leaves alone what has a manifest that the index does not know', async () => {
    const backup = await orphan(1);
    await put(`backups/0000000000000009/${backup}.json`, 'not a manifest');
    assert.equal(await sweep(), 'done: ');
    assert.equal(await left(), 2);
  });

  it('that is cut off at any call of the store goes on in its next run', async () => {
    for (let survived = 0; survived < 40; survived++) {
      await orphan(1);
      await orphan(2);
      const last = service.faults.calls + survived;
      service.faults.decide = ({ number }) => (number > last ? { when: 'before', error: gone() } : undefined);
      await sweep();
      service.faults.heal();
      // A lease that could not be given back runs out; this service may take its own.
      assert.match(await sweep(), /^done: /);
      assert.deepEqual([await left(), await service.verifies()], [1, 1], `after ${survived} calls`);
    }
  });
});
