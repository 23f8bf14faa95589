/** The streams that the bench feeds to everyone: real send streams of a file of 128 KiB blocks. */
import { spawn } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';
import { makeStream } from '../made-stream.ts';

export const KINDS = ['compressible', 'incompressible', 'mostly-zero'] as const;
export type Kind = (typeof KINDS)[number];

const BLOCK = 128 * 1024;

/**
 * Writes a stream of about `size` raw bytes.
 *
 * - compressible: a tar of /usr, as it comes
 * - incompressible: random bytes, nowhere repeated
 * - mostly-zero: nine blocks of zeros, then a random one
 */
export async function writeStream(path: string, kind: Kind, size: number): Promise<void> {
  const file = openSync(path, 'w');
  try {
    const blocks = kind === 'compressible' ? await tarBlocks(size) : madeBlocks(kind, size);
    for (const piece of makeStream({ toGuid: 0x5a4b454550n, toName: `bench/${kind}@now`, blocks })) {
      writeSync(file, piece);
    }
  } finally {
    closeSync(file);
  }
}

function* madeBlocks(kind: Kind, size: number): Generator<Uint8Array> {
  for (let made = 0; made < size; made += BLOCK) {
    const block = Buffer.alloc(BLOCK);
    if (kind === 'incompressible' || (made / BLOCK) % 10 === 9) randomFillSync(block);
    yield block;
  }
}

/** The first `size` bytes of a tar of /usr, over again where it is shorter. */
async function tarBlocks(size: number): Promise<Uint8Array[]> {
  const tar = spawn('tar', ['-c', '-C', '/', 'usr'], { stdio: ['ignore', 'pipe', 'ignore'] });
  const whole = Buffer.allocUnsafe(size);
  let filled = 0;
  for await (const piece of tar.stdout as AsyncIterable<Buffer>) {
    filled += piece.copy(whole, filled);
    if (filled === size) break;
  }
  tar.kill();
  if (filled < size) throw new Error(`/usr holds only ${filled} bytes; the bench wants ${size}`);
  const blocks: Uint8Array[] = [];
  for (let at = 0; at < size; at += BLOCK) blocks.push(whole.subarray(at, Math.min(at + BLOCK, size)));
  return blocks;
}
