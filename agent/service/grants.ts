/** Transfers by grants of the service, tried as long as the patience of the command lasts. */
import { ZkeepError } from '../../catalog/errors.ts';
import { isWorthWaiting, type KeepOptions, type Patience } from '../../catalog/patience.ts';

/** So many grants in a row that are too old when they come: the clocks are wrong, and waiting will not mend that. */
const STALE = 3;

/**
 * Does one transfer, again while the store or the service is away, slow or full. With a grant that
 * the store calls too old, whatever the clock of this host says, it is done again at once.
 *
 * @param once takes a new grant when it is called again; so none is too old, and one that writes
 *   hears from the service when an earlier try arrived and only its answer got lost.
 * @throws {ZkeepError} what the last try threw.
 * @example
 * await untilTaken(async () => {
 *   const [grant] = await client.writeGrants(writing, [part], signal);
 *   if (!('stored' in grant)) await putByGrant(grant, body, signal);
 * }, { patience: client.patience, signal });
 */
export async function untilTaken<T>(
  once: () => Promise<T>,
  { patience, signal }: Pick<KeepOptions, 'signal'> & { readonly patience: Patience },
): Promise<T> {
  const fresh = async () => {
    for (let left = STALE - 1; ; left--) {
      try {
        return await once();
      } catch (thrown) {
        if (left === 0 || !isStale(thrown)) throw thrown;
      }
    }
  };
  const isPassing = (thrown: unknown) => isWorthWaiting(thrown) && !isStale(thrown);
  return await patience.keep('store', fresh, { signal, isPassing });
}

function isStale(thrown: unknown): boolean {
  return thrown instanceof ZkeepError && thrown.code === 'grant.expired';
}
