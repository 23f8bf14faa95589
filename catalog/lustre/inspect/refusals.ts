/** Why a stream cannot be looked into, in words. */
import { ZkeepError } from '../../errors.ts';
import type { Begin } from '../../stream/state.ts';

export function isEncrypted({ toName }: Begin): ZkeepError {
  return new ZkeepError('refused', 'inspect.encrypted', `the stream of ${toName} is raw: ZFS encrypted it`, {
    advice: 'restore it, load its key (zfs load-key) and look into it there: mount -t zfs -o ro,zfsutil',
    facts: { name: toName },
  });
}

/** Blocks that are only named by others: of `zfs send -D`, gone since OpenZFS 2.0. */
export function isDeduplicated({ toName }: Begin): ZkeepError {
  return new ZkeepError('refused', 'inspect.dedup', `the stream of ${toName} is deduplicated`, {
    advice: 'write it anew with "zstream redup FILE > NEW", or send without -D',
    facts: { name: toName },
  });
}

export function isVolume({ toName, type }: Begin): ZkeepError {
  return new ZkeepError('refused', 'inspect.not-lustre', `${toName} holds no file system`, {
    advice: 'name the dataset of an MGT, an MDT or an OST',
    facts: { name: toName, type },
  });
}

export function notLustre(begin: Begin | undefined): ZkeepError {
  const toName = begin?.toName ?? 'the stream';
  return new ZkeepError('refused', 'inspect.not-lustre', `${toName} is no target of a Lustre file system`, {
    advice: 'name the dataset of an MGT, an MDT or an OST: its root directory has CONFIGS or last_rcvd',
    facts: { name: toName },
  });
}

/** A stream that does not go on from the one before it, or an increment alone. */
export function notTheNext({ toName, fromGuid }: Begin, base: Begin | undefined): ZkeepError {
  const message = base
    ? `the stream of ${toName} does not go on from ${base.toName}`
    : `the stream of ${toName} is an increment, and what it goes on from was not given`;
  return new ZkeepError('refused', 'inspect.not-the-next', message, {
    advice: 'give the streams in order, the full one first: --stream FULL --stream INCREMENT',
    facts: { name: toName, from: fromGuid, before: base?.toGuid ?? null },
  });
}

/** What was needed lay before it was known, and the bytes come only once. */
export function readOnce(): ZkeepError {
  return new ZkeepError(
    'refused',
    'inspect.once',
    'a file of this target lies so early that the stream must be read twice, and a pipe comes only once',
    { advice: 'write the stream into a file, and give that: zkeep lustre inspect --stream FILE' },
  );
}
