/** What a runbook must know, and where an attribute manifest says it. */
import type { Attributes, HostAttributes, ParsedAttributes } from '../attributes/attributes.ts';
import { parseServiceName, registeredName } from './service-name.ts';
import type { LustreTarget } from './targets.ts';

/** Versions and names of a host, as far as they are known. */
export interface HostFacts {
  /** Of Lustre, e.g. `2.15.5`. */
  readonly lustre: string | null;
  /** Of the ZFS module, or else of its commands. */
  readonly zfs: string | null;
  readonly nids: readonly string[];
  /** `null`: there is none, or it is not known. */
  readonly hostid: string | null;
}

/** Everything that decides about the steps: the target as it was stored, and where it is now. */
export interface RunbookQuestion
  extends Pick<
    LustreTarget,
    'kind' | 'mgs' | 'fsname' | 'index' | 'service' | 'name' | 'state' | 'multihost'
  > {
  /** `lustre:mgsnode` as it was stored. */
  readonly mgsnode: string | null;
  /** `lustre:failover.node`, or nodes by which it is served. */
  readonly failover: string | null;
  /** What was restored, by its name when it was stored: `pool/dataset`. */
  readonly source: string;
  /** GUID of the snapshot, 16 hex digits, where it is known. */
  readonly guid: string | null;
  /** Where it is: `pool/dataset`. */
  readonly target: string;
  /** The host on which it was stored. */
  readonly stored: HostFacts;
  /** The host on which it is now; `null`: not known yet. */
  readonly here: HostFacts | null;
}

/** What is known besides the stored attributes. */
export interface RunbookPlace {
  /** Where the dataset is, or will be: `pool/dataset`. */
  readonly target: string;
  readonly guid?: string | null;
  /** What the host says of itself now. */
  readonly here?: HostAttributes | null;
}

/**
 * What the stored attributes of a dataset ask; `undefined` when it is no Lustre
 * target, or they do not say.
 *
 * @example const question = runbookQuestion(attributes, { target: 'newpool/mdt0' })
 */
export function runbookQuestion(
  { dataset, parsed }: Pick<Attributes, 'dataset' | 'parsed'>,
  { target, guid = null, here = null }: RunbookPlace,
): RunbookQuestion | undefined {
  const own = propertiesOf(parsed, dataset);
  const service = own.get('lustre:svname') ?? '';
  if (!parsed || service === '' || !(Number(own.get('lustre:version')) > 0)) return undefined;
  const flags = Number(own.get('lustre:flags') ?? 0);
  const known = parseServiceName(service);
  const kind = known?.kind ?? (flags & FLAGS.mdt ? 'mdt' : flags & FLAGS.ost ? 'ost' : 'mgt');
  return {
    kind,
    mgs: kind === 'mgt' || (flags & FLAGS.mgs) !== 0,
    fsname: known?.fsname ?? own.get('lustre:fsname') ?? null,
    index: known?.index ?? null,
    service,
    name: known ? registeredName(known) : service,
    state: known?.state ?? null,
    mgsnode: own.get('lustre:mgsnode') ?? null,
    failover: own.get('lustre:failover.node') ?? null,
    multihost: parsed.pool?.properties['multihost']?.value ?? null,
    source: dataset,
    guid,
    target,
    stored: hostFacts(parsed.host),
    here: here && hostFacts(here),
  };
}

/** Bits of `lustre:flags` (Lustre's `lustre_disk.h`). */
const FLAGS = { mdt: 0x1, ost: 0x2, mgs: 0x4 } as const;

/** What was the dataset's own: of a Lustre snapshot, the values are its own too, and say nothing of the dataset. */
function propertiesOf(parsed: ParsedAttributes | null, dataset: string): Map<string, string> {
  const object = parsed?.objects.find(({ name }) => name === dataset);
  const own = Object.entries(object?.properties ?? {}).filter(
    ([, { source }]) => source === 'local' || source === 'received',
  );
  return new Map(own.map(([name, { value }]) => [name, value]));
}

function hostFacts(host: HostAttributes | null): HostFacts {
  return {
    lustre: host?.lustre?.version ?? null,
    zfs: host?.zfs.module ?? host?.zfs.userland ?? null,
    nids: host?.lustre?.nids ?? [],
    hostid: host?.hostid ?? null,
  };
}
