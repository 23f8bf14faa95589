/** What a run of the verify job has done so far, and how it says so. */
import type { Examined } from '../../../catalog/repository/verify/examine.ts';
import type { BackupId } from '../../../catalog/words.ts';

const MEBIBYTE = 1024 * 1024;
/** Most backups that the words name. */
const MOST_NAMED = 5;

export class Tally {
  /** Of the proofs. */
  readonly #proven = { light: 0, deep: 0 };
  readonly #damaged: string[] = [];
  readonly #mended: BackupId[] = [];
  readonly #unread: string[] = [];
  readonly #bare: BackupId[] = [];
  #frames = 0;
  #segments = 0;
  #checksums = 0;
  #bytes = 0;
  /** The budget of the day ended the run. */
  usedUp = false;

  examined({ backup, manifest, proof, problems, checksums }: Examined): void {
    if (proof) this.#proven[proof.depth] += 1;
    this.#frames += proof?.frames ?? 0;
    if (proof?.depth === 'light') {
      this.#segments += manifest?.segments.length ?? 0;
      this.#checksums += checksums;
    }
    // What is wrong with a proven one keeps nobody from restoring it.
    if (proof && problems.length > 0) this.#bare.push(backup);
  }

  read(bytes: number): void {
    this.#bytes += bytes;
  }

  /** @param what the backup and its snapshot in words. */
  damaged(what: string): void {
    this.#damaged.push(what);
  }

  /** A damaged one was found whole: its objects were put back. */
  mended(backup: BackupId): void {
    this.#mended.push(backup);
  }

  /** One that could not be read, for a reason that says nothing about it. */
  unread(what: string): void {
    this.#unread.push(what);
  }

  get unreadCount(): number {
    return this.#unread.length;
  }

  /** What was done, in words; `null`: nothing. */
  words(): string | null {
    const { light, deep } = this.#proven;
    const said = [
      ...(light > 0 ? [`${counted(light, 'light proof')}${this.#howLight()}`] : []),
      ...(deep > 0 || this.#bytes > 0 ? [`${counted(deep, 'deep proof')}${this.#howDeep()}`] : []),
      ...listed('damaged', this.#damaged),
      ...listed('whole again', this.#mended),
      ...listed('restorable, but without attributes', this.#bare),
      ...listed('could not be read', this.#unread),
      ...(this.usedUp ? ["the day's budget is used up"] : []),
    ];
    return light + deep + this.#bytes + this.#damaged.length + this.#unread.length === 0
      ? null
      : said.join('; ');
  }

  #howLight(): string {
    if (this.#checksums === 0) return ' (by size)';
    if (this.#checksums >= this.#segments) return ' (by checksum)';
    return ` (${this.#checksums} of ${this.#segments} segments by checksum, the others by size)`;
  }

  #howDeep(): string {
    const read = `${Math.ceil(this.#bytes / MEBIBYTE)} MiB read`;
    return ` (${read}, ${counted(this.#frames, 'frame')} by the second decoder too)`;
  }
}

function listed(what: string, items: readonly string[]): string[] {
  if (items.length === 0) return [];
  const more = items.length > MOST_NAMED ? ` and ${items.length - MOST_NAMED} more` : '';
  return [`${what}: ${items.slice(0, MOST_NAMED).join(', ')}${more}`];
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
