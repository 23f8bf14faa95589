/** What the file says of the service's jobs, and of whom it tells what: `[verify]`, `[prune]`, `[sweep]`, `[copy]`, `[watch]`, `[[webhook]]`, `[[hook]]`. */
import { type Static, Type } from 'typebox';
import { DurationSchema } from '../../catalog/chain/retention/policy.ts';
import { parseDuration } from '../../catalog/durations.ts';
import { messageOf } from '../../catalog/errors.ts';
import { parseSchedule } from '../../catalog/schedule.ts';
import { type TomlPlace, wrongKey } from '../../catalog/toml.ts';
import { EVENTS } from '../notices/told.ts';

const closed = { additionalProperties: false };
/** As `parseSchedule` reads it; `never`: only when it is asked for. */
const ScheduleSchema = Type.String({ minLength: 1, maxLength: 200 });

export const JobsSchema = {
  /** IANA name of the time zone of all schedules; default UTC. */
  zone: Type.Optional(Type.String({ minLength: 1, maxLength: 60 })),
  verify: Type.Optional(
    Type.Object(
      {
        schedule: Type.Optional(ScheduleSchema),
        /** A light proof is good for so long, and a deep one. */
        light: Type.Optional(DurationSchema),
        deep: Type.Optional(DurationSchema),
        /** Most MiB that deep proofs read in a day. */
        mebibytes_per_day: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000_000 })),
        /** Of a hundred frames, so many are decoded by the second decoder, too. */
        second_decoder_percent: Type.Optional(Type.Number({ minimum: 0, maximum: 100 })),
        /** age identity file, where the service itself is to read an encrypted repository. */
        identity_file: Type.Optional(Type.String({ minLength: 1, maxLength: 4096 })),
      },
      closed,
    ),
  ),
  prune: Type.Optional(
    Type.Object({ schedule: Type.Optional(ScheduleSchema), grace: Type.Optional(DurationSchema) }, closed),
  ),
  sweep: Type.Optional(
    Type.Object({ schedule: Type.Optional(ScheduleSchema), grace: Type.Optional(DurationSchema) }, closed),
  ),
  copy: Type.Optional(
    Type.Object(
      {
        schedule: Type.Optional(ScheduleSchema),
        /** Copies that stay in the bucket. */
        keep: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })),
      },
      closed,
    ),
  ),
  watch: Type.Optional(Type.Object({ schedule: Type.Optional(ScheduleSchema) }, closed)),
  webhook: Type.Optional(
    Type.Array(
      Type.Object(
        {
          url: Type.String({
            pattern: '^https?://.+',
            maxLength: 4096,
            description: 'an address such as https://alerts.example.org/zkeep',
          }),
          /** Which facts: `failure`, `late`, `damage`, or kinds of the journal; default the three. */
          events: Type.Optional(
            Type.Array(Type.String({ pattern: '^[a-z.]+$', maxLength: 40 }), { maxItems: 40 }),
          ),
          /** Signs the body: HMAC-SHA-256 in the header `zkeep-signature`. */
          secret_file: Type.Optional(Type.String({ minLength: 1, maxLength: 4096 })),
        },
        closed,
      ),
      { maxItems: 20 },
    ),
  ),
  hook: Type.Optional(
    Type.Array(
      Type.Object(
        {
          /** Program and arguments; the fact is on its standard input, as JSON. */
          command: Type.Array(Type.String({ maxLength: 4096 }), { minItems: 1, maxItems: 100 }),
          events: Type.Optional(
            Type.Array(Type.String({ pattern: '^[a-z.]+$', maxLength: 40 }), { maxItems: 40 }),
          ),
        },
        closed,
      ),
      { maxItems: 20 },
    ),
  ),
};
const Said = Type.Object(JobsSchema);
type Said = Static<typeof Said>;

/** To whom a fact is told. */
export interface Notice {
  readonly events: readonly string[];
  readonly to:
    | { readonly kind: 'webhook'; readonly url: string; readonly secretFile: string | undefined }
    | { readonly kind: 'command'; readonly command: readonly string[] };
}

