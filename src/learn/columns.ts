import { type Clock, fail } from '#core';

/**
 * One column of a table, all rows. Booleans come as `number` 0 or 1, times as epoch milliseconds; NaN and null are missing.
 * Infinities count as missing. Times without a `clock` are wall-clock times as they are written; with one they are instants, whose day and
 * hour are those of that clock.
 */
export type ColumnData =
  | { readonly name: string; readonly kind: 'number'; readonly values: Float64Array }
  | { readonly name: string; readonly kind: 'text'; readonly values: readonly (string | null)[] }
  | { readonly name: string; readonly kind: 'time'; readonly values: Float64Array; readonly clock?: Clock };

/** One value as the encoders read it; null is missing. Times are epoch milliseconds. */
export type Cell = number | string | null;

/** The column's value in that row. */
export function cell(column: ColumnData, row: number): Cell {
  if (column.kind === 'text') return column.values[row] ?? null;
  const value = column.values[row]!;
  return Number.isFinite(value) ? value : null;
}

/** The columns with only the given rows, in that order. */
export function takeRows(columns: readonly ColumnData[], rows: ArrayLike<number>): ColumnData[] {
  return columns.map((column) => {
    if (column.kind === 'text') return { ...column, values: Array.from(rows, (row) => column.values[row] ?? null) };
    return { ...column, values: take(column.values, rows) };
  });
}

export function take(values: ArrayLike<number>, rows: ArrayLike<number>): Float64Array {
  const taken = new Float64Array(rows.length);
  for (let i = 0; i < rows.length; i++) taken[i] = values[rows[i]!]!;
  return taken;
}

/** Names are unique and all columns have the same number of rows, which is returned. LEARN_COLUMNS otherwise. */
export function checkColumns(columns: readonly ColumnData[]): number {
  const rows = columns[0]?.values.length ?? 0;
  const seen = new Set<string>();
  for (const { name, values } of columns) {
    if (seen.has(name)) fail('LEARN_COLUMNS', { column: name, problem: 'stands twice' });
    seen.add(name);
    if (values.length !== rows) fail('LEARN_COLUMNS', { column: name, problem: `has ${values.length} rows where others have ${rows}` });
  }
  return rows;
}
