import { fail, type Role } from '#core';
import { isAllowedFunction } from './functions.ts';
import { placeIn } from './parse.ts';
import type { TableRead } from './reads.ts';
import type { Statement, Target } from './statement.ts';
import { asciiLower } from './tokens.ts';

/**
 * Who asks. `mayRead` says yes only to tables and views that exist and that this person may read (`schema` is null where the text
 * has none: then it is main). `mayWrite` says whether the person may make, change or drop that table (`name` null: the schema itself).
 * Names come as written: compare them without ASCII case.
 */
export interface Who {
  readonly role: Role;
  readonly mayRead: (schema: string | null, name: string) => boolean;
  readonly mayWrite: (schema: string, name: string | null) => boolean;
  /** Why it may not be read, where there is more to say than that it isn't theirs. */
  readonly problem?: (schema: string | null, name: string) => string | null;
  /** No to a function of the list whose name somebody has given to one of his own (a macro in the file). */
  readonly mayCall?: (name: string) => boolean;
}

const NOT_YOURS = 'it does not exist, or is not yours to read';

/** Schemas that no statement writes to: Millrace's own and DuckDB's. */
const ownSchemas = new Set(['raw', 'millrace', 'change', 'late', 'warehouse', 'system', 'information_schema', 'pg_catalog', 'temp']);
const onlyReads: readonly Statement['kind'][] = [
  'select',
  'explain',
  'explain_materialized_view',
  'show_materialized_views',
  'show_scheduled_queries',
];

/**
 * Refuses what this person may not run: SQL_KIND (the role), SQL_FUNCTION (not on the allow-list), SQL_TABLE, SQL_WRITE, each with
 * position, line and column. A statement that passes may be run by its `sql`, and only by it.
 */
export function checkStatement(statement: Statement, who: Who): void {
  checkKind(statement, who.role);
  for (const { name, inFrom, position } of statement.reads.functions) {
    if (!isAllowedFunction(name, inFrom) || who.mayCall?.(name) === false)
      fail('SQL_FUNCTION', { function: name, ...placeIn(statement.text, position) });
  }
  for (const table of statement.reads.tables) checkRead(statement, table, who);
  if ('target' in statement) checkWrite(statement, statement.target.schema, statement.target, who);
  if (statement.kind === 'alter_model' && statement.rename !== null)
    checkWrite(statement, statement.target.schema, { name: statement.rename, position: statement.target.position }, who);
  if ('schema' in statement) checkWrite(statement, statement.schema, { name: null, position: statement.position }, who);
}

function checkKind(statement: Statement, role: Role): void {
  const allowed = role === 'admin' || role === 'editor' || (role === 'viewer' && onlyReads.includes(statement.kind));
  if (!allowed) fail('SQL_KIND', { kind: statement.kind.replaceAll('_', ' ').toUpperCase(), role });
}

function checkRead(statement: Statement, { schema, name, position }: TableRead, who: Who): void {
  const refuse = (problem: string): never =>
    fail('SQL_TABLE', { table: schema === null ? name : `${schema}.${name}`, problem, ...placeIn(statement.text, position) });
  if (isCatalog(schema, name)) refuse('the catalog is read with "millrace catalog"');
  if (who.mayRead(schema, name)) return;
  const unknown = looksLikeFile(name) ? 'it is not a table, and files are loaded before they are read' : NOT_YOURS;
  refuse(who.problem?.(schema, name) ?? unknown);
}

function checkWrite(
  statement: Statement,
  schema: string,
  { name, position }: Pick<Target, 'position'> & { name: string | null },
  who: Who,
): void {
  const refuse = (problem: string): never =>
    fail('SQL_WRITE', { table: name === null ? schema : `${schema}.${name}`, problem, ...placeIn(statement.text, position) });
  if (ownSchemas.has(asciiLower(schema)) || (name === null && asciiLower(schema) === 'main')) refuse(`the schema ${schema} is not yours`);
  if (name !== null && isCatalog(schema, name)) refuse('the name belongs to the catalog');
  if (!who.mayWrite(schema, name)) refuse('it does not exist, or is not yours to write');
}

/** DuckDB's own views can be named without a schema and in main. */
export function isCatalog(schema: string | null, name: string): boolean {
  const where = schema === null ? 'main' : asciiLower(schema);
  if (where === 'information_schema' || where === 'pg_catalog') return true;
  return where === 'main' && /^(duckdb_|pragma_|sqlite_|pg_)/.test(asciiLower(name));
}

function looksLikeFile(name: string): boolean {
  return /[./\\:*?]/.test(name);
}
