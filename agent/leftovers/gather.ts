/** Asks ZFS and the service for what `decide.ts` judges: a bounded number of questions, and nothing is changed. */
import { hostname } from 'node:os';
import { ZkeepError } from '../../catalog/errors.ts';
import type { BackupSummary, OpenBackupRow } from '../../catalog/protocol/protocol.ts';
import { decodeToken } from '../../catalog/stream/resuming/token.ts';
import type { Guid } from '../../catalog/words.ts';
import { atWorkBy } from '../backup/runs/find.ts';
import { RunNotes } from '../backup/runs/notes.ts';
import { atWorkIn } from '../backup/tidy/at-work.ts';
import { isAlive } from '../backup/writer.ts';
import { drillPlacesIn, isAtDrill, isOfDrill } from '../drill/mark.ts';
import type { ServiceClient } from '../service/client.ts';
import { stateFolder } from '../settings.ts';
import { bytesIn, holdsOn, usedBy } from '../zfs/holds.ts';
import { listHost, poolGuids, type SourceFacts } from '../zfs/list.ts';
import { snapshotOf } from '../zfs/snapshot.ts';
import type { DrillHere, HereFacts, KeptFacts, PartialReceive } from './facts.ts';
import { datasetOf } from './open-backups.ts';
import { isCandidate } from './points.ts';

/** Most snapshots whose holds and sizes are asked: 500 go into one question. */
const MOST_SNAPSHOTS = 5_000;
/** Most places of drills that are told of. */
const MOST_DRILLS = 500;
/** Most snapshots that the service is asked for the backups of: a question each. */
const MOST_PARTIALS = 100;

/**
 * Asks ZFS: four questions about the whole host, and two for every 500 snapshots that
 * are zkeep's own or are held, at most 25 in all.
 *
 * @param notes of what runs are at.
 * @param onMore told how many snapshots were left out, beyond the first thousands.
 * @throws {ZkeepError} when ZFS cannot be asked.
 */
export async function askHere(
  signal: AbortSignal,
  onMore: (count: number) => void,
  notes: Pick<RunNotes, 'read'> = new RunNotes(stateFolder()),
): Promise<HereFacts> {
  const [all, pools, drills] = await Promise.all([
    listHost(signal),
    poolGuids([], signal),
    drillsHere(signal),
  ]);
  // What is in the place of a drill goes with it.
  const sources = all.filter(({ dataset }) => !isOfDrill(dataset));
  const names = sources.flatMap(({ points }) =>
    points
      .filter((point) => point.kind === 'snapshot' && isCandidate(point))
      .map(({ dataset, name }) => snapshotOf(dataset, name)),
  );
  if (names.length > MOST_SNAPSHOTS) onMore(names.length - MOST_SNAPSHOTS);
  const asked = names.slice(0, MOST_SNAPSHOTS);
  const [holds, used] = await Promise.all([holdsOn(asked, signal), usedBy(asked, signal)]);
  const partials = sources.flatMap(partialOf);
  const runs = await notes.read();
  const atWork = new Set([...atWorkIn(sources), ...atWorkBy(runs)]);
  const over = runs.filter(({ lives }) => !lives).flatMap(({ members }) => members);
  const owed = new Set(over.flatMap(({ guid }) => guid ?? []));
  return { sources, pools, holds, used, partials, drills, atWork, owed };
}

async function drillsHere(signal: AbortSignal): Promise<DrillHere[]> {
  const places = (await drillPlacesIn(undefined, signal)).slice(0, MOST_DRILLS);
  if (places.length === 0) return [];
  const used = await bytesIn(
    places.map(({ container }) => container),
    signal,
  );
  return places.map((place) => ({
    container: place.container,
    says: place.says,
    running: isAtDrill(place),
    bytes: used.get(place.container) ?? null,
  }));
}

/** What a token says is read without ZFS. */
export function partialOf({ dataset, resumeToken }: SourceFacts): PartialReceive[] {
  if (resumeToken === undefined) return [];
  try {
    const { toguid, fromguid, toname, bytes } = decodeToken(resumeToken);
    return [{ dataset, token: { to: toguid, from: fromguid, name: toname, bytes: Number(bytes) } }];
  } catch (thrown) {
    if (!(thrown instanceof ZkeepError)) throw thrown;
    return [{ dataset, token: null }];
  }
}

/**
 * Asks the service: what is open, what is known of the candidates' datasets, and
 * which backups bring what was being received.
 *
 * @param here what ZFS says; `null` where it could not be asked.
 * @throws {ZkeepError} when the service cannot be asked.
 */
export async function askService(
  client: Pick<ServiceClient, 'openBackups' | 'known' | 'backups'>,
  here: HereFacts | null,
  signal: AbortSignal,
): Promise<KeptFacts> {
  const host = hostname();
  const all = await client.openBackups({}, signal);
  const open = all.filter((row) => [row.source.host, row.writer.host].includes(host) || isHere(row, here));
  const writers = new Set(open.flatMap(({ writer }) => (writer.host === host ? [writer.process] : [])));
  return {
    open,
    known: await client.known(guidsToAsk(here), signal),
    backups: await backupsOf(client, here, signal),
    living: new Set([...writers].filter(isAlive)),
  };
}

/** Of a pool that was imported on another host when the backup began. */
function isHere(row: OpenBackupRow, here: HereFacts | null): boolean {
  return here !== null && datasetOf(row, here, hostname()) !== undefined;
}

/** All points of the datasets that have a candidate: which base comes next depends on them all. */
function guidsToAsk(here: HereFacts | null): Guid[] {
  const having = (here?.sources ?? []).filter(({ points }) => points.some(isCandidate));
  return [...new Set(having.flatMap(({ points }) => points.map(({ guid }) => guid)))];
}

async function backupsOf(
  client: Pick<ServiceClient, 'backups'>,
  here: HereFacts | null,
  signal: AbortSignal,
): Promise<Map<Guid, BackupSummary[]>> {
  const wanted = new Set((here?.partials ?? []).flatMap(({ token }) => (token ? [token.to] : [])));
  const found = new Map<Guid, BackupSummary[]>();
  for (const to of [...wanted].slice(0, MOST_PARTIALS)) {
    const backups: BackupSummary[] = [];
    for await (const backup of client.backups({ to }, signal)) backups.push(backup);
    found.set(to, backups);
  }
  return found;
}
