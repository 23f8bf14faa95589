/** The contract of store.ts as tests: every store must pass them, whatever it is made of. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import type { Clock } from '../../../../catalog/clock.ts';
import { ZkeepError } from '../../../../catalog/errors.ts';
import { digestOf } from '../../../../catalog/repository/store/body.ts';
import type {
  Granter,
  ObjectFacts,
  ObjectStore,
  StoreAbilities,
} from '../../../../catalog/repository/store/store.ts';
import { grantConformance } from './grant-conformance.ts';
import { keys, listing } from './listing-conformance.ts';

/** A store to test, empty. */
export interface OpenedStore {
  readonly store: ObjectStore;
  /** Makes its granter with a clock of the test's; absent when the store has none. */
  readonly granter?: (clock: Clock) => Granter;
  cleanup(): Promise<void>;
}

/** What is known of the store beforehand; `probe()` must find the same. */
export interface Expected {
  readonly abilities: StoreAbilities;
  readonly grants: boolean;
}

/** Registers the suite. The store is opened once; every test works under a prefix of its own. */
export function storeConformance(name: string, open: () => Promise<OpenedStore>, expected: Expected): void {
  describe(`${name} keeps the contract of a store`, () => {
    let opened: OpenedStore;
    before(async () => {
      opened = await open();
    });
    after(() => opened.cleanup());
    const subject = () => opened.store;
    describe('put and get', () => putAndGet(subject));
    describe('conditions', () => conditions(subject, expected.abilities));
    describe('bounds', () => bounds(subject));
    describe('listing', () => listing(subject));
    describe('keys', () => keys(subject));
    it('finds out by trying what the store can do, and leaves nothing behind', async () => {
      assert.deepEqual(await subject().probe(), expected.abilities);
      assert.deepEqual(await keysUnder(subject(), 'probe/'), []);
    });
    if (expected.grants)
      describe('grants', () =>
        grantConformance(() => {
          assert.ok(opened.granter, 'this store has a granter');
          return { store: opened.store, granter: opened.granter };
        }, expected.abilities));
  });
}

/** Puts text, with its true digest. */
export async function putText(
  store: ObjectStore,
  key: string,
  text: string,
  ifAbsent = false,
): Promise<void> {
  await store.put(key, Buffer.from(text), { sha256: digestOf(Buffer.from(text)), ifAbsent });
}

/** The text of a small object. */
export async function textOf(store: ObjectStore, key: string): Promise<string> {
  return (await store.get(key, { maxBytes: 1000 })).toString();
}

/** For `assert.rejects`: a ZkeepError of this kind and code. */
export function failure(kind: string, code: string): (thrown: unknown) => true {
  return (thrown) => {
    assert.ok(thrown instanceof ZkeepError, `not a ZkeepError: ${thrown}`);
    assert.equal(`${thrown.kind} ${thrown.code}`, `${kind} ${code}`, thrown.message);
    assert.ok(thrown.advice, 'says what to do');
    return true;
  };
}

/** Does `work` for each item, a few at a time. */
export async function forEachOf<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const left = [...items];
  const worker = async () => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: 16 }, worker));
}

