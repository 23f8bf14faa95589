/** One-time codes with which a new agent gets its token. */
import { createHash, randomBytes } from 'node:crypto';
import type { Clock } from '../../catalog/clock.ts';
import { ZkeepError } from '../../catalog/errors.ts';
import type { Fact } from '../../catalog/journal/entry.ts';
import type { EnrolAnswer, EnrolRequest } from '../../catalog/protocol/agents.ts';
import type { Scope } from '../../catalog/protocol/protocol.ts';
import type { State } from '../state/state.ts';
import { checkTokenName, type Tokens } from '../state/tokens.ts';

/** A code without its secret. Moments are milliseconds since 1970. */
export interface EnrolmentFacts {
  readonly name: string;
  readonly scope: Scope;
  readonly expires: number;
  /** Who made it, for the journal. */
  readonly by: string | null;
}

/** What it works with. */
export interface EnrolmentTools {
  readonly state: State;
  readonly tokens: Tokens;
  readonly clock: Clock;
  readonly journal: { note(by: string | null, ...facts: Fact[]): void };
}

/** Letters and digits that nobody takes for one another (Crockford's base 32). */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const LETTERS = 16;
/** Milliseconds. */
export const LONGEST_LIFE = 30 * 86_400_000;
const SHORTEST_LIFE = 60_000;
/** So many wrong codes in so many milliseconds, and for as long all codes are refused. */
const MOST_WRONG = 10;
const WINDOW = 60_000;
/** For so long after a code was used its answer may be asked for again, milliseconds. */
const LOST_ANSWER = 60_000;
/** Codes that wait to be used. */
const MOST_CODES = 10_000;

/** A code that was used just now. */
interface Answered {
  readonly host: string;
  readonly at: number;
  readonly answer: Omit<EnrolAnswer, 'token'>;
  readonly by: string | null;
}

/** A token that a code has become. */
interface Traded {
  readonly answer: EnrolAnswer;
  /** Who made the code. */
  readonly by: string | null;
}

/**
 * The table `enrolment`. A code is 80 random bits of which only the SHA-256 is kept, looked
 * up by it as a token is: there is nothing to guess, and time gives nothing away.
 */
export class Enrolments {
  readonly #tools: EnrolmentTools;
  /** Moments of wrong codes within the last {@link WINDOW}. */
  #wrong: number[] = [];
  #refusedUntil = 0;
  /** By the hash of the code. In memory only: after a restart nobody knows whether an answer was lost. */
  readonly #answered = new Map<string, Answered>();

  constructor(tools: EnrolmentTools) {
    this.#tools = tools;
  }

  /**
   * Trades a code for a token; the code is used up then. Asked again within a minute for the same host, because
   * the answer was lost, it gives another token in place of the first one, provided that nobody has come with that.
   *
   * @throws {ZkeepError} `denied` (`enrol.code`) for a code that is wrong, used or too old; `unavailable`
   *   (`enrol.too-many`) while there were too many of these; `refused` (`token.exists`) when its name is taken by now.
   */
  enrol({ code, host }: EnrolRequest): EnrolAnswer {
    const { clock, journal } = this.#tools;
    const now = clock.now();
    this.#forget(now);
    if (now < this.#refusedUntil) throw tooMany(this.#refusedUntil - now);
    const hash = hashOf(code);
    const again = this.#again(hash, host);
    const traded = again ?? this.#use(hash, now);
    if (!traded) throw this.#wrongCode(now);
    const { answer, by } = traded;
    const { name, scope } = answer;
    this.#answered.set(hash.toString('hex'), { host, at: now, answer: { name, scope }, by });
    journal.note(name, { kind: 'enrolled', name, host });
    return answer;
  }

  #use(hash: Buffer, now: number): Traded | undefined {
    const { state, tokens } = this.#tools;
    return state
      .transaction(() => {
        const found = state
          .prepare<[Buffer, number], EnrolmentFacts>(
            'DELETE FROM enrolment WHERE hash = ? AND expires > ? RETURNING name, scope, expires, made_by AS by',
          )
          .get(hash, now);
        if (!found) return undefined;
        const { name, scope, by } = found;
        return { answer: { token: tokens.add(name, scope, by), name, scope }, by };
      })
      .immediate();
  }

