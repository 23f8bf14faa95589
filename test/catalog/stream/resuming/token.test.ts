import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { deflateSync, inflateSync } from 'node:zlib';
import fc from 'fast-check';
import { FEATURES } from '../../../../catalog/stream/features.ts';
import type { ByteOrder } from '../../../../catalog/stream/fletcher4.ts';
import { readNvlist } from '../../../../catalog/stream/reading/nvlist.ts';
import {
  decodeToken,
  encodeToken,
  type ResumeToken,
  tokenFor,
} from '../../../../catalog/stream/resuming/token.ts';
import type { Begin, ResumePoint } from '../../../../catalog/stream/state.ts';
import { guidOf, parseGuid } from '../../../../catalog/words.ts';
import { type NativePair, nativeList } from '../native-list.ts';
import { plainFletcher4 } from '../parts.ts';

const output = (name: string) =>
  readFileSync(new URL(`../../../fixtures/outputs/${name}`, import.meta.url), 'utf8');
const RECORDED = output('resume-token.out');

/** The envelope round any bytes. */
function seal(list: Uint8Array, { order = 'little' as ByteOrder, size = list.length, version = 1 } = {}) {
  const packed = deflateSync(list);
  const [sum] = plainFletcher4(packed, order);
  return `${version}-${sum.toString(16)}-${size.toString(16)}-${packed.toString('hex')}`;
}

/** A token as a kernel makes it. */
function kernelToken(token: ResumeToken, order: ByteOrder): string {
  const flags = {
    largeblockok: token.largeBlocks,
    embedok: token.embedded,
    compressok: token.compressed,
    rawok: token.raw,
  };
  const pairs: NativePair[] = [
    ...(token.fromguid ? [['fromguid', 8, BigInt(`0x${token.fromguid}`)] as NativePair] : []),
    ['object', 8, token.object],
    ['offset', 8, token.offset],
    ['bytes', 8, token.bytes],
    ['toguid', 8, BigInt(`0x${token.toguid}`)],
    ['toname', 9, token.toname],
    ...Object.entries(flags).flatMap(([name, is]): NativePair[] => (is ? [[name, 1, true]] : [])),
    ...(token.redactSnaps ? [['redact_snaps', 16, [...token.redactSnaps]] as NativePair] : []),
  ];
  return seal(nativeList(pairs, order), { order });
}

const u64 = fc.bigInt(0n, 2n ** 64n - 1n);
const tokens: fc.Arbitrary<ResumeToken> = fc.record(
  {
    object: u64,
    offset: u64,
    bytes: u64,
    toguid: u64.map(guidOf),
    fromguid: fc.option(fc.bigInt(1n, 2n ** 64n - 1n).map(guidOf)),
    toname: fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 60 })
      .filter(
        (name) =>
          !name.includes('\0') && Buffer.byteLength(name) < 256 && Buffer.from(name).toString() === name,
      ),
    largeBlocks: fc.boolean(),
    embedded: fc.boolean(),
    compressed: fc.boolean(),
    raw: fc.boolean(),
    redactSnaps: fc.option(fc.array(u64, { maxLength: 5 })),
  },
  { noNullPrototype: true },
);
const TOKEN: ResumeToken = {
  object: 5n,
  offset: 131_072n,
  bytes: 0n,
  toguid: parseGuid('fc0b9f160ffb8cbf'),
  fromguid: null,
  toname: 'tank/res@s',
  largeBlocks: false,
  embedded: false,
  compressed: true,
  raw: false,
  redactSnaps: null,
};

