import type { DuckDBConnection, DuckDBInstance, DuckDBTypeId, DuckDBValue } from '@duckdb/node-api';
import type { Column } from '#core';
import { type Chunk, chunkOf } from './cells.ts';
import { rowsOf } from './lane.ts';
import { text } from './names.ts';

export interface Result {
  readonly columns: readonly Column[];
  /** The next piece, or null at the end. */
  next(): Promise<Chunk | null>;
}

export type Values = readonly unknown[] | Readonly<Record<string, unknown>>;

/** One question's own connection. Errors are DuckDB's: whoever asks words them. */
export interface Reader {
  /** DuckDB's own tree of a SELECT-like statement, as JSON text: the authority on what a statement reads. */
  serialize(sql: string): Promise<string>;
  stream(sql: string, values?: Values): Promise<Result>;
  /** Writes a result as Parquet into the slices' folder, at `path`. */
  toParquet(sql: string, values: Values | undefined, path: string): Promise<number>;
  interrupt(): void;
  /** 0–1, or null while unknown. */
  progress(): number | null;
  close(): void;
}

export async function openReader(instance: DuckDBInstance): Promise<Reader> {
  const connection = await instance.connect();
  return {
    serialize: (sql) => serialize(connection, sql),
    async stream(sql, values) {
      const result = await connection.stream(sql, values as DuckDBValue[] | Record<string, DuckDBValue> | undefined);
      const types = result.columnTypes();
      const columns = result.deduplicatedColumnNames().map((name, k) => ({ name, type: typeName(types[k]!) }));
      return {
        columns,
        async next() {
          const chunk = await result.fetchChunk();
          return chunk === null || chunk.rowCount === 0 ? null : chunkOf(chunk, types);
        },
      };
    },
    async toParquet(sql, values, path) {
      const result = await connection.run(
        `COPY (${sql}\n) TO ${text(path)} (FORMAT parquet, COMPRESSION zstd)`,
        values as DuckDBValue[] | Record<string, DuckDBValue> | undefined,
      );
      return result.rowsChanged;
    },
    interrupt: () => connection.interrupt(),
    progress() {
      const share = connection.progress.percentage;
      return share < 0 ? null : Math.min(1, share / 100);
    },
    close: () => connection.closeSync(),
  };
}

async function serialize(connection: DuckDBConnection, sql: string): Promise<string> {
  const [row] = await rowsOf(connection, `SELECT json_serialize_sql(${text(sql)}::VARCHAR) AS tree`);
  return String(row!['tree']);
}

function typeName(type: { typeId: DuckDBTypeId; alias?: string; toString(): string }): string {
  return type.alias === 'JSON' ? 'JSON' : type.toString();
}
