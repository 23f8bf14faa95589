/** `zkeep pin`, `zkeep unpin`, `zkeep pins`: snapshots that stay, whatever the policies say. */
import type { Command } from 'commander';
import { systemClock } from '../../catalog/clock.ts';
import { parseDuration } from '../../catalog/durations.ts';
import { ZkeepError } from '../../catalog/errors.ts';
import type { PinRow } from '../../catalog/protocol/keeping.ts';
import { type Guid, guidsMeant } from '../../catalog/words.ts';
import { parseMoment } from '../moments.ts';
import type { CommonOptions } from '../settings.ts';
import { common, type Outcome, perform, type Surroundings } from './command.ts';
import { accessOf, withView } from './connect.ts';

interface PinOptions extends CommonOptions {
  readonly reason: string;
  readonly until?: string;
  readonly for?: string;
  readonly legalHold?: boolean;
  readonly host?: string;
}
type UnpinOptions = Pick<PinOptions, 'reason' | 'legalHold' | keyof CommonOptions>;

const EXAMPLE = `zkeep pin tank/home@before-upgrade --reason 'until the upgrade has proved itself' --for 30d
zkeep pin tank/mail@2026-01 --reason 'case 4711' --legal-hold`;

export function addPin(program: Command, exit: (code: number) => void): void {
  const pin = program
    .command('pin')
    .description('keep a snapshot, whatever the policies say; needs an operator token')
    .argument('<snapshot>', 'dataset@snapshot, or a ZFS GUID in hex or decimal')
    .requiredOption('--reason <words>', 'why')
    .option('--until <time>', 'until then; without it, until it is removed')
    .option('--for <duration>', 'for so long: 30d')
    .option('--legal-hold', 'without an end, and removed only with --legal-hold')
    .option('--host <name>', 'the host that it is from, where several have a dataset of that name');
  common(pin, EXAMPLE).action(async (what: string, options: PinOptions) => {
    exit(await perform('pin', options, async (surroundings) => await set(what, surroundings)));
  });
  const unpin = program
    .command('unpin')
    .description('remove a pin; needs an operator token')
    .argument('<pin>', 'its id, as zkeep pins shows it')
    .requiredOption('--reason <words>', 'why')
    .option('--legal-hold', 'also when it is a legal hold');
  common(unpin, "zkeep unpin 0199c3a5-6f00-7000-8000-000000000000 --reason 'it has'").action(
    async (id: string, options: UnpinOptions) => {
      exit(await perform('unpin', options, async (surroundings) => await remove(id, surroundings)));
    },
  );
  common(program.command('pins').description('list the pins that hold'), 'zkeep pins').action(
    async (options: CommonOptions) => exit(await perform('pins', options, list)),
  );
}

async function set(what: string, surroundings: Surroundings<PinOptions>): Promise<Outcome> {
  const { options, signal } = surroundings;
  const until = endOf(options);
  const guid = await guidOf(what, surroundings);
  const { setPin } = await import('../service/keeping.ts');
  const body = { guid, reason: options.reason, until, legal: options.legalHold === true };
  const pin = await setPin(await accessOf(surroundings), body, signal);
  return { document: { pin }, text: await pinTable([pin]) };
}

async function remove(id: string, surroundings: Surroundings<UnpinOptions>): Promise<Outcome> {
  const { options, signal } = surroundings;
  if (!/^[0-9a-f-]{36}$/.test(id)) {
    throw new ZkeepError(
      'usage',
      'pin.malformed',
      `${JSON.stringify(id.slice(0, 80))} is not the id of a pin`,
      {
        advice: 'zkeep pins shows the ids',
      },
    );
  }
  const { removePin } = await import('../service/keeping.ts');
  const body = { reason: options.reason, legal: options.legalHold === true };
  await removePin(await accessOf(surroundings), id, body, signal);
  return { document: { removed: id }, text: `pin ${id} is removed` };
}

async function list(surroundings: Surroundings): Promise<Outcome> {
  const { askPins } = await import('../service/keeping.ts');
  const pins = await askPins(await accessOf(surroundings), surroundings.signal);
  return { document: { pins }, text: pins.length === 0 ? 'nothing is pinned' : await pinTable(pins) };
}

function endOf({ until, for: duration, legalHold }: PinOptions): string | null {
  if ([until, duration, legalHold || undefined].filter((given) => given !== undefined).length > 1) {
    throw new ZkeepError('usage', 'pin.end', 'only one of --until, --for and --legal-hold can be given', {
      advice: 'a legal hold has no end',
    });
  }
  if (until !== undefined) return new Date(parseMoment(until) * 1000).toISOString();
  if (duration === undefined) return null;
  return new Date(systemClock.now() + parseDuration(duration)).toISOString();
}

/** Of a name the GUID is looked up; a GUID is taken as it is, unless two readings of it are kept. */
async function guidOf(what: string, surroundings: Surroundings<PinOptions>): Promise<Guid> {
  const { host } = surroundings.options;
  const [dataset = '', snapshot] = what.split('@', 2);
  if (snapshot === undefined) {
    const [guid, other] = guidsMeant(what);
    if (guid && !other) return guid;
    throw new ZkeepError('usage', 'pin.ambiguous', `${what} may be hex or decimal`, {
      advice: 'write it as 0x and hex digits, or name dataset@snapshot',
    });
  }
  return await withView(surroundings, async (view) => {
    const { findWanted, wantedBy } = await import('../view/wanted.ts');
    const wanted = wantedBy(dataset, { snapshot, ...(host === undefined ? {} : { host }) });
    return (await findWanted(view, wanted)).guid;
  });
}

async function pinTable(pins: readonly PinRow[]): Promise<string> {
  const { table } = await import('../output/table.ts');
  const { momentInWords } = await import('../output/words.ts');
  const titles = ['snapshot', 'host', 'until', 'reason', 'set', 'by', 'pin'];
  return table(
    titles.map((title) => ({ title })),
    pins.map(({ pin, guid, dataset, name, host, until, legal, reason, at, by }) => [
      dataset === null ? guid : `${dataset}@${name}`,
      host ?? '-',
      legal ? 'legal hold' : until === null ? 'removed' : momentInWords(Date.parse(until) / 1000),
      reason,
      momentInWords(Date.parse(at) / 1000),
      by ?? '-',
      pin,
    ]),
  );
}
