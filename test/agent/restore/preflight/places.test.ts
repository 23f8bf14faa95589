import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { PlaceFacts } from '../../../../agent/restore/preflight/facts.ts';
import { roomOf, spaceOf } from '../../../../agent/restore/preflight/space.ts';
import { parseLayout } from '../../../../catalog/attributes/pool/layout.ts';
import type { ResumeToken } from '../../../../catalog/stream/resuming/token.ts';
import {
  begin,
  codes,
  dataset,
  GIB,
  guid,
  newPool,
  only,
  place,
  standing,
  stream,
  vdev,
} from './made-facts.ts';

const above = (changes: Partial<NonNullable<PlaceFacts['above']>>): PlaceFacts['above'] => ({
  name: 'new',
  parent: true,
  available: 100 * GIB,
  encrypted: false,
  keystatus: null,
  ...changes,
});

describe('the place of a dataset', () => {
  it('needs a parent, unless that is restored as well', () => {
    const orphan = dataset({ place: place({ target: 'new/x/y', above: above({ parent: false }) }) });
    const found = only({ datasets: [orphan] });
    assert.equal(found.code, 'preflight.no-parent');
    assert.match(found.advice, /zfs create -p -o canmount=off new\/x$/);
    const parent = dataset({ place: place({ target: 'new/x' }) });
    assert.deepEqual(codes({ datasets: [parent, orphan] }), []);
  });

  it('must not be taken by something else', () => {
    const taken = dataset({ place: standing(9, 8) });
    assert.match(only({ datasets: [taken] }).message, /holds snapshots of its own, the newest is @s9/);
    assert.deepEqual(
      codes({ datasets: [taken], force: true }),
      ['refuse target-exists'],
      'zkeep destroys no snapshot',
    );
    const empty = dataset({ place: place({ exists: true }) });
    assert.deepEqual(codes({ datasets: [empty] }), ['refuse target-exists']);
    assert.deepEqual(codes({ datasets: [empty], force: true }), ['warn target-exists']);
  });

  it('is for one dataset alone', () => {
    assert.deepEqual(codes({ datasets: [dataset(), dataset()] }), ['refuse target-twice']);
  });

  it('may not have newer snapshots than the restore goes on from, unless they may be lost', () => {
    const ahead = dataset({ place: standing(5, 4, 1), base: guid(1), streams: [stream(2)], rollback: true });
    const found = only({ datasets: [ahead] });
    assert.equal(found.code, 'preflight.target-newer');
    assert.match(found.message, /@s5, @s4$/);
    assert.deepEqual(codes({ datasets: [ahead], force: true }), ['warn target-newer']);
    assert.deepEqual(
      codes({ datasets: [{ ...ahead, streams: [] }] }),
      ['refuse target-newer'],
      'a rollback alone',
    );
  });

  it('that was written to is warned of', () => {
    const written = dataset({
      place: { ...standing(1), written: 4096 },
      base: guid(1),
      streams: [stream(2)],
    });
    const found = only({ datasets: [written] });
    assert.equal(found.code, 'preflight.target-written');
    assert.match(found.advice, /zfs diff new\/a@s1 new\/a/);
    assert.match(only({ datasets: [written], force: true }).advice, /lost/);
    assert.deepEqual(codes({ datasets: [{ ...written, streams: [] }] }), []);
  });

  it('keeps what an interrupted receive of something else left, unless it may go', () => {
    const partial = { to: guid(77) };
    const left = dataset({ place: place({ exists: true, partial }) });
    const found = only({ datasets: [left] });
    assert.equal(found.code, 'preflight.partial');
    assert.match(found.advice, /zfs receive -A new\/a/);
    assert.deepEqual(codes({ datasets: [left], force: true }), ['warn partial']);
    assert.deepEqual(
      codes({ datasets: [dataset({ place: place({ exists: true, partial: { to: null } }) })] }),
      ['refuse partial'],
    );
  });

  it('tells what an interrupted receive of its own left', () => {
    const own = dataset({ place: place({ exists: true, partial: { to: guid(1) } }) });
    assert.deepEqual(codes({ datasets: [own] }), ['warn partial-own']);
  });
});

