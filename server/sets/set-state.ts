/** How a set of several hosts comes about, purely: a state, what happens to it, and the next state. */
import { type Static, Type } from 'typebox';
import { ZkeepError } from '../../catalog/errors.ts';
import type { Writer } from '../../catalog/protocol/protocol.ts';
import {
  GATHERING_LEASE,
  type OpenSetRequest,
  OpenSetRequestSchema,
  ParticipantSchema,
  type SetEvent,
  SetPhaseSchema,
  type SnapshotSet,
} from '../../catalog/protocol/sets.ts';
import { Nullable, SetIdSchema } from '../../catalog/schema.ts';
import type { SetId } from '../../catalog/words.ts';

const MemberSchema = Type.Object({
  ...ParticipantSchema.properties,
  /** Name of the token with which it joined. */
  token: Type.String(),
});
type Member = Static<typeof MemberSchema>;

/** A set as the service keeps it. Moments are milliseconds since 1970. */
export const SetStateSchema = Type.Object({
  set: SetIdSchema,
  request: OpenSetRequestSchema,
  phase: SetPhaseSchema,
  opened: Type.Integer(),
  /** When it has failed, unless it is over before. */
  deadline: Type.Integer(),
  /** The opener is the first. */
  members: Type.Array(MemberSchema),
  reason: Nullable(Type.String()),
});
export type SetState = Static<typeof SetStateSchema>;

/** Beyond what the agents themselves wait for, milliseconds: they end it in order, this ends it when they are dead. */
const SLACK = 30_000;
/** How long snapshots may take where no barrier bounds them, milliseconds. */
const UNBOUNDED = 120_000;

/** A set that was just opened. */
export function openedSet(set: SetId, request: OpenSetRequest, token: string, now: number): SetState {
  const { writer, targets, expected } = request;
  for (const target of targets) if (!expected.includes(target)) throw notExpected(target);
  return {
    set,
    request,
    phase: 'gathering',
    opened: now,
    deadline: now + GATHERING_LEASE,
    members: [{ writer, targets, taken: false, token }],
    reason: null,
  };
}

/** Whether a set is neither complete nor failed. */
export function isActive({ phase }: SetState): boolean {
  return phase === 'gathering' || phase === 'frozen';
}

/** The set as it is now: one whose time is over has failed. */
export function asOf(state: SetState, now: number): SetState {
  if (!isActive(state) || now < state.deadline) return state;
  return failedSet(state, `nothing was heard of ${state.request.writer.host}, which opened it, in time`);
}

/** The set, failed for this reason. */
export function failedSet(state: SetState, reason: string): SetState {
  return { ...state, phase: 'failed', reason };
}

/**
 * What becomes of a set. The same event told twice changes nothing the second time.
 *
 * @param token name of the token with which it was told.
 * @throws {ZkeepError} `refused`, `busy` or `denied` for what cannot be now, or not by this one.
 */
export function afterEvent(state: SetState, event: SetEvent, token: string, now: number): SetState {
  if (event.event === 'failed') return afterFailure(state, event.reason, token);
  if (event.event === 'complete' && state.phase === 'complete') return state;
  if (!isActive(state)) throw over(state);
  if (event.event === 'join') return afterJoin(state, event, token);
  if (event.event === 'taken') return afterTaken(state, event.writer, token);
  if (state.members[0]?.token !== token) throw notTheOpener(state);
  if (event.event === 'waiting') return afterWaiting(state, now);
  return event.event === 'frozen' ? afterFreeze(state, now) : afterCompletion(state);
}

/** What agents see of it. */
export function setAnswer(state: SetState): SnapshotSet {
  const { set, request, phase, opened, members, reason } = state;
  const { fsname, moment, barrier, expected } = request;
  return {
    set,
    fsname,
    phase,
    opened: new Date(opened).toISOString(),
    moment,
    barrier,
    expected,
    lacking: lackingIn(state),
    participants: members.map(({ writer, targets, taken }) => ({ writer, targets, taken })),
    reason,
  };
}

function afterJoin(
  state: SetState,
  { writer, targets }: { writer: Writer; targets: string[] },
  token: string,
): SetState {
  const there = state.members.find((member) => isSame(member.writer, writer));
  if (there) {
    if (there.token === token && there.targets.join() === targets.join()) return state;
    throw new ZkeepError('refused', 'set.joined', `${writer.host} has joined this set already`, {
      facts: { set: state.set, host: writer.host },
    });
  }
  if (state.phase !== 'gathering') throw tooLate(state);
  const lacking = lackingIn(state);
  for (const target of targets) {
    if (!state.request.expected.includes(target)) throw notExpected(target);
    if (!lacking.includes(target)) throw alreadyJoined(state, target);
  }
  return { ...state, members: [...state.members, { writer, targets, taken: false, token }] };
}

