/** Asks one question and keeps the answer as it was printed, also when there is none. */
import type { CommandOutput } from '../../catalog/attributes/attributes.ts';
import { ZkeepError } from '../../catalog/errors.ts';
import { failureOf } from '../zfs/failure.ts';
import type { Question } from '../zfs/questions.ts';
import { outputOf } from '../zfs/run.ts';
import { tailOf } from '../zfs/tail.ts';

/** Most bytes that one command may print. */
const MAX_OUTPUT = 2 * 1024 * 1024;
/** Commands that run at the same time. */
const AT_ONCE = 4;
/** Characters of an error that are kept. */
const MAX_ERROR = 4096;

/**
 * Asks some questions, a few at a time, and gives the answers in their order.
 *
 * @throws {ZkeepError} when a needed one fails; the failures of others are kept as their answers.
 */
export async function askAll(
  questions: readonly Question[],
  signal: AbortSignal | undefined,
): Promise<CommandOutput[]> {
  const outputs: CommandOutput[] = [];
  for (let at = 0; at < questions.length; at += AT_ONCE) {
    const some = questions.slice(at, at + AT_ONCE);
    outputs.push(...(await Promise.all(some.map((question) => ask(question, signal)))));
  }
  return outputs;
}

/** The bytes as UTF-8 where they are that, byte for byte; as base64 where they are not. */
export function textOf(bytes: Buffer): Pick<CommandOutput, 'output' | 'encoding'> {
  try {
    return {
      output: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes),
      encoding: 'utf8',
    };
  } catch {
    return { output: bytes.toString('base64'), encoding: 'base64' };
  }
}

async function ask(question: Question, signal: AbortSignal | undefined): Promise<CommandOutput> {
  try {
    return await (question.last === undefined
      ? askWhole(question, signal)
      : askLast(question, question.last, signal));
  } catch (thrown) {
    // An interruption is no answer; what a needed question fails for is the reason to give up.
    if (question.needed || !(thrown instanceof ZkeepError) || signal?.aborted) throw thrown;
    return failed(question.command, thrown);
  }
}

async function askWhole(
  { command, needed, timeout }: Question,
  signal: AbortSignal | undefined,
): Promise<CommandOutput> {
  const { exit, stdout, stderr } = await outputOf(command, { timeout, maxBytes: MAX_OUTPUT, signal });
  if (needed && exit !== 0) throw failureOf({ command, exit, stderr });
  const error = exit === 0 ? {} : { error: stderr.slice(0, MAX_ERROR) };
  return { command: [...command], exit, ...textOf(stdout), ...error };
}

async function askLast(
  { command, timeout }: Question,
  last: number,
  signal: AbortSignal | undefined,
): Promise<CommandOutput> {
  const { stdout, cut } = await tailOf(command, { last, timeout, signal });
  const error = cut ? { error: `cut: only its last ${stdout.length} bytes are kept` } : {};
  return { command: [...command], exit: 0, ...textOf(stdout), ...error };
}

function failed(command: readonly string[], thrown: ZkeepError): CommandOutput {
  const { exit } = thrown.facts;
  return {
    command: [...command],
    exit: typeof exit === 'number' ? exit : -1,
    output: '',
    encoding: 'utf8',
    error: thrown.message.slice(0, MAX_ERROR),
  };
}
