/** How a cell of a result is written. */
import type { Column } from '#core';
import { instant, rolesOf } from '#visualize';
import { workspaceZone } from '../zone.ts';

export interface CellFormat {
  /** Right-aligned with tabular figures. */
  readonly numeric: boolean;
  /** null for NULL. */
  text(cell: unknown): string | null;
  /** All of it, where `text` leaves something out. */
  whole?(cell: unknown): string | undefined;
}

/** `cells` are some of the column's: an amount without cents anywhere is shown without. */
export function cellFormat(column: Column, language: string, cells: readonly unknown[] = []): CellFormat {
  const [role] = rolesOf({ columns: [column], rows: [] });
  if (role === 'measure') return numbers(column, language, cells);
  if (role === 'time' && /TIME ZONE|TIMESTAMPTZ/.test(column.type)) return instants(workspaceZone());
  if (role === 'time')
    return { numeric: false, text: (cell) => (typeof cell === 'string' ? cell.replace('T', ' ').replace(/Z$/, '') : words(cell)) };
  return { numeric: /INT|DECIMAL|DOUBLE|FLOAT/.test(column.type), text: words };
}

/** A moment as the workspace's clock showed it; the moment itself in full. */
function instants(zone: string): CellFormat {
  const clock = new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short', timeStyle: 'medium' });
  const read = (cell: unknown) => (typeof cell === 'string' ? instant(cell) : null);
  return {
    numeric: false,
    text(cell) {
      const at = read(cell);
      const fraction = /\.\d+/.exec(String(cell))?.[0] ?? '';
      return at === null ? words(cell) : `${clock.format(at)}${fraction}`;
    },
    whole: (cell) => (read(cell) === null ? undefined : `${cell} (${zone})`),
  };
}

const known = new Map<string, Intl.NumberFormat>();

/** Making one costs more than a thousand uses of it, and tables have many columns. */
function formatOf(language: string, options: Intl.NumberFormatOptions): Intl.NumberFormat {
  const key = `${language} ${JSON.stringify(options)}`;
  const made = known.get(key) ?? new Intl.NumberFormat(language, options);
  known.set(key, made);
  return made;
}

function numbers({ name, type }: Column, language: string, cells: readonly unknown[]): CellFormat {
  const scale = Number(/^DECIMAL\(\d+,(\d+)\)/.exec(type)?.[1] ?? 0);
  const isDouble = /^(DOUBLE|FLOAT)/.test(type);
  const most = Math.max(0, ...cells.map(decimals));
  // What a sum of doubles has behind its fourth digit is noise, and a column that ends at one place is read at a glance.
  const large = isDouble && cells.some((cell) => typeof cell === 'number' && Math.abs(cell) >= 100);
  const digits = isDouble ? Math.min(most, large ? 2 : 4) : Math.max(scale === 0 ? 0 : Math.min(2, most), Math.min(scale, most));
  const options = { useGrouping: !/(^|_)(year|yyyy)$/i.test(name) };
  // Of a column whose cells are not known nothing is rounded that a reader would miss.
  const longest = cells.length > 0 ? digits : isDouble ? 4 : scale;
  const format = formatOf(language, { ...options, minimumFractionDigits: digits, maximumFractionDigits: longest });
  const small = () => formatOf(language, { ...options, maximumSignificantDigits: 4 });
  const isNumber = (cell: unknown) => typeof cell === 'number' || isNumberText(cell);
  return {
    numeric: true,
    // A number with more digits than a double keeps comes as its text, which Intl writes with all of them.
    text(cell) {
      if (cell === null) return null;
      if (!isNumber(cell)) return words(cell);
      const value = Number(cell);
      return (isDouble && value !== 0 && Math.abs(value) < 10 ** -longest ? small() : format).format(cell as number);
    },
    whole: (cell) => (isNumber(cell) && decimals(cell) > longest ? String(cell) : undefined),
  };
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
