/** Where the keys of an S3 store come from when they are not in the configuration itself. */
import { readFile } from 'node:fs/promises';
import { messageOf, ZkeepError } from '../../../errors.ts';

/** What signs requests. */
export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  /** When the file is to be read again. */
  readonly expiration?: Date;
}

/** How long keys from a file are used before it is read again (milliseconds), so that they can be rotated. */
const KEPT = 10 * 60_000;

/**
 * Reads one profile of a credentials file as the AWS tools write it.
 *
 * @throws {ZkeepError} `usage` when the file cannot be read or has no such keys; nothing of its content is told.
 * @example await credentialsFromFile('/etc/zkeep/credentials', 'default')
 */
export async function credentialsFromFile(file: string, profile: string): Promise<Credentials> {
  const settings = profileOf(await read(file), profile);
  const accessKeyId = settings.get('aws_access_key_id');
  const secretAccessKey = settings.get('aws_secret_access_key');
  const sessionToken = settings.get('aws_session_token');
  if (!accessKeyId || !secretAccessKey) throw noKeys(file, `has no keys for the profile ${profile}`);
  const expiration = new Date(Date.now() + KEPT);
  return { accessKeyId, secretAccessKey, expiration, ...(sessionToken ? { sessionToken } : {}) };
}

async function read(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (thrown) {
    throw noKeys(file, `cannot be read: ${messageOf(thrown)}`, thrown);
  }
}

function profileOf(text: string, profile: string): Map<string, string> {
  const settings = new Map<string, string>();
  let inside = false;
  for (const line of text.split(/\r?\n/)) {
    const heading = /^\s*\[\s*([^\]]*?)\s*\]/.exec(line);
    if (heading) inside = heading[1] === profile;
    const [, name, value] = /^\s*(\w+)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (inside && name && value) settings.set(name.toLowerCase(), value);
  }
  return settings;
}

function noKeys(file: string, what: string, cause?: unknown): ZkeepError {
  return new ZkeepError('usage', 'store.no-credentials', `the credentials file ${file} ${what}`, {
    advice: 'it needs [profile], aws_access_key_id = ... and aws_secret_access_key = ...',
    facts: { file },
    cause,
  });
}
