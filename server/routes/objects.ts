/**
 * Segments through the service itself, for the directory store: what an S3 store
 * does when it is sent a granted request. Bodies flow, none is held whole.
 */
import { Readable } from 'node:stream';
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { messageOf, ZkeepError } from '../../catalog/errors.ts';
import { readSegmentKey } from '../../catalog/repository/names.ts';
import type { ObjectStore } from '../../catalog/repository/store/store.ts';
import type { Backups } from '../backup/backups.ts';
import { OBJECTS_PATH } from '../grants.ts';
import type { App, Service } from '../service.ts';

/** Bytes read from the store at once. */
const PIECE = 1024 * 1024;

const params = Type.Object({ '*': Type.String({ maxLength: 512 }) });
const url = `${OBJECTS_PATH}*`;
const tags = ['objects'];
const config = { access: 'grant' } as const;

export function objectRoutes(
  app: App,
  backups: Backups,
  { store, granter }: NonNullable<Service['objects']>,
): void {
  // Whatever it calls itself, a body here is bytes, and stays a stream.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, payload, done) => done(null, payload));

  app.put(
    url,
    {
      config,
      schema: { summary: 'write an object, as granted', tags, params, response: { 204: Type.Null() } },
    },
    async (request, reply) => {
      const key = request.params['*'];
      const { size, sha256 } = granter.checkPut(key, request.headers.authorization);
      const segment = readSegmentKey(key);
      if (!segment || backups.writable(segment.backup, segment.number) !== sha256) throw overtaken(key);
      await store.putStream(key, bodyOf(request, key), { size, sha256, ifAbsent: true });
      return reply.code(204).send(null);
    },
  );

  app.get(
    url,
    { config, schema: { summary: 'read an object, as granted', tags, params } },
    async (request, reply) => {
      const key = request.params['*'];
      granter.checkGet(key, request.headers.authorization);
      const facts = await store.stat(key);
      if (!facts) throw noObject(key);
      const { start, end } = rangeOf(request.headers.range, facts.size);
      const isPart = end - start < facts.size;
      if (isPart) reply.code(206).header('content-range', `bytes ${start}-${end - 1}/${facts.size}`);
      return reply
        .header('content-length', end - start)
        .type('application/octet-stream')
        .send(Readable.from(pieces(store, key, start, end), { objectMode: false, highWaterMark: PIECE }));
    },
  );
}

async function* bodyOf({ raw }: FastifyRequest, key: string): AsyncGenerator<Uint8Array> {
  try {
    yield* raw.iterator({ destroyOnReturn: false });
  } catch (thrown) {
    throw new ZkeepError(
      'unavailable',
      'object.cut',
      `the connection ended within ${key}: ${messageOf(thrown)}`,
      {
        advice: 'nothing was stored; send it again',
        facts: { key },
        cause: thrown,
      },
    );
  } finally {
    // What the store did not take is read to its end all the same: unread, it would hold the line, or
    // break it before the answer has arrived.
    raw.resume();
  }
}

async function* pieces(store: ObjectStore, key: string, from: number, to: number): AsyncGenerator<Buffer> {
  for (let start = from; start < to; start += PIECE) {
    const end = Math.min(start + PIECE, to);
    yield await store.get(key, { range: { start, end }, maxBytes: PIECE });
  }
}

/** One range of RFC 9110, 14.1.2, as half open interval; the whole object for anything else. */
function rangeOf(header: string | undefined, size: number): { start: number; end: number } {
  const [, first, last] = /^bytes=([0-9]{1,15})-([0-9]{0,15})$/.exec(header ?? '') ?? [];
  if (first === undefined) return { start: 0, end: size };
  const start = Number(first);
  const end = last ? Math.min(Number(last) + 1, size) : size;
  if (start < end) return { start, end };
  throw new ZkeepError(
    'usage',
    'object.range',
    `the object has ${size} bytes, the range begins at ${start}`,
    {
      facts: { size, start },
    },
  );
}

function overtaken(key: string): ZkeepError {
  return new ZkeepError('denied', 'grant.overtaken', `the grant for ${key} does not hold any more`, {
    advice: 'the backup was committed or abandoned, or another content was granted since',
    facts: { key },
  });
}

function noObject(key: string): ZkeepError {
  return new ZkeepError('missing', 'object.missing', `there is no object ${key}`, {
    advice: 'it was removed since the grant was given; verify the repository',
    facts: { key },
  });
}
