/** `zkeep events`: who did what, when. */
import { type Command, InvalidArgumentError } from 'commander';
import { systemClock } from '../../catalog/clock.ts';
import type { Entry } from '../../catalog/journal/entry.ts';
import type { EventsQuery } from '../../catalog/protocol/events.ts';
import { parseMoment } from '../moments.ts';
import type { CommonOptions } from '../settings.ts';
import { common, type Outcome, perform, type Surroundings } from './command.ts';
import { accessOf } from './connect.ts';

interface EventsOptions extends CommonOptions {
  readonly kinds?: string;
  readonly dataset?: string;
  readonly host?: string;
  readonly since?: string;
  readonly limit: number;
  readonly follow?: boolean;
}

const EXAMPLE = `zkeep events
zkeep events --kinds policy,pin,backups.removed --since '2026-11-01 00:00'
zkeep events --dataset tank/home --limit 1000
zkeep events --kinds late,damaged,run --follow`;

/** Rows in one page. */
const PAGE = 1000;
/** So many are looked through again for what is new. */
const MOST_FOLLOWED = 2_000;
/** Milliseconds between two looks. */
const PAUSE = 5_000;

export function addEvents(program: Command, exit: (code: number) => void): void {
  const command = program
    .command('events')
    .description(
      'the audit trail: who did what to the repository, and what jobs and agents said, the newest last',
    )
    .option(
      '--kinds <list>',
      'only facts of these kinds, or whose kind begins so: policy,pin,backups.removed',
    )
    .option('--dataset <name>', 'only what is about this dataset')
    .option('--host <name>', 'only what is about this host')
    .option('--since <time>', 'only what happened since then')
    .option('--limit <number>', 'so many, the newest ones', countOf, 100)
    .option('--follow', 'go on with what happens, until interrupted');
  common(command, EXAMPLE).action(async (options: EventsOptions) => {
    exit(await perform('events', options, events));
  });
}

async function events(surroundings: Surroundings<EventsOptions>): Promise<Outcome> {
  const { options, signal } = surroundings;
  const { sayEntry } = await import('../../catalog/journal/words.ts');
  const { printable } = await import('../output/words.ts');
  const query = queryOf(options);
  const { limit, follow } = options;
  const found = await newest(surroundings, query, follow ? Math.max(limit, MOST_FOLLOWED) : limit);
  if (!follow) {
    const text =
      found.length === 0 ? 'nothing is written down' : found.map(sayEntry).map(printable).join('\n');
    return { document: { events: found }, text };
  }
  const print = (entries: readonly Entry[]) => {
    const lines = entries.map((entry) => (options.json ? JSON.stringify(entry) : printable(sayEntry(entry))));
    if (lines.length > 0) process.stdout.write(`${lines.join('\n')}\n`);
  };
  print(found.slice(-limit));
  // Not by the last id alone: a service whose clock is behind writes smaller ones.
  let seen = new Set(found.map(({ id }) => id));
  for (;;) {
    await systemClock.sleep(PAUSE, signal);
    const latest = await newest(surroundings, query, MOST_FOLLOWED);
    print(latest.filter(({ id }) => !seen.has(id)));
    seen = new Set(latest.map(({ id }) => id));
  }
}

/** The newest ones, the newest last. */
async function newest(
  surroundings: Surroundings<EventsOptions>,
  query: EventsQuery,
  limit: number,
): Promise<Entry[]> {
  const { askEvents } = await import('../service/events.ts');
  const access = await accessOf(surroundings);
  const found: Entry[] = [];
  for (let after: string | null | undefined; found.length < limit && after !== null; ) {
    const page = { limit: Math.min(PAGE, limit - found.length), ...(after ? { after } : {}) };
    const answer = await askEvents(access, { ...query, ...page }, surroundings.signal);
    found.push(...answer.events);
    after = answer.next;
  }
  return found.toReversed();
}

function queryOf({ kinds, dataset, host, since }: EventsOptions): EventsQuery {
  return {
    ...(kinds === undefined ? {} : { kinds }),
    ...(dataset === undefined ? {} : { dataset }),
    ...(host === undefined ? {} : { host }),
    ...(since === undefined ? {} : { since: new Date(parseMoment(since) * 1000).toISOString() }),
  };
}

function countOf(text: string): number {
  if (/^[1-9][0-9]{0,5}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('it is a number from 1 to 999999.');
}
