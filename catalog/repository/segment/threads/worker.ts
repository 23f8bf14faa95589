/** One worker thread: does one job at a time, from shared memory to shared memory. */
import { hash } from 'node:crypto';
import { parentPort } from 'node:worker_threads';
import { messageOf, ZkeepError } from '../../../errors.ts';
import { FRAME_STRIDE } from '../arenas.ts';
import { decodeSeekTable, encodeSeekTable, malformed } from '../frames.ts';
import { FrameCompressor, FrameDecompressor } from '../zstd.ts';
import type {
  Answer,
  CompressJob,
  CompressResult,
  Job,
  NumberedJob,
  OpenJob,
  OpenResult,
  SealJob,
  SealResult,
} from './worker-jobs.ts';

const port = parentPort;
if (!port) throw new Error('worker.ts runs in a worker thread only');

port.on('message', async ({ number, job }: NumberedJob) => port.postMessage(await answerTo(number, job)));

async function answerTo(number: number, job: Job): Promise<Answer> {
  try {
    return { number, result: await perform(job) };
  } catch (thrown) {
    // Class instances do not survive the way between threads: send the fields.
    const error =
      thrown instanceof ZkeepError
        ? thrown.toJSON()
        : ({
            kind: 'failed',
            code: 'worker.failed',
            message: messageOf(thrown),
            advice: null,
            facts: {},
          } as const);
    return { number, error };
  }
}

async function perform(job: Job): Promise<CompressResult | SealResult | OpenResult> {
  switch (job.do) {
    case 'compress':
      return compress(job);
    case 'seal':
      return await seal(job);
    case 'open':
      return await open(job);
  }
}

/** By level; nearly always there is one. */
const compressors = new Map<number, FrameCompressor>();
const decompressor = new FrameDecompressor();

function compress({ memory, offset, length, level, arena, at }: CompressJob): CompressResult {
  const compressor = compressors.get(level) ?? new FrameCompressor(level);
  compressors.set(level, compressor);
  const raw = new Uint8Array(memory, offset, length);
  return { stored: compressor.compress(raw, new Uint8Array(arena, at, FRAME_STRIDE)) };
}

async function seal(job: SealJob): Promise<SealResult> {
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
    const sealed = await (await import('../age.ts')).encrypt(arena.subarray(0, length), job.recipients);
    arena.set(sealed);
    length = sealed.length;
  }
  return { length, sha256: hash('sha256', arena.subarray(0, length)) };
}

async function open(job: OpenJob): Promise<OpenResult> {
  const stored = Buffer.from(job.stored.buffer, job.stored.byteOffset, job.stored.length);
  const sha256 = hash('sha256', stored);
  if (sha256 !== job.sha256) {
    throw new ZkeepError('damaged', 'segment.digest', 'the stored object is not the one that was written', {
      advice: 'the store or the way to it changed its bytes; zkeep verify --deep names every damaged backup',
      facts: { expected: job.sha256, found: sha256 },
    });
  }
  const plain = job.encrypted ? await (await import('../age.ts')).decrypt(stored, job.identities) : stored;
  const arena = Buffer.from(job.arena, 0, job.size);
  let at = 0;
  let size = 0;
  for (const [index, frame] of decodeSeekTable(plain).entries()) {
    if (size + frame.raw > job.size) throw malformed(`it has more than the ${job.size} raw bytes promised`);
    const raw = arena.subarray(size, size + frame.raw);
    decompressor.decompress(plain.subarray(at), frame, raw);
    const after = index - job.secondFirst;
    if (job.secondOpinion > 0 && after >= 0 && after % job.secondOpinion === 0) {
      const { compareDecoders } = await import('../second-decoder.ts');
      await compareDecoders(plain.subarray(at, at + frame.stored), raw);
    }
    at += frame.stored;
    size += frame.raw;
  }
  if (size !== job.size) {
    throw new ZkeepError('damaged', 'segment.size', `a segment holds ${size} raw bytes, not ${job.size}`);
  }
  return { size };
}
