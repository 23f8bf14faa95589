/** What comes by a pipe or lies in a file is given piece by piece, whole, in order, whoever reads it however. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setImmediate as later } from 'node:timers/promises';
import { readPieces } from '../../../../agent/backup/upload/pieces.ts';

const MIB = 1024 * 1024;
const BYTES = randomBytes(9 * MIB + 7);
const never = new AbortController().signal;

describe('the pieces of a pipe', () => {
  it('are all that went in, for one who is done with each at once', async (t) => {
    const got: Buffer[] = [];
    for await (const piece of readPieces(pipeOf(t, BYTES), never)) got.push(Buffer.from(piece));
    assert.ok(Buffer.concat(got).equals(BYTES));
  });

  it('stay as they are while they are used, however long', async (t) => {
    const got: Buffer[] = [];
    for await (const piece of readPieces(pipeOf(t, BYTES), never)) {
      for (let turn = 0; turn < 1 + (got.length % 5); turn++) await later();
      got.push(Buffer.from(piece)); // only now: what comes meanwhile must lie elsewhere
    }
    assert.ok(Buffer.concat(got).equals(BYTES));
  });

  it('are none when nothing went in', async (t) => {
    for await (const _ of readPieces(pipeOf(t, Buffer.alloc(0)), never)) assert.fail('there is nothing');
  });

  it('end with the reason of whoever waits no longer, while nothing comes', {
    timeout: 30_000,
  }, async (t) => {
    const stop = new AbortController();
    const pieces = readPieces(pipeOf(t, Buffer.from('some'), 'sleep 60'), stop.signal);
    assert.equal(Buffer.from((await pieces.next()).value ?? []).toString(), 'some');
    const next = pieces.next();
    stop.abort(new Error('enough'));
    await assert.rejects(next, /enough/);
    assert.equal((await pieces.next()).done, true);
  });

  it('can be left before their end', async (t) => {
    for await (const piece of readPieces(pipeOf(t, BYTES), never)) {
      assert.ok(BYTES.subarray(0, piece.length).equals(piece));
      break;
    }
  });
});

describe('the pieces of a file', () => {
  it('are all that lies in it', async (t) => {
    const file = openSync(fileOf(t, BYTES), 'r');
    t.after(() => closeSync(file));
    const got: Buffer[] = [];
    for await (const piece of readPieces(file, never)) got.push(Buffer.from(piece));
    assert.ok(Buffer.concat(got).equals(BYTES));
  });
});

function fileOf(t: TestContext, bytes: Uint8Array): string {
  const folder = mkdtempSync(join(tmpdir(), 'zkeep-pieces-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'bytes');
  writeFileSync(file, bytes);
  return file;
}

/** The reading end of a true pipe into which these bytes go; then `after` runs before it is closed. */
function pipeOf(t: TestContext, bytes: Uint8Array, after = 'true'): number {
  const file = fileOf(t, bytes);
  const pipe = `${file}.pipe`;
  assert.equal(spawnSync('mkfifo', [pipe]).status, 0);
  const script = `exec > "$1"; cat "$0"; exec ${after}`;
  const writer = spawn('sh', ['-c', script, file, pipe], { stdio: ['ignore', 'ignore', 'ignore'] });
  t.after(() => writer.kill());
  return openSync(pipe, 'r');
}
