/** One try to deliver a notice, and how it ended. */
import type { NoticeDocument } from './document.ts';

export type Delivered =
  | { readonly kind: 'delivered' }
  /** The receiver does not answer, or not now: it is tried again. */
  | { readonly kind: 'away'; readonly words: string }
  /** The receiver does not want it: it is tried again a few times only. */
  | { readonly kind: 'refused'; readonly words: string };

/** Whom notices are brought to. */
export interface Receiver {
  /** For logs, without what may be secret in it. */
  readonly name: string;
  /** Brings one, within a bounded time; never rejects. */
  deliver(document: NoticeDocument, signal: AbortSignal): Promise<Delivered>;
  close(): Promise<void>;
}
