/** Who may ask the service what: tokens, of which only the SHA-256 is kept. */
import { createHash, randomBytes } from 'node:crypto';
import { type Clock, systemClock } from '../../catalog/clock.ts';
import { ZkeepError } from '../../catalog/errors.ts';
import type { Fact } from '../../catalog/journal/entry.ts';
import type { Scope } from '../../catalog/protocol/protocol.ts';
import { laterUuid7 } from '../../catalog/words.ts';
import { Outbox } from '../journal/outbox.ts';
import type { State } from './state.ts';

/** A token without its secret. */
export interface TokenFacts {
  /** Who holds it. A token may be replaced under the same name, and its open backups go on. */
  readonly name: string;
  readonly scope: Scope;
  /** ISO 8601. */
  readonly created: string;
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,99}$/;

/**
 * The tokens in `service.db`.
 *
 * A token is 256 random bits, so one round of SHA-256 is the right hash: there is
 * nothing to guess, hence nothing that a slow or salted hash would slow down, and
 * looking up by the hash gives away no more through time than the hash itself.
 */
export class Tokens {
  readonly #state: State;
  readonly #clock: Clock;
  readonly #by: string | null;
  /** Names of those that somebody came with. */
  readonly #presented = new Set<string>();

  /** @param by whom the journal names for what is added and removed; `null`: the service. */
  constructor(state: State, clock: Clock = systemClock, by: string | null = null) {
    this.#state = state;
    this.#clock = clock;
    this.#by = by;
  }

  /**
   * Makes a token and gives it, the only time that it can be seen.
   *
   * @param by whom the journal names for this one.
   * @throws {ZkeepError} `usage` for a malformed name, `refused` when the name is taken.
   * @example tokens.add('mds1', 'agent') // 'zkeep_…'
   */
  add(name: string, scope: Scope, by: string | null = this.#by): string {
    checkTokenName(name);
    const token = `zkeep_${randomBytes(32).toString('base64url')}`;
    const created = new Date(this.#clock.now()).toISOString();
    const sql = 'INSERT OR IGNORE INTO token VALUES (?, ?, ?, ?)';
    const fact = { kind: 'token.added' as const, name, scope };
    if (!this.#change({ fact, by }, sql, name, scope, hashOf(token), created)) {
      throw new ZkeepError('refused', 'token.exists', `there is a token ${name} already`, {
        advice: `zkeep-server token remove ${name} ends the old one`,
        facts: { name },
      });
    }
    this.#presented.delete(name);
    return token;
  }

  /** All tokens, by name. */
  list(): TokenFacts[] {
    return this.#state.prepare<[], TokenFacts>('SELECT name, scope, created FROM token ORDER BY name').all();
  }

  /**
   * Ends a token; a running service refuses it from then on.
   *
   * @throws {ZkeepError} `missing` when there is none of this name.
   */
  remove(name: string): void {
    const said = { fact: { kind: 'token.removed' as const, name }, by: this.#by };
    if (this.#change(said, 'DELETE FROM token WHERE name = ?', name)) return;
    throw new ZkeepError(
      'missing',
      'token.missing',
      `there is no token ${JSON.stringify(name.slice(0, 120))}`,
      {
        advice: 'zkeep-server token list shows the names',
      },
    );
  }

  /** The token that was presented, or `undefined` when it is not one of ours. */
  find(presented: string): TokenFacts | undefined {
    const found = this.#state
      .prepare<[Buffer], TokenFacts>('SELECT name, scope, created FROM token WHERE hash = ?')
      .get(hashOf(presented));
    if (found) this.#presented.add(found.name);
    return found;
  }

  /** Changes a token, and has the service that runs, or the next one, write that into the journal. */
  #change(
    { fact, by }: { fact: Fact; by: string | null },
    sql: string,
    ...values: (string | Buffer)[]
  ): boolean {
    return this.#state
      .transaction(() => {
        if (this.#state.prepare(sql).run(...values).changes === 0) return false;
        const now = this.#clock.now();
        const outbox = new Outbox(this.#state);
        const id = laterUuid7(outbox.last(), now);
        outbox.add([{ id, at: new Date(now).toISOString(), by, fact }]);
        return true;
      })
      .immediate();
  }

  /** Whether anybody came with the token of this name since the service was started. */
  wasPresented(name: string): boolean {
    return this.#presented.has(name);
  }
}

/**
 * Passes for what may be the name of a token.
 *
 * @throws {ZkeepError} `usage` (`token.name`).
 */
export function checkTokenName(name: string): void {
  if (NAME.test(name)) return;
  const message = `${JSON.stringify(name.slice(0, 120))} is not a name for a token`;
  throw new ZkeepError('usage', 'token.name', message, {
    advice: 'use up to 100 letters, digits and . _ @ -, such as the name of the host',
  });
}

function hashOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
