/** How failures are answered: always the same JSON, never a stack, never the inside of the service. */

import Database from 'better-sqlite3';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { HTTP_STATUS, ZkeepError } from '../../catalog/errors.ts';

/** Statuses that the kind alone does not tell (RFC 9110, 15.5). */
const STATUS_OF_CODE: Readonly<Record<string, number>> = {
  'token.missing': 401,
  'token.unknown': 401,
  'request.too-large': 413,
  'request.media-type': 415,
  'request.too-slow': 408,
  'request.head-too-large': 431,
  'object.range': 416,
  'enrol.too-many': 429,
};

/** The status with which a failure is answered. */
export function statusOf(failure: ZkeepError): number {
  return STATUS_OF_CODE[failure.code] ?? HTTP_STATUS[failure.kind];
}

/** Answers whatever a route threw. */
export function answerFailure(
  thrown: FastifyError | ZkeepError,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  const failure = failureOf(thrown, request);
  const status = statusOf(failure);
  if (status >= 500) request.log.error({ err: thrown, code: failure.code }, failure.message);
  else request.log.info({ code: failure.code }, failure.message);
  if (status === 401) reply.header('www-authenticate', 'Bearer realm="zkeep"');
  reply.code(status).type('application/json; charset=utf-8').send(failure.toJSON());
}

/** Answers a request for which there is no route. */
export function answerNoRoute(request: FastifyRequest, reply: FastifyReply): void {
  const path = request.url.split('?', 1)[0] ?? '';
  answerFailure(
    new ZkeepError('missing', 'request.no-route', `there is no ${request.method} ${path.slice(0, 200)}`, {
      advice: 'GET /openapi.json lists the calls',
    }),
    request,
    reply,
  );
}

/** The failure as HTTP text, for a request that is no HTTP and so never reaches a route. */
export function rawFailure(code: string | undefined): string {
  const [failure, reason] =
    code === 'ERR_HTTP_REQUEST_TIMEOUT'
      ? [
          new ZkeepError('unavailable', 'request.too-slow', 'the request did not come in whole in time'),
          'Request Timeout',
        ]
      : code === 'HPE_HEADER_OVERFLOW'
        ? [
            new ZkeepError('usage', 'request.head-too-large', 'the headers are too large'),
            'Request Header Fields Too Large',
          ]
        : [new ZkeepError('usage', 'request.malformed', 'this is not an HTTP request'), 'Bad Request'];
  const body = JSON.stringify(failure);
  return [
    `HTTP/1.1 ${statusOf(failure)} ${reason}`,
    'content-type: application/json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
    '',
    body,
  ].join('\r\n');
}

function failureOf(thrown: FastifyError | ZkeepError, request: FastifyRequest): ZkeepError {
  if (thrown instanceof ZkeepError) return thrown;
  if (thrown instanceof Database.SqliteError && thrown.code === 'SQLITE_FULL') return noRoom(thrown);
  if (thrown.statusCode === undefined || thrown.statusCode >= 500) return unforeseen(thrown, request);
  switch (thrown.statusCode) {
    case 413:
      return new ZkeepError('usage', 'request.too-large', 'the body is larger than this call takes', {
        cause: thrown,
      });
    case 415:
      return new ZkeepError('usage', 'request.media-type', 'the body must be application/json', {
        cause: thrown,
      });
    default:
      return new ZkeepError('usage', 'request.malformed', thrown.message, { cause: thrown });
  }
}

/** Of service.db: the index says it by itself. Agents wait for what is full. */
function noRoom(cause: Error): ZkeepError {
  return new ZkeepError('full', 'service.full', 'the service has no room left for its own database', {
    advice: 'make room on the disk of its data folder; nothing that is stored is lost',
    cause,
  });
}

function unforeseen(thrown: Error, request: FastifyRequest): ZkeepError {
  return new ZkeepError('failed', 'service.unforeseen', 'something went wrong inside the service', {
    advice: "the service's log has the details under this request's number",
    facts: { request: String(request.id) },
    cause: thrown,
  });
}
