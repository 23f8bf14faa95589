/** Snapshots, holds and bookmarks of zkeep that nothing needs. */
import type { KnownSnapshot } from '../../catalog/protocol/protocol.ts';
import type { Guid } from '../../catalog/words.ts';
import { planBackup } from '../backup/plan.ts';
import { isOwn, isOwnBookmark, isRefresh } from '../backup/tidy/names.ts';
import { bookmarkOf, planTemporary, tidyCommandsOf } from '../backup/tidy/plan.ts';
import { isWriting } from '../backup/writer.ts';
import { isMigrated } from '../migrate/history.ts';
import type { PointFacts, SourceFacts } from '../zfs/list.ts';
import {
  destroyBookmarkCommand,
  destroyCommand,
  HOLD_TAG,
  MIGRATION_TAG,
  releaseCommand,
  snapshotOf,
} from '../zfs/snapshot.ts';
import type { HereFacts, KeptFacts, LeftoverFacts } from './facts.ts';
import type { Leftover } from './leftover.ts';
import { isHeldElsewhere, isPassedElsewhere, migratingTo } from './migrations.ts';

/** What is known of all. */
interface Known {
  readonly here: HereFacts;
  readonly guids: ReadonlySet<Guid>;
  readonly known: readonly KnownSnapshot[];
  /** Snapshots and bases of open backups: those are theirs. */
  readonly open: ReadonlySet<Guid>;
  /** Names of the snapshots that a run is at: of several datasets, the later ones wait for their turn. */
  readonly running: ReadonlySet<string>;
  readonly now: number;
}

/**
 * Whether a snapshot or bookmark may be a leftover at all, by its name and holds: of
 * all others nobody need be asked.
 */
export function isCandidate({ kind, name, references }: PointFacts): boolean {
  return kind === 'bookmark' ? isOwnBookmark(name) : isOurs(name) || references > 0;
}

/** Whether zkeep took a snapshot of this name, for whatever. */
function isOurs(name: string): boolean {
  return isOwn(name) || isRefresh(name) || isMigrated(name);
}

/**
 * What is left of snapshots, then of holds, then of bookmarks.
 *
 * @returns also the datasets, each as often as something of it could not be judged.
 */
export function leftPoints(facts: LeftoverFacts): { found: Leftover[]; unjudged: string[] } {
  const { here, kept } = facts;
  if (!here) return { found: [], unjudged: [] };
  if (!kept) return { found: [], unjudged: unjudgedOf(here) };
  const known = knownOf(here, kept, facts);
  const found = here.sources.flatMap((source) => leftAt(source, known));
  const ofKind = (wanted: Leftover['kind']) => found.filter(({ kind }) => kind === wanted);
  return { found: [...ofKind('snapshot'), ...ofKind('hold'), ...ofKind('bookmark')], unjudged: [] };
}

function unjudgedOf({ sources, holds }: HereFacts): string[] {
  return sources.flatMap(({ dataset, points }) =>
    points.flatMap((point) => {
      const own = isOurs(point.name) || point.kind === 'bookmark';
      return isCandidate(point) && (own || isHeld(point, holds)) ? [dataset] : [];
    }),
  );
}

function knownOf(here: HereFacts, { open, known, living }: KeptFacts, { host, now }: LeftoverFacts): Known {
  const names = new Map(
    here.sources.flatMap(({ points }) =>
      points.map(({ guid, name, kind }) => [`${kind} ${guid}`, name] as const),
    ),
  );
  const running = open.filter((one) => isWriting(one, { host, now, lives: (id) => living.has(id) }));
  return {
    here,
    known,
    guids: new Set(known.map(({ guid }) => guid)),
    open: new Set(open.flatMap(({ to, from }) => (from === null ? [to] : [to, from]))),
    running: new Set(running.flatMap(({ to }) => names.get(`snapshot ${to}`) ?? [])),
    now,
  };
}

function leftAt(source: SourceFacts, known: Known): Leftover[] {
  const candidates = source.points
    .filter(isCandidate)
    .filter((point) => !known.open.has(point.guid) && !isAtWork(point, known));
  if (candidates.length === 0) return [];
  const base = nextBase(source, known);
  return candidates.flatMap((point) => {
    if (point.kind === 'bookmark') return known.guids.has(point.guid) ? [] : [bookmark(point)];
    const own = isOurs(point.name);
    const passing = isHeld(point, known.here.holds, MIGRATION_TAG) ? [passingHold(point, known)] : [];
    if (isRefresh(point.name)) return [...passing, ...temporary(point, source, known)];
    if (own && !known.guids.has(point.guid)) return [...passing, ...snapshot(point, source, known)];
    // By its bookmark a base stays one, whatever becomes of its snapshot.
    const isNeeded = point.guid === base && !bookmarkOf(source.points, point.guid);
    const held = isHeld(point, known.here.holds) && !isNeeded;
    return [...passing, ...(held ? [hold(point, known)] : [])];
  });
}

/** A run took it, or is about to store it. */
function isAtWork({ kind, dataset, name }: PointFacts, { here }: Known): boolean {
  return kind === 'snapshot' && here.atWork.has(snapshotOf(dataset, name));
}

