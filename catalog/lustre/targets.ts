/** Lustre targets among the datasets of a host, from their `lustre:*` properties: what they are and what is wrong. */
import { isHost, type LdevEntry } from './ldev.ts';
import {
  parseServiceName,
  type Registration,
  registeredName,
  registrationInWords,
  type TargetKind,
} from './service-name.ts';

/** One property as `zfs get -Hp -o name,property,value,source` prints it. */
export interface PropertyLine {
  readonly dataset: string;
  readonly property: string;
  readonly value: string;
  /** `local`, `received`, `inherited from ...`, `-`. */
  readonly source: string;
}

/** What a host tells. */
export interface HostView {
  readonly host: string;
  readonly properties: readonly PropertyLine[];
  /** `multihost` by pool. */
  readonly multihost: ReadonlyMap<string, string>;
  /** Where Lustre has mounted a dataset. */
  readonly mounts: ReadonlyMap<string, string>;
  /** `undefined`: there is no ldev.conf. */
  readonly ldev: readonly LdevEntry[] | undefined;
}

/** A dataset that is a Lustre target. */
export interface LustreTarget {
  readonly dataset: string;
  readonly kind: TargetKind;
  /** It holds an MGT: alone, or together with an MDT. */
  readonly mgs: boolean;
  /** `null` for an MGT. */
  readonly fsname: string | null;
  readonly index: number | null;
  /** `lustre:svname`, as it stands there. */
  readonly service: string;
  /** The service by its registered name, the same on every host. */
  readonly name: string;
  /** `null` when the service name cannot be read. */
  readonly state: Registration | null;
  /** `lustre:flags`. */
  readonly flags: number;
  /** Where Lustre has mounted it; `null`: it does not serve. */
  readonly mount: string | null;
  /** `multihost` of its pool, `null` where that is not known. */
  readonly multihost: string | null;
  /** What is wrong with it, in words. */
  readonly problems: readonly string[];
}

/** The targets of a host, and what its `ldev.conf` says that is not so. */
export interface HostTargets {
  readonly host: string;
  readonly targets: readonly LustreTarget[];
  readonly problems: readonly string[];
  /** Services of all hosts, by file system; empty where there is no ldev.conf. */
  readonly ldev: readonly LdevEntry[];
}

/** The properties that are looked at. */
export const TARGET_PROPERTIES = [
  'lustre:version',
  'lustre:flags',
  'lustre:index',
  'lustre:fsname',
  'lustre:svname',
  'lustre:failover.node',
  'canmount',
  'mounted',
] as const;

/** Bits of `lustre:flags` (Lustre's `lustre_disk.h`). */
const FLAGS = { mdt: 0x1, ost: 0x2, mgs: 0x4 } as const;

/**
 * The targets among the datasets of a host, by name. A dataset counts when its
 * own `lustre:version` is above 0 and its own `lustre:svname` is not empty;
 * datasets that only inherit them do not.
 */
export function targetsOf(view: HostView): HostTargets {
  const byDataset = Map.groupBy(view.properties, ({ dataset }) => dataset);
  const targets = [...byDataset]
    .flatMap(([dataset, lines]) => targetOf(dataset, lines, view) ?? [])
    .toSorted((one, other) => (one.dataset < other.dataset ? -1 : 1));
  return { host: view.host, targets, problems: absentOf(view, targets), ldev: view.ldev ?? [] };
}

/** Reads the lines of `zfs get -Hp -o name,property,value,source`; what is no such line is left out. */
export function parsePropertyLines(printed: string): PropertyLine[] {
  return printed.split('\n').flatMap((line) => {
    const fields = line.split('\t');
    const [dataset, property] = fields;
    const source = fields.at(-1);
    if (fields.length < 4 || !dataset || !property || source === undefined) return [];
    return [{ dataset, property, value: fields.slice(2, -1).join('\t'), source }];
  });
}

/** The file systems that Lustre has mounted, device to mount point, from `/proc/mounts`. */
export function parseLustreMounts(text: string): Map<string, string> {
  const mounts = text.split('\n').map((line) => line.split(' '));
  return new Map(
    mounts.flatMap(([device = '', point = '', type]) =>
      type === 'lustre' || type === 'lustre_tgt' ? [[unescaped(device), unescaped(point)]] : [],
    ),
  );
}

