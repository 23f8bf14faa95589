/** The job `verify`: proves backups, the oldest proof first, lightly and, within the budget of the day, deeply. JOBS.md is the page on it. */
import { hash } from 'node:crypto';
import type { FastifyBaseLogger } from 'fastify';
import type { Clock } from '../../../catalog/clock.ts';
import { messageOf, ZkeepError } from '../../../catalog/errors.ts';
import type { CatalogIndex } from '../../../catalog/index/catalog-index.ts';
import type { FoundDamage } from '../../../catalog/index/journal/findings.ts';
import type { Depth } from '../../../catalog/journal/entry.ts';
import type { BackupSummary } from '../../../catalog/protocol/protocol.ts';
import { readSegmentKey } from '../../../catalog/repository/names.ts';
import type { Repository } from '../../../catalog/repository/repository.ts';
import { WorkerPool } from '../../../catalog/repository/segment/threads/pool.ts';
import { type Examined, examineBackup } from '../../../catalog/repository/verify/examine.ts';
import type { BackupId } from '../../../catalog/words.ts';
import type { JobSettings } from '../../configuration/jobs.ts';
import type { InUse } from '../in-use.ts';
import type { Job, JobRun } from '../job.ts';
import { Budget } from './budget.ts';
import { Findings, type FindingsTools } from './findings.ts';
import { readIdentityFile } from './identities.ts';
import type { VerifyLedger } from './ledger.ts';
import { Tally } from './tally.ts';

export interface VerifyTools extends FindingsTools {
  readonly repository: Repository;
  readonly index: Pick<CatalogIndex, 'backup' | 'proofs' | 'proofOf' | 'damage'>;
  readonly ledger: VerifyLedger;
  readonly inUse: InUse;
  readonly clock: Clock;
  readonly log: FastifyBaseLogger;
  readonly settings: JobSettings['verify'];
  /** Of the budget's days. */
  readonly zone: string;
}

/** Backups that are asked for at once. */
const BATCH = 1000;
/** Stored bytes of a backup that takes some time to read. */
const LARGE = 1024 * 1024 * 1024;
/** A damage that reading found is looked at again after so long, milliseconds: the object may have been put back. */
const AGAIN_AFTER = 24 * 3600_000;
/** A look that is so much later than now, milliseconds, was noted by a clock that was wrong. */
const AHEAD = 24 * 3600_000;
/** After so many that cannot be read it is not the backup that is the matter. */
const MOST_UNREAD = 20;
/** The threads that decode: the service has other things to do. */
const THREADS = 1;

/** The job, exclusive: two services need not both read everything. */
export function verifyJob(tools: VerifyTools): Job {
  return {
    name: 'verify',
    exclusive: true,
    schedule: tools.settings.schedule,
    run: async (run) => await new VerifyRun(tools, run).run(),
  };
}

/** One run. */
class VerifyRun {
  readonly #tools: VerifyTools;
  readonly #run: JobRun;
  readonly #budget: Budget;
  readonly #tally = new Tally();
  readonly #seen = new Set<BackupId>();
  /** What was known to be damaged when this part of the run began. */
  #damaged: ReadonlyMap<BackupId, FoundDamage> = new Map();
  /** Found damaged in this run. */
  readonly #found = new Set<BackupId>();
  readonly #findings: Findings;
  #pool: WorkerPool | undefined;
  #identities: string[] = [];

  constructor(tools: VerifyTools, run: JobRun) {
    const { ledger, clock, settings, zone } = tools;
    this.#tools = tools;
    this.#run = run;
    this.#budget = new Budget(ledger, { clock, perDay: settings.bytesPerDay, zone });
    this.#findings = new Findings(tools, run.signal);
  }

  async run(): Promise<string | null> {
    try {
      await this.#work();
    } finally {
      this.#budget.note();
      await this.#pool?.close();
      await this.#findings.flush();
    }
    const words = this.#tally.words();
    if (this.#tally.unreadCount > 0) {
      throw new ZkeepError('failed', 'verify.unread', words ?? '', {
        advice:
          'what cannot be read for want of rights, of a key or of a newer zkeep is neither whole nor damaged',
      });
    }
    return words;
  }

