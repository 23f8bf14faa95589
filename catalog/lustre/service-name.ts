/**
 * `lustre:svname`, the name under which a target serves. The separator before
 * its kind is the state of its registration with the MGS (Lustre's
 * `mount_lustre.c`).
 */

/** What a target is: management, metadata, object storage. */
export type TargetKind = 'mgt' | 'mdt' | 'ost';

/** How a target stands with the MGS. */
export type Registration = 'registered' | 'virgin' | 'writeconf' | 'no-local-logs';

/** A service name, taken apart. */
export interface ServiceName {
  /** As it stands in the property. */
  readonly text: string;
  readonly kind: TargetKind;
  /** `null` for an MGS, which serves several file systems. */
  readonly fsname: string | null;
  readonly index: number | null;
  readonly state: Registration;
}

const SEPARATORS: Readonly<Record<string, Registration>> = {
  '-': 'registered',
  ':': 'virgin',
  '=': 'writeconf',
  '+': 'no-local-logs',
};
/** A file system's name has one to eight of these characters; an index four hex digits. */
const FSNAME = '[A-Za-z0-9_-]{1,8}';
const TARGET = new RegExp(`^(${FSNAME})([-:=+])(MDT|OST)([0-9a-fA-F]{4})$`);

/**
 * Takes a service name apart; `undefined` when it is none.
 *
 * @example parseServiceName('lustrefs:MDT0001') // kind mdt, index 1, virgin
 */
export function parseServiceName(text: string): ServiceName | undefined {
  if (text === 'MGS') return { text, kind: 'mgt', fsname: null, index: null, state: 'registered' };
  const [, fsname, separator = '', type, digits = ''] = TARGET.exec(text) ?? [];
  const state = SEPARATORS[separator];
  if (fsname === undefined || state === undefined) return undefined;
  return { text, kind: type === 'MDT' ? 'mdt' : 'ost', fsname, index: Number.parseInt(digits, 16), state };
}

/**
 * The name of a target once it is registered, whatever its state is now: the
 * one name for it on every host.
 *
 * @example registeredName({ kind: 'mdt', fsname: 'lustrefs', index: 1 }) // 'lustrefs-MDT0001'
 */
export function registeredName({
  kind,
  fsname,
  index,
}: Pick<ServiceName, 'kind' | 'fsname' | 'index'>): string {
  if (kind === 'mgt' || fsname === null || index === null) return 'MGS';
  return `${fsname}-${kind.toUpperCase()}${index.toString(16).padStart(4, '0')}`;
}

/** Whether a text can be the name of a Lustre file system. */
export function isFsname(text: string): boolean {
  // A leading dash would be taken for an option.
  return new RegExp(`^${FSNAME}$`).test(text) && !text.startsWith('-');
}

/** A state in words, with what it means for who restores it. */
export function registrationInWords(state: Registration): string {
  if (state === 'registered') return 'registered';
  if (state === 'virgin') return 'never registered: its first mount will register it with the MGS';
  if (state === 'writeconf') return 'writeconf is pending: its next mount writes its configuration anew';
  return 'it ignores its local configuration logs at the next mount';
}
