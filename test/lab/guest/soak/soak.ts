/**
 * Backups and restores that are cut at random moments and begun again by the
 * same command, until they are done; then what is stored and what is restored
 * is held against `zfs send`.
 */
import { mkdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually, must, run } from '../parts/command.ts';
import { Chance } from './chance.ts';
import { applyCut, type Cut, chooseCut } from './cuts.ts';
import { House } from './house.ts';
import { keep, kept, type Method, newRow, type Round, type State } from './journal.ts';
import { baseFile, KINDS, type Kind, makeKind, sourceOf } from './kinds.ts';
import { type Ending, endingOf } from './outcome.ts';
import { backupsOf, checkRestored, checkStored } from './stored.ts';
import { lives, Watch } from './watch.ts';

export interface SoakOptions {
  /** On a disk that outlives a power cut, where there are any. */
  readonly folder: string;
  readonly seed: string;
  /** Of each stream, about. */
  readonly mebibytes: number;
  /** Names of {@link KINDS}; empty: all. */
  readonly kinds: readonly string[];
  readonly methods: readonly [Method, ...Method[]];
  /** Restores of each backup. */
  readonly restores: number;
  readonly tell: (event: object) => void;
  /** Cuts the power; never comes back. Only where `methods` has it. */
  readonly powerOff: () => Promise<never>;
}

/** Rounds with one service folder at most: the guest's disk holds so many. No kind comes twice in it. */
const EPOCH = 8;
/** Starts of a command that is not cut any more. */
const LAST_TRIES = 6;

export class Soak {
  readonly state: State;
  readonly #options: SoakOptions;
  readonly #house: House;

  private constructor(options: SoakOptions, house: House, state: State) {
    this.#options = options;
    this.#house = house;
    this.state = state;
  }

  /** Makes pools and sources; or goes on where a power cut came. */
  static async open(options: SoakOptions): Promise<Soak> {
    await mkdir(options.folder, { recursive: true });
    const house = new House(options.folder);
    const before = await kept(house.file('journal.json'));
    const chosen = KINDS.filter(({ name }) => options.kinds.length === 0 || options.kinds.includes(name));
    await house.openPools(chosen.length * (options.mebibytes * 2 + 64) + 512);
    if (before) {
      const soak = new Soak(options, house, before);
      await house.openService(serviceName(before), before.token);
      return soak;
    }
    for (const kind of chosen) {
      options.tell({ event: 'making', kind: kind.name });
      await makeKind(kind, options.folder, options.mebibytes);
    }
    const state: State = {
      seed: options.seed,
      mebibytes: options.mebibytes,
      kinds: chosen.map(({ name }) => name),
      rounds: 0,
      epoch: 0,
      token: '',
      round: undefined,
      backups: Object.fromEntries(chosen.map(({ name }) => [name, newRow()])),
      restores: Object.fromEntries(chosen.map(({ name }) => [name, newRow()])),
      faults: [],
    };
    const soak = new Soak(options, house, state);
    await soak.#freshService();
    return soak;
  }

  async close(): Promise<void> {
    await this.#house.close();
  }

  /** One backup and its restores, or the rest of them. */
  async round(): Promise<void> {
    const { state } = this;
    state.round ??= this.#begin();
    const { round } = state;
    const kind = kindNamed(round.kind);
    await this.#keep();
    try {
      if (round.phase === 'backup') await this.#backup(round, kind);
      while (round.phase === 'restore' && round.restores < this.#options.restores)
        await this.#restore(round, kind);
    } catch (thrown) {
      await this.#fault(round, thrown instanceof Error ? String(thrown.stack) : String(thrown));
    }
    await this.#cleanUp(kind, round);
    state.round = undefined;
    state.rounds++;
    if (state.rounds % Math.min(EPOCH, state.kinds.length) === 0) await this.#freshService();
    await this.#keep();
  }

  #begin(): Round {
    const { seed, rounds, kinds } = this.state;
    const chance = new Chance(seed, rounds);
    return {
      number: rounds,
      kind: String(kinds[rounds % kinds.length]),
      phase: 'backup',
      own: chance.onceIn(3),
      restores: 0,
      stored: undefined,
      cuts: 0,
      attempt: 0,
      moved: 0,
      spent: 0,
    };
  }

