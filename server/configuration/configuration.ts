/** What the service is told: a TOML file, checked whole, with a default for everything. */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { type Static, Type } from 'typebox';
import { messageOf, ZkeepError } from '../../catalog/errors.ts';
import { DEFAULT_PORT } from '../../catalog/protocol/protocol.ts';
import { checkToml, parseToml, type TomlPlace, wrongKey } from '../../catalog/toml.ts';
import { type JobSettings, JobsSchema, jobSettings } from './jobs.ts';

const closed = { additionalProperties: false };
const Text = Type.String({ minLength: 1, maxLength: 4096 });

const DirectoryStoreSchema = Type.Object(
  {
    type: Type.Literal('directory'),
    /** A folder; default `repository` in the data folder. */
    path: Type.Optional(Text),
  },
  closed,
);

const S3StoreSchema = Type.Object(
  {
    type: Type.Literal('s3'),
    bucket: Text,
    prefix: Type.Optional(Type.String({ maxLength: 900 })),
    endpoint: Type.Optional(
      Type.String({ pattern: '^https?://.+', description: 'an address such as https://s3.example.org' }),
    ),
    region: Type.Optional(Text),
    path_style: Type.Optional(Type.Boolean()),
    storage_class: Type.Optional(Text),
    /** `required`: only where the request cannot do without, for stores that do not know the new checksums. */
    checksums: Type.Optional(Type.Union([Type.Literal('supported'), Type.Literal('required')])),
    /** A file in the form of `~/.aws/credentials`; default: the environment. */
    credentials_file: Type.Optional(Text),
    /** The section of that file; default `default`. */
    profile: Type.Optional(Text),
  },
  closed,
);

const LimitsSchema = Type.Object(
  {
    /** Seconds in which a request must have come in whole. */
    request_seconds: Type.Optional(Type.Integer({ minimum: 1, maximum: 86_400 })),
    /** Seconds after which a silent connection is closed. */
    idle_seconds: Type.Optional(Type.Integer({ minimum: 1, maximum: 3_600 })),
    /** Seconds in which a service that is to stop finishes its requests. */
    stop_seconds: Type.Optional(Type.Integer({ minimum: 1, maximum: 600 })),
    /** Seconds for which a grant by the service itself is good. */
    grant_seconds: Type.Optional(Type.Integer({ minimum: 10, maximum: 3_600 })),
    /** Most backups open at once. */
    open_backups: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000 })),
  },
  closed,
);

const FileSchema = Type.Object(
  {
    listen: Type.Optional(Text),
    data: Type.Optional(Text),
    public_url: Type.Optional(
      Type.String({
        pattern: '^https?://[^/?#]+(/[^?#]*)?$',
        description: 'an address without ? and #, such as https://zkeep.example.org',
      }),
    ),
    log_level: Type.Optional(
      Type.Union(['error', 'warn', 'info', 'debug'].map((level) => Type.Literal(level))),
    ),
    recipients: Type.Optional(Type.Array(Text, { maxItems: 100 })),
    // Checked by its own type's schema, so that the error names the key and not the union.
    store: Type.Optional(Type.Object({ type: Type.Union([Type.Literal('directory'), Type.Literal('s3')]) })),
    limits: Type.Optional(LimitsSchema),
    ...JobsSchema,
  },
  closed,
);

export type S3Settings = Static<typeof S3StoreSchema>;
export type StoreSettings = { readonly type: 'directory'; readonly path: string } | S3Settings;
export type Limits = Required<Static<typeof LimitsSchema>>;

/** Everything that the service is told. */
export interface Configuration {
  readonly listen: { readonly host: string; readonly port: number };
  /** Folder of `service.db`, the index, and the repository when nothing else is said. */
  readonly data: string;
  /** How agents reach the service, without a slash at the end; `undefined`: as it listens. */
  readonly publicUrl: string | undefined;
  readonly logLevel: string;
  /** age recipients that a repository gets when it is created. */
  readonly recipients: readonly string[];
  readonly store: StoreSettings;
  readonly limits: Limits;
  readonly jobs: JobSettings;
}

/** What the command line says about the configuration. */
export interface ConfigurationOptions {
  /** A file that must be there. */
  readonly file?: string | undefined;
  readonly data?: string | undefined;
  readonly port?: number | undefined;
}

/** Read when no file is named and it is there. */
const USUAL_FILE = '/etc/zkeep/server.toml';

