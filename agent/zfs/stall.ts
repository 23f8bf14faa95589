/** A stream that stops flowing: whether its pool is to blame, and waiting would be for nothing. */
import { ZkeepError } from '../../catalog/errors.ts';
import { poolOf } from './names.ts';
import { outputOf, type RunOptions, run, within } from './run.ts';

/** A stream that gave nothing for so long, milliseconds, has its pool looked at. */
export const SILENCE = 60_000;
/** How long the look may take, milliseconds. */
const LOOK = 30_000;

/** The code of the error: nothing that concerns the pool ends any more, undoing neither. */
export const SUSPENDED = 'zfs.suspended';

/**
 * The chunks as they come; whenever none comes for a while, `look` is awaited,
 * and what it throws ends the waiting. Ending the source is up to the caller: it may hang.
 *
 * @example for await (const chunk of watchStream(stdout, () => checkPool('tank'))) ...
 */
export async function* watchStream<T>(
  source: AsyncIterable<T>,
  look: () => Promise<void>,
  silence = SILENCE,
): AsyncGenerator<T> {
  const chunks = source[Symbol.asyncIterator]();
  for (;;) {
    const next = chunks.next();
    next.catch(() => undefined); // it is thrown where it is awaited
    let got = await within(silence, next);
    while (got === undefined) {
      await look();
      got = await within(silence, next);
    }
    if (got.done) return;
    yield got.value;
  }
}

/**
 * Runs a command that changes a dataset, which its last word names. When it takes long its pool is
 * looked at: on a suspended one it ends when the device is back, and nobody waits for that here.
 *
 * @throws {ZkeepError} `unavailable` with code `zfs.suspended`; what the command itself ended with.
 * @example await runOnPool(['zfs', 'hold', 'zkeep', 'tank/a@one'])
 */
export async function runOnPool(
  command: readonly string[],
  options: RunOptions = {},
  { silence = SILENCE, look = checkPool }: { silence?: number; look?: (pool: string) => Promise<void> } = {},
): Promise<string> {
  const running = run(command, options);
  running.catch(() => undefined); // it is thrown where it is awaited
  for (;;) {
    const printed = await within(silence, running);
    if (printed !== undefined) return printed;
    await look(poolOf(command.at(-1) ?? ''));
  }
}

/**
 * Looks whether a pool waits for its devices.
 *
 * @throws {ZkeepError} `unavailable` when it is suspended; a pool that cannot be asked is not called so.
 */
export async function checkPool(pool: string, ask: typeof outputOf = outputOf): Promise<void> {
  const asked = ask(['zpool', 'list', '-H', '-o', 'health', pool], { timeout: LOOK });
  const health = await asked.then(
    ({ stdout }) => stdout.toString('utf8').trim(),
    () => undefined,
  );
  if (health !== 'SUSPENDED') return;
  throw new ZkeepError('unavailable', SUSPENDED, `pool ${pool} is suspended: it waits for a device`, {
    advice: `bring the device back and run zpool clear ${pool}; the next backup lets go of what this one holds`,
    facts: { pool },
  });
}
