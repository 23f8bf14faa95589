/**
 * Picks out of the streams of a dataset, full and then increments, the few
 * objects in which a Lustre target says what it is. The way to them: object 1
 * names the root directory, and that names the files.
 *
 * A stream comes in the order of its objects. What lies before the root
 * directory is kept until that has come and tells which of it was meant.
 */
import { hasFeature } from '../../stream/features.ts';
import type { ByteOrder } from '../../stream/fletcher4.ts';
import { type RecordView, StreamReader } from '../../stream/reader.ts';
import { decodeRecord, type StreamRecord } from '../../stream/record.ts';
import type { Begin } from '../../stream/state.ts';
import { malformed, tooLarge } from './fields.ts';
import { SA_TYPES } from './file-size.ts';
import { type KeptObject, KeptObjects } from './objects.ts';
import { isDeduplicated, isEncrypted, isVolume, notTheNext } from './refusals.ts';
import { readZap, type ZapEntry } from './zap/zap.ts';

/** The files of a target's root directory that are read. */
export const TARGET_FILES = ['CONFIGS', 'last_rcvd', 'lov_objid', 'lov_objseq'] as const;
export type TargetFile = (typeof TARGET_FILES)[number];

/** Reads the streams of one dataset, one after the other. */
export class TargetReader {
  readonly objects = new KeptObjects();
  /** Of the last stream that was begun. */
  begin: Begin | undefined;
  /** Objects that had passed before they were known to be needed: a reader that is told of them keeps them. */
  readonly missed = new Set<number>();
  readonly #most: number;
  readonly #known: ReadonlySet<number>;
  #stream: StreamReader | undefined;
  #order: ByteOrder = 'little';
  #root: number | undefined;
  /** What the root directory named when it was last read. */
  #files: ReadonlyMap<string, number> = new Map();
  /** The objects to keep, once the root directory of the stream at hand has passed. */
  #wanted: Set<number> | undefined;
  /** Highest object of the stream at hand so far, and up to which objects were let go untried. */
  #passed = 0;
  #letGo = 0;
  /** The record whose payload comes, and what has come of it. */
  #record: StreamRecord | undefined;
  #payload = new Uint8Array();
  #have = 0;

  /** @param options.known objects that an earlier reader has missed. */
  constructor(options: { readonly most: number; readonly known?: ReadonlySet<number> }) {
    this.#most = options.most;
    this.#known = options.known ?? new Set();
  }

