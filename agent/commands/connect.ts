/** Opens what a command reads from or writes to, and closes it again. */
import { systemClock } from '../../catalog/clock.ts';
import { Patience } from '../../catalog/patience.ts';
import { Waits } from '../output/waits.ts';
import type { ServiceClient } from '../service/client.ts';
import type { ServiceAccess } from '../service/exchange.ts';
import type { Proving } from '../service/proving.ts';
import { patienceBy, serviceToken, serviceUrl, withAgentFile } from '../settings.ts';
import type { CatalogView } from '../view/view.ts';
import type { Surroundings } from './command.ts';

/** Works with a view of what is kept: the service's, or that of the repository itself. */
export async function withView<T>(
  surroundings: Surroundings,
  work: (view: CatalogView) => Promise<T>,
): Promise<T> {
  const { progress, signal } = surroundings;
  const options = await withAgentFile(surroundings.options);
  const patience = patienceOf(surroundings);
  const { openView } = await import('../view/view.ts');
  const onProblem = (words: string) => progress.note(words);
  return await closing(await openView(options, { signal, patience, onProblem }), work);
}

/** Works with the service, for commands that store. */
export async function withClient<T>(
  surroundings: Surroundings,
  work: (client: ServiceClient) => Promise<T>,
): Promise<T> {
  const access = await accessOf(surroundings);
  const { ServiceClient } = await import('../service/client.ts');
  return await closing(new ServiceClient(access), work);
}

/** Where the service is and what opens it, for commands that ask it one question. */
export async function accessOf(surroundings: Surroundings): Promise<ServiceAccess> {
  const options = await withAgentFile(surroundings.options);
  return { url: serviceUrl(options), token: serviceToken(options), patience: patienceOf(surroundings) };
}

/** Works with the service's proofs. */
export async function withProving<T>(
  surroundings: Surroundings,
  work: (proving: Proving) => Promise<T>,
): Promise<T> {
  const access = await accessOf(surroundings);
  const { Proving } = await import('../service/proving.ts');
  return await closing(new Proving(access), work);
}

/** The patience that is set, which tells of its waits on the command's progress. */
export function patienceOf({ options, progress }: Surroundings): Patience {
  const waits = new Waits(progress, systemClock);
  return new Patience({
    limit: patienceBy(options),
    onWait: (waiting) => waits.tell(waiting),
    onEnd: (party, waited) => waits.end(party, waited),
  });
}

/** Works with what is open, and closes it, however that ends. */
async function closing<Open extends { close(): Promise<void> }, T>(
  open: Open,
  work: (open: Open) => Promise<T>,
): Promise<T> {
  try {
    return await work(open);
  } finally {
    await open.close();
  }
}
