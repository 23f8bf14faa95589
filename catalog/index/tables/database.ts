/** The SQLite file below the index: how it is opened, spoken to, and how its failures read. */
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { type ErrorKind, ZkeepError } from '../../errors.ts';
import { checkVersion, migrate } from './migrations.ts';

/** How the file is opened. */
export interface DatabaseOptions {
  /** Told of every statement before it runs, with its values filled in. */
  readonly onStatement?: (sql: string) => void;
}

/** What a statement may be given. */
export type Value = string | number | Buffer | null;

/** How long another process may hold the file before a statement is `busy`, milliseconds. */
const BUSY_MILLISECONDS = 5000;
/** Pages kept in memory, KiB. */
const CACHE_KIB = 64 * 1024;
/** Pages (of 4 KiB) that the log may hold before it is written back: random keys touch many pages often. */
const LOG_PAGES = 8192;

/** Pages copied in one step: 4 MiB, some milliseconds in which nothing else is answered. */
const PAGES_PER_STEP = 1024;

/** An opened file. Statements are prepared once and kept: there are few, by their text. */
export class IndexDatabase {
  readonly #path: string;
  readonly #db: Database.Database;
  readonly #statements = new Map<string, Database.Statement<Value[]>>();

  /**
   * Opens a file, makes it when there is none, and brings its tables up to date.
   *
   * @param path `:memory:` for one that is gone when it is closed.
   * @throws {ZkeepError} `missing` without its folder, `refused` when it is a newer zkeep's or another program's.
   */
  constructor(path: string, options: DatabaseOptions = {}) {
    this.#path = path;
    const { onStatement } = options;
    if (path !== ':memory:' && !existsSync(dirname(path))) throw noFolder(path);
    this.#db = this.#attempt(
      () =>
        new Database(path, {
          timeout: BUSY_MILLISECONDS,
          ...(onStatement ? { verbose: (sql: unknown) => onStatement(String(sql)) } : {}),
        }),
    );
    try {
      this.#attempt(() => {
        checkVersion(this.#db, path);
        for (const pragma of PRAGMAS) this.#db.pragma(pragma);
        migrate(this.#db);
      });
    } catch (thrown) {
      this.#db.close();
      throw thrown;
    }
  }

  /** All rows. The caller names their shape, which the tables guarantee. */
  all<Row>(sql: string, ...values: Value[]): Row[] {
    return this.#attempt(() => this.#prepare(sql).all(...values) as Row[]);
  }

  /** The first row, if there is one. */
  get<Row>(sql: string, ...values: Value[]): Row | undefined {
    return this.#attempt(() => this.#prepare(sql).get(...values) as Row | undefined);
  }

  /** Rows one at a time, for lists that are too long to hold. Nothing may be written meanwhile. */
  *each<Row>(sql: string, ...values: Value[]): Generator<Row> {
    const rows = this.#attempt(() => this.#db.prepare<Value[], Row>(sql).iterate(...values));
    for (;;) {
      const { done, value } = this.#attempt(() => rows.next());
      if (done) return;
      yield value;
    }
  }

  /** Runs a statement; gives the row id that an INSERT made. */
  run(sql: string, ...values: Value[]): number {
    return this.#attempt(() => Number(this.#prepare(sql).run(...values).lastInsertRowid));
  }

  /** All or nothing. Within another one, it is a part of that. */
  transaction<T>(work: () => T): T {
    return this.#attempt(() => this.#db.transaction(work).immediate());
  }

  /** Drops all tables and makes them anew. */
  clear(): void {
    this.#attempt(() => migrate(this.#db, { anew: true }));
  }

  /**
   * Copies the whole to another file, some pages at a time, while it is used; what is written meanwhile is in the copy.
   *
   * @param onStep told before each step; when it throws, the copy ends.
   */
  async copyTo(path: string, onStep: () => void): Promise<void> {
    try {
      await this.#db.backup(path, {
        progress: () => {
          onStep();
          return PAGES_PER_STEP;
        },
      });
    } catch (thrown) {
      throw thrown instanceof Database.SqliteError ? inWords(thrown, path) : thrown;
    }
  }

  close(): void {
    this.#db.close();
  }

  #prepare(sql: string): Database.Statement<Value[]> {
    const known = this.#statements.get(sql);
    if (known) return known;
    const statement = this.#db.prepare<Value[]>(behindPlus(sql));
    this.#statements.set(sql, statement);
    return statement;
  }

  #attempt<T>(work: () => T): T {
    try {
      return work();
    } catch (thrown) {
      throw thrown instanceof Database.SqliteError ? inWords(thrown, this.#path) : thrown;
    }
  }
}

/**
 * `synchronous = NORMAL`: with a write-ahead log a power cut can lose the last
 * transactions, but not break the file; what is lost is in the bucket, and
 * `refresh` brings it back. So no commit waits for the disk.
 */
const PRAGMAS = [
  'journal_mode = WAL',
  'synchronous = NORMAL',
  'foreign_keys = ON',
  `busy_timeout = ${BUSY_MILLISECONDS}`,
  `cache_size = -${CACHE_KIB}`,
  `wal_autocheckpoint = ${LOG_PAGES}`,
];

/**
 * SQLite built with STAT4, as here, compiles a join anew each time that a value is
 * bound which its plan might depend on (sqlite.org/c3ref/prepare.html): four times
 * the cost of running it. Behind a unary plus, which changes no value, it does not look.
 */
function behindPlus(sql: string): string {
  return sql.replaceAll('?', '+?');
}

function noFolder(path: string): ZkeepError {
  return new ZkeepError('missing', 'index.no-folder', `there is no folder ${dirname(path)} for the index`, {
    advice: 'make it, or name another place for the index',
    facts: { path },
  });
}

/** What went wrong, by the first words of SQLite's code (sqlite.org/rescode.html). */
const FAILURES: readonly (readonly [start: string, kind: ErrorKind, words: string, advice: string])[] = [
  ['SQLITE_BUSY', 'busy', 'is held by another process', 'end the other process, or wait for it'],
  ['SQLITE_LOCKED', 'busy', 'is held by another process', 'end the other process, or wait for it'],
  ['SQLITE_FULL', 'full', 'finds no room on its disk', 'make room; nothing that is stored is lost'],
  ['SQLITE_READONLY', 'denied', 'may not be written', 'see to the rights on the file and its folder'],
  ['SQLITE_PERM', 'denied', 'may not be opened', 'see to the rights on the file and its folder'],
  ['SQLITE_CANTOPEN', 'denied', 'cannot be opened', 'see to the rights on the file and its folder'],
  ['SQLITE_CORRUPT', 'damaged', 'is damaged', 'delete it: it is built again from the bucket'],
  [
    'SQLITE_NOTADB',
    'damaged',
    'is not an SQLite file',
    'delete it if it is the index: it is built again from the bucket',
  ],
  ['SQLITE_IOERR', 'failed', 'cannot be read or written', 'see to its disk'],
];

function inWords(cause: InstanceType<typeof Database.SqliteError>, path: string): ZkeepError {
  const found = FAILURES.find(([start]) => cause.code.startsWith(start));
  const [, kind, words, advice] = found ?? ['', 'failed' as const, 'failed', 'this is a defect in zkeep'];
  return new ZkeepError(kind, 'index.sqlite', `the index ${path} ${words}: ${cause.message}`, {
    advice,
    cause,
    facts: { path, sqlite: cause.code },
  });
}
