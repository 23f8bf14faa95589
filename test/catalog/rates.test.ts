import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseRate, rateMeant } from '../../catalog/rates.ts';

describe('a rate', () => {
  it('that is none, or slower than 1 KiB/s, is refused with what to write', () => {
    for (const text of ['', '20', '20 MiB', 'MiB/s', '-1 MiB/s', '1 PiB/s', '20 mib/s', '1,5 MB/s', '0 B/s'])
      assert.throws(() => parseRate(text), { kind: 'usage', code: 'words.rate' }, text);
    assert.equal(rateMeant('1023 B/s'), undefined);
  });

  it('is in bytes a second, by powers of 1024 or 1000, of bytes or bits', () => {
    const read = ['1024 B/s', '20 MiB/s', '1.5MB/s', '100 Mbit/s', '8 kbit/s', '2 GiB/s', ' 1KiB/s '].map(
      rateMeant,
    );
    assert.deepEqual(read, [1024, 20_971_520, 1_500_000, 12_500_000, undefined, 2_147_483_648, 1024]);
  });
});
