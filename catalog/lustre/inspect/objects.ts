/** The few objects of a dataset that are kept while its streams pass by: attributes and blocks, as they came. */
import { type StoredBlock, unpackBlock } from './compression/block.ts';
import { malformed, tooLarge } from './fields.ts';

/** What an OBJECT record says of an object. */
export interface ObjectFacts {
  /** `enum dmu_object_type` (OpenZFS `include/sys/dmu.h`). */
  readonly type: number;
  readonly blockSize: number;
  readonly bonusType: number;
}

/** One object. */
export interface KeptObject extends ObjectFacts {
  readonly number: number;
  /** What the file system says of it: owner, size, ... */
  readonly bonus: Uint8Array;
  /** By their offset in bytes. */
  readonly blocks: Map<number, StoredBlock>;
}

/** What one block costs besides its bytes, about. */
const BLOCK_COST = 200;
/** What one object costs besides its blocks, about. */
const OBJECT_COST = 600;

/** Objects by number, and what they take of memory. */
export class KeptObjects {
  readonly #objects = new Map<number, KeptObject>();
  #bytes = 0;

  /** About the bytes of memory that all of them take. */
  get bytes(): number {
    return this.#bytes;
  }

  get(number: number): KeptObject | undefined {
    return this.#objects.get(number);
  }

  numbers(): Iterable<number> {
    return this.#objects.keys();
  }

  /** The first object of a type. */
  ofType(type: number): KeptObject | undefined {
    return [...this.#objects.values()].find((object) => object.type === type);
  }

  /** Takes an OBJECT: what the object had stays, unless it is another one now (`receive_handle_existing_object`). */
  put(number: number, facts: ObjectFacts, bonus: Uint8Array): void {
    const before = this.#objects.get(number);
    const same = before?.type === facts.type && before.blockSize === facts.blockSize;
    if (before && !same) this.drop(number);
    const blocks = same ? before.blocks : new Map<number, StoredBlock>();
    this.#bytes += bonus.length - (same ? before.bonus.length : -OBJECT_COST);
    this.#objects.set(number, { number, ...facts, bonus, blocks });
  }

  /** Takes a block of an object that is kept. */
  write(number: number, offset: number, block: StoredBlock): void {
    const object = this.#objects.get(number);
    if (!object) return;
    this.#forget(object, offset);
    object.blocks.set(offset, block);
    this.#bytes += block.bytes.length + BLOCK_COST;
  }

  /** Makes a hole of the blocks that begin in this range. */
  free(number: number, offset: number, length: number): void {
    const object = this.#objects.get(number);
    for (const at of [...(object?.blocks.keys() ?? [])]) {
      if (object && at >= offset && at - offset < length) this.#forget(object, at);
    }
  }

  drop(number: number): void {
    const object = this.#objects.get(number);
    if (!object) return;
    for (const at of [...object.blocks.keys()]) this.#forget(object, at);
    this.#bytes -= object.bonus.length + OBJECT_COST;
    this.#objects.delete(number);
  }

  /** Drops objects by number. */
  dropRange(first: number, count: number): void {
    this.dropWhere((number) => number >= first && number - first < count);
  }

  dropWhere(meant: (number: number, object: KeptObject) => boolean): void {
    for (const [number, object] of [...this.#objects]) if (meant(number, object)) this.drop(number);
  }

  #forget(object: KeptObject, offset: number): void {
    const block = object.blocks.get(offset);
    if (!block) return;
    object.blocks.delete(offset);
    this.#bytes -= block.bytes.length + BLOCK_COST;
  }
}

/**
 * One block of an object by its number, unpacked; a hole gives zeros.
 *
 * @throws {ZkeepError} as {@link unpackBlock}.
 */
export function blockOf(object: KeptObject, number: number): Uint8Array {
  const block = object.blocks.get(number * object.blockSize);
  return block ? unpackBlock(block) : new Uint8Array(Math.min(object.blockSize, 512));
}

/**
 * The contents of an object, holes as zeros, up to the end of its last block.
 *
 * @param most bytes that it may have.
 * @throws {ZkeepError} `refused` when it has more; what {@link unpackBlock} throws.
 */
export function contentsOf(object: KeptObject, what: string, most: number): Uint8Array {
  let end = 0;
  for (const [offset, { size }] of object.blocks) end = Math.max(end, offset + size);
  if (!Number.isSafeInteger(end)) throw malformed(what, 'a block lies beyond bounds');
  if (end > most) throw tooLarge(what, most);
  const contents = new Uint8Array(end);
  for (const [offset, block] of object.blocks) contents.set(unpackBlock(block), offset);
  return contents;
}
