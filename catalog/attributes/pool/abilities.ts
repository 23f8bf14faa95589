/** What a host's ZFS can do, as plain data: gathered beside the pool, used wherever something is decided. */

/** The abilities of one installation of ZFS: its commands, and the module that they speak to. */
export interface ZfsAbilities {
  /** `zfs version`, the commands', without its prefix: `2.3.9-0+deb13u1`; `null` before OpenZFS 0.8. */
  readonly version: string | null;
  /** The same of the kernel's module: it is what receives. */
  readonly module: string | null;
  /** Names of the pool features that commands and module both know (`zpool upgrade -v`). */
  readonly features: ReadonlySet<string>;
  /** Names of the native properties of datasets (`zfs get`). */
  readonly properties: ReadonlySet<string>;
  /** Names of the native properties of pools (`zpool get`). */
  readonly poolProperties: ReadonlySet<string>;
  /** Names that the property `compatibility` may take, besides `off`, `legacy` and paths. */
  readonly compatibilities: ReadonlySet<string>;
}

/** How this ZFS is called in a sentence, e.g. `this ZFS (2.3.9-0+deb13u1)`. */
export function nameOfZfs({ version, module }: Pick<ZfsAbilities, 'version' | 'module'>): string {
  const known = module ?? version;
  return known === null ? 'this ZFS' : `this ZFS (${known})`;
}
