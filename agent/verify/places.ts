/** Where a deep look stands that may be cut off, in a file of this host. */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { type Static, Type } from 'typebox';
import type { Clock } from '../../catalog/clock.ts';
import type { Places } from '../../catalog/repository/verify.ts';
import { BackupIdSchema, checker } from '../../catalog/schema.ts';
import type { BackupId } from '../../catalog/words.ts';

const PlaceSchema = Type.Object({
  backup: BackupIdSchema,
  segments: Type.Integer({ minimum: 0 }),
  frames: Type.Integer({ minimum: 0 }),
  chance: Type.Number({ minimum: 0, maximum: 1 }),
  /** Milliseconds since 1970. */
  at: Type.Number(),
});
type Place = Static<typeof PlaceSchema>;
const readPlace = checker(PlaceSchema, 'the place');

/** What was read longer ago proves nothing of today, milliseconds. */
const OLDEST = 7 * 24 * 3600_000;

/**
 * The last place alone: a look goes through one backup after the other. The file is only worth the
 * reading that it saves, so one that cannot be read is none, and one that cannot be written is let go.
 */
export class PlaceFile implements Places {
  readonly #file: string;
  readonly #clock: Clock;

  /** @param file is made, with its folder, when there is something to keep. */
  constructor(file: string, clock: Clock) {
    this.#file = file;
    this.#clock = clock;
  }

  read(backup: BackupId): Omit<Place, 'backup' | 'at'> | undefined {
    const place = this.#last();
    if (place?.backup !== backup) return undefined;
    const age = this.#clock.now() - place.at;
    return age >= 0 && age < OLDEST ? place : undefined;
  }

  keep(backup: BackupId, { segments, frames, chance }: Omit<Place, 'backup' | 'at'>): void {
    const text = JSON.stringify({ backup, segments, frames, chance, at: this.#clock.now() } satisfies Place);
    const partial = `${this.#file}.${process.pid}.partial`;
    try {
      mkdirSync(dirname(this.#file), { recursive: true, mode: 0o700 });
      writeFileSync(partial, `${text}\n`, { mode: 0o600 });
      renameSync(partial, this.#file);
    } catch {
      // A state folder that is full or not ours: the next look begins this backup anew.
    }
  }

  drop(backup: BackupId): void {
    if (this.#last()?.backup === backup) rmSync(this.#file, { force: true });
  }

  #last(): Place | undefined {
    try {
      return readPlace(JSON.parse(readFileSync(this.#file, 'utf8')));
    } catch {
      return undefined;
    }
  }
}
