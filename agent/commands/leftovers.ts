/** `zkeep leftovers`: what interrupted work left, what goes on with it, and what clears it. */
import { hostname } from 'node:os';
import type { Command } from 'commander';
import { systemClock } from '../../catalog/clock.ts';
import { ZkeepError } from '../../catalog/errors.ts';
import type { HereFacts, KeptFacts } from '../leftovers/facts.ts';
import type { Unasked } from '../leftovers/words.ts';
import type { CommonOptions } from '../settings.ts';
import { common, type Outcome, perform, type Surroundings } from './command.ts';
import { withClient } from './connect.ts';

const EXAMPLE = `zkeep leftovers
zkeep leftovers tank --json      of a dataset and those below it, for scripts`;

export function addLeftovers(program: Command, exit: (code: number) => void): void {
  const command = program
    .command('leftovers')
    .description('list what interrupted work left: what goes on with it, and what clears it')
    .argument('[dataset...]', 'only what is left at these, and below them');
  common(command, EXAMPLE).action(async (datasets: string[], options: CommonOptions) => {
    exit(await perform('leftovers', options, async (surroundings) => await list(datasets, surroundings)));
  });
}

async function list(names: readonly string[], surroundings: Surroundings): Promise<Outcome> {
  const { parseDataset } = await import('../zfs/names.ts');
  const scope = names.map(parseDataset);
  const unasked: Unasked[] = [];
  const here = await orUnasked('ZFS', unasked, async () => await zfsSays(surroundings, unasked));
  const kept = await orUnasked('the service', unasked, async () => await serviceSays(here, surroundings));
  const [first] = unasked;
  if (here === null && kept === null && first) throw nobodyAsked(unasked);
  const { decideLeftovers } = await import('../leftovers/decide.ts');
  const host = hostname();
  const found = decideLeftovers({ host, now: systemClock.now(), scope, here, kept });
  const { leftoversDocument, leftoversInWords } = await import('../leftovers/words.ts');
  return { document: leftoversDocument(host, found, unasked), text: leftoversInWords(found, unasked) };
}

async function zfsSays({ signal }: Surroundings, unasked: Unasked[]): Promise<HereFacts> {
  const { askHere } = await import('../leftovers/gather.ts');
  return await askHere(signal, (count) => {
    const message = `of ${count} more snapshots the holds were not asked: too many`;
    unasked.push({ who: 'ZFS', code: 'leftovers.too-many', message });
  });
}

async function serviceSays(here: HereFacts | null, surroundings: Surroundings): Promise<KeptFacts> {
  const { askService } = await import('../leftovers/gather.ts');
  return await withClient(
    surroundings,
    async (client) => await askService(client, here, surroundings.signal),
  );
}

/** Half of the answer is worth having, where the other half cannot be had. */
async function orUnasked<T>(who: string, unasked: Unasked[], ask: () => Promise<T>): Promise<T | null> {
  try {
    return await ask();
  } catch (thrown) {
    if (!(thrown instanceof ZkeepError) || !PASSED_OVER.has(thrown.kind)) throw thrown;
    if (thrown.code === 'agent.interrupted') throw thrown;
    unasked.push({ who, code: thrown.code, message: thrown.message });
    return null;
  }
}

const PASSED_OVER: ReadonlySet<ZkeepError['kind']> = new Set(['unavailable', 'denied', 'missing', 'failed']);

function nobodyAsked(unasked: readonly Unasked[]): ZkeepError {
  const message = unasked.map(({ who, message: said }) => `${who}: ${said}`).join('; ');
  return new ZkeepError(
    'unavailable',
    'leftovers.nobody',
    `neither ZFS nor the service could be asked: ${message}`,
    {
      advice: 'run it on the host of the pools, with a token of the service',
      facts: { codes: unasked.map(({ code }) => code) },
    },
  );
}
