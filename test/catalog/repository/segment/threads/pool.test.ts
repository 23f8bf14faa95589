/** The worker threads: each job gets its own answer, whatever happens to those before and behind it. */
import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { describe, it, type TestContext } from 'node:test';
import { ZkeepError } from '../../../../../catalog/errors.ts';
import { compressBound } from '../../../../../catalog/repository/segment/frames.ts';
import { WorkerPool } from '../../../../../catalog/repository/segment/threads/pool.ts';
import type { CompressJob, OpenJob } from '../../../../../catalog/repository/segment/threads/worker-jobs.ts';

const FRAME = 65_536;

describe('a pool of worker threads', () => {
  it('gives each of many jobs its own answer', async (t) => {
    const pool = poolFor(t);
    const jobs = Array.from({ length: 40 }, (_, n) => frame(n % 4 === 0 ? FRAME : n + 1));
    const answers = await Promise.all(jobs.map((job) => pool.run(job)));
    const alone = poolFor(t, 1);
    for (const [n, job] of jobs.entries()) {
      assert.deepEqual(answers[n], await alone.run(job), `job ${n}`);
    }
  });

  it('gives the threads that it started early their jobs', async (t) => {
    const pool = poolFor(t, 1);
    pool.start();
    pool.start();
    const alone = poolFor(t, 1);
    assert.deepEqual(await pool.run(frame(100)), await alone.run(frame(100)));
  });

  it('starts none when it is closed', async () => {
    const pool = new WorkerPool(2);
    await pool.close();
    pool.start();
    await assert.rejects(pool.run(frame(1)), (thrown) => codeOf(thrown) === 'worker.closed');
  });

  it('fails the job that fails, and none of those that the same thread holds', async (t) => {
    const pool = poolFor(t, 1);
    const answers = await Promise.allSettled([
      pool.run(frame(100)),
      pool.run(damagedObject()),
      pool.run(frame(100)),
      pool.run({ ...frame(100), offset: -1 }),
      pool.run(frame(100)),
    ]);
    const codes = answers.map((answer) => (answer.status === 'rejected' ? codeOf(answer.reason) : 'done'));
    assert.deepEqual(codes, ['done', 'segment.digest', 'done', 'worker.failed', 'done']);
  });

  it('rejects what was not done when it is closed, and what comes later', async () => {
    const pool = new WorkerPool(2);
    const asked = Array.from({ length: 20 }, () => pool.run(frame(FRAME)));
    const answers = Promise.allSettled(asked);
    await pool.close();
    const codes = (await answers).map((answer) => answer.status === 'rejected' && codeOf(answer.reason));
    assert.deepEqual(new Set(codes), new Set(['worker.closed']));
    await assert.rejects(pool.run(frame(1)), (thrown) => codeOf(thrown) === 'worker.closed');
  });
});

function poolFor(t: TestContext, size = 3): WorkerPool {
  const pool = new WorkerPool(size);
  t.after(() => pool.close());
  return pool;
}

function frame(length: number): CompressJob {
  const memory = new SharedArrayBuffer(FRAME);
  new Uint8Array(memory).fill(length);
  const arena = new SharedArrayBuffer(2 * compressBound(1024 * 1024));
  return { do: 'compress', memory, offset: 0, length, level: 3, arena, at: 0 };
}

function damagedObject(): OpenJob {
  const arena = new SharedArrayBuffer(FRAME);
  const sha256 = hash('sha256', 'another');
  const stored = new Uint8Array(100);
  return {
    do: 'open',
    stored,
    sha256,
    size: FRAME,
    arena,
    encrypted: false,
    identities: [],
    secondOpinion: 0,
    secondFirst: 0,
  };
}

function codeOf(thrown: unknown): string {
  return thrown instanceof ZkeepError ? thrown.code : String(thrown);
}
