/** The acts on sets of several hosts, one transaction each, kept in `service.db`. */
import type { Clock } from '../../catalog/clock.ts';
import { ZkeepError } from '../../catalog/errors.ts';
import type { OpenSetRequest, SetEvent, SnapshotSet } from '../../catalog/protocol/sets.ts';
import { checker } from '../../catalog/schema.ts';
import { newUuid7, type SetId } from '../../catalog/words.ts';
import type { State } from '../state/state.ts';
import {
  afterEvent,
  asOf,
  failedSet,
  isActive,
  openedSet,
  type SetState,
  SetStateSchema,
  setAnswer,
} from './set-state.ts';

/** What is over stays for so long, milliseconds: whoever took part can still ask how it ended. */
const KEPT = 24 * 3600_000;
/** Most sets that are under way at once. */
const MAX_ACTIVE = 100;

const parseState = checker(SetStateSchema, 'a set in service.db');

export class Sets {
  readonly #state: State;
  readonly #clock: Clock;

  constructor(state: State, clock: Clock) {
    this.#state = state;
    this.#clock = clock;
  }

  /** Ends what a former run left: its participants may have waited in vain. */
  resume(): void {
    for (const state of this.#active()) this.#write(failedSet(state, 'the service was restarted in between'));
  }

  /**
   * Opens a set; asked twice, it answers the same.
   *
   * @throws {ZkeepError} `busy` with code `set.busy` while another one of the file system is under way.
   */
  open(request: OpenSetRequest, token: string): SnapshotSet {
    return this.#atOnce(() => {
      const now = this.#clock.now();
      const active = this.#active();
      const rival = active.find((one) => one.request.fsname === request.fsname);
      if (rival) {
        if (JSON.stringify(rival.request) === JSON.stringify(request) && rival.members[0]?.token === token) {
          return setAnswer(rival);
        }
        throw busy(rival);
      }
      if (active.length >= MAX_ACTIVE) throw tooMany(active.length);
      this.#state
        .prepare("DELETE FROM snapshot_set WHERE opened < ? AND phase IN ('complete', 'failed')")
        .run(now - KEPT);
      const made = openedSet(newUuid7(now) as SetId, request, token, now);
      this.#write(made);
      return setAnswer(made);
    });
  }

  /** Those that are under way. */
  list(fsname: string | undefined): SnapshotSet[] {
    return this.#active()
      .filter(({ request }) => fsname === undefined || request.fsname === fsname)
      .map(setAnswer);
  }

  /** @throws {ZkeepError} `missing` with code `set.none`. */
  get(set: SetId): SnapshotSet {
    return setAnswer(this.#read(set));
  }

  /** @throws {ZkeepError} what {@link afterEvent} throws. */
  tell(set: SetId, event: SetEvent, token: string): SnapshotSet {
    return this.#atOnce(() => {
      const next = afterEvent(this.#read(set), event, token, this.#clock.now());
      this.#write(next);
      return setAnswer(next);
    });
  }

  #read(set: SetId): SetState {
    const row = this.#state
      .prepare<[string], string>('SELECT document FROM snapshot_set WHERE set_id = ?')
      .pluck()
      .get(set);
    if (row === undefined) throw none(set);
    return this.#now(row);
  }

  #active(): SetState[] {
    return this.#state
      .prepare<[], string>(
        "SELECT document FROM snapshot_set WHERE phase IN ('gathering', 'frozen') ORDER BY set_id",
      )
      .pluck()
      .all()
      .map((row) => this.#now(row))
      .filter(isActive);
  }

  /** What is overdue has failed, and is written down so: it never comes to life again. */
  #now(document: string): SetState {
    const kept = parseState(JSON.parse(document));
    const state = asOf(kept, this.#clock.now());
    if (state !== kept) this.#write(state);
    return state;
  }

  #write(state: SetState): void {
    this.#state
      .prepare(
        `INSERT INTO snapshot_set VALUES (?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET phase = excluded.phase, document = excluded.document`,
      )
      .run(state.set, state.opened, state.phase, JSON.stringify(state));
  }

  #atOnce<T>(work: () => T): T {
    return this.#state.transaction(work).immediate();
  }
}

function busy({ set, request, members }: SetState): ZkeepError {
  const { host, process } = request.writer;
  return new ZkeepError('busy', 'set.busy', `${host} is at a set of ${request.fsname} already`, {
    advice: 'it ends by itself when nothing is heard of it: try again later',
    facts: { set, host, process, participants: members.length },
  });
}

function tooMany(count: number): ZkeepError {
  return new ZkeepError('busy', 'set.too-many', `${count} sets are under way`, { advice: 'try again later' });
}

function none(set: SetId): ZkeepError {
  return new ZkeepError('missing', 'set.none', `there is no set ${set} under way`, {
    advice: 'it was over long ago: take a new one',
    facts: { set },
  });
}
