/** Something that will not be as it was, in words. */
export interface Difference {
  /** `feature@longname`, `ashift`, `vdevs`, ... */
  readonly what: string;
  /** One sentence without its first capital and its full stop. */
  readonly why: string;
  /** Somebody should think about it before going on. */
  readonly matters: boolean;
}
