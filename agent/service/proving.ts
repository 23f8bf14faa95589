/** What is asked of the service about proofs and damage, and what is reported to it. */
import {
  DamageAnswerSchema,
  type DamageQuery,
  type DamageRow,
  type FindingsAnswer,
  FindingsAnswerSchema,
  type FindingsRequest,
  type ProofRow,
  ProofsAnswerSchema,
  type ProofsQuery,
} from '../../catalog/protocol/events.ts';
import { RepositoryInfoSchema } from '../../catalog/protocol/protocol.ts';
import { checker } from '../../catalog/schema.ts';
import { Exchange, type ServiceAccess } from './exchange.ts';

const readDamage = checker(DamageAnswerSchema, 'the answer');
const readProofs = checker(ProofsAnswerSchema, 'the answer');
const readFindings = checker(FindingsAnswerSchema, 'the answer');
const readRepository = checker(RepositoryInfoSchema, 'the answer');

/** The service, as one who verifies sees it. Every call throws {@link ZkeepError}s. */
export class Proving {
  readonly #exchange: Exchange;

  constructor(access: ServiceAccess) {
    this.#exchange = new Exchange(access);
  }

  /** The id of the repository that the service keeps. */
  async repositoryId(signal?: AbortSignal): Promise<string> {
    return (await this.#exchange.askFor(readRepository, { method: 'GET', path: '/v1/repository', signal }))
      .id;
  }

  /** What is damaged, and what is lost by that. */
  async damage(query: DamageQuery, signal?: AbortSignal): Promise<DamageRow[]> {
    return (await this.#exchange.askFor(readDamage, { method: 'GET', path: '/v1/damage', query, signal }))
      .damage;
  }

  /** Backups by their last proof, the oldest first. */
  async proofs(query: ProofsQuery, signal?: AbortSignal): Promise<ProofRow[]> {
    return (await this.#exchange.askFor(readProofs, { method: 'GET', path: '/v1/proofs', query, signal }))
      .proofs;
  }

  /** @throws {ZkeepError} `denied` with code `token.scope` for a token that is no operator's. */
  async report(body: FindingsRequest, signal?: AbortSignal): Promise<FindingsAnswer> {
    return await this.#exchange.askFor(readFindings, { method: 'POST', path: '/v1/proofs', body, signal });
  }

  async close(): Promise<void> {
    await this.#exchange.close();
  }
}
