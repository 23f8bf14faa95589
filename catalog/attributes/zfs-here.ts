/** The ZFS of one host, as far as properties go. */

/** What it is and knows. */
export interface ZfsHere {
  /** `zfs version` without its prefix, e.g. `2.3.9-0+deb13u1`; `null` when it does not tell. */
  readonly version: string | null;
  /** Native properties that it knows; empty when nobody asked. */
  readonly properties: ReadonlySet<string>;
}

/**
 * Whether a version is that one or a later one.
 *
 * @example zfsAtLeast('2.3.9-1~deb13', 2, 3) // true
 */
export function zfsAtLeast(version: string, major: number, minor: number): boolean {
  const found = /^(?:zfs-)?(\d{1,4})\.(\d{1,4})/.exec(version);
  if (!found) return false;
  const [is, and] = [Number(found[1]), Number(found[2])];
  return is > major || (is === major && and >= minor);
}
