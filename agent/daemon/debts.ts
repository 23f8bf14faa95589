/**
 * Hooks that are owed: `after` must run whenever `before` was begun, also when the agent
 * was killed in between. What is owed stands in a small file before `before` is begun.
 */
import { randomUUID } from 'node:crypto';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Static, Type } from 'typebox';
import { checker } from '../../catalog/schema.ts';
import { isAlive } from '../backup/writer.ts';
import { writeDurably } from './durable.ts';
import { type HookCall, runHook } from './hooks.ts';

const DebtSchema = Type.Object({
  debt: Type.Literal(1),
  /** Who owes it: the daemon of this host, of which there is one, or a run that somebody started by hand. */
  by: Type.Union([Type.Literal('daemon'), Type.Literal('hand')]),
  process: Type.Integer({ minimum: 1 }),
  /** Another one: the host was started anew, and its processes are others. */
  boot: Type.String(),
  command: Type.Array(Type.String(), { minItems: 1 }),
  timeout: Type.Integer({ minimum: 0 }),
  facts: Type.Object({
    job: Type.String(),
    datasets: Type.Array(Type.String()),
    snapshot: Type.String(),
  }),
});
type Debt = Static<typeof DebtSchema>;
const parseDebt = checker(DebtSchema, 'what is owed');

/** Who runs jobs in this process. */
export type RunBy = Debt['by'];

/** The files of one host. */
export class Debts {
  readonly #folder: string;
  readonly #by: RunBy;

  /** @param folder of the daemon. */
  constructor(folder: string, by: RunBy) {
    this.#folder = join(folder, 'owed');
    this.#by = by;
  }

  /**
   * Notes that a hook is owed; gives what pays it. It is paid once it was run, well or not.
   *
   * @throws {Error} when it cannot be written down: then nothing may be begun that it would have to end.
   */
  async owe(
    hook: Pick<HookCall, 'command' | 'timeout' | 'facts'>,
  ): Promise<(outcome: string) => Promise<void>> {
    const { command, timeout, facts } = hook;
    const file = join(this.#folder, `${randomUUID()}.json`);
    const debt: Debt = {
      debt: 1,
      by: this.#by,
      process: process.pid,
      boot: await bootOf(),
      command: [...command],
      timeout,
      facts: { job: facts.job, datasets: [...facts.datasets], snapshot: facts.snapshot },
    };
    await writeDurably(file, `${JSON.stringify(debt)}\n`);
    return async (outcome) => await pay(file, debt, outcome);
  }

  /**
   * Runs what dead processes owe; the one daemon of a host runs what the one before it owed. One that fails is
   * told and not run again.
   *
   * @param tell of each that was run, or could not be.
   *
   */
  async settle(tell: (job: string, thrown: unknown) => void): Promise<void> {
    for (const file of await this.#files()) {
      let job = '';
      try {
        const debt = parseDebt(JSON.parse(await readFile(file, 'utf8')));
        job = debt.facts.job;
        if (await this.#isDead(debt)) {
          await pay(file, debt, 'interrupted');
          tell(job, undefined);
        }
      } catch (thrown) {
        tell(job, thrown);
        // What cannot be read now will not be read later.
        await rm(file, { force: true }).catch(() => undefined);
      }
    }
  }

  async #isDead({ by, process: id, boot }: Debt): Promise<boolean> {
    if (by === 'daemon') return this.#by === 'daemon';
    return boot !== (await bootOf()) || !isAlive(id);
  }

  async #files(): Promise<string[]> {
    try {
      const names = await readdir(this.#folder);
      return names.filter((name) => name.endsWith('.json')).map((name) => join(this.#folder, name));
    } catch {
      return [];
    }
  }
}

async function pay(file: string, { command, timeout, facts }: Debt, outcome: string): Promise<void> {
  try {
    await runHook({ name: 'after', command, timeout, facts: { ...facts, outcome } });
  } finally {
    await rm(file, { force: true });
  }
}

async function bootOf(): Promise<string> {
  try {
    return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  } catch {
    return '';
  }
}
