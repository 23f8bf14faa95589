/** What is told to and asked of the service about drills. */
import type { Drill } from '../../catalog/journal/entry.ts';
import {
  type DrillRow,
  DrillRowSchema,
  type DrillsAnswer,
  DrillsAnswerSchema,
  type DrillsQuery,
} from '../../catalog/protocol/events.ts';
import { checker } from '../../catalog/schema.ts';
import { asking } from './asking.ts';
import type { ServiceAccess } from './exchange.ts';

const readRow = checker(DrillRowSchema, 'the answer');
const readDrills = checker(DrillsAnswerSchema, 'the answer');

/** Gives the service the evidence of a drill, passed or not. */
export async function reportDrill(
  access: ServiceAccess,
  drill: Drill,
  signal: AbortSignal,
): Promise<DrillRow> {
  return await asking(access, readRow, { method: 'POST', path: '/v1/drills', body: drill, signal });
}

/** A page of the drills that were, the newest first. */
export async function askDrills(
  access: ServiceAccess,
  query: DrillsQuery,
  signal: AbortSignal,
): Promise<DrillsAnswer> {
  return await asking(access, readDrills, { method: 'GET', path: '/v1/drills', query, signal });
}
