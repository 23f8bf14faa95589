/** The table at the end of the demo. */

/** One thing the demo did. */
export interface Deed {
  readonly what: string;
  readonly kind: string;
  /** Raw bytes; `null` where there are none. */
  readonly bytes: number | null;
  readonly stored: number | null;
  readonly seconds: number;
  readonly result: string;
}

/** Prints deeds as an aligned table. */
export function printTable(deeds: readonly Deed[]): void {
  const rows = [
    ['what', 'kind', 'bytes', 'stored', 'seconds', 'result'],
    ...deeds.map((deed) => [
      deed.what,
      deed.kind,
      deed.bytes?.toLocaleString('en') ?? '',
      deed.stored?.toLocaleString('en') ?? '',
      deed.seconds.toFixed(2),
      deed.result,
    ]),
  ];
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  console.log();
  for (const row of rows) {
    const cells = row.map((cell, column) =>
      column >= 2 && column <= 4 ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
    );
    console.log(cells.join('  ').trimEnd());
  }
}
