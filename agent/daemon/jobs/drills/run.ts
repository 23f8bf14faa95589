/** One run of a drill: what chance decides is restored to the scratch place, compared, cleared; the service gets the evidence. */
import { hostname } from 'node:os';
import { systemClock } from '../../../../catalog/clock.ts';
import { messageOf } from '../../../../catalog/errors.ts';
import type { Drill } from '../../../../catalog/journal/entry.ts';
import { matches } from '../../../../catalog/patterns.ts';
import { isAlive } from '../../../backup/writer.ts';
import { drillPlacesIn, isForsaken, markNow } from '../../../drill/mark.ts';
import { clearPlace, drillPlace } from '../../../drill/place.ts';
import { performDrill, prepareDrill } from '../../../drill/run.ts';
import { datasetByChance, pointByChance } from '../../../drill/wanted.ts';
import { durationInWords, sizeInWords } from '../../../output/words.ts';
import type { RestoreTools } from '../../../restore/resume/receiving.ts';
import { reportDrill } from '../../../service/drills.ts';
import type { ServiceAccess } from '../../../service/exchange.ts';
import { readIdentities } from '../../../settings.ts';
import { listSource } from '../../../zfs/list.ts';
import { type JobEnd, MOST_WORDS } from '../records.ts';
import type { DrillJob } from './job.ts';

/** What it works with. */
export interface DrillTools extends Omit<RestoreTools, 'identities'> {
  readonly access: ServiceAccess;
}

/**
 * Runs it once. A drill that did not pass has come to its end: the service has the evidence, and tells it. One that
 * could not be done has failed, and is tried again.
 *
 * @returns how it went: it does not throw.
 */
export async function runDrill(job: DrillJob, tools: DrillTools): Promise<JobEnd> {
  const { signal } = tools;
  try {
    const { drill, left } = await drillOnce(job, tools);
    const words = wordsOf(drill);
    if (left === undefined) return endOf('done', words);
    // The evidence is there; what it made is not gone.
    return endOf('partly', `${words}; ${messageOf(left)}`);
  } catch (thrown) {
    return endOf(signal.aborted ? 'interrupted' : 'failed', messageOf(thrown));
  }
}

async function drillOnce({ datasets, hosts, to, point, identity }: DrillJob, tools: DrillTools) {
  const { access, signal, view } = tools;
  const identities = identity === undefined ? [] : readIdentities(identity);
  await listSource(to, signal);
  await clearForsaken(to, tools);
  const meant = {
    query: {},
    fits: (row: { dataset: string; host: string }) =>
      matches(datasets, row.dataset) && matches(hosts, row.host),
  };
  const newest = await datasetByChance(access, meant, signal);
  const wanted = point === 'random' ? await pointByChance(newest, view) : newest;
  const place = drillPlace(to, markNow(systemClock.now(), false));
  const ready = await prepareDrill(wanted, place, { view, identities, signal });
  const drilled = await performDrill(ready, { ...tools, identities }, { host: hostname(), keep: false });
  await reportDrill(access, drilled.drill, signal);
  return drilled;
}

/** Takes away what drills left here that were killed: a host that loses its power now and then must not fill its scratch pool. */
async function clearForsaken(scratch: string, { progress, signal }: DrillTools): Promise<void> {
  for (const place of await drillPlacesIn(scratch, signal)) {
    if (!isForsaken(place, undefined, isAnotherAlive)) continue;
    try {
      await clearPlace(place);
      progress.note(`${place.container}, which a drill that was killed left, is destroyed`);
    } catch (thrown) {
      progress.note(messageOf(thrown));
    }
  }
}

/** What this very process could not destroy before is forsaken, too: it is at no other drill. */
function isAnotherAlive(id: number): boolean {
  return id !== process.pid && isAlive(id);
}

function wordsOf({ dataset, name, passed, problems, bytes, restore_seconds, objects }: Drill): string {
  const what = `${dataset}@${name}`;
  if (!passed) return `${what} did not pass: ${problems.join('; ')}`;
  const restored = `${sizeInWords(bytes)} in ${durationInWords(restore_seconds)}`;
  return `${what} passed: ${restored}, ${objects} objects`;
}

function endOf(outcome: JobEnd['outcome'], words: string): JobEnd {
  return { outcome, words: words.slice(0, MOST_WORDS), stored: 0, failed: [] };
}
