/** A fact in words: for people who read the audit trail, and for those who are told of it. */
import type { Entry, Fact, FactKind } from './entry.ts';

/** Names of so many backups are said. */
const MOST_NAMED = 3;

type Sayers = { readonly [K in FactKind]: (fact: Extract<Fact, { kind: K }>) => string };

const SAYERS: Sayers = {
  'policy.set': ({ policy }) => `policy ${policy.name} is set`,
  'policy.removed': ({ name }) => `policy ${name} is removed`,
  'pin.set': ({ pin }) =>
    `snapshot ${pin.guid} is ${pin.legal ? 'held by law' : 'pinned'}${pin.until ? ` until ${pin.until}` : ''}: ${pin.reason}`,
  'pin.removed': ({ pin, reason }) => `pin ${pin} is removed: ${reason}`,
  'backups.marked': ({ backups }) => `${counted(backups.length)} marked for removal`,
  'backups.unmarked': ({ backups }) => `${counted(backups.length)} not to be removed any more`,
  'backups.removed': ({ backups }) =>
    `${counted(backups.length)} removed: ${few(backups.map(({ dataset, name }) => `${dataset}@${name}`))}`,
  'backup.abandoned': ({ backup, dataset, host }) =>
    `the open backup ${backup} of ${dataset} on ${host} is abandoned`,
  proven: ({ proofs }) => `${counted(proofs.length)} proven whole`,
  damaged: ({ damage }) =>
    `backup ${damage.backup} is damaged: ${damage.problems[0]?.message ?? 'it is not whole'}`,
  drilled: ({ drill }) =>
    `a drill of ${drill.dataset}@${drill.name} on ${drill.host} ${
      drill.passed
        ? `passed in ${Math.round(drill.restore_seconds)} s`
        : `did not pass: ${drill.problems[0] ?? ''}`
    }`,
  'job.ended': ({ job, outcome, words }) => `job ${job} ${ENDED[outcome]}${words === '' ? '' : `: ${words}`}`,
  'run.failed': ({ host, job, words }) => `job ${job} of ${host} fails: ${words}`,
  'run.recovered': ({ host, job }) => `job ${job} of ${host} is well again`,
  late: ({ host, dataset, newest }) =>
    `${dataset} on ${host} is late: ${newest === null ? 'nothing of it can be restored' : `its newest is of ${new Date(newest * 1000).toISOString()}`}`,
  'late.over': ({ host, dataset }) => `${dataset} on ${host} is not late any more`,
  'token.added': ({ name, scope }) => `token ${name} (${scope}) is made`,
  'token.removed': ({ name }) => `token ${name} is ended`,
  enrolled: ({ name, host }) => `${host} has got its token ${name}`,
};

const ENDED = { done: 'is done', failed: 'failed', interrupted: 'was interrupted' } as const;

/**
 * What happened, as one line without a full stop.
 *
 * @example sayFact({ kind: 'policy.removed', name: 'mdt' }) // 'policy mdt is removed'
 */
export function sayFact(fact: Fact): string {
  return sayerOf(fact.kind)(fact);
}

/** The same with who did it, when. */
export function sayEntry({ at, by, fact }: Entry): string {
  return `${at}  ${by ?? 'the service'}  ${sayFact(fact)}`;
}

/** The table has for each kind the one that takes its facts, which the compiler cannot follow from kind to fact. */
function sayerOf(kind: FactKind): (fact: Fact) => string {
  return SAYERS[kind] as (fact: Fact) => string;
}

function counted(backups: number): string {
  return backups === 1 ? '1 backup is' : `${backups} backups are`;
}

function few(names: readonly string[]): string {
  const more = names.length - MOST_NAMED;
  return `${names.slice(0, MOST_NAMED).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
