/** What is needed to read a raw stream once it is received. */
import { hasFeature } from '../../../catalog/stream/features.ts';
import type { DatasetFacts, KeyFacts, PreflightFacts } from './facts.ts';
import { type Finding, warn } from './finding.ts';

/** A raw stream is received without its key, and the key is in no backup: so it is said before. */
export function findInKeys({ datasets }: PreflightFacts): Finding[] {
  return datasets.flatMap(({ place, streams, key, base }) => {
    // A dataset that goes on has its key already.
    const raw = streams.some(({ begin }) => hasFeature(begin, 'RAW'));
    if (!raw || base !== null) return [];
    const message = `${place.target} comes back encrypted; the key is in no backup, and it is needed: ${wordsOf(key)}`;
    const { target } = place;
    return [warn('key-needed', message, adviceFor(target, key), { target, ...factsOf(key) })];
  });
}

function wordsOf(key: DatasetFacts['key']): string {
  const what =
    key?.format === 'passphrase' ? 'a passphrase' : key?.format ? `a key (${key.format})` : 'its key';
  if (!key?.location) return what;
  if (key.location === 'prompt') return `${what}, typed in`;
  return key.present === false
    ? `${what} from ${key.location}, which is not on this host`
    : `${what} from ${key.location}`;
}

/** `zfs receive` cannot set keylocation=prompt, and gives a raw dataset `prompt`: so the place is named by hand. */
function adviceFor(target: string, key: DatasetFacts['key']): string {
  const location = key?.location;
  if (!location || location === 'prompt') return `afterwards: zfs load-key ${target}`;
  const bring = key.present === false ? `bring ${location} to this host; ` : '';
  return `${bring}afterwards: zfs load-key -L ${location} ${target}, and zfs set keylocation=${location} ${target}`;
}

function factsOf(key: KeyFacts | null) {
  return {
    keyformat: key?.format ?? null,
    keylocation: key?.location ?? null,
    present: key?.present ?? null,
  };
}
