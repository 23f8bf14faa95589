import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { commandsOf, decideRestore } from '../../../agent/restore/plan.ts';
import type { PartialReceive } from '../../../agent/restore/resume/decide.ts';
import type { Target } from '../../../agent/restore/target.ts';
import { ZkeepError } from '../../../catalog/errors.ts';
import type { BackupSummary, RestorePlan } from '../../../catalog/protocol/protocol.ts';
import type { ResumeToken } from '../../../catalog/stream/resuming/token.ts';
import type { Begin } from '../../../catalog/stream/state.ts';
import { guid, LINEAGE, step } from './made-steps.ts';

function planOf(steps: BackupSummary[], more: Partial<RestorePlan> = {}): RestorePlan {
  const wanted = {
    guid: steps.at(-1)?.to ?? guid(9),
    lineage: LINEAGE,
    host: 'host',
    dataset: 'tank/a',
    name: 's',
    created: 9,
  };
  return { wanted, base: steps[0]?.from ?? null, rollback: false, steps, bytes: 0, stored: 0, ...more };
}

function targetAt(...snapshots: number[]): Target {
  const named = snapshots.map((number) => ({ guid: guid(number), name: `s${number}` }));
  return { target: 'new/a', exists: true, snapshots: named, partial: undefined };
}

/** What a receive of a stream from one snapshot to another left. */
function partialOf(from: number | null, to: number, more: Partial<ResumeToken> = {}): PartialReceive {
  const token: ResumeToken = {
    ...{ object: 7n, offset: 131_072n, bytes: 1_000_000n, toname: 'tank/a@s' },
    ...{ toguid: guid(to), fromguid: from === null ? null : guid(from) },
    ...{ largeBlocks: true, embedded: false, compressed: true, raw: false, redactSnaps: null },
    ...more,
  };
  return { to: guid(to), token };
}

/** Of a stream of `zfs send -L -c`. */
const BEGIN: Begin = {
  ...{ order: 'little', type: 2, flags: 12, features: (0x4n | (1n << 19n) | (1n << 22n)).toString(16) },
  ...{ toGuid: guid(1), fromGuid: null, toName: 'tank/a@s', created: 0, payload: 0 },
};

const FRESH: Target = { target: 'new/a', exists: false, snapshots: [], partial: undefined };
const refused = (code: string) => (thrown: unknown) =>
  thrown instanceof ZkeepError &&
  thrown.kind === 'refused' &&
  thrown.code === code &&
  thrown.advice !== undefined;
const decide = (plan: RestorePlan, target: Target, more: { type?: 'volume'; force?: boolean } = {}) =>
  decideRestore({
    ...{ plan, target, begin: BEGIN },
    ...{ type: more.type ?? 'filesystem', force: more.force ?? false },
  });

