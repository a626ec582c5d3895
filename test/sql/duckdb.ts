import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import type { Role } from '#core';
import { checkStatement, readStatement, type Serialize, type Statement } from '#sql';

/** An open in-memory DuckDB with its parser as the store hands it to src/sql. */
export async function openDuckdb(): Promise<{ connection: DuckDBConnection; serialize: Serialize; close: () => void }> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  const serialize: Serialize = async (sql) => {
    const reader = await connection.runAndReadAll('SELECT json_serialize_sql($1::VARCHAR)', [sql]);
    return reader.getRows()[0]![0] as string;
  };
  const close = (): void => {
    connection.closeSync();
    instance.closeSync();
  };
  return { connection, serialize, close };
}

/** Reads and checks as `role`, for someone who may read and write the given tables ('schema.name'; main where there is no dot). */
export async function admit(text: string, serialize: Serialize, role: Role, tables: readonly string[]): Promise<Statement> {
  const known = new Set(tables.map((table) => (table.includes('.') ? table : `main.${table}`).toLowerCase()));
  const mayRead = (schema: string | null, name: string): boolean => known.has(`${schema ?? 'main'}.${name}`.toLowerCase());
  const statement = await readStatement(text, serialize);
  checkStatement(statement, { role, mayRead, mayWrite: () => true });
  return statement;
}
