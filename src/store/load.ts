/**
 * Whole files into tables. A foreign file is parsed by a second DuckDB, in memory and locked to the one folder, which writes
 * Parquet; only that is read by the warehouse.
 */
import { unlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { type Bytes, type Column, fail, MillraceError } from '#core';
import type { Lane } from './lane.ts';
import { name, parseTable, quoted, text } from './names.ts';
import { firstLine, lockDown, optionsOf } from './open.ts';

export type LoadFormat = 'csv' | 'ndjson' | 'parquet';
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

const READ: Record<LoadFormat, (file: string) => string> = {
  csv: (file) => `read_csv(${file}, sample_size = -1, strict_mode = true)`,
  ndjson: (file) => `read_json(${file}, format = 'newline_delimited', sample_size = -1, map_inference_threshold = -1)`,
  parquet: (file) => `read_parquet(${file})`,
};

/** Errors: TABLE_NAME, LOAD_FORMAT, LOAD_FILE, LOAD_COLUMNS. */
export async function loadFile(lane: Lane, slices: string, memory: Bytes, load: Load): Promise<Loaded> {
  const table = parseTable(load.table);
  if (!(load.format in READ)) fail('LOAD_FORMAT', { format: load.format });
  const parquet = join(slices, `load-${process.hrtime.bigint()}.parquet`);
  try {
    await toParquet(load, parquet, memory);
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
      const exists =
        (await tx.rows(`SELECT 1 FROM duckdb_tables() WHERE schema_name = ${text(table.schema)} AND table_name = ${text(table.name)}`))
          .length > 0;
      await tx.run(`CREATE SCHEMA IF NOT EXISTS ${name(table.schema)}`);
      if (exists && load.mode === 'create') fail('TABLE_NAME', { table: target, problem: 'it exists' });
      let rows: number;
      if (exists && load.mode === 'append') {
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

async function columnsOf(rows: (sql: string) => Promise<Record<string, unknown>[]>, table: string): Promise<Column[]> {
  return (await rows(`DESCRIBE ${table}`)).map((row) => ({ name: String(row['column_name']), type: String(row['column_type']) }));
}

async function toParquet(load: Load, target: string, memory: Bytes): Promise<void> {
  const parser = await DuckDBInstance.create(':memory:', optionsOf({ temp: dirname(target), threads: 2, memory }));
  const connection = await parser.connect();
  try {
    await lockDown(connection, [dirname(load.file), dirname(target)], dirname(target));
    await connection.run(
      `COPY (SELECT * FROM ${READ[load.format](text(load.file))}) TO ${text(target)} (FORMAT parquet, COMPRESSION lz4, ROW_GROUP_SIZE 20480)`,
    );
  } catch (cause) {
    throw new MillraceError('LOAD_FILE', { format: load.format, detail: firstLine(cause).replaceAll(load.file, 'the file') }, cause);
  } finally {
    connection.closeSync();
    parser.closeSync();
  }
}
