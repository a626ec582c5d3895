/** Results as arrays, column by column, for work that reads every value (models); and arrays into a temporary table. */
import {
  DOUBLE,
  type DuckDBConnection,
  DuckDBDataChunk,
  DuckDBInstance,
  type DuckDBType,
  DuckDBTypeId,
  type DuckDBValue,
  LIST,
  listValue,
  STRUCT,
  structValue,
  VARCHAR,
} from '@duckdb/node-api';
import type { Bytes } from '#core';
import { text } from './names.ts';
import { lockDown } from './open.ts';

/** All rows of one column: numbers with NaN for NULL, or texts. */
export type ArrayColumn =
  | { readonly name: string; readonly kind: 'number'; readonly values: Float64Array }
  | { readonly name: string; readonly kind: 'text'; readonly values: (string | null)[] };

export interface ArrayBlock {
  readonly rows: number;
  readonly columns: readonly ArrayColumn[];
}

/** What `appendArrays` takes: numbers, texts, or lists of {feature, attribution}. */
export type AppendColumn = ArrayColumn | { readonly name: string; readonly kind: 'weights'; readonly values: readonly Weights[] };
export type Weights = readonly { readonly feature: string; readonly attribution: number }[];

const VECTOR = 2048;

/** Runs a query whose columns are all DOUBLE or VARCHAR and gives its rows in blocks of at least `least` rows (the last may be smaller). */
export async function* arrayBlocks(
  connection: DuckDBConnection,
  sql: string,
  values: Readonly<Record<string, unknown>> | undefined,
  least: number,
): AsyncGenerator<ArrayBlock> {
  const result = await connection.stream(sql, values as Record<string, DuckDBValue> | undefined);
  const names = result.deduplicatedColumnNames();
  const numeric = result.columnTypes().map((type) => type.typeId === DuckDBTypeId.DOUBLE);
  let chunks: DuckDBDataChunk[] = [];
  let held = 0;
  for (;;) {
    const chunk = await result.fetchChunk();
    const ended = chunk === null || chunk.rowCount === 0;
    if (!ended) {
      chunks.push(chunk);
      held += chunk.rowCount;
    }
    if (held > 0 && (ended || held >= least)) {
      yield { rows: held, columns: names.map((name, k) => columnOf(name, numeric[k]!, chunks, k, held)) };
      chunks = [];
      held = 0;
    }
    if (ended) return;
  }
}

function columnOf(name: string, numeric: boolean, chunks: readonly DuckDBDataChunk[], k: number, rows: number): ArrayColumn {
  const values: Float64Array | (string | null)[] = numeric ? new Float64Array(rows) : new Array(rows);
  let at = 0;
  for (const chunk of chunks) {
    const vector = chunk.getColumnVector(k);
    for (let row = 0; row < chunk.rowCount; row++, at++) {
      const value = vector.getItem(row);
      values[at] = numeric ? ((value as number | null) ?? Number.NaN) : ((value as string | null) ?? null);
    }
  }
  return numeric ? { name, kind: 'number', values: values as Float64Array } : { name, kind: 'text', values: values as (string | null)[] };
}

const TYPES: Readonly<Record<AppendColumn['kind'], { sql: string; type: () => DuckDBType }>> = {
  number: { sql: 'DOUBLE', type: () => DOUBLE },
  text: { sql: 'VARCHAR', type: () => VARCHAR },
  weights: { sql: 'STRUCT(feature VARCHAR, attribution DOUBLE)[]', type: () => LIST(STRUCT({ feature: VARCHAR, attribution: DOUBLE })) },
};

/** The definition of a column that `appendArrays` fills. */
export const arrayType = (kind: AppendColumn['kind']): string => TYPES[kind].sql;

/** Appends rows to a temporary table of the connection whose columns are the given ones, in that order. NaN becomes NULL. */
export async function appendArrays(connection: DuckDBConnection, table: string, columns: readonly AppendColumn[]): Promise<void> {
  const appender = await connection.createAppender(table, 'main', 'temp');
  const rows = columns[0]?.values.length ?? 0;
  for (let from = 0; from < rows; from += VECTOR) {
    const count = Math.min(VECTOR, rows - from);
    const chunk = DuckDBDataChunk.create(
      columns.map(({ kind }) => TYPES[kind].type()),
      count,
    );
    for (const [k, column] of columns.entries()) chunk.setColumnValues(k, valuesOf(column, from, from + count));
    appender.appendDataChunk(chunk);
  }
  appender.closeSync();
}

function valuesOf(column: AppendColumn, from: number, to: number): DuckDBValue[] {
  if (column.kind === 'number') return Array.from(column.values.subarray(from, to), (value) => (Number.isNaN(value) ? null : value));
  if (column.kind === 'text') return column.values.slice(from, to);
  return column.values.slice(from, to).map((weights) => listValue(weights.map((weight) => structValue({ ...weight }))));
}

/** The rows of a Parquet file that `Reader.toParquet` wrote, read by a DuckDB of its own in this process. */
export async function readParquetArrays(path: string, folder: string, memory: Bytes): Promise<ArrayBlock> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  try {
    await lockDown(connection, { folders: [folder], temp: folder, threads: 1, memory });
    const blocks = arrayBlocks(connection, `SELECT * FROM read_parquet(${text(path)})`, undefined, Number.POSITIVE_INFINITY);
    const { value } = await blocks.next();
    return value ?? { rows: 0, columns: [] };
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}
