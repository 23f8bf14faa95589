/** Hosts with datasets, their snapshots and bookmarks as ZFS has them, and the streams between them: all of it made. */
import { hash } from 'node:crypto';
import { type Guid, guidOf } from '../../../catalog/words.ts';
import { makeStream } from '../../made-stream.ts';

/** A snapshot, or the bookmark that is left of one. */
export interface Point {
  readonly number: bigint;
  readonly guid: Guid;
  readonly name: string;
  /** Seconds since 1970. */
  readonly created: number;
}

/** A dataset that goes on through renames, rollbacks and moves to other hosts. */
export interface Line {
  /** Which one it is, whatever it is called. */
  readonly id: number;
  host: string;
  dataset: string;
  /** Of the pool and of the dataset itself: a rename does not change them, a restore does. */
  guids: { readonly pool: Guid; readonly dataset: Guid };
  /** The oldest first. */
  snapshots: Point[];
  bookmarks: Point[];
}

/** All datasets that there are. */
export class Hosts {
  readonly lines: Line[];
  #made = 0n;
  #names = 0;

  constructor(count: number) {
    this.lines = Array.from({ length: count }, (_, id) => {
      return {
        id,
        host: 'alpha',
        dataset: `tank/d${id}`,
        guids: guidsOf('alpha', id),
        snapshots: [],
        bookmarks: [],
      };
    });
  }

  /** One of them, for any number. */
  line(number: number): Line {
    const line = this.lines[number % this.lines.length];
    if (!line) throw new RangeError('there are no datasets');
    return line;
  }

  /** Takes a snapshot; one of a second in which the line has one already is of the next second. */
  snapshot(line: Line, now: number): Point {
    this.#made += 1n;
    const last = line.snapshots.at(-1)?.created ?? 0;
    const created = Math.max(Math.floor(now / 1000), last + 1);
    const point = { number: this.#made, guid: guidOf(this.#made), name: `s${this.#made}`, created };
    line.snapshots.push(point);
    return point;
  }

  bookmark(line: Line, point: Point): void {
    if (!line.bookmarks.includes(point)) line.bookmarks.push(point);
  }

  /** Destroys the newest snapshots, and the bookmarks of them: the line goes on from an older state. */
  rollback(line: Line, count: number): void {
    const gone = line.snapshots.splice(Math.max(1, line.snapshots.length - count));
    line.bookmarks = line.bookmarks.filter((point) => !gone.includes(point));
  }

  /** No name is ever used twice. */
  rename(line: Line): void {
    line.dataset = `tank/n${++this.#names}`;
  }

  /** The pool was destroyed, restored on another host up to a snapshot, and goes on there. */
  move(line: Line, restored: readonly Point[]): void {
    line.host = `host${++this.#names}`;
    line.guids = guidsOf(line.host, line.id);
    line.snapshots = [...restored];
    line.bookmarks = [];
  }
}

/** A pool of its own for each host. */
function guidsOf(host: string, id: number): Line['guids'] {
  const guid = (text: string) => guidOf(hash('sha256', text, 'buffer').readBigUInt64BE());
  return { pool: guid(host), dataset: guid(`${host} ${id}`) };
}

/** The stream from one point (or nothing) to another; bytes of its own for each pair. */
export function streamOf({ dataset }: Line, from: Point | undefined, to: Point): Buffer {
  const pair = `${from?.number ?? 0}-${to.number}`;
  const blocks = Array.from({ length: Number(to.number % 3n) }, (_, block) =>
    Buffer.from(hash('sha512', `${pair} ${block}`, 'buffer').toString('hex').repeat(32)),
  );
  return Buffer.concat([
    ...makeStream({
      toGuid: to.number,
      ...(from ? { fromGuid: from.number } : {}),
      toName: `${dataset}@${to.name}`,
      created: to.created,
      blocks,
    }),
  ]);
}
