/** The way of a backup through the service: open, grant, commit, or abandon. */

import { randomUUID } from 'node:crypto';
import type { Attributes } from '../../catalog/attributes/attributes.ts';
import { ZkeepError } from '../../catalog/errors.ts';
import type { OpenBackupsQuery } from '../../catalog/protocol/pages.ts';
import type {
  BackupSummary,
  CommitRequest,
  OpenBackup,
  OpenBackupRow,
  OpenRequest,
  Part,
  ResumeOffer,
  ResumeRequest,
  StoredPart,
} from '../../catalog/protocol/protocol.ts';
import type { Grant } from '../../catalog/repository/store/store.ts';
import { type BackupId, type Digest, laterUuid7, parseBackupId } from '../../catalog/words.ts';
import type { OpenBackupState } from '../state/open-backups.ts';
import type { TokenFacts } from '../state/tokens.ts';
import { Notes, type NotesOptions } from '../uploads/notes.ts';
import { commitAgain, commitOpen } from './committing.ts';
import { grantParts } from './granting.ts';
import { Leftovers } from './leftovers.ts';
import { checkBase, checkRequest, checkResuming, decideOpening, mayEnd, mayReplace } from './opening.ts';
import { offerResume } from './resuming.ts';
import { alreadyCommitted, notOpen, othersBackup, type Surroundings, takenOver } from './surroundings.ts';
import { Turns } from './turns.ts';

/** Who asks for something about an open backup. */
export interface Caller {
  readonly token: TokenFacts;
  /** The session that it names, or wants for its own; a call that is no writer's may name none. */
  readonly session: string | undefined;
}

/**
 * All acts on backups that are not committed yet. Every act may be asked twice,
 * and may be cut off at any point: what it leaves never looks like a backup, and
 * the next one goes on from there or removes it.
 */
export class Backups {
  readonly #surroundings: Surroundings;
  readonly #leftovers: Leftovers;
  readonly #notes: Notes;
  readonly #turns = new Turns<BackupId>();
  readonly #started: number;

  constructor(surroundings: Surroundings, notes: NotesOptions) {
    this.#surroundings = surroundings;
    this.#notes = new Notes(surroundings, notes);
    this.#leftovers = new Leftovers(surroundings);
    this.#started = surroundings.clock.now();
  }

