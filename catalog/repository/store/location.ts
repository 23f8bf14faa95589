/** Where a repository lies: read from a text or a configuration, and opened. */
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ZkeepError } from '../../errors.ts';
import { DirectoryStore } from './directory-store.ts';
import { isName, MAX_KEY } from './key.ts';
import type { S3Options } from './s3/connection.ts';
import type { ObjectStore } from './store.ts';

/** A folder of this machine. */
export interface DirectoryLocation {
  readonly type: 'directory';
  readonly path: string;
}

/** A bucket, or a part of it. The fields are the settings of the configuration; STORES.md explains them. */
export interface S3Location {
  readonly type: 's3';
  readonly bucket: string;
  readonly prefix?: string;
  /** `http://host:port` or `https://host`; absent: AWS. */
  readonly endpoint?: string;
  readonly region?: string;
  /** `https://host/bucket` instead of `https://bucket.host`; by default where there is an endpoint. */
  readonly path_style?: boolean;
  readonly storage_class?: string;
  /** `supported`: the newer checksums as well; by default where there is no endpoint. */
  readonly checksums?: 'required' | 'supported';
  readonly access_key_id?: string;
  readonly secret_access_key?: string;
  readonly session_token?: string;
  readonly credentials_file?: string;
  /** In the credentials file, or in those of the AWS tools. */
  readonly profile?: string;
}

export type Location = DirectoryLocation | S3Location;

/**
 * Reads a location as a person writes it: a folder, `file:` or `s3:`.
 *
 * @example parseLocation('s3://bucket/prefix?endpoint=https://s3.example.org&region=eu')
 * @throws {ZkeepError} `usage`; the message never repeats a secret.
 */
export function parseLocation(text: string): Location {
  if (/^file:/i.test(text)) return { type: 'directory', path: pathOf(text) };
  if (/^s3:/i.test(text)) return checkLocation(parseS3(text));
  if (text === '' || /^[a-z][a-z0-9+.-]*:\/\//i.test(text))
    throw badLocation('it is neither a folder nor file: nor s3:');
  return { type: 'directory', path: resolve(text) };
}

/**
 * Gives back a location whose parts fit together, its prefix without slashes at the ends.
 *
 * @throws {ZkeepError} `usage`, naming the setting.
 */
export function checkLocation(location: Location): Location {
  if (location.type === 'directory') {
    if (location.path === '') throw badLocation('path is empty');
    return location;
  }
  if (!BUCKET.test(location.bucket))
    throw badLocation(`${JSON.stringify(location.bucket)} is no name of a bucket`);
  const prefix = (location.prefix ?? '').replace(/^\/+|\/+$/g, '');
  if (prefix !== '' && (prefix.length > MAX_KEY || !prefix.split('/').every(isName)))
    throw badLocation(
      'prefix may hold names of ASCII letters, digits, - _ and . with single slashes between them',
    );
  if (location.endpoint !== undefined) checkEndpoint(location.endpoint);
  if ((location.access_key_id === undefined) !== (location.secret_access_key === undefined))
    throw badLocation('access_key_id and secret_access_key belong together');
  if (location.access_key_id !== undefined && location.credentials_file !== undefined)
    throw badLocation('there are both access_key_id and credentials_file');
  return { ...location, prefix };
}

/**
 * Opens the store at a location. The folder or the bucket must be there already; nothing is asked of it yet.
 *
 * @example const store = await openStore(parseLocation('/srv/zkeep'));
 */
export async function openStore(location: Location, options: S3Options = {}): Promise<ObjectStore> {
  const checked = checkLocation(location);
  if (checked.type === 'directory') return new DirectoryStore(checked.path, options.clock);
  // The AWS SDK is large: who keeps to a folder does not load it.
  const { S3Store } = await import('./s3-store.ts');
  return new S3Store(checked, options);
}

const BUCKET = /^[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]$/;
const TEXTS = ['endpoint', 'region', 'storage_class', 'credentials_file', 'profile'] as const;

function parseS3(text: string): S3Location {
  const url = urlOf(text);
  if (url.username || url.password || url.searchParams.has('secret_access_key'))
    throw badLocation('it holds keys, which everybody could read in the list of processes');
  const known = new Set<string>([...TEXTS, 'path_style', 'checksums']);
  for (const name of url.searchParams.keys())
    if (!known.has(name)) throw badLocation(`there is no setting ${JSON.stringify(name.slice(0, 40))}`);
  const given = (name: string) => url.searchParams.get(name) ?? undefined;
  const [path_style, checksums] = [given('path_style'), given('checksums')];
  return {
    type: 's3',
    bucket: url.host,
    prefix: url.pathname,
    ...Object.fromEntries(TEXTS.flatMap((name) => (given(name) === undefined ? [] : [[name, given(name)]]))),
    ...(path_style === undefined ? {} : { path_style: booleanOf(path_style) }),
    ...(checksums === undefined ? {} : { checksums: checksumsOf(checksums) }),
  };
}

function urlOf(text: string): URL {
  if (!URL.canParse(text)) throw badLocation('it is no address');
  return new URL(text);
}

function pathOf(text: string): string {
  try {
    return fileURLToPath(text);
  } catch (cause) {
    throw badLocation('it is no file: address of this machine', cause);
  }
}

function booleanOf(text: string): boolean {
  if (text !== 'true' && text !== 'false') throw badLocation('path_style is either true or false');
  return text === 'true';
}

function checksumsOf(text: string): 'required' | 'supported' {
  if (text !== 'required' && text !== 'supported')
    throw badLocation('checksums is either required or supported');
  return text;
}

function checkEndpoint(endpoint: string): void {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || url.search || url.hash)
    throw badLocation('endpoint is to look like https://host or http://host:port');
  if (url.username || url.password) throw badLocation('endpoint holds keys; they do not belong there');
}

function badLocation(reason: string, cause?: unknown): ZkeepError {
  return new ZkeepError('usage', 'store.bad-location', `this is no place for a repository: ${reason}`, {
    advice:
      'give a folder or s3://bucket/prefix?endpoint=...&region=...; keys come from the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY) or a credentials_file',
    cause,
  });
}
