/** Asks this host and the service for what `diagnose.ts` judges; nothing is changed. */
import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import { dirname } from 'node:path';
import { systemClock } from '../../catalog/clock.ts';
import { messageOf, ZkeepError } from '../../catalog/errors.ts';
import { matches } from '../../catalog/patterns.ts';
import { hostDatasets } from '../daemon/agent.ts';
import { agentFile, loadAgentConfiguration } from '../daemon/configuration.ts';
import { isOfDrill } from '../drill/mark.ts';
import type { HereFacts, KeptFacts } from '../leftovers/facts.ts';
import { askHere, askService } from '../leftovers/gather.ts';
import type { ServiceClient } from '../service/client.ts';
import { stateFolder, tokenPlace } from '../settings.ts';
import { run } from '../zfs/run.ts';
import type { Coverage, DoctorFacts, Trouble } from './facts.ts';
import { lackingRights } from './rights.ts';

/** What is asked, and about what. */
export interface DoctorAsked {
  readonly scope: readonly string[];
  /** The agent's configuration that was named. */
  readonly config: string | undefined;
  readonly tokenFile: string | undefined;
  readonly version: string;
}

/** Opens the service for one look, and closes it again. */
export type WithService = <T>(work: (client: ServiceClient) => Promise<T>) => Promise<T>;

/** Asks all that can be asked; what cannot becomes a finding. */
export async function askAll(
  { scope, config, tokenFile, version }: DoctorAsked,
  withService: WithService,
  signal: AbortSignal,
): Promise<DoctorFacts> {
  const here = await orTrouble(() => askHere(signal, () => undefined));
  const said = await orTrouble(async () => await withService((client) => askOne(client, here.value, signal)));
  const sources = here.value?.sources ?? [];
  const coverage = await coverageOf(config, here.value, signal);
  const user = userInfo().username;
  const pools = scope.length > 0 ? scope : [...(here.value?.pools.keys() ?? [])];
  const rights = process.getuid?.() === 0 || sources.length === 0 ? [] : await rightsOf(pools, user, signal);
  return {
    host: hostname(),
    now: systemClock.now(),
    scope,
    here: here.value,
    kept: said.value?.kept ?? null,
    ahead: said.value?.ahead ?? null,
    versions: { here: version, service: said.value?.version ?? null },
    zfs: here.trouble,
    service: said.trouble,
    state: stateOf(stateFolder()),
    openToken: openTokenAt(tokenPlace({ ...(tokenFile === undefined ? {} : { tokenFile }) })),
    rights,
    user,
    coverage,
  };
}

interface Said {
  readonly kept: KeptFacts;
  readonly ahead: number | null;
  readonly version: string;
}

async function askOne(client: ServiceClient, here: HereFacts | null, signal: AbortSignal): Promise<Said> {
  const { version } = await client.health(signal);
  const kept = await askService(client, here, signal);
  return { kept, version, ahead: client.ahead };
}

async function orTrouble<T>(
  ask: () => Promise<T>,
): Promise<{ value: T; trouble: null } | { value: null; trouble: Trouble }> {
  try {
    return { value: await ask(), trouble: null };
  } catch (thrown) {
    if (!(thrown instanceof ZkeepError) || thrown.code === 'agent.interrupted') throw thrown;
    return { value: null, trouble: troubleOf(thrown) };
  }
}

function troubleOf({ code, message, advice }: ZkeepError): Trouble {
  return { code, message, advice };
}

/** A host without a configuration is backed up by other means, or by hand: nothing is missed there. */
async function coverageOf(
  config: string | undefined,
  here: HereFacts | null,
  signal: AbortSignal,
): Promise<Coverage | Trouble | null> {
  const file = agentFile(config);
  if (!here || (config === undefined && !existsSync(file))) return null;
  try {
    const { jobs } = loadAgentConfiguration(file);
    const { datasets } = hostDatasets();
    const covered = new Set<string>();
    for (const job of jobs) for (const dataset of await datasets(job, signal)) covered.add(dataset);
    const leftOut = jobs.flatMap((job) => {
      // What is there to try restores is not there to be kept.
      if (job.kind === 'drill') return [`${job.to}/**`];
      if (job.covered.kind !== 'datasets') return [];
      return job.covered.patterns.filter((one) => one.startsWith('!')).map((one) => one.slice(1));
    });
    const meant = here.sources
      .map(({ dataset }) => dataset)
      .filter((name) => !matches(leftOut, name) && !isOfDrill(name));
    return { file, meant, covered };
  } catch (thrown) {
    if (!(thrown instanceof ZkeepError) || signal.aborted) throw thrown;
    return troubleOf(thrown);
  }
}

async function rightsOf(pools: readonly string[], user: string, signal: AbortSignal) {
  try {
    const groups = (await run(['id', '-Gn'], { signal })).trim().split(/\s+/);
    return await lackingRights(pools, { user, groups }, signal);
  } catch (thrown) {
    if (!(thrown instanceof ZkeepError) || signal.aborted) throw thrown;
    return []; // Where nobody tells the rights, the first backup does.
  }
}

/** Writable, or made by whoever writes first. */
function stateOf(folder: string): DoctorFacts['state'] {
  let there = folder;
  while (!existsSync(there) && dirname(there) !== there) there = dirname(there);
  try {
    accessSync(there, constants.W_OK | constants.X_OK);
    return { folder, problem: null };
  } catch (thrown) {
    return { folder, problem: messageOf(thrown) };
  }
}

function openTokenAt(file: string | undefined): string | null {
  if (file === undefined) return null;
  try {
    return (statSync(file).mode & 0o077) === 0 ? null : file;
  } catch {
    return null; // That there is none, the service's part says.
  }
}
