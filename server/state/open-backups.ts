/** The backups that are open, in `service.db`, so that a service restarted in between goes on. */
import { randomUUID } from 'node:crypto';
import { type Static, Type } from 'typebox';
import type { Clock } from '../../catalog/clock.ts';
import type { OpenBackupsQuery } from '../../catalog/protocol/pages.ts';
import {
  CommitRequestSchema,
  type OpenRequest,
  OpenRequestSchema,
  type Writer,
  WriterSchema,
} from '../../catalog/protocol/protocol.ts';
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
  /** Who writes it: who opened it, or resumed it last. */
  readonly writer: Writer;
  /** What the writer must name. */
  readonly session: string;
  /** Digest of its attribute manifest, once that is stored. */
  readonly attributes: Digest | null;
  /** When it was found in the bucket, after the database in which it was opened was lost. */
  readonly adopted: number | null;
  /** Set once its manifest may have been written: from then on it only goes forward. */
  readonly committing: Committing | undefined;
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
  session: string;
  writer: string | null;
  attributes: Digest | null;
  adopted: number | null;
}

const parseRequest = checker(OpenRequestSchema, 'a request in service.db');
const parseCommitting = checker(CommittingSchema, 'a commit in service.db');
const parseWriter = checker(WriterSchema, 'a writer in service.db');

/** The tables `open_backup` and `abandoned`. Every method is one transaction. */
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

  /** Those of a host, of a dataset, or of both. */
  find({ host, dataset }: OpenBackupsQuery): OpenBackupState[] {
    return this.#state
      .prepare<[{ host: string | null; dataset: string | null }], Row>(
        `SELECT * FROM open_backup
         WHERE (@host IS NULL OR host = @host) AND (@dataset IS NULL OR dataset = @dataset) ORDER BY backup`,
      )
      .all({ host: host ?? null, dataset: dataset ?? null })
      .map(openOf);
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
  add(
    backup: BackupId,
    { token, session }: Pick<OpenBackupState, 'token' | 'session'>,
    request: OpenRequest,
    replaced: readonly BackupId[],
  ): OpenBackupState {
    const now = this.#clock.now();
    const { source, to, writer } = request;
    this.#state
      .transaction(() => {
        for (const old of replaced) this.#abandon(old);
        this.#state
          .prepare(
            `INSERT INTO open_backup (backup, token, host, dataset, to_guid, opened, heard, request, session)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
          )
          .run(
            backup,
            token,
            source.host,
            source.dataset,
            to.guid,
            now,
            now,
            JSON.stringify(request),
            session,
          );
      })
      .immediate();
    const known = { request, writer, session, attributes: null, adopted: null, committing: undefined };
    return { backup, token, opened: now, heard: now, ...known };
  }

  /** Opens a backup that another database knew, unless one of its dataset or snapshot is open here. */
  adopt({
    backup,
    token,
    opened,
    request,
  }: Pick<OpenBackupState, 'backup' | 'token' | 'opened' | 'request'>): void {
    const { source, to } = request;
    const now = this.#clock.now();
    this.#state
      .prepare(
        `INSERT OR IGNORE INTO open_backup (backup, token, host, dataset, to_guid, opened, heard, adopted, request, session)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      )
      .run(
        backup,
        token,
        source.host,
        source.dataset,
        to.guid,
        opened,
        now,
        now,
        JSON.stringify(request),
        randomUUID(),
      );
  }

  /** Gives it to a writer, for this session; `undefined` when it is not open any more. */
  give(backup: BackupId, writer: Writer, session: string): OpenBackupState | undefined {
    this.#state
      .prepare('UPDATE open_backup SET heard = ?, writer = ?, session = ? WHERE backup = ?')
      .run(this.#clock.now(), JSON.stringify(writer), session, backup);
    return this.get(backup);
  }

  /** Whether its attributes are known and not written down in the bucket yet. */
  hasAttributesToNote(backup: BackupId): boolean {
    const differs =
      'SELECT 1 FROM open_backup WHERE backup = ? AND attributes IS NOT NULL AND attributes IS NOT noted_attributes';
    return this.#state.prepare(differs).get(backup) !== undefined;
  }

  noteNotedAttributes(backup: BackupId, digest: Digest | null): void {
    this.#state.prepare('UPDATE open_backup SET noted_attributes = ? WHERE backup = ?').run(digest, backup);
  }

  /** Notes where its attributes lie. */
  noteAttributes(backup: BackupId, digest: Digest): void {
    this.#state.prepare('UPDATE open_backup SET attributes = ? WHERE backup = ?').run(digest, backup);
  }

  /** Notes that its writer was heard of; gives the moment. */
  hear(backup: BackupId): number {
    const now = this.#clock.now();
    this.#state.prepare('UPDATE open_backup SET heard = ? WHERE backup = ?').run(now, backup);
    return now;
  }

  /** From here on it only goes forward; `false` when it is not open in this session any more. */
  beginCommit(backup: BackupId, session: string, committing: Committing): boolean {
    const update = 'UPDATE open_backup SET committing = ? WHERE backup = ? AND session = ?';
    return this.#state.prepare(update).run(JSON.stringify(committing), backup, session).changes > 0;
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

  /** Takes over that a backup, which is not open here, was abandoned. */
  addAbandoned({ backup, to, token, expires }: AbandonedBackup): void {
    this.#state
      .prepare('INSERT OR IGNORE INTO abandoned (backup, to_guid, token, expires) VALUES (?, ?, ?, ?)')
      .run(backup, to, token, expires);
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
         SELECT backup, to_guid, token, coalesce((SELECT max(expires) FROM candidate c WHERE c.backup = o.backup), 0)
         FROM open_backup o WHERE backup = ? AND committing IS NULL`,
      )
      .run(backup);
    this.#state.prepare('DELETE FROM open_backup WHERE backup = ? AND committing IS NULL').run(backup);
  }
}

function openOf(row: Row): OpenBackupState {
  const { backup, token, opened, heard, session, attributes, adopted } = row;
  const committing = row.committing === null ? undefined : parseCommitting(JSON.parse(row.committing));
  const request = parseRequest(JSON.parse(row.request));
  const writer = row.writer === null ? request.writer : parseWriter(JSON.parse(row.writer));
  return { backup, token, opened, heard, request, writer, session, attributes, adopted, committing };
}
