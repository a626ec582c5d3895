import { fail, periodSql, type Table } from '#core';
import { text as literal, name as quote } from '#store';
import type { Given, Setting } from './kind.ts';

export { literal, quote };

/** A table with what each role of a column is called in it. */
export interface Found {
  /** Quoted, ready for FROM. */
  readonly sql: string;
  /** As a person reads it. */
  readonly name: string;
  /** The column's name as the table writes it, or null. */
  column(name: string): string | null;
  type(name: string): string | null;
}

export function findTable(setting: Setting, spelled: string): Found | null {
  const [schema, table] = spelled.includes('.') ? (spelled.split('.', 2) as [string, string]) : ['main', spelled];
  const found = setting.tables.find((each) => same(each.schema, schema) && same(each.name, table));
  return found === undefined ? null : foundOf(found);
}

function foundOf(table: Table): Found {
  const columns = new Map(table.columns.map((column) => [column.name.toLowerCase(), column]));
  return {
    sql: `${quote(table.schema)}.${quote(table.name)}`,
    name: `${table.schema}.${table.name}`,
    column: (name) => columns.get(name.toLowerCase())?.name ?? null,
    type: (name) => columns.get(name.toLowerCase())?.type ?? null,
  };
}

const same = (a: string, b: string) => a.toLowerCase() === b.toLowerCase();

/** The first of the names that the table has as a column, quoted, behind the alias; null when it has none. */
export function firstColumn(table: Found, alias: string, names: readonly string[]): string | null {
  const column = names.map((name) => table.column(name)).find((name) => name !== null) ?? null;
  return column === null ? null : `${alias}.${quote(column)}`;
}

/** Errors: ANSWER_COLUMN. */
export function needColumn(table: Found, alias: string, what: string, names: readonly string[]): string {
  return firstColumn(table, alias, names) ?? fail('ANSWER_COLUMN', { table: table.name, what, names: names.join(', ') });
}

/** A row of evidence where the table has more than one of the columns that could be meant: which one was taken. */
export function ambiguity(table: Found, what: string, names: readonly string[]): string[] {
  const [taken, ...others] = names.flatMap((name) => table.column(name) ?? []);
  if (taken === undefined || others.length === 0) return [];
  const fact = `caveat: ${what} of ${table.name} could be several columns`;
  return [`SELECT 8 AS ord, ${literal(fact)} AS fact, ${literal(`${taken} is taken, not ${others.join(', ')}`)} AS value`];
}

/** The name in a column as firstColumn gives it. */
const bareName = (column: string) => column.slice(column.indexOf('"') + 1, -1).replaceAll('""', '"');

/** `column` as firstColumn gives it. Errors: ANSWER_TYPE. */
export function requireType(table: Found, column: string, what: string, types: RegExp, needs: string): void {
  const bare = bareName(column);
  const type = table.type(bare);
  if (type === null || !types.test(type)) fail('ANSWER_TYPE', { table: table.name, column: bare, type, what, needs });
}

const isZoneless = (table: Found, column: string) => !/TIME ZONE/.test(table.type(bareName(column)) ?? '');

/** The instants of a column of days or times: without a zone (MySQL's DATETIME) it is what the workspace's clock showed. */
export function instantOf(table: Found, column: string, { timeZone }: Setting): string {
  return isZoneless(table, column) ? `CAST(${column} AS TIMESTAMP) AT TIME ZONE ${literal(timeZone)}` : column;
}

/** A row of evidence where a time had to be read so. */
export function zoneless(table: Found, column: string, { timeZone }: Setting): string[] {
  if (!isZoneless(table, column)) return [];
  const fact = `caveat: ${bareName(column)} of ${table.name} has no time zone`;
  return [`SELECT 8 AS ord, ${literal(fact)} AS fact, ${literal(`read as of ${timeZone}`)} AS value`];
}

/** An id as text: MySQL's numbers and a browser's ids could not be compared, as DuckDB reads the text as a number then, and fails. */
export function textOf(table: Found, column: string): string {
  return table.type(bareName(column)) === 'VARCHAR' ? column : `CAST(${column} AS VARCHAR)`;
}

/** A column of money is a number. Errors: ANSWER_TYPE. */
export function requireMoney(table: Found, column: string | null, what: string): void {
  if (column !== null)
    requireType(table, column, what, /^(DECIMAL\(|DOUBLE|FLOAT|REAL|U?(TINY|SMALL|BIG|HUGE)?INT|U?INTEGER)/, 'a number, DECIMAL best');
}

/** The condition that an instant lies in the asked days of the workspace's zone. Errors: ANSWER_OPTION. */
export function withinDays(answer: string, given: Given, { timeZone }: Setting, column: string): string[] {
  const day = (option: 'from' | 'to') => {
    const text = (given[option] ?? null) as string | null;
    if (text === null) return null;
    const real = /^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(Date.parse(text)) && new Date(text).toISOString().startsWith(text);
    return real ? text : fail('ANSWER_OPTION', { answer, option, problem: `"${text}" is not a day, YYYY-MM-DD` });
  };
  const [from, to] = [day('from'), day('to')];
  if (from !== null && to !== null && from > to) fail('ANSWER_OPTION', { answer, option: 'to', problem: `${to} is before ${from}` });
  const zone = literal(timeZone);
  return [
    ...(from === null ? [] : [`${column} >= TIMESTAMP '${from}' AT TIME ZONE ${zone}`]),
    ...(to === null ? [] : [`${column} < (TIMESTAMP '${to}' + INTERVAL 1 DAY) AT TIME ZONE ${zone}`]),
  ];
}

/** The condition that a day is not before the first asked one, for answers that look for what came first before it too. Errors: ANSWER_OPTION. */
export function fromDay(answer: string, given: Given, setting: Setting, day: string): string {
  withinDays(answer, given, setting, 'time');
  const from = given['from'] ?? null;
  return from === null ? 'true' : `${day} >= DATE ${literal(String(from))}`;
}

/** The first day of the period in which the day or the time on the workspace's clock lies. */
export const periodOf = (grain: string, local: string, { weekStart }: Setting): string => periodSql(grain, local, weekStart);
export const dayOf = (instant: string, { timeZone }: Setting) => `CAST(${instant} AT TIME ZONE ${literal(timeZone)} AS DATE)`;
