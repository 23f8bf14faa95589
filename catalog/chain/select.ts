/** Which snapshot is meant: by time, name, GUID, or the newest, and of which dataset when several hosts have it. */
import { ZkeepError } from '../errors.ts';
import type { BackupId, Guid, LineageId } from '../words.ts';
import type { SnapshotNode } from './graph.ts';
import { compareText } from './order.ts';

/** What is wanted (the shape of `Wanted` in the protocol). Without `at`, `name` and `guids`: the newest. */
export interface Selection {
  readonly dataset?: string;
  readonly host?: string;
  /** The newest created at or before this moment, seconds since 1970. */
  readonly at?: number;
  /** The part after `@`. */
  readonly name?: string;
  /** Any of these. */
  readonly guids?: readonly Guid[];
}

/** A snapshot to choose from. */
export interface Candidate extends SnapshotNode {
  /** The first backup to it: of snapshots taken within one second, the one kept later is the newer. */
  readonly kept?: BackupId;
}

/** Where a dataset's snapshots are from. */
export interface Place {
  readonly host: string;
  readonly lineage: LineageId;
}

/**
 * Selects one snapshot.
 *
 * @throws {ZkeepError} `usage` when more than one dataset or snapshot may be meant, or none is named;
 *   `missing` when there is none.
 * @example selectSnapshot(candidates, { dataset: 'tank/fs', at: 1_700_000_000 })
 */
export function selectSnapshot<Node extends Candidate>(candidates: readonly Node[], wanted: Selection): Node {
  const { dataset, host } = wanted;
  const here = candidates.filter(
    (node) =>
      (dataset === undefined || node.dataset === dataset) && (host === undefined || node.host === host),
  );
  checkOneDataset(here, wanted);
  return pickSnapshot(here, wanted);
}

/**
 * Refuses to guess between datasets: snapshots of one lineage are one dataset's,
 * whatever the host, and so are those of one host; several lineages on several
 * hosts are not. A GUID needs no dataset.
 *
 * @throws {ZkeepError} `usage` (`chain.no-dataset`, `chain.ambiguous-host`).
 */
export function checkOneDataset(places: Iterable<Place>, { dataset, guids }: Selection): void {
  if (guids) return;
  if (dataset === undefined) {
    throw new ZkeepError('usage', 'chain.no-dataset', 'neither a dataset nor a GUID is named', {
      advice: 'name the dataset; zkeep list shows those that are kept',
    });
  }
  const hosts = new Set<string>();
  const lineages = new Set<LineageId>();
  for (const { host, lineage } of places) {
    hosts.add(host);
    lineages.add(lineage);
  }
  if (hosts.size < 2 || lineages.size < 2) return;
  const named = [...hosts].sort(compareText);
  throw new ZkeepError('usage', 'chain.ambiguous-host', `${dataset} is kept from ${few(named)}`, {
    advice: 'name one of them with --host',
    facts: { dataset, hosts: named.slice(0, MOST_NAMED), count: named.length },
  });
}

/**
 * Selects one of the snapshots of one dataset. Of a name or GUID there must be
 * only one (at the moment asked for, if one is).
 *
 * @throws {ZkeepError} `usage` (`chain.ambiguous-snapshot`) or `missing` (`chain.nothing-kept`,
 *   `chain.no-such-snapshot`, `chain.too-early`).
 */
export function pickSnapshot<Node extends Candidate>(nodes: readonly Node[], wanted: Selection): Node {
  const { at, name, guids } = wanted;
  const called = nodes
    .filter((node) => (name === undefined || node.name === name) && (!guids || guids.includes(node.guid)))
    .sort(newestFirst);
  const found = called.find(({ created }) => at === undefined || created <= at);
  if (!found) throw called.length > 0 ? tooEarly(called, wanted) : noSuch(nodes, wanted);
  const meant = new Set(called.map(({ guid }) => guid));
  const isOne = meant.size === 1 || at !== undefined || (name === undefined && !guids);
  if (!isOne) throw ambiguous(called, wanted);
  return found;
}

/** Most identities that one message names. */
const MOST_NAMED = 10;

function newestFirst(a: Candidate, b: Candidate): number {
  return (
    b.created - a.created ||
    compareText(b.kept ?? '', a.kept ?? '') ||
    compareText(a.guid, b.guid) ||
    compareText(a.host, b.host) ||
    compareText(a.dataset, b.dataset)
  );
}

function few(names: readonly string[]): string {
  const more = names.length - MOST_NAMED;
  return names.slice(0, MOST_NAMED).join(', ') + (more > 0 ? ` and ${more} more` : '');
}

function sayTime(seconds: number): string {
  const milliseconds = seconds * 1000;
  return Math.abs(milliseconds) <= 8.64e15 ? new Date(milliseconds).toISOString() : `second ${seconds}`;
}

function sayPlace({ dataset, host }: Selection): string {
  const where = host === undefined ? '' : ` of host ${host}`;
  return `${dataset ?? 'any dataset'}${where}`;
}

function factsOf({ dataset, host, at, name, guids }: Selection) {
  return {
    dataset: dataset ?? null,
    host: host ?? null,
    at: at ?? null,
    name: name ?? null,
    guids: guids ?? null,
  };
}

function noSuch(nodes: readonly Candidate[], wanted: Selection): ZkeepError {
  const { name, guids } = wanted;
  const advice = 'zkeep list shows what is kept';
  const facts = factsOf(wanted);
  if (nodes.length === 0 && !guids) {
    return new ZkeepError('missing', 'chain.nothing-kept', `nothing is kept of ${sayPlace(wanted)}`, {
      advice,
      facts,
    });
  }
  const called = guids ? guids.join(' or ') : `@${name}`;
  const words = `no snapshot ${called} of ${sayPlace(wanted)} is kept`;
  return new ZkeepError('missing', 'chain.no-such-snapshot', words, { advice, facts });
}

function tooEarly(called: readonly Candidate[], wanted: Selection): ZkeepError {
  const oldest = called[called.length - 1];
  const when = sayTime(wanted.at ?? 0);
  const since = oldest ? `; the oldest is @${oldest.name} of ${sayTime(oldest.created)}` : '';
  const words = `no snapshot of ${sayPlace(wanted)} from ${when} or before is kept${since}`;
  return new ZkeepError('missing', 'chain.too-early', words, {
    advice: 'ask for a later moment',
    facts: { ...factsOf(wanted), oldest: oldest?.created ?? null },
  });
}

function ambiguous(called: readonly Candidate[], wanted: Selection): ZkeepError {
  const each = new Map(called.map(({ guid, created }) => [guid, `${guid} of ${sayTime(created)}`]));
  const what = wanted.name === undefined ? 'these GUIDs' : `the name @${wanted.name}`;
  const words = `several snapshots of ${sayPlace(wanted)} bear ${what}: ${few([...each.values()])}`;
  return new ZkeepError('usage', 'chain.ambiguous-snapshot', words, {
    advice: 'name the one meant with --guid',
    facts: { ...factsOf(wanted), candidates: [...each.keys()].slice(0, MOST_NAMED) },
  });
}
