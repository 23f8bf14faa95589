/** What becomes of an open backup whose run was interrupted: decided here, purely, printed by `--dry-run`, done by `finish.ts`. */
import { ZkeepError } from '../../../catalog/errors.ts';
import type { ResumeOffer } from '../../../catalog/protocol/protocol.ts';
import { FRAME_SIZE } from '../../../catalog/repository/segment/frames.ts';
import type { PackStart } from '../../../catalog/repository/segment/pack.ts';
import { tokenFor } from '../../../catalog/stream/resuming/token.ts';
import type { Guid } from '../../../catalog/words.ts';
import { counted, sizeInWords } from '../../output/words.ts';
import type { PointFacts, SourceFacts } from '../../zfs/list.ts';
import { sendFlags, sendRestCommand } from '../../zfs/send.ts';
import { snapshotOf } from '../../zfs/snapshot.ts';
import { commandsAfter, commandsBefore, commandsOf } from '../commands.ts';
import { type DatasetPlan, planAgain } from '../plan.ts';

/** What is known of an open backup: by the list of all, and once it was taken over, by the service's offer. */
export interface OpenFacts {
  readonly to: Guid;
  /** `null`: a full stream. */
  readonly from: Guid | null;
  /** What `zfs version` said to the interrupted run. */
  readonly zfs: string | null;
  /** Segments of it, and raw bytes in these. */
  readonly segments: number;
  readonly bytes: number;
  readonly offer: Pick<ResumeOffer, 'request' | 'segments' | 'after' | 'point'> | undefined;
}

/** The question to {@link decideResume}. */
export interface ResumeQuestion {
  readonly open: OpenFacts;
  /** The dataset with its snapshots, whatever it is called by now; `undefined`: it is gone. */
  readonly source: SourceFacts | undefined;
  /** What `zfs version` says here. */
  readonly zfs: string;
  /** The repository has the snapshot, by another backup. */
  readonly stored: boolean;
}

/** Goes on behind what is stored. */
interface Resume {
  readonly kind: 'resume';
  readonly item: DatasetPlan;
  readonly reason: string;
  /** Where, and with which token; `undefined` as long as the backup was not taken over. */
  readonly at: { readonly token: string; readonly start: PackStart } | undefined;
}

/** Goes on behind what is stored, sends all of it again and stores what is lacking, or ends it. */
export type ResumeDecision =
  | Resume
  | { readonly kind: 'again'; readonly item: DatasetPlan; readonly reason: string }
  /** `item` tells what to do about its snapshot, where that is still there. */
  | { readonly kind: 'give-up'; readonly item: DatasetPlan | undefined; readonly reason: string };

/**
 * Decides how an interrupted backup goes on.
 *
 * @example decideResume({ open, source, zfs: 'zfs-2.3.9-1', stored: false }).reason
 */
export function decideResume(question: ResumeQuestion): ResumeDecision {
  const { open, source, stored } = question;
  const target = source && snapshotWith(source, open.to);
  if (!source || !target) return { kind: 'give-up', item: undefined, reason: whyGone(question) };
  const base = open.from === null ? null : pointWith(source, open.from);
  const request = open.offer?.request;
  const flags = request ? (request.send_flags ?? []) : sendFlags(source);
  const plan = (reason: string) =>
    planAgain(source, { target, base: base ?? null, flags }, { reason, stored });
  const hopeless = whyHopeless(question, base);
  if (hopeless !== undefined) return { kind: 'give-up', item: plan(hopeless), reason: hopeless };
  const again = whyAgain(question);
  if (again !== undefined) return { kind: 'again', item: plan(again), reason: again };
  return resumeOf(question, source, target, plan);
}

/** The commands of a decision, in the order in which they run. */
export function resumeCommandsOf(decision: ResumeDecision): string[][] {
  if (decision.kind === 'give-up') return [];
  const { item } = decision;
  if (decision.kind === 'again') return commandsOf(item);
  const rest = sendRestCommand(decision.at?.token ?? 'TOKEN');
  return [...commandsBefore(item), rest, ...commandsAfter(item)];
}

function resumeOf(
  { open }: ResumeQuestion,
  { dataset }: SourceFacts,
  { name }: PointFacts,
  plan: (reason: string) => DatasetPlan,
): ResumeDecision {
  const { offer, segments, bytes } = open;
  const reason = `${counted(segments, 'segment')}, ${sizeInWords(bytes)} of it, are stored`;
  if (!offer) return { kind: 'resume', item: plan(reason), reason, at: undefined };
  const { request, after, point } = offer;
  if (!after || !point) {
    const lacking =
      segments === 0 ? 'no segment of it is stored yet' : 'no record in it to go on from is stored yet';
    return { kind: 'again', item: plan(lacking), reason: lacking };
  }
  try {
    const token = tokenFor(request.begin, point, snapshotOf(dataset, name));
    const start = { number: segments, after, begin: request.begin, point };
    return { kind: 'resume', item: plan(reason), reason, at: { token, start } };
  } catch (thrown) {
    if (!(thrown instanceof ZkeepError)) throw thrown;
    return { kind: 'again', item: plan(thrown.message), reason: thrown.message };
  }
}

/** Reasons for which nothing of it can be used. */
function whyHopeless({ open }: ResumeQuestion, base: PointFacts | null | undefined): string | undefined {
  const request = open.offer?.request;
  if (base === undefined) return `its base ${open.from} is gone, as snapshot and as bookmark`;
  if (request?.send_flags === null) return 'it is an import, and not a backup of this host';
  if (request && request.compression.frame !== FRAME_SIZE) {
    return `it was cut into frames of ${sizeInWords(request.compression.frame)}, which this zkeep does not do`;
  }
  return undefined;
}

/** Reasons for which what `zfs send -t` gives might not be the rest of the same stream. */
function whyAgain({ open, zfs }: ResumeQuestion): string | undefined {
  if (open.segments === 0) return 'no segment of it is stored yet';
  if (open.zfs === zfs) return undefined;
  return open.zfs === null
    ? 'the version of ZFS that began it is not known'
    : `ZFS is another version: ${open.zfs} began it, ${zfs} is here`;
}

function whyGone({ open, source }: ResumeQuestion): string {
  return source ? `its snapshot ${open.to} is gone from ${source.dataset}` : 'its dataset is gone';
}

function snapshotWith({ points }: SourceFacts, guid: Guid): PointFacts | undefined {
  return points.find((point) => point.kind === 'snapshot' && point.guid === guid);
}

/** A base as a snapshot, else as the bookmark that remembers it. */
function pointWith(source: SourceFacts, guid: Guid): PointFacts | undefined {
  return snapshotWith(source, guid) ?? source.points.find((point) => point.guid === guid);
}
