/**
 * Leases in the bucket: of several services that follow it, one runs a job at a time.
 * JOBS.md says how they work.
 */
import { hash, randomUUID } from 'node:crypto';
import { type Static, Type } from 'typebox';
import type { Clock } from '../../catalog/clock.ts';
import { ZkeepError } from '../../catalog/errors.ts';
import { CLOCK_TOLERANCE } from '../../catalog/protocol/agents.ts';
import type { JobName } from '../../catalog/protocol/events.ts';
import { LEASES_PREFIX } from '../../catalog/repository/names.ts';
import type { ObjectFacts, ObjectStore } from '../../catalog/repository/store/store.ts';
import { checker, TimeSchema } from '../../catalog/schema.ts';
import { parseDigest } from '../../catalog/words.ts';

/** So long a lease lasts when it is not renewed, milliseconds. */
export const LEASE_LIFE = 3 * 60_000;
/** It is renewed when so much of it is over. */
const RENEWED_AFTER = 60_000;
/** After a renewal that failed, the next try. */
const TRIED_AGAIN_AFTER = 10_000;
/** Where the store cannot decide between two that write at once: so long is waited until both have written. */
const SETTLING = 5_000;
const MAX_LEASE = 4096;
/** So often is looked again when what was listed is gone, and so long between two looks, milliseconds. */
const LOOKS = 5;
const LOOK_AGAIN = 200;

const LeaseSchema = Type.Object({
  format: Type.Literal(1),
  /** The database of the service that has it. */
  service: Type.String({ maxLength: 64 }),
  /** Makes every object another one: of two that write the same name, one must fail. */
  nonce: Type.String({ maxLength: 64 }),
  until: TimeSchema,
  /** It was given back. */
  released: Type.Boolean(),
});
type LeaseObject = Static<typeof LeaseSchema>;
const parseLease = checker(LeaseSchema, 'a lease');

/** A job that another service runs, or ran. */
export interface Elsewhere {
  /** The database of that service. */
  readonly service: string;
  /** When its lease may be taken over, milliseconds since 1970. */
  readonly until: number;
}

/** The right to run a job, until it is given back or lost. */
export interface HeldLease {
  /**
   * To be called every second or so: renews it, or finds that it is lost. It resolves when what is being
   * renewed is, and never throws.
   */
  tick(): Promise<void>;
  /** Gives it back. It never throws: what cannot be given back runs out by itself. */
  release(): Promise<void>;
}

export interface LeaseTools {
  readonly store: ObjectStore;
  readonly clock: Clock;
  /** What this service's database is called. */
  readonly service: string;
}

/** What goes with taking one. */
export interface Taking {
  readonly signal: AbortSignal;
  /** Told once when it is lost: whoever works under it must end at once. */
  readonly lost: (reason: ZkeepError) => void;
}

/** Takes and keeps leases. */
export class Leases {
  readonly #tools: LeaseTools;
  /** Of each job the lease of another service that was seen last, and since when it is the same one. */
  readonly #seen = new Map<JobName, { readonly nonce: string; readonly since: number }>();
  #decides: Promise<boolean> | undefined;

  constructor(tools: LeaseTools) {
    this.#tools = tools;
  }