function putAndGet(subject: () => ObjectStore): void {
  it('gives back what was put', async () => {
    const body = randomBytes(3_000_001);
    await subject().put('put/whole', body, { sha256: digestOf(body) });
    assert.ok((await subject().get('put/whole', { maxBytes: body.length })).equals(body));
  });

  it('puts what it gives into the memory that was offered, where it has room', async () => {
    await putText(subject(), 'put/into', 'an object');
    const memory = new SharedArrayBuffer(20);
    const into = new Uint8Array(memory, 2, 9);
    const given = await subject().get('put/into', { maxBytes: 9, into });
    assert.equal(given.toString(), 'an object');
    assert.ok(given.buffer === memory && given.byteOffset === 2);
    const range = { start: 3, end: 9 };
    assert.equal((await subject().get('put/into', { range, maxBytes: 9, into })).toString(), 'object');
    assert.equal(Buffer.from(into).toString(), 'objectect');
    const elsewhere = await subject().get('put/into', { maxBytes: 9, into: into.subarray(0, 8) });
    assert.equal(elsewhere.toString(), 'an object');
    assert.ok(elsewhere.buffer !== memory);
    assert.deepEqual([...new Uint8Array(memory, 11)], Array(9).fill(0));
  });

  it('keeps an empty object', async () => {
    await putText(subject(), 'put/empty', '');
    assert.equal((await subject().get('put/empty', { maxBytes: 0 })).length, 0);
    assert.equal((await subject().stat('put/empty'))?.size, 0);
  });

  it('keeps exactly the view that was given of a larger buffer', async () => {
    const view = new TextEncoder().encode('before the middle after').subarray(7, 17);
    await subject().put('put/view', view, { sha256: digestOf(view) });
    assert.equal(await textOf(subject(), 'put/view'), 'the middle');
  });

  it('refuses a body that does not match its digest, and leaves nothing', async () => {
    const wrong = { sha256: digestOf(Buffer.from('other')) };
    await assert.rejects(
      subject().put('wrong/new', Buffer.from('bytes'), wrong),
      failure('damaged', 'store.mismatch'),
    );
    await assert.rejects(
      subject().put('wrong/new', Buffer.from('bytes'), { ...wrong, ifAbsent: true }),
      failure('damaged', 'store.mismatch'),
    );
    assert.equal(await subject().stat('wrong/new'), undefined);
    assert.deepEqual(await keysUnder(subject(), 'wrong/'), []);
  });

  it('leaves what was there when the new body does not match its digest', async () => {
    await putText(subject(), 'wrong-old/key', 'old');
    const refused = subject().put('wrong-old/key', Buffer.from('new'), {
      sha256: digestOf(Buffer.from('x')),
    });
    await assert.rejects(refused, failure('damaged', 'store.mismatch'));
    assert.equal(await textOf(subject(), 'wrong-old/key'), 'old');
  });

  it('says that an object is missing, by get and by stat', async () => {
    await assert.rejects(subject().get('not/there', { maxBytes: 10 }), failure('missing', 'store.missing'));
    await assert.rejects(
      subject().get('not/there', { maxBytes: 10, range: { start: 0, end: 1 } }),
      failure('missing', 'store.missing'),
    );
    assert.equal(await subject().stat('not/there'), undefined);
  });

  it('tells size and time of an object', async () => {
    await putText(subject(), 'stat/key', 'seven b');
    const facts = await subject().stat('stat/key');
    assert.equal(facts?.key, 'stat/key');
    assert.equal(facts.size, 7);
    assert.ok(Math.abs(facts.modified - Date.now()) < 5 * 60_000, `modified ${facts.modified}`);
  });

  it('deletes one object and no other, and does not mind when there is none', async () => {
    await putText(subject(), 'delete/a', 'a');
    await putText(subject(), 'delete/ab', 'ab');
    await subject().delete('delete/a');
    await subject().delete('delete/a');
    await subject().delete('delete');
    assert.deepEqual(await keysUnder(subject(), 'delete/'), ['delete/ab']);
    await putText(subject(), 'delete/a', 'again', true);
    assert.equal(await textOf(subject(), 'delete/a'), 'again');
  });

  it('does nothing once the caller has aborted, and gives the reason', async () => {
    const reason = new Error('enough');
    const signal = AbortSignal.abort(reason);
    const body = Buffer.from('x');
    await assert.rejects(subject().put('abort/key', body, { sha256: digestOf(body), signal }), reason);
    await assert.rejects(subject().get('abort/key', { maxBytes: 1, signal }), reason);
    await assert.rejects(subject().stat('abort/key', signal), reason);
    await assert.rejects(factsUnder(subject(), 'abort/', signal), reason);
    await assert.rejects(subject().delete('abort/key', signal), reason);
    assert.equal(await subject().stat('abort/key'), undefined);
  });
}

