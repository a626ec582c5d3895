/**
 * Whole files into tables. A foreign file is parsed by a second DuckDB, in memory and locked to the one folder, which writes
 * Parquet; only that is read by the warehouse.
 */
import { unlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { type Bytes, type Column, fail, MillraceError } from '#core';
import { MAX_EXACT } from './columns.ts';
import { columnsOf, csvDetail, cutByDouble, type LoadFormat, misread, type Rows, readerOf } from './dialect.ts';
import type { Lane, Transaction } from './lane.ts';
import { name, parseTable, quoted, text } from './names.ts';
import { firstLine, isOutOfMemory, lockDown, optionsOf } from './open.ts';
import { exactly } from './slice.ts';

export type LoadMode = 'append' | 'replace' | 'create';

export interface Load {
  readonly table: string;
  readonly file: string;
  readonly format: LoadFormat;
  /** append makes the table when there is none; replace swaps it whole; create refuses an existing one. */
  readonly mode: LoadMode;
  /** A load with a key that was taken before is answered from the record of it, not written again. */
  readonly key: string | null;
}

export interface Loaded {
  readonly table: string;
  readonly rows: number;
  readonly batch: number;
  readonly columns: readonly Column[];
}

/**
 * The types of a table whose values are read as text: what the reader guesses from a file is not what stands there. It makes a time of
 * a text in JSON, and a double, which drops digits, of a long number in CSV.
 */
const AS_TEXT: Record<LoadFormat, RegExp> = { csv: /^(VARCHAR|DECIMAL.*|U?\w*INT(EGER)?)$/, ndjson: /^VARCHAR$/, parquet: /^$/ };

/** Errors: TABLE_NAME, LOAD_FORMAT, LOAD_FILE, LOAD_MEMORY, LOAD_COLUMNS, LOAD_VALUE. */
export async function loadFile(lane: Lane, rowsOf: Rows, slices: string, memory: Bytes, load: Load): Promise<Loaded> {
  const table = parseTable(load.table);
  if (!(load.format in AS_TEXT)) fail('LOAD_FORMAT', { format: load.format });
  const parquet = join(slices, `load-${process.hrtime.bigint()}.parquet`);
  try {
    const known = load.mode === 'append' && (await tableExists(rowsOf, table)) ? await columnsOf(rowsOf, quoted(table)) : [];
    const asText = new Set(known.filter(({ type }) => AS_TEXT[load.format].test(type)).map((column) => column.name.toLowerCase()));
    await toParquet(load, parquet, memory, asText);
    return await lane.write(async (tx) => {
      const target = `${table.schema}.${table.name}`;
      if (load.key !== null) {
        const [done] = await tx.rows(
          `SELECT rows, batch FROM millrace.batch WHERE kind = 'load' AND target = ${text(target)} AND key = ${text(load.key)}`,
        );
        if (done !== undefined) {
          return {
            table: target,
            rows: Number(done['rows']),
            batch: Number(done['batch']),
            columns: await columnsOf(tx.rows, quoted(table)),
          };
        }
      }
      const source = `read_parquet(${text(parquet)})`;
      const exists = await tableExists(tx.rows, table);
      await tx.run(`CREATE SCHEMA IF NOT EXISTS ${name(table.schema)}`);
      if (exists && load.mode === 'create') fail('TABLE_NAME', { table: target, problem: 'it exists' });
      let rows: number;
      if (exists && load.mode === 'append') {
        await refuseChanged(tx, load, source, quoted(table));
        rows = await tx
          .run(`INSERT INTO ${quoted(table)} BY NAME SELECT * FROM ${source}`)
          .catch((cause: unknown) => fail('LOAD_COLUMNS', { problem: firstLine(cause) }, cause));
      } else {
        await tx.run(`CREATE OR REPLACE TABLE ${quoted(table)} AS SELECT * FROM ${source}`);
        const [count] = await tx.rows(`SELECT count(*) AS n FROM ${quoted(table)}`);
        rows = Number(count!['n']);
      }
      tx.changed({ kind: 'load', target, rows, ...(load.key === null ? {} : { key: load.key }) });
      return { table: target, rows, batch: tx.batch, columns: await columnsOf(tx.rows, quoted(table)) };
    });
  } finally {
    try {
      unlinkSync(parquet);
    } catch {
      // It was never written.
    }
  }
}

async function tableExists(rows: Rows, { schema, name: table }: { schema: string; name: string }): Promise<boolean> {
  return (await rows(`SELECT 1 FROM duckdb_tables() WHERE schema_name = ${text(schema)} AND table_name = ${text(table)}`)).length > 0;
}

/** An INSERT casts silently: 1.5 becomes 2 in a BIGINT. Errors: LOAD_VALUE, LOAD_COLUMNS. */
async function refuseChanged(tx: Transaction, load: Load, source: string, table: string): Promise<void> {
  const taken = new Map((await columnsOf(tx.rows, table)).map((column) => [column.name.toLowerCase(), column.type]));
  const checks = (await columnsOf(tx.rows, `SELECT * FROM ${source}`)).flatMap((column) => {
    const type = taken.get(column.name.toLowerCase());
    const condition = type === undefined ? null : changed(name(column.name), column.type, type, load.format);
    return condition === null ? [] : [{ column: column.name, type, condition }];
  });
  if (checks.length === 0) return;
  const cases = (what: (check: (typeof checks)[number], k: number) => string) =>
    `CASE ${checks.map((check, k) => `WHEN ${check.condition} THEN ${what(check, k)}`).join(' ')} END`;
  const [found] = await tx
    .rows(
      `SELECT k, value FROM (SELECT ${cases((_, k) => String(k))} AS k, ${cases(({ column }) => `left(CAST(${name(column)} AS VARCHAR), 100)`)} AS value
       FROM ${source}) WHERE k IS NOT NULL LIMIT 1`,
    )
    .catch((cause: unknown) => fail('LOAD_COLUMNS', { problem: firstLine(cause) }, cause));
  if (found === undefined) return;
  const { column, type } = checks[Number(found['k'])]!;
  fail('LOAD_VALUE', { value: String(found['value']), column, type });
}

const EXACT_NUMBER = /^(DECIMAL.*|U?\w*INT(EGER)?)$/;

/** A condition that holds where a value would be another one as `to`, or none; null where no value would be. */
function changed(value: string, from: string, to: string, format: LoadFormat): string | null {
  if (from === to || to === 'VARCHAR' || to === 'JSON') return null;
  if (from === 'VARCHAR' || from === 'JSON') {
    // DuckDB writes bytes as text with escapes.
    if (to === 'BLOB') return null;
    const words = from === 'JSON' ? `(${value} ->> '$')` : value;
    const misfits = [`${exactly(EXACT_NUMBER.test(to) ? `trim(${words})` : words, to)} IS NULL`];
    if (to === 'DOUBLE' || to === 'FLOAT') misfits.push(cutByDouble(`trim(${words})`));
    return `(${words} IS NOT NULL AND (${misfits.join(' OR ')}))`;
  }
  const conditions = [`TRY_CAST(TRY_CAST(${value} AS ${to}) AS ${from}) IS DISTINCT FROM ${value}`];
  // 0.1 is another number as a FLOAT, and prints as the same.
  if (to === 'FLOAT') conditions.push(`CAST(TRY_CAST(${value} AS FLOAT) AS VARCHAR) IS DISTINCT FROM CAST(${value} AS VARCHAR)`);
  const different = `(${value} IS NOT NULL AND ${conditions.join(' AND ')})`;
  if (format !== 'ndjson' || from !== 'DOUBLE' || !EXACT_NUMBER.test(to)) return different;
  // The reader has made a double of the number already, and dropped the digits that one has no room for.
  const scale = /,(\d+)\)$/.exec(to)?.[1] ?? '0';
  return `(${different} OR abs(${value}) * 1e${scale} >= ${MAX_EXACT})`;
}

