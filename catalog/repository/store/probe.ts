/** Finding out what a store can do by trying, because silence is no support. */
import { randomUUID } from 'node:crypto';
import { ZkeepError } from '../../errors.ts';
import { digestOf } from './body.ts';
import type { ObjectStore, PutOptions, StoreAbilities } from './store.ts';

/** One bare write: the store itself decides, nothing is looked at before. */
export type BarePut = (key: string, body: Uint8Array, options: PutOptions) => Promise<void>;

const FIRST = Buffer.from('zkeep asks what this store can do\n');
const SECOND = Buffer.from('a store with conditions refuses this\n');

/**
 * Writes small objects under `probe/`, one over another and one with a wrong
 * digest, reads back, and removes them. They stay only where deleting is denied.
 */
export async function probeStore(
  store: ObjectStore,
  put: BarePut,
  signal?: AbortSignal,
): Promise<StoreAbilities> {
  const [whole, wrong] = [`probe/${randomUUID()}`, `probe/${randomUUID()}`];
  const common = signal ? { signal } : {};
  try {
    await store.put(whole, FIRST, { sha256: digestOf(FIRST), ...common });
    await checkReadBack(store, whole, signal);
    const second = { sha256: digestOf(SECOND), ifAbsent: true, ...common };
    return {
      conditionalPut: await isRefused('store.exists', () => put(whole, SECOND, second)),
      checksOnPut: await isRefused('store.mismatch', () =>
        put(wrong, FIRST, { ...common, sha256: second.sha256 }),
      ),
    };
  } finally {
    await removeIfAllowed(store, whole, signal);
    await removeIfAllowed(store, wrong, signal);
  }
}

async function checkReadBack(
  store: ObjectStore,
  key: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const back = await store.get(key, { maxBytes: FIRST.length, ...(signal ? { signal } : {}) });
  if (back.equals(FIRST)) return;
  throw new ZkeepError(
    'damaged',
    'store.read-back',
    `${store.location} gives other bytes back than were written`,
    {
      advice: 'do not keep backups there',
    },
  );
}

/** True when it is refused for this very reason, false when it works or the store does not know how. */
async function isRefused(code: string, attempt: () => Promise<void>): Promise<boolean> {
  try {
    await attempt();
    return false;
  } catch (thrown) {
    if (!(thrown instanceof ZkeepError)) throw thrown;
    if (thrown.code === code) return true;
    if (thrown.code === 'store.unsupported' || thrown.code === 'store.rejected') return false;
    throw thrown;
  }
}

async function removeIfAllowed(
  store: ObjectStore,
  key: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  try {
    await store.delete(key, signal);
  } catch (thrown) {
    if (!(thrown instanceof ZkeepError) || thrown.kind !== 'denied') throw thrown;
  }
}
