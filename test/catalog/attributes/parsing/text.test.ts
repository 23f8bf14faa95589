import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { bytesOfText, textOf, textOfBytes } from '../../../../catalog/attributes/parsing/text.ts';

const bytes = fc.array(
  fc.oneof(fc.nat(255), fc.constantFrom(0xf0, 0x9f, 0x98, 0x80, 0xed, 0xa0, 0xc3, 0xa9)),
);

test('any bytes become text and the same bytes again', () => {
  fc.assert(
    fc.property(bytes, (array) => {
      const buffer = Buffer.from(array);
      assert.deepEqual(bytesOfText(textOfBytes(buffer)), buffer);
    }),
  );
});

test('what is UTF-8 becomes what every other reader makes of it', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      assert.equal(textOfBytes(Buffer.from(text)), Buffer.from(text).toString());
    }),
  );
});

test('bytes that are not UTF-8 stand as U+DC80 to U+DCFF, one each', () => {
  assert.equal(textOfBytes(Buffer.from([0x61, 0xff, 0x80, 0xc3, 0x62])), 'a\udcff\udc80\udcc3b');
  // An over-long form, and half of a pair of UTF-16.
  assert.equal(textOfBytes(Buffer.from([0xc0, 0xaf])), '\udcc0\udcaf');
  assert.equal(textOfBytes(Buffer.from([0xed, 0xa0, 0x80])), '\udced\udca0\udc80');
});

test('an output is read as it was stored, in base64 too', () => {
  const told = { command: ['cat', '/a'], exit: 0 };
  assert.equal(textOf({ ...told, output: 'é', encoding: 'utf8' }), 'é');
  assert.equal(textOf({ ...told, output: '6Q==', encoding: 'base64' }), '\udce9');
});
