/**
 * The attributes of a dataset, its snapshot, its pool and its host: what a
 * stream does not carry, as the commands print it and taken apart.
 */
import { type Attributes, type CommandOutput, MAX_ATTRIBUTES } from '../../catalog/attributes/attributes.ts';
import { doubtfulIn, parseOutputs } from '../../catalog/attributes/parsing/outputs.ts';
import { poolOf } from '../zfs/names.ts';
import {
  knowsJson,
  type Patience,
  questionsAboutDataset,
  questionsAboutPool,
  questionsAboutProperty,
} from '../zfs/questions.ts';
import { askAll } from './ask.ts';
import { withoutHistory } from './history.ts';
import { hostOutputs } from './host.ts';

/** Properties at most that are asked for one by one. */
const MAX_DOUBTFUL = 64;
/** As JSON a byte takes six at most, and what is parsed says it once more. */
const MOST_GROWTH = 16;

/** What a {@link Capture} may be told; the defaults are right but for tests. */
export interface CaptureOptions {
  readonly signal?: AbortSignal | undefined;
  readonly root?: string;
  readonly platform?: NodeJS.Platform;
  readonly patience?: Patience;
}

/**
 * Captures attributes during one run of a command: the host is asked once, each
 * pool once, each dataset when its turn comes.
 *
 * @example
 * const capture = new Capture({ signal });
 * const attributes = await capture.of('tank/home', 'tank/home@daily');
 */
export class Capture {
  readonly #options: CaptureOptions;
  #host: Promise<CommandOutput[]> | undefined;
  readonly #pools = new Map<string, Promise<CommandOutput[]>>();
  /** The first dataset of each pool: beside it the pool's history is kept. */
  readonly #firsts = new Map<string, string>();

  constructor(options: CaptureOptions = {}) {
    this.#options = options;
  }

  /**
   * Asks everything about a dataset and one of its snapshots.
   *
   * @param snapshot `pool/dataset@name`; without it the dataset as it is now.
   * @throws {ZkeepError} when one of the needed questions fails; others are kept with their exit code.
   */
  async of(dataset: string, snapshot?: string): Promise<Attributes> {
    const { signal } = this.#options;
    const host = await this.#ofHost();
    const json = host.some(({ command, output }) => isVersion(command) && knowsJson(output));
    const how = { ...this.#options, json };
    const [pool, told] = await Promise.all([
      this.#ofPool(dataset, json),
      askAll(questionsAboutDataset(dataset, snapshot, how), signal),
    ]);
    // What looks like a line about something else is a part of a value.
    const doubtful = doubtfulIn(told).filter(({ name }) => name === dataset || name === snapshot);
    const single = doubtful
      .slice(0, MAX_DOUBTFUL)
      .flatMap(({ name, property }) => questionsAboutProperty(property, name, this.#options.patience));
    const outputs = [...told, ...(await askAll(single, signal)), ...this.#once(dataset, pool), ...host];
    return fitting({ format: 1, dataset, outputs, parsed: parseOutputs(dataset, outputs) });
  }

  #once(dataset: string, outputs: CommandOutput[]): CommandOutput[] {
    const pool = poolOf(dataset);
    const first = this.#firsts.get(pool) ?? dataset;
    this.#firsts.set(pool, first);
    return first === dataset ? outputs : withoutHistory(outputs, first);
  }

  #ofHost(): Promise<CommandOutput[]> {
    this.#host ??= hostOutputs({ root: '/', platform: process.platform, ...this.#options });
    return this.#host;
  }

  async #ofPool(dataset: string, json: boolean): Promise<CommandOutput[]> {
    const pool = poolOf(dataset);
    const known = this.#pools.get(pool);
    if (known) return await known;
    const asked = askAll(questionsAboutPool(dataset, { ...this.#options, json }), this.#options.signal);
    this.#pools.set(pool, asked);
    try {
      return await asked;
    } catch (thrown) {
      // The next dataset asks again.
      this.#pools.delete(pool);
      throw thrown;
    }
  }
}

/** Asks about one dataset only; {@link Capture} is for several. */
export async function captureAttributes(
  dataset: string,
  snapshot: string | undefined,
  signal?: AbortSignal,
): Promise<Attributes> {
  return await new Capture({ signal }).of(dataset, snapshot);
}

/**
 * Attributes that are too large to be stored lose their largest outputs, and say so:
 * a backup is not refused because of them. What was parsed stays whole.
 */
export function fitting(attributes: Attributes, most = MAX_ATTRIBUTES): Attributes {
  const printed = attributes.outputs.reduce((sum, { output }) => sum + output.length, 0);
  if (printed < most / MOST_GROWTH) return attributes;
  const outputs = [...attributes.outputs];
  const bySize = outputs
    .map(({ output }, index) => ({ index, size: output.length }))
    .toSorted((one, other) => other.size - one.size);
  for (const { index } of bySize) {
    if (sizeOf({ ...attributes, outputs }) <= most) break;
    const whole = outputs[index];
    if (whole) outputs[index] = { ...whole, output: '', error: 'left out: all together are too large' };
  }
  const cut = { ...attributes, outputs };
  return sizeOf(cut) <= most ? cut : { ...cut, parsed: null };
}

function sizeOf(attributes: Attributes): number {
  return Buffer.byteLength(JSON.stringify(attributes));
}

function isVersion([program, word]: readonly string[]): boolean {
  return program === 'zfs' && word === 'version';
}