describe('the room for a restore', () => {
  const big = (bytes: number, flags = begin('COMPRESSED')) => stream(1, { bytes, begin: flags });

  it('is refused where streams that arrive as they are stored do not fit', () => {
    const found = only({ datasets: [dataset({ streams: [big(101 * GIB)] })] });
    assert.equal(found.code, 'preflight.no-space');
    assert.match(found.message, /new has room for 100\.0 GiB, and about 101\.0 GiB for new\/a/);
  });

  it('is warned of where it gets tight', () => {
    assert.deepEqual(codes({ datasets: [dataset({ streams: [big(81 * GIB)] })] }), ['warn tight-space']);
    assert.deepEqual(codes({ datasets: [dataset({ streams: [big(80 * GIB)] })] }), []);
    assert.deepEqual(codes({ datasets: [dataset({ streams: [big(100 * GIB)] })] }), ['warn tight-space']);
  });

  it('is only warned of for plain streams, which may compress on arrival', () => {
    assert.deepEqual(codes({ datasets: [dataset({ streams: [big(200 * GIB, begin())] })] }), [
      'warn tight-space',
    ]);
    const known = dataset({ streams: [big(200 * GIB, begin())], referenced: 120 * GIB });
    assert.deepEqual(codes({ datasets: [known] }), ['refuse no-space'], 'its snapshot referenced so much');
  });

  it('is summed up over what goes below one dataset', () => {
    const two = ['new/a', 'new/b'].map((target) =>
      dataset({ place: place({ target }), streams: [big(60 * GIB)] }),
    );
    assert.deepEqual(codes({ datasets: two }), ['refuse no-space']);
    const [first, second] = two;
    assert.ok(first && second);
    const elsewhere = { ...second, place: place({ target: 'new/q/b', above: above({ name: 'new/q' }) }) };
    assert.deepEqual(codes({ datasets: [first, elsewhere] }), []);
  });

  it('is not judged where nobody could tell it', () => {
    const unknown = place({ above: above({ available: null }) });
    assert.deepEqual(codes({ datasets: [dataset({ place: unknown, streams: [big(10 ** 15)] })] }), []);
    const vdevs = [vdev('/dev/sdd1', { size: null }), vdev('/dev/sde1')];
    assert.deepEqual(
      codes({ pool: newPool({ vdevs }), datasets: [dataset({ streams: [big(10 ** 15)] })] }),
      [],
    );
  });

  it('of a pool to be made is that of its smallest disks', () => {
    const vdevs = [vdev('/dev/sdd1', { size: 50 * GIB }), vdev('/dev/sde1')];
    assert.deepEqual(codes({ pool: newPool({ vdevs }), datasets: [dataset({ streams: [big(60 * GIB)] })] }), [
      'refuse no-space',
    ]);
    assert.deepEqual(
      codes({ pool: newPool({ vdevs }), datasets: [dataset({ streams: [big(30 * GIB)] })] }),
      [],
    );
  });

  it('is what the disks hold, less parity, spares, labels and what ZFS keeps', () => {
    const roomFor = (text: string) => {
      const layout = parseLayout(text);
      const names = layout.groups.flatMap(({ devices }) => devices);
      return (
        (roomOf(
          layout,
          names.map((name) => vdev(name, { size: 128 * GIB })),
        ) ?? 0) /
        (128 * GIB)
      );
    };
    const close = (actual: number, expected: number) =>
      assert.ok(actual < expected && actual > expected * 0.96, `${actual}, not ${expected}`);
    close(roomFor('a b'), 2);
    close(roomFor('mirror a b c'), 1);
    close(roomFor('raidz2 a b c d e log mirror f g spare h cache i special mirror j k'), 3);
    close(roomFor('draid2:4d:13c:1s a b c d e f g h i j k l m'), 8);
    const tiny = parseLayout('a');
    assert.ok((roomOf(tiny, [vdev('a', { size: 64 * 1024 ** 2 })]) ?? 0) > 0);
  });

  it('is taken by every stream of a chain, and by one stream as much as its snapshot referenced', () => {
    const chain = [stream(1, { bytes: 5 }), stream(2, { bytes: 6 })];
    assert.equal(spaceOf(dataset({ streams: chain })), 11);
    assert.equal(spaceOf(dataset({ streams: chain, referenced: 20 })), 20);
    assert.equal(spaceOf(dataset({ streams: chain, referenced: 3 })), 11);
    assert.equal(spaceOf(dataset({ streams: [stream(1, { bytes: 5 })], referenced: 3 })), 3);
    assert.equal(spaceOf(dataset({ streams: chain, referenced: 20, base: guid(9) })), 11);
  });

  it('is less by what an interrupted receive of a stream holds already', () => {
    const chain = [stream(1, { bytes: 100 }), stream(2, { bytes: 10 })];
    const left = (to: number, bytes: bigint) => {
      const token = { bytes, toguid: guid(to) } as ResumeToken;
      return spaceOf(dataset({ place: place({ partial: { to: guid(to), token } }), streams: chain }));
    };
    assert.equal(left(1, 70n), 40);
    assert.equal(left(1, 10_000n), 10, 'what was sent twice counts once');
    assert.equal(left(7, 70n), 110, 'of something else');
    assert.equal(spaceOf(dataset({ place: place({ partial: { to: guid(1) } }), streams: chain })), 110);
  });
});
