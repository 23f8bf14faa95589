/** What a grant allows and what it does not, enforced by the store itself and not by our own code. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { it } from 'node:test';
import { request } from 'undici';
import { type Clock, systemClock } from '../../../../catalog/clock.ts';
import { digestOf } from '../../../../catalog/repository/store/body.ts';
import type {
  Grant,
  Granter,
  ObjectStore,
  StoreAbilities,
} from '../../../../catalog/repository/store/store.ts';
import { getByGrant, putByGrant } from '../../../../catalog/repository/store/transfer.ts';
import { failure, putText, textOf } from './conformance.ts';

/** A store with what makes its granter. */
export interface Grantable {
  readonly store: ObjectStore;
  readonly granter: (clock: Clock) => Granter;
}

const RIGHT = Buffer.from('the right bytes');

export function grantConformance(subject: () => Grantable, { conditionalPut }: StoreAbilities): void {
  const granter = (clock = systemClock) => subject().granter(clock);
  const grantRight = (key: string) => granter().grantPut(key, RIGHT.length, digestOf(RIGHT));
  const nothingAt = async (key: string) => assert.equal(await subject().store.stat(key), undefined, key);

  it('writes and reads what was granted', async () => {
    await putByGrant(await grantRight('grant/right'), RIGHT);
    assert.equal(await textOf(subject().store, 'grant/right'), RIGHT.toString());
    const back = await getByGrant(await granter().grantGet('grant/right'), { maxBytes: RIGHT.length });
    assert.ok(back.equals(RIGHT));
  });

  it('writes and reads a large body and an empty one', async () => {
    for (const [key, body] of [
      ['grant/large', randomBytes(8_000_001)],
      ['grant/empty', Buffer.alloc(0)],
    ] as const) {
      await putByGrant(await granter().grantPut(key, body.length, digestOf(body)), body);
      const back = await getByGrant(await granter().grantGet(key), { maxBytes: body.length });
      assert.ok(back.equals(body), key);
    }
  });

  it('refuses other bytes of the same size, and stores nothing', async () => {
    const other = Buffer.from('the wrong bytes');
    assert.equal(other.length, RIGHT.length);
    await assert.rejects(
      putByGrant(await grantRight('grant/wrong'), other),
      failure('damaged', 'store.mismatch'),
    );
    await nothingAt('grant/wrong');
  });

  it('refuses another size, whether or not its length is told', async () => {
    for (const body of [Buffer.from('short'), Buffer.concat([RIGHT, RIGHT])]) {
      const grant = await grantRight('grant/size');
      await assert.rejects(putByGrant(grant, body), failure('damaged', 'store.mismatch'));
      assert.notEqual(
        await statusOf(grant, { body, headers: { 'content-length': String(body.length) } }),
        200,
      );
    }
    await nothingAt('grant/size');
  });

  it('refuses another key, another method and a changed header', async () => {
    const grant = await grantRight('grant/bound');
    await putText(subject().store, 'grant/precious', 'precious');
    const elsewhere = { ...grant, url: grant.url.replace('grant/bound', 'grant/precious') };
    assert.equal(await statusOf(elsewhere, { body: RIGHT }), 403);
    assert.equal(
      await statusOf({ ...elsewhere, headers: without(grant, 'content-length') }, { method: 'DELETE' }),
      403,
    );
    assert.equal(
      await statusOf(grant, { body: RIGHT, headers: { 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' } }),
      403,
    );
    assert.equal(await textOf(subject().store, 'grant/precious'), 'precious');
    await nothingAt('grant/bound');
  });

  it('allows reading alone when reading was granted', async () => {
    await putText(subject().store, 'grant/read', 'kept');
    const grant = await granter().grantGet('grant/read');
    assert.equal(await statusOf(grant, { method: 'DELETE' }), 403);
    assert.equal(await statusOf(grant, { method: 'PUT', body: RIGHT }), 403);
    const elsewhere = { ...grant, url: grant.url.replace('grant/read', 'grant/right') };
    assert.equal(await statusOf(elsewhere, { method: 'GET' }), 403);
    assert.equal(await textOf(subject().store, 'grant/read'), 'kept');
  });

  it('is refused after its time, in either way, and says that it has expired', async () => {
    const late = granter({ ...systemClock, now: () => Date.now() - 16 * 60_000 });
    const put = await late.grantPut('grant/late', RIGHT.length, digestOf(RIGHT));
    assert.ok(put.expires < Date.now());
    await assert.rejects(putByGrant(put, RIGHT), failure('unavailable', 'grant.expired'));
    await nothingAt('grant/late');
    await putText(subject().store, 'grant/late-read', 'x');
    const get = await late.grantGet('grant/late-read');
    await assert.rejects(getByGrant(get, { maxBytes: 10 }), failure('unavailable', 'grant.expired'));
  });

  it('says that an object is missing, and that one is larger than expected', async () => {
    const missing = getByGrant(await granter().grantGet('grant/not-there'), { maxBytes: 10 });
    await assert.rejects(missing, failure('missing', 'store.missing'));
    await putText(subject().store, 'grant/long', 'ten bytes!');
    const long = getByGrant(await granter().grantGet('grant/long'), { maxBytes: 9 });
    await assert.rejects(long, failure('damaged', 'store.too-large'));
  });

  if (conditionalPut) {
    it('cannot replace what is there, not even by the grant that wrote it', async () => {
      const grant = await grantRight('grant/once');
      await putByGrant(grant, RIGHT);
      await assert.rejects(putByGrant(grant, RIGHT), failure('refused', 'store.exists'));
      const early = await grantRight('grant/taken');
      await putText(subject().store, 'grant/taken', 'precious');
      await assert.rejects(putByGrant(early, RIGHT), failure('refused', 'store.exists'));
      assert.equal(await textOf(subject().store, 'grant/taken'), 'precious');
    });

    it('is refused when its condition is left out', async () => {
      const grant = await grantRight('grant/condition');
      assert.equal(grant.headers['if-none-match'], '*');
      assert.equal(
        await statusOf({ ...grant, headers: without(grant, 'if-none-match') }, { body: RIGHT }),
        403,
      );
      await nothingAt('grant/condition');
    });
  } else {
    it('is not given at all for a key that is taken', async () => {
      await putText(subject().store, 'grant/taken', 'precious');
      await assert.rejects(grantRight('grant/taken'), failure('refused', 'store.exists'));
    });
  }
}

interface Misuse {
  readonly method?: 'GET' | 'PUT' | 'DELETE';
  readonly headers?: Record<string, string>;
  readonly body?: Buffer;
}

/** Sends a grant otherwise than it was given. */
async function statusOf(
  grant: Grant,
  { method = grant.method, headers = {}, body }: Misuse,
): Promise<number> {
  const answer = await request(grant.url, {
    method,
    headers: { ...grant.headers, ...headers },
    ...(body ? { body } : {}),
  });
  await answer.body.dump();
  return answer.statusCode;
}

function without(grant: Grant, header: string): Record<string, string> {
  return Object.fromEntries(Object.entries(grant.headers).filter(([name]) => name !== header));
}