function conditions(subject: () => ObjectStore, abilities: StoreAbilities): void {
  it('takes the same bytes twice under a condition', async () => {
    await putText(subject(), 'twice/same', 'bytes', true);
    await putText(subject(), 'twice/same', 'bytes', true);
    assert.equal(await textOf(subject(), 'twice/same'), 'bytes');
  });

  it('refuses other bytes under a condition, of the same or another size', async () => {
    await putText(subject(), 'twice/other', 'bytes', true);
    for (const other of ['BYTES', 'more bytes', ''])
      await assert.rejects(
        putText(subject(), 'twice/other', other, true),
        failure('refused', 'store.exists'),
        other,
      );
    assert.equal(await textOf(subject(), 'twice/other'), 'bytes');
  });

  it('replaces an object where no condition is made', async () => {
    await putText(subject(), 'twice/replaced', 'old');
    await putText(subject(), 'twice/replaced', 'new');
    assert.equal(await textOf(subject(), 'twice/replaced'), 'new');
  });

  it('lets many writers of the same bytes all succeed', async () => {
    const writers = Array.from({ length: 8 }, () => putText(subject(), 'race/same', 'the same', true));
    await Promise.all(writers);
    assert.equal(await textOf(subject(), 'race/same'), 'the same');
  });

  if (abilities.conditionalPut)
    it('lets exactly one of several writers win', async () => {
      const texts = Array.from({ length: 8 }, (_, at) => `writer ${at}`);
      const ends = await Promise.allSettled(
        texts.map((text) => putText(subject(), 'race/other', text, true)),
      );
      const winners = texts.filter((_, at) => ends[at]?.status === 'fulfilled');
      assert.deepEqual(winners, [await textOf(subject(), 'race/other')]);
      for (const end of ends) if (end.status === 'rejected') failure('refused', 'store.exists')(end.reason);
    });
}

function bounds(subject: () => ObjectStore): void {
  const TEN = '0123456789';
  const range = (start: number, end: number, maxBytes = 100) =>
    subject().get('bounds/ten', { range: { start, end }, maxBytes });
  before(() => putText(subject(), 'bounds/ten', TEN));

  it('reads a range, its end not included', async () => {
    for (const [start, end] of [
      [0, 1],
      [3, 7],
      [9, 10],
      [0, 10],
    ] as const)
      assert.equal((await range(start, end)).toString(), TEN.slice(start, end));
  });

  it('calls an object that ends before the range damaged', async () => {
    await assert.rejects(range(5, 11), failure('damaged', 'store.short'));
    await assert.rejects(range(10, 11), failure('damaged', 'store.short'));
    await assert.rejects(range(5000, 5001), failure('damaged', 'store.short'));
  });

  it('refuses a range that is none', async () => {
    for (const [start, end] of [
      [3, 3],
      [4, 3],
      [-1, 3],
      [0.5, 3],
    ] as const)
      await assert.rejects(range(start, end), failure('usage', 'store.bad-range'));
  });

  it('reads as many bytes as are allowed, and refuses one more', async () => {
    assert.equal((await subject().get('bounds/ten', { maxBytes: 10 })).length, 10);
    assert.equal((await range(2, 6, 4)).length, 4);
    await assert.rejects(subject().get('bounds/ten', { maxBytes: 9 }), failure('damaged', 'store.too-large'));
    await assert.rejects(range(2, 6, 3), failure('damaged', 'store.too-large'));
  });
}

/** The keys of what is listed. */
export async function keysUnder(store: ObjectStore, prefix: string): Promise<string[]> {
  return (await factsUnder(store, prefix)).map(({ key }) => key);
}

/** All that is listed. */
export async function factsUnder(
  store: ObjectStore,
  prefix: string,
  signal?: AbortSignal,
): Promise<ObjectFacts[]> {
  const found: ObjectFacts[] = [];
  for await (const facts of store.list(prefix, signal)) found.push(facts);
  return found;
}
