/**
 * The attribute manifest, format 1: what a stream does not carry. Raw, as the
 * words of the commands that told it, and parsed beside them. Stored once per
 * content, by digest.
 */
import { type Static, Type } from 'typebox';
import { checker, Nullable } from '../schema.ts';

/** Largest canonical JSON text of one attribute manifest, bytes. */
export const MAX_ATTRIBUTES = 64 * 1024 * 1024;

/** One command, or one file (`['cat', PATH]`), and what it printed. */
export const CommandOutputSchema = Type.Object({
  /** The command as it was run, an argument each. */
  command: Type.Array(Type.String(), { minItems: 1 }),
  exit: Type.Integer(),
  /** Standard output; base64 when it is not UTF-8 (user properties are arbitrary bytes). */
  output: Type.String(),
  encoding: Type.Union([Type.Literal('utf8'), Type.Literal('base64')]),
  /** Standard error, cut at 4,096 characters, when the command failed; when it did not, what was left out of its output. */
  error: Type.Optional(Type.String()),
});
export type CommandOutput = Static<typeof CommandOutputSchema>;

/** Where a property's value comes from, in ZFS's words; `none` is its "-". */
export const PropertySourceSchema = Type.Union([
  Type.Literal('none'),
  Type.Literal('default'),
  Type.Literal('local'),
  Type.Literal('inherited'),
  Type.Literal('received'),
  Type.Literal('temporary'),
]);
export type PropertySource = Static<typeof PropertySourceSchema>;

/** One property of a dataset, snapshot or bookmark. */
export const PropertySchema = Type.Object({
  /** As `-p` prints it. A byte that is not UTF-8 stands as U+DC80 to U+DCFF (its value + 0xDC00). */
  value: Type.String(),
  source: PropertySourceSchema,
  /** The dataset that it is inherited from. */
  from: Type.Optional(Type.String()),
  /** The received value, where there is one; it may be hidden by a local value. */
  received: Type.Optional(Type.String()),
});
export type Property = Static<typeof PropertySchema>;

/** A dataset, snapshot or bookmark with all its properties; those that nobody knows are kept as well. */
export const ObjectAttributesSchema = Type.Object({
  /** `pool/dataset`, `pool/dataset@snapshot` or `pool/dataset#bookmark`. */
  name: Type.String({ maxLength: 1024 }),
  kind: Type.Union([
    Type.Literal('filesystem'),
    Type.Literal('volume'),
    Type.Literal('snapshot'),
    Type.Literal('bookmark'),
  ]),
  properties: Type.Record(Type.String(), PropertySchema),
});
export type ObjectAttributes = Static<typeof ObjectAttributesSchema>;

/** One vdev. A pool's tree is the list of them as `zpool` prints it: each is followed by its children. */
export const VdevSchema = Type.Object({
  /** 0 for a top-level vdev, 1 for its children, ... */
  level: Type.Integer({ minimum: 0, maximum: 16 }),
  /** `mirror`, `raidz2`, `draid2:4d:8c:1s`, `disk`, `file`, `replacing`, `spare`, ...; `disk` where only a path is known. */
  type: Type.String(),
  /** As `zpool list -vP` names it: a path, or `mirror-0`. */
  name: Type.String(),
  /** What it is there for. */
  role: Type.Union([
    Type.Literal('data'),
    Type.Literal('log'),
    Type.Literal('cache'),
    Type.Literal('spare'),
    Type.Literal('special'),
    Type.Literal('dedup'),
  ]),
  state: Nullable(Type.String()),
  /** Bytes, decimal digits. */
  size: Nullable(Type.String()),
  /** 9 to 16, where `zdb -C` told. */
  ashift: Nullable(Type.Integer()),
});
export type Vdev = Static<typeof VdevSchema>;

/** A pool. */
export const PoolAttributesSchema = Type.Object({
  name: Type.String(),
  /** Decimal digits. */
  guid: Nullable(Type.String()),
  health: Nullable(Type.String()),
  /** All of `zpool get all`, features (`feature@...`) among them. */
  properties: Type.Record(Type.String(), PropertySchema),
  /** Empty where nothing told them (a file made by hand). */
  vdevs: Type.Array(VdevSchema),
});
export type PoolAttributes = Static<typeof PoolAttributesSchema>;

/** What a Lustre server says of itself. */
export const LustreHostSchema = Type.Object({
  version: Nullable(Type.String()),
  nids: Type.Array(Type.String()),
  mounts: Type.Array(Type.Object({ device: Type.String(), mountpoint: Type.String() })),
});
export type LustreHost = Static<typeof LustreHostSchema>;

/** The host beside the pool. */
export const HostAttributesSchema = Type.Object({
  name: Type.String(),
  /** `PRETTY_NAME` of os-release, or what `uname` says. */
  os: Nullable(Type.String()),
  kernel: Nullable(Type.String()),
  /** `zfs version`: of the commands and of the module, without their prefixes, e.g. `2.3.9-0+deb13u1`. */
  zfs: Type.Object({ userland: Nullable(Type.String()), module: Nullable(Type.String()) }),
  /** 8 hex digits; `null` where there is none, as `multihost` needs one. */
  hostid: Nullable(Type.String({ pattern: '^[0-9a-f]{8}$' })),
  /** Module parameters, by name. */
  parameters: Type.Record(Type.String(), Type.String()),
  /** `null` where there is no Lustre. */
  lustre: Nullable(LustreHostSchema),
});
export type HostAttributes = Static<typeof HostAttributesSchema>;

/** What the outputs say, taken apart. */
export const ParsedAttributesSchema = Type.Object({
  /** The dataset first, then its snapshots and bookmarks, of which that of the backup and the bookmarks have all properties. */
  objects: Type.Array(ObjectAttributesSchema),
  pool: Nullable(PoolAttributesSchema),
  host: Nullable(HostAttributesSchema),
});
export type ParsedAttributes = Static<typeof ParsedAttributesSchema>;

export const AttributesSchema = Type.Object({
  format: Type.Literal(1),
  /** What the outputs speak of: `pool/dataset`. */
  dataset: Type.String({ maxLength: 255 }),
  outputs: Type.Array(CommandOutputSchema, { maxItems: 1000 }),
  /** `null` where nothing could be made of them. */
  parsed: Nullable(ParsedAttributesSchema),
});
export type Attributes = Static<typeof AttributesSchema>;

export const parseAttributes = checker(AttributesSchema, 'the attribute manifest');
