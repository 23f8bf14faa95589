/** What was stored about the properties of what a restore brings back. */
import type {
  Attributes,
  ObjectAttributes,
  ParsedAttributes,
  PoolAttributes,
} from '../../catalog/attributes/attributes.ts';
import { parseOutputs } from '../../catalog/attributes/parsing/outputs.ts';
import type { BackupSummary } from '../../catalog/protocol/protocol.ts';
import { type Digest, type Guid, guidOfDecimal } from '../../catalog/words.ts';
import type { CatalogView } from '../view/view.ts';

/** A snapshot with what was stored about it. */
export interface StoredSnapshot {
  readonly guid: Guid;
  /** The part after `@` that it has once it is received. */
  readonly name: string;
  readonly object: ObjectAttributes;
}

/** Everything, as far as it was stored. */
export interface Stored {
  /** The dataset at the moment of the wanted snapshot; `null`: no attributes were stored with it. */
  readonly dataset: ObjectAttributes | null;
  readonly snapshots: readonly StoredSnapshot[];
  readonly pool: PoolAttributes | null;
  /** Version of the ZFS that told it, e.g. `2.3.9-0+deb13u1`. */
  readonly version: string | null;
  /** All that was stored with the wanted snapshot, taken apart. */
  readonly parsed: ParsedAttributes | null;
}

export const NOTHING_STORED: Stored = {
  dataset: null,
  snapshots: [],
  pool: null,
  version: null,
  parsed: null,
};

/** Attributes that are read at the same time. */
const AT_ONCE = 4;

/**
 * Reads what was stored with backups.
 *
 * @param chain those whose snapshots stand at the target in the end; the last one's dataset is meant.
 */
export async function readStored(view: CatalogView, chain: readonly BackupSummary[]): Promise<Stored> {
  const parsed = await readParsed(view, chain);
  const wanted = chain.at(-1);
  const last = wanted?.attributes ? parsed.get(wanted.attributes) : undefined;
  if (!wanted || !last) return NOTHING_STORED;
  return {
    dataset: datasetIn(last),
    snapshots: chain.flatMap((backup) => {
      const found = backup.attributes ? parsed.get(backup.attributes) : undefined;
      const object = found && snapshotIn(found, backup);
      return object ? [{ guid: backup.to, name: backup.name, object }] : [];
    }),
    pool: last.pool,
    version: last.host?.zfs.userland ?? last.host?.zfs.module ?? null,
    parsed: last,
  };
}

async function readParsed(
  view: CatalogView,
  chain: readonly BackupSummary[],
): Promise<Map<Digest, ParsedAttributes>> {
  const digests = [...new Set(chain.flatMap(({ attributes }) => attributes ?? []))];
  const read = new Map<Digest, ParsedAttributes>();
  for (let at = 0; at < digests.length; at += AT_ONCE) {
    const some = digests.slice(at, at + AT_ONCE);
    const found = await Promise.all(some.map(async (digest) => parsedOf(await view.attributes(digest))));
    found.forEach((parsed, index) => {
      const digest = some[index];
      if (digest !== undefined) read.set(digest, parsed);
    });
  }
  return read;
}

/** Older ones hold the outputs alone. */
function parsedOf({ parsed, dataset, outputs }: Attributes): ParsedAttributes {
  return parsed ?? parseOutputs(dataset, outputs);
}

function datasetIn({ objects }: ParsedAttributes): ObjectAttributes | null {
  return objects.find(({ kind }) => kind === 'filesystem' || kind === 'volume') ?? null;
}

/** By GUID: its name may have been another when it was stored than in the stream. */
function snapshotIn(
  { objects }: ParsedAttributes,
  { to, name }: BackupSummary,
): ObjectAttributes | undefined {
  const snapshots = objects.filter(({ kind }) => kind === 'snapshot');
  return (
    snapshots.find(({ properties }) => isGuid(properties['guid']?.value, to)) ??
    snapshots.find((object) => object.name.endsWith(`@${name}`))
  );
}

function isGuid(value: string | undefined, guid: Guid): boolean {
  return value !== undefined && /^[0-9]{1,20}$/.test(value) && guidOfDecimal(value) === guid;
}
