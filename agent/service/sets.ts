/** What is told to and asked of the service about the sets that several hosts take together. */
import {
  type OpenSetRequest,
  type SetEvent,
  SetsAnswerSchema,
  type SnapshotSet,
  SnapshotSetSchema,
} from '../../catalog/protocol/sets.ts';
import { checker } from '../../catalog/schema.ts';
import type { SetId } from '../../catalog/words.ts';
import type { Exchange } from './exchange.ts';

const readSet = checker(SnapshotSetSchema, 'the answer');
const readSets = checker(SetsAnswerSchema, 'the answer');

/** A part of the client. Every call may be repeated; every one throws {@link ZkeepError}. */
export class SetCalls {
  readonly #exchange: Exchange;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
  }

  /** @throws {ZkeepError} `busy` with code `set.busy` when another set of the file system is under way. */
  async open(body: OpenSetRequest, signal?: AbortSignal): Promise<SnapshotSet> {
    return await this.#exchange.askFor(readSet, { method: 'POST', path: '/v1/sets', body, signal });
  }

  /** The sets of a file system that are under way. */
  async underWay(fsname: string, signal?: AbortSignal): Promise<SnapshotSet[]> {
    const question = { method: 'GET' as const, path: '/v1/sets', query: { fsname }, signal };
    return (await this.#exchange.askFor(readSets, question)).sets;
  }

  async get(set: SetId, signal?: AbortSignal): Promise<SnapshotSet> {
    return await this.#exchange.askFor(readSet, { method: 'GET', path: `/v1/sets/${set}`, signal });
  }

  /** Tells what happened to a set; gives what became of it. */
  async tell(set: SetId, body: SetEvent, signal?: AbortSignal): Promise<SnapshotSet> {
    const path = `/v1/sets/${set}/events`;
    return await this.#exchange.askFor(readSet, { method: 'POST', path, body, signal });
  }
}
