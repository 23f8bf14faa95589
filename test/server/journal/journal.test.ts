import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { CatalogIndex } from '../../../catalog/index/catalog-index.ts';
import { readJournal } from '../../../catalog/index/read-journal.ts';
import type { Entry, Fact } from '../../../catalog/journal/entry.ts';
import { newUuid7, parseDigest } from '../../../catalog/words.ts';
import { damaged, marked, pin, policy, proven, removed } from '../../catalog/index/journal/entries.ts';
import { backupId, manifestOf } from '../../catalog/index/manifests.ts';
import { gone } from '../fixture/faulty-store.ts';
import { ManualClock } from '../fixture/manual-clock.ts';
import { JournalHouse } from './journal-house.ts';

let house: JournalHouse;

beforeEach(() => {
  house = new JournalHouse();
  mkdirSync(join(house.folder, 'bucket'));
});
afterEach(() => house.end());

const set = (name: string, last = 7): Fact => ({ kind: 'policy.set', policy: policy(name, last) });
const dumpOf = (index: CatalogIndex) => [...index.dump()];

/** What an index made from the bucket alone says. */
async function rebuilt(): Promise<CatalogIndex> {
  const index = new CatalogIndex(':memory:');
  await readJournal(house.bucket, index);
  return index;
}

async function put(key: string, text: string): Promise<void> {
  const body = Buffer.from(text);
  await house.bucket.put(key, body, { sha256: parseDigest(hash('sha256', body)) });
}

describe('recording a fact', () => {
  it('has it in the bucket and in the index, and tells of it', async () => {
    const { journal, index } = house.writer();
    const told: Entry[] = [];
    const end = journal.onFact((entry) => {
      assert.equal(index.policies().length, 1, 'it is in the index by then');
      told.push(entry);
    });
    await journal.record('alice', set('a'));
    assert.deepEqual(
      told.map(({ by, fact }) => [by, fact.kind]),
      [['alice', 'policy.set']],
    );
    assert.deepEqual(dumpOf(await rebuilt()), dumpOf(index));
    end();
    await journal.record(null, set('b'));
    assert.equal(told.length, 1);
  });

  it('fails when the bucket does not take it, and the index does not know it then', async () => {
    const { journal, index, faults } = house.writer();
    faults.decide = () => ({ when: 'before', error: gone() });
    await assert.rejects(journal.record('alice', set('a')), { code: 'test.gone' });
    assert.deepEqual(index.policies(), []);
    faults.heal();
    await journal.record('alice', set('a'));
    assert.equal(index.policies().length, 1);
  });

  it('whose answer was lost may be true all the same: following finds it', async () => {
    const { journal, index, faults } = house.writer();
    faults.decide = ({ verb }) => (verb === 'putStream' ? { when: 'after', error: gone() } : undefined);
    await assert.rejects(journal.record('alice', set('a')), { code: 'test.gone' });
    faults.heal();
    await journal.follow();
    assert.equal(index.policies().length, 1);
  });

  it('puts what is said later after what was said before, though the clock stands still or goes back', async () => {
    const { journal, index, clock } = house.writer();
    for (let last = 1; last <= 20; last++) await journal.record('alice', set('a', last));
    clock.pass(-3_600_000);
    await journal.record('alice', set('a', 21));
    assert.equal(index.policies()[0]?.keep.last, 21);
    assert.equal((await rebuilt()).policies()[0]?.keep.last, 21);
  });

  it('writes down which datasets it is about, as they are called then', async () => {
    const { journal, index } = house.writer();
    index.add(manifestOf({ number: 1, from: null, to: 1, dataset: 'tank/a' }));
    index.add(manifestOf({ number: 2, from: null, to: 2, dataset: 'tank/b', host: 'beta' }));
    await journal.record(null, marked(1, 2));
    await journal.record('alice', { kind: 'pin.set', pin: pin(1, 2) });
    await journal.record('alice', { kind: 'pin.removed', pin: pin(1, 2).pin, reason: 'over' });
    await journal.record(null, damaged(1), proven(2));
    index.remove([backupId(1), backupId(2)]);
    const kinds = (query: { dataset?: string; host?: string }) =>
      index.events(query).events.map(({ fact }) => fact.kind);
    assert.deepEqual(kinds({ dataset: 'tank/a' }), ['damaged', 'backups.marked']);
    assert.deepEqual(kinds({ host: 'beta' }), ['pin.removed', 'pin.set', 'backups.marked']);
    assert.deepEqual(kinds({ dataset: 'tank/b', host: 'alpha' }), []);
    assert.equal(kinds({}).length, 5);
  });

  it('refuses what nobody could read', async () => {
    const { journal } = house.writer();
    const words = 'x'.repeat(5000);
    const fact: Fact = { kind: 'job.ended', job: 'prune', outcome: 'failed', seconds: 1, words };
    await assert.rejects(journal.record(null, fact), { code: 'journal.unfit' });
    journal.note(null, fact);
    await journal.flush();
    assert.deepEqual(await house.keys(), []);
  });

  it('in great number comes in objects that can be read', async () => {
    const { journal, index } = house.writer();
    await journal.record(null, ...Array.from({ length: 2500 }, (_, number) => damaged(number % 12)));
    assert.equal((await house.keys()).length, 3);
    assert.deepEqual(dumpOf(await rebuilt()), dumpOf(index));
  });

  it('goes on when somebody who was told of it fails', async () => {
    const { journal, index } = house.writer();
    journal.onFact(() => {
      throw new Error('no');
    });
    await journal.record('alice', set('a'), set('b'));
    assert.equal(index.policies().length, 2);
  });
});

