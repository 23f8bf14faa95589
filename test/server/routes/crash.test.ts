/**
 * The service dies at every single step that it takes in the store: what is
 * left verifies, and the next run goes on from there.
 */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { AttributesAnswerSchema, OpenBackupsAnswerSchema } from '../../../catalog/protocol/pages.ts';
import { BackupSummarySchema } from '../../../catalog/protocol/protocol.ts';
import type { BackupId } from '../../../catalog/words.ts';
import { gone } from '../fixture/faulty-store.ts';
import { TestService } from '../fixture/running-service.ts';
import { bodyOf, commitRequest, openRequest, part, partsOf, someAttributes } from '../fixture/samples.ts';

const REQUEST = openRequest({ to: 2n, from: 1n });
const REQUEST_OF_FIRST = openRequest({ to: 1n });

describe('a service that dies', () => {
  let service: TestService;
  beforeEach(async () => {
    service = await new TestService().start();
    await service.backUp(openRequest({ to: 1n }));
  });
  afterEach(() => service.end());

  /** An agent's run from its beginning; gives the id as soon as there is one. */
  async function run(takeover: BackupId | undefined, opened: (backup: BackupId) => void): Promise<void> {
    const request = { ...REQUEST, takeover: takeover ?? null };
    const backup = await service.open(request);
    opened(backup);
    const attributes = { body: someAttributes('pool/mdt0') };
    const { digest } = await service.ask(
      AttributesAnswerSchema,
      'PUT',
      `/v1/backups/${backup}/attributes`,
      attributes,
    );
    await service.send(backup, 2);
    const body = { ...commitRequest(REQUEST, 2), attributes: digest };
    await service.ask(BackupSummarySchema, 'POST', `/v1/backups/${backup}/commit`, { body });
  }

  /** How many calls a run without faults makes. */
  async function callsOfRun(): Promise<number> {
    const before = service.faults.calls;
    await run(undefined, () => {});
    return service.faults.calls - before;
  }

  it('at any call of the store leaves a repository that verifies, and a new run ends well', async () => {
    const calls = await callsOfRun();
    assert(calls >= 7, `${calls} calls`);
    await service.end();
    for (let survived = 0; survived < calls; survived++) {
      for (const when of ['before', 'after'] as const) {
        service = await new TestService().start();
        await service.backUp(openRequest({ to: 1n }));
        const last = service.faults.calls + survived;
        service.faults.decide = ({ number }) => {
          if (number <= last) return undefined;
          return { when: number === last + 1 ? when : 'before', error: gone() };
        };
        let first: BackupId | undefined;
        await run(undefined, (backup) => {
          first = backup;
        }).catch(() => {});
        const place = `${when} call ${survived + 1} of ${calls}`;
        await service.stop();
        const left = await service.verifies();
        service.faults.heal();
        await service.start();
        await run(first, () => {}).catch((thrown: unknown) =>
          assert.match(String(thrown), /backup\.already/, place),
        );
        assert.equal(await service.verifies(), 2, `${place}, of which ${left} before`);
        await service.restart();
        await service.comesToHave('segments/', 4);
        const manifests = await service.keys('backups/0000000000000002/');
        assert.equal(manifests.length, 1, place);
        await service.end();
      }
    }
    service = await new TestService().start();
  });
});

describe('a service that dies while a backup is resumed', () => {
  const COUNT = 3;
  let service: TestService;
  afterEach(() => service.end());

  /** What a first agent leaves: one part stored, one granted, and one stored that the service never saw arrive. */
  async function interrupted(): Promise<BackupId> {
    service = await new TestService().start();
    const backup = await service.open(REQUEST_OF_FIRST);
    await service.sendParts(backup, [part(0)]);
    await service.grant(backup, [part(1)]);
    await service.grant(backup, [part(1, 'anew')]);
    const { store } = await service.repository();
    await store.put(`segments/${backup}/00000001.zst`, bodyOf(1), { sha256: part(1).segment.sha256 });
    return backup;
  }

  /** An agent's run that goes on with what is open; gives how many parts it sent. */
  async function goOn(backup: BackupId, process: number): Promise<number> {
    const { open } = await service.ask(OpenBackupsAnswerSchema, 'GET', '/v1/backups/open');
    const [left] = open;
    if (!left) return 0;
    const writer = { host: 'mds1.example', process };
    const { segments } = await service.resume(backup, { writer, takeover: left.writer });
    const rest = partsOf(COUNT, 'anew').slice(segments);
    if (rest.length > 0) await service.sendParts(backup, rest, 'anew');
    await service.commit(backup, REQUEST_OF_FIRST, COUNT);
    return rest.length;
  }

  it('at any call of the store loses nothing of it, and the next run goes on with the same backup', async () => {
    const whole = await interrupted();
    const first = service.faults.calls;
    assert.equal(await goOn(whole, 2), 1);
    const calls = service.faults.calls - first;
    assert(calls >= 5, `${calls} calls`);
    for (let survived = 0; survived < calls; survived++) {
      for (const when of ['before', 'after'] as const) {
        await service.end();
        const backup = await interrupted();
        const last = service.faults.calls + survived;
        service.faults.decide = ({ number }) => {
          if (number <= last) return undefined;
          return { when: number === last + 1 ? when : 'before', error: gone() };
        };
        await goOn(backup, 2).catch(() => {});
        const place = `${when} call ${survived + 1} of ${calls}`;
        await service.stop();
        service.faults.heal();
        await service.start();
        const sent = await goOn(backup, 3).catch((thrown: unknown) => {
          // It was committed by the one that died, or by the start after it.
          assert.match(String(thrown), /backup\.committed/, place);
          return 0;
        });
        assert(sent <= 1, `${place}: ${sent} parts were sent again`);
        assert.equal(await service.verifies(), 1, place);
        const [manifest = ''] = await service.keys('backups/');
        assert(manifest.endsWith(`${backup}.json`), `${place}: ${manifest}`);
        assert.equal((await service.keys('segments/')).length, COUNT, place);
      }
    }
  });
});
