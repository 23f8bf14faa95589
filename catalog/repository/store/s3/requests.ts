/** Single requests through the SDK: what goes out with them, and what their failures mean. */
import type { PutObjectCommand } from '@aws-sdk/client-s3';
import { messageOf, ZkeepError } from '../../../errors.ts';
import type { Digest } from '../../../words.ts';
import type { S3Location } from '../location.ts';
import { endsEarly } from '../store-errors.ts';
import { explainBrokenLine, explainRefusal } from './answers.ts';
import { explainSetUp, knowsChecksums } from './connection.ts';

/** What is written, as the headers of the request say it. */
export interface Announced {
  readonly sha256: Digest;
  /** The store itself is to refuse when the key is taken. */
  readonly ifAbsent: boolean;
}

/**
 * The headers that bind a PUT to its content and its condition. The caller's
 * digest is signed as the hash of the payload: the one checksum that every
 * store compares with the body (facts: RGW 16.2, Swift 2.30).
 */
export function putHeaders(settings: S3Location, { sha256, ifAbsent }: Announced): Record<string, string> {
  return {
    'x-amz-content-sha256': sha256,
    ...(ifAbsent ? { 'if-none-match': '*' } : {}),
    ...(settings.storage_class === undefined ? {} : { 'x-amz-storage-class': settings.storage_class }),
    ...(knowsChecksums(settings)
      ? { 'x-amz-checksum-sha256': Buffer.from(sha256, 'hex').toString('base64') }
      : {}),
  };
}

/** Sends the command with these headers, which are signed as well. */
export function withHeaders(command: PutObjectCommand, headers: Record<string, string>): PutObjectCommand {
  command.middlewareStack.add(
    (next) => (args) => {
      if (hasHeaders(args.request)) Object.assign(args.request.headers, headers);
      return next(args);
    },
    // Before the SDK looks whether a checksum is there already.
    { step: 'build', priority: 'high', name: 'putHeaders' },
  );
  return command;
}

/**
 * The failure of a request in the words of a store; what is neither an answer
 * nor a broken line stays as it is.
 *
 * @param what the object, e.g. `s3://bucket/prefix/key`.
 */
export function explainThrown(thrown: unknown, what: string): unknown {
  if (thrown instanceof ZkeepError) return thrown;
  forgetExchange(thrown);
  const status = statusOf(thrown);
  if (thrown instanceof Error && status !== undefined && status >= 300)
    return explainRefusal({ status, code: known(thrown.name), message: known(thrown.message) }, what, thrown);
  if (status !== undefined) return garbled(what, thrown);
  return explainSetUp(thrown) ?? explainBrokenLine(thrown, what) ?? thrown;
}

/**
 * Checks that the answer to a ranged request is that range.
 *
 * @param told the `Content-Range` of the answer.
 */
export function checkRangeTold(
  range: { start: number; end: number },
  told: string | undefined,
  what: string,
): void {
  const [, first, last] = /^bytes (\d+)-(\d+)\//.exec(told ?? '') ?? [];
  if (first === undefined)
    throw new ZkeepError('failed', 'store.unsupported', `the store gives no ranges: ${what}`, {
      advice: 'see STORES.md for what zkeep asks of a store',
    });
  if (Number(first) !== range.start || Number(last) !== range.end - 1) throw endsEarly(what, range);
}

function hasHeaders(request: unknown): request is { headers: Record<string, string> } {
  return typeof request === 'object' && request !== null && 'headers' in request;
}

/** The SDK hides the whole exchange in its errors, with the session token that was sent: nothing for a log. */
function forgetExchange(thrown: unknown): void {
  if (!(thrown instanceof Error) || !('$response' in thrown)) return;
  const { $response } = thrown;
  if (typeof $response === 'object' && $response !== null) Reflect.set($response, 'body', undefined);
}

/** The SDK's words for an answer that did not say, as every answer to HEAD. */
function known(text: string): string {
  return /^(Unknown|UnknownError|Error)$/.test(text) ? '' : text;
}

/** The status of the answer that an error of the SDK is about. */
function statusOf(thrown: unknown): number | undefined {
  if (!(thrown instanceof Error) || !('$metadata' in thrown)) return undefined;
  const metadata = thrown.$metadata;
  if (typeof metadata !== 'object' || metadata === null || !('httpStatusCode' in metadata)) return undefined;
  return typeof metadata.httpStatusCode === 'number' ? metadata.httpStatusCode : undefined;
}

function garbled(what: string, cause: unknown): ZkeepError {
  return new ZkeepError('unavailable', 'store.garbled', `the store's answer cannot be read: ${what}`, {
    advice: `check the network and what is between here and the store (${messageOf(cause).slice(0, 200)})`,
    cause,
  });
}
