/** A job of the agent, as the configuration says it. */
import { hostname } from 'node:os';
import { type Static, Type } from 'typebox';
import { parseDuration } from '../../catalog/durations.ts';
import { messageOf, type ZkeepError } from '../../catalog/errors.ts';
import { isFsname } from '../../catalog/lustre/service-name.ts';
import { parseSchedule, type Schedule } from '../../catalog/schedule.ts';
import { type TomlPlace, wrongKey } from '../../catalog/toml.ts';
import { askedFor, type Asked as LustreAsked } from '../lustre/sets/options.ts';
import { parseDataset, parseSnapshotName } from '../zfs/names.ts';
import { checkZone } from './zone.ts';

const closed = { additionalProperties: false };
const CommandSchema = Type.Array(Type.String({ maxLength: 4096 }), { minItems: 1, maxItems: 100 });
const PatternsSchema = Type.Array(Type.String({ minLength: 1, maxLength: 300 }), {
  minItems: 1,
  maxItems: 1000,
});
const DurationSchema = Type.String({ maxLength: 40 });

export const JobSchema = Type.Object(
  {
    name: Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$' }),
    datasets: Type.Optional(PatternsSchema),
    recursive: Type.Optional(Type.Boolean()),
    exclude: Type.Optional(PatternsSchema),
    kind: Type.Optional(Type.Union([Type.Literal('filesystem'), Type.Literal('volume')])),
    lustre: Type.Optional(Type.String({ minLength: 1, maxLength: 8 })),
    join: Type.Optional(Type.Boolean()),
    barrier: Type.Optional(Type.Boolean()),
    barrier_timeout: Type.Optional(DurationSchema),
    wait: Type.Optional(DurationSchema),
    schedule: Type.String({ minLength: 1, maxLength: 200 }),
    zone: Type.Optional(Type.String({ maxLength: 100 })),
    spread: Type.Optional(DurationSchema),
    priority: Type.Optional(Type.Integer({ minimum: -1000, maximum: 1000 })),
    refresh: Type.Optional(Type.Boolean()),
    keep_on_source: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000 })),
    snapshot: Type.Optional(Type.String({ minLength: 1, maxLength: 300 })),
    hooks: Type.Optional(
      Type.Object(
        {
          before: Type.Optional(CommandSchema),
          after: Type.Optional(CommandSchema),
          ended: Type.Optional(CommandSchema),
          timeout: Type.Optional(DurationSchema),
        },
        closed,
      ),
    ),
  },
  closed,
);
type Said = Static<typeof JobSchema>;

/** Of which datasets a job is. */
export type Covered =
  | {
      readonly kind: 'datasets';
      /** As `matches` reads them; those that exclude come last. */
      readonly patterns: readonly string[];
      /** Plain names among them: these must be there. */
      readonly named: readonly string[];
      readonly only: 'filesystem' | 'volume' | undefined;
    }
  | { readonly kind: 'lustre'; readonly asked: LustreAsked };

/** Which snapshot a run stores. */
export type SnapshotMode =
  /** One that zkeep takes; of its own that are stored, so many newest stay on the source (`undefined`: all). */
  | { readonly kind: 'take'; readonly keepOnSource: number | undefined }
  /** One that is gone from the source afterwards. */
  | { readonly kind: 'refresh' }
  /** The newest one of those that somebody else takes, by a pattern for the part after `@`. */
  | { readonly kind: 'newest'; readonly pattern: string };

/** What is run around a run; program and arguments. */
export interface Hooks {
  /** Right before the snapshots are taken; what fails there lets none be taken. */
  readonly before: readonly string[] | undefined;
  /** Right after they were taken, or could not be; whenever `before` was begun. */
  readonly after: readonly string[] | undefined;
  /** When the run has come to its end. */
  readonly ended: readonly string[] | undefined;
  /** Longest that one may take, milliseconds. */
  readonly timeout: number;
}

/** A job. Durations are milliseconds. */
export interface Job {
  readonly name: string;
  readonly covered: Covered;
  readonly schedule: Schedule;
  readonly spread: number;
  /** Of those that are due, the greatest first. */
  readonly priority: number;
  readonly snapshot: SnapshotMode;
  readonly hooks: Hooks;
}

const LONGEST_SPREAD = 10 * 60_000;
const HOOK_TIMEOUT = 10 * 60_000;
const LONGEST_TIMEOUT = 24 * 3_600_000;
const USE_NEWEST = 'use-newest:';
/** From here the period of a schedule is measured: no clock is changed then. */
const SOME_DAY = Date.UTC(2026, 0, 7);

/**
 * What a job's table says.
 *
 * @param zone of the schedule when the job names none.
 * @throws {ZkeepError} `usage` naming the key and what is wrong with it.
 */
export function jobSaid(
  said: Said,
  { zone: usual, place, host = hostname() }: { zone: string; place: TomlPlace; host?: string },
): Job {
  const wrong = (key: string, reason: string) => wrongKey(place, key, reason);
  const duration = (key: string, text: string | undefined, ifNone: number, most: number) => {
    const milliseconds =
      text === undefined
        ? ifNone
        : attempt(
            () => parseDuration(text),
            (why) => wrong(key, why),
          );
    if (milliseconds <= most) return milliseconds;
    throw wrong(key, `is longer than ${most / 3_600_000} h`);
  };
  const zone = said.zone ?? usual;
  checkZone(zone, (reason) => wrong('zone', reason));
  const bare = attempt(
    () => parseSchedule(said.schedule, { zone }),
    (why) => wrong('schedule', why),
  );
  const spread = duration('spread', said.spread, usualSpread(bare), 24 * 3_600_000);
  return {
    name: said.name,
    covered: coveredSaid(said, wrong),
    schedule: parseSchedule(said.schedule, { zone, spread, key: `${host} ${said.name}` }),
    spread,
    priority: said.priority ?? 0,
    snapshot: snapshotSaid(said, wrong),
    hooks: {
      before: said.hooks?.before,
      after: said.hooks?.after,
      ended: said.hooks?.ended,
      timeout: duration('hooks.timeout', said.hooks?.timeout, HOOK_TIMEOUT, LONGEST_TIMEOUT),
    },
  };
}

