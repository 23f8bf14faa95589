/** Made entries of the journal, for the tests of this room. */
import fc from 'fast-check';
import type { Policy } from '../../../../catalog/chain/retention/policy.ts';
import type { Damage, Depth, Entry, Fact, Pin } from '../../../../catalog/journal/entry.ts';
import { newUuid7 } from '../../../../catalog/words.ts';
import { backupId, guid } from '../manifests.ts';

const FIRST = 1_750_000_000_000;

/** Ids in the order of their numbers, one a second. */
export function entryId(number: number): string {
  return newUuid7(FIRST + number * 1000, new Uint8Array(10));
}

/** An entry of the second `number`. */
export function entry(number: number, fact: Fact, more: Partial<Entry> = {}): Entry {
  return { id: entryId(number), at: at(number), by: 'alice', fact, ...more };
}

/** The moment of an entry. */
export function at(number: number): string {
  return new Date(FIRST + number * 1000).toISOString();
}

export function policy(name: string, last = 7): Policy {
  return { name, datasets: ['tank/**'], hosts: [], lineages: [], keep: { last }, zone: 'UTC' };
}

export function pin(number: number, to: number, more: Partial<Pin> = {}): Pin {
  return { pin: entryId(number), guid: guid(to), reason: 'a reason', until: null, legal: false, ...more };
}

export function proven(backup: number, depth: Depth = 'light'): Fact {
  return { kind: 'proven', proofs: [{ backup: backupId(backup), depth, bytes: 1, frames: 0 }] };
}

export function damageOf(backup: number, depth: Depth = 'light'): Damage {
  const problems = [{ code: 'segment.missing', key: null, message: 'it is not there' }];
  return { backup: backupId(backup), depth, problems, count: 1 };
}

export function damaged(backup: number, depth: Depth = 'light'): Fact {
  return { kind: 'damaged', damage: damageOf(backup, depth) };
}

export function marked(...backups: number[]): Fact {
  return {
    kind: 'backups.marked',
    backups: backups.map((number) => ({ backup: backupId(number), reason: 'old' })),
  };
}

export function unmarked(...backups: number[]): Fact {
  return {
    kind: 'backups.unmarked',
    backups: backups.map((number) => ({ backup: backupId(number), reason: 'needed' })),
  };
}

export function removed(...backups: number[]): Fact {
  const row = { from: null, to: guid(1), host: 'alpha', dataset: 'tank/fs', name: 'a', stored: 1 };
  return {
    kind: 'backups.removed',
    backups: backups.map((number) => ({ backup: backupId(number), ...row })),
  };
}

export function drilled(
  to: number,
  lineage: number,
  { dataset = 'tank/fs', host = 'alpha', passed = true } = {},
): Fact {
  const labels = { host, target: 'scratch/drill', dataset, name: `s${to}`, created: 1 };
  const counts = { steps: 1, bytes: 1, stored: 1, restore_seconds: 1, compare_seconds: 1 };
  const of = { lineage: backupId(lineage) as string as never, guid: guid(to) };
  return {
    kind: 'drilled',
    drill: { ...labels, ...of, ...counts, passed, problems: [], objects: 1, properties: 1 },
  };
}

const number = fc.integer({ min: 0, max: 11 });
const depth = fc.constantFrom<Depth>('light', 'deep');
const facts: fc.Arbitrary<Fact> = fc.oneof(
  fc.record({ backup: number, depth }).map((it) => proven(it.backup, it.depth)),
  fc.record({ backup: number, depth }).map((it) => damaged(it.backup, it.depth)),
  fc.array(number, { minLength: 1, maxLength: 3 }).map((all) => marked(...all)),
  fc.array(number, { minLength: 1, maxLength: 3 }).map((all) => unmarked(...all)),
  number.map((one) => removed(one)),
  fc
    .record({ name: fc.constantFrom('a', 'b'), last: fc.nat(3) })
    .map((it): Fact => ({ kind: 'policy.set', policy: policy(it.name, it.last) })),
  fc.constantFrom('a', 'b').map((name): Fact => ({ kind: 'policy.removed', name })),
  fc
    .record({ id: fc.nat(2), to: fc.integer({ min: 1, max: 8 }) })
    .map((it): Fact => ({ kind: 'pin.set', pin: pin(it.id, it.to) })),
  fc.nat(2).map((id): Fact => ({ kind: 'pin.removed', pin: entryId(id), reason: 'no more' })),
  fc.record({ to: fc.integer({ min: 1, max: 8 }), lineage: number }).map((it) => drilled(it.to, it.lineage)),
);

/** Up to twenty entries about few backups, policies and pins; some about datasets, by nobody, or of one moment. */
export const journals: fc.Arbitrary<Entry[]> = fc
  .array(
    fc.record({
      fact: facts,
      by: fc.constantFrom('alice', null),
      about: fc.constantFrom<Entry['about']>(
        undefined,
        [{ host: 'alpha', dataset: 'tank/fs' }],
        [{ host: 'beta', dataset: null }],
      ),
    }),
    { maxLength: 20 },
  )
  .map((all) =>
    all.map(({ fact, by, about }, index) => entry(index, fact, about === undefined ? { by } : { by, about })),
  );
