/** What is asked of the service about policies, pins, prune and its jobs. */
import { type Policy, PolicySchema } from '../../catalog/chain/retention/policy.ts';
import {
  type JobName,
  type JobState,
  JobStateSchema,
  JobsAnswerSchema,
} from '../../catalog/protocol/events.ts';
import {
  type PinRequest,
  type PinRow,
  PinRowSchema,
  PinsAnswerSchema,
  PoliciesAnswerSchema,
  type PruneAct,
  type PrunePlan,
  PrunePlanSchema,
  type PruneRequest,
  type RemovedAnswer,
  RemovedAnswerSchema,
} from '../../catalog/protocol/keeping.ts';
import { checker } from '../../catalog/schema.ts';
import { asking } from './asking.ts';
import type { ServiceAccess } from './exchange.ts';

const readPolicies = checker(PoliciesAnswerSchema, 'the answer');
const readPolicy = checker(PolicySchema, 'the answer');
const readPins = checker(PinsAnswerSchema, 'the answer');
const readPin = checker(PinRowSchema, 'the answer');
const readPlan = checker(PrunePlanSchema, 'the answer');
const readRemoved = checker(RemovedAnswerSchema, 'the answer');
const readJobs = checker(JobsAnswerSchema, 'the answer');
const readJob = checker(JobStateSchema, 'the answer');
const readNothing = () => undefined;

/** A plan over many datasets takes its time, and removing more, milliseconds. */
const PLAN_TIMEOUT = 5 * 60_000;
const PRUNE_TIMEOUT = 6 * 3600_000;
/** Bytes of the answer to a plan. */
const MAX_PLAN = 64 * 1024 * 1024;

/** The policies that hold, by name. */
export async function askPolicies(access: ServiceAccess, signal: AbortSignal): Promise<Policy[]> {
  return (await asking(access, readPolicies, { method: 'GET', path: '/v1/policies', signal })).policies;
}

/** Sets a policy, in place of one of its name. */
export async function setPolicy(access: ServiceAccess, body: Policy, signal: AbortSignal): Promise<Policy> {
  const path = `/v1/policies/${body.name}`;
  return await asking(access, readPolicy, { method: 'PUT', path, body, signal });
}

/** @throws {ZkeepError} `missing` when there is none of that name. */
export async function removePolicy(access: ServiceAccess, name: string, signal: AbortSignal): Promise<void> {
  const path = `/v1/policies/${encodeURIComponent(name)}`;
  await asking(access, readNothing, { method: 'DELETE', path, signal });
}

/** The pins that hold, those set first first. */
export async function askPins(access: ServiceAccess, signal: AbortSignal): Promise<PinRow[]> {
  return (await asking(access, readPins, { method: 'GET', path: '/v1/pins', signal })).pins;
}

/** Pins a snapshot. In one try: a second one would be a second pin. */
export async function setPin(access: ServiceAccess, body: PinRequest, signal: AbortSignal): Promise<PinRow> {
  return await asking(access, readPin, { method: 'POST', path: '/v1/pins', body, signal, once: true });
}

/** @param body a legal hold goes only when it says so. */
export async function removePin(
  access: ServiceAccess,
  pin: string,
  body: { readonly reason: string; readonly legal: boolean },
  signal: AbortSignal,
): Promise<void> {
  await asking(access, readNothing, { method: 'DELETE', path: `/v1/pins/${pin}`, body, signal });
}

/** What prune would do. */
export async function askPrunePlan(
  access: ServiceAccess,
  body: PruneRequest,
  signal: AbortSignal,
): Promise<PrunePlan> {
  const question = { method: 'POST' as const, path: '/v1/prune/plan', body, signal };
  return await asking(access, readPlan, { ...question, timeout: PLAN_TIMEOUT, maxBytes: MAX_PLAN });
}

/** Does what a plan showed. In one try: done twice, it is not what was shown. */
export async function prune(
  access: ServiceAccess,
  body: PruneAct,
  signal: AbortSignal,
): Promise<RemovedAnswer> {
  const question = { method: 'POST' as const, path: '/v1/prune', body, signal, once: true };
  return await asking(access, readRemoved, { ...question, timeout: PRUNE_TIMEOUT });
}

/** The jobs of the service. */
export async function askJobs(access: ServiceAccess, signal: AbortSignal): Promise<JobState[]> {
  return (await asking(access, readJobs, { method: 'GET', path: '/v1/jobs', signal })).jobs;
}

/** Has a job run now. */
export async function runJob(access: ServiceAccess, name: JobName, signal: AbortSignal): Promise<JobState> {
  return await asking(access, readJob, { method: 'POST', path: `/v1/jobs/${name}`, signal });
}
