/** The second, independent zstd decoder (WebAssembly), asked on a sample of frames by verification. */
import { ZkeepError } from '../../errors.ts';

interface SimpleDecoder {
  /** `null` for what it cannot decode; throws a string when its heap is exhausted. */
  decompress(frame: Uint8Array): Uint8Array | null;
}

let loading: Promise<SimpleDecoder> | undefined;

/**
 * Decodes a frame again and compares.
 *
 * @throws {ZkeepError} `damaged` when the two decoders disagree.
 */
export async function compareDecoders(frame: Uint8Array, expected: Uint8Array): Promise<void> {
  loading ??= load();
  const decoder = await loading;
  let decoded: Uint8Array | null;
  try {
    decoded = decoder.decompress(frame);
  } catch (cause) {
    throw disagree('it gave up', cause);
  }
  if (!decoded || Buffer.compare(decoded, expected) !== 0) throw disagree('it gave other bytes');
}

async function load(): Promise<SimpleDecoder> {
  const { ZstdCodec } = (await import('zstd-codec')).default;
  return await new Promise((resolve) => {
    ZstdCodec.run((zstd) => resolve(new zstd.Simple()));
  });
}

function disagree(what: string, cause?: unknown): ZkeepError {
  return new ZkeepError('damaged', 'segment.decoders', `the second zstd decoder disagrees: ${what}`, {
    cause,
  });
}
