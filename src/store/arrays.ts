/** Results as arrays, column by column, for work that reads every value (models); and arrays into a temporary table. */
import {
  DOUBLE,
  type DuckDBConnection,
  DuckDBDataChunk,
  type DuckDBDoubleVector,
  DuckDBInstance,
  type DuckDBType,
  DuckDBTypeId,
  VARCHAR,
} from '@duckdb/node-api';
import type { Bytes } from '#core';
import { name, text } from './names.ts';
import { lockDown, optionsOf } from './open.ts';

/** All rows of one column: numbers with NaN for NULL, or texts. */
export type ArrayColumn =
  | { readonly name: string; readonly kind: 'number'; readonly values: Float64Array }
  | { readonly name: string; readonly kind: 'text'; readonly values: (string | null)[] };

export interface ArrayBlock {
  readonly rows: number;
  readonly columns: readonly ArrayColumn[];
}

const VECTOR = 2048;

/** Texts with at most as many spellings leave DuckDB as numbers, from tables of at least `WORTH` rows: a string costs ten times a number. */
const SPELLINGS = 4096;
const WORTH = 20_000;
let kept = 0;

/**
 * Keeps the rows of a query whose columns are all DOUBLE or VARCHAR in a temporary table, and gives them in blocks of at most `most` rows.
 * The query is run more than once and must give the same rows. Other statements may run on the connection between two blocks: a
 * result that streams would end there without a word.
 */
export async function* arrayBlocks(connection: DuckDBConnection, sql: string, most: number): AsyncGenerator<ArrayBlock> {
  const table = `arrays_${++kept}`;
  const columns = await plainColumns(connection, sql, table);
  const list = columns.map(({ expression, column }) => `${expression} AS ${name(column)}`).join(', ');
  await connection.run(`CREATE TEMP TABLE ${table} AS SELECT ${list} FROM (${sql})`);
  try {
    for (let from = 0; ; from += most) {
      const chunks = await (
        await connection.run(`SELECT * FROM ${table} WHERE rowid >= ${from} AND rowid < ${from + most}`)
      ).fetchAllChunks();
      const block = blockOf(chunks, columns);
      if (block.rows > 0) yield block;
      if (block.rows < most) return;
    }
  } finally {
    await connection.run(`DROP TABLE IF EXISTS temp.${table}`);
  }
}

/** How a column leaves DuckDB: a number, a text, or the number of a text among its spellings. */
interface Plain {
  readonly column: string;
  readonly expression: string;
  readonly kind: 'number' | 'text';
  readonly spellings: readonly string[] | null;
}

/**
 * The columns, those with few spellings as numbers. What is missing is a number too (NaN, -1): beside a mask of what is valid each
 * value costs an arithmetic of big integers in the client library.
 */
async function plainColumns(connection: DuckDBConnection, sql: string, as: string): Promise<Plain[]> {
  const described = await connection.run(`SELECT * FROM (${sql}) LIMIT 0`);
  const types = described.columnTypes();
  const columns = described.deduplicatedColumnNames().map((column, k): Plain => {
    const quoted = name(column);
    if (types[k]!.typeId !== DuckDBTypeId.DOUBLE) return { column, expression: quoted, kind: 'text', spellings: null };
    return { column, expression: `coalesce(${quoted}, 'NaN'::DOUBLE)`, kind: 'number', spellings: null };
  });
  const texts = columns.filter(({ kind }) => kind === 'text');
  if (texts.length === 0) return columns;
  const counts = texts.map(({ expression }) => `approx_count_distinct(${expression})`);
  const [row] = (await connection.runAndReadAll(`SELECT count(*), ${counts.join(', ')} FROM (${sql})`)).getRows();
  const [rows, ...spellings] = row!.map(Number);
  if (rows! < WORTH) return columns;
  const few = new Map<Plain, Plain>();
  for (const [k, text] of texts.entries()) {
    if (spellings[k] === 0 || spellings[k]! > SPELLINGS) continue;
    const type = `${as}_${k}`;
    const { expression } = text;
    await connection.run(`CREATE TEMP TYPE ${type} AS ENUM (SELECT DISTINCT ${expression} FROM (${sql}) WHERE ${expression} IS NOT NULL)`);
    const told = await connection.runAndReadAll(`SELECT unnest(enum_range(NULL::${type}))::VARCHAR`);
    const coded = `coalesce(enum_code(${expression}::${type})::DOUBLE, -1)`;
    few.set(text, { ...text, expression: coded, spellings: told.getRows().map(([spelling]) => String(spelling)) });
  }
  return columns.map((column) => few.get(column) ?? column);
}

