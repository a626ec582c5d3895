import { fail, isTableWord } from '#core';

/** SQL text for a name: quoted, so that no name is ever code. */
export function name(text: string): string {
  return `"${text.replaceAll('"', '""')}"`;
}

/** SQL text for a string. */
export function text(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}

export interface TableName {
  readonly schema: string;
  readonly name: string;
}

/** Schemas that only Millrace writes to, and names that DuckDB takes for a database (the file's own is `warehouse`). */
export const OWN_SCHEMAS: ReadonlySet<string> = new Set([
  'raw',
  'millrace',
  'change',
  'late',
  'information_schema',
  'pg_catalog',
  'system',
  'temp',
  'warehouse',
]);

/** "table" or "schema.table" as a name that a user may write to. Errors: TABLE_NAME. */
export function parseTable(spelled: string): TableName {
  const parts = spelled.split('.');
  const [schema, table] = parts.length === 1 ? ['main', parts[0]!] : [parts[0]!, parts[1]!];
  if (parts.length > 2 || ![schema, table].every(isTableWord)) fail('TABLE_NAME', { table: spelled });
  if (OWN_SCHEMAS.has(schema)) fail('TABLE_NAME', { table: spelled, problem: `the schema ${schema} belongs to Millrace` });
  return { schema, name: table };
}

export function quoted(table: TableName): string {
  return `${name(table.schema)}.${name(table.name)}`;
}
