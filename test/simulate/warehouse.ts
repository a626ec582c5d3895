import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { parseTopic } from '#workspace';

/** A warehouse as delivery would leave it, without the rest of Millrace: DuckDB, the topic's columns, each id once. */
export interface Warehouse {
  run(sql: string): Promise<void>;
  /** Rows as JSON values. */
  ask(sql: string): Promise<unknown[][]>;
  /** One row by its column names. */
  row(sql: string): Promise<Record<string, string | number | null>>;
  /** Makes `raw.<topic>` of records that are valid and have distinct ids. */
  deliver(topic: string, yaml: string, records: readonly Record<string, unknown>[]): Promise<void>;
  /** Appends rows to a table, which casts them to its types. */
  append(table: string, rows: readonly object[]): Promise<void>;
  close(): void;
}

const columnType = (type: string) =>
  ({ text: 'VARCHAR', integer: 'BIGINT', timestamp: 'TIMESTAMPTZ', json: 'VARCHAR' })[type] ?? type.toUpperCase();
const micros = {
  iso: (v: unknown) => Date.parse(String(v)) * 1000,
  s: (v: unknown) => Number(v) * 1e6,
  ms: (v: unknown) => Number(v) * 1e3,
  us: Number,
};

export async function openWarehouse(): Promise<Warehouse> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-simulate-'));
  const instance = await DuckDBInstance.create(':memory:', { threads: '2' });
  const connection = await instance.connect();
  for (const sql of ["SET TimeZone = 'UTC'", 'CREATE SCHEMA raw', 'CREATE SCHEMA mart', 'CREATE SCHEMA staging', 'CREATE SCHEMA shop'])
    await connection.run(sql);

  const asFile = (rows: readonly object[]) => {
    const path = join(folder, 'rows.ndjson');
    writeFileSync(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    return path;
  };
  return {
    run: async (sql) => void (await connection.run(sql)),
    ask: (sql) => rowsOf(connection, sql),
    async row(sql) {
      const reader = await connection.runAndReadAll(sql);
      return reader.getRowObjectsJson()[0] as Record<string, string | number | null>;
    },
    async deliver(name, yaml, records) {
      const topic = parseTopic(name, yaml, `topics/${name}.yaml`);
      const rows = records.map((record) => ({
        ...record,
        _micros: micros[topic.time!.unit](record[topic.time!.field]),
        _id: record[topic.id!],
      }));
      const columns = topic.fields.map((field) => `"${field.name}": '${columnType(field.type)}'`);
      await connection.run(
        `CREATE TABLE raw."${name}" AS SELECT _id, make_timestamptz(_micros) AS _time, * EXCLUDE (_id, _micros)
         FROM read_json('${asFile(rows)}', format = 'newline_delimited', columns = {_micros: 'BIGINT', _id: 'VARCHAR', ${columns.join(', ')}})`,
      );
    },
    async append(table, rows) {
      if (rows.length > 0) await connection.run(`INSERT INTO ${table} BY NAME SELECT * FROM read_json('${asFile(rows)}')`);
    },
    close() {
      connection.closeSync();
      instance.closeSync();
      rmSync(folder, { recursive: true });
    },
  };
}

async function rowsOf(connection: DuckDBConnection, sql: string): Promise<unknown[][]> {
  const reader = await connection.runAndReadAll(sql);
  return reader.getRowsJson() as unknown[][];
}

/** Numbers and decimal text that mean the same become the same. */
export const comparable = (rows: readonly (readonly unknown[])[]) =>
  rows.map((row) => row.map((cell) => (typeof cell === 'string' && /^-?\d+(\.\d+)?$/.test(cell) ? Number(cell) : cell)));
