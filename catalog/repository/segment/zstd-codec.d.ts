/** `zstd-codec` has no types of its own; these are the parts that are used. */
declare module 'zstd-codec' {
  interface Zstd {
    Simple: new () => { decompress(frame: Uint8Array): Uint8Array | null };
  }
  const codec: { ZstdCodec: { run(ready: (zstd: Zstd) => void): void } };
  export default codec;
}
