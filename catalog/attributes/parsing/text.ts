/** Bytes of a command's output as text that loses none of them, and the way back. */
import type { CommandOutput } from '../attributes.ts';

/** What a byte that is not UTF-8 is added to: 0x80 to 0xFF become U+DC80 to U+DCFF, which no UTF-8 can hold. */
const ESCAPE = 0xdc00;

/** The output of a command as text; what base64 hides and is not UTF-8 stands as U+DC80 to U+DCFF. */
export function textOf({ output, encoding }: CommandOutput): string {
  return encoding === 'base64' ? textOfBytes(Buffer.from(output, 'base64')) : output;
}

/**
 * Bytes as text: UTF-8 where they are that, every other byte as U+DC80 to U+DCFF.
 *
 * @example textOfBytes(Buffer.from([0x61, 0xff])) // 'a\udcff'
 */
export function textOfBytes(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const parts: string[] = [];
  let start = 0;
  for (let at = 0; at < buffer.length; ) {
    const length = sequenceAt(buffer, at);
    if (length > 0) {
      at += length;
      continue;
    }
    parts.push(buffer.toString('utf8', start, at), String.fromCharCode(ESCAPE + (buffer[at] ?? 0)));
    start = ++at;
  }
  parts.push(buffer.toString('utf8', start));
  return parts.join('');
}

/**
 * The bytes that {@link textOfBytes} was given.
 *
 * @example bytesOfText('a\udcff') // <61 ff>
 */
export function bytesOfText(text: string): Buffer {
  const parts = text.split(/([\udc80-\udcff]+)/u);
  return Buffer.concat(
    parts.map((part, index) =>
      index % 2 === 0
        ? Buffer.from(part)
        : Buffer.from(Array.from(part, (character) => character.charCodeAt(0) - ESCAPE)),
    ),
  );
}

/** Length of the UTF-8 sequence that begins there, 0 if none does (RFC 3629, section 4). */
function sequenceAt(bytes: Buffer, at: number): number {
  const first = bytes[at] ?? 0;
  if (first < 0x80) return 1;
  const length = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  if (length === 0 || at + length > bytes.length) return 0;
  const second = bytes[at + 1] ?? 0;
  const least = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
  const most = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
  if (second < least || second > most) return 0;
  for (let next = 2; next < length; next++) {
    if (((bytes[at + next] ?? 0) & 0xc0) !== 0x80) return 0;
  }
  return length;
}
