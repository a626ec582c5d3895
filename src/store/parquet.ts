/** A foreign Parquet file, read by a DuckDB of its own: in memory, locked to the file's folder, in the process that asks. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { type Bytes, type Column, fail } from '#core';
import { type Row, rowsOf } from './lane.ts';
import { name, text } from './names.ts';
import { firstLine, lockDown, optionsOf } from './open.ts';

export interface ParquetFile {
  /** Types as the warehouse keeps them: nested ones are JSON. */
  readonly columns: readonly (Column & { readonly original: string })[];
  readonly rows: number;
  /** Rows of the columns as exact text, BLOB in hex, in the file's order. */
  read(columns: readonly Column[]): AsyncGenerator<(string | null)[][]>;
  /** Makes `main.file` a view of the columns in their types, for checks; then answers SQL. */
  rowsAs(columns: readonly Column[]): Promise<(sql: string) => Promise<Row[]>>;
  close(): void;
}

/** Row groups are decoded whole: those of nested columns take several times their size. */
const MEMORY: Bytes = 768_000_000;

/** Errors: TRANSFER_FILE. */
export async function openParquet(file: string, shown: string): Promise<ParquetFile> {
  const temp = mkdtempSync(join(tmpdir(), 'millrace-parquet-'));
  const instance = await DuckDBInstance.create(':memory:', optionsOf({ temp, threads: 1, memory: MEMORY }));
  const connection = await instance.connect();
  const close = () => {
    connection.closeSync();
    instance.closeSync();
    rmSync(temp, { recursive: true, force: true });
  };
  const refuse = (cause: unknown): never =>
    fail('TRANSFER_FILE', { file: shown, format: 'parquet', problem: firstLine(cause).replaceAll(file, 'the file') }, cause);
  const source = `read_parquet(${text(file)})`;
  try {
    await lockDown(connection, [dirname(file)], temp);
    const described = await rowsOf(connection, `DESCRIBE SELECT * FROM ${source}`);
    const [count] = await rowsOf(connection, `SELECT count(*) AS n FROM ${source}`);
    const columns = described.map((row) => {
      const original = String(row['column_type']);
      return { name: String(row['column_name']), type: keptAs(original), original };
    });
    const originals = new Map(columns.map((column) => [column.name, column.original]));
    const value = (column: Column) => valueAs(name(column.name), originals.get(column.name) ?? column.type);
    return {
      columns,
      rows: Number(count!['n']),
      close,
      async *read(chosen) {
        try {
          const shown = chosen.map((column) =>
            originals.get(column.name) === 'BLOB' ? `hex(${name(column.name)})` : `CAST(${value(column)} AS VARCHAR)`,
          );
          const result = await connection.stream(`SELECT ${shown.join(', ')} FROM ${source}`);
          for (let chunk = await result.fetchChunk(); chunk !== null && chunk.rowCount > 0; chunk = await result.fetchChunk())
            yield chunk.getRows() as (string | null)[][];
        } catch (cause) {
          refuse(cause);
        }
      },
      async rowsAs(chosen) {
        const views = chosen.map((column) => `TRY_CAST(${value(column)} AS ${column.type}) AS ${name(column.name)}`);
        await connection.run(`CREATE OR REPLACE VIEW main.file AS SELECT ${views.join(', ')} FROM ${source}`);
        return (sql) => rowsOf(connection, sql);
      },
    };
  } catch (cause) {
    close();
    return refuse(cause);
  }
}

const NESTED = /^(STRUCT|MAP|UNION)\(|\]$/;

function keptAs(type: string): string {
  if (NESTED.test(type)) return 'JSON';
  if (/^TIMESTAMP_(S|MS|NS)$/.test(type)) return 'TIMESTAMP';
  if (/^(ENUM\(|BIT$|BIGNUM$|VARINT$|TIME|GEOMETRY)/.test(type) && !type.startsWith('TIMESTAMP')) return 'VARCHAR';
  return type === '"NULL"' ? 'VARCHAR' : type;
}

function valueAs(column: string, type: string): string {
  if (NESTED.test(type)) return `to_json(${column})`;
  return /^TIMESTAMP_(S|MS|NS)$/.test(type) ? `CAST(${column} AS TIMESTAMP)` : column;
}
