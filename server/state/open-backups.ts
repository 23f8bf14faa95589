/** The backups that are open, in `service.db`, so that a service restarted in between goes on. */
import { type Static, Type } from 'typebox';
import type { Clock } from '../../catalog/clock.ts';
import {
  CommitRequestSchema,
  type OpenRequest,
  OpenRequestSchema,
  type Part,
} from '../../catalog/protocol/protocol.ts';
import { type Segment, SegmentSchema } from '../../catalog/repository/manifest.ts';
import { checker } from '../../catalog/schema.ts';
import type { BackupId, Digest, Guid } from '../../catalog/words.ts';
import type { State } from './state.ts';

/** What a commit wrote down before it wrote the manifest, so that it can be done again to the same bytes. */
const CommittingSchema = Type.Object({
  request: CommitRequestSchema,
  /** The moment that the manifest names, milliseconds since 1970. */
  at: Type.Integer(),
});
export type Committing = Static<typeof CommittingSchema>;

/** A backup that is open. Moments are milliseconds since 1970. */
export interface OpenBackupState {
  readonly backup: BackupId;
  /** Name of the token that opened it. */
  readonly token: string;
  readonly opened: number;
  readonly heard: number;
  readonly request: OpenRequest;
  /** Set once its manifest may have been written: from then on it only goes forward. */
  readonly committing: Committing | undefined;
}

/** A segment for which a grant was given. */
export interface GrantedPart extends Part {
  /** When the last grant for it ends. */
  readonly expires: number;
  /** There were grants for other contents of it: only reading it shows which one is there. */
  readonly contested: boolean;
}

/** A backup that was ended before its commit. */
export interface AbandonedBackup {
  readonly backup: BackupId;
  readonly to: Guid;
  readonly token: string;
  /** When the last of its grants ends. */
  readonly expires: number;
}

interface Row {
  backup: BackupId;
  token: string;
  opened: number;
  heard: number;
  request: string;
  committing: string | null;
}
interface PartRow {
  number: number;
  segment: string;
  expires: number;
  contested: number;
}

const parseRequest = checker(OpenRequestSchema, 'a request in service.db');
const parseCommitting = checker(CommittingSchema, 'a commit in service.db');
const parseSegment = checker(SegmentSchema, 'a segment in service.db');

/** The tables `open_backup`, `part` and `abandoned`. Every method is one transaction. */
export class OpenBackups {
  readonly #state: State;
  readonly #clock: Clock;

  constructor(state: State, clock: Clock) {
    this.#state = state;
    this.#clock = clock;
  }

  all(): OpenBackupState[] {
    return this.#state.prepare<[], Row>('SELECT * FROM open_backup ORDER BY backup').all().map(openOf);
  }

  count(): number {
    return this.#state.prepare<[], number>('SELECT count(*) FROM open_backup').pluck().get() ?? 0;
  }

  get(backup: BackupId): OpenBackupState | undefined {
    const row = this.#state.prepare<[string], Row>('SELECT * FROM open_backup WHERE backup = ?').get(backup);
    return row && openOf(row);
  }

  /** Those that write the same dataset or the same snapshot: at most two. */
  rivals({ source, to }: OpenRequest): OpenBackupState[] {
    return this.#state
      .prepare<[string, string, string], Row>(
        'SELECT * FROM open_backup WHERE (host = ? AND dataset = ?) OR to_guid = ?',
      )
      .all(source.host, source.dataset, to.guid)
      .map(openOf);
  }

  /** Opens a backup and, in the same step, abandons the ones that it replaces. */
  add(backup: BackupId, token: string, request: OpenRequest, replaced: readonly BackupId[]): OpenBackupState {
    const now = this.#clock.now();
    const { source, to } = request;
    this.#state
      .transaction(() => {
        for (const old of replaced) this.#abandon(old);
        this.#state
          .prepare('INSERT INTO open_backup VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL)')
          .run(backup, token, source.host, source.dataset, to.guid, now, now, JSON.stringify(request));
      })
      .immediate();
    return { backup, token, opened: now, heard: now, request, committing: undefined };
  }

  /** Notes that its writer was heard of; gives the moment. */
  hear(backup: BackupId): number {
    const now = this.#clock.now();
    this.#state.prepare('UPDATE open_backup SET heard = ? WHERE backup = ?').run(now, backup);
    return now;
  }