  async #work(): Promise<void> {
    const { settings } = this.#tools;
    await this.#allDue('light', settings.light);
    this.#identities = readIdentityFile(settings.identityFile);
    await this.#damagedAgain();
    if (this.#canRead) await this.#allDue('deep', settings.deep);
  }

  /** Whether the service itself can look into segments. */
  get #canRead(): boolean {
    return this.#tools.repository.marker.recipients.length === 0 || this.#identities.length > 0;
  }

  /** All whose last look of a depth is older than it may be; those first of which a deep look was cut off. */
  async #allDue(depth: Depth, period: number): Promise<void> {
    const { index, clock } = this.#tools;
    const damaged = this.#readDamage();
    this.#seen.clear();
    if (depth === 'deep' && !(await this.#allBegun(period))) return;
    for (;;) {
      const before = new Date(clock.now() - period).toISOString();
      const due = index
        .proofs({ depth, before, limit: BATCH }, clock.now() + AHEAD)
        .filter(({ backup }) => !this.#seen.has(backup));
      if (due.length === 0) return;
      for (const { backup } of due) {
        if (damaged.has(backup)) this.#seen.add(backup);
        else if (!(await this.#next(backup, depth))) return;
      }
      await this.#findings.flush();
    }
  }

  /** Those of which a deep look was cut off, unless somebody else has proven them meanwhile. */
  async #allBegun(period: number): Promise<boolean> {
    const { index, ledger, clock } = this.#tools;
    for (const backup of ledger.begun()) {
      const { deep } = index.proofOf(backup);
      const isProven = deep !== null && Date.parse(deep) >= clock.now() - period;
      if (isProven || !index.backup(backup)) ledger.drop(backup);
      else if (!this.#damaged.has(backup) && !(await this.#next(backup, 'deep'))) return false;
    }
    return true;
  }

  #readDamage(): ReadonlyMap<BackupId, FoundDamage> {
    this.#damaged = new Map(this.#tools.index.damage().map((damage) => [damage.backup, damage]));
    return this.#damaged;
  }

  /** Examines the next one; `false`: the day's budget is used up. */
  async #next(backup: BackupId, depth: Depth): Promise<boolean> {
    if (depth === 'deep' && this.#budget.isUsedUp) {
      this.#tally.usedUp = true;
      return false;
    }
    this.#seen.add(backup);
    await this.#examine(backup, depth);
    return true;
  }

  /**
   * Damage is looked at again, in case that an object was put back: what a light look found in each
   * run; what a deep one found once a day, at the objects that it named, and if these are right again
   * as a whole.
   */
  async #damagedAgain(): Promise<void> {
    const { ledger, clock } = this.#tools;
    const damaged = this.#readDamage();
    ledger.keepAgain(damaged);
    for (const { backup, depth, found, problems } of damaged.values()) {
      if (this.#found.has(backup)) continue;
      if (depth === 'light') {
        await this.#examine(backup, 'light');
        continue;
      }
      if (!this.#canRead || this.#budget.isUsedUp) continue;
      const [since, again] = [Date.parse(found), ledger.again(backup) ?? 0];
      // What was read before the damage was found refutes nothing.
      if (again < since) ledger.drop(backup);
      if (!ledger.place(backup)) {
        if (clock.now() - Math.max(since, again) < AGAIN_AFTER) continue;
        ledger.noteAgain(backup, clock.now());
        const keys = problems.map(({ key }) => key);
        if (!(await this.#areRight(backup, keys))) continue;
      }
      await this.#examine(backup, 'deep');
    }
  }

  /** Whether objects of a backup are those that were written. */
  async #areRight(backup: BackupId, keys: readonly (string | null)[]): Promise<boolean> {
    const { repository, index } = this.#tools;
    const { signal } = this.#run;
    const to = index.backup(backup)?.to;
    if (to === undefined) return false;
    try {
      const manifest = await repository.manifest(to, backup, signal);
      for (const key of keys) {
        const number = key === null ? undefined : readSegmentKey(key)?.number;
        if (number === undefined) continue;
        const stored = await repository.segment(manifest, number, signal);
        this.#read(stored.byteLength);
        if (hash('sha256', stored) !== manifest.segments[number]?.sha256) return false;
      }
      return true;
    } catch (thrown) {
      signal.throwIfAborted();
      if (!(thrown instanceof ZkeepError) || (thrown.kind !== 'missing' && thrown.kind !== 'damaged'))
        throw thrown;
      return false;
    } finally {
      this.#budget.note();
    }
  }

  async #examine(backup: BackupId, depth: Depth): Promise<void> {
    const { index, inUse } = this.#tools;
    const summary = index.backup(backup);
    if (!summary) return;
    this.#tell(depth, summary);
    const began = this.#tools.clock.now();
    const done = inUse.hold(backup);
    try {
      const examined = await this.#look(summary, depth);
      if (examined) await this.#conclude(summary, examined, began);
    } catch (thrown) {
      this.#run.signal.throwIfAborted();
      // Of one object without rights others are none the worse; a store that is away is tried later.
      if (!(thrown instanceof ZkeepError) || (thrown.kind !== 'denied' && thrown.kind !== 'refused'))
        throw thrown;
      this.#cannot(summary, messageOf(thrown));
    } finally {
      this.#budget.note();
      done();
    }
  }

  async #look(summary: BackupSummary, depth: Depth): Promise<Examined | undefined> {
    const { repository, ledger, clock, settings } = this.#tools;
    const { signal } = this.#run;
    const { backup } = summary;
    if (depth === 'light') return await examineBackup(repository, summary, { signal });
    // What is proven does not wait until a large one is read.
    if (summary.stored > LARGE) await this.#findings.flush();
    else await this.#findings.flushLate();
    this.#pool ??= new WorkerPool(THREADS);
    const from = ledger.place(backup);
    const chance = from?.chance ?? clock.random();
    return await examineBackup(repository, summary, {
      signal,
      deep: {
        pool: this.#pool,
        identities: this.#identities,
        secondDecoder: settings.secondDecoder,
        chance,
        from,
        onRead: (bytes) => this.#read(bytes),
        onStretch: (walked) => {
          ledger.keep(backup, { ...walked, chance });
          this.#budget.note();
          this.#tell(depth, summary, walked.segments);
        },
        mayGoOn: () => !this.#budget.isUsedUp,
      },
    });
  }

  /** Writes down what was found. */
  async #conclude(summary: BackupSummary, examined: Examined, began: number): Promise<void> {
    const { ledger, log } = this.#tools;
    const { backup, proof, damage, problems } = examined;
    for (const problem of problems) log.warn({ ...problem }, 'verification found a problem');
    if (damage) {
      if (!(await this.#findings.record(damage, this.#damaged.get(backup)))) return;
      ledger.drop(backup);
      this.#found.add(backup);
      this.#tally.examined(examined);
      this.#tally.damaged(nameOf(summary));
      return;
    }
    this.#tally.examined(examined);
    if (proof) {
      const known = this.#damaged.get(backup);
      if (known && (known.depth === 'light' || proof.depth === 'deep')) this.#tally.mended(backup);
      if (proof.depth === 'deep') ledger.drop(backup);
      return await this.#findings.take(proof, began);
    }
    const [problem] = problems;
    if (problem) this.#cannot(summary, problem.message);
    else this.#tally.usedUp = true;
  }

  #cannot(summary: BackupSummary, why: string): void {
    this.#tally.unread(`${nameOf(summary)} (${why})`);
    if (this.#tally.unreadCount < MOST_UNREAD) return;
    throw new ZkeepError('failed', 'verify.unread', this.#tally.words() ?? '', {
      advice: 'too many could not be read; the next run tries again',
    });
  }

  #read(bytes: number): void {
    this.#budget.read(bytes);
    this.#tally.read(bytes);
  }

  #tell(depth: Depth, summary: BackupSummary, segments?: number): void {
    const place = segments === undefined ? '' : `, segment ${segments} of ${summary.segments}`;
    const soFar = this.#tally.words();
    this.#run.tell(`${depth}: ${nameOf(summary)}${place}${soFar === null ? '' : `; so far ${soFar}`}`);
  }
}

function nameOf({ host, dataset, name, backup }: BackupSummary): string {
  return `${host}:${dataset}@${name} (${backup})`;
}