  /** Begins the next stream. */
  next(): void {
    const base = this.begin;
    this.#wanted = undefined;
    this.#passed = 0;
    this.#letGo = 0;
    this.#stream = new StreamReader({
      onRecord: (record) => {
        this.#finish();
        if (record.type === 'BEGIN') this.#start(base);
        else this.#take(record);
      },
      onPayload: (piece) => {
        if (!this.#record) return;
        this.#payload.set(piece, this.#have);
        this.#have += piece.length;
      },
    });
  }

  /**
   * Takes the next bytes of the stream.
   *
   * @throws {ZkeepError} what the stream's reader throws; `refused` for a stream that cannot be looked into.
   */
  write(bytes: Uint8Array): void {
    this.#stream?.write(bytes);
  }

  /**
   * Ends the stream.
   *
   * @throws {ZkeepError} when it is not whole.
   */
  end(): void {
    this.#stream?.end();
    this.#finish();
    if (!this.#wanted) this.#learn();
  }

  /** Nothing that comes in this stream can matter any more. */
  get complete(): boolean {
    const tables = [SA_TYPES.registry, SA_TYPES.layouts].map((type) => this.objects.ofType(type)?.number);
    const last = Math.max(...(this.#wanted ?? [Infinity]), ...tables.map((number) => number ?? Infinity));
    return this.#passed > endOfBlock(last);
  }

  /** Names in the root directory. */
  get names(): readonly string[] {
    return [...this.#files.keys()];
  }

  /** Byte order of the streams. */
  get little(): boolean {
    return this.#order === 'little';
  }

  /**
   * The object of a file in the root directory; `undefined` when there is no such file.
   *
   * @throws {ZkeepError} `damaged` when the streams do not hold it.
   */
  fileOf(name: TargetFile): KeptObject | undefined {
    const number = this.#files.get(name);
    if (number === undefined) return undefined;
    const object = this.objects.get(number);
    if (!object) throw malformed(name, `object ${number} is in none of the streams`);
    return object;
  }

  /** The names in a directory; none when it is not kept. */
  directory(object: KeptObject | undefined, what: string): ReadonlyMap<string, number> {
    return new Map((object ? readZap(object, this.little, what) : []).map(entryOf));
  }

  #start(base: Begin | undefined): void {
    const begin = this.#stream?.begin;
    if (!begin) return;
    this.begin = begin;
    this.#order = begin.order;
    if (hasFeature(begin, 'RAW')) throw isEncrypted(begin);
    if (hasFeature(begin, 'DEDUP')) throw isDeduplicated(begin);
    if (begin.type !== FILE_SYSTEM) throw isVolume(begin);
    if (begin.fromGuid !== (base?.toGuid ?? null)) throw notTheNext(begin, base);
  }

  #take(view: RecordView): void {
    const number = view.object === undefined ? undefined : Number(view.object);
    if (number !== undefined && number > this.#passed) {
      this.#passed = number;
      if (!this.#wanted && number > endOfBlock(MASTER)) this.#look();
    }
    const isWanted = number === undefined || !this.#wanted || this.#wanted.has(number);
    if (!isWanted && view.type !== 'OBJECT') return;
    const record = decodeRecord(view.header, this.#order);
    if (!record || !KEPT_RECORDS.has(record.name)) return;
    if (!isWanted && !(record.name === 'OBJECT' && isTable(record.fields.object_type))) return;
    if (number !== undefined) this.#wanted?.add(number);
    this.#record = record;
    this.#payload = new Uint8Array(view.length);
    this.#have = 0;
  }

  /** Puts the record whose payload has come whole where it belongs. */
  #finish(): void {
    const record = this.#record;
    this.#record = undefined;
    if (!record) return;
    keep(this.objects, record, this.#payload);
    if (this.objects.bytes > this.#most) this.#makeRoom();
  }

  /** Learns the files as soon as the root directory has passed. */
  #look(): void {
    this.#root ??= this.directory(this.objects.get(MASTER), 'the master node').get('ROOT') ?? 0;
    if (this.#passed > endOfBlock(this.#root)) this.#learn();
  }

  /** Learns the files from the root directory, and lets go of all that is none of them. */
  #learn(): void {
    this.#root ??= this.directory(this.objects.get(MASTER), 'the master node').get('ROOT') ?? 0;
    const before = new Set(this.#files.values());
    this.#files = this.directory(this.objects.get(this.#root), 'the root directory');
    const files = TARGET_FILES.flatMap((name) => this.#files.get(name) ?? []);
    const isIncrement = this.begin?.fromGuid != null;
    for (const number of files) {
      const isLate = isIncrement ? !before.has(number) : number <= this.#letGo;
      if (isLate && !this.#known.has(number)) this.missed.add(number);
    }
    const wanted = new Set([MASTER, this.#root, ...this.#known, ...files]);
    this.objects.dropWhere((number, { type }) => !wanted.has(number) && !isTable(type));
    this.#wanted = new Set([...wanted, ...this.objects.numbers()]);
  }

  /** What was kept for the case that the root directory names it is let go; else there is too much of what is wanted. */
  #makeRoom(): void {
    if (!this.#wanted) {
      this.#letGo = this.#passed;
      const wanted = new Set([MASTER, this.#root, ...this.#known, ...this.#files.values()]);
      this.objects.dropWhere((number, { type }) => !wanted.has(number) && !isTable(type));
    }
    if (this.objects.bytes > this.#most) throw tooLarge('what must be kept of this target', this.#most);
  }
}

/** The object that names the root directory (`MASTER_NODE_OBJ`). */
const MASTER = 1;
/** `DMU_OST_ZFS`. */
const FILE_SYSTEM = 2;
const KEPT_RECORDS: ReadonlySet<string> = new Set([
  ...['OBJECT', 'WRITE', 'WRITE_EMBEDDED', 'FREE', 'FREEOBJECTS'],
]);

/** Senders before 2.0 write the OBJECTs of a block of 32 before their data. */
function endOfBlock(number: number): number {
  return Math.floor(number / 32) * 32 + 31;
}

/** The two tables that say where a file's size stands. */
function isTable(type: number): boolean {
  return type === SA_TYPES.registry || type === SA_TYPES.layouts;
}

/** A name and the object that it leads to: the four highest of its 64 bits say what kind of file it is. */
function entryOf({ name, values }: ZapEntry): [string, number] {
  return [name, Number((values[0] ?? 0n) & 0xffff_ffff_ffffn)];
}

/** Does to the kept objects what a receiver does. */
function keep(objects: KeptObjects, { name, fields }: StreamRecord, payload: Uint8Array): void {
  switch (name) {
    case 'OBJECT': {
      const facts = { type: fields.object_type, blockSize: fields.blksz, bonusType: fields.bonustype };
      objects.put(Number(fields.object), facts, payload.subarray(0, fields.bonuslen));
      break;
    }
    case 'WRITE': {
      const block = {
        bytes: payload,
        compression: fields.compressiontype,
        size: Number(fields.logical_size),
      };
      objects.write(Number(fields.object), Number(fields.offset), block);
      break;
    }
    case 'WRITE_EMBEDDED': {
      const bytes = payload.subarray(0, fields.psize);
      const block = { bytes, compression: fields.compression, size: fields.lsize };
      objects.write(Number(fields.object), Number(fields.offset), block);
      break;
    }
    case 'FREE':
      objects.free(Number(fields.object), Number(fields.offset), Number(fields.length));
      break;
    case 'FREEOBJECTS':
      objects.dropRange(Number(fields.firstobj), Number(fields.numobjs));
      break;
  }
}