  /** All parts, by number. */
  parts(backup: BackupId): GrantedPart[] {
    return this.#state
      .prepare<[string], PartRow>(
        'SELECT number, segment, expires, contested FROM part WHERE backup = ? ORDER BY number',
      )
      .all(backup)
      .map(partOf);
  }

  countParts(backup: BackupId): number {
    return (
      this.#state
        .prepare<[string], number>('SELECT count(*) FROM part WHERE backup = ?')
        .pluck()
        .get(backup) ?? 0
    );
  }

  part(backup: BackupId, number: number): GrantedPart | undefined {
    const row = this.#state
      .prepare<[string, number], PartRow>(
        'SELECT number, segment, expires, contested FROM part WHERE backup = ? AND number = ?',
      )
      .get(backup, number);
    return row && partOf(row);
  }

  /** The digest that a write to this part must have, `undefined` when no part of it is granted. */
  digest(backup: BackupId, number: number): Digest | undefined {
    return this.#state
      .prepare<[string, number], Digest>('SELECT sha256 FROM part WHERE backup = ? AND number = ?')
      .pluck()
      .get(backup, number);
  }

  /** Writes down parts before their grants are given out. */
  record(backup: BackupId, parts: readonly Part[], expires: number): void {
    const write = this.#state.prepare(
      `INSERT INTO part (backup, number, segment, sha256, expires) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET
         contested = max(contested, sha256 <> excluded.sha256),
         segment = excluded.segment,
         sha256 = excluded.sha256,
         expires = max(expires, excluded.expires)`,
    );
    this.#state
      .transaction(() => {
        for (const { number, segment } of parts) {
          write.run(backup, number, JSON.stringify(segment), segment.sha256, expires);
        }
      })
      .immediate();
  }

  /** From here on it only goes forward; `false` when it is not open any more. */
  beginCommit(backup: BackupId, committing: Committing): boolean {
    const update = 'UPDATE open_backup SET committing = ? WHERE backup = ?';
    return this.#state.prepare(update).run(JSON.stringify(committing), backup).changes > 0;
  }

  /** Takes that back, for a commit that was found impossible before its manifest was written. */
  endCommit(backup: BackupId): void {
    this.#state.prepare('UPDATE open_backup SET committing = NULL WHERE backup = ?').run(backup);
  }

  /** The last step of a commit. */
  close(backup: BackupId): void {
    this.#state.prepare('DELETE FROM open_backup WHERE backup = ?').run(backup);
  }

  /** Ends a backup whose commit has not begun. */
  abandon(backup: BackupId): void {
    this.#state.transaction(() => this.#abandon(backup)).immediate();
  }

  /** What was abandoned and may still have segments. */
  abandoned(): AbandonedBackup[] {
    return this.#state
      .prepare<[], AbandonedBackup>(
        'SELECT backup, to_guid AS "to", token, expires FROM abandoned ORDER BY backup',
      )
      .all();
  }

  isAbandoned(backup: BackupId): boolean {
    return this.#state.prepare('SELECT 1 FROM abandoned WHERE backup = ?').get(backup) !== undefined;
  }

  /** Nothing of it is left and nothing can come any more. */
  forgetAbandoned(backup: BackupId): void {
    this.#state.prepare('DELETE FROM abandoned WHERE backup = ?').run(backup);
  }

  #abandon(backup: BackupId): void {
    this.#state
      .prepare(
        `INSERT INTO abandoned
         SELECT backup, to_guid, token, coalesce((SELECT max(expires) FROM part WHERE part.backup = o.backup), 0)
         FROM open_backup o WHERE backup = ? AND committing IS NULL`,
      )
      .run(backup);
    this.#state.prepare('DELETE FROM open_backup WHERE backup = ? AND committing IS NULL').run(backup);
  }
}

function openOf(row: Row): OpenBackupState {
  const { backup, token, opened, heard } = row;
  const committing = row.committing === null ? undefined : parseCommitting(JSON.parse(row.committing));
  return { backup, token, opened, heard, request: parseRequest(JSON.parse(row.request)), committing };
}

function partOf({ number, segment, expires, contested }: PartRow): GrantedPart {
  const parsed: Segment = parseSegment(JSON.parse(segment));
  return { number, segment: parsed, expires, contested: contested === 1 };
}
