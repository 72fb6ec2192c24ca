/** A table of text: columns as wide as their widest cell, the first row a dimmed heading. */
import { colours } from './colours.ts';

/** What a cell says and how it looks; colours do not count for its width. */
export type Cell = string | { readonly text: string; readonly paint: (text: string) => string };

export function textTable(rows: readonly (readonly Cell[])[]): readonly string[] {
  const textOf = (cell: Cell) => (typeof cell === 'string' ? cell : cell.text);
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => textOf(row[column]).length)));
  return rows.map((row, i) => {
    const line = row.map((cell, column) => {
      const padded = textOf(cell).padEnd(column === row.length - 1 ? 0 : widths[column]);
      return typeof cell === 'string' ? padded : cell.paint(padded);
    });
    return i === 0 ? colours.dim(line.join('  ')) : line.join('  ');
  });
}

/** Milliseconds as people read them, `–` where they are not known. */
export function stalenessText(ms: number | null): string {
  return ms === null ? '–' : `${Math.round(ms)} ms`;
}
