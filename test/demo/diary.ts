/** Runs the demo's commands in sight of the reader, and keeps what they did for the table at the end. */
import type { House } from '../house.ts';

interface Deed {
  readonly what: string;
  readonly seconds: number;
  /** Raw and stored bytes, where there are any. */
  readonly bytes: number | null;
  readonly stored: number | null;
  readonly result: string;
}

/** The part of a result that the table shows. */
export interface Outcome {
  readonly bytes?: number;
  readonly stored?: number;
  readonly result: string;
}

export class Diary {
  readonly house: House;
  readonly #deeds: Deed[] = [];

  constructor(house: House) {
    this.house = house;
  }

  /**
   * Runs `zkeep` with these words and writes down what came of it.
   *
   * @param read makes the table's row from the `--json` document; it throws when something does not agree.
   */
  zkeep<Document>(
    what: string,
    words: readonly string[],
    read: (document: Document) => Outcome,
    stdin?: Buffer,
  ): Document {
    console.log(`$ zkeep ${words.map(quote).join(' ')}${stdin ? ' < stream' : ''}`);
    const began = performance.now();
    const ran = this.house.zkeep([...words, '--json'], stdin);
    const seconds = (performance.now() - began) / 1000;
    if (ran.code !== 0)
      throw new Error(`zkeep ${words[0]} ended with ${ran.code}: ${ran.stderr}${ran.stdout}`);
    const document = ran.json() as Document;
    const { bytes = null, stored = null, result } = read(document);
    this.#deeds.push({ what, seconds, bytes, stored, result });
    return document;
  }

  /** Writes down something that was checked outside zkeep. */
  note(what: string, result: string): void {
    this.#deeds.push({ what, seconds: 0, bytes: null, stored: null, result });
  }

  print(): void {
    const size = (bytes: number | null) => bytes?.toLocaleString('en') ?? '';
    const rows = [
      ['what', 'bytes', 'stored', 'seconds', 'result'],
      ...this.#deeds.map(({ what, bytes, stored, seconds, result }) => [
        what,
        size(bytes),
        size(stored),
        seconds === 0 ? '' : seconds.toFixed(2),
        result,
      ]),
    ];
    const width = (column: number) => Math.max(...rows.map((row) => row[column]?.length ?? 0));
    const numeric = (column: number) => column > 0 && column < 4;
    console.log();
    for (const row of rows) {
      const cells = row.map((cell, n) => (numeric(n) ? cell.padStart(width(n)) : cell.padEnd(width(n))));
      console.log(cells.join('  ').trimEnd());
    }
  }
}

function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
