/** The way of a backup through the service: open, grant, commit, or abandon. */

import type { Attributes } from '../../catalog/attributes/attributes.ts';
import { ZkeepError } from '../../catalog/errors.ts';
import type {
  BackupSummary,
  CommitRequest,
  OpenBackup,
  OpenRequest,
  Part,
} from '../../catalog/protocol/protocol.ts';
import type { Grant } from '../../catalog/repository/store/store.ts';
import { type BackupId, type Digest, newUuid7, parseBackupId } from '../../catalog/words.ts';
import type { OpenBackupState } from '../state/open-backups.ts';
import type { TokenFacts } from '../state/tokens.ts';
import { commitAgain, commitOpen } from './committing.ts';
import { grantParts } from './granting.ts';
import { Leftovers } from './leftovers.ts';
import { checkBase, checkRequest, decideOpening, mayEnd, mayReplace } from './opening.ts';
import { alreadyCommitted, notOpen, othersBackup, type Surroundings } from './surroundings.ts';
import { Turns } from './turns.ts';

/**
 * All acts on backups that are not committed yet. Every act may be asked twice,
 * and may be cut off at any point: what it leaves never looks like a backup, and
 * the next one goes on from there or removes it.
 */
export class Backups {
  readonly #surroundings: Surroundings;
  readonly #leftovers: Leftovers;
  readonly #turns = new Turns<BackupId>();
  readonly #started: number;

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
    this.#leftovers = new Leftovers(surroundings);
    this.#started = surroundings.clock.now();
  }

  /** Goes on with what a former run of the service left: commits that had begun, segments to remove. */
  async resume(): Promise<void> {
    const { open, log } = this.#surroundings;
    for (const { backup, committing } of open.all()) {
      if (!committing) continue;
      await this.#settle(backup).catch((thrown: unknown) =>
        log.error({ err: thrown, backup }, 'could not finish a commit'),
      );
    }
    void this.#leftovers.sweep();
  }

  /** Ends what runs in the background. */
  async stop(): Promise<void> {
    await this.#leftovers.stop();
  }

  /** All that are open. */
  list(): OpenBackup[] {
    return this.#surroundings.open.all().map(toAnswer);
  }

  /**
   * Opens a backup.
   *
   * @throws {ZkeepError} `busy` when another agent is at it; `refused` when the same stream is stored
   *   (`backup.already`), or its base is not, or it would change the flags of its chain.
   */
  async open(request: OpenRequest, token: TokenFacts): Promise<OpenBackup> {
    const { open, index, clock } = this.#surroundings;
    checkRequest(request);
    const moment = () => ({ request, token, now: clock.now(), started: this.#started });
    for (const rival of open.rivals(request)) {
      if (rival.committing && mayReplace(rival, moment())) await this.#settle(rival.backup);
    }
    // From here to the end nothing waits, so nothing comes between the look and the step.
    this.#refuseStored(request);
    checkBase(request, request.from ? index.ways(request.from.guid) : []);
    const rivals = open.rivals(request).map((rival) => ({ ...rival, parts: open.countParts(rival.backup) }));
    const opening = decideOpening({ ...moment(), rivals });
    if (opening.kind === 'again') return toAnswer({ ...opening.open, heard: open.hear(opening.open.backup) });
    this.#refuseTooMany(opening.replaces.length);
    const backup = parseBackupId(newUuid7(clock.now()));
    const added = open.add(
      backup,
      token.name,
      request,
      opening.replaces.map((replaced) => replaced.backup),
    );
    void this.#leftovers.sweep();
    return toAnswer(added);
  }

  /** Renews the lease; gives the moment. */
  alive(backup: BackupId, token: TokenFacts): number {
    this.#mine(backup, token);
    return this.#surroundings.open.hear(backup);
  }

  /** Grants for writing parts, in their order. */
  async grant(backup: BackupId, parts: readonly Part[], token: TokenFacts): Promise<Grant[]> {
    return await this.#turns.take(backup, async () => {
      const { committing } = this.#mine(backup, token);
      if (committing) throw beingCommitted(backup);
      this.#surroundings.open.hear(backup);
      return await grantParts(this.#surroundings, backup, parts);
    });
  }

  /** Stores an attribute manifest; gives its digest. */
  async putAttributes(backup: BackupId, attributes: Attributes, token: TokenFacts): Promise<Digest> {
    this.#mine(backup, token);
    this.#surroundings.open.hear(backup);
    return await this.#surroundings.repository.putAttributes(attributes);
  }

  /** Makes it a backup. Asked again after a lost answer, it answers the same. */
  async commit(backup: BackupId, request: CommitRequest, token: TokenFacts): Promise<BackupSummary> {
    return await this.#turns.take(backup, async () => {
      const { open, index } = this.#surroundings;
      const committed = open.get(backup) ? undefined : index.backup(backup);
      if (committed) return await commitAgain(this.#surroundings, committed, request);
      const opened = this.#mine(backup, token);
      open.hear(backup);
      return await commitOpen(this.#surroundings, opened, request);
    });
  }

  /** Ends an open backup and removes its segments. */
  async abandon(backup: BackupId, token: TokenFacts): Promise<void> {
    const { open, index } = this.#surroundings;
    const opened = open.get(backup);
    if (opened && !mayEnd(opened, token)) throw othersBackup(backup);
    if (opened?.committing) await this.#settle(backup);
    open.abandon(backup);
    if (open.get(backup)) throw beingCommitted(backup);
    if (!open.isAbandoned(backup)) throw index.backup(backup) ? alreadyCommitted(backup) : notOpen(backup);
    await this.#leftovers.sweep();
  }

  /** The content that may still be written to a part: nothing once its backup is not open any more. */
  writable(backup: BackupId, number: number): Digest | undefined {
    return this.#surroundings.open.digest(backup, number);
  }

  /** Takes a commit that has begun to its end; when it is impossible and nothing was written, takes it back. */
  async #settle(backup: BackupId): Promise<void> {
    await this.#turns.take(backup, async () => {
      const opened = this.#surroundings.open.get(backup);
      if (!opened?.committing) return;
      try {
        await commitOpen(this.#surroundings, opened, opened.committing.request);
      } catch (thrown) {
        if (!(thrown instanceof ZkeepError) || !thrown.code.startsWith('commit.')) throw thrown;
        this.#surroundings.open.endCommit(backup);
      }
    });
  }

  #mine(backup: BackupId, token: TokenFacts): OpenBackupState {
    const opened = this.#surroundings.open.get(backup);
    if (!opened) throw notOpen(backup);
    if (!mayEnd(opened, token)) throw othersBackup(backup);
    return opened;
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

  #refuseTooMany(replaced: number): void {
    const { open, limit } = this.#surroundings;
    if (open.count() - replaced < limit) return;
    throw new ZkeepError(
      'unavailable',
      'backup.too-many',
      `${limit} backups are open, no more are taken now`,
      {
        advice: 'try again later, or raise limits.open_backups',
        facts: { limit },
      },
    );
  }
}

function toAnswer({ backup, opened, heard, request }: OpenBackupState): OpenBackup {
  return {
    backup,
    opened: new Date(opened).toISOString(),
    heard: new Date(heard).toISOString(),
    source: request.source,
    writer: request.writer,
    to: request.to.guid,
  };
}

function beingCommitted(backup: BackupId): ZkeepError {
  return new ZkeepError('busy', 'backup.committing', `backup ${backup} is being committed`, {
    advice: 'commit it again to hear how that ended',
    facts: { backup },
  });
}
