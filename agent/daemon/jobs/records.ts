/** What ran when: the daemon's memory, in its state folder. Moments are milliseconds since 1970. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Static, Type } from 'typebox';
import type { Clock } from '../../../catalog/clock.ts';
import { ZkeepError } from '../../../catalog/errors.ts';
import { checker, Nullable, OneOf } from '../../../catalog/schema.ts';
import { writeDurably } from '../../durable.ts';
import { retryAt } from './due.ts';

const MomentSchema = Type.Integer({ minimum: 0 });
const NamesSchema = Type.Array(Type.String({ maxLength: 255 }));

/** Longest words about a run. */
export const MOST_WORDS = 2000;

/** How a run ended. */
export const JobEndSchema = Type.Object({
  outcome: OneOf('done', 'partly', 'failed', 'interrupted'),
  words: Type.String({ maxLength: MOST_WORDS }),
  /** Stored bytes. */
  stored: MomentSchema,
  /** Datasets that could not be stored; none: nothing is stored, or all. */
  failed: NamesSchema,
});
export type JobEnd = Static<typeof JobEndSchema>;

const JobRecordSchema = Type.Object({
  /** When the last scheduled run began; before the first, when the job was first seen. */
  due: MomentSchema,
  /** When it is tried again before the next scheduled run, and of which datasets alone. */
  retry: Nullable(Type.Object({ at: MomentSchema, only: Nullable(NamesSchema) })),
  /** Runs in a row that failed, since the last scheduled one. */
  tries: Type.Integer({ minimum: 0 }),
  /** Since when it runs; at a start: it was killed. */
  started: Nullable(MomentSchema),
  last: Nullable(Type.Object({ started: MomentSchema, ended: MomentSchema, ...JobEndSchema.properties })),
  /** The last run that came to an end failed, in whole or in part. */
  failing: Type.Boolean(),
});
export type JobRecord = Static<typeof JobRecordSchema>;

const FileSchema = Type.Object({ agent: Type.Literal(1), jobs: Type.Record(Type.String(), JobRecordSchema) });
const parseFile = checker(FileSchema, 'runs.json');

/** A job that nobody has seen before: it is due at its next moment. */
export function newRecord(now: number): JobRecord {
  return { due: now, retry: null, tries: 0, started: null, last: null, failing: false };
}

/** The record of a job whose run begins. @param again it is a try again: the scheduled one stays the one before. */
export function begun(record: JobRecord, { again }: { readonly again: boolean }, now: number): JobRecord {
  const scheduled = again ? {} : { due: now, tries: 0 };
  return { ...record, ...scheduled, retry: null, started: now };
}

/** The record of a job whose run has ended. */
export function ended(record: JobRecord, end: JobEnd, clock: Pick<Clock, 'now' | 'random'>): JobRecord {
  const { outcome, failed } = end;
  const now = clock.now();
  const last = { started: record.started ?? now, ended: now, ...end };
  if (outcome === 'done') return { ...record, retry: null, tries: 0, started: null, last, failing: false };
  const tries = record.tries + 1;
  const at = retryAt(tries, outcome === 'interrupted', clock);
  const only = outcome !== 'interrupted' && failed.length > 0 ? failed : null;
  return {
    ...record,
    retry: at === null ? null : { at, only },
    tries,
    started: null,
    last,
    failing: outcome === 'interrupted' ? record.failing : true,
  };
}

/** The record as a start finds it: a run that was going on was killed. */
export function found(record: JobRecord, clock: Pick<Clock, 'now' | 'random'>): JobRecord {
  if (record.started === null) return record;
  return ended(
    record,
    { outcome: 'interrupted', words: 'the agent was killed', stored: 0, failed: [] },
    clock,
  );
}

/** The records of one host, in `runs.json`. */
export class Records {
  readonly #file: string;
  #writing: Promise<void> = Promise.resolve();

  /** @param folder of the daemon; it is made when something is written. */
  constructor(folder: string) {
    this.#file = join(folder, 'runs.json');
  }

  /**
   * @param onDamage told when the file cannot be used: then nothing is known.
   * @throws {ZkeepError} `denied` when it is there and cannot be read.
   */
  async read(onDamage: (thrown: Error) => void): Promise<Map<string, JobRecord>> {
    let text: string;
    try {
      text = await readFile(this.#file, 'utf8');
    } catch (cause) {
      if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return new Map();
      throw new ZkeepError('denied', 'agent.state', `cannot read ${this.#file}`, {
        advice: 'run it as the user who owns the state folder, mostly root',
        facts: { file: this.#file },
        cause,
      });
    }
    try {
      return new Map(Object.entries(parseFile(JSON.parse(text)).jobs));
    } catch (thrown) {
      onDamage(thrown instanceof Error ? thrown : new Error(String(thrown)));
      return new Map();
    }
  }

  /** Writes all of them, durably, one write after the other. */
  async write(records: ReadonlyMap<string, JobRecord>): Promise<void> {
    const text = `${JSON.stringify({ agent: 1, jobs: Object.fromEntries(records) })}\n`;
    const mine = this.#writing.catch(() => undefined).then(async () => await writeDurably(this.#file, text));
    this.#writing = mine;
    await mine;
  }
}
