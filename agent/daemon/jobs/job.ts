/** A job of the agent, as the configuration says it. */
import { hostname } from 'node:os';
import { type Static, Type } from 'typebox';
import { parseDuration } from '../../../catalog/durations.ts';
import { messageOf, type ZkeepError } from '../../../catalog/errors.ts';
import { isFsname } from '../../../catalog/lustre/service-name.ts';
import { parseSchedule, type Schedule } from '../../../catalog/schedule.ts';
import { type TomlPlace, wrongKey } from '../../../catalog/toml.ts';
import { askedFor, type Asked as LustreAsked } from '../../lustre/sets/options.ts';
import { parseDataset, parseSnapshotName } from '../../zfs/names.ts';
import { checkZone } from '../zone.ts';

const closed = { additionalProperties: false };
const CommandSchema = Type.Array(Type.String({ maxLength: 4096 }), { minItems: 1, maxItems: 100 });
export const PatternsSchema = Type.Array(Type.String({ minLength: 1, maxLength: 300 }), {
  minItems: 1,
  maxItems: 1000,
});
const DurationSchema = Type.String({ maxLength: 40 });

/** What a table says of when it runs, and what it is called. */
export const whenKeys = {
  name: Type.String({
    pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$',
    description: 'up to 64 letters, digits and . _ -, a letter or digit first',
  }),
  schedule: Type.String({ minLength: 1, maxLength: 200 }),
  zone: Type.Optional(Type.String({ maxLength: 100 })),
  spread: Type.Optional(DurationSchema),
  priority: Type.Optional(Type.Integer({ minimum: -1000, maximum: 1000 })),
};

export const JobSchema = Type.Object(
  {
    ...whenKeys,
    datasets: Type.Optional(PatternsSchema),
    recursive: Type.Optional(Type.Boolean()),
    exclude: Type.Optional(PatternsSchema),
    kind: Type.Optional(Type.Union([Type.Literal('filesystem'), Type.Literal('volume')])),
    lustre: Type.Optional(Type.String({ minLength: 1, maxLength: 8 })),
    join: Type.Optional(Type.Boolean()),
    barrier: Type.Optional(Type.Boolean()),
    barrier_timeout: Type.Optional(DurationSchema),
    wait: Type.Optional(DurationSchema),
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

/** What runs by itself: its name, and when. Durations are milliseconds. */
export interface Planned {
  readonly name: string;
  readonly schedule: Schedule;
  readonly spread: number;
  /** Of those that are due, the greatest first. */
  readonly priority: number;
}

/** A job that backs up. */
export interface Job extends Planned {
  readonly kind: 'backup';
  readonly covered: Covered;
  readonly snapshot: SnapshotMode;
  readonly hooks: Hooks;
}

const LONGEST_SPREAD = 10 * 60_000;
const HOOK_TIMEOUT = 10 * 60_000;
/** Of what a table may say. */
const LONGEST = 24 * 3_600_000;
const USE_NEWEST = 'use-newest:';
/** From here the period of a schedule is measured: no clock is changed then. */
const SOME_DAY = Date.UTC(2026, 0, 7);

/** Where a table stands, and what holds where it says nothing. */
export interface TableTools {
  /** Of the schedule when the table names none. */
  readonly zone: string;
  readonly place: TomlPlace;
  readonly host?: string;
}

/**
 * What a job's table says.
 *
 * @throws {ZkeepError} `usage` naming the key and what is wrong with it.
 */
export function jobSaid(said: Said, tools: TableTools): Job {
  const wrong = (key: string, reason: string) => wrongKey(tools.place, key, reason);
  return {
    kind: 'backup',
    ...whenSaid(said, tools),
    covered: coveredSaid(said, wrong),
    snapshot: snapshotSaid(said, wrong),
    hooks: {
      before: said.hooks?.before,
      after: said.hooks?.after,
      ended: said.hooks?.ended,
      timeout: durationSaid('hooks.timeout', said.hooks?.timeout, HOOK_TIMEOUT, wrong),
    },
  };
}

/** @throws {ZkeepError} as {@link jobSaid}. */
export function whenSaid(
  said: Pick<Said, keyof typeof whenKeys>,
  { zone: usual, place, host = hostname() }: TableTools,
): Planned {
  const wrong = (key: string, reason: string) => wrongKey(place, key, reason);
  const zone = said.zone ?? usual;
  checkZone(zone, (reason) => wrong('zone', reason));
  const bare = attempt(
    () => parseSchedule(said.schedule, { zone }),
    (why) => wrong('schedule', why),
  );
  const spread = durationSaid('spread', said.spread, usualSpread(bare), wrong);
  return {
    name: said.name,
    schedule: parseSchedule(said.schedule, { zone, spread, key: `${host} ${said.name}` }),
    spread,
    priority: said.priority ?? 0,
  };
}

/** Milliseconds, at most a day. */
function durationSaid(key: string, text: string | undefined, ifNone: number, wrong: Wrong): number {
  if (text === undefined) return ifNone;
  const milliseconds = attempt(
    () => parseDuration(text),
    (why) => wrong(key, why),
  );
  if (milliseconds <= LONGEST) return milliseconds;
  throw wrong(key, `is longer than ${LONGEST / 3_600_000} h`);
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
  checkPatterns(datasets, wrong);
  for (const pattern of datasets) {
    if (recursive && /[!*?]/.test(pattern))
      throw wrong(
        'recursive',
        `goes with plain names; ${JSON.stringify(pattern)} is a pattern: "${pattern}" says itself what is below`,
      );
  }
  for (const pattern of exclude) {
    if (pattern.startsWith('!')) throw wrong('exclude', `${JSON.stringify(pattern)} needs no "!"`);
  }
  return [
    ...datasets.map((pattern) => (recursive ? `${pattern}/**` : pattern)),
    ...exclude.map((pattern) => `!${pattern}`),
  ];
}

/** A name that no dataset can have would silently never fit. */
export function checkPatterns(datasets: readonly string[], wrong: Wrong): void {
  for (const pattern of datasets) {
    attempt(
      () => parseDataset(pattern.replace(/^!/, '').replaceAll(/[*?]/g, 'x')),
      (why) => wrong('datasets', why),
    );
  }
  if (datasets.every((pattern) => pattern.startsWith('!'))) throw wrong('datasets', 'only excludes');
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

export function attempt<T>(work: () => T, wrong: (reason: string) => ZkeepError): T {
  try {
    return work();
  } catch (thrown) {
    throw wrong(`is wrong: ${messageOf(thrown)}`);
  }
}
