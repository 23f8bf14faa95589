/**
 * Backups and restores that are cut at random moments and begun again by the
 * same command, until they are done; then what is stored and what is restored
 * is held against `zfs send`.
 */
import { mkdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually, must, run } from '../parts/command.ts';
import { Chance } from './chance.ts';
import { allowedBy, applyCut, type Cut, chooseCut, type Pace } from './cuts.ts';
import { House, type Place } from './house.ts';
import { keep, kept, type Method, newRow, type Round, type State } from './journal.ts';
import { baseFile, KINDS, type Kind, kindNamed, makeKind, poolSize, sourceOf } from './kinds.ts';
import { type Ending, endingOf } from './outcome.ts';
import { backupsOf, checkRestored, checkStored, type Standing, standingAt, unfinishedIn } from './stored.ts';
import { type Looks, lives, Watch } from './watch.ts';

export interface SoakOptions {
  readonly place: Place;
  readonly pace: Pace & Looks;
  /** Most cuts of a backup or a restore. */
  readonly cuts: number;
  /** Rounds with one service folder at most: the disk holds so many. No kind comes twice in it. */
  readonly epoch: number;
  /** Which state of the clone runs. */
  readonly commit: string;
  readonly seed: string;
  /** Of each stream, about. */
  readonly mebibytes: number;
  /** Names of {@link KINDS}; empty: all. */
  readonly kinds: readonly string[];
  readonly methods: readonly [Method, ...Method[]];
  /** Restores of each backup. */
  readonly restores: number;
  readonly tell: (event: object) => void;
  /** Makes pools and sources; by default right here. */
  readonly make?: (kinds: readonly Kind[]) => Promise<void>;
}

/** What an uncut soak in a guest is told, of what differs outside. */
export function inGuest(folder: string) {
  const cutPower = () => Promise.reject(new Error('only test/lab/soak cuts the power'));
  return {
    place: { folder, pools: `${folder}/pools`, port: 18_470, cutPower },
    pace: { pauses: 1, segment: 16 * 2 ** 20, look: 50 },
    cuts: 3,
    epoch: 8,
    commit: '',
  };
}

/** Rounds one after the other that came to no end: nothing comes of more of them. */
const MOST_FAILED = 3;
/** Bytes that the bridge's sockets and pipes hold at most; pipes alone hold 64 KiB. */
const ON_ITS_WAY = 2.5 * 2 ** 20;
/** Starts of a command that is not cut any more. */
const LAST_TRIES = 6;

export class Soak {
  readonly state: State;
  readonly #options: SoakOptions;
  readonly #house: House;
  /** The round whose newest backup `sent.zfs` is the stream of. */
  #sentBy: number | undefined;
  #failed = 0;

  private constructor(options: SoakOptions, house: House, state: State) {
    this.#options = options;
    this.#house = house;
    this.state = state;
  }

  /** Makes pools and sources; or goes on where a power cut came. */
  static async open(options: SoakOptions): Promise<Soak> {
    await mkdir(options.place.folder, { recursive: true });
    const house = new House(options.place);
    const before = await kept(house.file('journal.json'));
    const chosen = (KINDS as readonly Kind[]).filter(
      ({ name }) => options.kinds.length === 0 || options.kinds.includes(name),
    );
    if (before) {
      const missing = await house.findPools();
      if (missing.length > 0) throw new Error(`there is no ${missing.join(' and ')} to go on with`);
      const soak = new Soak(options, house, before);
      await house.openService(serviceName(before), before.token);
      soak.#noteCommit();
      return soak;
    }
    options.tell({ event: 'making', kinds: chosen.map(({ name }) => name) });
    if (options.make) await options.make(chosen);
    else {
      await house.makePools(poolSize(chosen, options.mebibytes));
      for (const kind of chosen) await makeKind(kind, options.place.folder, options.mebibytes);
    }
    const state: State = {
      seed: options.seed,
      mebibytes: options.mebibytes,
      commits: [],
      sizes: {},
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
    soak.#noteCommit();
    await soak.#freshService();
    return soak;
  }

  /** Ends it so that it can be opened again. */
  async close(): Promise<void> {
    await this.#keep();
    await this.#house.close();
  }

  /** Ends it and takes everything away. */
  async destroy(): Promise<void> {
    await this.#house.destroy();
  }

  #noteCommit(): void {
    const { commits, rounds } = this.state;
    const { commit } = this.#options;
    if (commits.at(-1)?.commit !== commit) commits.push({ commit, round: rounds });
  }