/** What the next backup of the dataset would go on from. */
function nextBase(source: SourceFacts, { known, now }: Known): Guid | undefined {
  const request = { snapshot: undefined, full: false, now };
  const { datasets } = planBackup({
    sources: [source],
    roots: [source.dataset],
    recursive: false,
    known,
    request,
  });
  return datasets[0]?.from?.guid;
}

/** One that a refresh took, which nobody is at any more: gone with the next backup, or by hand. */
function temporary(
  point: PointFacts,
  source: SourceFacts,
  { here, known, guids, running }: Known,
): Leftover[] {
  if (running.has(point.name)) return [];
  const facts = { known, open: new Set<Guid>(), holds: here.holds, atWork: here.atWork };
  const left = planTemporary(
    { ...source, points: source.points.filter((one) => one.guid === point.guid) },
    facts,
  );
  const stored = guids.has(point.guid) ? 'which is stored' : 'which is not stored';
  return [
    {
      kind: 'snapshot',
      ...factsOf(point, here),
      what: `a temporary snapshot of a refresh, ${stored}; the next zkeep backup of ${point.dataset} destroys it`,
      continues: ['zkeep', 'backup', '--refresh', point.dataset],
      clear: tidyCommandsOf(left),
    },
  ];
}

/** One that zkeep took and did not store; it may still be needed, as a step of a migration. */
function snapshot(point: PointFacts, { points }: SourceFacts, { here, running }: Known): Leftover[] {
  const { dataset, name, guid } = point;
  if (running.has(name)) return [];
  const full = snapshotOf(dataset, name);
  const tags = here.holds.get(full) ?? [];
  const held = tags.includes(HOLD_TAG);
  const newest = points.findLast(({ kind }) => kind === 'snapshot')?.guid === guid;
  if (!held && newest && (isHeldElsewhere(here, guid, dataset) || isPassedElsewhere(here, guid, dataset))) {
    return [];
  }
  // Migrating to a second target lets go of the hold that was for the first.
  const target = (held || !newest) && isMigrated(name) ? migratingTo(here, guid, dataset) : undefined;
  const others = tags.filter((tag) => tag !== HOLD_TAG);
  return [
    {
      kind: 'snapshot',
      ...factsOf(point, here),
      what: `${here.owed.has(guid) ? owedWords(point) : wordsFor(point, target)}${others.length > 0 ? `; also held by ${others.join(', ')}` : ''}`,
      continues: continuing(point, target),
      clear: [...(held ? [releaseCommand(full)] : []), destroyCommand(full)],
    },
  ];
}

function wordsFor({ name }: PointFacts, target: string | undefined): string {
  if (target !== undefined) return `a snapshot from which the migration to ${target} goes on`;
  return isMigrated(name)
    ? 'a snapshot of a migration, from which nothing on this host goes on'
    : 'a snapshot that was taken for a backup, and is not stored';
}

function owedWords({ dataset }: PointFacts): string {
  return `a snapshot that a run took which was killed; the next zkeep backup of ${dataset} stores it`;
}

function continuing({ dataset, name }: PointFacts, target: string | undefined): string[] | null {
  if (target !== undefined) return ['zkeep', 'migrate', dataset, '--to', target];
  return isMigrated(name) ? null : ['zkeep', 'backup', dataset, '--snapshot', name];
}

function hold(point: PointFacts, { here, guids }: Known): Leftover {
  const { dataset, name, guid } = point;
  const stored = guids.has(guid);
  return {
    kind: 'hold',
    ...factsOf(point, here),
    what: stored
      ? 'held by zkeep, though it is stored and the next backup does not need the hold; it lets go of it'
      : 'held by zkeep for a backup that did not come to its end',
    continues: stored ? null : ['zkeep', 'backup', dataset, '--snapshot', name],
    clear: [releaseCommand(snapshotOf(dataset, name))],
  };
}

/** Between two steps of a migration that moves the history; it may be under way. */
function passingHold(point: PointFacts, { here }: Known): Leftover {
  const { dataset, name, guid } = point;
  const target = migratingTo(here, guid, dataset);
  return {
    kind: 'hold',
    ...factsOf(point, here),
    what: 'held by a migration that is under way, or did not come to its end',
    continues: target === undefined ? null : ['zkeep', 'migrate', dataset, '--to', target, '--snapshots'],
    clear: [releaseCommand(snapshotOf(dataset, name), MIGRATION_TAG)],
  };
}

function bookmark({ dataset, name, created }: PointFacts): Leftover {
  const full = `${dataset}#${name}`;
  return {
    kind: 'bookmark',
    dataset,
    name: full,
    what: 'a bookmark of a snapshot that the repository does not know',
    bytes: null,
    since: created,
    running: false,
    continues: null,
    clear: [destroyBookmarkCommand(full)],
  };
}

function factsOf({ dataset, name, created }: PointFacts, { used }: HereFacts) {
  const full = snapshotOf(dataset, name);
  return { dataset, name: full, bytes: used.get(full) ?? null, since: created, running: false };
}

function isHeld({ dataset, name }: PointFacts, holds: HereFacts['holds'], tag: string = HOLD_TAG): boolean {
  return holds.get(snapshotOf(dataset, name))?.includes(tag) === true;
}
