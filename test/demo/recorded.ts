/** The demo's road without ZFS: recorded streams in by `zkeep import`, out again by `zkeep export`, compared. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RestorePlan } from '../../catalog/protocol/protocol.ts';
import { recordedStream } from '../fixtures/recorded-streams.ts';
import type { Diary } from './diary.ts';

interface Imported {
  readonly backups: readonly { kind: string; to: string; bytes: number; stored: number; outcome: string }[];
}
interface Verified {
  readonly backups: number;
  readonly segments: number;
  readonly problems: readonly unknown[];
}

/** One full stream and two incrementals of one dataset, as `zfs send` wrote them. */
const CHAIN = [
  { name: 'full', snapshot: 'a' },
  { name: 'incr-i-a-b', snapshot: 'b' },
  { name: 'incr-i-b-c', snapshot: 'c' },
];

/** Stores the chain, goes back to its second snapshot, compares. */
export async function recordedRoad(diary: Diary, folder: string): Promise<void> {
  const kept = new Map<string, Buffer>();
  for (const { name, snapshot } of CHAIN) {
    const stream = recordedStream(name);
    const words = ['import', '--dataset', 'tank/fs'];
    const { backups } = diary.zkeep<Imported>(`keep tank/fs@${snapshot}`, words, outcomeOf, stream);
    const [backup] = backups;
    if (backup?.outcome !== 'stored') throw new Error(`${name} was not stored`);
    kept.set(backup.to, stream);
  }
  diary.zkeep<Verified>('read every byte back and check it', ['verify', '--deep'], verified);
  const { plan } = diary.zkeep<{ plan: RestorePlan }>(
    'plan the way to tank/fs@b',
    ['plan', 'tank/fs', '--snapshot', 'b'],
    (document) => ({
      bytes: document.plan.bytes,
      stored: document.plan.stored,
      result: document.plan.steps.map((step) => (step.from ? 'incremental' : 'full')).join(', then '),
    }),
  );
  for (const step of plan.steps) {
    const output = join(folder, `${step.to}.zfs`);
    const words = [
      'export',
      'tank/fs',
      '--guid',
      step.to,
      '--from',
      step.from ?? 'nothing',
      '--output',
      output,
    ];
    diary.zkeep<{ bytes: number }>(`give tank/fs@${step.name} back`, words, ({ bytes }) => {
      if (!readFileSync(output).equals(kept.get(step.to) ?? Buffer.alloc(0))) {
        throw new Error(`${step.name} came back with other bytes`);
      }
      return { bytes, result: 'equal, byte for byte' };
    });
  }
}

function outcomeOf({ backups }: Imported) {
  const [backup] = backups;
  return {
    bytes: backup?.bytes ?? 0,
    stored: backup?.stored ?? 0,
    result: `${backup?.outcome}, ${backup?.kind}`,
  };
}

export function verified({ backups, segments, problems }: Verified) {
  if (problems.length > 0) throw new Error(JSON.stringify(problems));
  return { result: `${backups} backups, ${segments} segments, no problem` };
}
