/**
 * Checksums of a table that another system can compute as well: each row as canonical text, its MD5, the sum of the first 60 bits.
 * No order, and a row that stands twice counts twice. Doubles are compared to ten digits after the point, beyond 1e27 by sign.
 */
import type { Row } from './lane.ts';
import { name, parseTable, quoted, text } from './names.ts';
import { cast } from './slice.ts';

export interface CheckedColumn {
  readonly name: string;
  /** The type that both sides agreed on; the table's own may be wider. */
  readonly type: string;
  /** Takes part by its MD5. */
  readonly long: boolean;
}

/** Rows of which part of a table, by bounds of one column: above `after`, up to `upTo`. */
export interface CheckedSpan {
  readonly cursor: CheckedColumn | null;
  readonly after: string | null;
  readonly upTo: string | null;
}

export interface Check {
  readonly table: string;
  readonly columns: readonly CheckedColumn[];
  readonly span: CheckedSpan;
  /** Only the rows that this run of a transfer brought; null for all. */
  readonly run: string | null;
  /** Of these only the rows of this table at the source: several may go into one. */
  readonly source?: string;
  /** Without the rows of these keys, whose values are texts of the columns' types. */
  readonly except?: { readonly columns: readonly CheckedColumn[]; readonly keys: readonly (readonly (string | null)[])[] };
}

type Rows = (sql: string) => Promise<Row[]>;

/** One sum, or one for each of 256 buckets by the MD5 of the columns `buckets`. Cost: one pass over the span. */
export async function checksum(
  rows: Rows,
  check: Check,
  buckets: readonly string[] | null,
): Promise<{ bucket: number; rows: number; sum: string }[]> {
  const bucket = buckets === null ? '0' : bucketOf(check.columns, buckets);
  const found = await rows(
    `SELECT ${bucket} AS bucket, count(*) AS n, CAST(coalesce(sum(${sixtyBitsOf(check.columns)}::HUGEINT), 0) AS VARCHAR) AS total
     FROM ${quoted(parseTable(check.table))} t ${where(check)} GROUP BY 1`,
  );
  if (found.length === 0) return buckets === null ? [{ bucket: 0, rows: 0, sum: '0' }] : [];
  return found.map((row) => ({ bucket: Number(row['bucket']), rows: Number(row['n']), sum: String(row['total']) }));
}

/** The key (as JSON) and hash of each row of one bucket. */
export async function hashes(rows: Rows, check: Check, key: readonly string[], bucket: number): Promise<{ key: string; hash: string }[]> {
  const keys = key.map((column) => canonical(check.columns.find(({ name: own }) => own === column)!));
  const within = where(check);
  const found = await rows(
    `SELECT ${keys.map((expression, k) => `${expression} AS k${k}`).join(', ')}, ${hashOf(check.columns)} AS hash
     FROM ${quoted(parseTable(check.table))} t ${within === '' ? 'WHERE' : `${within} AND`} ${bucketOf(check.columns, key)} = ${bucket}`,
  );
  return found.map((row) => ({ key: JSON.stringify(key.map((_, k) => row[`k${k}`])), hash: String(row['hash']) }));
}

function hashOf(columns: readonly CheckedColumn[]): string {
  return `md5(concat_ws(chr(31), ${columns.map((column) => `coalesce('=' || ${canonical(column)}, '!')`).join(', ')}))`;
}

/** What sums are made of. */
export function sixtyBitsOf(columns: readonly CheckedColumn[]): string {
  return `('0x' || substr(${hashOf(columns)}, 1, 15))::UBIGINT`;
}

function bucketOf(columns: readonly CheckedColumn[], key: readonly string[]): string {
  const parts = key.map((column) => canonical(columns.find(({ name: own }) => own === column)!));
  return `('0x' || substr(md5(concat_ws(chr(31), ${parts.join(', ')})), 1, 2))::INTEGER`;
}

/** A value as text that each source can make of its own (sources/*). */
export function canonical({ name: column, type, long }: CheckedColumn): string {
  const own = name(column);
  const value = `TRY_CAST(${own} AS ${type})`;
  switch (type) {
    case 'BOOLEAN':
      return `CASE ${value} WHEN true THEN '1' WHEN false THEN '0' END`;
    case 'FLOAT':
    case 'DOUBLE':
      return `CASE WHEN abs(${value}) < 1e27 THEN CAST(CAST(CAST(CAST(${value} AS DOUBLE) AS VARCHAR) AS DECIMAL(38,10)) AS VARCHAR)
        ELSE CAST(sign(${value})::INTEGER AS VARCHAR) END`;
    case 'TIMESTAMP':
    case 'TIMESTAMP WITH TIME ZONE':
      return `strftime(${value}, '%Y-%m-%d %H:%M:%S.%f')`;
    case 'INTERVAL':
      return `CAST(epoch_us(${value}) AS VARCHAR)`;
    case 'BLOB':
      return `md5(${own})`;
    case 'VARCHAR':
    case 'JSON':
      return long ? `md5(CAST(${own} AS VARCHAR))` : `CAST(${own} AS VARCHAR)`;
    default:
      return `CAST(${value} AS VARCHAR)`;
  }
}

function where(check: Check): string {
  const { except } = check;
  const own = bounded(check);
  if (except === undefined || except.keys.length === 0) return own;
  const ours = except.columns.map(({ name: column }) => `t.${name(column)}`);
  const theirs = except.columns.map(({ type }, k) => cast(`k[${k + 1}]`, type, 'CAST'));
  const keys = `SELECT unnest(from_json(${text(JSON.stringify(except.keys))}, '[["VARCHAR"]]')) AS k`;
  // One look-up for each row: asked with NOT EXISTS it would be one for each pair of a row and a key. In a row NULL is NULL's equal.
  return `${own === '' ? 'WHERE' : `${own} AND`} ${struct(ours)} NOT IN (SELECT ${struct(theirs)} FROM (${keys}))`;
}

const struct = (values: readonly string[]): string => `{${values.map((value, k) => `'k${k}': ${value}`).join(', ')}}`;

function bounded({ span: { cursor, after, upTo }, run, source }: Check): string {
  if (run !== null) {
    const own = source === undefined ? '' : ` AND source = ${text(source)}`;
    return `WHERE _batch IN (SELECT batch FROM millrace.transfer WHERE run = ${text(run)} AND event = 'slice'${own})`;
  }
  if (cursor === null) return '';
  const bounds = [after === null ? `${name(cursor.name)} IS NOT NULL` : `${name(cursor.name)} > ${text(after)}::${cursor.type}`];
  if (upTo !== null) bounds.push(`${name(cursor.name)} <= ${text(upTo)}::${cursor.type}`);
  return `WHERE ${bounds.join(' AND ')}`;
}
