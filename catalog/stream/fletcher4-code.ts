/**
 * The inner loop of fletcher4 as WebAssembly: 64-bit adds that JavaScript's
 * numbers do not have. The module is assembled here, instruction by instruction
 * (WebAssembly core specification, chapter 5), so there is no build step.
 *
 *     sum(state, at, words)          words as they lie, little-endian
 *     sumSwapped(state, at, words)   words with their bytes turned round first
 *
 * `state` and `at` are addresses in the imported memory `m.m`: the four running
 * sums (u64, little-endian) and the first of `words` 32-bit words.
 */

/** What the module exports: adds `words` 32-bit words at address `at` to the sums at address `state`. */
export type SumWords = (state: number, at: number, words: number) => void;

/** The module's bytes. A shared memory must be declared as such when it is imported. */
export function fletcher4Code(shared: boolean): Uint8Array {
  const plain = sumFunction(loadWord);
  const swapped = sumFunction(loadSwappedWord);
  return new Uint8Array([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00], // "\0asm", version 1
    ...section(1, vector([[0x60, ...vector([[I32], [I32], [I32]]), ...vector([])]])), // type 0: (i32 i32 i32) -> ()
    ...section(2, vector([[...name('m'), ...name('m'), 0x02, ...memoryLimits(shared)]])),
    ...section(3, vector([[0], [0]])), // two functions of type 0
    ...section(7, vector([exported('sum', 0), exported('sumSwapped', 1)])),
    ...section(10, vector([plain, swapped].map((body) => [...unsigned(body.length), ...body]))),
  ]);
}

const I32 = 0x7f;
const I64 = 0x7e;

// Parameters and locals, by number.
const STATE = 0;
const AT = 1;
const WORDS = 2;
const WORD = 3; // i32, for the swapped variant
const A = 4;
const B = 5;
const C = 6;
const D = 7;

const get = (local: number) => [0x20, local];
const set = (local: number) => [0x21, local];
const tee = (local: number) => [0x22, local]; // set, and keep the value on the stack
const constant = (value: number) => [0x41, ...signed(value)];
const add32 = [0x6a];
const add64 = [0x7c];
const and32 = [0x71];
const or32 = [0x72];
const rotateLeft = [0x77];
const rotateRight = [0x78];
const lessUnsigned = [0x49];
const isZero = [0x45];
const widen = [0xad]; // i64.extend_i32_u
const load64 = (offset: number) => [0x29, 0x00, offset]; // alignment hint 2^0: any address will do
const store64 = (offset: number) => [0x37, 0x00, offset];
const load32 = (offset: number) => [0x28, 0x00, offset];
const load32to64 = (offset: number) => [0x35, 0x00, offset];
const leaveIf = [0x0d, 0x01]; // br_if to the end of the block round the loop
const again = [0x0c, 0x00]; // br to the start of the loop
const loop = (body: number[]) => [0x02, 0x40, 0x03, 0x40, ...body, 0x0b, 0x0b];

/** Pushes the word at `AT + offset` as i64. */
const loadWord = (offset: number) => [...get(AT), ...load32to64(offset)];

/** The same for a big-endian word: even and odd bytes are turned into place two at a time. */
const loadSwappedWord = (offset: number) => [
  ...[...get(AT), ...load32(offset), ...tee(WORD)],
  ...[...constant(8), ...rotateLeft, ...constant(0x00ff00ff), ...and32],
  ...[...get(WORD), ...constant(8), ...rotateRight, ...constant(0xff00ff00 | 0), ...and32],
  ...[...or32, ...widen],
];

/** a += word; b += a; c += b; d += c. */
const addWord = (word: number[]) => [
  ...word,
  ...[A, B, C, D].flatMap((sum) => [...get(sum), ...add64, ...tee(sum)]),
  0x1a, // drop
];

/** Adds `count` words and steps over them. */
const addWords = (count: number, word: (offset: number) => number[]) => [
  ...Array.from({ length: count }, (_, n) => addWord(word(n * 4))).flat(),
  ...[...get(AT), ...constant(count * 4), ...add32, ...set(AT)],
  ...[...get(WORDS), ...constant(-count), ...add32, ...set(WORDS)],
];

function sumFunction(word: (offset: number) => number[]): number[] {
  const sums = [A, B, C, D];
  return [
    ...vector([
      [1, I32],
      [4, I64],
    ]), // locals: WORD; A to D
    ...sums.flatMap((sum, n) => [...get(STATE), ...load64(n * 8), ...set(sum)]),
    ...loop([...get(WORDS), ...constant(4), ...lessUnsigned, ...leaveIf, ...addWords(4, word), ...again]),
    ...loop([...get(WORDS), ...isZero, ...leaveIf, ...addWords(1, word), ...again]),
    ...sums.flatMap((sum, n) => [...get(STATE), ...get(sum), ...store64(n * 8)]),
    0x0b,
  ];
}

const memoryLimits = (shared: boolean) => (shared ? [0x03, 1, ...unsigned(65536)] : [0x00, 1]);
const exported = (label: string, index: number) => [...name(label), 0x00, index];
const name = (text: string) => vector([...Buffer.from(text)].map((byte) => [byte]));
const vector = (items: number[][]) => [...unsigned(items.length), ...items.flat()];
const section = (id: number, body: number[]) => [id, ...unsigned(body.length), ...body];

/** LEB128, unsigned. */
function unsigned(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}

/** LEB128, signed. */
function signed(value: number): number[] {
  const low = value & 0x7f;
  const rest = value >> 7;
  const last = (rest === 0 && (low & 0x40) === 0) || (rest === -1 && (low & 0x40) !== 0);
  return last ? [low] : [low | 0x80, ...signed(rest)];
}
