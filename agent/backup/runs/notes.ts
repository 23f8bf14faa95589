/**
 * What runs of this host are at: a small durable file for each, written before its snapshots are taken,
 * again once they are there, and taken away when all of them are stored or undone. One whose process is dead
 * tells what is owed: snapshots that were taken and whose turn never came, and of which set they are.
 */
import { randomUUID } from 'node:crypto';
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Static, Type } from 'typebox';
import { systemClock } from '../../../catalog/clock.ts';
import { checker, GuidSchema, Nullable, SetIdSchema } from '../../../catalog/schema.ts';
import type { Guid, SetId } from '../../../catalog/words.ts';
import { writeDurably } from '../../durable.ts';
import { isAlive, livesOn, thisProcess } from '../writer.ts';

/** Most files that are looked at: a run that was killed leaves one, and the next one clears it. */
const MOST_NOTES = 1000;
/** Largest file that is looked at, bytes: that of some hundred thousand snapshots. */
const MOST_BYTES = 64 * 1024 * 1024;
/** After so many milliseconds nobody comes for it any more; what it names `zkeep leftovers` shows all the same. */
const LONGEST = 90 * 24 * 3_600_000;

const MemberSchema = Type.Object({
  /** `pool/dataset@name`. */
  snapshot: Type.String({ maxLength: 600 }),
  /** `null`: it is about to be taken. */
  guid: Nullable(GuidSchema),
  set: Nullable(SetIdSchema),
});

const NoteSchema = Type.Object({
  run: Type.Literal(1),
  /** Where it stores: what is owed to another repository is no affair of this one. */
  repository: Type.String({ maxLength: 100 }),
  /** When it was written, milliseconds since 1970. */
  noted: Type.Integer(),
  /** Whose it is; `null`: the run is over, and has left something to the next. */
  by: Nullable(
    Type.Object({ process: Type.Integer({ minimum: 1 }), boot: Type.String(), began: Type.String() }),
  ),
  members: Type.Array(MemberSchema),
});
type Note = Static<typeof NoteSchema>;
const parseNote = checker(NoteSchema, 'the note of a run');

/** A snapshot that a run has taken or is about to take, to store it. */
export interface NotedMember {
  /** `pool/dataset@name`, as it was called then. */
  readonly snapshot: string;
  /** `null`: it was about to be taken. */
  readonly guid: Guid | null;
  readonly set: SetId | null;
}

/** The note of a run. */
export interface NotedRun {
  readonly file: string;
  /** The id of the repository into which it stores. */
  readonly repository: string;
  /** Its process is at it. */
  readonly lives: boolean;
  readonly members: readonly NotedMember[];
}

/** Files of the runs of this very process, which are at it. */
const ours = new Set<string>();

/** The notes of one host. */
export class RunNotes {
  readonly #folder: string;

  /** @param state the state folder; it is made when something is written. */
  constructor(state: string) {
    this.#folder = join(state, 'runs');
  }

  /**
   * Notes that a run begins.
   *
   * @param repository its id.
   * @param snapshots `pool/dataset@name`, those that it takes and those that are there.
   * @param onTrouble told once when it cannot be written: the run goes on all the same.
   * @example const note = await notes.begin(repository.id, ['tank/a@zkeep-20261120T090000Z'], onTrouble)
   */
  async begin(
    repository: string,
    snapshots: readonly string[],
    onTrouble: (thrown: unknown) => void,
  ): Promise<RunNote> {
    const file = join(this.#folder, `${randomUUID()}.json`);
    ours.add(file);
    const note = new RunNote(file, repository, onTrouble);
    await note.taken(snapshots.map((snapshot) => ({ snapshot, guid: null, set: null })));
    return note;
  }

  /**
   * All of them; what cannot be read is none, and what is too old goes.
   *
   * @param repository of the runs that are over only those into this one.
   */
  async read(repository?: string): Promise<NotedRun[]> {
    const names = await readdir(this.#folder).catch(() => []);
    await this.#clear(names);
    const found: NotedRun[] = [];
    for (const name of names.filter((one) => one.endsWith('.json')).slice(0, MOST_NOTES)) {
      const file = join(this.#folder, name);
      const note = await readNote(file);
      if (!note) continue;
      const lives = isAtIt(file, note);
      if (!lives && systemClock.now() - note.noted > LONGEST) {
        await rm(file, { force: true }).catch(() => undefined);
      } else if (lives || (repository ?? note.repository) === note.repository) {
        found.push({ file, repository: note.repository, lives, members: note.members });
      }
    }
    return found;
  }

  /** Writes what is still owed by a run that is over in place of what was. */
  async leave({ file, repository }: NotedRun, members: readonly NotedMember[]): Promise<void> {
    if (members.length === 0) await rm(file, { force: true });
    else await writeNote(file, { repository, by: null, members });
  }

  /** What a process that was killed while it wrote left. */
  async #clear(names: readonly string[]): Promise<void> {
    for (const name of names) {
      const writer = /\.(\d{1,10})\.partial$/.exec(name)?.[1];
      if (writer !== undefined && !isAlive(Number(writer)))
        await rm(join(this.#folder, name), { force: true }).catch(() => undefined);
    }
  }
}

/** The note of a run of this process. */
export class RunNote {
  readonly #file: string;
  readonly #repository: string;
  readonly #onTrouble: (thrown: unknown) => void;
  #broken = false;

  constructor(file: string, repository: string, onTrouble: (thrown: unknown) => void) {
    this.#file = file;
    this.#repository = repository;
    this.#onTrouble = onTrouble;
  }

  /** Its snapshots are these. */
  async taken(members: readonly NotedMember[]): Promise<void> {
    if (this.#broken) return;
    try {
      await writeNote(this.#file, { repository: this.#repository, by: thisProcess(), members });
    } catch (thrown) {
      this.#broken = true;
      this.#onTrouble(thrown);
    }
  }

  /** It is over, and leaves these to the next run. */
  async end(left: readonly NotedMember[]): Promise<void> {
    try {
      if (left.length === 0 || this.#broken) await rm(this.#file, { force: true });
      else await writeNote(this.#file, { repository: this.#repository, by: null, members: left });
    } catch (thrown) {
      this.#onTrouble(thrown);
    } finally {
      ours.delete(this.#file);
    }
  }
}

async function writeNote(
  file: string,
  { repository, by, members }: Pick<Note, 'repository' | 'by'> & { members: readonly NotedMember[] },
): Promise<void> {
  const note: Note = { run: 1, repository, noted: systemClock.now(), by, members: [...members] };
  await writeDurably(file, `${JSON.stringify(note)}\n`);
}

/** A later zkeep may write what this one cannot read: it stays. */
async function readNote(file: string): Promise<Note | undefined> {
  try {
    if ((await stat(file)).size > MOST_BYTES) return undefined;
    return parseNote(JSON.parse(await readFile(file, 'utf8')));
  } catch {
    return undefined;
  }
}

/** Of this process, what is not ours is of a run that is over, or of a process before it that had its number. */
function isAtIt(file: string, { by }: Note): boolean {
  if (by === null) return false;
  return by.process === process.pid ? ours.has(file) : livesOn(by);
}
