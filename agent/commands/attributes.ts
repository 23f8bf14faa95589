/** `zkeep attributes`: what was set on a dataset, what changed between two points, and when a property changed. */
import type { Command } from 'commander';
import { ZkeepError } from '../../catalog/errors.ts';
import type { HistoryPoint } from '../../catalog/protocol/history.ts';
import type { BackupSummary } from '../../catalog/protocol/protocol.ts';
import type { CommonOptions } from '../settings.ts';
import type { SettingsPoint } from '../view/points.ts';
import type { CatalogView } from '../view/view.ts';
import type { WantedOptions } from '../view/wanted.ts';
import {
  common,
  fromRepository,
  type Outcome,
  perform,
  type Surroundings,
  whichSnapshot,
} from './command.ts';
import { withView } from './connect.ts';

interface AttributesOptions extends CommonOptions, WantedOptions {
  readonly all?: boolean;
  readonly diff?: readonly string[];
  readonly history?: string;
  readonly exitCode?: boolean;
}

const EXAMPLE = `zkeep attributes tank/home --at '2026-11-20 09:00'
zkeep attributes tank/home --diff daily-1 daily-7
zkeep attributes tank/home --diff '2026-11-20 09:00' live --exit-code
zkeep attributes tank/home --history recordsize`;

export function addAttributes(program: Command, exit: (code: number) => void): void {
  const command = program
    .command('attributes')
    .description('what was set on a dataset, its snapshot, pool and host; without a snapshot, what was last')
    .argument('<dataset>', 'as it was called where it was backed up')
    .option('--all', 'with defaults, and what nobody can set')
    .option(
      '--diff <points...>',
      'what changed between two: a snapshot, a time, a GUID, or live (live:pool/dataset for another one)',
    )
    .option('--history <property>', 'when it changed, from what to what')
    .option('--exit-code', 'with --diff: exit with 1 when something changed');
  fromRepository(whichSnapshot(command));
  common(command, EXAMPLE).action(async (dataset: string, options: AttributesOptions) => {
    exit(
      await perform('attributes', options, async (surroundings) => await attributes(dataset, surroundings)),
    );
  });
}

async function attributes(dataset: string, surroundings: Surroundings<AttributesOptions>): Promise<Outcome> {
  const { options, signal } = surroundings;
  const { diff, history } = options;
  refuseTogether(options);
  const { wantedBy } = await import('../view/wanted.ts');
  const wanted = wantedBy(dataset, options);
  const of = { dataset, host: options.host };
  return await withView(surroundings, async (view) => {
    if (history !== undefined) return await tellHistory(view, of, history);
    if (!diff) return await tellSettings(view, wanted, options.all === true);
    const { settingsPoint } = await import('../view/points.ts');
    const [one = '', other = ''] = diff;
    const before = await settingsPoint(view, one, of, signal);
    const after = await settingsPoint(view, other, of, signal);
    return await tellDifference(before, after, options.exitCode === true);
  });
}

function refuseTogether({ at, snapshot, guid, all, diff, history, exitCode }: AttributesOptions): void {
  const which = at !== undefined || snapshot !== undefined || guid !== undefined;
  const usage = (message: string, advice: string) =>
    new ZkeepError('usage', 'attributes.options', message, { advice });
  if (diff && diff.length !== 2) {
    throw usage(`--diff takes two points, not ${diff.length}`, 'name the dataset first, then --diff A B');
  }
  if ([which || all === true, diff !== undefined, history !== undefined].filter(Boolean).length > 1) {
    throw usage(
      'these options cannot be given together',
      'ask for one snapshot, for --diff or for --history',
    );
  }
  if (exitCode === true && !diff)
    throw usage('--exit-code is for --diff', 'leave it out, or give --diff A B');
}

async function tellSettings(
  view: CatalogView,
  wanted: Parameters<CatalogView['settings']>[0],
  all: boolean,
): Promise<Outcome> {
  const { backup, settings } = await view.settings(wanted);
  const kept = backup.attributes === null ? null : await view.attributes(backup.attributes);
  if (!kept?.parsed) throw new Error('settings are known of attributes that are not');
  const { attributesInWords } = await import('../output/attributes.ts');
  const { withoutDefaults } = await import('../output/history.ts');
  const shown = all ? kept.parsed : withoutDefaults(kept.parsed);
  const text = `${await pointInWords(backup)}\n\n${attributesInWords(shown, `${kept.dataset}@${backup.name}`)}`;
  return { document: { backup, settings, attributes: kept.parsed }, text };
}

async function tellDifference(
  before: SettingsPoint,
  after: SettingsPoint,
  exitCode: boolean,
): Promise<Outcome> {
  const { comparable } = await import('../view/points.ts');
  const { compareSettings } = await import('../../catalog/attributes/difference.ts');
  const { changesInWords } = await import('../output/history.ts');
  const changes = compareSettings(...comparable(before, after));
  const pointed = [before, after].map(({ backup, dataset }) =>
    backup ? pointInWords(backup) : `${dataset} as it is now`,
  );
  const [from, to] = await Promise.all(pointed);
  const told = changes.length === 0 ? 'nothing that is set differs' : changesInWords(changes);
  const ends = {
    before: { dataset: before.dataset, backup: before.backup },
    after: { dataset: after.dataset, backup: after.backup },
  };
  return {
    document: { ...ends, changes },
    text: `before: ${from}\nafter:  ${to}\n\n${told}`,
    exit: exitCode && changes.length > 0 ? 1 : 0,
  };
}

async function tellHistory(
  view: CatalogView,
  { dataset, host }: { dataset: string; host: string | undefined },
  property: string,
): Promise<Outcome> {
  const points: HistoryPoint[] = [];
  const meant = { dataset, property, ...(host === undefined ? {} : { host }) };
  for await (const point of view.history(meant)) points.push(point);
  if (points.length === 0) throw neverHeard(dataset, property);
  points.sort((one, other) => one.created - other.created || (one.backup < other.backup ? -1 : 1));
  const { historyInWords } = await import('../output/history.ts');
  return { document: { dataset, property, points }, text: historyInWords(points) };
}

async function pointInWords({ dataset, name, host, created, backup }: BackupSummary): Promise<string> {
  const { momentInWords, printable } = await import('../output/words.ts');
  return printable(`${dataset}@${name} on ${host}, ${momentInWords(created)}, backup ${backup}`);
}

function neverHeard(dataset: string, property: string): ZkeepError {
  const words = `no backup of ${dataset} tells of a property ${JSON.stringify(property.slice(0, 80))}`;
  return new ZkeepError('missing', 'attributes.no-property', words, {
    advice: `zkeep attributes ${dataset} --all --json names those that are kept; statistics have no history`,
    facts: { dataset, property: property.slice(0, 200) },
  });
}