  /** Goes on with what a former run of the service left: commits that had begun, segments to remove. */
  async recover(): Promise<void> {
    const { open, log } = this.#surroundings;
    for (const { backup, committing } of open.all()) {
      if (!committing) continue;
      await this.#settle(backup).catch((thrown: unknown) =>
        log.error({ err: thrown, backup }, 'could not finish a commit'),
      );
    }
    void this.#leftovers.sweep();
    this.#notes.sweep();
  }

  /** Ends what runs in the background. */
  async stop(): Promise<void> {
    await Promise.all([this.#leftovers.stop(), this.#notes.stop()]);
  }

  /** All that are open, of this host and dataset. */
  list(query: OpenBackupsQuery): OpenBackupRow[] {
    return this.#surroundings.open.find(query).map((opened) => this.#rowOf(opened));
  }

  /**
   * Opens a backup.
   *
   * @throws {ZkeepError} `busy` when another agent is at it; `refused` when the same stream is stored
   *   (`backup.already`) or, for an agent, its snapshot can be restored by another; its base is not stored, or
   *   it would change the flags of its chain.
   */
  async open(request: OpenRequest, { token, session = randomUUID() }: Caller): Promise<OpenBackup> {
    const { open, candidates, index, clock } = this.#surroundings;
    checkRequest(request);
    const moment = () => ({ request, token, now: clock.now(), started: this.#started });
    for (const rival of open.rivals(request)) {
      if (rival.committing && mayReplace(rival, moment())) await this.#settle(rival.backup);
    }
    // From here to the end nothing waits, so nothing comes between the look and the step.
    this.#refuseStored(request);
    this.#refuseOtherWay(request, token);
    checkBase(request, request.from ? index.ways(request.from.guid) : []);
    this.#refuseLeaving(request);
    const withParts = (rival: OpenBackupState) => {
      return { ...rival, parts: candidates.amount(rival.backup).segments };
    };
    const opening = decideOpening({ ...moment(), rivals: open.rivals(request).map(withParts) });
    if (opening.kind === 'again') {
      return this.#toOpener(open.give(opening.open.backup, request.writer, session) ?? opening.open);
    }
    this.#refuseTooMany(opening.replaces.length);
    // Greater than those that it replaces, though the clock stands still or goes back: of what lies in the
    // bucket the newest is the one that goes on.
    const replaced = opening.replaces.map((one) => one.backup);
    const backup = parseBackupId(laterUuid7(replaced.toSorted().at(-1), clock.now()));
    const added = open.add(backup, { token: token.name, session }, request, replaced);
    for (const one of replaced) this.#notes.forget(one);
    void this.#leftovers.sweep();
    return this.#toOpener(added);
  }

  /**
   * Gives an open backup to another writer, and says from where it goes on. Who
   * wrote it before cannot write it any more.
   *
   * @throws {ZkeepError} `busy` with code `backup.busy` while its writer lives; `refused` with code
   *   `backup.committed` when it is a backup by now; `missing` when it is not open.
   */
  async resume(backup: BackupId, request: ResumeRequest, caller: Caller): Promise<ResumeOffer> {
    const { token, session = randomUUID() } = caller;
    const { open, clock } = this.#surroundings;
    const find = () => {
      const opened = open.get(backup);
      if (!opened) throw this.#over(backup);
      checkResuming(opened, request, { token, now: clock.now(), started: this.#started });
      return opened;
    };
    if (find().committing) await this.#settle(backup);
    return await this.#turns.take(backup, async () => {
      // While this waited for its turn, another one may have been faster, or its writer back.
      if (find().committing) throw beingCommitted(backup);
      const given = open.give(backup, request.writer, session);
      if (!given) throw this.#over(backup);
      const offer = await offerResume(this.#surroundings, given);
      this.#mine(backup, { token, session });
      open.hear(backup);
      this.#notes.forget(backup);
      this.#notes.touch(backup);
      return offer;
    });
  }

  /** Renews the lease; gives the moment. */
  alive(backup: BackupId, caller: Caller): number {
    this.#mine(backup, caller);
    return this.#surroundings.open.hear(backup);
  }

  /** Grants for writing parts, in their order; for those that are stored, that they are. */
  async grant(backup: BackupId, parts: readonly Part[], caller: Caller): Promise<(Grant | StoredPart)[]> {
    return await this.#turns.take(backup, async () => {
      const check = () => {
        const opened = this.#mine(backup, caller);
        if (opened.committing) throw beingCommitted(backup);
        return opened;
      };
      check();
      this.#surroundings.open.hear(backup);
      const { answers, contested } = await grantParts(this.#surroundings, backup, parts, check);
      // Whoever finds a part in the bucket's notes must find all that may be written to it.
      if (contested) await this.#notes.write(backup);
      else this.#notes.touch(backup);
      return answers;
    });
  }

  /** Stores an attribute manifest and notes it with the backup; gives its digest. */
  async putAttributes(backup: BackupId, attributes: Attributes, caller: Caller): Promise<Digest> {
    this.#mine(backup, caller);
    this.#surroundings.open.hear(backup);
    const digest = await this.#surroundings.repository.putAttributes(attributes);
    this.#mine(backup, caller);
    this.#surroundings.open.noteAttributes(backup, digest);
    this.#notes.touch(backup);
    return digest;
  }

  /** Makes it a backup. Asked again after a lost answer, it answers the same. */
  async commit(backup: BackupId, request: CommitRequest, caller: Caller): Promise<BackupSummary> {
    return await this.#turns.take(backup, async () => {
      const { open, index } = this.#surroundings;
      const committed = open.get(backup) ? undefined : index.backup(backup);
      if (committed) return await commitAgain(this.#surroundings, committed, request);
      const opened = this.#mine(backup, caller);
      open.hear(backup);
      return await this.#commit(opened, request);
    });
  }

  /** Ends an open backup and removes its segments. A writer that names its session ends only what is its own. */
  async abandon(backup: BackupId, { token, session }: Caller): Promise<void> {
    const { open, journal } = this.#surroundings;
    const opened = open.get(backup);
    if (opened && session !== undefined) this.#mine(backup, { token, session });
    if (opened && !mayEnd(opened, token)) throw othersBackup(backup);
    if (opened?.committing) await this.#settle(backup);
    open.abandon(backup);
    if (open.get(backup)) throw beingCommitted(backup);
    if (!open.isAbandoned(backup)) throw this.#over(backup);
    if (opened) {
      const { host, dataset } = opened.request.source;
      journal.note(token.name, { kind: 'backup.abandoned', backup, host, dataset });
    }
    this.#notes.forget(backup);
    await this.#leftovers.sweep();
  }

  /** The content that may still be written to a part: nothing once its backup is not open any more. */
  writable(backup: BackupId, number: number): Digest | undefined {
    return this.#surroundings.candidates.latest(backup, number);
  }

  /** Takes a commit that has begun to its end; when it is impossible and nothing was written, takes it back. */
  async #settle(backup: BackupId): Promise<void> {
    await this.#turns.take(backup, async () => {
      const opened = this.#surroundings.open.get(backup);
      if (!opened?.committing) return;
      try {
        await this.#commit(opened, opened.committing.request);
      } catch (thrown) {
        if (!(thrown instanceof ZkeepError) || !thrown.code.startsWith('commit.')) throw thrown;
        this.#surroundings.open.endCommit(backup);
      }
    });
  }

  async #commit(opened: OpenBackupState, request: CommitRequest): Promise<BackupSummary> {
    const summary = await commitOpen(this.#surroundings, opened, request);
    this.#notes.remove(opened.backup);
    return summary;
  }

  #mine(backup: BackupId, { token, session }: Caller): OpenBackupState {
    const opened = this.#surroundings.open.get(backup);
    if (!opened) throw notOpen(backup);
    if (!mayEnd(opened, token)) throw othersBackup(backup);
    if (opened.session !== session) throw takenOver(opened);
    return opened;
  }

  /** Why a backup is not open any more. */
  #over(backup: BackupId): ZkeepError {
    return this.#surroundings.index.backup(backup) ? alreadyCommitted(backup) : notOpen(backup);
  }

  #refuseStored({ from, to }: OpenRequest): void {
    const base = from?.guid ?? null;
    const stored = this.#surroundings.index.backupOf(base, to.guid);
    if (!stored) return;
    throw new ZkeepError(
      'refused',
      'backup.already',
      `this stream is stored already, as backup ${stored.backup}`,
      {
        advice: 'there is nothing to do',
        facts: { backup: stored.backup, to: to.guid, from: base },
      },
    );
  }

  /**
   * A restore takes the cheapest way: a cheaper one, made up, would change what stood there before. So agents
   * store no second way to what can be restored.
   */
  #refuseOtherWay({ to }: OpenRequest, token: TokenFacts): void {
    const { index } = this.#surroundings;
    if (token.scope === 'operator' || index.ways(to.guid).length === 0) return;
    const { steps } = index.plan({ wanted: { guids: [to.guid] }, have: [], rollback: false });
    const backup = steps.at(-1)?.backup ?? null;
    throw new ZkeepError(
      'refused',
      'backup.already',
      `${to.name} can be restored already, from backup ${backup}: another way to it is stored for operators only`,
      {
        advice: 'there is nothing to do; to store it once more all the same, use a token of scope operator',
        facts: { backup, to: to.guid },
      },
    );
  }

  /** What hangs on it could be begun too late to be seen by the service that removes it. */
  #refuseLeaving({ from }: OpenRequest): void {
    if (!from || !this.#surroundings.marks.isLeaving(from.guid)) return;
    throw new ZkeepError('refused', 'backup.base-leaving', `the base ${from.guid} is about to be removed`, {
      advice: 'take a backup on a newer base, or a full one; a pin keeps what is marked',
      facts: { from: from.guid },
    });
  }

  #refuseTooMany(replaced: number): void {
    const { open, limit } = this.#surroundings;
    if (open.count() - replaced < limit) return;
    throw new ZkeepError(
      'unavailable',
      'backup.too-many',
      `${limit} backups are open, no more are taken now`,
      {
        advice: 'abandon those that nobody goes on with, or raise limits.open_backups',
        facts: { limit },
      },
    );
  }

  #toOpener(opened: OpenBackupState): OpenBackup {
    return { ...this.#rowOf(opened), session: opened.session };
  }

  #rowOf({ backup, opened, heard, request, writer }: OpenBackupState): OpenBackupRow {
    return {
      backup,
      opened: new Date(opened).toISOString(),
      heard: new Date(heard).toISOString(),
      source: request.source,
      writer,
      from: request.from?.guid ?? null,
      to: request.to.guid,
      set: request.set,
      ...this.#surroundings.candidates.amount(backup),
    };
  }
}

function beingCommitted(backup: BackupId): ZkeepError {
  return new ZkeepError('busy', 'backup.committing', `backup ${backup} is being committed`, {
    advice: 'commit it again to hear how that ended',
    facts: { backup },
  });
}
