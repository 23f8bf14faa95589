/** Does what `decide.ts` decided: takes interrupted backups over, one after the other, and finishes or ends them. */
import { ZkeepError } from '../../../catalog/errors.ts';
import type { OpenBackupRow, ResumeOffer } from '../../../catalog/protocol/protocol.ts';
import { type Guid, parseBackupId } from '../../../catalog/words.ts';
import { Capture } from '../../capture/capture.ts';
import { sizeInWords } from '../../output/words.ts';
import { sendCommand, sendStream } from '../../zfs/send.ts';
import { hold, snapshotOf } from '../../zfs/snapshot.ts';
import { sendingOf } from '../commands.ts';
import {
  type BackupTools,
  backUp,
  type DatasetResult,
  type Piece,
  type Sent,
  sendWhole,
  settle,
  storedResult,
  uploadOptions,
  type Way,
} from '../dataset.ts';
import type { DatasetPlan } from '../plan.ts';
import { failedResult } from '../results.ts';
import { undoSnapshot } from '../snapshots.ts';
import { OTHER_BEGIN, type UploadOptions, uploadAgain, uploadRest } from '../upload/upload.ts';
import { deadWriter, thisWriter } from '../writer.ts';
import { decideResume, type ResumeDecision } from './decide.ts';
import type { Match } from './find.ts';
import { NotTheRest, restOf } from './rest.ts';

/** An open backup that was ended: nothing of it could be used. */
export interface GivenUp {
  readonly backup: string;
  readonly dataset: string;
  /** The part after `@`; `null`: its snapshot is gone. */
  readonly snapshot: string | null;
  readonly reason: string;
}

/** How the interrupted ones fared. */
export interface FinishedAll {
  readonly results: readonly DatasetResult[];
  readonly givenUp: readonly GivenUp[];
}

/** Where a stream goes on. */
type Beginning = NonNullable<Extract<ResumeDecision, { kind: 'resume' }>['at']>;

/** What {@link finishInterrupted} works with. */
export interface FinishTools extends BackupTools {
  /** Snapshots that the repository has. */
  readonly stored: ReadonlySet<Guid>;
}

/** Refusals of a stream that is not the one that is stored. */
const ANOTHER = new Set(['grant.stored', OTHER_BEGIN]);

/** Finishes interrupted backups. One that fails does not keep the others from being finished. */
export async function finishInterrupted(matches: readonly Match[], tools: FinishTools): Promise<FinishedAll> {
  const results: DatasetResult[] = [];
  const givenUp: GivenUp[] = [];
  let hopeless: unknown;
  for (const match of matches) {
    const finishing = new Finishing(match, tools, givenUp);
    const result = hopeless === undefined ? await finishing.finish() : finishing.notTried(hopeless);
    if (result) results.push(result);
    if (tools.signal.aborted) hopeless ??= tools.signal.reason;
    else if (isAway(result?.failure)) hopeless ??= result?.failure;
  }
  return { results, givenUp };
}

/** What is decided of an open backup before it is taken over. */
export function decideUnseen(
  { row, source }: Match,
  { host, stored }: Pick<FinishTools, 'host' | 'stored'>,
): ResumeDecision {
  return decideResume({
    open: { ...openFacts(row), offer: undefined },
    source,
    zfs: host.zfs,
    stored: stored.has(row.to),
  });
}

/** One interrupted backup. */
class Finishing {
  readonly #match: Match;
  readonly #tools: FinishTools;
  readonly #givenUp: GivenUp[];

  constructor(match: Match, tools: FinishTools, givenUp: GivenUp[]) {
    this.#match = match;
    this.#tools = tools;
    this.#givenUp = givenUp;
  }

  /** @returns `undefined` when there is no result to tell of: it was ended, or is not ours. */
  async finish(): Promise<DatasetResult | undefined> {
    try {
      const offer = await this.#takeOver();
      return offer instanceof ZkeepError ? await this.#committed(offer) : await this.#goOn(offer);
    } catch (thrown) {
      if (hasCode(thrown, 'backup.not-open')) return undefined;
      if (!hasCode(thrown, 'backup.other')) return this.notTried(thrown);
      // As long as its lease lasts, the new one will find the dataset busy.
      this.#note('was begun with another token, and is left alone');
      return undefined;
    }
  }

