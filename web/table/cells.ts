/** How a cell of a result is written. */
import type { Column } from '#core';
import { rolesOf } from '#visualize';

export interface CellFormat {
  /** Right-aligned with tabular figures. */
  readonly numeric: boolean;
  /** null for NULL. */
  text(cell: unknown): string | null;
}

/** `cells` are some of the column's: an amount without cents anywhere is shown without. */
export function cellFormat(column: Column, language: string, cells: readonly unknown[] = []): CellFormat {
  const [role] = rolesOf({ columns: [column], rows: [] });
  if (role === 'measure') return { numeric: true, text: numbers(column, language, cells) };
  if (role === 'time')
    return { numeric: false, text: (cell) => (typeof cell === 'string' ? cell.replace('T', ' ').replace(/Z$/, '') : words(cell)) };
  return { numeric: /INT|DECIMAL|DOUBLE|FLOAT/.test(column.type), text: words };
}

function numbers({ name, type }: Column, language: string, cells: readonly unknown[]): (cell: unknown) => string | null {
  const scale = Number(/^DECIMAL\(\d+,(\d+)\)/.exec(type)?.[1] ?? 0);
  const format = new Intl.NumberFormat(language, {
    minimumFractionDigits: Math.min(2, Math.max(0, ...cells.map(decimals))),
    maximumFractionDigits: Math.max(scale, /^(DOUBLE|FLOAT)/.test(type) ? 6 : 0),
    useGrouping: !/(^|_)(year|yyyy)$/i.test(name),
  });
  // A number with more digits than a double keeps comes as its text, which Intl writes with all of them.
  return (cell) => (cell === null ? null : typeof cell === 'number' || isNumberText(cell) ? format.format(cell as number) : words(cell));
}

/** Digits after the point. */
const decimals = (cell: unknown) => (cell === null ? 0 : (/\.(\d+)$/.exec(String(cell))?.[1]?.length ?? 0));

const isNumberText = (cell: unknown) => typeof cell === 'string' && /^-?\d+(\.\d+)?$/.test(cell);

function words(cell: unknown): string | null {
  if (cell === null || cell === undefined) return null;
  return typeof cell === 'object' ? JSON.stringify(cell) : String(cell);
}

/** Tab-separated, as spreadsheets paste it: tabs and line breaks in a cell become spaces. */
export function tsv(columns: readonly Column[], rows: readonly (readonly unknown[])[]): string {
  const line = (cells: readonly unknown[]) => cells.map((cell) => (words(cell) ?? '').replaceAll(/[\t\r\n]+/g, ' ')).join('\t');
  return [line(columns.map(({ name }) => name)), ...rows.map(line)].join('\n');
}

/** Numbers by value, all else by text; NULL last. */
export function sorted(rows: readonly (readonly unknown[])[], column: number, descending: boolean): (readonly unknown[])[] {
  const sign = descending ? -1 : 1;
  return [...rows].sort((a, b) => {
    const [x, y] = [a[column], b[column]];
    if (x === null || y === null) return x === y ? 0 : x === null ? 1 : -1;
    if (typeof x === 'number' && typeof y === 'number') return sign * (x - y);
    if (isNumberText(x) || isNumberText(y)) return sign * (Number(x) - Number(y));
    const [s, u] = [words(x)!, words(y)!];
    return s < u ? -sign : s > u ? sign : 0;
  });
}
