/** Brings to the service what a verification on this machine finds: `zkeep verify --report`. */
import type { Clock } from '../../catalog/clock.ts';
import { ZkeepError } from '../../catalog/errors.ts';
import type { Proof } from '../../catalog/journal/entry.ts';
import type { ProofsQuery } from '../../catalog/protocol/events.ts';
import { manifestKey } from '../../catalog/repository/names.ts';
import type { ManifestName } from '../../catalog/repository/repository.ts';
import type { Examined } from '../../catalog/repository/verify.ts';
import type { BackupId } from '../../catalog/words.ts';
import type { Proving } from '../service/proving.ts';
import type { CatalogView } from '../view/view.ts';

/** Proofs are brought when there are so many, or when so much time is over, milliseconds. */
const MANY = 100;
const LATEST = 30_000;
/** Backups that are asked for at once. */
const BATCH = 1000;

/** What was brought. */
export interface Reported {
  readonly proofs: number;
  readonly damage: number;
}

/** Collects proofs, and brings damage at once. */
export class Reporter {
  readonly #proving: Pick<Proving, 'report'>;
  readonly #clock: Clock;
  #proofs: Proof[] = [];
  #since: number;
  #reported: Reported = { proofs: 0, damage: 0 };

  constructor(proving: Pick<Proving, 'report'>, clock: Clock) {
    this.#proving = proving;
    this.#clock = clock;
    this.#since = clock.now();
  }

  get reported(): Reported {
    return this.#reported;
  }

  /** @throws {ZkeepError} what the service answered. */
  async take({ proof, damage }: Examined, signal?: AbortSignal): Promise<void> {
    if (proof) this.#proofs.push(proof);
    const late = this.#clock.now() - this.#since >= LATEST;
    if (damage) await this.#bring([{ ...damage, problems: [...damage.problems] }], signal);
    else if (late || this.#proofs.length >= MANY) await this.flush(signal);
  }

  /** Brings what is left. */
  async flush(signal?: AbortSignal): Promise<void> {
    if (this.#proofs.length > 0) await this.#bring([], signal);
  }

  async #bring(damage: Parameters<Proving['report']>[0]['damage'], signal?: AbortSignal): Promise<void> {
    const proofs = this.#proofs.splice(0);
    this.#since = this.#clock.now();
    try {
      const taken = await this.#proving.report({ proofs, damage }, signal);
      this.#reported = {
        proofs: this.#reported.proofs + taken.proofs,
        damage: this.#reported.damage + taken.damage,
      };
    } catch (thrown) {
      // Interrupted: they are brought with what is left.
      this.#proofs.unshift(...proofs);
      throw thrown;
    }
  }
}

/**
 * The backups whose last proof is older than it may be, the oldest first, those without any before
 * them: in the order in which the service's own job would take them.
 */
export async function* dueNames(
  {
    proving,
    view,
  }: { readonly proving: Pick<Proving, 'proofs'>; readonly view: Pick<CatalogView, 'backup'> },
  due: Pick<ProofsQuery, 'depth' | 'before' | 'dataset'>,
  signal?: AbortSignal,
): AsyncGenerator<ManifestName> {
  const seen = new Set<BackupId>();
  for (;;) {
    const rows = await proving.proofs({ ...due, limit: BATCH }, signal);
    const next = rows.filter(({ backup }) => !seen.has(backup));
    if (next.length === 0) return;
    for (const { backup } of next) {
      seen.add(backup);
      const name = await nameOf(view, backup);
      if (name) yield name;
    }
  }
}

/** `undefined`: it was removed meanwhile. */
async function nameOf(
  view: Pick<CatalogView, 'backup'>,
  backup: BackupId,
): Promise<ManifestName | undefined> {
  try {
    const { to } = await view.backup(backup);
    return { key: manifestKey(to, backup), to, backup };
  } catch (thrown) {
    if (thrown instanceof ZkeepError && thrown.code === 'backup.missing') return undefined;
    throw thrown;
  }
}