describe('noted facts', () => {
  it('are written together; proofs become one entry', async () => {
    const { journal, index } = house.writer();
    for (let number = 0; number < 10; number++) journal.note(null, proven(number));
    journal.note('alice', proven(10));
    journal.note('alice', { kind: 'enrolled', name: 'mds1', host: 'mds1' });
    assert.deepEqual(await house.keys(), []);
    await journal.flush();
    assert.equal((await house.keys()).length, 1);
    const { events } = index.events();
    assert.deepEqual(
      events.map(({ by, fact }) => [by, fact.kind === 'proven' ? fact.proofs.length : fact.kind]),
      [
        ['alice', 'enrolled'],
        ['alice', 1],
        [null, 10],
      ],
    );
  });

  it('keep their place among what is recorded meanwhile', async () => {
    const { journal, index } = house.writer();
    index.add(manifestOf({ number: 1, from: null, to: 1 }));
    journal.note(null, proven(2));
    await journal.record(null, damaged(1));
    journal.note(null, proven(1));
    await journal.record(null, set('a'));
    await journal.flush();
    assert.deepEqual(index.damage(), [], 'the proof came after the damage');
  });

  it('that the bucket does not take wait on disk, and are written later, after a restart too', async () => {
    const first = house.writer('one');
    first.faults.decide = () => ({ when: 'before', error: gone() });
    first.journal.note(null, proven(1));
    await assert.rejects(first.journal.flush(), { code: 'test.gone' });
    first.journal.note(null, proven(2));
    await first.journal.close();
    assert.equal(first.outbox.first(10).length, 2);
    const again = house.writer('one');
    await again.journal.flush();
    assert.deepEqual(
      [again.outbox.first(10).length, again.index.events().events.length, (await house.keys()).length],
      [0, 2, 1],
    );
  });

  it('that were written, but not taken out when the service was killed, are the same the second time', async () => {
    const { journal, index, outbox } = house.writer();
    journal.note('alice', set('a'));
    await journal.flush();
    outbox.add(index.events().events);
    await journal.flush();
    assert.equal(index.events().events.length, 1);
    assert.deepEqual(outbox.first(10), []);
  });

  it('are written when the journal is closed', async () => {
    const { journal } = house.writer();
    journal.note(null, proven(1));
    await journal.close();
    assert.equal((await rebuilt()).events().events.length, 1);
  });
});

