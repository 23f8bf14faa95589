/** One worker thread: does one job at a time, synchronously, and hands the bytes over without a copy. */
import { hash } from 'node:crypto';
import { parentPort } from 'node:worker_threads';
import { messageOf, ZkeepError } from '../../errors.ts';
import { FRAME_STRIDE } from './arenas.ts';
import { compressFrame, decodeSeekTable, decompressFrame, encodeSeekTable } from './frames.ts';
import type {
  CompressJob,
  CompressResult,
  Job,
  OpenJob,
  OpenResult,
  SealJob,
  SealResult,
} from './worker-jobs.ts';

/** Bytes from which on no buffer shares memory with others (`Buffer.poolSize` and far above). */
const SURELY_OWN = 128 * 1024;

const port = parentPort;
if (!port) throw new Error('worker.ts runs in a worker thread only');

port.on('message', async (job: Job) => {
  try {
    const { result, transfer } = await perform(job);
    port.postMessage({ result }, transfer);
  } catch (thrown) {
    // Class instances do not survive the way between threads: send the fields.
    port.postMessage({
      error:
        thrown instanceof ZkeepError
          ? thrown.toJSON()
          : { kind: 'failed', code: 'worker.failed', message: messageOf(thrown), advice: null, facts: {} },
    });
  }
});

interface Performed {
  readonly result: CompressResult | SealResult | OpenResult;
  readonly transfer: ArrayBuffer[];
}

async function perform(job: Job): Promise<Performed> {
  switch (job.do) {
    case 'compress':
      return compress(job);
    case 'seal':
      return await seal(job);
    case 'open':
      return await open(job);
  }
}

function compress(job: CompressJob): Performed {
  const frame = compressFrame(new Uint8Array(job.memory, job.offset, job.length), job.level);
  new Uint8Array(job.arena).set(frame, job.at);
  return { result: { stored: frame.length }, transfer: [] };
}

async function seal(job: SealJob): Promise<Performed> {
  const arena = Buffer.from(job.arena);
  let length = 0;
  for (const [index, { stored }] of job.frames.entries()) {
    const at = index * FRAME_STRIDE;
    arena.copyWithin(length, at, at + stored);
    length += stored;
  }
  const table = encodeSeekTable(job.frames);
  arena.set(table, length);
  length += table.length;
  if (job.recipients.length > 0) {
    const sealed = await (await import('./age.ts')).encrypt(arena.subarray(0, length), job.recipients);
    arena.set(sealed);
    length = sealed.length;
  }
  return { result: { length, sha256: hash('sha256', arena.subarray(0, length)) }, transfer: [] };
}

async function open(job: OpenJob): Promise<Performed> {
  const stored = Buffer.from(job.stored.buffer, job.stored.byteOffset, job.stored.length);
  const sha256 = hash('sha256', stored);
  if (sha256 !== job.sha256) {
    throw new ZkeepError('damaged', 'segment.digest', 'the stored object is not the one that was written', {
      advice: 'the store or the way to it changed its bytes; zkeep verify --deep names every damaged backup',
      facts: { expected: job.sha256, found: sha256 },
    });
  }
  const plain = job.encrypted ? await (await import('./age.ts')).decrypt(stored, job.identities) : stored;
  const raw: Uint8Array<ArrayBuffer>[] = [];
  let at = 0;
  let size = 0;
  for (const [index, frame] of decodeSeekTable(plain).entries()) {
    const bytes = plain.subarray(at, at + frame.stored);
    const decoded = decompressFrame(bytes, frame.raw);
    if (job.secondOpinion > 0 && index % job.secondOpinion === 0) {
      await (await import('./second-decoder.ts')).compareDecoders(bytes, decoded);
    }
    // A small buffer lies in Node's pool, which cannot be handed over: it is copied.
    raw.push(decoded.length < SURELY_OWN ? new Uint8Array(decoded) : (decoded as Uint8Array<ArrayBuffer>));
    at += frame.stored;
    size += frame.raw;
  }
  if (size !== job.size) {
    throw new ZkeepError('damaged', 'segment.size', `a segment holds ${size} raw bytes, not ${job.size}`);
  }
  return { result: { raw }, transfer: [...new Set(raw.map((frame) => frame.buffer))] };
}