/**
 * The configuration from the file that is named, by the command line or by
 * `ZKEEP_SERVER_CONFIG`; else from `/etc/zkeep/server.toml`; else the defaults.
 *
 * @throws {ZkeepError} `usage` with file, key and what is wrong, `missing` when a named file is not there.
 */
export function loadConfiguration(
  options: ConfigurationOptions = {},
  environment: NodeJS.ProcessEnv = process.env,
): Configuration {
  const named = options.file || environment['ZKEEP_SERVER_CONFIG'];
  const text = readText(named || USUAL_FILE, Boolean(named));
  const configuration = parseConfiguration(text ?? '', named || USUAL_FILE, {
    data: options.data ?? usualData(environment),
    dataIsChosen: options.data !== undefined,
  });
  if (options.port === undefined) return configuration;
  return { ...configuration, listen: { ...configuration.listen, port: options.port } };
}

/**
 * The configuration that a TOML text says. Relative paths in it start from the file's folder.
 *
 * @param data the data folder when the file names none, or always when it is chosen.
 * @throws {ZkeepError} `usage`.
 */
export function parseConfiguration(
  text: string,
  file: string,
  { data, dataIsChosen = false }: { readonly data: string; readonly dataIsChosen?: boolean },
): Configuration {
  const place = placeIn(file);
  const said = checkToml(FileSchema, parseToml(text, file), place);
  const inFile = (path: string) => (isAbsolute(path) ? path : join(dirname(resolve(file)), path));
  const folder = said.data && !dataIsChosen ? inFile(said.data) : resolve(data);
  const listen = parseListen(said.listen ?? `127.0.0.1:${DEFAULT_PORT}`, file);
  const store = storeSettings(said.store ?? { type: 'directory' }, folder, inFile, file);
  if (isEverywhere(listen.host) && !said.public_url && store.type === 'directory') {
    throw wrongKey(place, 'public_url', 'is needed, because agents cannot connect to a wildcard address');
  }
  return {
    listen,
    data: folder,
    publicUrl: said.public_url?.replace(/\/+$/, ''),
    logLevel: said.log_level ?? 'info',
    recipients: said.recipients ?? [],
    store,
    limits: { ...DEFAULT_LIMITS, ...said.limits },
    jobs: jobSettings(said, place, inFile),
  };
}

/** The time for a request covers a segment of 1 GiB at 10 Mbit/s; a grant lives as long as one from S3. */
const DEFAULT_LIMITS: Limits = {
  request_seconds: 900,
  idle_seconds: 300,
  stop_seconds: 10,
  grant_seconds: 900,
  open_backups: 10_000,
};

function usualData(environment: NodeJS.ProcessEnv): string {
  if (process.getuid?.() === 0) return '/var/lib/zkeep';
  return join(environment['XDG_DATA_HOME'] || join(homedir(), '.local', 'share'), 'zkeep');
}

function readText(file: string, named: boolean): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (thrown) {
    // One that is there and cannot be read must not silently mean the defaults.
    if (!named && isAbsent(thrown)) return undefined;
    throw new ZkeepError('missing', 'configuration.unreadable', `cannot read ${file}: ${messageOf(thrown)}`, {
      advice: 'check --config and ZKEEP_SERVER_CONFIG',
      facts: { file },
      cause: thrown,
    });
  }
}

function isAbsent(thrown: unknown): boolean {
  return thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT';
}

function placeIn(file: string): TomlPlace {
  return { file, reader: 'zkeep-server', page: 'server/configuration/CONFIGURATION.md' };
}

function storeSettings(
  said: { readonly type: 'directory' | 's3' },
  data: string,
  inFile: (path: string) => string,
  file: string,
): StoreSettings {
  if (said.type === 'directory') {
    const { path } = checkToml(DirectoryStoreSchema, said, { ...placeIn(file), section: 'store' });
    return { type: 'directory', path: path ? inFile(path) : join(data, 'repository') };
  }
  const settings = checkToml(S3StoreSchema, said, { ...placeIn(file), section: 'store' });
  return settings.credentials_file
    ? { ...settings, credentials_file: inFile(settings.credentials_file) }
    : settings;
}

function parseListen(text: string, file: string): { host: string; port: number } {
  const found = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+)):([0-9]{1,5})$/.exec(text);
  const host = found?.[1] ?? found?.[2];
  const port = Number(found?.[3]);
  if (!host || port > 65_535)
    throw wrongKey(placeIn(file), 'listen', `is not "host:port" or "[address]:port": ${text}`);
  return { host, port };
}

/** Whether it is a wildcard address, to which nobody can connect. */
export function isEverywhere(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}
