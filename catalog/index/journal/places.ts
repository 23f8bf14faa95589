/** What a fact is about, as far as the index knows it now: written into its entry, so that it is found by that for ever. */
import { type Fact, MOST_IN_ENTRY, type Place } from '../../journal/entry.ts';
import type { BackupId, Guid } from '../../words.ts';
import type { IndexDatabase } from '../tables/database.ts';
import { pinnedBy } from './held.ts';

/**
 * The datasets (or hosts) that a fact is about, each once. Proofs are about none: there are many, and
 * they are asked for by themselves.
 */
export function placesOf(db: IndexDatabase, fact: Fact): Place[] {
  const places = new Map(findPlaces(db, fact).map((place) => [JSON.stringify(place), place]));
  return [...places.values()].slice(0, MOST_IN_ENTRY);
}

function findPlaces(db: IndexDatabase, fact: Fact): Place[] {
  switch (fact.kind) {
    case 'pin.set':
      return ofSnapshot(db, fact.pin.guid);
    case 'pin.removed':
      return ofSnapshot(db, pinnedBy(db, fact.pin));
    case 'backups.marked':
    case 'backups.unmarked':
      return fact.backups.flatMap(({ backup }) => ofBackup(db, backup));
    case 'damaged':
      return ofBackup(db, fact.damage.backup);
    case 'backups.removed':
      return fact.backups.map(placeOf);
    case 'drilled':
      return [...ofSnapshot(db, fact.drill.guid), placeOf(fact.drill)];
    case 'run.failed':
      if (fact.datasets.length === 0) return [{ host: fact.host, dataset: null }];
      return fact.datasets.map((dataset) => ({ host: fact.host, dataset }));
    case 'backup.abandoned':
    case 'late':
    case 'late.over':
      return [placeOf(fact)];
    case 'run.recovered':
    case 'agent.away':
    case 'agent.away.over':
    case 'enrolled':
      return [{ host: fact.host, dataset: null }];
    default:
      return [];
  }
}

function placeOf({ host, dataset }: { readonly host: string; readonly dataset: string }): Place {
  return { host, dataset };
}

function ofBackup(db: IndexDatabase, backup: BackupId): Place[] {
  return db.all<Place>(`SELECT d.host, d.dataset ${KEPT} WHERE b.backup = ?`, backup);
}

function ofSnapshot(db: IndexDatabase, guid: Guid | undefined): Place[] {
  return guid ? db.all<Place>(`SELECT d.host, d.dataset ${KEPT} WHERE b.snapshot = ?`, guid) : [];
}

const KEPT = 'FROM backup b CROSS JOIN dataset d ON d.id = b.dataset';
