/** The line to one bucket: the SDK's client, set up so that every S3 store understands it. */
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import type { Clock } from '../../../clock.ts';
import { ZkeepError } from '../../../errors.ts';
import type { Patience } from '../../../patience.ts';
import type { RetryPolicy } from '../../../retry.ts';
import type { Timeouts } from '../deadline.ts';
import type { S3Location } from '../location.ts';
import type { StoreAbilities } from '../store.ts';
import { type Credentials, credentialsFromFile } from './credentials.ts';

/** What may be set besides the location; every field has a default. */
export interface S3Options {
  readonly timeouts?: Timeouts;
  readonly retries?: RetryPolicy;
  /** Instead of these: that of a command, which waits for the store as long as it is told to. */
  readonly patience?: Patience;
  readonly clock?: Clock;
  /** What `probe` found out before; absent: found out when it is first needed. */
  readonly abilities?: StoreAbilities;
}

/** Where the requests for a bucket go, and what signs them. */
export interface Signing {
  /** Address of the bucket, without a slash at the end. */
  readonly url: URL;
  readonly region: string;
  readonly credentials: Credentials;
  /** The client's own SHA-256, from `node:crypto`. */
  readonly sha256: S3Client['config']['sha256'];
}

/** Connections to one store at the same time, at most. */
const CONNECTIONS = 32;

/** A client for the store at `location`; it opens no connection yet. */
export function connect(location: S3Location, timeouts: Timeouts): S3Client {
  const checksums = checksumsOf(location);
  const region = location.region ?? (location.endpoint === undefined ? undefined : 'us-east-1');
  const credentials = credentialsOf(location);
  return new S3Client({
    ...(region === undefined ? {} : { region }),
    ...(location.endpoint === undefined ? {} : { endpoint: location.endpoint }),
    ...(location.profile === undefined ? {} : { profile: location.profile }),
    ...(credentials === undefined ? {} : { credentials }),
    ...(checksums === undefined
      ? {}
      : { requestChecksumCalculation: checksums, responseChecksumValidation: checksums }),
    forcePathStyle: location.path_style ?? location.endpoint !== undefined,
    // One policy retries: catalog/retry.ts.
    maxAttempts: 1,
    // A clock that is wrong is told, not corrected for: grants are signed by the same clock.
    disableClockSkewCorrection: true,
    // It would cost a connection of its own for each larger object.
    expectContinueHeader: false,
    requestHandler: new NodeHttpHandler({
      connectionTimeout: timeouts.connect,
      // The only one that also covers the body of an answer (facts: SDK 3.1169).
      socketTimeout: timeouts.stall,
      httpAgent: { maxSockets: CONNECTIONS },
      httpsAgent: { maxSockets: CONNECTIONS },
    }),
  });
}

/** Whether the store is said to know the newer checksums (`x-amz-checksum-...`). */
export function knowsChecksums(location: S3Location): boolean {
  return (location.checksums ?? (location.endpoint === undefined ? 'supported' : 'required')) === 'supported';
}

/**
 * Where and with what to sign, as the client itself would.
 *
 * @throws {ZkeepError} `usage` without a region, `denied` without credentials.
 */
export async function signingOf(client: S3Client, location: S3Location): Promise<Signing> {
  try {
    const region = await client.config.region();
    const endpoint = await client.config.endpoint?.();
    const { url } = client.config.endpointProvider({
      Bucket: location.bucket,
      Region: region,
      ForcePathStyle: client.config.forcePathStyle === true,
      UseFIPS: false,
      ...(endpoint ? { Endpoint: locationOf(endpoint) } : {}),
    });
    return { url, region, credentials: await client.config.credentials(), sha256: client.config.sha256 };
  } catch (thrown) {
    throw explainSetUp(thrown) ?? thrown;
  }
}

/** What the SDK says when it has no region or no keys, in our words; `undefined` when it says something else. */
export function explainSetUp(thrown: unknown): ZkeepError | undefined {
  if (!(thrown instanceof Error)) return undefined;
  if (/^Region is missing/.test(thrown.message))
    return new ZkeepError('usage', 'store.no-region', 'no region is set for the S3 store', {
      advice: 'set region in the location, or AWS_REGION',
      cause: thrown,
    });
  if (thrown.name === 'CredentialsProviderError')
    return new ZkeepError('denied', 'store.no-credentials', 'there are no credentials for the S3 store', {
      advice: 'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a credentials_file',
      cause: thrown,
    });
  return undefined;
}

function locationOf({ protocol, hostname, port, path }: EndpointParts): string {
  return `${protocol}//${hostname}${port === undefined ? '' : `:${port}`}${path === '/' ? '' : path}`;
}

interface EndpointParts {
  readonly protocol: string;
  readonly hostname: string;
  readonly port?: number | undefined;
  readonly path: string;
}

/** `undefined` leaves the choice to the SDK and its environment. */
function checksumsOf(location: S3Location): 'WHEN_REQUIRED' | 'WHEN_SUPPORTED' | undefined {
  if (location.checksums === undefined && location.endpoint === undefined) return undefined;
  return knowsChecksums(location) ? 'WHEN_SUPPORTED' : 'WHEN_REQUIRED';
}

/** `undefined` leaves it to the SDK: environment, shared files, the machine's role. */
function credentialsOf(location: S3Location): S3ClientConfig['credentials'] {
  const { access_key_id, secret_access_key, session_token, credentials_file, profile = 'default' } = location;
  if (access_key_id !== undefined && secret_access_key !== undefined)
    return {
      accessKeyId: access_key_id,
      secretAccessKey: secret_access_key,
      ...(session_token === undefined ? {} : { sessionToken: session_token }),
    };
  if (credentials_file === undefined) return undefined;
  return () => credentialsFromFile(credentials_file, profile);
}
