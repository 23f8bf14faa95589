/** Whether a restored dataset is what it was: its properties now, against those that were stored with it. */
import type { ObjectAttributes, Property } from '../../catalog/attributes/attributes.ts';
import { propertyRole } from '../../catalog/attributes/properties.ts';
import { meaningOf, type SkippedProperty } from '../../catalog/attributes/settings-plan.ts';

/** A value and where it comes from. */
export interface Told {
  readonly value: string;
  readonly source: Property['source'];
}

/** One property that is not as it was. */
export interface ProofDifference {
  /** `pool/dataset` or `pool/dataset@snapshot`, at the target. */
  readonly name: string;
  readonly property: string;
  /** `null`: it had none. */
  readonly stored: Told | null;
  readonly found: Told | null;
  /** Whether the restore has failed because of it. */
  readonly matters: boolean;
  readonly why: string;
}

/** What {@link proofOf} compares. */
export interface ProofQuestion {
  /** The dataset and its snapshots as they were, by their names at the target. */
  readonly stored: ReadonlyMap<string, ObjectAttributes>;
  /** The same as they are now. */
  readonly found: ReadonlyMap<string, ObjectAttributes>;
  /** What the plan left out, and why. */
  readonly skipped: readonly SkippedProperty[];
  /** The versions of ZFS that told the one and the other. */
  readonly there: string | null;
  readonly here: string | null;
}

/**
 * What differs between what was stored and what stands there now, with the
 * reason. Statistics, and what ZFS itself makes anew, are not compared.
 *
 * @example proofOf({ stored, found, skipped: [], there: '2.3.9', here: '2.4.1' })
 */
export function proofOf(question: ProofQuestion): ProofDifference[] {
  return [...question.stored].flatMap(([name, stored]) => {
    const found = question.found.get(name);
    if (!found) return [gone(name)];
    const properties = new Set([...Object.keys(stored.properties), ...Object.keys(found.properties)]);
    return [...properties].toSorted().flatMap((property) => {
      const pair = { name, property, stored: stored.properties[property], found: found.properties[property] };
      return compare(pair, stored, question);
    });
  });
}

interface Pair {
  readonly name: string;
  readonly property: string;
  readonly stored: Property | undefined;
  readonly found: Property | undefined;
}

function compare(pair: Pair, object: ObjectAttributes, question: ProofQuestion): ProofDifference[] {
  const { name, property, stored, found } = pair;
  const role = propertyRole(property, object.kind);
  if (role === 'statistic' || role === 'fact') return [];
  const same = sameValue(pair, question);
  if (agrees(pair, same, role)) return [];
  const left = question.skipped.find((one) => one.name === name && one.property === property);
  const judged = left ? { why: left.reason, matters: left.matters } : judge(pair, same, role);
  return [{ name, property, stored: told(stored), found: told(found), ...judged }];
}

type Role = ReturnType<typeof propertyRole>;

/** Nothing to tell of. */
function agrees({ stored, found }: Pair, same: boolean, role: Role): boolean {
  if (!stored) return !found || found.source === 'default' || found.source === 'none' || role !== 'user';
  if (!found) return stored.source === 'default' || stored.source === 'none';
  if (!same) return false;
  // What is inherited or a default may be the one here and the other there.
  if (stored.source === 'local' || stored.source === 'received') return stored.source === found.source;
  return found.source !== 'local' && found.source !== 'received';
}

type Judgement = Pick<ProofDifference, 'why' | 'matters'>;

function judge({ property, stored, found }: Pair, same: boolean, role: Role): Judgement {
  if (!stored) return { why: 'it was not there before; it comes from what is here', matters: false };
  if (!found) {
    if (stored.source === 'inherited') return { why: inheritedThere(stored), matters: false };
    if (role === 'user') return { why: 'it could not be set', matters: true };
    return { why: 'the ZFS of this host does not know it', matters: false };
  }
  if (role === 'create-only') return judgeCreateOnly(property);
  if (stored.source === 'inherited') return { why: inheritedThere(stored), matters: false };
  if (stored.source === 'received' && same && found.source === 'local') {
    return {
      why: 'it could not come with the stream, so it was set: received there, local here',
      matters: false,
    };
  }
  if (stored.source === 'local' || stored.source === 'received') {
    return { why: same ? `it is ${found.source} here` : 'it could not be set', matters: true };
  }
  return judgeDefault(property, found);
}

/** They come with the stream, and cannot be set: a difference is one of the streams. */
function judgeCreateOnly(property: string): Judgement {
  if (/^(encryption|keyformat|pbkdf2iters|keylocation)$/.test(property)) {
    const why = 'the stream was not a raw one: what it held is stored here as the parent has it';
    return { why, matters: false };
  }
  return { why: 'it is made with the dataset, and cannot be set: the stream brought another', matters: true };
}

/** It was the default there, or nothing at all. */
function judgeDefault(property: string, found: Property): Judgement {
  if (found.source === 'inherited') return { why: `${found.from ?? 'a parent'} has it here`, matters: false };
  if (found.source === 'local' && (property === 'canmount' || property === 'mountpoint')) {
    return {
      why: 'a restored file system is not mounted by itself; zfs set canmount, or --take-mountpoint, changes that',
      matters: false,
    };
  }
  if (found.source === 'local' || found.source === 'received') {
    return { why: `it was a default; here it is ${found.source}`, matters: false };
  }
  return { why: 'the default of this ZFS is another one', matters: false };
}

function inheritedThere({ from }: Property): string {
  return `there it came from ${from ?? 'a parent'}, which is not what is above it here`;
}

function sameValue({ property, stored, found }: Pair, { there, here }: ProofQuestion): boolean {
  if (!stored || !found) return false;
  return meaningOf(property, stored.value, there) === meaningOf(property, found.value, here);
}

function told(property: Property | undefined): Told | null {
  return property ? { value: property.value, source: property.source } : null;
}

function gone(name: string): ProofDifference {
  return {
    name,
    property: 'name',
    stored: { value: name, source: 'none' },
    found: null,
    matters: true,
    why: 'it is not there',
  };
}
