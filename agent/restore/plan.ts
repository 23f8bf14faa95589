/** What a restore will do: decided here, purely, printed by `--dry-run`, done by `run.ts`. */
import { ZkeepError } from '../../catalog/errors.ts';
import type { BackupSummary, RestorePlan } from '../../catalog/protocol/protocol.ts';
import type { ResumeToken } from '../../catalog/stream/resuming/token.ts';
import type { Begin } from '../../catalog/stream/state.ts';
import type { BackupId, Guid } from '../../catalog/words.ts';
import { abortReceiveCommand, receiveCommand } from '../zfs/receive.ts';
import { snapshotOf } from '../zfs/snapshot.ts';
import { decidePartial } from './resume/decide.ts';
import type { Target, TargetSnapshot } from './target.ts';

/** One stream to receive. */
export interface RestoreStep {
  readonly backup: BackupSummary;
  readonly command: readonly string[];
  /** The interrupted receive that it goes on with; `null`: it is sent from its first byte. */
  readonly resume: ResumeToken | null;
}

/** The whole restore. */
export interface RestoreActions {
  readonly target: string;
  /** What comes before the first stream. */
  readonly before: readonly (readonly string[])[];
  readonly steps: readonly RestoreStep[];
  /** Snapshots of the target that go, because it was asked for. */
  readonly lost: readonly TargetSnapshot[];
  /** Why an interrupted receive of this restore is thrown away; `null` where none is. */
  readonly again: string | null;
}

/**
 * The snapshots from which a plan may start, the newest first. What an
 * interrupted receive of a new dataset left is nothing to start from.
 */
export function haveOf({ snapshots }: Target): Guid[] {
  return snapshots.map(({ guid }) => guid);
}

/**
 * Decides how a plan is done at a target.
 *
 * @param type what the streams hold.
 * @param force the target may be rolled back, and lose what is newer.
 * @throws {ZkeepError} `refused` when the target holds, or is getting, something else.
 * @example decideRestore({ plan, target, type: 'filesystem', force: false })
 */
export function decideRestore(question: {
  readonly plan: RestorePlan;
  readonly target: Target;
  readonly type: 'filesystem' | 'volume';
  readonly force: boolean;
  readonly takeMountpoint?: boolean;
  /** Of the first stream, for what an interrupted receive may be compared with. */
  readonly begin?: Begin | undefined;
  /** Backups whose streams come in a package, with properties. */
  readonly packaged?: { has(backup: BackupId): boolean };
}): RestoreActions {
  const { plan, target: at, type, force, takeMountpoint = false, begin } = question;
  const { target } = at;
  const before: string[][] = [];
  const idle = plan.steps.length === 0 && !plan.rollback;
  const partial = at.partial && !idle ? decidePartial(at.partial, plan, begin) : undefined;
  if (partial?.kind === 'foreign' && !force) throw othersPartial(target);
  if (partial && partial.kind !== 'resume') before.push(abortReceiveCommand(target));
  // A new dataset that was not received to its end goes with what is left of it.
  const exists = at.exists && !(at.partial && at.snapshots.length === 0);
  if (exists && plan.base === null && plan.steps.length > 0) checkReplaceable(at, force);
  const lost = plan.rollback ? newerThan(at, plan.base) : [];
  if (plan.rollback && plan.steps.length === 0) before.push(rollbackCommand(at, plan.base));
  const steps = plan.steps.map((backup, index) => {
    const first = index === 0;
    const fresh = first && !exists;
    const packaged = question.packaged?.has(backup.backup) === true;
    const how = { target, type, fresh, force: first && exists && force, takeMountpoint, packaged };
    const resume = first && partial?.kind === 'resume' ? partial.token : null;
    return { backup, command: receiveCommand(how), resume };
  });
  return { target, before, steps, lost, again: partial?.kind === 'again' ? partial.why : null };
}

/** All commands, in the order in which they run. */
export function commandsOf({ before, steps }: RestoreActions): string[][] {
  return [...before, ...steps.map(({ command }) => command)].map((command) => [...command]);
}

/** A full stream replaces a dataset only where that holds no snapshot: zkeep destroys none. */
function checkReplaceable({ target, snapshots }: Target, force: boolean): void {
  const [newest] = snapshots;
  if (newest) {
    throw new ZkeepError('refused', 'restore.exists', `${target} exists and holds snapshots of its own`, {
      advice: `choose another name for --to, or destroy it yourself: zfs destroy -r ${target}`,
      facts: { target, newest: newest.name },
    });
  }
  if (force) return;
  throw new ZkeepError('refused', 'restore.exists', `${target} exists and is not part of the chain`, {
    advice: 'choose another name for --to; --force replaces it, and what is in it is lost',
    facts: { target },
  });
}

function newerThan({ snapshots }: Target, base: Guid | null): readonly TargetSnapshot[] {
  const at = snapshots.findIndex(({ guid }) => guid === base);
  return snapshots.slice(0, Math.max(0, at));
}

function rollbackCommand({ target, snapshots }: Target, base: Guid | null): string[] {
  const to = snapshots.find(({ guid }) => guid === base);
  if (!to) throw new Error(`the plan goes back to ${base}, which ${target} does not have`);
  return ['zfs', 'rollback', '-r', snapshotOf(target, to.name)];
}

function othersPartial(target: string): ZkeepError {
  return new ZkeepError(
    'refused',
    'restore.partial',
    `${target} holds an interrupted receive of something else`,
    {
      advice: `finish it, or throw it away: zfs receive -A ${target}, or --force`,
      facts: { target },
    },
  );
}
