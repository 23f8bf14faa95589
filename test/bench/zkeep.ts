/** zkeep as a contender: the real service and the real command, a fresh repository for each round. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { House } from '../house.ts';
import { cpuOf, type Measured, measure, peakOf } from './measure.ts';
import type { Peer } from './peers.ts';
import type { StoreChoice } from './s3.ts';

/** @param store where it keeps; by default the service's own folder. */
export function zkeep(name: string, folder: string, store?: StoreChoice): Peer {
  const place = join(folder, 'house');
  let house: House | undefined;
  return {
    name,
    keep: async (stream) => {
      house = await House.start(place, await store?.());
      const argv = house.command(['import', '--dataset', 'bench/stream', '--quiet']);
      return await withService(house, () => measure({ argv, stdin: stream }));
    },
    back: async (file) => {
      if (!house) throw new Error('nothing was kept');
      const argv = house.command(['export', 'bench/stream', '--quiet']);
      return await withService(house, () => measure({ argv, piped: file }));
    },
    clean: async () => {
      await house?.stop();
      rmSync(place, { recursive: true, force: true });
    },
  };
}

/** The bare road, without service and command: what is left is checking, compressing, hashing and storing. */
export function bareRoad(name: string, folder: string): Peer {
  const place = join(folder, 'road');
  const script = fileURLToPath(new URL('./road.ts', import.meta.url));
  // As the launchers have it.
  const env = {
    NODE_COMPILE_CACHE: fileURLToPath(new URL('../../node_modules/.cache/zkeep', import.meta.url)),
  };
  return {
    name,
    keep: async (stream) => {
      mkdirSync(place);
      return await measure({ argv: [process.execPath, script, 'keep', place], stdin: stream, env });
    },
    back: (file) => measure({ argv: [process.execPath, script, 'back', place], piped: file, env }),
    clean: () => rmSync(place, { recursive: true, force: true }),
  };
}

/** The command's figures with what the service did meanwhile. */
async function withService(house: House, work: () => Promise<Measured>): Promise<Measured> {
  const before = cpuOf(house.pid);
  const { seconds, cpu, peak } = await work();
  return { seconds, cpu: cpu + cpuOf(house.pid) - before, peak: Math.max(peak, peakOf(house.pid)) };
}
