/** Two points between which settings are compared: snapshots that are kept, moments, or the live dataset. */
import { type Setting, settingsOf } from '../../catalog/attributes/difference.ts';
import { ZkeepError } from '../../catalog/errors.ts';
import type { BackupSummary, Wanted } from '../../catalog/protocol/protocol.ts';
import { guidsMeant } from '../../catalog/words.ts';
import { parseMoment } from '../moments.ts';
import { parseDataset, parseSnapshotName } from '../zfs/names.ts';
import type { CatalogView } from './view.ts';

/** A point, and what was set there. */
export interface SettingsPoint {
  /** The backup that tells it; `null`: the live dataset. */
  readonly backup: BackupSummary | null;
  /** As it was or is called. */
  readonly dataset: string;
  readonly settings: readonly Setting[];
}

/** What a word may mean: a part of {@link Wanted} each, the likeliest first. */
export type Reading = Pick<Wanted, 'name' | 'at' | 'guids'>;

/** Whose points are meant. */
export interface PointsOf {
  readonly dataset: string;
  readonly host: string | undefined;
}

/**
 * What was set at the point that a word names: a snapshot's name (`@name` is nothing
 * else), a time, a GUID; or `live`, `live:pool/dataset` for another one than the one that is kept.
 *
 * @throws {ZkeepError} `missing` (`attributes.no-point`) when nothing kept is called so.
 */
export async function settingsPoint(
  view: CatalogView,
  text: string,
  { dataset, host }: PointsOf,
  signal: AbortSignal,
): Promise<SettingsPoint> {
  const live = liveMeant(text, dataset);
  if (live !== undefined) return await livePoint(live, signal);
  const readings = readingsOf(text);
  for (const [index, reading] of readings.entries()) {
    const wanted = { dataset, ...(host === undefined ? {} : { host }), ...reading };
    try {
      const { backup, settings } = await view.settings(wanted);
      return { backup, dataset: backup.dataset, settings };
    } catch (thrown) {
      if (!isNoSuch(thrown)) throw thrown;
      if (index === readings.length - 1) throw noPoint(text, dataset, thrown);
    }
  }
  throw noPoint(text, dataset);
}

/** The dataset that `live` or `live:pool/dataset` names, `undefined` for other words. */
export function liveMeant(text: string, dataset: string): string | undefined {
  if (text === 'live') return dataset;
  return text.startsWith('live:') ? parseDataset(text.slice('live:'.length)) : undefined;
}

/**
 * What a word may mean, the likeliest first.
 *
 * @example readingsOf('0x2a') // [{ name: '0x2a' }, { guids: ['000000000000002a'] }]
 */
export function readingsOf(text: string): Reading[] {
  const name = attempt(() => ({ name: parseSnapshotName(text) }));
  if (text.startsWith('@')) return name;
  const at = attempt(() => ({ at: parseMoment(text) }));
  const guids = attempt(() => ({ guids: guidsMeant(text) }));
  return [...name, ...at, ...guids];
}

/**
 * What of two points can be compared: a snapshot's own settings only when both are
 * snapshots.
 */
export function comparable(
  one: SettingsPoint,
  other: SettingsPoint,
): [before: readonly Setting[], after: readonly Setting[]] {
  if (one.backup && other.backup) return [one.settings, other.settings];
  const ofNow = ({ settings }: SettingsPoint) => settings.filter(({ scope }) => scope !== 'snapshot');
  return [ofNow(one), ofNow(other)];
}

async function livePoint(dataset: string, signal: AbortSignal): Promise<SettingsPoint> {
  const { captureAttributes } = await import('../capture/capture.ts');
  const { parsed } = await captureAttributes(dataset, undefined, signal);
  if (parsed) return { backup: null, dataset, settings: settingsOf(parsed, dataset) };
  throw new ZkeepError('failed', 'attributes.unparsed', `what zfs says of ${dataset} cannot be understood`, {
    advice: 'zkeep knows OpenZFS 2.0 to 2.4; please report the version',
    facts: { dataset },
  });
}

function attempt(read: () => Reading): Reading[] {
  try {
    return [read()];
  } catch (thrown) {
    if (thrown instanceof ZkeepError && thrown.kind === 'usage') return [];
    throw thrown;
  }
}

function isNoSuch(thrown: unknown): boolean {
  return thrown instanceof ZkeepError && thrown.code === 'chain.no-such-snapshot';
}

function noPoint(text: string, dataset: string, cause?: unknown): ZkeepError {
  const shown = JSON.stringify(text.slice(0, 80));
  return new ZkeepError(
    'missing',
    'attributes.no-point',
    `${shown} is no snapshot, time or GUID of what is kept of ${dataset}`,
    {
      advice: `zkeep list ${dataset} shows what is; the dataset as it is now is called live`,
      facts: { dataset, point: text.slice(0, 200) },
      cause,
    },
  );
}
