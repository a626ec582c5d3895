/** Slices of rows on their way in: files in the form of src/transfer/rows.ts, as values and as text. */
import type { Bytes } from '#core';
import type { Transaction } from './lane.ts';
import { name, text } from './names.ts';
import type { TransferColumn } from './target.ts';

/** Rows of a file in the form of src/transfer/rows.ts. */
export interface TransferSlice {
  /** From 1, without gaps. */
  readonly number: number;
  readonly file: string;
  /** The same rows as a Parquet file with the columns c0, c1 …, in the types of values or as text; null where there is none. */
  readonly columns: string | null;
  readonly rows: number;
  readonly bytes: Bytes;
  /** All rows of the source up to this cursor have been applied with this slice; null if none was completed since the run began. */
  readonly complete: string | null;
  readonly refused: readonly RefusedRecord[];
}

/** A record that the source could not make a row of. */
export interface RefusedRecord {
  readonly line: number;
  readonly reason: string;
  /** In base64. */
  readonly body: string;
  /** Where only values did not fit: all of them as texts, by the source's names. */
  readonly cells: Readonly<Record<string, string | null>> | null;
  /** How many rows of the slice came before it. */
  readonly before: number;
  /** The columns whose text could not be decoded: what `cells` has of it is shown, and never written. */
  readonly undecoded: readonly string[];
}

export const READ_AS_ITSELF = /^(U?(TINY|SMALL|BIG)INT|U?INTEGER|DECIMAL\(.*\)|DATE|TIMESTAMP|VARCHAR)$/;

/** A SELECT of the slice's rows as values. The reader itself makes most types; the others are cast. */
export function typed(columns: readonly TransferColumn[], slice: TransferSlice): string {
  if (slice.columns !== null) {
    const cells = columns.map((column, k) => `${cast(`c${k}`, column.type, 'CAST')} AS ${name(column.name)}`);
    return `SELECT ${cells.join(', ')} FROM read_parquet(${text(slice.columns)})`;
  }
  const types = columns.map((column) => (READ_AS_ITSELF.test(column.type) ? column.type : 'VARCHAR'));
  const values = columns.map(
    (column, k) => `${types[k] === column.type ? `c${k}` : cast(`c${k}`, column.type, 'CAST')} AS ${name(column.name)}`,
  );
  return `SELECT ${values.join(', ')} FROM ${reader(slice, types)}`;
}

export function cast(value: string, type: string, how: 'CAST' | 'TRY_CAST'): string {
  if (type === 'BLOB') return how === 'CAST' ? `from_hex(${value})` : `try(from_hex(${value}))`;
  return `${how}(${value} AS ${type})`;
}

/** The whole slice in one buffer: a parallel reader would have to guess where a quoted line end is the end of a row. */
export function reader(slice: Pick<TransferSlice, 'file' | 'bytes'>, types: readonly string[]): string {
  const columns = types.map((type, k) => `'c${k}': ${text(type)}`).join(', ');
  return `read_csv(${text(slice.file)}, columns = {${columns}}, delim = ',', quote = '"', escape = '"', header = false, auto_detect = false,
    nullstr = '', allow_quoted_nulls = false, new_line = '\\n', max_line_size = ${Math.max(2_097_152, slice.bytes)},
    buffer_size = ${Math.max(8_388_608, slice.bytes + 1)})`;
}

/** A column beside the table's: the row's place in its slice, from 1. */
export const PLACE = '_millrace_place';

/** `staged`: the slice as text beside its values, numbered by `_n`; `_bad` is the first column whose text does not fit, -1 when all do. A SELECT of those that do, with `_n`. */
export async function staged(tx: Transaction, columns: readonly TransferColumn[], slice: TransferSlice): Promise<string> {
  const casts = columns.map((column, k) => `${exactly(`c${k}`, column.type)} AS d${k}`);
  const cases = columns
    .map((column, k) => (column.type === 'VARCHAR' ? '' : `WHEN c${k} IS NOT NULL AND d${k} IS NULL THEN ${k} `))
    .join('');
  await tx.run(`CREATE OR REPLACE TEMP TABLE staged AS SELECT *, row_number() OVER () AS _n, ${cases === '' ? '-1' : `CASE ${cases}ELSE -1 END`} AS _bad FROM (
    SELECT *, ${casts.join(', ')} FROM ${reader(
      slice,
      columns.map(() => 'VARCHAR'),
    )})`);
  return `SELECT ${columns.map((column, k) => `d${k} AS ${name(column.name)}`).join(', ')}, _n AS ${PLACE} FROM staged WHERE _bad < 0`;
}

/** NULL where the value would change: a cast makes 2 of '1.5' and drops digits that a DECIMAL has no room for. */
export function exactly(value: string, type: string): string {
  if (type === 'VARCHAR') return value;
  const tried = cast(value, type, 'TRY_CAST');
  if (/^U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?$/.test(type))
    return `CASE WHEN regexp_full_match(${value}, '-?[0-9]+(\\.0*)?') THEN TRY_CAST(split_part(${value}, '.', 1) AS ${type}) END`;
  const scale = /^DECIMAL\(\d+,(\d+)\)$/.exec(type)?.[1];
  return scale === undefined ? tried : `CASE WHEN regexp_full_match(${value}, '-?[0-9]*(\\.[0-9]{0,${scale}}0*)?') THEN ${tried} END`;
}