function targetOf(dataset: string, lines: readonly PropertyLine[], view: HostView): LustreTarget | undefined {
  const own = new Map(
    lines.filter(({ source }) => !source.startsWith('inherited')).map((line) => [line.property, line]),
  );
  const value = (property: string) => own.get(property)?.value ?? '';
  const service = value('lustre:svname');
  if (!(numberOf(value('lustre:version')) ?? 0) || service === '' || service === '-') return undefined;
  const flags = numberOf(value('lustre:flags')) ?? 0;
  const parsed = parseServiceName(service);
  const kind = parsed?.kind ?? kindOf(flags);
  const fsname = kind === 'mgt' ? null : (parsed?.fsname ?? (value('lustre:fsname') || null));
  const index = kind === 'mgt' ? null : (parsed?.index ?? numberOf(value('lustre:index')));
  const target: Omit<LustreTarget, 'problems'> = {
    dataset,
    kind,
    mgs: kind === 'mgt' || (flags & FLAGS.mgs) !== 0,
    fsname,
    index,
    service,
    name: parsed ? registeredName(parsed) : service,
    state: parsed?.state ?? null,
    flags,
    mount: view.mounts.get(dataset) ?? null,
    multihost: view.multihost.get(poolOf(dataset)) ?? null,
  };
  return { ...target, problems: problemsOf(target, own, view) };
}

function problemsOf(
  target: Omit<LustreTarget, 'problems'>,
  own: ReadonlyMap<string, PropertyLine>,
  { ldev, host }: HostView,
): string[] {
  const value = (property: string) => toldOf(own.get(property));
  const entry = ldev?.find(({ dataset, label }) => dataset === target.dataset || label === target.name);
  const failover = value('lustre:failover.node') !== '' || (entry !== undefined && entry.foreign !== null);
  const received = [...own.values()].filter(
    ({ property, source }) => property.startsWith('lustre:') && source === 'received',
  );
  const checks: [boolean, string][] = [
    [target.state === null, `"${target.service}" is no service name of Lustre`],
    [target.state !== null && target.state !== 'registered', stateInWords(target.state)],
    [kindOf(target.flags) !== target.kind, `its flags ${target.flags} are not those of its service name`],
    [differs(value('lustre:fsname'), target.fsname), 'lustre:fsname is not that of its service name'],
    [
      target.kind !== 'mgt' && differs(value('lustre:index'), String(target.index)),
      'lustre:index is not that of its service name',
    ],
    [received.length > 0, `received, not local: ${received.map(({ property }) => property).join(', ')}`],
    [failover && target.multihost === 'off', 'two hosts may import its pool, and its multihost is off'],
    [value('mounted') === 'yes', 'zfs has mounted it, not Lustre'],
    [value('canmount') === 'on', 'canmount is on: zfs may mount it'],
    [
      entry !== undefined && entry.label !== target.name && target.kind !== 'mgt',
      `ldev.conf calls it ${entry?.label}`,
    ],
    [
      entry !== undefined && entry.dataset !== null && entry.dataset !== target.dataset,
      `ldev.conf has ${entry?.label} at ${entry?.dataset}`,
    ],
    [
      entry !== undefined &&
        !isHost(entry.host, host) &&
        !(entry.foreign !== null && isHost(entry.foreign, host)),
      `ldev.conf has it on ${entry?.host}`,
    ],
    [ldev !== undefined && entry === undefined, 'ldev.conf does not name it'],
  ];
  return checks.filter(([wrong]) => wrong).map(([, words]) => words);
}

/** `zfs get` writes `-` for what is not set. */
function toldOf(line: PropertyLine | undefined): string {
  return line === undefined || line.value === '-' ? '' : line.value;
}

/** What `ldev.conf` has at this host as its first, and is not here. */
function absentOf({ ldev, host }: HostView, targets: readonly LustreTarget[]): string[] {
  return (ldev ?? [])
    .filter((entry) => isHost(entry.host, host) && entry.dataset !== null)
    .filter(
      (entry) => !targets.some(({ dataset, name }) => dataset === entry.dataset || name === entry.label),
    )
    .map(
      ({ label, dataset }) => `ldev.conf has ${label} at ${dataset} on this host: there is no such target`,
    );
}

function kindOf(flags: number): TargetKind {
  if (flags & FLAGS.mdt) return 'mdt';
  return flags & FLAGS.ost ? 'ost' : 'mgt';
}

function stateInWords(state: Registration | null): string {
  return state === null ? '' : registrationInWords(state);
}

/** A property that is not there contradicts nothing. */
function differs(property: string, wanted: string | null): boolean {
  return property !== '' && wanted !== null && property !== wanted;
}

function numberOf(text: string): number | null {
  return /^[0-9]{1,10}$/.test(text) ? Number(text) : null;
}

function poolOf(dataset: string): string {
  return dataset.split('/')[0] ?? dataset;
}

/** `/proc/mounts` writes spaces and the like as three octal digits. */
function unescaped(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}
