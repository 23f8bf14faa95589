/**
 * Loaded before zkeep (`node --import`) it lets streams be cut into smaller segments, so that a stream
 * of some MiB has several: only the numbers differ, no line of zkeep's code. `ZKEEP_SOAK_SEGMENT` says how
 * many bytes the first segments have.
 */
import { registerHooks } from 'node:module';

const segment = Number(process.env['ZKEEP_SOAK_SEGMENT']);

/** By the end of a file's address, what is put in place of what. */
const CHANGES: Readonly<Record<string, readonly [from: RegExp, to: string]>> = {
  '/catalog/repository/segment/sizes.ts': [/(?<=FIRST_SEGMENT = )16 \* 1024 \* 1024/, `${segment}`],
  '/agent/restore/resume/ledger.ts': [/(?<=STEP = )8 \* 1024 \* 1024/, `${segment / 2}`],
};

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    const change = Object.entries(CHANGES).find(([end]) => url.endsWith(end))?.[1];
    if (!change) return loaded;
    const source = String(loaded.source);
    const changed = source.replace(...change);
    if (changed === source) throw new Error(`${url} says its size in another way now`);
    return { ...loaded, source: changed };
  },
});
