/**
 * Prune: marks what nothing wants, unmarks what is wanted again, and removes what was marked for as long as
 * the grace. JOBS.md says in which order, and what a crash leaves.
 */
import { setImmediate } from 'node:timers/promises';
import type { FastifyBaseLogger } from 'fastify';
import type { InUseFacts } from '../../../catalog/chain/retention/needs.ts';
import type { PlannedRow } from '../../../catalog/chain/retention/plan.ts';
import type { Clock } from '../../../catalog/clock.ts';
import { ZkeepError } from '../../../catalog/errors.ts';
import type { CatalogIndex } from '../../../catalog/index/catalog-index.ts';
import { refresh } from '../../../catalog/index/refresh.ts';
import {
  type Fate,
  MOST_PRUNE_ROWS,
  type PruneAct,
  type PrunePlan,
  type PruneRequest,
  type RemovedAnswer,
} from '../../../catalog/protocol/keeping.ts';
import type { Repository } from '../../../catalog/repository/repository.ts';
import { chainFlagsOf } from '../../../catalog/stream/features.ts';
import { type Guid, momentOfUuid7 } from '../../../catalog/words.ts';
import type { Journal } from '../../journal/journal.ts';
import type { OpenBackups } from '../../state/open-backups.ts';
import { openElsewhere } from '../../uploads/elsewhere.ts';
import type { InUse } from '../in-use.ts';
import type { Job, JobRun } from '../job.ts';
import { Marks } from './marks.ts';
import { isAct, plan } from './planning.ts';
import { Removal } from './removal.ts';
import type { Scope } from './scope.ts';

export interface PruneTools {
  readonly repository: Repository;
  readonly index: CatalogIndex;
  readonly open: OpenBackups;
  readonly journal: Journal;
  readonly inUse: InUse;
  readonly clock: Clock;
  readonly log: FastifyBaseLogger;
  /** What this service's database is called. */
  readonly service: string;
  /** How long what is marked stays, milliseconds. */
  readonly grace: number;
}

/** Backups that are removed before it is planned anew. */
const LOAD = 500;
/** Most plans in one run: each but the last has removed something, or met a backup that was just begun. */
const MOST_PLANS = 10_000;
/** So far (milliseconds) behind may the clock of a service be whose words are looked for before anything is removed. */
const FAR_BACK = 30 * 86_400_000;
/** A note that cannot be read holds removal back for so long, milliseconds: then nobody goes on with its backup. */
const UNREAD = 30 * 86_400_000;

/** The planner and its acts. */
export class Prune {
  readonly #tools: PruneTools;
  readonly marks: Marks;
  /** How often what plans are made of was changed. */
  #changes = 0;

  constructor(tools: PruneTools) {
    this.#tools = tools;
    this.marks = new Marks(tools);
    tools.journal.onFact(({ fact }) => {
      if (/^(policy|pin|backups|damaged|proven)/.test(fact.kind)) this.#changes += 1;
    });
  }