function blockOf(chunks: readonly DuckDBDataChunk[], columns: readonly Pick<Plain, 'column' | 'kind' | 'spellings'>[]): ArrayBlock {
  const rows = chunks.reduce((sum, chunk) => sum + chunk.rowCount, 0);
  return { rows, columns: columns.map((column, k) => columnOf(column, chunks, k, rows)) };
}

function columnOf(
  { column, kind, spellings }: Pick<Plain, 'column' | 'kind' | 'spellings'>,
  chunks: readonly DuckDBDataChunk[],
  k: number,
  rows: number,
): ArrayColumn {
  const numbers = new Float64Array(kind === 'number' ? rows : 0);
  const texts: (string | null)[] = kind === 'number' ? [] : new Array(rows).fill(null);
  let at = 0;
  for (const chunk of chunks) {
    const vector = chunk.getColumnVector(k);
    const count = vector.itemCount;
    if (kind === 'number') for (let row = 0; row < count; row++, at++) numbers[at] = (vector.getItem(row) as number | null) ?? Number.NaN;
    else if (spellings === null) for (let row = 0; row < count; row++, at++) texts[at] = vector.getItem(row) as string | null;
    else for (let row = 0; row < count; row++, at++) texts[at] = spellings[vector.getItem(row) as number] ?? null;
  }
  return kind === 'number' ? { name: column, kind, values: numbers } : { name: column, kind, values: texts };
}

const TYPES: Readonly<Record<ArrayColumn['kind'], { sql: string; type: () => DuckDBType }>> = {
  number: { sql: 'DOUBLE', type: () => DOUBLE },
  text: { sql: 'VARCHAR', type: () => VARCHAR },
};

/** The definition of a column that `appendArrays` fills. */
export const arrayType = (kind: ArrayColumn['kind']): string => TYPES[kind].sql;

/** Appends rows to a temporary table of the connection whose columns are the given ones, in that order. NaN becomes NULL. */
export async function appendArrays(connection: DuckDBConnection, table: string, columns: readonly ArrayColumn[]): Promise<void> {
  const appender = await connection.createAppender(table, 'main', 'temp');
  const rows = columns[0]?.values.length ?? 0;
  for (let from = 0; from < rows; from += VECTOR) {
    const count = Math.min(VECTOR, rows - from);
    const chunk = DuckDBDataChunk.create(
      columns.map(({ kind }) => TYPES[kind].type()),
      count,
    );
    for (const [k, column] of columns.entries()) {
      if (column.kind === 'number') setNumbers(chunk, k, column.values, from);
      else chunk.setColumnValues(k, column.values.slice(from, from + count));
    }
    appender.appendDataChunk(chunk);
  }
  appender.closeSync();
}

function setNumbers(chunk: DuckDBDataChunk, k: number, values: Float64Array, from: number): void {
  const vector = chunk.getColumnVector(k) as DuckDBDoubleVector;
  const count = vector.itemCount;
  for (let row = 0; row < count; row++) {
    const value = values[from + row]!;
    vector.setItem(row, Number.isNaN(value) ? null : value);
  }
  vector.flush();
}

/** The rows of a Parquet file that `Reader.toParquet` wrote, read by a DuckDB of its own in this process. */
export async function readParquetArrays(path: string, folder: string, memory: Bytes): Promise<ArrayBlock> {
  const instance = await DuckDBInstance.create(':memory:', optionsOf({ temp: folder, threads: 1, memory }));
  const connection = await instance.connect();
  try {
    await lockDown(connection, [folder], folder);
    const result = await connection.stream(`SELECT * FROM read_parquet(${text(path)})`);
    const types = result.columnTypes();
    const columns = result.deduplicatedColumnNames().map((column, k) => ({
      column,
      kind: types[k]!.typeId === DuckDBTypeId.DOUBLE ? ('number' as const) : ('text' as const),
      spellings: null,
    }));
    return blockOf(await result.fetchAllChunks(), columns);
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}
