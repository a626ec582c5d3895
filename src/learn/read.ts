import { type Cell, type ColumnData, cell } from './columns.ts';

/** What a column is to learning. `id`, `constant` and `empty` are not learned from. */
export type Role = 'number' | 'category' | 'text' | 'time' | 'id' | 'constant' | 'empty';

/** What was found in a column. */
export interface Reading {
  readonly name: string;
  readonly role: Role;
  readonly rows: number;
  readonly missing: number;
  readonly distinct: number;
  /** Why it has that role where its type does not say so already. */
  readonly why: string | null;
}

/** Fewer rows can't tell an id from a value. */
const LEAST_ROWS_FOR_ID = 50;

const ID_NAME = /(^|[_\s-])(id|uuid|guid|key|index|rowid)$|[a-z](Id|ID)$/i;

/**
 * Reads all values of a column once and decides its role. Numbers and dates that stand in text (blanks among them) are seen as such, unless
 * `isCategory`.
 */
export function readColumn(column: ColumnData, isCategory = false): Reading {
  const distinct = new Set<Cell>();
  let missing = 0;
  for (let i = 0; i < column.values.length; i++) {
    const value = known(cell(column, i));
    if (value === null) missing++;
    else distinct.add(value);
  }
  const found = { name: column.name, rows: column.values.length, missing, distinct: distinct.size };
  const { role, why } = roleOf(column, found, distinct, isCategory);
  return { ...found, role, why };
}

/** A blank text is a missing value. */
export function known(value: Cell): Cell {
  if (typeof value !== 'string') return value;
  return value.trim() === '' ? null : value;
}

type Verdict = { readonly role: Role; readonly why: string | null };

function roleOf(column: ColumnData, found: Omit<Reading, 'role' | 'why'>, distinct: ReadonlySet<Cell>, isCategory: boolean): Verdict {
  if (distinct.size === 0) return { role: 'empty', why: 'all values are missing' };
  if (distinct.size === 1 && found.missing === 0) return { role: 'constant', why: 'all values are the same' };
  if (isCategory) return { role: 'category', why: 'it is made as one' };
  if (column.kind === 'time') return { role: 'time', why: null };
  if (column.kind === 'number') return numberRole(found, distinct as ReadonlySet<number>);
  return textRole(found, distinct as ReadonlySet<string>);
}

function numberRole(found: Omit<Reading, 'role' | 'why'>, distinct: ReadonlySet<number>): Verdict {
  const present = found.rows - found.missing;
  if (distinct.size !== present || present < LEAST_ROWS_FOR_ID) return { role: 'number', why: null };
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const value of distinct) {
    if (!Number.isInteger(value)) return { role: 'number', why: null };
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (high - low === present - 1) return { role: 'id', why: 'it counts the rows' };
  if (ID_NAME.test(found.name)) return { role: 'id', why: 'each row has its own whole number and the name says id' };
  return { role: 'number', why: null };
}

function textRole(found: Omit<Reading, 'role' | 'why'>, distinct: ReadonlySet<string>): Verdict {
  const present = found.rows - found.missing;
  if (every(distinct, (text) => parseNumber(text) !== null)) return { role: 'number', why: 'every text that is not blank is a number' };
  if (every(distinct, (text) => parseTime(text) !== null))
    return isOpenOrder(distinct)
      ? { role: 'category', why: 'its dates may have the day or the month first; written as 2024-04-03 they would be read' }
      : { role: 'time', why: 'every text that is not blank is a date' };
  let words = 0;
  for (const text of distinct) words += wordsIn(text);
  const prose = words / distinct.size >= 2 && distinct.size > 50 && distinct.size > present * 0.2;
  if (prose) return { role: 'text', why: 'values are phrases and seldom repeat' };
  if (present < LEAST_ROWS_FOR_ID || distinct.size <= present * 0.95) return { role: 'category', why: null };
  if (mostly(distinct, isWord)) return { role: 'text', why: 'values are words, and nearly every row has its own' };
  return { role: 'id', why: 'nearly every row has a value of its own' };
}

/** Letters of scripts that leave no blank between words. */
const UNSPACED = /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Thai}\p{sc=Lao}\p{sc=Khmer}\p{sc=Myanmar}ー]/gu;
/** Of these letters a word has about two in Chinese, three in Japanese and four in Thai. */
const UNSPACED_WORD = 3;

function wordsIn(text: string): number {
  let words = 0;
  for (const token of text.trim().split(/\s+/u)) words += Math.max(1, (token.match(UNSPACED)?.length ?? 0) / UNSPACED_WORD);
  return words;
}

/** Ids are of Latin letters, digits and signs the world over: what is written in other letters, without a digit, is a word or a name. */
function isWord(text: string): boolean {
  const letters = text.match(/(?!\p{sc=Latin})[\p{L}\p{M}]/gu)?.length ?? 0;
  return letters * 2 > text.replace(/\s/gu, '').length && !/\p{N}/u.test(text);
}

function mostly(values: ReadonlySet<string>, test: (text: string) => boolean): boolean {
  let count = 0;
  for (const value of values) if (test(value)) count++;
  return count * 2 > values.size;
}

/** Dates with slashes, of which none shows by a day after the 12th that days come first, as `parseTime` reads them. */
function isOpenOrder(distinct: ReadonlySet<string>): boolean {
  const firsts = [...distinct].flatMap((text) => SLASHED.exec(text.trim())?.[1] ?? []);
  return firsts.length > 0 && firsts.every((first) => Number(first) <= 12);
}

function every(values: Iterable<string>, test: (text: string) => boolean): boolean {
  for (const value of values) if (!test(value)) return false;
  return true;
}

/** A decimal number with nothing around it but blanks, or null. */
export function parseNumber(text: string): number | null {
  const trimmed = text.trim();
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(trimmed)) return null;
  const value = Number(trimmed);
  return Number.isFinite(value) ? value : null;
}

const SLASHED = /^(\d{2})\/(\d{2})\/(\d{4})$/;

/** ISO dates and times (without an offset: UTC) and dd/mm/yyyy as epoch milliseconds, or null. */
export function parseTime(text: string): number | null {
  const trimmed = text.trim();
  const slashed = SLASHED.exec(trimmed);
  if (slashed) return dateParts(Number(slashed[3]), Number(slashed[2]), Number(slashed[1]));
  const iso = /^(\d{4})-(\d{2})-(\d{2})([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?)?(Z|[+-]\d{2}:?\d{2})?$/.exec(trimmed);
  if (!iso || dateParts(Number(iso[1]), Number(iso[2]), Number(iso[3])) === null) return null;
  if (iso[4] === undefined) return iso[7] === undefined ? Date.parse(trimmed) : null;
  const value = Date.parse(`${trimmed.replace(' ', 'T')}${iso[7] === undefined ? 'Z' : ''}`);
  return Number.isFinite(value) ? value : null;
}

function dateParts(year: number, month: number, day: number): number | null {
  const value = Date.UTC(year, month - 1, day);
  const date = new Date(value);
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day ? value : null;
}

/** A cell as epoch milliseconds (a number as it stands, a date in text); NaN where there is none. */
export function timeOf(value: Cell): number {
  const given = known(value);
  if (given === null) return Number.NaN;
  return typeof given === 'number' ? given : (parseTime(given) ?? Number.NaN);
}
