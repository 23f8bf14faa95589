/** Segments on their way into the store: what is there already, what is there unexpectedly, and how many at once. */
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import { after, before, beforeEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Earlier, Segments } from '../../../../agent/backup/upload/segments.ts';
import { ZkeepError } from '../../../../catalog/errors.ts';
import { Patience } from '../../../../catalog/patience.ts';
import type { StoredPart } from '../../../../catalog/protocol/protocol.ts';
import type { PackedSegment } from '../../../../catalog/repository/segment/pack.ts';
import type { Grant } from '../../../../catalog/repository/store/store.ts';
import { StreamReader } from '../../../../catalog/stream/reader.ts';
import { newUuid7, parseBackupId, parseDigest } from '../../../../catalog/words.ts';

const WRITING = { backup: parseBackupId(newUuid7(1)), session: '00000000-0000-4000-8000-000000000000' };
const NOTHING: Earlier = { segments: 0, bytes: 0, begun: 0 };
const SIZE = 100;
const STATE = new StreamReader().save();

function segment(number: number): PackedSegment {
  const offset = number * SIZE;
  const sha256 = parseDigest('0'.repeat(64));
  return {
    number,
    segment: { offset, size: SIZE, stored: 4, sha256, state: { ...STATE, at: offset }, entry: null },
    after: { ...STATE, at: offset + SIZE },
    point: null,
    body: Buffer.from('body'),
  };
}

describe('a segment on its way', () => {
  let server: Server;
  let url = '';
  /** What the store answers: 200 unless said otherwise. */
  let status: () => number;
  let puts: number;
  let atOnce: number;
  before(async () => {
    let inside = 0;
    server = createServer((request, response) => {
      puts += 1;
      inside += 1;
      atOnce = Math.max(atOnce, inside);
      request.resume().on('end', async () => {
        await sleep(20);
        inside -= 1;
        response.writeHead(status()).end();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    url = typeof address === 'object' && address ? `http://127.0.0.1:${address.port}/x` : '';
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  beforeEach(() => {
    [status, puts, atOnce] = [() => 200, 0, 0];
  });

  type Answer = Grant | StoredPart | ZkeepError;
  const grant = (): Grant => ({ method: 'PUT', url, headers: {}, expires: Date.now() + 60_000 });
  /** A service that answers so, the last answer again and again. */
  const service = (...answers: Answer[]) => ({
    patience: new Patience({ limit: 0 }),
    writeGrants: async () => {
      const answer = (answers.length > 1 ? answers.shift() : answers[0]) ?? assert.fail();
      if (answer instanceof ZkeepError) throw answer;
      return [answer];
    },
  });
  const send = async (segments: Segments, number: number) =>
    await segments.send(WRITING, segment(number), new AbortController().signal);

  it('that is stored already is not sent', async () => {
    const segments = new Segments(service({ stored: true }), NOTHING, 0);
    await send(segments, 0);
    assert.deepEqual([puts, segments.put, segments.durable, segments.granted], [0, 0, SIZE, 1]);
  });

  it('that the store has all of a sudden is looked at by the service: it was ours', async () => {
    status = () => 412;
    const segments = new Segments(service(grant(), { stored: true }), NOTHING, 0);
    await send(segments, 0);
    assert.deepEqual([puts, segments.put, segments.durable], [1, SIZE, SIZE]);
  });

  it('that the store has with another content is refused, never taken for ours', async () => {
    status = () => 412;
    const other = new ZkeepError('refused', 'grant.stored', 'it is stored with another content');
    const segments = new Segments(service(grant(), other), NOTHING, 0);
    await assert.rejects(send(segments, 0), { code: 'grant.stored' });
    assert.equal(segments.durable, 0);
  });

  it('that the store has and does not show is waited for, and not longer than patience lasts', async () => {
    status = () => 412;
    const segments = new Segments(service(grant()), NOTHING, 0);
    await assert.rejects(send(segments, 0), { kind: 'unavailable', code: 'store.late' });
  });

  it('is one of two at most: no more is sent again when all is cut off', async () => {
    const segments = new Segments(service(grant()), NOTHING, 0);
    await Promise.all([0, 1, 2, 3, 4, 5].map((number) => send(segments, number)));
    assert.deepEqual([puts, atOnce], [6, 2]);
  });

  it('lets none follow that waits its turn when all is ended', async () => {
    const stop = new AbortController();
    const segments = new Segments(service(grant()), NOTHING, 0);
    const sent = [0, 1, 2].map((number) => segments.send(WRITING, segment(number), stop.signal));
    stop.abort(new Error('enough'));
    for (const { status: how } of await Promise.allSettled(sent)) assert.equal(how, 'rejected');
    assert.ok(puts <= 2);
  });

  it('counts as durable only without a gap before it', async () => {
    const segments = new Segments(service(grant()), NOTHING, 0);
    const seen: number[] = [];
    for (const number of [1, 2, 0, 4]) {
      await send(segments, number);
      seen.push(segments.durable);
    }
    assert.deepEqual(seen, [0, 0, 3 * SIZE, 3 * SIZE]);
  });

  it('counts as sent again when an interrupted run had begun to send it', async () => {
    const earlier = { segments: 3, bytes: 2 * SIZE, begun: 3 * SIZE };
    const segments = new Segments(service(grant()), earlier, 2 * SIZE);
    await send(segments, 2);
    await send(segments, 3);
    assert.deepEqual([segments.again, segments.put, segments.durable], [SIZE, 2 * SIZE, 4 * SIZE]);
  });
});
