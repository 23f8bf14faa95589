/**
 * A small HTTP server that keeps objects in memory. It stands for no S3 server,
 * checks no signature and proves nothing about one (test/s3 does): it is the
 * other end of the line for tests of time-outs, retries and answers.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';

/** A request as it arrived. */
export interface Arrived {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

/** An answer that was made up by a test. */
export interface Scripted {
  readonly status: number;
  readonly headers?: Record<string, string>;
  readonly body?: string;
  /** Milliseconds between one character and the next. */
  readonly drip?: number;
}

export interface PlainServer {
  readonly port: number;
  readonly url: string;
  /** By path, e.g. `/bucket/key`. */
  readonly objects: Map<string, Buffer>;
  readonly arrived: Arrived[];
  /** The next requests are answered so, whatever they ask. */
  answer(...answers: Scripted[]): void;
  /** Connections that were made. */
  readonly connections: number;
  stop(): Promise<void>;
}

export interface PlainOptions {
  /** Whether it heeds `If-None-Match`. */
  readonly conditions?: boolean;
  readonly tls?: { readonly key: string; readonly cert: string };
}

/** The body of a refusal as S3 servers write it. */
export function refusal(status: number, code: string, message = 'made up'): Scripted {
  return {
    status,
    body: `<?xml version="1.0"?><Error><Code>${code}</Code><Message>${message}</Message></Error>`,
  };
}

export async function startPlainServer({ conditions = true, tls }: PlainOptions = {}): Promise<PlainServer> {
  const objects = new Map<string, Buffer>();
  const arrived: Arrived[] = [];
  const scripted: Scripted[] = [];
  let connections = 0;
  const serve = async (request: IncomingMessage, response: ServerResponse) => {
    const body = await bodyOf(request);
    if (!body) return;
    const { method = '', url: path = '', headers } = request;
    arrived.push({ method, path, headers, body });
    const answer = scripted.shift();
    if (answer) await say(answer, response);
    else objectAnswer({ method, path, headers, body }, objects, conditions, response);
  };
  const server = tls ? createTlsServer(tls, serve) : createServer(serve);
  server.on('connection', () => connections++);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(address && typeof address === 'object');
  return {
    port: address.port,
    url: `${tls ? 'https' : 'http'}://127.0.0.1:${address.port}`,
    objects,
    arrived,
    answer: (...answers) => scripted.push(...answers),
    get connections() {
      return connections;
    },
    async stop() {
      if (!server.listening) return;
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

async function say({ status, headers, body = '', drip }: Scripted, response: ServerResponse): Promise<void> {
  response.writeHead(status, headers);
  for (const letter of drip ? body : '') {
    response.write(letter);
    await sleep(drip);
  }
  response.end(drip ? undefined : body);
}

function objectAnswer(
  { method, path, headers, body }: Arrived,
  objects: Map<string, Buffer>,
  conditions: boolean,
  response: ServerResponse,
): void {
  const key = path.replace(/\/?(\?.*)?$/, '');
  const refuse = ({ status, body: text }: Scripted) =>
    response.writeHead(status).end(method === 'HEAD' ? undefined : text);
  const stored = objects.get(key);
  const query = new URL(path, 'http://plain').searchParams;
  if (method === 'GET' && query.get('list-type') === '2') {
    response.end(
      listing(
        [...objects].filter(([name]) => name.startsWith(`${key}/${query.get('prefix')}`)),
        key,
      ),
    );
  } else if (method === 'PUT') {
    const sha256 = createHash('sha256').update(body).digest('hex');
    if (headers['x-amz-content-sha256'] !== sha256)
      return void refuse(refusal(400, 'XAmzContentSHA256Mismatch'));
    if (conditions && headers['if-none-match'] && stored)
      return void refuse(refusal(412, 'PreconditionFailed'));
    objects.set(key, body);
    response.end();
  } else if (method === 'DELETE') {
    objects.delete(key);
    response.writeHead(204).end();
  } else if (method === 'HEAD' && key.lastIndexOf('/') === 0) {
    response.end();
  } else if (!stored) {
    refuse(refusal(404, 'NoSuchKey'));
  } else {
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '') ?? [];
    const part = first === undefined ? stored : stored.subarray(Number(first), Number(last) + 1);
    response.writeHead(first === undefined ? 200 : 206, {
      'last-modified': new Date().toUTCString(),
      'content-length': part.length,
      ...(first === undefined ? {} : { 'content-range': `bytes ${first}-${last}/${stored.length}` }),
    });
    response.end(method === 'HEAD' ? undefined : part);
  }
}

/** A page of a listing; `more` is the token of the next. */
export function listing(
  objects: readonly (readonly [name: string, body: Buffer])[],
  bucket: string,
  more = '',
): string {
  const contents = objects.toSorted().map(([name, body]) => {
    const key = name.slice(bucket.length + 1);
    return `<Contents><Key>${key}</Key><Size>${body.length}</Size><LastModified>2026-01-01T00:00:00Z</LastModified></Contents>`;
  });
  const token = more && `<NextContinuationToken>${more}</NextContinuationToken>`;
  return `<ListBucketResult><IsTruncated>${more !== ''}</IsTruncated>${token}${contents.join('')}</ListBucketResult>`;
}

/** `undefined` when the request broke off. */
async function bodyOf(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of request) chunks.push(chunk);
    return Buffer.concat(chunks);
  } catch {
    return undefined;
  }
}