  /** What would be done now; with other policies, or at another moment: what would be done then. */
  async plan(request: PruneRequest, signal?: AbortSignal): Promise<PrunePlan> {
    const { index, clock, grace } = this.#tools;
    const { fates, policies, now = clock.now(), ...scope } = request;
    const wanted = fates && new Set<Fate>(fates);
    const question = { scope, policies, now, grace, inUse: this.#inUseHere() };
    let count = 0;
    // Of more rows than are told none is held.
    const isWanted = ({ fate }: PlannedRow) => {
      if (wanted?.has(fate) === false) return false;
      count += 1;
      return count <= MOST_PRUNE_ROWS;
    };
    const { digest, totals, rows } = await plan(index, question, isWanted, signal);
    return {
      at: new Date(now).toISOString(),
      digest,
      totals,
      rows: rows.map(({ steps: _, ...row }) => row),
      left_out: Math.max(0, count - MOST_PRUNE_ROWS),
    };
  }

  /**
   * Does what a plan of the same scope showed.
   *
   * @throws {ZkeepError} `refused` (`prune.changed`) when that is not what would be done now.
   */
  async act({ digest, ...scope }: PruneAct, by: string, run: JobRun): Promise<RemovedAnswer> {
    const found = (await this.plan({ ...scope, fates: [] }, run.signal)).digest;
    if (found !== digest) throw changed(digest, found);
    return await this.#act(scope, by, run);
  }

  /** The job: all that is to be done. */
  job(schedule: string | null): Job {
    const run = async (given: JobRun) => removedInWords(await this.#act({}, null, given));
    return { name: 'prune', exclusive: true, schedule, run };
  }

  async #act(scope: Scope, by: string | null, { signal, tell }: JobRun): Promise<RemovedAnswer> {
    const { journal, repository, index, log } = this.#tools;
    tell('looks what other services do');
    await journal.follow();
    // What was open at any look of this run stays a base for all of it: whoever is not at it any more may have
    // committed after the manifests were listed. Who had committed before this look is in that listing.
    const bases = new Bases();
    let elsewhere = await this.#elsewhere(bases, signal);
    tell('plans');
    const rows = await this.#acts(scope, elsewhere, signal);
    const marked = await this.marks.set(by, rows, signal);
    const answer = { ...marked, removed: 0, freed: 0 };
    if (!rows.some(({ fate }) => fate === 'remove') || elsewhere.unread) return answer;
    await this.#readJournal();
    // What other services committed since: it may hang on what is to go.
    const { problems } = await refresh(repository, index, { signal, attributes: false });
    for (const { key, error } of problems) log.error({ err: error, key }, 'a manifest cannot be used');
    const removal = new Removal(this.#tools, by);
    for (let plans = 0; plans < MOST_PLANS; plans++) {
      await journal.follow();
      elsewhere = await this.#elsewhere(bases, signal);
      const doomed = (await this.#acts(scope, elsewhere, signal)).filter(({ fate }) => fate === 'remove');
      if (doomed.length === 0 || elsewhere.unread) break;
      tell(`removes ${doomed.length} backups; ${answer.removed} are gone`);
      // From the last look at what is open to the index nothing waits, so nothing comes between.
      const isFree = () => this.#stand() === elsewhere.stand;
      const { removed, freed } = await removal.remove(doomed, LOAD, isFree, signal);
      answer.removed += removed;
      answer.freed += freed;
      signal.throwIfAborted();
      await setImmediate();
    }
    return answer;
  }

  /**
   * Reads what nobody here has read yet of what others said: it may keep something.
   *
   * @throws {ZkeepError} `refused` (`prune.journal-unread`) when there is something that cannot be understood.
   */
  async #readJournal(): Promise<void> {
    const { journal, index } = this.#tools;
    await journal.follow({ late: FAR_BACK, again: true });
    const unread = index.journal.partly();
    if (unread.length > 0) throw journalUnread(unread);
  }

  async #acts(scope: Scope, elsewhere: Elsewhere, signal: AbortSignal): Promise<readonly PlannedRow[]> {
    const { index, clock, grace } = this.#tools;
    const here = this.#inUseHere();
    const inUse = { ...here, bases: [...here.bases, ...elsewhere.bases] };
    const question = { scope, now: clock.now(), grace, inUse };
    return (await plan(index, question, isAct, signal)).rows;
  }

  /** @param bases what was seen before in this run; what is seen now is added. */
  async #elsewhere(bases: Bases, signal: AbortSignal): Promise<Elsewhere> {
    const { clock, log, service } = this.#tools;
    const stand = this.#stand();
    const { notes, unread } = await openElsewhere(this.#tools, service, signal);
    for (const { request } of notes) bases.add(baseOf(request.from, chainFlagsOf(request.begin)));
    const holding = unread.filter((backup) => clock.now() - (momentOfUuid7(backup) ?? 0) < UNREAD);
    if (holding.length > 0)
      log.warn({ backups: holding }, 'nothing is removed: on what these hang is not known');
    return { stand, bases: bases.all(), unread: holding.length > 0 };
  }

  #inUseHere(): InUseFacts {
    const { open, inUse } = this.#tools;
    const bases = open.all().flatMap(({ request }) => baseOf(request.from, chainFlagsOf(request.begin)));
    return { backups: new Set([...inUse.all(), ...this.marks.used()]), bases };
  }

  /** What plans are made of, in one text: as long as it is the same, so is what a plan says. */
  #stand(): string {
    const { open, inUse, index } = this.#tools;
    const bases = open.all().map(({ backup, request }) => `${backup} ${request.from?.guid}`);
    const [newest] = index.backups({ limit: 1 }).backups;
    const read = [...inUse.all(), ...this.marks.used()];
    return [this.#changes, newest?.backup, ...bases, ...read].join('\n');
  }
}

interface Elsewhere {
  /** How things stood here when it was looked at. */
  readonly stand: string;
  readonly bases: InUseFacts['bases'];
  /** Of some open backups it is not known on what they hang. */
  readonly unread: boolean;
}

/** Snapshots on which backups are made, each once for the flags of these. */
class Bases {
  readonly #seen = new Map<string, InUseFacts['bases'][number]>();

  add(bases: InUseFacts['bases']): void {
    for (const base of bases) {
      const { raw, large_blocks: large } = base.flags;
      this.#seen.set(`${base.guid} ${raw} ${large}`, base);
    }
  }

  all(): InUseFacts['bases'] {
    return [...this.#seen.values()];
  }
}

function baseOf(
  from: { readonly guid: Guid } | null,
  flags: ReturnType<typeof chainFlagsOf>,
): { guid: Guid; flags: ReturnType<typeof chainFlagsOf> }[] {
  return from ? [{ guid: from.guid, flags }] : [];
}

/** What a run did, in words; `null`: nothing. */
export function removedInWords({ marked, unmarked, removed, freed }: RemovedAnswer): string | null {
  const words = [
    ...(marked > 0 ? [`marked ${marked}`] : []),
    ...(unmarked > 0 ? [`unmarked ${unmarked}`] : []),
    ...(removed > 0 ? [`removed ${removed}, ${freed} bytes`] : []),
  ];
  return words.length > 0 ? `backups: ${words.join('; ')}` : null;
}

function journalUnread(keys: readonly string[]): ZkeepError {
  const objects = keys.length === 1 ? '1 object' : `${keys.length} objects`;
  return new ZkeepError(
    'refused',
    'prune.journal-unread',
    `nothing is removed: ${objects} of the journal cannot be understood, from ${keys[0]} on`,
    {
      advice:
        'a newer zkeep may have set a policy or a pin there: update this one. What is damaged and can be put back ' +
        'by nobody stands in the way no longer when it is removed from the bucket',
      facts: { keys: keys.slice(0, 20) },
    },
  );
}

function changed(digest: string, found: string): ZkeepError {
  return new ZkeepError('refused', 'prune.changed', 'what would be done now is not what the plan showed', {
    advice: 'look at the plan again: zkeep prune --dry-run',
    facts: { digest, found },
  });
}
