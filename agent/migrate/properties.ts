/** Which properties a migrated dataset gets, and by which way: what a stream does not carry. */
import type { ObjectAttributes, ParsedAttributes } from '../../catalog/attributes/attributes.ts';
import { carriedInPackage } from '../../catalog/attributes/received.ts';
import {
  commandsFor,
  planSettings,
  receivedAsLocal,
  type SetProperty,
  type SkippedProperty,
} from '../../catalog/attributes/settings-plan.ts';
import type { ZfsHere } from '../../catalog/attributes/zfs-here.ts';
import { ZkeepError } from '../../catalog/errors.ts';
import type { NvList } from '../../catalog/stream/nvlist.ts';

/** What is done about the properties of the target. */
export interface MigratedProperties {
  /** The source as it is. */
  readonly stored: ObjectAttributes;
  /** The snapshots that move with it, as they are. */
  readonly history: readonly ObjectAttributes[];
  /** To be set once the data has come. */
  readonly settings: readonly SetProperty[];
  readonly commands: readonly (readonly string[])[];
  /** What the stream is to bring as received; `null` where there is nothing such. */
  readonly received: NvList | null;
  readonly skipped: readonly SkippedProperty[];
}

/**
 * Decides about the properties: local ones are set, received ones come with the stream.
 *
 * @param swapped this machine is big-endian: its streams cannot be put into a package, so received ones are set.
 * @throws {ZkeepError} `failed` when nothing is known of the source.
 */
export function decideProperties(question: {
  readonly source: string;
  readonly target: string;
  readonly parsed: ParsedAttributes;
  readonly history: readonly ObjectAttributes[];
  readonly here: ZfsHere;
  readonly takeMountpoint: boolean;
  readonly swapped: boolean;
}): MigratedProperties {
  const { source, target, parsed, history, here, takeMountpoint, swapped } = question;
  const stored = parsed.objects.find(({ name }) => name === source);
  if (!stored) throw nothingKnown(source);
  const options = { mountpoint: takeMountpoint };
  const plan = planSettings({ stored, snapshots: history, target, here, there: here.version, options });
  const values = plan.received.get(target) ?? new Map<string, string>();
  const { properties, left } = swapped ? { properties: new Map(), left: values } : carriedInPackage(values);
  // The stream that brings the dataset's is that of a new snapshot; those of older ones are set.
  const others = new Map([...plan.received, [target, left]]);
  const settings = [...plan.settings, ...receivedAsLocal(others, plan.settings)];
  return {
    stored,
    history,
    settings,
    commands: commandsFor(settings),
    received: properties.size > 0 ? properties : null,
    skipped: plan.skipped,
  };
}

function nothingKnown(source: string): ZkeepError {
  return new ZkeepError(
    'failed',
    'migrate.no-properties',
    `zfs get says nothing of ${source} that zkeep can read`,
    {
      advice: `see what "zfs get -Hp all ${source}" prints; zkeep knows OpenZFS 2.0 to 2.4`,
      facts: { source },
    },
  );
}
