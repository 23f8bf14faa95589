/** What every store lists, and which keys it takes: a part of the contract of conformance.ts. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { MAX_KEY } from '../../../../catalog/repository/store/key.ts';
import type { ObjectFacts, ObjectStore } from '../../../../catalog/repository/store/store.ts';
import { factsUnder, failure, forEachOf, keysUnder, putText, textOf } from './conformance.ts';

export function listing(subject: () => ObjectStore): void {
  it('lists in the order of the UTF-8 bytes of the keys, folders among files', async () => {
    const names = [
      'a-b',
      'a/b',
      'a/b.c',
      'a/bc/d',
      'a.b',
      'a0',
      'A',
      'aa/x',
      '_',
      '0/1',
      '-',
      'Z/z',
      'a_b',
      'z',
    ];
    const keys = names.map((name) => `order/${name}`);
    await forEachOf(keys, (key) => putText(subject(), key, key));
    const sorted = keys.toSorted((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)));
    const listed = await factsUnder(subject(), 'order/');
    assert.deepEqual(
      listed.map(({ key, size }) => [key, size]),
      sorted.map((key) => [key, key.length]),
    );
    assert.ok(listed.every(({ modified }) => Math.abs(modified - Date.now()) < 5 * 60_000));
  });

  it('takes the prefix as the beginning of keys, not as a folder', async () => {
    const keys = ['begin/a/1', 'begin/a/2', 'begin/ab/1', 'begin/b', 'beginning'];
    await forEachOf(keys, (key) => putText(subject(), key, ''));
    assert.deepEqual(await keysUnder(subject(), 'begin/a'), ['begin/a/1', 'begin/a/2', 'begin/ab/1']);
    assert.deepEqual(await keysUnder(subject(), 'begin/a/'), ['begin/a/1', 'begin/a/2']);
    assert.deepEqual(await keysUnder(subject(), 'begin'), keys);
    assert.deepEqual(await keysUnder(subject(), 'begin/b'), ['begin/b']);
    assert.deepEqual(await keysUnder(subject(), 'begin/b/'), []);
    assert.deepEqual(await keysUnder(subject(), 'begin/c'), []);
    assert.ok((await keysUnder(subject(), '')).includes('begin/ab/1'));
  });

  it('lists more objects than one page of S3 holds', async () => {
    const keys = Array.from(
      { length: 1100 },
      (_, at) => `page/${String(at % 7)}/${String(at).padStart(8, '0')}`,
    );
    await forEachOf(keys, (key) => putText(subject(), key, ''));
    assert.deepEqual(await keysUnder(subject(), 'page/'), keys.toSorted());
  });

  it('begins after a key', async () => {
    const keys = ['after/a', 'after/b/1', 'after/b/2', 'after/c'];
    await forEachOf(keys, (key) => putText(subject(), key, ''));
    const after = async (key: string) => {
      const found: string[] = [];
      for await (const facts of subject().list('after/', undefined, key)) found.push(facts.key);
      return found;
    };
    assert.deepEqual(await after('after/a'), keys.slice(1));
    assert.deepEqual(await after('after/b'), keys.slice(1));
    assert.deepEqual(await after('after/b/1'), keys.slice(2));
    assert.deepEqual(await after('after/bb'), keys.slice(3));
    assert.deepEqual(await after('aft'), keys);
    assert.deepEqual(await after('after/c'), []);
    assert.deepEqual(await after('b'), []);
  });

  it('can be left in the middle', async () => {
    await forEachOf(['leave/1', 'leave/2', 'leave/3'], (key) => putText(subject(), key, ''));
    const seen: ObjectFacts[] = [];
    for await (const facts of subject().list('leave/')) {
      seen.push(facts);
      if (seen.length === 2) break;
    }
    assert.deepEqual(
      seen.map(({ key }) => key),
      ['leave/1', 'leave/2'],
    );
  });
}

export function keys(subject: () => ObjectStore): void {
  it('takes every key of the alphabet', async () => {
    const odd = [
      'k/-',
      'k/_',
      'k/...',
      'k/a..b',
      'k/.hidden',
      'k/-rf',
      'k/CON',
      'k/a.zst.age',
      `k/${'n'.repeat(200)}`,
    ];
    const long = `k/${'a/'.repeat((MAX_KEY - 4) / 2)}zz`;
    assert.equal(long.length, MAX_KEY);
    for (const key of [...odd, long]) {
      await putText(subject(), key, key, true);
      assert.equal(await textOf(subject(), key), key);
      assert.equal((await subject().stat(key))?.key, key);
    }
    assert.deepEqual(await keysUnder(subject(), 'k/'), [...odd, long].toSorted());
    for (const key of [...odd, long]) await subject().delete(key);
    assert.deepEqual(await keysUnder(subject(), 'k/'), []);
  });

  it('refuses what is no key, in every call', async () => {
    const bad = [
      '',
      '/',
      '/a',
      'a/',
      'a//b',
      '.',
      '..',
      '../a',
      'a/../b',
      'a/./b',
      'ä',
      'a b',
      'a\\b',
      'a\0',
      'a\nb',
    ];
    for (const key of [...bad, '~incoming/x', 'a%2e', 'a?b', 'n'.repeat(201), 'a/'.repeat(256).concat('b')]) {
      const refused = failure('usage', 'store.bad-key');
      await assert.rejects(putText(subject(), key, 'x'), refused, key);
      await assert.rejects(subject().get(key, { maxBytes: 1 }), refused, key);
      await assert.rejects(subject().stat(key), refused, key);
      await assert.rejects(subject().delete(key), refused, key);
    }
    for (const prefix of ['/', '../', 'a/../b', 'a//', 'ä'])
      await assert.rejects(keysUnder(subject(), prefix), failure('usage', 'store.bad-key'), prefix);
  });
}
