/** What is needed to read a raw stream once it is received. */
import { hasFeature } from '../../../catalog/stream/features.ts';
import { showCommand } from '../../zfs/failure.ts';
import type { KeyFacts, PreflightFacts } from './facts.ts';
import { type Finding, warn } from './finding.ts';

/** A raw stream is received without its key, and the key is in no backup: so it is said before. */
export function findInKeys({ datasets }: PreflightFacts): Finding[] {
  return datasets.flatMap(({ place, streams, key, base }) => {
    // A dataset that goes on has its key already.
    const raw = streams.some(({ begin }) => hasFeature(begin, 'RAW'));
    if (!raw || base !== null) return [];
    const { target } = place;
    const message = `${target} comes back encrypted, and no backup holds the key. It takes ${wordsOf(key)}`;
    return [warn('key-needed', message, adviceFor(target, key), { target, ...factsOf(key) })];
  });
}

function wordsOf(key: KeyFacts | null): string {
  if (key === null) return 'the key that it had';
  const { format, location, root, present } = key;
  const what =
    format === null ? 'the key' : format === 'passphrase' ? 'the passphrase' : `the key (${format})`;
  const whose = root === null ? `${what} that it had` : `${what} of ${root}`;
  if (location === null) return whose;
  const where = location === 'prompt' ? 'typed in' : `from ${location}`;
  return `${whose}, ${where}${present === false ? ', which is not on this host' : ''}`;
}

/** A dataset that was received raw asks for its key (`keylocation=prompt`), wherever it came from before. */
function adviceFor(target: string, key: KeyFacts | null): string {
  const location = key?.location;
  if (!location || location === 'prompt') return `afterwards: ${showCommand(['zfs', 'load-key', target])}`;
  const bring = key.present === false ? `bring ${location} to this host; ` : '';
  const load = showCommand(['zfs', 'load-key', '-L', location, target]);
  return `${bring}afterwards: ${load}, and ${showCommand(['zfs', 'set', `keylocation=${location}`, target])}`;
}

function factsOf(key: KeyFacts | null) {
  return {
    keyformat: key?.format ?? null,
    keylocation: key?.location ?? null,
    encryptionroot: key?.root ?? null,
    present: key?.present ?? null,
  };
}