describe('a damaged token', () => {
  const refusal = (text: string) => {
    try {
      decodeToken(text);
    } catch (thrown) {
      return (thrown as { kind: string; code: string }).code;
    }
    return 'none';
  };

  it('is refused wherever a digit of it changed', () => {
    const text = RECORDED.trim();
    for (let at = 0; at < text.length; at++) {
      if (text[at] === '-') continue;
      const other = ((Number.parseInt(text[at] ?? '', 16) + 1) % 16).toString(16);
      const code = refusal(text.slice(0, at) + other + text.slice(at + 1));
      // The last two bytes do not fill a word: zlib's own checksum guards them.
      assert.match(code, /^token\.(version|checksum|malformed)$/, `digit ${at}`);
    }
  });

  it('is refused wherever it was cut off, and with anything appended', () => {
    const text = RECORDED.trim();
    for (let at = 0; at < text.length; at++)
      assert.match(refusal(text.slice(0, at)), /^token\./, `cut at ${at}`);
    for (const more of ['0', '00000000', '-', 'x', ' 1'])
      assert.match(refusal(text + more), /^token\./, more);
  });

  it('is refused without effort when it is very long or unpacks to very much', () => {
    assert.equal(refusal(`1-0-b8-${'00'.repeat(40_000)}`), 'token.malformed');
    const bomb = Buffer.alloc(10_000_000);
    assert.equal(refusal(seal(bomb)), 'token.malformed');
    assert.equal(refusal(seal(bomb, { size: 184 })), 'token.malformed');
    assert.equal(refusal(seal(bomb, { size: 0 })), 'token.malformed');
  });

  it('is refused when it does not hold as much as it says', () => {
    const list = nativeList([['object', 8, 1n]], 'little');
    assert.equal(refusal(seal(list, { size: list.length + 8 })), 'token.malformed');
    assert.equal(refusal(seal(list, { size: list.length - 8 })), 'token.malformed');
  });

  it('of another version is told apart', () => {
    assert.throws(() => decodeToken(RECORDED.replace(/^1/, '2')), {
      kind: 'usage',
      code: 'token.version',
      facts: { version: 2 },
    });
  });

  it('names the field that is missing or cannot be', () => {
    const whole: NativePair[] = [
      ['object', 8, 1n],
      ['offset', 8, 2n],
      ['bytes', 8, 3n],
      ['toguid', 8, 4n],
      ['toname', 9, 'a@b'],
    ];
    assert.equal(decodeToken(seal(nativeList(whole, 'little'))).offset, 2n);
    for (const [name] of whole) {
      const without = whole.filter((pair) => pair[0] !== name);
      const text = seal(nativeList(without, 'little'));
      assert.throws(() => decodeToken(text), { kind: 'usage', code: 'token.field', facts: { field: name } });
      const wrong = seal(nativeList([...without, [name, 1, true]], 'little'));
      assert.throws(() => decodeToken(wrong), { code: 'token.field', facts: { field: name } });
    }
    for (const [name, type, value] of [
      ['toname', 9, ''],
      ['toname', 9, 'n'.repeat(256)],
      ['fromguid', 9, '5'],
      ['redact_snaps', 8, 5n],
    ] as const) {
      const text = seal(
        nativeList([...whole.filter(([each]) => each !== name), [name, type, value]], 'little'),
      );
      assert.throws(() => decodeToken(text), { code: 'token.field', facts: { field: name } });
    }
  });

  it('whose list lies about its lengths gives a list or a refusal, never anything else', () => {
    const lists = [
      inflateSync(Buffer.from(RECORDED.trim().split('-')[3] ?? '', 'hex')),
      inflateSync(Buffer.from(encodeToken({ ...TOKEN, redactSnaps: [1n, 2n] }).split('-')[3] ?? '', 'hex')),
    ];
    for (const list of lists) {
      fc.assert(
        fc.property(
          fc.array(fc.tuple(fc.nat(list.length - 1), fc.nat(255)), { maxLength: 4 }),
          fc.nat(list.length),
          (edits, length) => {
            const edited = Buffer.from(list);
            for (const [at, byte] of edits) edited[at] = byte;
            readNvlist(edited);
            readNvlist(edited.subarray(0, length));
          },
        ),
      );
    }
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void readNvlist(bytes)));
  });
});

