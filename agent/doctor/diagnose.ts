/** What is not well on this host: decided here, purely. */
import { CLOCK_TOLERANCE } from '../../catalog/protocol/agents.ts';
import { decideLeftovers } from '../leftovers/decide.ts';
import { snapshotOf } from '../zfs/snapshot.ts';
import type { DoctorFacts } from './facts.ts';
import type { Finding } from './finding.ts';
import { isMeant, ofLeftover } from './left.ts';

/** No host that runs this was set up before, milliseconds since 1970. */
const EARLIEST = Date.UTC(2026, 0);
/** Names in one sentence. */
const SHOWN = 10;

/**
 * All findings: first what keeps anything from working, then what is left or left out.
 *
 * @example diagnose(facts).filter(({ safe }) => safe)
 */
export function diagnose(facts: DoctorFacts): Finding[] {
  return [
    ...unasked(facts),
    ...clocks(facts),
    ...version(facts),
    ...place(facts),
    ...rights(facts),
    ...coverage(facts),
    ...decideLeftovers(facts).leftovers.flatMap(ofLeftover),
  ];
}

function finding(one: Pick<Finding, 'code' | 'what' | 'why'> & Partial<Finding>): Finding {
  return { dataset: null, mend: [], advice: null, safe: false, ...one };
}

function unasked({ zfs, service }: DoctorFacts): Finding[] {
  return [
    ...(zfs
      ? [
          finding({
            code: 'zfs-unasked',
            what: `ZFS cannot be asked: ${zfs.message}`,
            why: 'nothing of this host can be backed up, and what is left on it cannot be judged',
            advice: zfs.advice ?? null,
          }),
        ]
      : []),
    ...(service
      ? [
          finding({
            code: 'service-unreachable',
            what: `the service cannot be asked: ${service.message}`,
            why: 'no backup can be stored; snapshots, holds and bookmarks cannot be judged without it',
            advice: service.advice ?? null,
          }),
        ]
      : []),
  ];
}

function clocks({ now, ahead, here, scope }: DoctorFacts): Finding[] {
  const found: Finding[] = [];
  const mend = [['timedatectl', 'set-ntp', 'true']];
  if (now < EARLIEST) {
    const what = `the clock of this host says ${momentOf(now)}`;
    found.push(finding({ code: 'clock-wrong', what, why: WHY_CLOCK, mend }));
  } else if (ahead !== null && Math.abs(ahead) > CLOCK_TOLERANCE) {
    const seconds = Math.round(Math.abs(ahead) / 1000);
    const what = `the clock of this host is ${seconds} s ${ahead > 0 ? 'behind' : 'ahead of'} the service's`;
    const advice = 'one of the two is wrong: see both';
    found.push(finding({ code: 'clock-wrong', what, why: WHY_CLOCK, mend, advice }));
  }
  for (const { dataset, points } of here?.sources ?? []) {
    const newest = points.findLast(({ kind }) => kind === 'snapshot');
    if (!newest || !isMeant(dataset, scope) || newest.created * 1000 <= now + CLOCK_TOLERANCE) continue;
    found.push(
      finding({
        code: 'snapshot-from-future',
        dataset,
        what: `${snapshotOf(dataset, newest.name)} is of ${momentOf(newest.created * 1000)}, which is still to come`,
        why: 'the clock was ahead then, or is behind now: by time, the wrong snapshot is restored or kept',
        mend,
      }),
    );
  }
  return found;
}

const WHY_CLOCK =
  'snapshots are named, chosen and kept by their time, and a store refuses requests whose time is wrong';

function momentOf(milliseconds: number): string {
  const date = new Date(milliseconds);
  return Number.isNaN(date.getTime()) ? String(milliseconds) : date.toISOString();
}

function version({ versions: { here, service } }: DoctorFacts): Finding[] {
  if (service === null || !isOlder(here, service)) return [];
  return [
    finding({
      code: 'version-old',
      what: `zkeep is ${here} here, the service is ${service}`,
      why: 'an older zkeep does not know all that a newer service asks of it',
      advice: 'install the version of the service on this host',
    }),
  ];
}

/** By the numbers, from left to right; what is no number counts as 0. */
function isOlder(one: string, other: string): boolean {
  const parts = (text: string) => text.split(/[.+-]/, 3).map((part) => Number.parseInt(part, 10) || 0);
  const [mine, theirs] = [parts(one), parts(other)];
  for (let at = 0; at < 3; at++) {
    const difference = (mine[at] ?? 0) - (theirs[at] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}

function place({ state, openToken }: DoctorFacts): Finding[] {
  return [
    ...(state.problem === null
      ? []
      : [
          finding({
            code: 'state-unwritable',
            what: `${state.folder} cannot be written: ${state.problem}`,
            why: 'a restore that is interrupted would have to begin again, and the agent would forget its runs',
            advice: 'see that this user may write there, or name another folder by ZKEEP_STATE',
          }),
        ]),
    ...(openToken === null
      ? []
      : [
          finding({
            code: 'token-readable',
            what: `others than its owner may read ${openToken}`,
            why: 'whoever has the token can store and read backups as this host',
            mend: [['chmod', '600', openToken]],
          }),
        ]),
  ];
}

function rights({ rights: all, user }: DoctorFacts): Finding[] {
  return all.map(({ dataset, lacking }) =>
    finding({
      code: 'rights-missing',
      dataset,
      what: `${user} may not ${lacking.join(', ')} there`,
      why: 'a backup ends at the first of these, perhaps after hours of sending',
      mend: [['zfs', 'allow', '-u', user, lacking.join(','), dataset]],
    }),
  );
}

function coverage({ coverage: all, scope }: DoctorFacts): Finding[] {
  if (all === null) return [];
  if ('message' in all) {
    return [
      finding({
        code: 'configuration-wrong',
        what: all.message,
        why: 'the agent does not start with it, or goes on with the one of before',
        mend: [['zkeep', 'agent', 'check']],
        advice: all.advice ?? null,
      }),
    ];
  }
  const without = all.meant.filter((dataset) => !all.covered.has(dataset) && isMeant(dataset, scope));
  if (without.length === 0) return [];
  const more = without.length > SHOWN ? `, and ${without.length - SHOWN} more` : '';
  return [
    finding({
      code: 'not-covered',
      what: `no job covers ${without.slice(0, SHOWN).join(', ')}${more}`,
      why: 'nobody backs them up',
      advice: `name them in a job of ${all.file}, or with ! before the name, so that they are left out on purpose`,
    }),
  ];
}
