/**
 * The service dies at every single step that it takes in the store: what is
 * left verifies, and the next run goes on from there.
 */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { AttributesAnswerSchema } from '../../../catalog/protocol/pages.ts';
import { BackupSummarySchema } from '../../../catalog/protocol/protocol.ts';
import type { BackupId } from '../../../catalog/words.ts';
import { gone } from '../fixture/faulty-store.ts';
import { TestService } from '../fixture/running-service.ts';
import { commitRequest, openRequest, someAttributes } from '../fixture/samples.ts';

const REQUEST = openRequest({ to: 2n, from: 1n });

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
