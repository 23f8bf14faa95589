/** Small files that must be there whole after a power cut, or be as they were. */
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncFolder } from './restore/export.ts';

/**
 * Writes a file in place of the one before, durably, readable by its owner only; its folder is made.
 *
 * @throws {Error} what the file system says; then the file is as it was.
 */
export async function writeDurably(file: string, text: string): Promise<void> {
  const partial = `${file}.${process.pid}.partial`;
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  try {
    const handle = await open(partial, 'w', 0o600);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(partial, file);
    await syncFolder(dirname(file));
  } catch (thrown) {
    await rm(partial, { force: true });
    throw thrown;
  }
}
