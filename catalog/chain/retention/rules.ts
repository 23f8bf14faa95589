/** Which snapshots of a dataset a policy's rules keep. */
import { durationMeant } from '../../durations.ts';
import type { LineageId } from '../../words.ts';
import { PERIODS, type Period, Periods } from './periods.ts';
import type { Keep, Policy } from './policy.ts';

/** A snapshot that counts. */
export interface Counted {
  /** Its number. */
  readonly snapshot: number;
  readonly lineage: LineageId;
  /** Milliseconds since 1970. */
  readonly moment: number;
  /** A whole chain leads to it. */
  readonly restorable: boolean;
}

export type Rule = 'last' | 'within' | Period;
const RULES: readonly Rule[] = ['last', 'within', ...PERIODS];

/** Why a snapshot is kept. */
export interface Because {
  readonly reason: Rule | 'newest' | 'no-policy' | 'unrestorable' | 'pinned' | 'legal';
  readonly policy: string | null;
}

/** A policy with its durations read and its zone looked up, for many datasets. */
export class ReadyPolicy {
  readonly policy: Policy;
  readonly #rules: readonly Rule[];
  readonly #within: number;
  readonly #periods: Periods;
  readonly #because = new Map<Because['reason'], Because>();

  /** @param zones zones that were met before. */
  constructor(policy: Policy, zones: Map<string, Periods>) {
    this.policy = policy;
    this.#rules = RULES.filter((rule) => policy.keep[rule] !== undefined);
    // What nobody understands lets nothing go.
    this.#within = durationMeant(policy.keep.within ?? '0') ?? Number.POSITIVE_INFINITY;
    this.#periods = zones.get(policy.zone) ?? new Periods(policy.zone);
    zones.set(policy.zone, this.#periods);
  }

  /** The reason in the name of this policy, one object for all snapshots. */
  because(reason: Because['reason']): Because {
    const known = this.#because.get(reason);
    if (known) return known;
    const made = { reason, policy: this.policy.name };
    this.#because.set(reason, made);
    return made;
  }

  /**
   * Asks all rules.
   *
   * @param snapshots the newest first.
   * @param keep told of each that is kept, once for each rule that keeps it.
   */
  keep(snapshots: readonly Counted[], now: number, keep: (snapshot: Counted, why: Because) => void): void {
    if (this.#rules.length === 0) {
      for (const snapshot of snapshots) keep(snapshot, this.because('no-policy'));
      return;
    }
    for (const rule of this.#rules) this.#keepBy(rule, snapshots, now, keep);
  }

  /**
   * Only what can be restored counts. What cannot is kept as long as the rule would not let it go if it
   * could: it stands for no period, but is no older than what the rule keeps.
   */
  #keepBy(
    rule: Rule,
    snapshots: readonly Counted[],
    now: number,
    keep: (snapshot: Counted, why: Because) => void,
  ): void {
    const why = this.because(rule);
    const doubt = this.because('unrestorable');
    if (rule === 'within') {
      for (const snapshot of snapshots) {
        if (now - snapshot.moment > this.#within) continue;
        keep(snapshot, snapshot.restorable ? why : doubt);
      }
      return;
    }
    const most = mostOf(this.policy.keep, rule);
    const seen = new Set<number>();
    let count = 0;
    for (const snapshot of snapshots) {
      const number = rule === 'last' ? Number.NaN : this.#periods.numberOf(rule, snapshot.moment);
      if (!snapshot.restorable) {
        if (count < most || seen.has(number)) keep(snapshot, doubt);
      } else if (count < most && !seen.has(number)) {
        count += 1;
        if (rule !== 'last') seen.add(number);
        keep(snapshot, why);
      }
    }
  }
}

function mostOf(keep: Keep, rule: Exclude<Rule, 'within'>): number {
  return keep[rule] ?? 0;
}