  /** One backup and its restores, or the rest of them. */
  async round(): Promise<void> {
    const { state } = this;
    state.round ??= this.#begin(await unfinishedIn(this.#house.service));
    const { round } = state;
    const kind = kindNamed(round.kind);
    await this.#keep();
    try {
      if (round.phase === 'backup') await this.#backup(round, kind);
      while (round.phase === 'restore' && round.restores < this.#options.restores)
        await this.#restore(round, kind);
      this.#failed = 0;
    } catch (thrown) {
      await this.#fault(round, thrown instanceof Error ? String(thrown.stack) : String(thrown));
      if (++this.#failed >= MOST_FAILED) throw thrown;
    }
    await this.#cleanUp(kind, round);
    state.round = undefined;
    state.rounds++;
    if (state.rounds % Math.min(this.#options.epoch, state.kinds.length) === 0) await this.#freshService();
    await this.#keep();
  }

  #begin(before: readonly string[]): Round {
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
      allowed: 0,
      attempt: 0,
      moved: 0,
      fed: [],
      sent: [],
      before,
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
    this.#sentBy = round.number;
    const newest = made.at(-1);
    if (!newest) throw new Error('zkeep said that it was done, and nothing is in the bucket');
    const snapshots = await this.#house.service.snapshots(dataset);
    this.state.sizes[kind.name] = newest.bytes;
    const sent = round.moved - sumOf(made.map((one) => one.stored));
    await this.#count(round, { twice: sent, fetched: 0 });
    // What is restored is the backup and all before it.
    const bytes = sumOf(stored.map((one) => one.bytes));
    round.stored = { snapshot: String(snapshots.at(-1)), bytes, backups: stored.length };
    round.phase = 'restore';
    await this.#next(round);
  }

  /** Whatever comes next in the round begins from nothing. */
  async #next(round: Round): Promise<void> {
    Object.assign(round, { cuts: 0, allowed: 0, attempt: 0, moved: 0, fed: [], spent: 0 });
    await this.#keep();
  }

  async #restore(round: Round, kind: Kind): Promise<void> {
    const target = `fresh/${kind.name}`;
    const { snapshot = '' } = round.stored ?? {};
    await this.#untilDone(round, ['restore', sourceOf(kind), '--snapshot', snapshot, '--to', target]);
    const stored = await backupsOf(this.#house.service, sourceOf(kind));
    const made = stored.filter((one) => one.from !== null || !kind.base);
    const only = made.length === 1 && this.#sentBy === round.number ? made[0] : undefined;
    const difference = await checkRestored(this.#house, kind, target, snapshot, only);
    if (difference) await this.#house.noteStreams(`${round.number}`);
    if (difference) await this.#fault(round, difference);
    await this.#count(round, {
      // Whose steps they were nobody can tell: one that finds the target busy is begun again.
      twice: sumOf(round.fed) - sumOf(stored.map(({ bytes }) => bytes)),
      fetched: round.moved - sumOf(stored.map((one) => one.stored)),
    });
    await this.#clearTarget(kind);
    round.restores++;
    await this.#next(round);
  }

  /** Runs a command, cut some times, and then until it is done. */
  async #untilDone(round: Round, args: readonly string[]): Promise<void> {
    const planned =
      1 +
      new Chance(this.state.seed, round.number, round.phase, round.restores, 'cuts').below(
        this.#options.cuts,
      );
    for (let last = 0; last < LAST_TRIES; ) {
      const chance = new Chance(this.state.seed, round.number, round.phase, round.restores, round.attempt);
      const cut =
        round.cuts < planned && round.attempt < 3 * planned
          ? chooseCut(chance, this.#options.methods, this.#options.pace)
          : undefined;
      if (!cut) last++;
      const ending = await this.#attempt(round, args, cut, chance);
      if (ending.exit === 0) return;
      if (!cut) await sleep(2000 * this.#options.pace.pauses);
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
    const { pace } = this.#options;
    const started = Date.now();
    const isBackup = round.phase === 'backup';
    const before = isBackup ? undefined : await standingAt(`fresh/${round.kind}`);
    const begun = isBackup ? await this.#begun(round) : [];
    const agent = this.#house.start(args);
    const watch = new Watch(agent, isBackup ? 'send' : 'receive', pace);
    const row = this.#row(round);
    const first = round.attempt++ === 0;
    let isCut = false;
    if (cut) {
      const total =
        round.stored?.bytes ?? this.state.sizes[round.kind] ?? this.state.mebibytes * 1.1 * 2 ** 20;
      const at = cut.share * total;
      const since = Date.now();
      isCut = await watch.until(() =>
        cut.share < 0 ? Date.now() - since > cut.pause * 5 : watch.children.length > 0 && watch.moved >= at,
      );
      if (isCut) {
        row.cuts[cut.method] = (row.cuts[cut.method] ?? 0) + 1;
        round.cuts++;
        round.allowed += allowedBy(cut, pace);
        const { moved } = watch;
        if (cut.method === 'power') {
          round.moved += await this.#house.calm();
          await this.#keep();
        }
        await applyCut(cut, agent, watch, this.#house);
        this.#options.tell({ event: 'cut', round: round.number, ...cut, moved });
      }
    }
    await watch.until(() => false);
    const ending = endingOf(await agent.ended);
    watch.end();
    // What a target had not written yet when its power went is gone, and nothing can be done about it.
    if (isCut && cut?.method === 'power' && !isBackup) round.allowed += watch.moved;
    round.moved += await this.#house.calm();
    round.spent += Date.now() - started;
    if (!first) this.#countTry(round, watch, ending);
    await this.#judgeStart(round, watch, ending, { begun, before });
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
    if (child !== undefined && chance.onceIn(2)) await eventually('its child', async () => !lives(child));
    await this.#keep();
    return ending;
  }

  /** Interrupted backups of this round that have a first segment in the bucket. */
  async #begun({ before }: Round): Promise<string[]> {
    return (await unfinishedIn(this.#house.service)).filter((backup) => !before.includes(backup));
  }

  /** Notes what was sent, and finds fault with what began again where it could have gone on. */
  async #judgeStart(
    round: Round,
    { children }: Watch,
    { exit, ways, kept, thrownAway, printed }: Ending,
    { begun, before }: { readonly begun: readonly string[]; readonly before: Standing | undefined },
  ): Promise<void> {
    const { segment } = this.#options.pace;
    const isThere = begun.length > 0 || (before?.partial ?? 0) > 2 * segment;
    if (thrownAway !== undefined && isThere) await this.#fault(round, thrownAway);
    if (before) {
      // A receive that was killed when it had all of it may have come to its end by itself.
      const lacking = (round.stored?.backups ?? 0) - before.snapshots;
      const byItself = exit === 0 ? Math.max(0, lacking - children.length) : 0;
      round.fed.push(...children.map(({ moved }) => moved));
      // One that finds the target busy takes nothing; what was on its way to it through the bridge counts.
      if (exit === 0) round.allowed += Math.max(0, children.length - Math.max(1, lacking)) * ON_ITS_WAY;
      if (exit === 0 && isThere && kept === 0 && byItself === 0)
        await this.#fault(round, `it began again with ${before.partial} bytes received: ${printed}`);
      return;
    }
    const [first] = children;
    const snapshot = first?.words.at(-1) ?? '';
    const isAgain = first !== undefined && !first.words.includes('-t') && round.sent.includes(snapshot);
    if (isAgain && begun.length > 0 && !ways.includes('committed'))
      await this.#fault(round, `${snapshot} was sent again with ${begun.join(', ')} begun: ${printed}`);
    for (const { words } of children) if (!words.includes('-t')) round.sent.push(String(words.at(-1)));
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

  async #count(round: Round, { twice, fetched }: { twice: number; fetched: number }): Promise<void> {
    const row = this.#row(round);
    const cuts = Math.max(1, round.cuts);
    row.rounds++;
    row.twice += Math.max(0, twice);
    row.worst = Math.max(row.worst, Math.round(twice / cuts));
    row.fetched += Math.max(0, fetched);
    row.fetchedWorst = Math.max(row.fetchedWorst, Math.round(fetched / cuts));
    row.seconds += round.spent / 1000;
    // Beside the stream there is what requests say, what a pipe holds, and what ZFS takes at once (1 MiB).
    if (twice > round.allowed + 1.5 * 2 ** 20)
      await this.#fault(round, `${twice} bytes went twice in ${round.cuts} cuts (${round.fed.join(' + ')})`);
    this.#options.tell({
      event: 'done',
      round: round.number,
      kind: round.kind,
      phase: round.phase,
      cuts: round.cuts,
      twice,
      fetched,
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
    // What has no segment yet is open all the same where a round came to no end.
    const isOpen = this.#failed > 0 || (await this.#begun(round)).length > 0;
    if (isOpen) await this.#house.zkeep(['backup', '--abandon', dataset]);
    await this.#clearTarget(kind);
    const listed = await must('zfs', 'list', '-Ho', 'name', '-d', '1', '-t', 'snapshot,bookmark', dataset);
    for (const name of listed.split('\n').filter((line) => line !== '' && !/[@#]base$/.test(line))) {
      if (name.includes('@')) await run(['zfs', 'release', 'zkeep', name]);
      const { exit, stderr } = await run(['zfs', 'destroy', name]);
      if (exit !== 0) await this.#fault(round, `what was left cannot be destroyed: ${stderr}`);
    }
    await run(['zfs', 'release', 'zkeep', `${dataset}@base`]);
  }

  async #clearTarget({ name }: Kind): Promise<void> {
    const target = `fresh/${name}`;
    await eventually('the target to be gone', async () => {
      if ((await run(['zfs', 'list', target])).exit !== 0) return true;
      if ((await run(['zfs', 'destroy', '-r', target])).exit !== 0)
        await run(['zfs', 'receive', '-A', target]);
      return (await run(['zfs', 'list', target])).exit !== 0;
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
        baseFile(this.#house.folder, kind),
      );
      if (exit !== 0) throw new Error(`the base of ${kind.name} was not stored: ${stdout} ${stderr}`);
    }
    await this.#house.calm();
  }

  async #keep(): Promise<void> {
    await keep(this.#house.file('journal.json'), this.state);
  }
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, one) => sum + one, 0);
}

function serviceName({ epoch }: State): string {
  return `service-${epoch}`;
}
