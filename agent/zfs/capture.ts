/**
 * The attributes of a pool, a dataset and its snapshot, as the commands print
 * them: what a stream does not carry. Nothing is interpreted here.
 */

import { type Attributes, type CommandOutput, MAX_ATTRIBUTES } from '../../catalog/attributes/attributes.ts';
import { ZkeepError } from '../../catalog/errors.ts';
import { failureOf } from './failure.ts';
import { poolOf } from './names.ts';
import { outputOf } from './run.ts';

/** Most bytes that one command may print; all together stay below `MAX_ATTRIBUTES` even as escaped JSON. */
const MAX_OUTPUT = MAX_ATTRIBUTES / 32;
/** Commands that run at the same time. */
const AT_ONCE = 4;
const TIMEOUT = 120_000;

/** A command whose output belongs to the attributes. */
interface Question {
  readonly command: readonly string[];
  /** Without an answer the attributes are not worth storing. */
  readonly needed: boolean;
}

/**
 * Asks everything about a dataset and one of its snapshots.
 *
 * @param snapshot `pool/dataset@name`.
 * @throws {ZkeepError} when one of the needed commands fails; others are kept with their exit code.
 */
export async function captureAttributes(
  dataset: string,
  snapshot: string,
  signal?: AbortSignal,
): Promise<Attributes> {
  const questions = questionsAbout(dataset, snapshot);
  const outputs: CommandOutput[] = [];
  for (let at = 0; at < questions.length; at += AT_ONCE) {
    const some = questions.slice(at, at + AT_ONCE);
    outputs.push(...(await Promise.all(some.map((question) => ask(question, signal)))));
  }
  return { format: 1, dataset, outputs, parsed: null };
}

/**
 * What is asked. `-o all` tells local, received and inherited values apart;
 * `-j` (OpenZFS 2.3 and later) is the form in which values may hold anything.
 */
export function questionsAbout(dataset: string, snapshot: string): Question[] {
  const pool = poolOf(dataset);
  const needed = (...command: string[]) => ({ command, needed: true });
  const extra = (...command: string[]) => ({ command, needed: false });
  return [
    needed('zfs', 'get', '-Hp', '-o', 'all', 'all', dataset),
    needed('zfs', 'get', '-Hp', '-o', 'all', 'all', snapshot),
    needed('zpool', 'get', '-Hp', '-o', 'all', 'all', pool),
    extra('zfs', 'version'),
    extra('zfs', 'get', '-j', '-p', '-o', 'all', 'all', dataset, snapshot),
    extra('zpool', 'get', '-j', '-p', '-o', 'all', 'all', pool),
    extra('zpool', 'status', '-P', pool),
    extra('zpool', 'status', '-j', '-P', pool),
    extra('zpool', 'list', '-vPp', pool),
    extra('zpool', 'list', '-j', '-vPp', pool),
    extra(
      'zfs',
      'list',
      '-Hp',
      '-t',
      'snapshot,bookmark',
      '-o',
      'name,guid,createtxg,creation,userrefs',
      '-d',
      '1',
      dataset,
    ),
    extra('zfs', 'holds', '-H', snapshot),
    extra('zfs', 'allow', dataset),
  ];
}

async function ask({ command, needed }: Question, signal: AbortSignal | undefined): Promise<CommandOutput> {
  try {
    const { exit, stdout, stderr } = await outputOf(command, {
      timeout: TIMEOUT,
      maxBytes: MAX_OUTPUT,
      signal,
    });
    if (needed && exit !== 0) throw failureOf({ command, exit, stderr });
    return {
      command: [...command],
      exit,
      ...textOf(stdout),
      ...(exit === 0 ? {} : { error: stderr.slice(0, 4096) }),
    };
  } catch (thrown) {
    if (needed || !(thrown instanceof ZkeepError)) throw thrown;
    return {
      command: [...command],
      exit: -1,
      output: '',
      encoding: 'utf8',
      error: thrown.message.slice(0, 4096),
    };
  }
}

/** As UTF-8 where it is that, byte for byte; as base64 where it is not. */
function textOf(bytes: Buffer): Pick<CommandOutput, 'output' | 'encoding'> {
  try {
    return {
      output: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes),
      encoding: 'utf8',
    };
  } catch {
    return { output: bytes.toString('base64'), encoding: 'base64' };
  }
}
