import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { carriedInPackage } from '../../../catalog/attributes/received.ts';

const carried = (property: string, value: string) =>
  carriedInPackage(new Map([[property, value]])).properties.get(property);

/** What `zfs send -p` of OpenZFS 2.3.9 wrote for each. */
const SEEN: readonly [string, string, bigint][] = [
  ['checksum', 'fletcher4', 7n],
  ['checksum', 'sha512', 11n],
  ['checksum', 'blake3', 14n],
  ['compression', 'on', 1n],
  ['compression', 'off', 2n],
  ['compression', 'gzip', 10n],
  ['compression', 'gzip-1', 5n],
  ['compression', 'gzip-9', 13n],
  ['compression', 'lz4', 15n],
  ['compression', 'zstd', 16n],
  ['compression', 'zstd-3', 0x190n],
  ['compression', 'zstd-5', 0x290n],
  ['dnodesize', 'auto', 1n],
  ['aclinherit', 'restricted', 4n],
  ['aclinherit', 'passthrough-x', 5n],
  ['aclmode', 'restricted', 4n],
  ['redundant_metadata', 'none', 3n],
  ['snapdir', 'disabled', 2n],
  ['sync', 'disabled', 2n],
  ['volmode', 'dev', 2n],
  ['volmode', 'none', 3n],
  ['xattr', 'sa', 2n],
  ['acltype', 'nfsv4', 2n],
  ['canmount', 'noauto', 2n],
  ['atime', 'off', 0n],
  ['atime', 'on', 1n],
  ['snapshot_limit', 'none', 0xffffffffffffffffn],
  ['recordsize', '65536', 65536n],
  ['quota', '0', 0n],
];

describe('a property in a package', () => {
  for (const [property, value, number] of SEEN) {
    it(`is ${number} for ${property}=${value}`, () => assert.equal(carried(property, value), number));
  }

  it('is text for user properties and paths, and the very bytes where they are no text', () => {
    assert.equal(carried('lab:x', 'a, "b"\n'), 'a, "b"\n');
    assert.equal(carried('mountpoint', '/home'), '/home');
    assert.deepEqual(
      Buffer.from(carried('lab:x', 'a\udcffb') as Uint8Array),
      Buffer.from([0x61, 0xff, 0x62]),
    );
  });

  it('is left where its number is not known', () => {
    for (const [property, value] of [
      ['compression', 'zstd-fast-7'],
      ['dedup', 'verify'],
      ['checksum', ''],
      ['quota', 'much'],
      ['constructor', '1'],
    ]) {
      const { properties, left } = carriedInPackage(new Map([[String(property), String(value)]]));
      assert.deepEqual([properties.size, [...left]], [0, [[property, value]]]);
    }
  });
});
