/** The words of one argument that stands for several, as a shell would split them. */
import { ZkeepError } from '../../errors.ts';

/** Longest text that is split, characters. */
const MAX_TEXT = 64 * 1024;
/** A quoted or a bare piece of a word; inside `"..."` a backslash keeps the next character. */
const PIECE = /'([^']*)'|"((?:[^"\\]|\\.)*)"|((?:[^\s'"\\]|\\.)+)/suy;

/**
 * Splits at white space; `'...'`, `"..."` and a backslash keep it. Nothing is expanded.
 *
 * @throws {ZkeepError} `usage` for a quote that does not end, or a text that is too long.
 * @example splitWords(`mirror /dev/sdd1 '/images/two words.img'`) // ['mirror', '/dev/sdd1', '/images/two words.img']
 */
export function splitWords(text: string): string[] {
  if (text.length > MAX_TEXT) throw unreadable(text, `it is longer than ${MAX_TEXT} characters`);
  const words: string[] = [];
  let word: string | undefined;
  for (let at = 0; at < text.length; ) {
    if (/\s/u.test(text.charAt(at))) {
      if (word !== undefined) words.push(word);
      word = undefined;
      at++;
      continue;
    }
    PIECE.lastIndex = at;
    const found = PIECE.exec(text);
    if (found === null) throw unreadable(text, `what begins with ${text.slice(at, at + 20)} does not end`);
    word = (word ?? '') + meaningOf(found);
    at = PIECE.lastIndex;
  }
  return word === undefined ? words : [...words, word];
}

function meaningOf([, single, double, bare]: RegExpExecArray): string {
  return single ?? (double ?? bare ?? '').replaceAll(/\\(.)/gsu, '$1');
}

function unreadable(text: string, why: string): ZkeepError {
  return new ZkeepError(
    'usage',
    'words.unreadable',
    `${JSON.stringify(text.slice(0, 80))} cannot be split: ${why}`,
    {
      advice: 'close every quote; write \\ before a quote that is meant as such',
      facts: { text: text.slice(0, 300) },
    },
  );
}
