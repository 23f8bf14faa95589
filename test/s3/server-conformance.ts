/** What every S3 server must show zkeep, beyond what every object store must. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { pino } from 'pino';
import { ServiceClient } from '../../agent/service/client.ts';
import { Patience } from '../../catalog/patience.ts';
import type { DamageRow, JobState } from '../../catalog/protocol/events.ts';
import type { StoredPart } from '../../catalog/protocol/protocol.ts';
import { segmentKey } from '../../catalog/repository/names.ts';
import { createRepository, openRepository } from '../../catalog/repository/repository.ts';
import { digestOf } from '../../catalog/repository/store/body.ts';
import { S3Granter } from '../../catalog/repository/store/s3-grants.ts';
import { S3Store } from '../../catalog/repository/store/s3-store.ts';
import type { Grant, StoreAbilities } from '../../catalog/repository/store/store.ts';
import { putByGrant } from '../../catalog/repository/store/transfer.ts';
import { verifyRepository } from '../../catalog/repository/verify.ts';
import { buildService } from '../../server/app.ts';
import { parseConfiguration } from '../../server/configuration/configuration.ts';
import { keepStream } from '../catalog/repository/kept.ts';
import { failure, putText } from '../catalog/repository/store/conformance.ts';
import {
  bodyOf,
  commitRequest,
  FIRST_WRITER,
  openRequest,
  part,
  partsOf,
  SECOND_WRITER,
} from '../server/fixture/samples.ts';
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

    it('lets a service there go on with a backup: what is stored is not sent again, whoever sent it', async (t) => {
      const folder = mkdtempSync(join(tmpdir(), 'zkeep-service-'));
      const configuration = parseConfiguration('listen = "127.0.0.1:0"', 'server.toml', { data: folder });
      const location = { ...(await makeBucket(serverNow())), prefix: 'kept' };
      const start = async () => {
        const store = new S3Store(location, { abilities });
        const service = await buildService({ configuration, store, logger: pino({ level: 'silent' }) });
        return { service, url: await service.listen() };
      };
      let { service, url } = await start();
      const token = service.tokens.add('agent', 'agent');
      const patience = new Patience({ limit: 0 });
      let client = new ServiceClient({ url, token, patience });
      t.after(async () => {
        await client.close();
        await service.close();
        rmSync(folder, { recursive: true });
      });

      const request = openRequest({ to: 1n });
      const [a, b, c] = partsOf(3);
      const first = await client.open(request);
      const [one, two] = await client.writeGrants(
        first,
        [a, b].map((part) => part ?? assert.fail()),
      );
      await putByGrant(grantOf(one), bodyOf(0));

      await client.close();
      await service.close();
      ({ service, url } = await start());
      client = new ServiceClient({ url, token, patience });
      const offer = await client.resume(first.backup, { writer: SECOND_WRITER, takeover: FIRST_WRITER });
      assert.deepEqual([offer.segments, offer.stored], [1, bodyOf(0).length]);

      // Encrypted anew, the second part has other bytes; and then the first writer's arrives after all.
      const anew = part(1, 'anew');
      const [mine] = await client.writeGrants(offer, [anew]);
      await putByGrant(grantOf(two), bodyOf(1));
      if (abilities.conditionalPut) {
        await assert.rejects(
          putByGrant(grantOf(mine), bodyOf(1, 'anew')),
          failure('refused', 'store.exists'),
        );
      }
      assert.deepEqual(await client.writeGrants(offer, [anew]), [{ stored: true }]);
      const [last] = await client.writeGrants(offer, [c ?? assert.fail()]);
      await putByGrant(grantOf(last), bodyOf(2));
      assert.deepEqual(await client.writeGrants(offer, [c ?? assert.fail()]), [{ stored: true }]);

      if (abilities.conditionalPut) {
        await client.commit(offer, commitRequest(request, 3));
        const repository = await openRepository(new S3Store(location, { abilities }));
        const { segments } = await repository.manifest(request.to.guid, first.backup);
        assert.deepEqual(segments[1], b?.segment);
        const { backups, problems } = await verifyRepository(repository, { deep: false });
        assert.deepEqual([backups, problems], [1, []]);
        await repository.store.close();
      } else {
        const grantAlive = failure('unavailable', 'grant.alive');
        await assert.rejects(client.commit(offer, commitRequest(request, 3)), grantAlive);
        await client.abandon(offer);
      }
    });

    for (const checksums of ['required', 'supported'] as const) {
      it(`lets a service there prove what it keeps, and find what was replaced or removed, checksums ${checksums}`, async (t) => {
        const folder = mkdtempSync(join(tmpdir(), 'zkeep-service-'));
        const location = { ...(await makeBucket(serverNow())), prefix: 'kept', checksums };
        const own = new S3Store(location, { abilities });
        const repository = await createRepository(own, { recipients: [] });
        const keep = async (toGuid: bigint) =>
          (await keepStream(repository, { toGuid, blocks: [randomBytes(131_072)] })).manifest;
        const [whole, replaced, removed] = [await keep(1n), await keep(2n), await keep(3n)];
        const settings = 'listen = "127.0.0.1:0"\n[verify]\nlight = "0"\ndeep = "0"\n';
        const configuration = parseConfiguration(settings, 'server.toml', { data: folder });
        const service = await buildService({
          configuration,
          store: new S3Store(location, { abilities }),
          logger: pino({ level: 'silent' }),
        });
        t.after(async () => {
          await service.close();
          await own.close();
          rmSync(folder, { recursive: true });
        });
        const token = service.tokens.add('alice', 'operator');
        const ask = async (method: 'GET' | 'POST', url: string): Promise<unknown> => {
          const headers = { authorization: `Bearer ${token}` };
          return JSON.parse((await service.app.inject({ method, url, headers })).body);
        };
        const verify = async (): Promise<JobState> => {
          await ask('POST', '/v1/jobs/verify');
          const state = async () =>
            ((await ask('GET', '/v1/jobs')) as { jobs: JobState[] }).jobs.find(({ job }) => job === 'verify');
          for (let left = 1000; left > 0; left--) {
            const found = await state();
            if (found?.last && !found.running) return found;
            await setTimeout(50);
          }
          assert.fail('verify does not end');
        };
        const damaged = async () =>
          ((await ask('GET', '/v1/damage')) as { damage: DamageRow[] }).damage.map(({ backup }) => backup);

        assert.match((await verify()).last?.words ?? '', /^3 light proofs .*3 deep proofs/);
        assert.deepEqual(await damaged(), []);
        const spoilt = Buffer.from(await repository.segment(replaced, 0));
        spoilt[1000] = (spoilt[1000] ?? 0) ^ 1;
        await own.put(segmentKey(replaced.backup, 0, false), spoilt, { sha256: digestOf(spoilt) });
        await own.delete(segmentKey(removed.backup, 0, false));
        assert.equal((await verify()).last?.outcome, 'done');
        assert.deepEqual(await damaged(), [replaced.backup, removed.backup].sort());
        assert.ok(!(await damaged()).includes(whole.backup));
      });
    }
  });
}

function grantOf(answer: Grant | StoredPart | undefined): Grant {
  return answer && 'url' in answer ? answer : assert.fail('there is no grant');
}