  /**
   * Takes the lease of a job, unless another service has it. One that an earlier run of this same
   * service left is taken over: there is only one process to a data folder.
   *
   * @throws what the store throws.
   */
  async take(job: JobName, taking: Taking): Promise<HeldLease | Elsewhere> {
    const { clock, service } = this.#tools;
    const { signal } = taking;
    const found = await this.#newest(job, signal);
    const isOthers = found && isHeld(found.lease, clock.now()) && found.lease.service !== service;
    if (isOthers && !this.#isUnrenewed(job, found.lease)) {
      const { until } = elsewhere(found.lease);
      // The clock of who wrote it may be far ahead.
      const latest = clock.now() + LEASE_LIFE + CLOCK_TOLERANCE;
      return { service: found.lease.service, until: Math.min(until, latest) };
    }
    const number = (found?.number ?? 0) + 1;
    const lease = this.#lease();
    if (await this.#write(job, number, lease, signal)) {
      const newest = await this.#newest(job, signal);
      if (newest?.lease.nonce === lease.nonce) {
        await this.#removeBefore(job, number, signal);
        return new Held(this.#tools, this, { job, number, until: Date.parse(lease.until) }, taking);
      }
      // Somebody who was slow wrote a number that had been used up, or two wrote the same one.
      if (newest && newest.number > number) await this.#tools.store.delete(leaseKey(job, number), signal);
      return newest ? elsewhere(newest.lease) : { service: '', until: clock.now() + LEASE_LIFE };
    }
    const faster = await this.#newest(job, signal);
    return faster ? elsewhere(faster.lease) : { service: '', until: clock.now() + LEASE_LIFE };
  }

  /** Writes the next object of a lease that is held; `undefined`: another service was faster, so it is lost. */
  async renew(
    job: JobName,
    number: number,
    signal: AbortSignal,
  ): Promise<{ number: number; until: number } | undefined> {
    const lease = this.#lease();
    if (!(await this.#write(job, number, lease, signal))) {
      // Perhaps it was this one, in a try whose answer was lost.
      const newest = await this.#newest(job, signal);
      if (!newest || newest.lease.released || newest.lease.service !== this.#tools.service) return undefined;
      return { number: newest.number, until: Date.parse(newest.lease.until) };
    }
    await this.#tools.store.delete(leaseKey(job, number - 1), signal);
    return { number, until: Date.parse(lease.until) };
  }

  /** Writes down that it is free. */
  async free(job: JobName, number: number): Promise<void> {
    const now = new Date(this.#tools.clock.now()).toISOString();
    if (!(await this.#write(job, number, { ...this.#lease(), until: now, released: true }))) return;
    await this.#tools.store.delete(leaseKey(job, number - 1));
  }

  /** When the lease of a job was given back last, milliseconds since 1970; `undefined`: it is held, or there is none. */
  async released(job: JobName, signal: AbortSignal): Promise<number | undefined> {
    const found = await this.#newest(job, signal);
    return found?.lease.released ? Date.parse(found.lease.until) : undefined;
  }

  /** Whether it is the same as so long ago that its holder, who renews it every minute, has lost it, whatever clocks say. */
  #isUnrenewed(job: JobName, { nonce }: LeaseObject): boolean {
    const now = this.#tools.clock.now();
    const seen = this.#seen.get(job);
    if (seen?.nonce === nonce && seen.since <= now) return now - seen.since > LEASE_LIFE + CLOCK_TOLERANCE;
    this.#seen.set(job, { nonce, since: now });
    return false;
  }

  #lease(): LeaseObject {
    const { clock, service } = this.#tools;
    const until = new Date(clock.now() + LEASE_LIFE).toISOString();
    return { format: 1, service, nonce: randomUUID(), until, released: false };
  }

  async #newest(
    job: JobName,
    signal: AbortSignal,
    looks = LOOKS,
  ): Promise<{ number: number; lease: LeaseObject } | undefined> {
    const { store, clock } = this.#tools;
    let last: ObjectFacts | undefined;
    for await (const facts of store.list(`${LEASES_PREFIX}${job}/`, signal)) {
      if (NAME.test(facts.key)) last = facts;
    }
    if (!last) return undefined;
    const number = Number(NAME.exec(last.key)?.[1]);
    try {
      const text = await store.get(last.key, { maxBytes: MAX_LEASE, signal });
      return { number, lease: parseLease(JSON.parse(text.toString('utf8'))) };
    } catch (thrown) {
      // Its holder went on to the next one, or gave it back, just now.
      if (thrown instanceof ZkeepError && thrown.kind === 'missing') {
        if (looks <= 1) throw unclear(job, thrown);
        await clock.sleep(LOOK_AGAIN, signal);
        return await this.#newest(job, signal, looks - 1);
      }
      if (thrown instanceof ZkeepError && thrown.kind !== 'damaged') throw thrown;
      // Whoever wrote what cannot be read has it for as long as any lease lasts.
      return { number, lease: { ...this.#lease(), service: 'unknown', until: endOf(last) } };
    }
  }

  /** `false`: the number is taken. */
  async #write(job: JobName, number: number, lease: LeaseObject, signal?: AbortSignal): Promise<boolean> {
    const { store, clock } = this.#tools;
    const key = leaseKey(job, number);
    const body = Buffer.from(`${JSON.stringify(lease)}\n`);
    const sha256 = parseDigest(hash('sha256', body));
    try {
      await store.put(key, body, { sha256, ifAbsent: true, ...(signal ? { signal } : {}) });
    } catch (thrown) {
      if (thrown instanceof ZkeepError && thrown.code === 'store.exists') return false;
      throw thrown;
    }
    if (await this.#storeDecides()) return true;
    await clock.sleep(SETTLING, signal);
    const stands = await store.get(key, { maxBytes: MAX_LEASE, ...(signal ? { signal } : {}) });
    return stands.equals(body);
  }

  async #storeDecides(): Promise<boolean> {
    this.#decides ??= this.#tools.store.probe().then(({ conditionalPut }) => conditionalPut);
    this.#decides.catch(() => {
      this.#decides = undefined;
    });
    return await this.#decides;
  }

  async #removeBefore(job: JobName, number: number, signal: AbortSignal): Promise<void> {
    const { store } = this.#tools;
    const keys: string[] = [];
    for await (const { key } of store.list(`${LEASES_PREFIX}${job}/`, signal)) keys.push(key);
    for (const key of keys) if (key < leaseKey(job, number)) await store.delete(key, signal);
  }
}

interface HeldFacts {
  readonly job: JobName;
  number: number;
  until: number;
}

class Held implements HeldLease {
  readonly #tools: LeaseTools;
  readonly #leases: Leases;
  readonly #facts: HeldFacts;
  readonly #taking: Taking;
  #next: number;
  #renewing: Promise<void> | undefined;
  #over = false;