describe('a restore', () => {
  it('receives a new file system so that it is never mounted by itself, and continues it as it is', () => {
    assert.deepEqual(commandsOf(decide(planOf([step(null, 1), step(1, 2)]), FRESH)), [
      ['zfs', 'receive', '-s', '-u', '-o', 'canmount=noauto', '-x', 'mountpoint', 'new/a'],
      ['zfs', 'receive', '-s', '-u', 'new/a'],
    ]);
  });

  it('keeps a file system from mounting also where a package would take away what was set on it', () => {
    const two = step(1, 2);
    const packaged = new Set([two.backup]);
    const made = decideRestore({
      ...{ plan: planOf([two]), target: targetAt(1), packaged },
      ...{ type: 'filesystem', force: false },
    });
    assert.deepEqual(commandsOf(made), [
      ['zfs', 'receive', '-s', '-u', '-o', 'canmount=noauto', '-x', 'mountpoint', 'new/a'],
    ]);
  });

  it('sets no properties of file systems on a volume', () => {
    assert.deepEqual(commandsOf(decide(planOf([step(null, 1)]), FRESH, { type: 'volume' })), [
      ['zfs', 'receive', '-s', '-u', 'new/a'],
    ]);
  });

  it('refuses a target that is not part of the chain, and destroys no snapshot even when forced', () => {
    assert.throws(() => decide(planOf([step(null, 1)]), targetAt()), refused('restore.exists'));
    assert.throws(() => decide(planOf([step(null, 1)]), targetAt(7)), refused('restore.exists'));
    assert.throws(
      () => decide(planOf([step(null, 1)]), targetAt(7), { force: true }),
      refused('restore.exists'),
    );
  });

  it('replaces a target without snapshots only when forced', () => {
    assert.deepEqual(commandsOf(decide(planOf([step(null, 1)]), targetAt(), { force: true })), [
      ['zfs', 'receive', '-s', '-u', '-F', 'new/a'],
    ]);
  });

  it('continues a target that stands in the chain, by -F only when forced, and then only at first', () => {
    const plan = planOf([step(1, 2), step(2, 3)]);
    assert.deepEqual(commandsOf(decide(plan, targetAt(1)))[0], ['zfs', 'receive', '-s', '-u', 'new/a']);
    assert.deepEqual(commandsOf(decide(plan, targetAt(1), { force: true })), [
      ['zfs', 'receive', '-s', '-u', '-F', 'new/a'],
      ['zfs', 'receive', '-s', '-u', 'new/a'],
    ]);
  });

  it('says which snapshots of the target are lost by going back', () => {
    const { lost } = decide(planOf([step(1, 5)], { rollback: true }), targetAt(3, 2, 1), { force: true });
    assert.deepEqual(
      lost.map(({ name }) => name),
      ['s3', 's2'],
    );
  });

  it('goes back by a rollback where nothing need be received', () => {
    const made = decide(planOf([], { base: guid(1), rollback: true }), targetAt(2, 1), { force: true });
    assert.deepEqual(commandsOf(made), [['zfs', 'rollback', '-r', 'new/a@s1']]);
  });

  it('does nothing at a target that stands there', () => {
    assert.deepEqual(commandsOf(decide(planOf([], { base: guid(9) }), targetAt(9))), []);
  });

  it('goes on with an interrupted receive of its first stream, by the command that began it', () => {
    const target: Target = { ...targetAt(), partial: partialOf(null, 1) };
    const made = decide(planOf([step(null, 1), step(1, 2)]), target);
    assert.deepEqual(commandsOf(made), [
      ['zfs', 'receive', '-s', '-u', '-o', 'canmount=noauto', '-x', 'mountpoint', 'new/a'],
      ['zfs', 'receive', '-s', '-u', 'new/a'],
    ]);
    assert.deepEqual(
      made.steps.map(({ resume }) => resume?.object),
      [7n, undefined],
    );
    const later: Target = { ...targetAt(1), partial: partialOf(1, 2) };
    assert.deepEqual(commandsOf(decide(planOf([step(1, 2)]), later)), [
      ['zfs', 'receive', '-s', '-u', 'new/a'],
    ]);
  });

  it('throws away an interrupted receive of its own that cannot be gone on with, says why, and begins anew', () => {
    const plans: [PartialReceive, BackupSummary[], RegExp][] = [
      [{ to: guid(2) }, [step(1, 2)], /cannot be read/],
      [partialOf(1, 2), [step(1, 3), step(3, 2)], /another snapshot/],
      [partialOf(5, 2), [step(1, 2)], /another snapshot/],
      [partialOf(1, 2, { raw: true }), [step(1, 2)], /other flags/],
    ];
    for (const [partial, steps, why] of plans) {
      const made = decide(planOf(steps), { ...targetAt(1), partial });
      assert.deepEqual(commandsOf(made)[0], ['zfs', 'receive', '-A', 'new/a']);
      assert.match(made.again ?? '', why);
      assert.ok(made.steps.every(({ resume }) => resume === null));
    }
    const fresh: Target = { ...targetAt(), partial: { to: guid(1) } };
    assert.deepEqual(commandsOf(decide(planOf([step(null, 1)]), fresh)), [
      ['zfs', 'receive', '-A', 'new/a'],
      ['zfs', 'receive', '-s', '-u', '-o', 'canmount=noauto', '-x', 'mountpoint', 'new/a'],
    ]);
    const back = planOf([step(1, 2)], { rollback: true });
    const newer: Target = { ...targetAt(3, 1), partial: partialOf(1, 2) };
    assert.match(decide(back, newer, { force: true }).again ?? '', /goes back/);
  });

  it("leaves somebody else's interrupted receive alone unless forced", () => {
    for (const to of [guid(77), null]) {
      const target: Target = { ...targetAt(1), partial: { to } };
      assert.throws(() => decide(planOf([step(1, 2)]), target), refused('restore.partial'));
      assert.deepEqual(commandsOf(decide(planOf([step(1, 2)]), target, { force: true }))[0], [
        'zfs',
        'receive',
        '-A',
        'new/a',
      ]);
    }
  });

  it('keeps a name with spaces one argument', () => {
    const [command] = commandsOf(decide(planOf([step(null, 1)]), { ...FRESH, target: 'new/two words' }));
    assert.equal(command?.at(-1), 'new/two words');
  });
});
