/** Rows as aligned text, for people; scripts read `--json`. */
import { printable } from './words.ts';

/** A column: its heading, and whether its values are numbers and stand right. */
export interface Column {
  readonly title: string;
  readonly right?: boolean;
}

/**
 * A table with headings; the last column is not padded.
 *
 * @example table([{ title: 'name' }, { title: 'size', right: true }], [['a', '1']])
 */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const cells = [columns.map(({ title }) => title.toUpperCase()), ...rows.map((row) => row.map(printable))];
  const widths = columns.map((_, index) => Math.max(...cells.map((row) => row[index]?.length ?? 0)));
  return cells.map((row) => line(row, columns, widths)).join('\n');
}

function line(row: readonly string[], columns: readonly Column[], widths: readonly number[]): string {
  const padded = row.map((cell, index) =>
    columns[index]?.right ? cell.padStart(widths[index] ?? 0) : cell.padEnd(widths[index] ?? 0),
  );
  return padded.join('  ').trimEnd();
}
