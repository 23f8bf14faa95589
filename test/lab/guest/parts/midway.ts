/**
 * A backup in the middle of its work, held still, so that what a test does then
 * is in time on a fast machine and on a slow one.
 */
import { childOf, eventually, type Running } from './command.ts';
import type { Lab } from './lab.ts';

/** A backup that has stored a segment and has more to send; its agent is stopped (SIGSTOP). */
export interface Midway {
  readonly agent: Running;
  /** The process id of its `zfs send`, which waits for the agent to read. */
  readonly send: number;
  /** Lets the agent go on. */
  goOn(): void;
  /** Lets the agent go on until one more segment is stored. */
  oneMore(): Promise<void>;
}

/**
 * Starts a backup and holds it after its first segment.
 *
 * @param dataset with four or more segments (16 MiB) to send; compressible, so that storing one is quick
 *   against reading the next (`fillText`).
 * @throws {Error} when the backup ended before.
 */
export async function startToTheMiddle(lab: Lab, dataset: string): Promise<Midway> {
  let { length: stored } = await lab.service.keys('segments/');
  const agent = lab.start(['backup', dataset, '--json']);
  const ended = agent.ended.then(({ exit, stdout, stderr }) => {
    throw new Error(`zkeep ended with ${exit} before it was in the middle: ${stdout} ${stderr}`);
  });
  ended.catch(() => undefined); // later ends are the test's
  const holdAtNext = async () => {
    const look = async () => (await lab.service.keys('segments/')).length > stored;
    await Promise.race([eventually('a segment in the store', look), ended]);
    agent.kill('SIGSTOP');
    stored = (await lab.service.keys('segments/')).length;
  };
  await holdAtNext();
  const send = await childOf(agent.pid, 'zfs', 'send', '-L');
  if (send === undefined) throw new Error('zfs send has ended already: there is too little to send');
  return {
    agent,
    send,
    goOn: () => agent.kill('SIGCONT'),
    oneMore: () => {
      agent.kill('SIGCONT');
      return holdAtNext();
    },
  };
}
