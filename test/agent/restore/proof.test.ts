import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type ProofQuestion, proofOf } from '../../../agent/restore/proof.ts';
import type { ObjectAttributes, Property } from '../../../catalog/attributes/attributes.ts';

const local = (value: string): Property => ({ value, source: 'local' });
const fallback = (value: string): Property => ({ value, source: 'default' });
const received = (value: string): Property => ({ value, source: 'received', received: value });
const inherited = (value: string, from: string): Property => ({ value, source: 'inherited', from });

type Properties = Record<string, Property>;

function prove(stored: Properties, found: Properties, more: Partial<ProofQuestion> = {}) {
  const objectsOf = (properties: Properties) =>
    new Map<string, ObjectAttributes>([['new/a', { name: 'new/a', kind: 'filesystem', properties }]]);
  const question = { skipped: [], there: '2.3.9', here: '2.3.9', ...more };
  return proofOf({ stored: objectsOf(stored), found: objectsOf(found), ...question });
}

const matters = (differences: ReturnType<typeof prove>) =>
  differences.map(({ property, matters }) => [property, matters]);

describe('the proof of a restore', () => {
  it('finds nothing where all is as it was, whatever ZFS itself counts and names', () => {
    const stored = { compression: local('off'), used: local('1'), guid: local('2'), 'lab:x': received('y') };
    assert.deepEqual(prove(stored, { ...stored, used: local('9'), guid: local('8') }), []);
  });

  it('fails for a property that was set, and is another, or is no longer local', () => {
    assert.deepEqual(matters(prove({ compression: local('off') }, { compression: fallback('on') })), [
      ['compression', true],
    ]);
    assert.deepEqual(
      matters(prove({ 'lustre:svname': local('MGS') }, { 'lustre:svname': received('MGS') })),
      [['lustre:svname', true]],
    );
    assert.deepEqual(matters(prove({ 'lustre:svname': local('MGS') }, {})), [['lustre:svname', true]]);
  });

  it('fails for what only creation sets, but not for an encryption that the stream did not carry', () => {
    assert.deepEqual(
      matters(prove({ casesensitivity: fallback('mixed') }, { casesensitivity: fallback('sensitive') })),
      [['casesensitivity', true]],
    );
    assert.deepEqual(
      matters(prove({ encryption: fallback('aes-256-gcm') }, { encryption: fallback('off') })),
      [['encryption', false]],
    );
  });

  it('tells of what is inherited from elsewhere, and does not fail for it', () => {
    const [difference] = prove({ compression: inherited('gzip', 'tank') }, { compression: fallback('on') });
    assert.equal(difference?.matters, false);
    assert.match(difference?.why ?? '', /tank/);
    assert.deepEqual(
      prove({ compression: inherited('gzip', 'tank') }, { compression: inherited('gzip', 'new') }),
      [],
    );
    assert.deepEqual(prove({ compression: fallback('on') }, { compression: inherited('on', 'new') }), []);
  });

  it('tells of a received value that had to be set', () => {
    assert.deepEqual(matters(prove({ atime: received('off') }, { atime: local('off') })), [['atime', false]]);
    assert.deepEqual(matters(prove({ atime: received('off') }, { atime: fallback('on') })), [
      ['atime', true],
    ]);
  });

  it('gives the reason for what was left out', () => {
    const skipped = [{ name: 'new/a', property: 'mountpoint', reason: 'not asked for', matters: false }];
    const [difference] = prove(
      { mountpoint: local('/home') },
      { mountpoint: fallback('/new/a') },
      { skipped },
    );
    assert.deepEqual([difference?.why, difference?.matters], ['not asked for', false]);
  });

  it('takes xattr=on of OpenZFS 2.3 and sa of one before for the same', () => {
    assert.deepEqual(prove({ xattr: local('on') }, { xattr: local('sa') }, { here: '2.2.7' }), []);
    assert.deepEqual(matters(prove({ xattr: local('on') }, { xattr: local('on') }, { here: '2.2.7' })), [
      ['xattr', true],
    ]);
  });

  it('fails for a snapshot that is not there', () => {
    const stored = new Map<string, ObjectAttributes>([
      ['new/a@b', { name: 'new/a@b', kind: 'snapshot', properties: {} }],
    ]);
    const [difference] = proofOf({ stored, found: new Map(), skipped: [], there: null, here: null });
    assert.equal(difference?.matters, true);
  });

  it('finds any change of any property that somebody set', () => {
    const text = fc.string({ minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(
        fc.constantFrom('lab:x', 'compression', 'quota', 'recordsize'),
        text,
        text,
        (property, one, other) => {
          fc.pre(one !== other);
          assert.deepEqual(matters(prove({ [property]: local(one) }, { [property]: local(other) })), [
            [property, true],
          ]);
        },
      ),
    );
  });
});