describe('a resume token', () => {
  it('of a kernel is read as zfs send -nvt reads it', () => {
    const token = decodeToken(RECORDED);
    const said = output('resume-token-decoded.out');
    const value = (name: string) => / = (\S+)/.exec(said.slice(said.indexOf(`\t${name} =`)))?.[1] ?? '';
    assert.deepEqual(token, {
      object: BigInt(value('object')),
      offset: BigInt(value('offset')),
      bytes: BigInt(value('bytes')),
      toguid: parseGuid(value('toguid').slice(2)),
      fromguid: null,
      toname: value('toname'),
      largeBlocks: false,
      embedded: false,
      compressed: false,
      raw: false,
      redactSnaps: null,
    });
  });

  it('is read back as it was written', () => {
    fc.assert(fc.property(tokens, (token) => assert.deepEqual(decodeToken(encodeToken(token)), token)));
  });

  it('of a kernel of either byte order is read', () => {
    fc.assert(
      fc.property(tokens, fc.constantFrom<ByteOrder>('little', 'big'), (token, order) =>
        assert.deepEqual(decodeToken(kernelToken(token, order)), token),
      ),
    );
  });

  it('made by the test as a kernel makes it is to the byte the recorded one', () => {
    const text = RECORDED.trim();
    const list = inflateSync(Buffer.from(text.split('-')[3] ?? '', 'hex'));
    const made = inflateSync(
      Buffer.from(kernelToken(decodeToken(text), 'little').split('-')[3] ?? '', 'hex'),
    );
    assert.deepEqual(made, list);
  });

  it('may hold fields that are not known', () => {
    const list = nativeList(
      [
        ['book_redact_snaps', 16, [1n]],
        ['object', 8, 1n],
        ['offset', 8, 2n],
        ['later', 5, 7n],
        ['bytes', 8, 3n],
        ['toguid', 8, 4n],
        ['toname', 9, 'a@b'],
      ],
      'little',
    );
    assert.equal(decodeToken(seal(list)).toname, 'a@b');
  });

  it('is not written when a value does not fit', () => {
    for (const wrong of [
      { object: 1n << 64n },
      { offset: -1n },
      { toname: '' },
      { toname: 'a\0b' },
      { toname: 'ü'.repeat(128) },
    ]) {
      assert.throws(() => encodeToken({ ...TOKEN, ...wrong }), { kind: 'usage', code: 'token.field' });
    }
  });
});

describe('the token for a stored stream', () => {
  const point = {
    type: 'WRITE',
    object: '5',
    offset: '131072',
    state: { at: 4096 },
  } as unknown as ResumePoint;
  const begin = (...features: (keyof typeof FEATURES)[]): Begin => ({
    order: 'little',
    type: 2,
    flags: 12,
    features: features.reduce((bits, name) => bits | (1n << BigInt(FEATURES[name].bit)), 4n).toString(16),
    toGuid: parseGuid('fc0b9f160ffb8cbf'),
    fromGuid: parseGuid('000000000000002a'),
    toName: 'tank/res@s',
    created: 1,
    payload: 0,
  });

  it('asks for the same kind of stream from the point on, by the name that the snapshot has now', () => {
    assert.deepEqual(decodeToken(tokenFor(begin('COMPRESSED', 'LZ4'), point, 'tank/new@name')), {
      ...TOKEN,
      bytes: 4096n,
      fromguid: '000000000000002a',
      toname: 'tank/new@name',
    });
    const flags = ({ largeBlocks, embedded, compressed, raw }: ResumeToken) => [
      largeBlocks,
      embedded,
      compressed,
      raw,
    ];
    assert.deepEqual(flags(decodeToken(tokenFor(begin('LARGE_BLOCKS', 'EMBED_DATA'), point, 'a@b'))), [
      true,
      true,
      false,
      false,
    ]);
    assert.deepEqual(flags(decodeToken(tokenFor(begin('COMPRESSED', 'RAW'), point, 'a@b'))), [
      false,
      false,
      true,
      true,
    ]);
  });

  it('is not made for a redacted stream', () => {
    assert.throws(() => tokenFor(begin('REDACTED'), point, 'tank/res@s'), {
      kind: 'refused',
      code: 'resume.redacted',
    });
  });
});
