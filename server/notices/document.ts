/** What is told of a fact: one JSON document, and how it is signed. */
import { createHmac } from 'node:crypto';
import type { Entry, FactKind } from '../../catalog/journal/entry.ts';
import { sayFact } from '../../catalog/journal/words.ts';

/** The version of the document. */
const NOTICE_VERSION = 1;
/** The header of the signature. */
export const SIGNATURE_HEADER = 'zkeep-signature';

/** Who tells it. */
export interface Teller {
  /** Id of the repository that it is about. */
  readonly repository: string;
  /** What the service is called in the bucket. */
  readonly service: string;
}

/** The document: who gets one with the same `id` again has it already. */
export interface NoticeDocument extends Teller {
  readonly zkeep: typeof NOTICE_VERSION;
  /** That of the entry in the journal. */
  readonly id: string;
  readonly event: FactKind;
  /** The fact in words, one line. */
  readonly words: string;
  /** Notices to this receiver before this one that were given up. */
  readonly dropped: number;
  readonly entry: Entry;
}

/** @param dropped see {@link NoticeDocument}. */
export function noticeDocument(entry: Entry, teller: Teller, dropped: number): NoticeDocument {
  const { repository, service } = teller;
  const { id, fact, about } = entry;
  const words = sayFact(fact, about);
  return { zkeep: NOTICE_VERSION, id, event: fact.kind, words, repository, service, dropped, entry };
}

/**
 * The value of the header: HMAC-SHA-256 over the moment, a dot and the body. The moment keeps
 * one that was overheard from being told again later.
 *
 * @param seconds since 1970.
 * @example sign('{}', 1_800_000_000, secret) // 't=1800000000,v1=9f…'
 */
export function sign(body: string, seconds: number, secret: string): string {
  const digest = createHmac('sha256', secret).update(`${seconds}.${body}`).digest('hex');
  return `t=${seconds},v1=${digest}`;
}
