import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { commandsOf, decideRestore } from '../../../agent/restore/plan.ts';
import type { Target } from '../../../agent/restore/target.ts';
import { ZkeepError } from '../../../catalog/errors.ts';
import type { BackupSummary, RestorePlan } from '../../../catalog/protocol/protocol.ts';
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

const FRESH: Target = { target: 'new/a', exists: false, snapshots: [], partial: undefined };
const refused = (code: string) => (thrown: unknown) =>
  thrown instanceof ZkeepError &&
  thrown.kind === 'refused' &&
  thrown.code === code &&
  thrown.advice !== undefined;
const decide = (plan: RestorePlan, target: Target, more: { type?: 'volume'; force?: boolean } = {}) =>
  decideRestore({ plan, target, type: more.type ?? 'filesystem', force: more.force ?? false });

describe('a restore', () => {
  it('receives a new file system so that it is never mounted by itself, and continues it as it is', () => {
    assert.deepEqual(commandsOf(decide(planOf([step(null, 1), step(1, 2)]), FRESH)), [
      ['zfs', 'receive', '-s', '-u', '-o', 'canmount=noauto', '-x', 'mountpoint', 'new/a'],
      ['zfs', 'receive', '-s', '-u', 'new/a'],
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

  it('throws away what an interrupted receive of its own left, and begins anew', () => {
    const target: Target = { ...targetAt(), partial: { to: guid(1) } };
    assert.deepEqual(commandsOf(decide(planOf([step(null, 1)]), target)), [
      ['zfs', 'receive', '-A', 'new/a'],
      ['zfs', 'receive', '-s', '-u', '-o', 'canmount=noauto', '-x', 'mountpoint', 'new/a'],
    ]);
    const later: Target = { ...targetAt(1), partial: { to: guid(2) } };
    assert.deepEqual(commandsOf(decide(planOf([step(1, 2)]), later)), [
      ['zfs', 'receive', '-A', 'new/a'],
      ['zfs', 'receive', '-s', '-u', 'new/a'],
    ]);
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
