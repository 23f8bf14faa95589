/**
 * Hooks that are owed: `after` must run whenever `before` was begun, also when the agent
 * was killed in between. What is owed stands in a small file before `before` is begun.
 */
import { randomUUID } from 'node:crypto';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Static, Type } from 'typebox';
import { messageOf } from '../../../catalog/errors.ts';
import { checker } from '../../../catalog/schema.ts';
import { isAlive } from '../../backup/writer.ts';
import { writeDurably } from '../../durable.ts';
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
  /** Files of what runs of this very object owe, or what it is at. */
  readonly #ours = new Set<string>();

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
    this.#ours.add(file);
    try {
      await writeDurably(file, `${JSON.stringify(debt)}\n`);
    } catch (thrown) {
      this.#ours.delete(file);
      throw thrown;
    }
    return async (outcome) => {
      await pay(file, debt, outcome);
      this.#ours.delete(file);
    };
  }

  /**
   * Runs what dead processes owe; the one daemon of a host runs what the one before it owed. One that fails is
   * told and not run again; one whose file cannot be read at this moment is told, and stays owed.
   *
   * @param tell of each that was run, or could not be.
   */
  async settle(tell: (job: string, thrown: unknown) => void): Promise<void> {
    for (const file of await this.#files()) {
      if (this.#ours.has(file)) continue;
      let debt: Debt | undefined;
      try {
        debt = await readDebt(file);
        if (!debt || !(await this.#isDead(debt))) continue;
        this.#ours.add(file);
        await pay(file, debt, 'interrupted');
        tell(debt.facts.job, undefined);
      } catch (thrown) {
        tell(debt?.facts.job ?? '', thrown);
        // What is no debt will never be one.
        if (thrown instanceof NoDebt) await rm(file, { force: true }).catch(() => undefined);
      } finally {
        this.#ours.delete(file);
      }
    }
  }

  /** Of this process, what is not ours is of one before it that had its number. */
  async #isDead({ by, process: id, boot }: Debt): Promise<boolean> {
    if (by === 'daemon') return this.#by === 'daemon';
    return boot !== (await bootOf()) || id === process.pid || !isAlive(id);
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

/** What stands in a file makes no debt. */
class NoDebt extends Error {}

/** @returns `undefined` where it was paid meanwhile. */
async function readDebt(file: string): Promise<Debt | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') return undefined;
    throw thrown;
  }
  try {
    return parseDebt(JSON.parse(text));
  } catch (cause) {
    throw new NoDebt(`${file} is no debt: ${messageOf(cause)}`, { cause });
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
