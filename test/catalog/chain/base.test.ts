import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type BaseQuestion,
  chooseBase,
  type KnownPoint,
  type SourcePoint,
} from '../../../catalog/chain/base.ts';
import { mayFollow } from '../../../catalog/chain/flags.ts';
import type { ChainFlags } from '../../../catalog/chain/graph.ts';
import { guid, LARGE, PLAIN, RAW } from './graphs.ts';

const point = (number: number, more: Partial<SourcePoint> = {}): SourcePoint => ({
  guid: guid(number),
  name: `s${number}`,
  createtxg: BigInt(number * 10),
  kind: 'snapshot',
  ...more,
});
const kept = (number: number, flags: ChainFlags | null = PLAIN): KnownPoint => ({
  guid: guid(number),
  restorable: flags !== null,
  flags,
});
const question = (more: Partial<BaseQuestion<SourcePoint>>): BaseQuestion<SourcePoint> => ({
  dataset: 'tank/fs',
  source: [point(1), point(2), point(3)],
  target: guid(3),
  known: [],
  wants: LARGE,
  full: false,
  ...more,
});

test('the base is the newest snapshot older than the target that the repository can restore', () => {
  const choice = chooseBase(question({ known: [kept(1), kept(2)] }));
  assert.deepEqual(choice, {
    kind: 'incremental',
    base: point(2),
    reason: '@s2 is the newest that both sides have',
  });
});

test('what is newer than the target is no base', () => {
  const source = [point(1), point(2), point(3), point(4)];
  assert.equal(chooseBase(question({ source, known: [kept(1), kept(4)] })).base?.name, 's1');
});

test('what was made in the same moment as the target is not older', () => {
  const source = [point(1), point(2, { createtxg: 30n }), point(3)];
  assert.equal(chooseBase(question({ source, known: [kept(1), kept(2)] })).base?.name, 's1');
});

test('a bookmark serves where the snapshot is gone, and the snapshot where both are', () => {
  const bookmark = point(2, { kind: 'bookmark', name: 'b2' });
  assert.equal(chooseBase(question({ source: [point(3), bookmark], known: [kept(2)] })).base, bookmark);
  const both = chooseBase(question({ source: [bookmark, point(2), point(3)], known: [kept(2)] }));
  assert.equal(both.base?.kind, 'snapshot');
});

test('a broken chain is passed over for an older one that is whole', () => {
  assert.equal(chooseBase(question({ known: [kept(1), kept(2, null)] })).base?.name, 's1');
});

test('a full backup has its reason said', () => {
  const reasons: [Partial<BaseQuestion<SourcePoint>>, RegExp][] = [
    [{ full: true, known: [kept(2), kept(3)] }, /^a full backup was asked for$/],
    [{ source: [point(3), point(4)] }, /^tank\/fs has no snapshot or bookmark older than @s3$/],
    [{ known: [kept(9)] }, /^no snapshot or bookmark of tank\/fs is in the repository$/],
    [
      { known: [kept(2, RAW)] },
      /^the common snapshot @s2 was kept raw and tank\/fs is sent plain with large blocks$/,
    ],
    [
      { known: [kept(2, LARGE)], wants: PLAIN },
      /was kept plain with large blocks and tank\/fs is sent plain$/,
    ],
    [{ known: [kept(2, null)] }, /^the common snapshot @s2 cannot be restored: its chain has a gap$/],
  ];
  for (const [more, reason] of reasons) {
    const choice = chooseBase(question(more));
    assert.equal(choice.kind, 'full');
    assert.match(choice.reason, reason);
  }
});

test('a snapshot that is kept already is not sent again', () => {
  assert.equal(chooseBase(question({ known: [kept(2), kept(3)] })).kind, 'already');
  assert.equal(chooseBase(question({ known: [kept(2), kept(3, null)] })).kind, 'incremental');
});

test('a target that the source has only as a bookmark, or not at all, is missing', () => {
  for (const source of [[point(1)], [point(3, { kind: 'bookmark' })]]) {
    assert.throws(() => chooseBase(question({ source })), { kind: 'missing', code: 'chain.no-target' });
  }
});

test('any source and repository: the base is common, older, fitting, and none such is newer', () => {
  const flags = fc.record({ raw: fc.boolean(), large_blocks: fc.boolean() });
  const points = fc.array(fc.record({ number: fc.integer({ min: 1, max: 8 }), bookmark: fc.boolean() }), {
    maxLength: 8,
  });
  const knowns = fc.uniqueArray(fc.tuple(fc.integer({ min: 1, max: 8 }), fc.option(flags)), {
    selector: ([number]) => number,
  });
  fc.assert(
    fc.property(points, knowns, flags, (drafts, known, wants) => {
      const source = [
        point(5),
        ...drafts.map(({ number, bookmark }) => point(number, bookmark ? { kind: 'bookmark' } : {})),
      ];
      const given = known.map(([number, way]) => kept(number, way));
      const choice = chooseBase(question({ source, target: guid(5), known: given, wants }));
      const fits = given.filter((it) => it.flags && mayFollow(it.flags, wants)).map((it) => it.guid);
      const fitting = source.filter((it) => it.createtxg < 50n && fits.includes(it.guid));
      const already = given.some((it) => it.guid === guid(5) && it.restorable);
      assert.equal(choice.kind, already ? 'already' : fitting.length > 0 ? 'incremental' : 'full');
      if (!choice.base) return;
      assert.ok(fitting.includes(choice.base));
      assert.ok(fitting.every((it) => it.createtxg <= (choice.base?.createtxg ?? 0n)));
    }),
  );
});
