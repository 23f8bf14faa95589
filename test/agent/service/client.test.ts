/** The calls of the client against the real service: what a writer asks from opening to commit, and who may. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { ServiceClient } from '../../../agent/service/client.ts';
import type { Part, Writing } from '../../../catalog/protocol/protocol.ts';
import { putByGrant } from '../../../catalog/repository/store/transfer.ts';
import { TestService } from '../../server/fixture/running-service.ts';
import {
  bodyOf,
  commitRequest,
  FIRST_WRITER,
  openRequest,
  partsOf,
  SECOND_WRITER,
  someAttributes,
} from '../../server/fixture/samples.ts';

const REQUEST = openRequest({ to: 1n });

describe('a client of the service', () => {
  let service: TestService;
  let client: ServiceClient;
  beforeEach(async () => {
    service = await new TestService().start();
    client = new ServiceClient({ url: service.url, token: service.token('agent') });
  });
  afterEach(async () => {
    await client.close();
    await service.end();
  });

  /** Puts what is not stored; gives the numbers of what was. */
  async function put(writing: Writing, parts: readonly Part[]): Promise<number[]> {
    const kept: number[] = [];
    for (const [index, answer] of (await client.writeGrants(writing, parts)).entries()) {
      const { number } = parts[index] ?? assert.fail();
      if ('stored' in answer) kept.push(number);
      else await putByGrant(answer, bodyOf(number));
    }
    return kept;
  }

  it('stores a backup that was cut off and gone on with, sending nothing twice', async () => {
    const parts = partsOf(3);
    const first = await client.open(REQUEST);
    await client.putAttributes(first, someAttributes('pool/mdt0'));
    assert.deepEqual(await put(first, parts.slice(0, 2)), []);
    const [left] = await client.openBackups({ host: 'mds1.example', dataset: 'pool/mdt0' });
    assert.deepEqual([left?.backup, left?.segments, left?.writer], [first.backup, 2, FIRST_WRITER]);
    const offer = await client.resume(first.backup, { writer: SECOND_WRITER, takeover: FIRST_WRITER });
    assert.equal(offer.segments, 2);
    await assert.rejects(client.alive(first), { kind: 'busy', code: 'backup.taken-over' });
    await client.alive(offer);
    assert.deepEqual(await put(offer, parts), [0, 1]);
    const { backup } = await client.commit(offer, {
      ...commitRequest(REQUEST, 3),
      attributes: offer.attributes,
    });
    assert.equal(backup, first.backup);
    assert.equal(await service.verifies(), 1);
    assert.deepEqual(await client.openBackups({}), []);
  });

  it('that was cut off does not end what another one goes on with; whoever names no session does', async () => {
    const first = await client.open(REQUEST);
    const offer = await client.resume(first.backup, { writer: SECOND_WRITER, takeover: FIRST_WRITER });
    await assert.rejects(client.abandon(first), { code: 'backup.taken-over' });
    await client.alive(offer);
    await client.abandon({ backup: first.backup });
    await client.abandon(offer);
    await assert.rejects(client.resume(first.backup, { writer: SECOND_WRITER, takeover: null }), {
      kind: 'missing',
      code: 'backup.not-open',
    });
  });
});
