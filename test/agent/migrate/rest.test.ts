import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkBegin, checkedRest } from '../../../agent/migrate/rest.ts';
import { ZkeepError } from '../../../catalog/errors.ts';
import { FEATURES, type FeatureName } from '../../../catalog/stream/features.ts';
import { decodeToken, encodeToken } from '../../../catalog/stream/resuming/token.ts';
import type { Begin } from '../../../catalog/stream/state.ts';
import { guidOf } from '../../../catalog/words.ts';
import { RECORDED, restOf } from './rest-of.ts';

async function passed(stream: Uint8Array, token: string, piece = 100_000): Promise<Buffer> {
  const found: Uint8Array[] = [];
  for await (const bytes of checkedRest(pieces(stream, piece), token)) found.push(bytes);
  return Buffer.concat(found);
}

async function* pieces(stream: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < stream.length; at += size) yield stream.subarray(at, at + size);
}

const hasCode = (code: string) => (thrown: unknown) => thrown instanceof ZkeepError && thrown.code === code;

describe('the rest of an interrupted stream', () => {
  for (const name of RECORDED) {
    it(`is passed on as it is: ${name}`, async () => {
      const { rest, token } = restOf(name);
      assert.ok((await passed(rest, token)).equals(rest));
    });
  }

  it('is passed on whole in pieces smaller than a header', async () => {
    const { rest, token } = restOf('incr-i-a-b');
    assert.ok((await passed(rest, token, 100)).equals(rest));
  });

  it('is refused before its first byte where the token was of another stream', async () => {
    const { rest, token } = restOf('raw-w');
    const told = decodeToken(token);
    const others = [
      { ...told, toguid: guidOf(1n) },
      { ...told, fromguid: guidOf(1n) },
      { ...told, raw: false },
      { ...told, compressed: !told.compressed },
      { ...told, embedded: !told.embedded },
      { ...told, largeBlocks: !told.largeBlocks },
      { ...told, redactSnaps: [1n] },
      { ...told, object: 0n, offset: 0n },
    ];
    for (const other of others) {
      const checked = checkedRest(pieces(rest, 100), encodeToken(other));
      await assert.rejects(checked.next(), hasCode('migrate.other-rest'), JSON.stringify(other, String));
    }
  });

  it('is refused where the token cannot be read: nothing could be checked', async () => {
    await assert.rejects(passed(restOf('full').rest, '1-token'), hasCode('migrate.token'));
  });

  it('is refused with one flipped bit anywhere, or cut off', async () => {
    const { rest, token } = restOf('incr-i-a-b');
    for (const at of [400, rest.length >> 1, rest.length - 10]) {
      const spoilt = Buffer.from(rest);
      spoilt.writeUInt8(spoilt.readUInt8(at) ^ 1, at);
      await assert.rejects(passed(spoilt, token), { kind: 'damaged' }, `at ${at}`);
    }
    await assert.rejects(passed(rest.subarray(0, -400), token), { kind: 'damaged' });
  });

  it('says what differs', () => {
    const { token } = restOf('full');
    const bits = (...names: FeatureName[]) =>
      names.reduce((sum, name) => sum | (1n << BigInt(FEATURES[name].bit)), 0n).toString(16);
    const begin = { ...restOf('full').begin, features: bits('RESUMING', 'RAW') } as Begin;
    assert.throws(() => checkBegin(begin, decodeToken(token)), {
      message: /\(.*raw: true instead of false\)/,
    });
  });
});
