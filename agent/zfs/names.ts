/**
 * Names of datasets, snapshots and bookmarks: checked before any command sees
 * them (facts: OpenZFS `zfs_namecheck.c`). A name begins with the pool's, and
 * that with a letter, so no name can be taken for an option.
 */
import { ZkeepError } from '../../catalog/errors.ts';

/** Longest full name, bytes (`ZFS_MAX_DATASET_NAME_LEN` less its closing zero). */
const MAX_NAME = 255;
const COMPONENT = /^[A-Za-z0-9_.: -]+$/;

/** A dataset and the snapshot or bookmark of it. */
export interface Point {
  readonly dataset: string;
  readonly kind: 'snapshot' | 'bookmark';
  /** The part after `@` or `#`. */
  readonly name: string;
}

/**
 * Checks the name of a file system or volume.
 *
 * @throws {ZkeepError} `usage` with the reason, when ZFS could not have such a dataset.
 * @example parseDataset('tank/home of ann') // the same text
 */
export function parseDataset(text: string): string {
  const snapshot = /^([^@#]+)[@#](.+)$/.exec(text);
  if (snapshot?.[1] && snapshot[2]) {
    throw notADataset(
      text,
      'it names a snapshot',
      `give ${snapshot[1]}; where one snapshot is meant, with --snapshot ${snapshot[2]}`,
    );
  }
  if (!/^[A-Za-z]/.test(text)) throw notADataset(text, 'it does not begin with the letter of a pool');
  checkParts(text, text.split('/'));
  return text;
}

/** Checks a snapshot's name, the part after `@`; takes one leading `@` away. */
export function parseSnapshotName(text: string): string {
  const name = text.startsWith('@') ? text.slice(1) : text;
  checkParts(text, [name]);
  return name;
}

/**
 * Takes `pool/dataset@name` or `pool/dataset#name` apart, as `zfs list` prints it.
 *
 * @throws {ZkeepError} `usage` when it is neither.
 */
export function parsePoint(text: string): Point {
  const at = text.search(/[@#]/);
  if (at < 0) throw notADataset(text, 'it names neither a snapshot nor a bookmark');
  const dataset = parseDataset(text.slice(0, at));
  const name = text.slice(at + 1);
  checkParts(text, [name]);
  return { dataset, kind: text[at] === '@' ? 'snapshot' : 'bookmark', name };
}

/** The pool of a dataset. */
export function poolOf(dataset: string): string {
  return dataset.split(/[/@#]/, 1)[0] ?? dataset;
}

/** The dataset above, or `undefined` for a pool's own. */
export function parentOf(dataset: string): string | undefined {
  const slash = dataset.lastIndexOf('/');
  return slash < 0 ? undefined : dataset.slice(0, slash);
}

function checkParts(text: string, parts: readonly string[]): void {
  if (Buffer.byteLength(text) > MAX_NAME) throw notADataset(text, `it is longer than ${MAX_NAME} bytes`);
  for (const part of parts) {
    if (part === '') throw notADataset(text, 'a part of it is empty');
    if (part === '.' || part === '..') throw notADataset(text, `a part of it is "${part}"`);
    if (!COMPONENT.test(part)) throw notADataset(text, `it holds ${strangeIn(part)}`);
  }
}

function strangeIn(part: string): string {
  const strange = [...part].find((character) => !COMPONENT.test(character)) ?? part;
  return JSON.stringify(strange);
}

function notADataset(text: string, why: string, advice?: string): ZkeepError {
  const shown = JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}...` : text);
  return new ZkeepError('usage', 'zfs.bad-name', `${shown} cannot be a name in ZFS: ${why}`, {
    advice:
      advice ?? 'letters, digits, spaces and - _ . : are allowed; zfs list shows the names of this host',
    facts: { name: text.slice(0, 300) },
  });
}
