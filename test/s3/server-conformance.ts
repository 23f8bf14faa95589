/** What every S3 server must show zkeep, beyond what every object store must. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { digestOf } from '../../catalog/repository/store/body.ts';
import { S3Granter } from '../../catalog/repository/store/s3-grants.ts';
import { S3Store } from '../../catalog/repository/store/s3-store.ts';
import type { StoreAbilities } from '../../catalog/repository/store/store.ts';
import { putByGrant } from '../../catalog/repository/store/transfer.ts';
import { failure, putText } from '../catalog/repository/store/conformance.ts';
import { fetchByAws } from './aws-command.ts';
import { makeBucket } from './buckets.ts';
import type { S3Server } from './daemons.ts';

/**
 * @param serverNow the server, once it runs.
 * @param hides it denies a stranger also what concerns objects that are not there.
 */
export function serverConformance(
  name: string,
  serverNow: () => S3Server,
  { abilities, hides }: { readonly abilities: StoreAbilities; readonly hides: boolean },
): void {
  describe(name, () => {
    it('denies who has no right, a wrong secret and a wrong clock, in words', async (t) => {
      const server = serverNow();
      const location = await makeBucket(server);
      const stranger = new S3Store({ ...location, ...server.other }, { abilities });
      const forger = new S3Store({ ...location, secret_access_key: 'wrong' }, { abilities });
      const owner = new S3Store(location, { abilities });
      t.after(() => Promise.all([stranger.close(), forger.close(), owner.close()]));
      const denied = failure('denied', 'store.denied');
      if (!hides) await putText(owner, 'key', 'private');
      for (const store of [stranger, forger]) {
        await assert.rejects(putText(store, 'key', 'x'), denied);
        await assert.rejects(store.get('key', { maxBytes: 9 }), denied);
        if (!hides) continue;
        await assert.rejects(store.stat('key'), denied);
        await assert.rejects(store.list('').next(), denied);
      }
      t.mock.timers.enable({ apis: ['Date'], now: Date.now() + 60 * 60_000 });
      for (let turn = 0; turn < 2; turn++)
        await assert.rejects(putText(owner, 'key', 'x'), failure('denied', 'store.clock'));
    });

    for (const prefix of ['', 'a/b/']) {
      it(`gives the AWS command line the same objects, ${prefix ? 'below a prefix' : 'at the top'}`, async (t) => {
        const bucket = await makeBucket(serverNow());
        const location = prefix ? { ...bucket, prefix: prefix.slice(0, -1) } : bucket;
        const store = new S3Store(location);
        t.after(() => store.close());
        const large = randomBytes(3_000_000);
        await putText(store, 'zkeep.json', '{}', true);
        const grant = await new S3Granter(store).grantPut('segments/1', large.length, digestOf(large));
        await putByGrant(grant, large);
        const found = await fetchByAws(location);
        assert.deepEqual([...found.keys()], [`${prefix}segments/1`, `${prefix}zkeep.json`]);
        assert.equal(String(found.get(`${prefix}zkeep.json`)), '{}');
        assert.ok(found.get(`${prefix}segments/1`)?.equals(large));
      });
    }
  });
}