  constructor(tools: LeaseTools, leases: Leases, facts: HeldFacts, taking: Taking) {
    this.#tools = tools;
    this.#leases = leases;
    this.#facts = facts;
    this.#taking = taking;
    this.#next = tools.clock.now() + RENEWED_AFTER;
  }

  async tick(): Promise<void> {
    const now = this.#tools.clock.now();
    if (this.#over) return;
    // Also when the clock was set back: nobody knows then how long others wait.
    if (now >= this.#facts.until || now < this.#facts.until - 2 * LEASE_LIFE) this.#lose('it ran out');
    else if (now >= this.#next && !this.#renewing) this.#startRenewing();
    await this.#renewing;
  }

  #startRenewing(): void {
    this.#renewing = this.#renew().finally(() => {
      this.#renewing = undefined;
    });
  }

  async release(): Promise<void> {
    await this.#renewing;
    if (this.#over) return;
    this.#over = true;
    const { job, number } = this.#facts;
    await this.#leases.free(job, number + 1).catch(() => undefined);
  }

  async #renew(): Promise<void> {
    const { clock } = this.#tools;
    const { job, number, until } = this.#facts;
    this.#next = clock.now() + TRIED_AGAIN_AFTER;
    try {
      const renewed = await this.#leases.renew(job, number + 1, this.#taking.signal);
      if (renewed === undefined) return this.#lose('another service has taken it');
      if (clock.now() >= until) return this.#lose('it ran out while it was renewed');
      this.#facts.number = renewed.number;
      this.#facts.until = renewed.until;
      this.#next = clock.now() + RENEWED_AFTER;
    } catch {
      // A store that is away: tried again until it has run out.
    }
  }

  #lose(why: string): void {
    if (this.#over) return;
    this.#over = true;
    const { job } = this.#facts;
    this.#taking.lost(
      new ZkeepError('unavailable', 'job.lease-lost', `the lease of the job ${job} is lost: ${why}`, {
        advice: 'it goes on in its next run, here or in another service',
        facts: { job },
      }),
    );
  }
}

const NAME = /^leases\/[a-z]+\/([0-9]{10})\.json$/;

function leaseKey(job: JobName, number: number): string {
  return `${LEASES_PREFIX}${job}/${String(number).padStart(10, '0')}.json`;
}

function isHeld({ released, until }: LeaseObject, now: number): boolean {
  return !released && now < Date.parse(until) + CLOCK_TOLERANCE;
}

function elsewhere({ service, until }: LeaseObject): Elsewhere {
  return { service, until: Date.parse(until) + CLOCK_TOLERANCE };
}

function unclear(job: JobName, cause: unknown): ZkeepError {
  return new ZkeepError(
    'unavailable',
    'job.lease-unclear',
    `the store lists a lease of the job ${job} that it does not have`,
    { advice: 'its next run looks again', facts: { job }, cause },
  );
}

function endOf({ modified }: ObjectFacts): string {
  return new Date(modified + LEASE_LIFE).toISOString();
}