  /** @returns another token in place of the one that was answered, when that answer seems to be lost. */
  #again(hash: Buffer, host: string): Traded | undefined {
    const { state, tokens } = this.#tools;
    const before = this.#answered.get(hash.toString('hex'));
    if (!before || before.host !== host || tokens.wasPresented(before.answer.name)) return undefined;
    const { by } = before;
    const { name, scope } = before.answer;
    return state
      .transaction(() => {
        // Somebody may have removed it meanwhile, because something seemed wrong to him.
        if (!tokens.list().some((token) => token.name === name)) return undefined;
        tokens.remove(name);
        return { answer: { token: tokens.add(name, scope, by), name, scope }, by };
      })
      .immediate();
  }

  #forget(now: number): void {
    this.#wrong = this.#wrong.filter((at) => at > now - WINDOW);
    for (const [hash, { at }] of this.#answered) if (at <= now - LOST_ANSWER) this.#answered.delete(hash);
  }

  #wrongCode(now: number): ZkeepError {
    this.#wrong.push(now);
    if (this.#wrong.length >= MOST_WRONG) {
      this.#refusedUntil = now + WINDOW;
      this.#wrong = [];
    }
    return new ZkeepError('denied', 'enrol.code', 'this code is wrong, was used, or is too old', {
      advice: 'zkeep-server enroll --name NAME, where the service runs, prints a new one',
    });
  }
}

/** The code that is to be made. */
export interface CodeAsked {
  readonly name: string;
  readonly scope: Scope;
  /** Milliseconds until it ends. */
  readonly life: number;
  /** Whom the journal names for the token that it becomes; `null`: nobody. */
  readonly by?: string | null;
}

/**
 * Makes a code and gives it, the only time that it can be seen. What is too old goes.
 *
 * @throws {ZkeepError} `usage` for a malformed name or a life that is too short or long, `refused` when
 *   a token or another code has the name.
 * @example addEnrolment(state, { name: 'mds1', scope: 'agent', life: 3_600_000 }, clock) // 'K7QW-…'
 */
export function addEnrolment(
  state: State,
  { name, scope, life, by = null }: CodeAsked,
  clock: Clock,
): string {
  checkTokenName(name);
  if (life < SHORTEST_LIFE || life > LONGEST_LIFE) {
    throw new ZkeepError('usage', 'enrol.life', 'a code is good for a minute at least and 30 days at most', {
      advice: 'leave --for out for an hour',
    });
  }
  const code = newCode();
  const now = clock.now();
  state
    .transaction(() => {
      state.prepare('DELETE FROM enrolment WHERE expires <= ?').run(now);
      if (state.prepare('SELECT 1 FROM token WHERE name = ?').get(name)) throw nameTaken(name);
      if (state.prepare('SELECT 1 FROM enrolment LIMIT 1 OFFSET ?').get(MOST_CODES - 1)) throw tooManyCodes();
      // A new code of the same name takes the place of the one that nobody used.
      state.prepare('DELETE FROM enrolment WHERE name = ?').run(name);
      state
        .prepare('INSERT INTO enrolment (hash, name, scope, expires, made_by) VALUES (?, ?, ?, ?, ?)')
        .run(hashOf(code), name, scope, now + life, by);
    })
    .immediate();
  return code;
}

function newCode(): string {
  // 32 letters: each byte's lower five bits are evenly spread.
  const letters = [...randomBytes(LETTERS)].map((byte) => ALPHABET[byte & 31]).join('');
  return letters.replace(/.{4}(?=.)/g, '$&-');
}

function hashOf(code: string): Buffer {
  return createHash('sha256').update(code).digest();
}

function tooMany(milliseconds: number): ZkeepError {
  const seconds = Math.ceil(milliseconds / 1000);
  const message = `too many wrong codes came: none is taken for ${seconds} s`;
  return new ZkeepError('unavailable', 'enrol.too-many', message, {
    advice: 'try again then',
    facts: { seconds },
  });
}

function tooManyCodes(): ZkeepError {
  return new ZkeepError('refused', 'enrol.codes', `${MOST_CODES} codes wait to be used already`, {
    advice: 'they end by themselves',
  });
}

function nameTaken(name: string): ZkeepError {
  return new ZkeepError('refused', 'token.exists', `there is a token ${name} already`, {
    advice: `zkeep-server token remove ${name} ends it; what it has open is gone on with under the same name`,
    facts: { name },
  });
}
