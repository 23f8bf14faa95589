/** What becomes of an open backup whose run was interrupted. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  decideResume,
  type OpenFacts,
  type ResumeQuestion,
  resumeCommandsOf,
} from '../../../../agent/backup/resume/decide.ts';
import type { OpenBackupRow } from '../../../../catalog/protocol/protocol.ts';
import { decodeToken } from '../../../../catalog/stream/resuming/token.ts';
import { guidOf } from '../../../../catalog/words.ts';
import { OWN, offer, point, row, source, ZFS } from './facts.ts';

function openOf(open: OpenBackupRow, offered?: Parameters<typeof offer>[1]): OpenFacts {
  const { to, from, segments, bytes } = open;
  const facts = { to, from, zfs: open.source.zfs, segments, bytes };
  if (offered === undefined) return { ...facts, offer: undefined };
  const given = offer(open, offered);
  return { ...facts, segments: given.segments, bytes: given.bytes, offer: given };
}

const HERE = source('tank/a', [point('tank/a', OWN, 7, { references: 1 })]);

function decide(more: Partial<ResumeQuestion> = {}) {
  return decideResume({ open: openOf(row(), {}), source: HERE, zfs: ZFS, stored: false, ...more });
}

describe('an interrupted backup is given up', () => {
  it('when its dataset is gone, and then no snapshot is touched', () => {
    const decision = decide({ source: undefined });
    assert.deepEqual(decision, { kind: 'give-up', item: undefined, reason: 'its dataset is gone' });
    assert.deepEqual(resumeCommandsOf(decision), []);
  });

  it('when its snapshot is gone, though a bookmark remembers it', () => {
    const bookmark = point('tank/a', OWN, 7, { kind: 'bookmark' });
    const decision = decide({ source: source('tank/a', [bookmark]) });
    assert.equal(decision.kind, 'give-up');
    assert.match(decision.reason, /its snapshot 0000000000000007 is gone from tank\/a/);
  });

  it('when its base is gone, and then the snapshot that zkeep took for it goes too, unless it is stored', () => {
    const open = openOf(row({ from: guidOf(3n) }), {});
    const decision = decide({ open });
    assert.deepEqual([decision.kind, decision.item?.undo], ['give-up', 'destroy']);
    assert.match(decision.reason, /base 0000000000000003 is gone, as snapshot and as bookmark/);
    assert.equal(decide({ open, stored: true }).item?.undo, 'release');
  });

  it('when it was an import, or was cut otherwise than this zkeep cuts', () => {
    assert.equal(decide({ open: openOf(row(), { imported: true }) }).kind, 'give-up');
    assert.equal(decide({ open: openOf(row(), { frame: 65_536 }) }).kind, 'give-up');
  });
});

describe('an interrupted backup is sent from its start, into the same backup', () => {
  const again: [string, Partial<ResumeQuestion>, RegExp][] = [
    ['another version of ZFS', { zfs: 'zfs-2.4.0-1' }, /another version: zfs-2.3.9.* began it, zfs-2.4.0-1/],
    [
      'a version that nobody knows',
      { open: openOf(row({ source: { ...row().source, zfs: null } }), {}) },
      /not known/,
    ],
    [
      'no durable segment',
      { open: openOf(row(), { segments: 0, bytes: 0, after: null, point: null }) },
      /no segment/,
    ],
    ['no point yet', { open: openOf(row(), { point: null }) }, /no record in it to go on from/],
    ['a redacted stream', { open: openOf(row(), { features: 0x680004n }) }, /redacted/],
    [
      'nothing granted, as far as the list tells',
      { open: openOf(row({ segments: 0, bytes: 0 })) },
      /no segment/,
    ],
  ];
  for (const [what, more, words] of again) {
    it(`for ${what}`, () => {
      const decision = decide(more);
      assert.equal(decision.kind, 'again');
      assert.match(decision.reason, words);
      const send = resumeCommandsOf(decision)[1];
      assert.deepEqual(send?.slice(0, 2), ['zfs', 'send']);
      assert.ok(!send.includes('-t') && send.at(-1) === `tank/a@${OWN}`);
    });
  }
});

describe('an interrupted backup goes on', () => {
  it('with a token made of its BEGIN and its point', () => {
    const decision = decide();
    assert.ok(decision.kind === 'resume' && decision.at);
    const token = decodeToken(decision.at.token);
    assert.deepEqual(
      [token.toguid, token.fromguid, token.object, token.offset, token.toname],
      [guidOf(7n), null, 2n, 131_072n, `tank/a@${OWN}`],
    );
    assert.deepEqual([token.largeBlocks, token.compressed, token.raw], [true, true, false]);
    assert.deepEqual([decision.at.start.number, decision.at.start.after.at], [3, 3 * 16 * 1024 * 1024]);
    assert.deepEqual(resumeCommandsOf(decision), [
      ['zfs', 'hold', 'zkeep', `tank/a@${OWN}`],
      ['zfs', 'send', '-t', decision.at.token],
      ['zfs', 'bookmark', `tank/a@${OWN}`, `tank/a#${OWN}`],
      ['zfs', 'release', 'zkeep', `tank/a@${OWN}`],
    ]);
  });

  it('by the names that dataset and snapshot have by now', () => {
    const renamed = source('tank/b', [point('tank/b', 'kept', 7)]);
    const decision = decide({ source: renamed });
    assert.ok(decision.kind === 'resume' && decision.at);
    assert.equal(decodeToken(decision.at.token).toname, 'tank/b@kept');
    assert.equal(decision.item.undo, 'release');
  });

  it('on a base that only a bookmark remembers', () => {
    const points = [point('tank/a', 'base', 3, { kind: 'bookmark' }), point('tank/a', OWN, 7)];
    const decision = decide({
      source: source('tank/a', points),
      open: openOf(row({ from: guidOf(3n) }), {}),
    });
    assert.ok(decision.kind === 'resume' && decision.at);
    assert.deepEqual([decision.item.kind, decision.item.from?.kind], ['incremental', 'bookmark']);
    assert.equal(decodeToken(decision.at.token).fromguid, guidOf(3n));
  });

  it('releases the base that it leaves, as any backup does', () => {
    const points = [point('tank/a', 'zkeep-20261119T090000Z', 3, { references: 1 }), point('tank/a', OWN, 7)];
    const decision = decide({
      source: source('tank/a', points),
      open: openOf(row({ from: guidOf(3n) }), {}),
    });
    assert.deepEqual(
      resumeCommandsOf(decision)
        .slice(-2)
        .map((command) => command.join(' ')),
      ['zfs release zkeep tank/a@zkeep-20261119T090000Z', `zfs release zkeep tank/a@${OWN}`],
    );
  });

  it('without a token as long as it was not taken over: a dry run says TOKEN', () => {
    const decision = decide({ open: openOf(row()) });
    assert.equal(decision.kind, 'resume');
    assert.deepEqual(resumeCommandsOf(decision)[1], ['zfs', 'send', '-t', 'TOKEN']);
  });

  it('never where the snapshot, its base or the version is not what it was', () => {
    const guid = fc.integer({ min: 1, max: 9 });
    fc.assert(
      fc.property(
        guid,
        fc.option(guid, { nil: null }),
        fc.array(guid),
        fc.boolean(),
        (to, from, there, same) => {
          const open = row({ to: guidOf(BigInt(to)), from: from === null ? null : guidOf(BigInt(from)) });
          const points = [...new Set(there)].map((id) => point('tank/a', `s${id}`, id));
          const decision = decide({
            open: openOf(open, {}),
            source: source('tank/a', points),
            zfs: same ? ZFS : 'zfs-9',
          });
          const has = (id: number) => there.includes(id);
          const possible = has(to) && (from === null || has(from));
          assert.equal(decision.kind, possible ? (same ? 'resume' : 'again') : 'give-up');
        },
      ),
    );
  });
});