  async #backup(round: Round, kind: Kind): Promise<void> {
    const dataset = sourceOf(kind);
    const name = `round-${round.number}`;
    if (round.attempt === 0 && !round.own) await run(['zfs', 'snapshot', `${dataset}@${name}`]);
    await this.#untilDone(round, ['backup', dataset, ...(round.own ? [] : ['--snapshot', name])]);
    const stored = await backupsOf(this.#house.service, dataset);
    const made = stored.filter((one) => one.from !== null || !kind.base);
    for (const one of made) {
      const difference = await checkStored(this.#house, kind, one);
      if (difference) await this.#fault(round, difference);
    }
    const newest = made.at(-1);
    if (!newest) throw new Error('zkeep said that it was done, and nothing is in the bucket');
    const snapshots = await this.#house.service.snapshots(dataset);
    this.#count(
      round,
      made.reduce((sum, one) => sum + one.stored, 0),
    );
    // What is restored is the backup and all before it.
    const bytes = stored.reduce((sum, one) => sum + one.bytes, 0);
    round.stored = { snapshot: String(snapshots.at(-1)), bytes };
    round.phase = 'restore';
    await this.#next(round);
  }

  /** Whatever comes next in the round begins from nothing. */
  async #next(round: Round): Promise<void> {
    Object.assign(round, { cuts: 0, attempt: 0, moved: 0, spent: 0 });
    await this.#keep();
  }

  async #restore(round: Round, kind: Kind): Promise<void> {
    const target = `fresh/${kind.name}`;
    const { snapshot = '' } = round.stored ?? {};
    await this.#untilDone(round, ['restore', sourceOf(kind), '--snapshot', snapshot, '--to', target]);
    const difference = await checkRestored(this.#house, kind, target, snapshot);
    if (difference) await this.#fault(round, difference);
    const stored = await backupsOf(this.#house.service, sourceOf(kind));
    this.#count(
      round,
      stored.reduce((sum, one) => sum + one.stored, 0),
    );
    await this.#clearTarget(kind);
    round.restores++;
    await this.#next(round);
  }

  /** Runs a command, cut some times, and then until it is done. */
  async #untilDone(round: Round, args: readonly string[]): Promise<void> {
    const planned =
      1 + new Chance(this.state.seed, round.number, round.phase, round.restores, 'cuts').below(3);
    for (let last = 0; last < LAST_TRIES; ) {
      const chance = new Chance(this.state.seed, round.number, round.phase, round.restores, round.attempt);
      const cut =
        round.cuts < planned && round.attempt < 3 * planned
          ? chooseCut(chance, this.#options.methods)
          : undefined;
      if (!cut) last++;
      const ending = await this.#attempt(round, args, cut, chance);
      if (ending.exit === 0) return;
      if (!cut) await sleep(2000);
    }
    throw new Error(`${args.join(' ')} did not end well in ${LAST_TRIES} tries without a cut`);
  }

  /** Starts the command once, and cuts it if it comes to where it is to be cut. */
  async #attempt(
    round: Round,
    args: readonly string[],
    cut: Cut | undefined,
    chance: Chance,
  ): Promise<Ending> {
    const started = Date.now();
    const verb = round.phase === 'backup' ? 'send' : 'receive';
    const agent = this.#house.start(args);
    const watch = new Watch(agent, verb);
    const row = this.#row(round);
    const first = round.attempt++ === 0;
    let isCut = false;
    if (cut) {
      const total = round.stored?.bytes ?? this.state.mebibytes * 1.1 * 2 ** 20;
      const at = cut.share * total;
      const begun = Date.now();
      isCut = await watch.until(() =>
        cut.share < 0 ? Date.now() - begun > cut.pause * 5 : watch.children.length > 0 && watch.moved >= at,
      );
      if (isCut) {
        row.cuts[cut.method] = (row.cuts[cut.method] ?? 0) + 1;
        round.cuts++;
        const moved = watch.moved;
        if (cut.method === 'power') {
          round.moved += await this.#house.calm();
          row.tries++;
          await this.#keep();
          this.#options.tell({ event: 'cut', round: round.number, ...cut, moved });
          await this.#options.powerOff();
        }
        await applyCut(cut, agent, watch, this.#house);
        this.#options.tell({ event: 'cut', round: round.number, ...cut, moved });
      }
    }
    await watch.until(() => false);
    const ending = endingOf(await agent.ended);
    round.moved += await this.#house.calm();
    round.spent += Date.now() - started;
    if (!first) this.#countTry(round, watch, ending);
    row.said += ending.sentAgain;
    for (const reason of ending.reasons) row.reasons[reason] = (row.reasons[reason] ?? 0) + 1;
    if (ending.exit !== 0 && ending.code) row.errors[ending.code] = (row.errors[ending.code] ?? 0) + 1;
    if (ending.exit !== 0 && (!isCut || ending.isFault)) {
      await this.#house.note(`${round.number}-${round.phase}-${round.attempt}`, ending.printed);
      if (ending.isFault) await this.#fault(round, ending.printed.slice(0, 500));
    }
    this.#options.tell({
      event: 'end',
      round: round.number,
      kind: round.kind,
      phase: round.phase,
      exit: ending.exit ?? ending.signal,
      code: ending.code,
      commands: watch.children.map(({ words }) => words.map((word) => word.slice(0, 12)).join(' ')),
      seconds: (Date.now() - started) / 1000,
    });
    // Half of the time the next one meets what the killed one leaves running.
    const child = watch.child();
    if (child !== undefined && chance.onceIn(2))
      await eventually('its child', async () => !(await lives(child)));
    await this.#keep();
    return ending;
  }

  #row(round: Round) {
    const rows = round.phase === 'backup' ? this.state.backups : this.state.restores;
    const row = rows[round.kind] ?? newRow();
    rows[round.kind] = row;
    return row;
  }

  /** How the first stream of a try that is not the first one was begun: of a send its words tell, of a restore its document. */
  #countTry(round: Round, watch: Watch, { exit, kept }: Ending): void {
    const row = this.#row(round);
    row.tries++;
    const [child] = watch.children;
    if (!child || (round.phase === 'restore' && exit !== 0)) return;
    const goesOn = round.phase === 'backup' ? child.words.includes('-t') : kept > 0;
    if (goesOn) row.resumed++;
    else row.again++;
  }

  #count(round: Round, whole: number): void {
    const row = this.#row(round);
    const twice = Math.max(0, round.moved - whole);
    row.rounds++;
    row.twice += twice;
    row.worst = Math.max(row.worst, Math.round(twice / Math.max(1, round.cuts)));
    row.seconds += round.spent / 1000;
    this.#options.tell({
      event: 'done',
      round: round.number,
      kind: round.kind,
      phase: round.phase,
      cuts: round.cuts,
      twice,
    });
  }

  async #fault(round: Round, what: string): Promise<void> {
    const words = `round ${round.number}, ${round.kind}, ${round.phase}: ${what}`;
    this.state.faults.push(words);
    this.#options.tell({ event: 'fault', what: words });
    await this.#house.note(`${round.number}-fault-${this.state.faults.length}`, words);
  }

  /** The source keeps its base, and the other pool nothing. */
  async #cleanUp(kind: Kind, round: Round): Promise<void> {
    const dataset = sourceOf(kind);
    await this.#house.zkeep(['backup', '--abandon', dataset]);
    await this.#clearTarget(kind);
    const listed = await must('zfs', 'list', '-Ho', 'name', '-d', '1', '-t', 'snapshot,bookmark', dataset);
    for (const name of listed.split('\n').filter((line) => line !== '' && !/[@#]base$/.test(line))) {
      if (name.includes('@')) await run(['zfs', 'release', 'zkeep', name]);
      const { exit, stderr } = await run(['zfs', 'destroy', name]);
      if (exit !== 0) await this.#fault(round, `what was left cannot be destroyed: ${stderr}`);
    }
    await run(['zfs', 'release', 'zkeep', `${dataset}@base`]);
  }

  async #clearTarget(kind: Kind): Promise<void> {
    await run(['zfs', 'receive', '-A', `fresh/${kind.name}`]);
    await eventually('the target to be gone', async () => {
      await run(['zfs', 'destroy', '-r', `fresh/${kind.name}`]);
      return (await run(['zfs', 'list', `fresh/${kind.name}`])).exit !== 0;
    });
  }

  /** A service on an empty folder, which has the bases. */
  async #freshService(): Promise<void> {
    const { state } = this;
    if (state.token !== '') await this.#house.dropService(serviceName(state));
    state.epoch++;
    await this.#house.openService(serviceName(state), '');
    state.token = this.#house.service.token;
    for (const kind of KINDS as readonly Kind[]) {
      if (!kind.base || !state.kinds.includes(kind.name)) continue;
      const { exit, stdout, stderr } = await this.#house.zkeep(
        ['import', '--dataset', sourceOf(kind)],
        baseFile(this.#options.folder, kind),
      );
      if (exit !== 0) throw new Error(`the base of ${kind.name} was not stored: ${stdout} ${stderr}`);
    }
    await this.#house.calm();
  }

  async #keep(): Promise<void> {
    await keep(this.#house.file('journal.json'), this.state);
  }
}

function serviceName({ epoch }: State): string {
  return `service-${epoch}`;
}

function kindNamed(name: string): Kind {
  const found = (KINDS as readonly Kind[]).find((kind) => kind.name === name);
  if (!found) throw new Error(`there is no kind ${name}`);
  return found;
}
