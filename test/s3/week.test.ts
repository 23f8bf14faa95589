/**
 * A week of a schedule on a simulated clock, with a real bucket: the week in which Berlin's clocks are set back.
 *
 * The clock of a signature cannot be simulated, so objects are put with the service's own keys, not by grants:
 * these have their tests in road.test.ts.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { openRepository } from '../../catalog/repository/repository.ts';
import { digestOf } from '../../catalog/repository/store/body.ts';
import type { S3Location } from '../../catalog/repository/store/location.ts';
import { S3Store } from '../../catalog/repository/store/s3-store.ts';
import type { Grant, ObjectStore } from '../../catalog/repository/store/store.ts';
import { verifyRepository } from '../../catalog/repository/verify.ts';
import { History, policyOf } from '../server/history/history.ts';
import type { Line } from '../server/history/hosts.ts';
import { MortalService } from '../server/history/mortal-service.ts';
import { makeBucket } from './buckets.ts';
import { type Ceph, startCeph } from './ceph.ts';

const HOUR = 3_600_000;
const ZONE = 'Europe/Berlin';
/** Monday 00:00 in Berlin; on the Sunday that follows, the hour from two to three comes twice. */
const MONDAY = Date.parse('2027-10-25T00:00:00+02:00');
/** Each with its first hour and the first of the next. */
const DAYS = [
  ['Monday', 0, 24],
  ['Tuesday', 24, 48],
  ['Wednesday', 48, 72],
  ['Thursday', 72, 96],
  ['Friday', 96, 120],
  ['Saturday', 120, 144],
  ['Sunday, of 25 hours', 144, 169],
] as const;
/** Each is backed up every hour, every second one, and so on. */
const DATASETS = 4;

class BucketService extends MortalService {
  readonly #location: S3Location;
  readonly #plain: S3Store;

  constructor(location: S3Location) {
    super('[prune]\ngrace = "24h"\n[sweep]\ngrace = "24h"\n');
    this.#location = location;
    this.#plain = new S3Store(location);
  }

  protected override makeStore(): ObjectStore {
    return new S3Store(this.#location);
  }

  override plainStore(): ObjectStore {
    return this.#plain;
  }

  override async put(_grant: Grant, { key, body }: { readonly key: string; readonly body: Buffer }) {
    await this.#plain.put(key, body, { sha256: digestOf(body), ifAbsent: true });
  }

  override async end(): Promise<void> {
    await super.end();
    await this.#plain.close();
  }
}

describe('a week with a bucket of Ceph RGW', () => {
  let ceph: Ceph;
  let service: BucketService;
  let history: History;
  before(async () => {
    ceph = await startCeph();
    service = new BucketService(await makeBucket(ceph));
    service.clock.pass(MONDAY - service.clock.now());
    await service.start();
    history = new History(service, DATASETS);
    const keep = { last: 2, hourly: 12, daily: 5, weekly: 2 };
    await history.setPolicy(policyOf('week', '**', keep, ZONE, 12));
    await history.setPolicy(policyOf('nightly', 'tank/d3', { daily: 3, within: '6h' }, ZONE));
  });
  after(async () => {
    await service?.end();
    await ceph?.stop();
  });

  let snapshots = 0;
  /** Backups that go on from those of a pool that is no more, as met at the ends of days. */
  let moved = 0;
  for (const [day, first, next] of DAYS) {
    it(`goes by, hour by hour, with all that happens to pools: ${day}`, async ({ signal }) => {
      for (let hour = first; hour < next; hour++) {
        signal.throwIfAborted();
        await happens(history, hour);
        for (const line of history.hosts.lines) {
          if (hour % (line.id + 1) !== 0) continue;
          await history.backUp(line);
          snapshots += 1;
          tidy(line);
        }
        await history.run('prune');
        if (hour % 6 === 5) for (const job of ['verify', 'copy', 'sweep'] as const) await history.run(job);
        service.clock.pass(MONDAY + (hour + 1) * HOUR - service.clock.now());
      }
      await history.truth.holds();
      moved += await history.truth.countMoved();
    });
  }

  it('ends with exactly what the policies say, each point restored byte for byte', async (context) => {
    const { truth } = history;
    assert.ok(snapshots > 300, `${snapshots} snapshots`);
    assert.ok(moved > 0, 'a pool that was moved goes on in the same chain');
    // Nothing is made any more: what was marked goes when its grace is over.
    for (let turn = 0; turn < 3; turn++) {
      await history.run('prune');
      service.clock.pass(25 * HOUR);
    }
    await history.run('prune');
    await history.run('sweep');
    assert.ok(truth.removed > 100, `${truth.removed} were removed`);
    const { listed, wanted } = await truth.keepsExactly();
    assert.ok(wanted > 20 && listed >= wanted, `${listed} are listed, ${wanted} wanted`);
    context.diagnostic(
      `${snapshots} snapshots, ${truth.removed} removed, ${listed} listed, ${wanted} of them wanted`,
    );
    const before = truth.compared;
    await truth.holds();
    assert.ok(truth.compared - before >= listed, 'all were compared');
    await truth.hasNoOrphans();
  });

  it('is proven to the last byte', async () => {
    await history.run('verify');
    assert.deepEqual(await history.truth.knownDamage(), []);
    const repository = await openRepository(service.plainStore());
    const { problems, backups } = await verifyRepository(repository, { deep: true });
    assert.deepEqual(problems, []);
    assert.equal(backups, (await history.truth.listed()).length);
  });

  it('is known again by a service that starts from nothing', async () => {
    const { truth, hosts } = history;
    await service.running.journal.flush();
    const known = await truth.dump();
    await service.loseState();
    const found = await truth.dump();
    assert.deepEqual(without(known, found), [], 'nothing is lost');
    // It makes tokens of its own, and notes that.
    const more = without(found, known).filter((line) => !/^{"table":"(journal object|entry)"/.test(line));
    assert.deepEqual(more, [], 'nothing else is new');
    await truth.holds();
    for (const line of hosts.lines) await history.backUp(line);
    await truth.holds();
  });
});

function without(lines: readonly string[], known: readonly string[]): string[] {
  const gone = new Set(known);
  return lines.filter((line) => !gone.has(line));
}

/** As an agent tidies: of old snapshots only the bookmarks are left. */
function tidy(line: Line): void {
  line.snapshots.splice(0, Math.max(0, line.snapshots.length - 3));
}

/** What else happens in an hour. */
async function happens(history: History, hour: number): Promise<void> {
  const { hosts, service } = history;
  const line = hosts.line(Math.floor(hour / 5));
  const isEach = (hours: number) => hour % hours === hours - 1;
  if (isEach(29)) hosts.rename(line);
  if (isEach(23)) hosts.rollback(line, 1);
  if (isEach(17)) line.snapshots.splice(0, 2);
  if (isEach(19)) line.bookmarks.pop();
  if (isEach(31)) await history.backUp(line, null, 'sent');
  if (isEach(37)) {
    line.snapshots = [];
    line.bookmarks = [];
  }
  // Nothing links what comes then to what was: the next backup is a full one, under another name.
  if (isEach(41)) {
    hosts.rename(line);
    line.snapshots = [];
    line.bookmarks = [];
  }
  if (isEach(63)) await history.move(line, 0);
  if (isEach(47)) await service.restart();
  if (isEach(73)) await service.loseIndex();
  if (isEach(89)) await service.loseState();
}
