import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ZkeepError } from '../../../../catalog/errors.ts';
import { fileSize, systemAttributes } from '../../../../catalog/lustre/inspect/file-size.ts';
import { parseLastReceived } from '../../../../catalog/lustre/inspect/last-rcvd.ts';
import { lastUsed, OST_MAX_PRECREATE, orphanWindows } from '../../../../catalog/lustre/inspect/object-ids.ts';
import { bonusOf, lastRcvd, numbersFile } from './made-target.ts';

test('last_rcvd tells the target, and every client with a UUID once', () => {
  const clients = ['aaaa', '', 'bbbb', 'lustrefs-MDT0001-mdtlov_UUID', 'aaaa', ''];
  assert.deepEqual(parseLastReceived(lastRcvd('my-fs-OST00ff_UUID', 255, clients)), {
    uuid: 'my-fs-OST00ff_UUID',
    fsname: 'my-fs',
    kind: 'OST',
    index: 255,
    mounts: '3',
    transaction: '77',
    clients: 3,
    servers: 1,
  });
});

test('a UUID that is no target tells no file system', () => {
  const { fsname, kind, clients } = parseLastReceived(lastRcvd('something else', 1, []));
  assert.deepEqual([fsname, kind, clients], [null, null, 0]);
});

test('any bytes are a last_rcvd or an error in words', () => {
  const head = lastRcvd('lustrefs-MDT0000_UUID', 0, ['client']);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), fc.nat({ max: 9000 }), (bytes, at) => {
      const file = Buffer.from(head);
      file.set(bytes.subarray(0, Math.max(0, file.length - at)), Math.min(at, file.length));
      for (const each of [file, bytes]) {
        try {
          parseLastReceived(each);
        } catch (thrown) {
          assert.ok(thrown instanceof ZkeepError, String(thrown));
        }
      }
    }),
  );
});

test('ids are told by index with their sequences; an OST that was never used is left out', () => {
  const [ids, sequences] = [numbersFile([5n, 0n, 0n, 9n]), numbersFile([0x100000000n, 0n, 0x2c0000400n])];
  assert.deepEqual(lastUsed(ids, sequences), [
    { index: 0, sequence: '100000000', id: '5' },
    { index: 2, sequence: '2c0000400', id: '0' },
    { index: 3, sequence: '0', id: '9' },
  ]);
  assert.deepEqual(lastUsed(ids.subarray(0, 11), null), [{ index: 0, sequence: null, id: '5' }]);
});

test('an OST destroys all above the id of the MDT, up to 20,000, and trusts itself beyond', () => {
  const most = BigInt(OST_MAX_PRECREATE);
  const used = [{ index: 1, sequence: '280000400', id: '100' }];
  const outcome = (last: bigint) => {
    const [window] = orphanWindows(used, new Map([[1, last]]));
    return [window?.outcome, window?.destroyed];
  };
  assert.deepEqual(outcome(100n), ['none', 0]);
  assert.deepEqual(outcome(99n), ['none', 0]);
  assert.deepEqual(outcome(101n), ['destroyed', 1]);
  assert.deepEqual(outcome(100n + most), ['destroyed', 20_000]);
  assert.deepEqual(outcome(101n + most), ['trusted', 0]);
  assert.deepEqual(orphanWindows(used, new Map([[4, 7n]]))[0]?.outcome, 'unknown');
});

const KNOWN = systemAttributes(
  [
    { name: 'ZPL_MODE', values: [(8n << 24n) | 5n] },
    { name: 'ZPL_SIZE', values: [(8n << 24n) | 6n] },
    { name: 'ZPL_DXATTR', values: [19n] },
  ],
  [
    { name: '2', values: [5n, 6n] },
    { name: '3', values: [19n, 6n] },
    { name: '4', values: [5n] },
  ],
);

function withBonus(bonus: Uint8Array, bonusType = 44) {
  return { number: 7, type: 19, blockSize: 512, bonusType, bonus, blocks: new Map() };
}

test('the size of a file stands where its layout says, also behind an attribute of any length', () => {
  assert.equal(fileSize(withBonus(bonusOf(12_345)), KNOWN, true), 12_345);
  const varying = Buffer.alloc(40);
  varying.writeUInt32LE(0x2f505a);
  varying.writeUInt16LE((1 << 10) | 3, 4);
  varying.writeUInt16LE(13, 6); // rounded up to 16
  varying.writeBigUInt64LE(99n, 24);
  assert.equal(fileSize(withBonus(varying), KNOWN, true), 99);
});

test('attributes that do not tell a size give none', () => {
  const other = bonusOf(5);
  other.writeUInt16LE((1 << 10) | 4, 4);
  assert.equal(fileSize(withBonus(other), KNOWN, true), undefined);
  assert.equal(fileSize(withBonus(bonusOf(5), 17), KNOWN, true), undefined);
  assert.equal(fileSize(withBonus(new Uint8Array(2)), KNOWN, true), undefined);
});

test('any attributes are a size, none, or an error in words', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), fc.boolean(), (bytes, little) => {
      const bonus = Buffer.concat([Buffer.from([0x5a, 0x50, 0x2f, 0]), bytes]);
      try {
        const size = fileSize(withBonus(bonus), KNOWN, little);
        assert.ok(size === undefined || Number.isSafeInteger(size));
      } catch (thrown) {
        assert.ok(thrown instanceof ZkeepError, String(thrown));
      }
    }),
  );
});
