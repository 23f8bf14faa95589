/** The properties of what stands at a target, as they are now. */
import type { ObjectAttributes } from '../../catalog/attributes/attributes.ts';
import { doubtfulIn, parseOutputs } from '../../catalog/attributes/parsing/outputs.ts';
import { askAll } from '../capture/ask.ts';
import { questionKinds, questionsAboutProperty } from '../zfs/questions.ts';
import { snapshotOf } from '../zfs/snapshot.ts';

/** Objects in one round of questions. */
const AT_ONCE = 50;
/** Properties of a round at most that are asked for one by one, because their values hold tabs or newlines. */
const MAX_DOUBTFUL = 256;

/**
 * Asks for all properties of a dataset and some of its snapshots.
 *
 * @param snapshots names, the part after `@`.
 * @returns by full name.
 * @throws {ZkeepError} when one of them is not there.
 */
export async function captureObjects(
  dataset: string,
  snapshots: readonly string[],
  signal: AbortSignal,
): Promise<Map<string, ObjectAttributes>> {
  const names = [dataset, ...snapshots.map((name) => snapshotOf(dataset, name))];
  const found = new Map<string, ObjectAttributes>();
  for (let at = 0; at < names.length; at += AT_ONCE) {
    for (const object of await captureSome(dataset, names.slice(at, at + AT_ONCE), signal)) {
      found.set(object.name, object);
    }
  }
  return found;
}

async function captureSome(
  dataset: string,
  names: readonly string[],
  signal: AbortSignal,
): Promise<ObjectAttributes[]> {
  const { needed } = questionKinds();
  const questions = names.map((name) => needed('zfs', 'get', '-Hp', '-o', 'all', 'all', name));
  const told = await askAll(questions, signal);
  const doubtful = doubtfulIn(told).filter(({ name }) => names.includes(name));
  const single = doubtful
    .slice(0, MAX_DOUBTFUL)
    .flatMap(({ name, property }) => questionsAboutProperty(property, name));
  const { objects } = parseOutputs(dataset, [...told, ...(await askAll(single, signal))]);
  return objects.filter(({ name }) => names.includes(name));
}
