/** What the agents that run say of themselves: kept by their tokens, and compared with what they said before. */

import type { Clock } from '../../catalog/clock.ts';
import { messageOf } from '../../catalog/errors.ts';
import type { Fact } from '../../catalog/journal/entry.ts';
import {
  AGENT_AWAY,
  type AgentRow,
  type CheckIn,
  type CheckInAnswer,
  CheckInSchema,
  CLOCK_TOLERANCE,
} from '../../catalog/protocol/agents.ts';
import { checker } from '../../catalog/schema.ts';
import type { State } from '../state/state.ts';
import { outcomeChanges } from './changes.ts';

/** What it works with. */
export interface AgentsTools {
  readonly state: State;
  readonly clock: Clock;
  readonly journal: { note(by: string | null, ...facts: Fact[]): void };
  readonly log: { warn(facts: object, words: string): void };
}

/** One token may serve several hosts, but not to fill the disk with made-up ones. */
const MOST_HOSTS = 1000;

interface Row {
  readonly token: string;
  readonly host: string;
  readonly seen: number;
  readonly said: string;
}

const parseCheckIn = checker(CheckInSchema, 'a check-in in service.db');

/** The table `agent`: of each token and host, what was said last. */
export class Agents {
  readonly #tools: AgentsTools;
  /** Whose clock is wrong was said once: by token and host. */
  readonly #wrong = new Set<string>();

  constructor(tools: AgentsTools) {
    this.#tools = tools;
  }

  /** Keeps what an agent says; runs that fail now, or not any more, go to the journal. */
  checkIn(token: string, said: CheckIn): CheckInAnswer {
    const { state, clock, journal } = this.#tools;
    const now = clock.now();
    const before = this.#lastOf(token, said.host);
    state
      .transaction(() => {
        state
          .prepare('INSERT OR REPLACE INTO agent VALUES (?, ?, ?, ?)')
          .run(token, said.host, now, JSON.stringify(said));
        state
          .prepare(
            `DELETE FROM agent WHERE token = ? AND host NOT IN
               (SELECT host FROM agent WHERE token = ? ORDER BY seen DESC, host LIMIT ?)`,
          )
          .run(token, token, MOST_HOSTS);
      })
      .immediate();
    const facts = outcomeChanges(before, said);
    if (facts.length > 0) journal.note(token, ...facts);
    this.#judgeClock(token, said, now);
    return { clock: now };
  }

  /** All agents that have a token, by its name and their host. */
  list(): AgentRow[] {
    const { state, clock } = this.#tools;
    const now = clock.now();
    const rows = state
      .prepare<[], Row>(
        'SELECT a.token, a.host, a.seen, a.said FROM agent a JOIN token t ON t.name = a.token ORDER BY a.token, a.host',
      )
      .all();
    return rows.flatMap(({ token, seen, said }) => {
      const checkIn = this.#read(said, token);
      if (!checkIn) return [];
      const ahead = checkIn.clock - seen;
      return [
        {
          agent: token,
          ...checkIn,
          seen: new Date(seen).toISOString(),
          away: now - seen >= AGENT_AWAY,
          ahead,
        },
      ];
    });
  }

  #lastOf(token: string, host: string): CheckIn | undefined {
    const row = this.#tools.state
      .prepare<[string, string], Row>('SELECT * FROM agent WHERE token = ? AND host = ?')
      .get(token, host);
    return row && this.#read(row.said, token);
  }

  /** What another version of the service wrote may have another shape: then nothing is known until the next one. */
  #read(said: string, token: string): CheckIn | undefined {
    try {
      return parseCheckIn(JSON.parse(said));
    } catch (thrown) {
      this.#tools.log.warn({ token, reason: messageOf(thrown) }, 'what an agent said before cannot be read');
      return undefined;
    }
  }

  #judgeClock(token: string, { host, clock }: CheckIn, now: number): void {
    const [key, ahead] = [`${token} ${host}`, clock - now];
    if (Math.abs(ahead) <= CLOCK_TOLERANCE) this.#wrong.delete(key);
    else if (!this.#wrong.has(key)) {
      if (this.#wrong.size >= MOST_HOSTS) this.#wrong.clear();
      this.#wrong.add(key);
      this.#tools.log.warn({ token, host, ahead }, "an agent's clock and this one's differ, milliseconds");
    }
  }
}
