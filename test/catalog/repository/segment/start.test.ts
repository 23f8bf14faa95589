/** A packing that begins in the middle gives the segments that one from the beginning gives. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, describe, it } from 'node:test';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import fc from 'fast-check';
import {
  type PackedSegment,
  type PackOptions,
  type PackStart,
  packStream,
} from '../../../../catalog/repository/segment/pack.ts';
import { WorkerPool } from '../../../../catalog/repository/segment/threads/pool.ts';
import type { StreamSummary } from '../../../../catalog/stream/state.ts';
import { makeStream } from '../../../made-stream.ts';

const pool = new WorkerPool(2);
after(() => pool.close());

const MIB = 1024 * 1024;
/** 52 MiB: four segments, the last one short, none of them cut at a record's end. */
const stream = Buffer.concat([...makeStream({ toGuid: 7n, blocks: blocks(416) })]);

function* blocks(count: number): Generator<Uint8Array> {
  for (let n = 0; n < count; n++) yield n % 3 === 0 ? Buffer.alloc(131_072, n) : randomBytes(131_072);
}

async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

type Part = Omit<PackedSegment, 'body'>;
interface Packed {
  readonly parts: readonly Part[];
  readonly summary: StreamSummary;
}

async function pack(bytes: Uint8Array, options: Partial<PackOptions> = {}, size = 65_536): Promise<Packed> {
  const parts: Part[] = [];
  const send = async ({ body: _, ...part }: PackedSegment) => void parts.push(part);
  const summary = await packStream(pieces(bytes, size), { recipients: [], pool, send, ...options });
  return { parts: parts.toSorted((one, other) => one.number - other.number), summary };
}

const whole = await pack(stream);

/** As if the first so many segments were stored and then the agent was killed. */
function startAt(number: number, { parts, summary }: Packed = whole): PackStart {
  const last = parts[number - 1] ?? assert.fail(`there are no ${number} segments`);
  return { number, after: last.after, begin: summary.begin, point: last.point };
}

describe('packing that goes on behind segments that are stored', () => {
  it('gives the same segments, to the last byte, wherever it begins and however the bytes come', async () => {
    const number = fc.integer({ min: 1, max: whole.parts.length });
    const size = fc.integer({ min: 1000, max: 3 * MIB });
    await fc.assert(
      fc.asyncProperty(number, size, async (first, pieceSize) => {
        const start = startAt(first);
        const rest = await pack(stream.subarray(start.after.at), { start }, pieceSize);
        assert.deepEqual(rest.parts, whole.parts.slice(first));
        assert.deepEqual(rest.summary, whole.summary);
      }),
      { numRuns: 6 },
    );
  });

  it('does not tell of BEGIN again', async () => {
    let told = 0;
    const start = startAt(2);
    await pack(stream.subarray(start.after.at), { start, onBegin: async () => void told++ });
    assert.equal(told, 0);
  });

  it('has nothing to send when all of it was stored, and proves that it was whole', async () => {
    const { parts, summary } = await pack(Buffer.alloc(0), { start: startAt(whole.parts.length) });
    assert.deepEqual([parts, summary], [[], whole.summary]);
  });

  it('gives encrypted segments of the same raw bytes', async () => {
    const recipients = [await identityToRecipient(await generateIdentity())];
    const start = startAt(3);
    const rest = await pack(stream.subarray(start.after.at), { start, recipients });
    const [one, other] = [rest.parts[0] ?? assert.fail(), whole.parts[3] ?? assert.fail()];
    assert.deepEqual([one.segment.state, one.after], [other.segment.state, other.after]);
    assert.notEqual(one.segment.sha256, other.segment.sha256);
  });

  it('refuses a rest that begins elsewhere, or ends early', async () => {
    const start = startAt(1);
    for (const bytes of [
      stream.subarray(start.after.at + 4),
      stream.subarray(start.after.at - 312),
      stream.subarray(start.after.at, -4),
      Buffer.alloc(0),
    ]) {
      await assert.rejects(pack(bytes, { start }), { kind: 'damaged' });
    }
    const ended = startAt(whole.parts.length);
    await assert.rejects(pack(Buffer.alloc(4), { start: ended }), { kind: 'damaged' });
  });
});
