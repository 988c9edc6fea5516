// SPDX-License-Identifier: Apache-2.0
// Figures by benchmark and engine, and how they are printed: time, and ratio to native or another base.

export type Figures = Map<string, Map<string, number>>;

export function printTable(
  title: string,
  unit: string,
  engines: readonly string[],
  figures: Figures,
  base = 'native',
): void {
  const head = [title, ...engines.flatMap((name) => (name === base ? [name] : [name, 'x']))];
  const rows = [...figures].map(([name, byEngine]) => [
    name,
    ...engines.flatMap((engine) => cells(engine, byEngine, base)),
  ]);
  printCells(head, rows, unit);
}

/** The first column to the left, all others to the right. */
export function printCells(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  unit: string,
): void {
  const widths = head.map((cell, column) =>
    Math.max(cell.length, ...rows.map((row) => (row[column] ?? '').length)),
  );
  console.log(`\n${line(head, widths)}   (${unit})`);
  for (const row of rows) console.log(line(row, widths));
}

function cells(engine: string, byEngine: ReadonlyMap<string, number>, base: string): string[] {
  const value = byEngine.get(engine);
  const reference = byEngine.get(base);
  const text = value === undefined ? '-' : formatFigure(value);
  if (engine === base) return [text];
  return [text, value === undefined || !reference ? '-' : (value / reference).toFixed(1)];
}

/** Three digits, or all before the point. */
export function formatFigure(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

function line(row: readonly string[], widths: readonly number[]): string {
  return row
    .map((cell, column) =>
      column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
    )
    .join('  ');
}