  /** @returns what goes on, or the refusal that says that it is a backup by now. */
  async #takeOver(): Promise<ResumeOffer | ZkeepError> {
    const { row } = this.#match;
    const { client, signal } = this.#tools;
    const request = { writer: thisWriter(), takeover: deadWriter(row.backup, row.writer) };
    try {
      return await client.resume(row.backup, request, signal);
    } catch (thrown) {
      if (hasCode(thrown, 'backup.committed')) return thrown;
      throw thrown;
    }
  }

  /** It stays as it is. */
  notTried(thrown: unknown): DatasetResult {
    const { row, source } = this.#match;
    const { signal } = this.#tools;
    const labels = {
      dataset: source?.dataset ?? row.source.dataset,
      kind: row.from === null ? ('full' as const) : ('incremental' as const),
      snapshot: snapshotIn(this.#match),
      from: row.from,
      to: row.to,
    };
    const failure: unknown = signal.aborted ? signal.reason : thrown;
    const reason = hasCode(thrown, 'backup.busy') ? 'another run is at it' : 'it was interrupted';
    return { ...failedResult(labels, failure), reason, set: row.set, resumed: null };
  }

  /** Asked for by the run that was interrupted, its commit was taken to its end. */
  async #committed(thrown: ZkeepError): Promise<DatasetResult | undefined> {
    const { client, signal } = this.#tools;
    const { item, reason } = decideUnseen(this.#match, this.#tools);
    const summary = await client.backup(parseBackupId(String(thrown.facts['backup'])), signal);
    if (!item) {
      this.#note(`is a backup: ${summary.backup}, although ${reason}`);
      return undefined;
    }
    await settle(item, summary.to, this.#tools);
    const how = 'its commit had been asked for';
    const resumed = { how: 'committed' as const, reason: how, kept: summary.bytes, sent_again: 0 };
    return storedResult(item, summary, { set: summary.set, resumed, seconds: 0 });
  }

  async #goOn(offer: ResumeOffer): Promise<DatasetResult | undefined> {
    const { row, source } = this.#match;
    const { host, stored, client, progress, signal } = this.#tools;
    const { bytes, segments } = offer;
    const open = { ...openFacts(row), bytes, segments, zfs: offer.request.source.zfs, offer };
    const decision = decideResume({ open, source, zfs: host.zfs, stored: stored.has(row.to) });
    if (decision.kind === 'give-up') {
      await client.abandon(offer, signal);
      if (decision.item) await undoSnapshot(decision.item, progress);
      this.#giveUp(decision.reason);
      return undefined;
    }
    const { item } = decision;
    await hold([snapshotOf(item.dataset, item.snapshot)], signal);
    const attributes = async () =>
      await new Capture({ signal }).of(item.dataset, snapshotOf(item.dataset, item.snapshot));
    const piece = { snapshot: { guid: row.to }, set: offer.request.set, isAwaited: false, attributes };
    return await backUp(item, piece, this.#tools, this.#wayOf(decision, offer));
  }

  /** Each way that turns out to be impossible leads to the next one. */
  #wayOf(decision: Exclude<ResumeDecision, { kind: 'give-up' }>, offer: ResumeOffer): Way {
    return async (item, piece) => {
      let { reason } = decision;
      if (decision.kind === 'resume' && decision.at) {
        try {
          return await this.#rest(item, offer, decision.at, reason, piece);
        } catch (thrown) {
          if (!(thrown instanceof NotTheRest)) throw thrown;
          reason = thrown.message;
        }
      }
      try {
        return await this.#again(item, offer, reason, piece);
      } catch (thrown) {
        if (!(thrown instanceof ZkeepError) || !ANOTHER.has(thrown.code)) throw thrown;
        this.#giveUp(thrown.message);
        const { summary } = await sendWhole(item, piece, this.#tools);
        const { bytes } = this.#match.row;
        return { summary, resumed: { how: 'again', reason: thrown.message, kept: 0, sent_again: bytes } };
      }
    };
  }

  /** Goes on behind what is stored. */
  async #rest(
    item: DatasetPlan,
    offer: ResumeOffer,
    { token, start }: Beginning,
    reason: string,
    piece: Piece,
  ): Promise<Sent> {
    this.#note(`goes on at ${sizeInWords(offer.bytes)}: ${reason}`);
    const { signal } = this.#tools;
    const rest = restOf(item.dataset, token, start, signal);
    const isOurs = (thrown: unknown) => thrown instanceof NotTheRest;
    const rests = { start, begun: this.#match.row.bytes, isOurs };
    const options = this.#options(item, offer, piece, offer.bytes);
    const { summary, kept, again } = await uploadRest(rest, offer, rests, options);
    return { summary, resumed: { how: 'resumed', reason, kept, sent_again: again } };
  }

  /** Sends all of it again, into the same backup. */
  async #again(item: DatasetPlan, offer: ResumeOffer, reason: string, piece: Piece): Promise<Sent> {
    this.#note(`is sent from its start, and what is stored of it stays, because ${reason}`);
    const stream = sendStream(sendCommand(sendingOf(item)), this.#tools.signal);
    const options = this.#options(item, offer, piece, 0);
    const { summary, kept, again } = await uploadAgain(stream, offer, this.#match.row.bytes, options);
    return { summary, resumed: { how: 'again', reason, kept, sent_again: again } };
  }

  /** The attributes of the snapshot's moment stay, where the interrupted run got so far as to store them. */
  #options(item: DatasetPlan, offer: ResumeOffer, piece: Piece, from: number): UploadOptions {
    const options = uploadOptions(item, this.#tools, from);
    if (offer.attributes !== null) return options;
    const attributes = piece.attributes();
    attributes.catch(() => undefined); // it is awaited by the upload, unless something else fails before
    return { ...options, attributes };
  }

  #giveUp(reason: string): void {
    const { row, source } = this.#match;
    const dataset = source?.dataset ?? row.source.dataset;
    this.#givenUp.push({ backup: row.backup, dataset, snapshot: snapshotIn(this.#match), reason });
    this.#note(`cannot be gone on with, and was ended, because ${reason}`);
  }

  #note(words: string): void {
    const { row, source } = this.#match;
    const dataset = source?.dataset ?? row.source.dataset;
    const name = snapshotIn(this.#match);
    const what = name === null ? `the interrupted backup of ${dataset}` : snapshotOf(dataset, name);
    this.#tools.progress.note(`${what} ${words}`);
  }
}

function openFacts({ to, from, source, segments, bytes }: OpenBackupRow) {
  return { to, from, zfs: source.zfs, segments, bytes };
}

/** The name that the snapshot has now. */
function snapshotIn({ row, source }: Match): string | null {
  return source?.points.find(({ kind, guid }) => kind === 'snapshot' && guid === row.to)?.name ?? null;
}

/** A service that was away for long will not be waited for once more for every further one. */
export function isAway(failure: unknown): boolean {
  return hasCode(failure, 'service.unreachable');
}

function hasCode(thrown: unknown, code: string): thrown is ZkeepError {
  return thrown instanceof ZkeepError && thrown.code === code;
}
