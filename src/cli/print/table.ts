import type { Column } from '#core';

export interface TableOptions {
  /** How many rows the whole answer has, where more exist than are given; null when that is not known but more do exist. */
  readonly total?: number | null;
  /** Cells of the widest line (a terminal's columns); columns are cut to fit. */
  readonly width?: number;
}

const widestCell = 60;
const narrowestCell = 6;

/**
 * A table for the terminal: numbers right-aligned with thousands separators, long cells cut with …, NULL as ∅ (never mistaken for the text
 * "NULL" or for emptiness), rows that are not shown counted below. Widths are terminal cells: Korean, Chinese and Japanese take two.
 */
export function table(columns: readonly Column[], rows: readonly (readonly unknown[])[], options: TableOptions = {}): string {
  const numeric = columns.map((column) => isNumeric(column.type));
  const grouped = columns.map((column, at) => numeric[at]! && !isIdentifier(column.name));
  const cells = rows.map((row) => columns.map((_, at) => cellText(row[at], grouped[at]!)));
  const names = columns.map((column) => oneLine(column.name));
  const natural = names.map((name, at) => Math.min(widestCell, Math.max(textWidth(name), ...cells.map((row) => textWidth(row[at]!)))));
  // A terminal that does not know its size says 0.
  const widths = fit(natural, options.width || Number.POSITIVE_INFINITY);
  const line = (texts: readonly string[]) =>
    texts
      .map((text, at) => pad(cut(text, widths[at]!), widths[at]!, numeric[at]!))
      .join('  ')
      .trimEnd();
  const rule = widths.map((width) => '─'.repeat(width)).join('  ');
  return [line(names), rule, ...cells.map(line), ...remainder(rows.length, options.total)].join('\n');
}

/**
 * What is read as a whole, such as an explanation: each row's first cell and behind it the second, nothing cut, its lines below each other.
 * A first cell that repeats is said once.
 */
export function aspects(rows: readonly (readonly unknown[])[]): string {
  const named = rows.map(([aspect]) => cellText(aspect, false));
  const width = Math.max(...named.map(textWidth)) + 2;
  return rows
    .flatMap(([, detail], at) => {
      const lines = typeof detail === 'string' ? detail.trimEnd().split('\n').map(oneLine) : [cellText(detail, false)];
      return lines.map((line, k) => (pad(k > 0 || named[at] === named[at - 1] ? '' : named[at]!, width, false) + line).trimEnd());
    })
    .join('\n');
}

/** Is a cell of the row longer than a table shows it? */
export const isLong = (row: readonly unknown[]): boolean => row.some((cell) => textWidth(cellText(cell, false)) > widestCell);

function remainder(shown: number, total: number | null | undefined): string[] {
  if (total === undefined) return [];
  if (total === null) return ['… more rows'];
  const more = total - shown;
  return more > 0 ? [`… ${more.toLocaleString('en-US')} more ${more === 1 ? 'row' : 'rows'}`] : [];
}

/** Columns of tables that are made here and not by a query. */
export const text = (name: string): Column => ({ name, type: 'VARCHAR' });
export const count = (name: string): Column => ({ name, type: 'BIGINT' });

/** DuckDB's names of number types. */
export function isNumeric(type: string): boolean {
  return /^(U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|FLOAT|DOUBLE|REAL|DECIMAL(\(\d+,\d+\))?)$/i.test(type);
}

/** A year or a key reads worse with separators: 2,026 is no year. */
function isIdentifier(name: string): boolean {
  return /(^|_)(id|year|key|code|pid|port|zip)$/i.test(name);
}

function cellText(value: unknown, grouped: boolean): string {
  if (value === null || value === undefined) return '∅';
  if (typeof value === 'string') return oneLine(grouped ? withSeparators(value) : value);
  if (typeof value === 'number' || typeof value === 'bigint') return grouped ? withSeparators(String(value)) : String(value);
  if (isRawNumber(value)) return grouped ? withSeparators(value.rawJSON) : value.rawJSON;
  return oneLine(typeof value === 'object' ? JSON.stringify(value) : String(value));
}

// The digits stay text: a DECIMAL or HUGEINT has more of them than a double.
function withSeparators(number: string): string {
  const match = /^(-?)(\d+)(\.\d+)?$/.exec(number);
  return match ? `${match[1]}${match[2]!.replace(/\B(?=(\d{3})+$)/g, ',')}${match[3] ?? ''}` : number;
}

/** Control characters would move the cursor, or worse: a cell is someone else's text on the user's terminal. */
function oneLine(text: string): string {
  return text
    .replace(/\n/g, '⏎')
    .replace(/\t/g, ' ')
    .replace(/[\x00-\x1f\x7f-\x9f]/g, '�');
}

/** Narrows the widest columns first until the line fits; none below a few cells, so a very wide table still wraps. */
function fit(natural: readonly number[], width: number): number[] {
  const widths = [...natural];
  let excess = widths.reduce((sum, each) => sum + each + 2, -2) - width;
  while (excess > 0) {
    const widest = widths.indexOf(Math.max(...widths));
    if (widths[widest]! <= narrowestCell) break;
    widths[widest]! -= 1;
    excess -= 1;
  }
  return widths;
}

function pad(text: string, width: number, right: boolean): string {
  const space = ' '.repeat(Math.max(width - textWidth(text), 0));
  return right ? space + text : text + space;
}

function cut(text: string, width: number): string {
  if (textWidth(text) <= width) return text;
  let kept = '';
  let used = 0;
  for (const { segment } of graphemes.segment(text)) {
    const next = graphemeWidth(segment);
    if (used + next > width - 1) break;
    kept += segment;
    used += next;
  }
  return `${kept}…`;
}

const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

/** Terminal cells that a text takes. */
export function textWidth(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length;
  let width = 0;
  for (const { segment } of graphemes.segment(text)) width += graphemeWidth(segment);
  return width;
}

function graphemeWidth(grapheme: string): number {
  if (/^[\p{Mn}\p{Me}\p{Cf}]+$/u.test(grapheme)) return 0;
  return isWide(grapheme.codePointAt(0)!) || /\p{Emoji_Presentation}|\uFE0F/u.test(grapheme) ? 2 : 1;
}

/** East Asian Width W and F, by block (Unicode UAX #11); emoji are asked by property. */
const wide: readonly (readonly [number, number])[] = [
  [0x1100, 0x115f],
  [0x2e80, 0x303e],
  [0x3041, 0xa4cf],
  [0xa960, 0xa97f],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe10, 0xfe19],
  [0xfe30, 0xfe6f],
  [0xff00, 0xff60],
  [0xffe0, 0xffe6],
  [0x1f200, 0x1f2ff],
  [0x20000, 0x3fffd],
];

function isWide(codePoint: number): boolean {
  return wide.some(([from, to]) => codePoint >= from && codePoint <= to);
}

function isRawNumber(value: unknown): value is { rawJSON: string } {
  return typeof value === 'object' && value !== null && 'rawJSON' in value && typeof value.rawJSON === 'string';
}