describe('following', () => {
  it('takes in what another service wrote, tells of it once, and both indexes are the same', async () => {
    const [one, two] = [house.writer(), house.writer()];
    const told: string[] = [];
    two.journal.onFact(({ fact }) => told.push(fact.kind));
    await one.journal.record('alice', set('a'));
    await two.journal.follow();
    await two.journal.record('bob', set('a', 30), set('b'));
    await one.journal.record('alice', { kind: 'policy.removed', name: 'c' });
    await one.journal.follow();
    await Promise.all([two.journal.follow(), two.journal.follow()]);
    assert.deepEqual(told, ['policy.set', 'policy.set', 'policy.set', 'policy.removed']);
    assert.deepEqual(dumpOf(one.index), dumpOf(two.index));
    assert.deepEqual(
      one.index.policies().map(({ name, keep }) => [name, keep.last]),
      [
        ['a', 30],
        ['b', 7],
      ],
    );
  });

  it('lets what is said last hold, though the clock of who says it is behind', async () => {
    const ahead = new ManualClock(1_800_000_600_000);
    const [one, two] = [house.writer('one', ahead), house.writer('two')];
    await one.journal.record('alice', set('a', 1));
    await two.journal.follow();
    await two.journal.record('bob', set('a', 2));
    await one.journal.follow();
    assert.equal(one.index.policies()[0]?.keep.last, 2);
  });

  it('sees an object that came later than those with greater names', async () => {
    const [one, two] = [house.writer(), house.writer()];
    two.clock.pass(-60_000);
    await one.journal.record('alice', set('a'));
    await one.journal.follow();
    await two.journal.record('bob', set('b'));
    await one.journal.follow();
    assert.equal(one.index.policies().length, 2);
  });

  it('sees at once what a service says whose clock is ahead, however far', async () => {
    const two = house.writer();
    await two.journal.record('bob', set('b'));
    for (const [at, hours] of [5, 24 * 365].entries()) {
      const one = house.writer(`ahead-${at}`, new ManualClock(two.clock.now() + hours * 3_600_000));
      await one.journal.record('alice', set(`a${at}`));
      await two.journal.follow();
      assert.equal(two.index.policies().length, 2 + at);
    }
  });

  it('sees what a service says that is far behind and had not followed, when it looks back so far', async () => {
    const [one, two] = [house.writer(), house.writer()];
    two.clock.pass(-5 * 3_600_000);
    await one.journal.record('alice', set('a'));
    await two.journal.record('bob', set('b'));
    await one.journal.follow({ late: 24 * 3_600_000 });
    assert.equal(one.index.policies().length, 2);
  });

  it('drops from the index what another service removed from the bucket', async () => {
    const [one, two] = [house.writer(), house.writer()];
    two.index.add(manifestOf({ number: 1, from: null, to: 1 }));
    await one.journal.record(null, removed(1));
    await two.journal.follow();
    assert.equal(two.index.backup(backupId(1)), undefined);
  });

  it('fails while the bucket is away, and goes on from there', async () => {
    const [one, two] = [house.writer(), house.writer()];
    await one.journal.record('alice', set('a'));
    two.faults.decide = ({ verb }) => (verb === 'get' ? { when: 'before', error: gone() } : undefined);
    await assert.rejects(two.journal.follow(), { code: 'test.gone' });
    two.faults.heal();
    await two.journal.follow();
    assert.equal(two.index.policies().length, 1);
  });

  it('leaves what cannot be read where it is, and takes in all that can', async () => {
    const [one, two] = [house.writer(), house.writer()];
    const now = one.clock.now();
    const key = (at: number) => `journal/${newUuid7(now + at, new Uint8Array(10))}.json`;
    await one.journal.record('alice', set('a'));
    const [good = ''] = await house.keys();
    const object = JSON.parse((await house.bucket.get(good, { maxBytes: 1e6 })).toString());
    const later = { ...object.entries[0], id: newUuid7(now + 10), fact: { kind: 'not.known.yet', more: 1 } };
    const policyLater = { ...object.entries[0], id: newUuid7(now + 11), fact: set('b') };
    await put(key(1), 'no json');
    await put(key(2), JSON.stringify({ format: 2, entries: [] }));
    await put(key(3), JSON.stringify({ format: 1, service: 'x', entries: [later, policyLater] }));
    await put(key(4), '[]');
    await put('journal/other.txt', 'not ours');
    const { index } = two;
    const first = await readJournal(house.bucket, index);
    assert.deepEqual(
      first.problems.map(({ error }) => [error.kind, error.code]),
      [
        ['damaged', 'journal.malformed'],
        ['refused', 'journal.newer'],
        ['refused', 'journal.newer'],
        ['damaged', 'journal.malformed'],
      ],
    );
    assert.deepEqual(
      index.policies().map(({ name }) => name),
      ['a', 'b'],
    );
    assert.equal((await house.keys()).length, 6, 'nothing was removed');
    assert.equal((await readJournal(house.bucket, index)).objects, 0, 'nothing is read twice');
    await house.bucket.delete(key(1));
    await put(
      key(1),
      JSON.stringify({ format: 1, service: 'x', entries: [{ ...policyLater, fact: set('c') }] }),
    );
    const again = await readJournal(house.bucket, index, { again: true });
    assert.deepEqual([again.objects, again.problems.length], [4, 3], 'what is whole now is read no more');
  });

  it('looks at little of a long journal', async () => {
    const [one, two] = [house.writer(), house.writer()];
    for (let day = 0; day < 50; day++) {
      await one.journal.record('alice', set('a', day));
      one.clock.pass(86_400_000);
    }
    two.clock.pass(50 * 86_400_000);
    await readJournal(house.bucket, two.index);
    await one.journal.record('alice', set('b'));
    let listed = 0;
    const source = {
      get: (...args: Parameters<typeof house.bucket.get>) => house.bucket.get(...args),
      async *list(...args: Parameters<typeof house.bucket.list>) {
        for await (const facts of house.bucket.list(...args)) {
          listed += 1;
          yield facts;
        }
      },
    };
    const now = one.clock.now();
    const { entries } = await readJournal(source, two.index, { since: now - 900_000 });
    assert.deepEqual([entries, listed], [1, 1]);
  });
});
