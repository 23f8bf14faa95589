/** Whether a backup may be opened, and what it replaces: pure, over what is stored and what is open. */
import { isDeepStrictEqual } from 'node:util';
import { checkFlags } from '../../catalog/chain/flags.ts';
import type { ChainFlags } from '../../catalog/chain/graph.ts';
import { ZkeepError } from '../../catalog/errors.ts';
import { LEASE_MILLISECONDS, type OpenRequest, type ResumeRequest } from '../../catalog/protocol/protocol.ts';
import { chainFlagsOf, hasFeature } from '../../catalog/stream/features.ts';
import type { OpenBackupState } from '../state/open-backups.ts';
import type { TokenFacts } from '../state/tokens.ts';
import { othersBackup } from './surroundings.ts';

/** What {@link decideOpening} looks at. Moments are milliseconds since 1970. */
export interface OpeningFacts extends Asking {
  /** Open backups of the same dataset or the same snapshot, with the number of parts granted. */
  readonly rivals: readonly (OpenBackupState & { readonly parts: number })[];
}

/** Who asks for what, and when. */
export interface Asking {
  readonly request: OpenRequest;
  readonly token: TokenFacts;
  readonly now: number;
  /** When the service started: nobody could be heard before. */
  readonly started: number;
}

/** Open a new one in place of these, or go on with the one that was opened for the same stream. */
export type Opening =
  | { readonly kind: 'new'; readonly replaces: readonly OpenBackupState[] }
  | { readonly kind: 'again'; readonly open: OpenBackupState };

/**
 * Decides between a new backup and those that are open.
 *
 * @throws {ZkeepError} `busy` with code `backup.busy` and who it is.
 */
export function decideOpening(facts: OpeningFacts): Opening {
  const { rivals } = facts;
  const same = rivals.find((rival) => isSameStream(rival, facts));
  if (same) return { kind: 'again', open: same };
  const holder = rivals.find((rival) => rival.committing || !mayReplace(rival, facts));
  if (holder) throw busy(holder);
  return { kind: 'new', replaces: rivals };
}

/** Whether a rival's time is over: its lease has lapsed, or one who may do so takes it over. */
export function mayReplace(rival: OpenBackupState, { request, token, now, started }: Asking): boolean {
  if (!isAlive(rival, now, started)) return true;
  return request.takeover === rival.backup && mayEnd(rival, token);
}

/**
 * Whether an open backup may be resumed: its lease has lapsed, its own host saw
 * its writer dead, or it is its writer who asks, because an answer was lost.
 *
 * @throws {ZkeepError} `busy` with code `backup.busy`, `denied` with code `backup.other`.
 */
export function checkResuming(
  open: OpenBackupState,
  { writer, takeover }: ResumeRequest,
  { token, now, started }: Omit<Asking, 'request'>,
): void {
  if (!mayEnd(open, token)) throw othersBackup(open.backup);
  if (!isAlive(open, now, started) || isDeepStrictEqual(open.writer, writer)) return;
  // Whom it names may be the one of before: then somebody else was faster.
  if (takeover?.host === writer.host && isDeepStrictEqual(open.writer, takeover)) return;
  throw busy(open);
}

/** Whether the writer of an open backup was heard of within its lease. */
export function isAlive(open: OpenBackupState, now: number, started: number): boolean {
  return now - Math.max(open.heard, started) < LEASE_MILLISECONDS;
}

/** Agents end what was opened under their own token's name, operators everything. */
export function mayEnd(open: { readonly token: string }, token: TokenFacts): boolean {
  return open.token === token.name || token.scope === 'operator';
}

/**
 * Passes when a request is one in itself.
 *
 * @throws {ZkeepError} `usage` with code `backup.begin`, `refused` for a stream that is only the rest of one.
 */
export function checkRequest({ from, to, begin }: OpenRequest): void {
  if (begin.toGuid !== to.guid || begin.fromGuid !== (from?.guid ?? null)) {
    throw new ZkeepError('usage', 'backup.begin', 'the BEGIN record names other snapshots than the request', {
      advice: 'this is a defect in the agent: from and to must be what BEGIN says',
      facts: { to: to.guid, from: from?.guid ?? null, begin_to: begin.toGuid, begin_from: begin.fromGuid },
    });
  }
  if (hasFeature(begin, 'RESUMING')) {
    throw new ZkeepError(
      'refused',
      'backup.resuming',
      'this is the rest of a stream, made with zfs send -t',
      {
        advice: 'nothing can be restored from it alone: send the whole stream',
        facts: { to: to.guid },
      },
    );
  }
}

/**
 * Passes when the base of an incremental stream can be restored and the stream keeps the flags of its chain.
 *
 * @param ways flags of the backups that lead to the base, those that a chain from nothing reaches.
 * @throws {ZkeepError} `refused` with code `backup.base-missing` or `chain.flags-changed`.
 */
export function checkBase({ from, begin }: OpenRequest, ways: readonly ChainFlags[]): void {
  if (!from) return;
  if (ways.length === 0) {
    const name = from.name ? ` (${from.name})` : '';
    throw new ZkeepError(
      'refused',
      'backup.base-missing',
      `no chain of backups leads to the base ${from.guid}${name}`,
      {
        advice: 'back up the base first, or take a full backup',
        facts: { from: from.guid },
      },
    );
  }
  const refusal = checkFlags(ways, chainFlagsOf(begin));
  if (refusal) throw refusal;
}

/**
 * The same stream again: its writer is gone, and what is stored of it need not be
 * sent again; or its answer got lost, and the same process asks before anything was granted.
 */
function isSameStream(rival: OpeningFacts['rivals'][number], facts: OpeningFacts): boolean {
  const { request, token } = facts;
  const { writer, takeover: _, ...asked } = request;
  const { writer: __, takeover: ___, ...opened } = rival.request;
  if (rival.committing || !mayEnd(rival, token) || !isDeepStrictEqual(asked, opened)) return false;
  return (rival.parts === 0 && isDeepStrictEqual(rival.writer, writer)) || mayReplace(rival, facts);
}

function busy({ backup, heard, writer, request }: OpenBackupState): ZkeepError {
  const { source, to } = request;
  const text = `process ${writer.process} on ${writer.host} is backing up ${source.dataset} (${source.host})`;
  return new ZkeepError('busy', 'backup.busy', text, {
    advice: `wait for it; if it is dead, wait ${LEASE_MILLISECONDS / 1000} seconds or abandon ${backup}`,
    facts: {
      backup,
      host: writer.host,
      process: writer.process,
      heard: new Date(heard).toISOString(),
      dataset: source.dataset,
      to: to.guid,
    },
  });
}
