/** What an agent that runs says to the service, and how it gets its token. */
import {
  type CheckIn,
  type CheckInAnswer,
  CheckInAnswerSchema,
  type EnrolAnswer,
  EnrolAnswerSchema,
  type EnrolRequest,
} from '../../catalog/protocol/agents.ts';
import { HealthSchema, type RepositoryInfo, RepositoryInfoSchema } from '../../catalog/protocol/protocol.ts';
import { checker } from '../../catalog/schema.ts';
import { asking } from './asking.ts';
import type { ServiceAccess } from './exchange.ts';

const readCheckIn = checker(CheckInAnswerSchema, 'the answer');
const readEnrolment = checker(EnrolAnswerSchema, 'the answer');
const readHealth = checker(HealthSchema, 'the answer');
const readRepository = checker(RepositoryInfoSchema, 'the answer');

/** A check-in is said again soon: longer it is not waited for, milliseconds. */
const CHECK_IN_TIMEOUT = 20_000;

/**
 * Says how the jobs of this host fare, in one try.
 *
 * @throws {ZkeepError} what the service answered, or that it did not.
 */
export async function checkIn(
  access: ServiceAccess,
  body: CheckIn,
  signal: AbortSignal,
): Promise<CheckInAnswer> {
  const question = {
    method: 'POST',
    path: '/v1/agents',
    body,
    once: true,
    timeout: CHECK_IN_TIMEOUT,
  } as const;
  return await asking(access, readCheckIn, { ...question, signal });
}

/** Passes when a service answers that is zkeep's: before a code is shown to it. */
export async function seeService(access: ServiceAccess, signal: AbortSignal): Promise<void> {
  await asking(access, readHealth, { method: 'GET', path: '/v1/health', signal });
}

/**
 * Trades a one-time code for a token.
 *
 * @throws {ZkeepError} `denied` with code `enrol.code` for one that is wrong, used or too old.
 */
export async function enrol(
  access: ServiceAccess,
  body: EnrolRequest,
  signal: AbortSignal,
): Promise<EnrolAnswer> {
  return await asking(access, readEnrolment, { method: 'POST', path: '/v1/enrol', body, signal });
}

/** Asks for the repository, which any token may. */
export async function seeRepository(access: ServiceAccess, signal: AbortSignal): Promise<RepositoryInfo> {
  return await asking(access, readRepository, { method: 'GET', path: '/v1/repository', signal });
}