/** Once all are there the opener sets the barrier, and is silent as long as that takes. */
function afterWaiting(state: SetState, now: number): SetState {
  if (state.phase !== 'gathering') return state;
  const freezing = lackingIn(state).length === 0 ? barrierOf(state.request) + SLACK : 0;
  return { ...state, deadline: now + GATHERING_LEASE + freezing };
}

function afterFreeze(state: SetState, now: number): SetState {
  if (state.phase === 'frozen') return state;
  const lacking = lackingIn(state);
  if (lacking.length > 0) throw incomplete(state, `nobody has joined for ${lacking.join(', ')}`);
  return { ...state, phase: 'frozen', deadline: now + barrierOf(state.request) + SLACK };
}

function afterTaken(state: SetState, writer: Writer, token: string): SetState {
  const member = state.members.find((one) => isSame(one.writer, writer));
  if (!member || member.token !== token) throw notAMember(state, writer);
  if (state.phase !== 'frozen') throw incomplete(state, 'it is not frozen');
  return {
    ...state,
    members: state.members.map((one): Member => (one === member ? { ...one, taken: true } : one)),
  };
}

function afterCompletion(state: SetState): SetState {
  const late = state.members.filter(({ taken }) => !taken);
  if (state.phase !== 'frozen') throw incomplete(state, 'it is not frozen');
  if (late.length > 0) throw incomplete(state, `${hostsOf({ members: late })} took no snapshots yet`);
  return { ...state, phase: 'complete' };
}

function afterFailure(state: SetState, reason: string, token: string): SetState {
  if (!state.members.some((member) => member.token === token)) throw notAMember(state, undefined);
  if (state.phase === 'complete') throw over(state);
  return state.phase === 'failed' ? state : failedSet(state, reason);
}

function lackingIn({ request, members }: SetState): string[] {
  const joined = new Set(members.flatMap(({ targets }) => targets));
  return request.expected.filter((target) => !joined.has(target));
}

function barrierOf({ barrier }: OpenSetRequest): number {
  return barrier === null ? UNBOUNDED : barrier * 1000;
}

function isSame(one: Writer, other: Writer): boolean {
  return one.host === other.host && one.process === other.process;
}

function hostsOf({ members }: Pick<SetState, 'members'>): string {
  return [...new Set(members.map(({ writer }) => writer.host))].join(', ');
}

function over({ set, phase, reason }: SetState): ZkeepError {
  const why = phase === 'complete' ? 'is complete' : `has failed: ${reason}`;
  return new ZkeepError('refused', 'set.over', `set ${set} ${why}`, {
    advice: 'take the set anew',
    facts: { set, phase, reason },
  });
}

function tooLate({ set }: SetState): ZkeepError {
  return new ZkeepError('refused', 'set.frozen', `set ${set} is frozen: it is too late to join`, {
    advice: 'join the next one',
    facts: { set },
  });
}

function incomplete({ set }: SetState, why: string): ZkeepError {
  return new ZkeepError('refused', 'set.incomplete', `set ${set} is not so far: ${why}`, { facts: { set } });
}

function notExpected(target: string): ZkeepError {
  return new ZkeepError('refused', 'set.not-expected', `the set has no ${target}`, {
    advice: 'zkeep lustre targets on the host of the MGS shows what it expects; see its ldev.conf',
    facts: { target },
  });
}

function alreadyJoined({ set }: SetState, target: string): ZkeepError {
  return new ZkeepError('busy', 'set.target-taken', `somebody else has joined set ${set} with ${target}`, {
    advice: 'a target is imported on one host only: zpool list on both shows where it is',
    facts: { set, target },
  });
}

function notTheOpener({ set }: SetState): ZkeepError {
  return new ZkeepError('denied', 'set.other', `set ${set} was opened with another token`, {
    facts: { set },
  });
}

function notAMember({ set }: SetState, writer: Writer | undefined): ZkeepError {
  const who = writer ? `${writer.host} (${writer.process})` : 'this token';
  return new ZkeepError('denied', 'set.no-member', `${who} takes no part in set ${set}`, { facts: { set } });
}