async function toParquet(load: Load, target: string, memory: Bytes, asText: ReadonlySet<string>): Promise<void> {
  const parser = await DuckDBInstance.create(':memory:', optionsOf({ temp: dirname(target), threads: 2, memory }));
  const connection = await parser.connect();
  try {
    await lockDown(connection, [dirname(load.file), dirname(target)], dirname(target));
    const rows: Rows = async (sql) => (await connection.runAndReadAll(sql)).getRowObjects();
    const reader = await readerOf(rows, load.format, load.file);
    const texts = new Set(reader.columns.map((column) => column.name).filter((column) => asText.has(column.toLowerCase())));
    const write = (source: string, values = '*') =>
      connection.run(`COPY (SELECT ${values} FROM ${source}) TO ${text(target)} (FORMAT parquet, COMPRESSION lz4, ROW_GROUP_SIZE 20480)`);
    await write(reader.source(texts));
    const again = await misread(rows, load.format, reader, target);
    if (again.size === 0) return;
    const replaced = [...again].map(([column, value]) => `${value} AS ${name(column)}`);
    await write(reader.source(new Set([...texts, ...again.keys()])), `* REPLACE (${replaced.join(', ')})`);
  } catch (cause) {
    if (isOutOfMemory(cause)) fail('LOAD_MEMORY', { megabytes: Math.round(memory / 1_000_000) }, cause);
    if (cause instanceof MillraceError) throw cause;
    const detail = load.format === 'csv' ? csvDetail(cause) : firstLine(cause).replace(/[. ]+$/, '');
    fail('LOAD_FILE', { format: load.format, detail: detail.replaceAll(load.file, 'the file') }, cause);
  } finally {
    connection.closeSync();
    parser.closeSync();
  }
}
