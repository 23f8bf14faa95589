/** A fact in words: for people who read the audit trail, and for those who are told of it. */
import { policyInWords } from '../chain/retention/words.ts';
import type { Entry, Fact, FactKind, Place } from './entry.ts';

/** Names of so many backups or datasets are said. */
const MOST_NAMED = 3;

/** `of`: ` of tank/home on mds1`, which the entry knows where the fact has ids alone; else empty. */
type Sayers = { readonly [K in FactKind]: (fact: Extract<Fact, { kind: K }>, of: string) => string };

const SAYERS: Sayers = {
  'policy.set': ({ policy }) => `policy ${policy.name} is set: ${policyInWords(policy)}`,
  'policy.removed': ({ name }) => `policy ${name} is removed`,
  'pin.set': ({ pin }, of) =>
    `snapshot ${pin.guid}${of} is ${pin.legal ? 'held by law' : 'pinned'}${pin.until ? ` until ${pin.until}` : ''}: ${pin.reason}`,
  'pin.removed': ({ pin, reason }, of) => `pin ${pin}${of} is removed: ${reason}`,
  'backups.marked': ({ backups }, of) => `${counted(backups.length, of)} marked for removal`,
  'backups.unmarked': ({ backups }, of) => `${counted(backups.length, of)} not to be removed any more`,
  'backups.removed': ({ backups }) =>
    `${counted(backups.length)} removed: ${few(backups.map(({ dataset, name }) => `${dataset}@${name}`))}`,
  'backup.abandoned': ({ backup, dataset, host }) =>
    `the open backup ${backup} of ${dataset} on ${host} is abandoned`,
  proven: ({ proofs }) => `${counted(proofs.length)} proven whole`,
  damaged: ({ damage }, of) =>
    `backup ${damage.backup}${of} is damaged: ${damage.problems[0]?.message ?? 'it is not whole'}`,
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
  'agent.away': ({ agent, host, seen }) => `agent ${agent} on ${host} is away: last heard of ${seen}`,
  'agent.away.over': ({ agent, host }) => `agent ${agent} on ${host} is not away any more`,
  'token.added': ({ name, scope }) => `token ${name} (${scope}) is made`,
  'token.removed': ({ name }) => `token ${name} is ended`,
  enrolled: ({ name, host }) => `${host} has got its token ${name}`,
};

const ENDED = { done: 'is done', failed: 'failed', interrupted: 'was interrupted' } as const;

/**
 * What happened, as one line without a full stop.
 *
 * @param about what the entry says that it was about.
 * @example sayFact({ kind: 'policy.removed', name: 'mdt' }) // 'policy mdt is removed'
 */
export function sayFact(fact: Fact, about: readonly Place[] = []): string {
  return sayerOf(fact.kind)(fact, about.length === 0 ? '' : ` of ${few(about.map(sayPlace))}`);
}

/** The same with who did it, when. */
export function sayEntry({ at, by, fact, about }: Entry): string {
  return `${at}  ${by ?? 'the service'}  ${sayFact(fact, about)}`;
}

function sayPlace({ host, dataset }: Place): string {
  return dataset === null ? host : `${dataset} on ${host}`;
}

/** The table has for each kind the one that takes its facts, which the compiler cannot follow from kind to fact. */
function sayerOf(kind: FactKind): (fact: Fact, of: string) => string {
  return SAYERS[kind] as (fact: Fact, of: string) => string;
}

function counted(backups: number, of = ''): string {
  return backups === 1 ? `1 backup${of} is` : `${backups} backups${of} are`;
}

function few(names: readonly string[]): string {
  const more = names.length - MOST_NAMED;
  return `${names.slice(0, MOST_NAMED).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
