/** Opens what a command reads from or writes to, and closes it again. */
import { messageOf } from '../../catalog/errors.ts';
import type { Progress } from '../output/progress.ts';
import type { ServiceClient } from '../service/client.ts';
import { serviceToken, serviceUrl } from '../settings.ts';
import type { CatalogView } from '../view/view.ts';
import type { Surroundings } from './command.ts';

/** Works with a view of what is kept: the service's, or that of the repository itself. */
export async function withView<T>(
  { options, progress, signal }: Surroundings,
  work: (view: CatalogView) => Promise<T>,
): Promise<T> {
  const { openView } = await import('../view/view.ts');
  const onProblem = (words: string) => progress.note(words);
  const view = await openView(options, { signal, onRetry: retryNote(progress), onProblem });
  try {
    return await work(view);
  } finally {
    await view.close();
  }
}

/** Works with the service, for commands that store. */
export async function withClient<T>(
  { options, progress }: Surroundings,
  work: (client: ServiceClient) => Promise<T>,
): Promise<T> {
  const access = { url: serviceUrl(options), token: serviceToken(options), onRetry: retryNote(progress) };
  const { ServiceClient } = await import('../service/client.ts');
  const client = new ServiceClient(access);
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}

/** Says that the service is waited for: one line for one trouble, however often it is tried. */
function retryNote(progress: Progress): (thrown: unknown) => void {
  let last = '';
  return (thrown) => {
    const words = messageOf(thrown);
    if (words !== last) progress.note(`${words}; trying again`);
    last = words;
  };
}