type Wrong = (key: string, reason: string) => ZkeepError;

function coveredSaid(said: Said, wrong: Wrong): Covered {
  const { datasets, lustre } = said;
  if (lustre !== undefined) return { kind: 'lustre', asked: lustreSaid(said, lustre, wrong) };
  if (!datasets) throw wrong('datasets', 'is missing (or "lustre")');
  for (const key of ['join', 'barrier', 'barrier_timeout', 'wait'] as const) {
    if (said[key] !== undefined) throw wrong(key, 'is for jobs with "lustre"');
  }
  const named = datasets.filter((pattern) => !/[!*?]/.test(pattern));
  return { kind: 'datasets', patterns: patternsSaid(datasets, said, wrong), named, only: said.kind };
}

function patternsSaid(datasets: readonly string[], said: Said, wrong: Wrong): string[] {
  const { recursive = false, exclude = [] } = said;
  for (const pattern of datasets) {
    // A name that no dataset can have would silently never fit.
    attempt(
      () => parseDataset(pattern.replace(/^!/, '').replaceAll(/[*?]/g, 'x')),
      (why) => wrong('datasets', why),
    );
    if (recursive && /[!*?]/.test(pattern))
      throw wrong(
        'recursive',
        `goes with plain names; ${JSON.stringify(pattern)} is a pattern: "${pattern}" says itself what is below`,
      );
  }
  if (datasets.every((pattern) => pattern.startsWith('!'))) throw wrong('datasets', 'only excludes');
  for (const pattern of exclude) {
    if (pattern.startsWith('!')) throw wrong('exclude', `${JSON.stringify(pattern)} needs no "!"`);
  }
  return [
    ...datasets.map((pattern) => (recursive ? `${pattern}/**` : pattern)),
    ...exclude.map((pattern) => `!${pattern}`),
  ];
}

function lustreSaid(said: Said, fsname: string, wrong: Wrong): LustreAsked {
  for (const key of [
    'datasets',
    'recursive',
    'exclude',
    'kind',
    'refresh',
    'snapshot',
    'keep_on_source',
  ] as const) {
    if (said[key] !== undefined) throw wrong(key, 'does not go with "lustre"');
  }
  const seconds = (key: 'barrier_timeout' | 'wait') =>
    String(
      attempt(
        () => Math.ceil(parseDuration(said[key] ?? '0') / 1000),
        (why) => wrong(key, why),
      ),
    );
  const options = {
    lustre: fsname,
    barrier: said.barrier ?? true,
    join: said.join ?? false,
    ...(said.barrier_timeout === undefined ? {} : { barrierTimeout: seconds('barrier_timeout') }),
    ...(said.wait === undefined ? {} : { wait: seconds('wait') }),
  };
  if (!isFsname(fsname)) throw wrong('lustre', "is no file system's name");
  return attempt(
    () => askedFor([], options),
    (why) => wrong('lustre', why),
  );
}

function snapshotSaid(
  { snapshot, refresh = false, keep_on_source, hooks }: Said,
  wrong: Wrong,
): SnapshotMode {
  if (snapshot === undefined) {
    if (!refresh) return { kind: 'take', keepOnSource: keep_on_source };
    if (keep_on_source !== undefined)
      throw wrong('keep_on_source', 'does not go with "refresh", which keeps none');
    return { kind: 'refresh' };
  }
  if (refresh) throw wrong('refresh', 'does not go with "snapshot"');
  if (keep_on_source !== undefined) throw wrong('keep_on_source', 'is for snapshots that zkeep takes');
  for (const key of ['before', 'after'] as const) {
    if (hooks?.[key])
      throw wrong(`hooks.${key}`, 'is for snapshots that zkeep takes; "ended" comes after the run');
  }
  const pattern = snapshot.startsWith(USE_NEWEST) ? snapshot.slice(USE_NEWEST.length) : '';
  if (pattern === '') throw wrong('snapshot', `is written as "${USE_NEWEST}autosnap_*"`);
  attempt(
    () => parseSnapshotName(pattern.replaceAll(/[*?]/g, 'x')),
    (why) => wrong('snapshot', why),
  );
  return { kind: 'newest', pattern };
}

/** A tenth of the period, at most ten minutes: enough that hosts of one schedule do not all start at once. */
function usualSpread(schedule: Schedule): number {
  const first = schedule.next(SOME_DAY);
  const second = first === undefined ? undefined : schedule.next(first);
  if (first === undefined || second === undefined) return 0;
  return Math.min(LONGEST_SPREAD, Math.floor((second - first) / 10));
}

function attempt<T>(work: () => T, wrong: (reason: string) => ZkeepError): T {
  try {
    return work();
  } catch (thrown) {
    throw wrong(`is wrong: ${messageOf(thrown)}`);
  }
}
