/** What was granted for the parts of open backups, in `service.db`: of each part every content, and the one that is durable. */
import { type Part, PartSchema } from '../../catalog/protocol/protocol.ts';
import type { NotedPart } from '../../catalog/protocol/upload-note.ts';
import type { Segment } from '../../catalog/repository/manifest.ts';
import { checker } from '../../catalog/schema.ts';
import type { ReaderState, ResumePoint } from '../../catalog/stream/state.ts';
import type { BackupId, Digest } from '../../catalog/words.ts';
import type { State } from './state.ts';

/**
 * A content that may be written, or is written, as part of an open backup. An
 * encrypted segment has another content at every try, so there may be several
 * for the same raw bytes.
 */
export interface Candidate {
  readonly number: number;
  readonly segment: Segment;
  /** `undefined`: a service of before wrote it down, which did not know. */
  readonly after: ReaderState | undefined;
  readonly point: ResumePoint | null;
  /** When the last grant for it ends, milliseconds since 1970. */
  readonly expires: number;
  /** It was found in the store. */
  readonly durable: boolean;
  /** No content of this part was ever granted that is not known here. */
  readonly sure: boolean;
}

interface Row {
  number: number;
  segment: string;
  after: string | null;
  point: string | null;
  expires: number;
  durable: number;
  sure: number;
}

const parseSegment = checker(PartSchema.properties.segment, 'a segment in service.db');
const parseAfter = checker(PartSchema.properties.after, 'a state in service.db');
const parsePoint = checker(PartSchema.properties.point, 'a point in service.db');

const SELECT = 'SELECT number, segment, after, point, expires, durable, sure FROM candidate';

/** The table `candidate`. Every method is one transaction. */
export class Candidates {
  readonly #state: State;

  constructor(state: State) {
    this.#state = state;
  }

  /** All of a backup, by number. */
  of(backup: BackupId): Candidate[] {
    return this.#state
      .prepare<[string], Row>(`${SELECT} WHERE backup = ? ORDER BY number, sha256`)
      .all(backup)
      .map(candidateOf);
  }

  /** Those for one part. */
  ofPart(backup: BackupId, number: number): Candidate[] {
    return this.#state
      .prepare<[string, number], Row>(`${SELECT} WHERE backup = ? AND number = ? ORDER BY sha256`)
      .all(backup, number)
      .map(candidateOf);
  }

  /** How many parts have one, and how many raw bytes these parts hold. */
  amount(backup: BackupId): { segments: number; bytes: number } {
    const sums = this.#state.prepare<[string], { segments: number; bytes: number }>(
      `SELECT count(*) AS segments, coalesce(sum(size), 0) AS bytes
       FROM (SELECT max(size) AS size FROM candidate WHERE backup = ? GROUP BY number)`,
    );
    return sums.get(backup) ?? { segments: 0, bytes: 0 };
  }

  /** The content of a part for which a grant was given last, `undefined` when there is none. */
  latest(backup: BackupId, number: number): Digest | undefined {
    return this.#state
      .prepare<[string, number], Digest>(
        'SELECT sha256 FROM candidate WHERE backup = ? AND number = ? AND latest = 1',
      )
      .pluck()
      .get(backup, number);
  }

  /**
   * Writes down parts before their grants are given out.
   *
   * @param expires when the grants end.
   * @param unknown others may have been granted before for parts of which nothing is known here.
   */
  record(backup: BackupId, parts: readonly Part[], expires: number, { unknown = false } = {}): void {
    const others = this.#state.prepare('UPDATE candidate SET latest = 0 WHERE backup = ? AND number = ?');
    const write = this.#state.prepare(
      `INSERT INTO candidate (backup, number, sha256, size, segment, after, point, expires, durable, sure, latest)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, ?, 1)
       ON CONFLICT DO UPDATE SET
         segment = excluded.segment,
         after = excluded.after,
         point = excluded.point,
         expires = max(expires, excluded.expires),
         noted = 0,
         latest = 1`,
    );
    this.#state
      .transaction(() => {
        for (const { number, segment, after, point } of parts) {
          const known = others.run(backup, number).changes > 0;
          const texts = [segment, after, point].map((value) => JSON.stringify(value));
          const sure = known || !unknown ? 1 : 0;
          write.run(backup, number, segment.sha256, segment.size, ...texts, expires, sure);
        }
      })
      .immediate();
  }

  /** Notes contents that were found in the store, and such that are there no more. */
  noteDurable(backup: BackupId, found: readonly Candidate[], gone: readonly Candidate[] = []): void {
    const note = this.#state.prepare(
      'UPDATE candidate SET durable = ? WHERE backup = ? AND number = ? AND sha256 = ?',
    );
    this.#state
      .transaction(() => {
        for (const { number, segment } of found) note.run(1, backup, number, segment.sha256);
        for (const { number, segment } of gone) note.run(0, backup, number, segment.sha256);
      })
      .immediate();
  }

  /** Contents that are not written down in the bucket yet, the first of them. */
  toNote(backup: BackupId, limit: number): NotedPart[] {
    return this.#state
      .prepare<[string, number], Row>(
        `${SELECT} WHERE backup = ? AND noted = 0 AND after IS NOT NULL ORDER BY number, sha256 LIMIT ?`,
      )
      .all(backup, limit)
      .map(candidateOf)
      .flatMap(({ number, segment, after, point, expires }) =>
        after ? [{ number, segment, after, point, expires }] : [],
      );
  }

  /** They are written down there; those that were granted again meanwhile, not for so long as they now live. */
  noteNoted(backup: BackupId, parts: readonly NotedPart[]): void {
    const note = this.#state.prepare(
      'UPDATE candidate SET noted = 1 WHERE backup = ? AND number = ? AND sha256 = ? AND expires = ?',
    );
    this.#state
      .transaction(() => {
        for (const { number, segment, expires } of parts) note.run(backup, number, segment.sha256, expires);
      })
      .immediate();
  }

  /** Forgets contents of a part that is not in the store, and that nobody can write any more. */
  forgetLapsed(backup: BackupId, number: number, before: number): void {
    this.#state
      .prepare('DELETE FROM candidate WHERE backup = ? AND number = ? AND expires < ? AND durable = 0')
      .run(backup, number, before);
  }
}

function candidateOf({ number, segment, after, point, expires, durable, sure }: Row): Candidate {
  return {
    number,
    segment: parseSegment(JSON.parse(segment)),
    after: after === null ? undefined : parseAfter(JSON.parse(after)),
    point: point === null ? null : parsePoint(JSON.parse(point)),
    expires,
    durable: durable === 1,
    sure: sure === 1,
  };
}