/** Durations in milliseconds; a schedule that is `null` never comes by itself. */
export interface JobSettings {
  readonly zone: string;
  readonly verify: {
    readonly schedule: string | null;
    readonly light: number;
    readonly deep: number;
    readonly bytesPerDay: number;
    /** Share of the frames, 0 to 1. */
    readonly secondDecoder: number;
    readonly identityFile: string | undefined;
  };
  readonly prune: { readonly schedule: string | null; readonly grace: number };
  readonly sweep: { readonly schedule: string | null; readonly grace: number };
  readonly copy: { readonly schedule: string | null; readonly keep: number };
  readonly watch: { readonly schedule: string | null };
  readonly notices: readonly Notice[];
}

const MEBIBYTE = 1024 * 1024;
const TOLD = ['failure', 'late', 'damage'];

/**
 * The settings of the jobs, with a default for each.
 *
 * @param inFile makes a path of the file absolute.
 * @throws {ZkeepError} `usage` naming the key of a schedule, duration or zone that is none.
 */
export function jobSettings(said: Said, place: TomlPlace, inFile: (path: string) => string): JobSettings {
  const zone = said.zone ?? 'UTC';
  const schedule = (key: 'verify' | 'prune' | 'sweep' | 'copy' | 'watch', usual: string) => {
    const text = said[key]?.schedule ?? usual;
    if (text === 'never') return null;
    attempt(place, `${key}.schedule`, () => parseSchedule(text, { zone }));
    return text;
  };
  const duration = (key: string, text: string) => attempt(place, key, () => parseDuration(text));
  const identity = said.verify?.identity_file;
  return {
    zone,
    verify: {
      schedule: schedule('verify', 'every hour'),
      light: duration('verify.light', said.verify?.light ?? '7d'),
      deep: duration('verify.deep', said.verify?.deep ?? '90d'),
      bytesPerDay: (said.verify?.mebibytes_per_day ?? 100 * 1024) * MEBIBYTE,
      secondDecoder: (said.verify?.second_decoder_percent ?? 1) / 100,
      identityFile: identity === undefined ? undefined : inFile(identity),
    },
    prune: {
      schedule: schedule('prune', 'every hour'),
      grace: duration('prune.grace', said.prune?.grace ?? '7d'),
    },
    sweep: {
      schedule: schedule('sweep', 'every day'),
      grace: duration('sweep.grace', said.sweep?.grace ?? '7d'),
    },
    copy: { schedule: schedule('copy', 'every 15 minutes'), keep: said.copy?.keep ?? 3 },
    watch: { schedule: schedule('watch', 'every minute') },
    notices: notices(said, place, inFile),
  };
}

function notices(said: Said, place: TomlPlace, inFile: (path: string) => string): Notice[] {
  const seen = new Set<string>();
  const checked = (key: string, events: readonly string[] | undefined, receiver: string) => {
    const unknown = events?.find((event) => !EVENTS.includes(event));
    if (unknown !== undefined)
      throw wrongKey(place, `${key}.events`, `has ${unknown}, which is none of ${EVENTS.join(', ')}`);
    if (seen.has(receiver)) throw wrongKey(place, key, 'is there twice: name all its events at once');
    seen.add(receiver);
    return events ?? TOLD;
  };
  return [
    ...(said.webhook ?? []).map(({ url, events, secret_file: file }): Notice => {
      checkUrl(url, place);
      const secretFile = file === undefined ? undefined : inFile(file);
      return { events: checked('webhook', events, url), to: { kind: 'webhook', url, secretFile } };
    }),
    ...(said.hook ?? []).map(({ command, events }): Notice => {
      return { events: checked('hook', events, command.join('\0')), to: { kind: 'command', command } };
    }),
  ];
}

function checkUrl(url: string, place: TomlPlace): void {
  const { username, password } = URL.parse(url) ?? { username: undefined, password: '' };
  if (username === undefined) throw wrongKey(place, 'webhook.url', 'is no address');
  if (username !== '' || password !== '')
    throw wrongKey(place, 'webhook.url', 'names a user or a password, which is not sent: use secret_file');
}

function attempt<T>(place: TomlPlace, key: string, work: () => T): T {
  try {
    return work();
  } catch (thrown) {
    throw wrongKey(place, key, `is wrong: ${messageOf(thrown)}`);
  }
}
