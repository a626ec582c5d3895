import type { DuckDBConnection, DuckDBTypeId, DuckDBValue } from '@duckdb/node-api';
import type { Column } from '#core';
import { type ArrayBlock, type ArrayColumn, appendArrays, arrayBlocks, arrayType } from './arrays.ts';
import { type Chunk, chunkOf } from './cells.ts';
import { newInterrupter } from './interrupt.ts';
import { rowsOf } from './lane.ts';
import { name, text } from './names.ts';
import type { Readings } from './readings.ts';

export interface Result {
  readonly columns: readonly Column[];
  /** The next piece, or null at the end. */
  next(): Promise<Chunk | null>;
}

export type Values = readonly unknown[] | Readonly<Record<string, unknown>>;
type DuckDBValues = DuckDBValue[] | Record<string, DuckDBValue> | undefined;

/** One question's own connection. Errors are DuckDB's: whoever asks words them. */
export interface Reader {
  /** DuckDB's own tree of a SELECT-like statement, as JSON text: the authority on what a statement reads. */
  serialize(sql: string): Promise<string>;
  stream(sql: string, values?: Values): Promise<Result>;
  /** Writes a result as Parquet into the slices' folder, at `path`. */
  toParquet(sql: string, values: Values | undefined, path: string): Promise<number>;
  /** Rows as arrays, in blocks of at most `most` rows; every column of the query must be DOUBLE or VARCHAR, and it must give the same rows each time. */
  arrays(sql: string, most: number): AsyncGenerator<ArrayBlock>;
  /** Runs a statement of Millrace's own about tables and views that only this reader sees (TEMP); they are gone when it is closed. */
  own(sql: string, values?: Readonly<Record<string, unknown>>): Promise<void>;
  /** Appends to such a table, making it where there is none; NaN becomes NULL. */
  append(table: string, columns: readonly ArrayColumn[]): Promise<void>;
  /** Ends the statement that runs, or the next piece of a result that is read: it fails. */
  interrupt(): void;
  /** 0–1, or null while unknown. */
  progress(): number | null;
  close(): void;
}

/** `giveBack` takes the connection again, with nothing under way on it, or closes it; `onError` hears what fails. */
export function openReader(
  connection: DuckDBConnection,
  readings: Readings,
  giveBack: (connection: DuckDBConnection) => void,
  onError: (cause: unknown) => void,
): Reader {
  /** A result that was not read to its end keeps its snapshot until the connection's next statement. */
  let open = false;
  let over = () => {};
  const { interrupt, during: fetching } = newInterrupter(connection, onError);
  const during = <T>(work: () => Promise<T>): Promise<T> => {
    over();
    const ends = readings.begin();
    over = ends;
    return fetching(work).finally(() => {
      if (!open) ends();
    });
  };
  return {
    serialize: (sql) => during(() => serialize(connection, sql)),
    async stream(sql, values) {
      const result = await during(async () => {
        const streamed = await connection.stream(sql, values as DuckDBValues);
        open = true;
        return streamed;
      });
      const types = result.columnTypes();
      const columns = result.deduplicatedColumnNames().map((name, k) => ({ name, type: typeName(types[k]!) }));
      return {
        columns,
        async next() {
          const chunk = await fetching(() => result.fetchChunk());
          open = chunk !== null && chunk.rowCount > 0;
          if (!open) over();
          return chunk === null || !open ? null : chunkOf(chunk, types);
        },
      };
    },
    async toParquet(sql, values, path) {
      const given = values as DuckDBValues;
      const exact = await during(() => withoutHuge(connection, sql, given));
      const copy = `COPY (${exact}\n) TO ${text(path)} (FORMAT parquet, COMPRESSION zstd)`;
      const result = await during(() => connection.run(copy, given));
      return result.rowsChanged;
    },
    async *arrays(sql, most) {
      const blocks = arrayBlocks(connection, sql, most);
      try {
        for (let block = await during(() => blocks.next()); block.done !== true; block = await during(() => blocks.next()))
          yield block.value;
      } finally {
        await blocks.return(undefined);
      }
    },
    async own(sql, values) {
      await during(() => connection.run(sql, values as Record<string, DuckDBValue> | undefined));
    },
    async append(table, columns) {
      const definition = columns.map((column) => `${name(column.name)} ${arrayType(column.kind)}`).join(', ');
      await during(() => connection.run(`CREATE TEMP TABLE IF NOT EXISTS ${name(table)} (${definition})`));
      await appendArrays(connection, table, columns);
    },
    interrupt,
    progress() {
      const share = connection.progress.percentage;
      return share < 0 ? null : Math.min(1, share / 100);
    },
    close() {
      if (!open) giveBack(connection);
      else
        connection
          .run('SELECT 1')
          .then(
            () => giveBack(connection),
            // Nothing can be asked on it any more; what was wrong is told by whoever asks next.
            () => connection.closeSync(),
          )
          .finally(over);
    },
  };
}

async function serialize(connection: DuckDBConnection, sql: string): Promise<string> {
  const [row] = await rowsOf(connection, `SELECT json_serialize_sql(${text(sql)}::VARCHAR) AS tree`);
  return String(row!['tree']);
}

function typeName(type: { typeId: DuckDBTypeId; alias?: string; toString(): string }): string {
  return type.alias === 'JSON' ? 'JSON' : type.toString();
}

/** Parquet has no integers beyond 64 bits, as `sum` gives them, and DuckDB writes doubles for them: a DECIMAL keeps their digits. */
async function withoutHuge(connection: DuckDBConnection, sql: string, values: DuckDBValues): Promise<string> {
  const described = await connection.runAndReadAll(`DESCRIBE SELECT * FROM (${sql}\n)`, values);
  const huge = described.getRows().filter(([, type]) => type === 'HUGEINT' || type === 'UHUGEINT');
  const exact = huge.map(([column]) => name(String(column))).map((column) => `CAST(${column} AS DECIMAL(38,0)) AS ${column}`);
  return huge.length === 0 ? sql : `SELECT * REPLACE (${exact.join(', ')}) FROM (${sql}\n)`;
}
