/**
 * zstd contexts that are used for frame after frame and work from memory to
 * memory. `zstdCompressSync` makes a context and an output buffer for every
 * frame; collecting them again costs a tenth of a backup's CPU and 100 MiB.
 *
 * Node offers no such thing by a public name. What is used of its streams is the
 * binding under them, checked when it is taken; the project pins its Node.
 */
import { constants, createZstdCompress, createZstdDecompress } from 'node:zlib';
import { ZkeepError } from '../../errors.ts';
import { DEFAULT_LEVEL, FRAME_SIZE, type FrameSizes, malformed } from './frames.ts';

/**
 * Level 3 has tables of 768 KiB, for 2 MiB of input. A third of them stays in a
 * core's own cache beside a frame: on a tar of /usr 1 % more bytes for a fifth
 * less CPU, measured on cores that others use too.
 */
const SMALL_TABLES = { [constants.ZSTD_c_hashLog]: 15, [constants.ZSTD_c_chainLog]: 15 };

/** The binding of a stream of `node:zlib`, and what its last write left. */
interface Binding {
  readonly handle: {
    onerror: (message: string) => void;
    writeSync(
      flush: number,
      from: Uint8Array,
      fromAt: number,
      fromLength: number,
      to: Uint8Array,
      toAt: number,
      toLength: number,
    ): void;
    close(): void;
  };
  /** Bytes of `to` that are still free, bytes of `from` that are still unread. */
  readonly left: Uint32Array;
}

/** What one write did, in bytes. */
interface Written {
  readonly read: number;
  readonly written: number;
}

/** One zstd context. After an error it is of no use any more. */
class Context {
  readonly #binding: Binding;
  #error: string | undefined;

  constructor(stream: object) {
    this.#binding = bindingOf(stream);
    this.#binding.handle.onerror = (message) => {
      this.#error = message;
    };
  }

  /** @throws {Error} what zstd says. */
  write(flush: number, from: Uint8Array, to: Uint8Array): Written {
    const { handle, left } = this.#binding;
    handle.writeSync(flush, from, 0, from.length, to, 0, to.length);
    if (this.#error !== undefined) throw new Error(this.#error);
    const [free = 0, unread = 0] = left;
    return { read: from.length - unread, written: to.length - free };
  }

  close(): void {
    this.#binding.handle.close();
  }
}

/** Makes frames of one level. */
export class FrameCompressor {
  readonly #level: number;
  #context: Context | undefined;

  /** @param level zstd's level, 1 to 19. */
  constructor(level: number) {
    this.#level = level;
  }

  /**
   * One frame, with content size and content checksum.
   *
   * @param raw at most {@link FRAME_SIZE} bytes.
   * @param into where it is put; `compressBound` of the raw bytes are always enough.
   * @returns its bytes.
   * @throws {ZkeepError} `failed` when it does not fit; the next frame is whole again.
   * @example const length = compressor.compress(raw, arena.subarray(at))
   */
  compress(raw: Uint8Array, into: Uint8Array): number {
    const context = this.#context ?? makeCompressContext(this.#level);
    this.#context = undefined; // a context that failed would go on in the middle of its frame
    const { read, written } = context.write(constants.ZSTD_e_end, raw, into);
    if (read === raw.length && written < into.length) {
      this.#context = context;
      return written;
    }
    context.close();
    throw new ZkeepError('failed', 'zstd.room', `a frame of ${raw.length} bytes has no room`);
  }
}

/** Takes frames apart. */
export class FrameDecompressor {
  #context: Context | undefined;

  /**
   * The raw bytes of one frame.
   *
   * @param stored the frame and what follows it in its segment, at least the seek table.
   * @param sizes what the seek table says of it.
   * @param into where its raw bytes are put: `sizes.raw` of them.
   * @throws {ZkeepError} `damaged` when zstd refuses it, or when one of its sizes is another.
   * @example decompressor.decompress(segment.subarray(at), { stored, raw }, arena)
   */
  decompress(stored: Uint8Array, sizes: FrameSizes, into: Uint8Array): void {
    this.#context ??= makeDecompressContext();
    let done: Written;
    try {
      // A frame that is cut takes bytes of its follower, and has another size or checksum then.
      done = this.#context.write(constants.ZSTD_e_continue, stored, into.subarray(0, sizes.raw));
    } catch (cause) {
      this.close();
      throw malformed(`zstd cannot decode a frame of ${sizes.stored} bytes`, cause);
    }
    if (done.read === sizes.stored && done.written === sizes.raw) return;
    this.close();
    throw malformed(`a frame is not the ${sizes.stored} bytes for ${sizes.raw} that were promised`);
  }

  close(): void {
    this.#context?.close();
    this.#context = undefined;
  }
}

function makeCompressContext(level: number): Context {
  const params = {
    [constants.ZSTD_c_compressionLevel]: level,
    ...(level === DEFAULT_LEVEL ? SMALL_TABLES : {}),
    [constants.ZSTD_c_checksumFlag]: 1,
    [constants.ZSTD_c_contentSizeFlag]: 1,
  };
  return new Context(createZstdCompress({ params }));
}

function makeDecompressContext(): Context {
  const params = { [constants.ZSTD_d_windowLogMax]: Math.log2(FRAME_SIZE) };
  return new Context(createZstdDecompress({ params }));
}

function bindingOf(stream: object): Binding {
  const handle: unknown = Reflect.get(stream, '_handle');
  const left: unknown = Reflect.get(stream, '_writeState');
  if (isHandle(handle) && left instanceof Uint32Array) return { handle, left };
  throw new ZkeepError('failed', 'zstd.binding', `Node ${process.version} is not the one that zkeep pins`, {
    advice: "start zkeep by bin/zkeep, which takes the project's own Node",
  });
}

function isHandle(value: unknown): value is Binding['handle'] {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof Reflect.get(value, 'writeSync') === 'function' &&
    typeof Reflect.get(value, 'close') === 'function' &&
    'onerror' in value
  );
}
