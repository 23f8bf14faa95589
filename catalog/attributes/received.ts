/**
 * Property values in the form in which a package carries them: numbers for
 * native properties, also where `zfs get` prints a word, text for the rest
 * (OpenZFS `libzfs_sendrecv.c`, `send_iterate_prop`; `zcommon/zfs_prop.c`).
 */
import { bytesOfText } from './parsing/text.ts';

/** What a package can carry of some properties, and what it cannot. */
export interface Carried {
  readonly properties: ReadonlyMap<string, bigint | string | Uint8Array>;
  /** Those whose number is not known here. */
  readonly left: ReadonlyMap<string, string>;
}

/**
 * Puts values into the form of a package.
 *
 * @param values as `zfs get -p` prints them.
 * @example carriedInPackage(new Map([['atime', 'off']])).properties // atime: 0n
 */
export function carriedInPackage(values: ReadonlyMap<string, string>): Carried {
  const properties = new Map<string, bigint | string | Uint8Array>();
  const left = new Map<string, string>();
  for (const [property, value] of values) {
    const carried = carriedValue(property, value);
    if (carried === undefined) left.set(property, value);
    else properties.set(property, carried);
  }
  return { properties, left };
}

function carriedValue(property: string, value: string): bigint | string | Uint8Array | undefined {
  if (property.includes(':')) return value.isWellFormed() ? value : bytesOfText(value);
  if (TEXTS.has(property)) return value;
  if (NUMBERS.has(property)) return numberIn(value);
  if (property === 'compression' && Object.hasOwn(COMPRESSIONS, value)) return COMPRESSIONS[value];
  const words = Object.hasOwn(WORDS, property) ? WORDS[property] : undefined;
  const number = words?.indexOf(value) ?? -1;
  return number < 0 || value === '' ? undefined : BigInt(number);
}

function numberIn(value: string): bigint | undefined {
  if (value === 'none') return MOST;
  if (!/^[0-9]{1,20}$/.test(value)) return undefined;
  return BigInt(value);
}

/** How a limit that is none is stored; a quota that is none is printed as 0. */
const MOST = 0xffffffffffffffffn;

const TEXTS: ReadonlySet<string> = new Set(['mountpoint', 'sharenfs', 'sharesmb']);

const NUMBERS: ReadonlySet<string> = new Set([
  'quota',
  'refquota',
  'reservation',
  'refreservation',
  'recordsize',
  'special_small_blocks',
  'copies',
  'filesystem_limit',
  'snapshot_limit',
]);

const SWITCH = ['off', 'on'];

/** A level of zstd stands above the 7 bits of the method; the fast ones are left. */
const COMPRESSIONS: Readonly<Record<string, bigint>> = {
  gzip: 10n,
  ...Object.fromEntries(Array.from({ length: 19 }, (_, n) => [`zstd-${n + 1}`, 16n | (BigInt(n + 1) << 7n)])),
};

/** Words by their number; an empty place is a number that nobody prints. */
const WORDS: Readonly<Record<string, readonly string[]>> = {
  atime: SWITCH,
  relatime: SWITCH,
  devices: SWITCH,
  exec: SWITCH,
  setuid: SWITCH,
  readonly: SWITCH,
  vscan: SWITCH,
  nbmand: SWITCH,
  overlay: SWITCH,
  canmount: ['off', 'on', 'noauto'],
  // `enum zio_checksum`
  checksum: [
    '',
    'on',
    'off',
    '',
    '',
    '',
    'fletcher2',
    'fletcher4',
    'sha256',
    '',
    '',
    'sha512',
    'skein',
    'edonr',
    'blake3',
  ],
  // `enum zio_compress`
  compression: [
    '',
    'on',
    'off',
    'lzjb',
    '',
    ...Array.from({ length: 9 }, (_, n) => `gzip-${n + 1}`),
    'zle',
    'lz4',
    'zstd',
  ],
  dnodesize: ['legacy', 'auto'],
  logbias: ['latency', 'throughput'],
  primarycache: ['none', 'metadata', 'all'],
  secondarycache: ['none', 'metadata', 'all'],
  redundant_metadata: ['all', 'most', 'some', 'none'],
  snapdev: ['hidden', 'visible'],
  snapdir: ['hidden', 'visible', 'disabled'],
  sync: ['standard', 'always', 'disabled'],
  xattr: ['off', 'dir', 'sa'],
  aclinherit: ['discard', 'noallow', '', 'passthrough', 'restricted', 'passthrough-x'],
  aclmode: ['discard', '', 'groupmask', 'passthrough', 'restricted'],
  direct: ['disabled', 'standard', 'always'],
  prefetch: ['none', 'metadata', 'all'],
  volmode: ['default', 'full', 'dev', 'none'],
  acltype: ['off', 'posix', 'nfsv4'],
};
