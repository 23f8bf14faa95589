/** Settings in the tables: what an attribute manifest says that lasts, kept once per content. */
import { hash } from 'node:crypto';
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { type Attributes, MAX_ATTRIBUTES } from '../../attributes/attributes.ts';
import { type Setting, settingsOf } from '../../attributes/difference.ts';
import { canonicalJson } from '../../repository/repository.ts';
import type { Digest } from '../../words.ts';

/** The settings of one attribute manifest, as they are kept. */
export interface KeptSettings {
  /** SHA-256 of their canonical JSON. */
  readonly digest: string;
  readonly json: string;
}

/** What was read of an attribute manifest. */
export interface ReadAttributes {
  /** The manifest's digest. */
  readonly attributes: Digest;
  /** `null`: nothing could be made of it. */
  readonly settings: KeptSettings | null;
}

/** What the index keeps of an attribute manifest. */
export function settingsIn(digest: Digest, { parsed, dataset }: Attributes): ReadAttributes {
  if (parsed === null) return { attributes: digest, settings: null };
  const json = canonicalJson(withoutItsName(settingsOf(parsed, dataset)));
  return { attributes: digest, settings: { digest: hash('sha256', json), json } };
}

/** Settings as a row of the table holds them: JSON of some tens of KiB that says much alike again and again. */
export function packSettings({ json }: KeptSettings): Buffer {
  return zstdCompressSync(json, { params: { [constants.ZSTD_c_checksumFlag]: 1 } });
}

/** The settings in a row of the table. */
export function unpackSettings(content: Buffer): Setting[] {
  return JSON.parse(zstdDecompressSync(content, { maxOutputLength: MAX_ATTRIBUTES }).toString());
}

/** What a backup's own settings are of all that its manifest tells. */
export interface Labels {
  readonly dataset: string;
  /** Of its snapshot. */
  readonly name: string;
}

/** The settings as those of one backup: of several snapshots that a file may tell of, only its own. */
export function settingsOfBackup(settings: readonly Setting[], { dataset, name }: Labels): Setting[] {
  return settings.flatMap((setting) => {
    if (setting.scope !== 'snapshot') return [setting];
    const told = setting.name.slice(setting.name.indexOf('@') + 1);
    return told === '' || told === name ? [{ ...setting, name: `${dataset}@${name}` }] : [];
  });
}

/** Where only one snapshot is told of, it goes without its name, so that the next backup's settings are the same. */
function withoutItsName(settings: readonly Setting[]): Setting[] {
  const names = new Set(settings.flatMap(({ scope, name }) => (scope === 'snapshot' ? [name] : [])));
  if (names.size !== 1) return [...settings];
  return settings.map((setting) => (setting.scope === 'snapshot' ? { ...setting, name: '@' } : setting));
}
