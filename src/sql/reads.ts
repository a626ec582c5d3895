import { fail, type Parameters } from '#core';
import { asciiLower } from './tokens.ts';

/** A table or view that is read, named as in the text; `schema` is null where none is written. Names of CTEs are not tables. */
export interface TableRead {
  readonly schema: string | null;
  readonly name: string;
  readonly position: number;
}

/** A function that is called (an operator too); `inFrom` where it stands as a table. */
export interface FunctionCall {
  readonly name: string;
  readonly inFrom: boolean;
  readonly position: number;
}

/** What a statement reaches for. Positions are indexes into the user's text. */
export interface Reads {
  readonly tables: readonly TableRead[];
  readonly functions: readonly FunctionCall[];
}

/** Where in the user's text a byte of the serialized text is: its index, and (dearer) its line and column for an error. */
export interface Locator {
  readonly index: (byte: number | undefined) => number;
  readonly place: (byte: number | undefined) => Parameters;
}

type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json | undefined;
}

const queryNodes = new Set(['SELECT_NODE', 'SET_OPERATION_NODE', 'RECURSIVE_CTE_NODE']);
const plainParts = new Set([
  ...['JOIN', 'SUBQUERY', 'EXPRESSION_LIST', 'EMPTY'],
  ...['ORDER_MODIFIER', 'LIMIT_MODIFIER', 'LIMIT_PERCENT_MODIFIER', 'DISTINCT_MODIFIER'],
  ...['ORDER_DEFAULT', 'ASCENDING', 'DESCENDING'],
]);
const plainExpressions = new Set([
  ...['COLUMN_REF', 'COMPARISON', 'CONJUNCTION', 'BETWEEN', 'CASE', 'COLLATE', 'SUBQUERY', 'STAR', 'LAMBDA'],
  ...['PARAMETER', 'POSITIONAL_REFERENCE'],
]);
const operators = new Set([
  ...['OPERATOR_NOT', 'OPERATOR_IS_NULL', 'OPERATOR_IS_NOT_NULL', 'OPERATOR_COALESCE', 'OPERATOR_TRY', 'OPERATOR_UNPACK'],
  ...['COMPARE_IN', 'COMPARE_NOT_IN', 'ARRAY_EXTRACT', 'ARRAY_SLICE', 'ARRAY_CONSTRUCTOR', 'STRUCT_EXTRACT', 'GROUPING_FUNCTION'],
]);
const types = new Set([
  ...['NULL', 'BOOLEAN', 'TINYINT', 'SMALLINT', 'INTEGER', 'BIGINT', 'HUGEINT', 'UTINYINT', 'USMALLINT', 'UINTEGER', 'UBIGINT', 'UHUGEINT'],
  ...['BIGNUM', 'FLOAT', 'DOUBLE', 'DECIMAL', 'VARCHAR', 'CHAR', 'BLOB', 'BIT', 'UUID', 'DATE', 'TIME', 'TIME_NS', 'TIME WITH TIME ZONE'],
  ...['TIMESTAMP', 'TIMESTAMP_S', 'TIMESTAMP_MS', 'TIMESTAMP_NS', 'TIMESTAMP WITH TIME ZONE', 'INTERVAL'],
  ...['LIST', 'ARRAY', 'STRUCT', 'MAP', 'UNION', 'VARIANT', 'STRING_LITERAL', 'INTEGER_LITERAL', 'UNKNOWN'],
]);
/** Types that the parser leaves to the catalog. Others there would be a user's, or an extension's that DuckDB might load. */
const namedTypes = new Set(['json', 'enum']);

/** The engine (1.5) binds each part of a name within the one before, and runs out of its stack (and the process ends) at some 50,000. */
const MOST_PARTS = 100;
/** It plans thousands of queries side by side (UNION ALL) in minutes and gigabytes, and hears of no interruption meanwhile. */
const MOST_QUERIES = 2000;

/**
 * Collects what a parsed query reads, from the tree of DuckDB's json_serialize_sql. Every node is visited; a kind of node that is
 * not known is refused, so that nothing new in DuckDB passes unseen.
 * Fails with SQL_CONSTRUCT, SQL_KIND, SQL_TABLE (another database, a past version).
 */
export function readsOf(tree: JsonObject, locator: Locator): Reads {
  const tables: TableRead[] = [];
  const functions: FunctionCall[] = [];
  let queries = 0;

  const refuse = (construct: string, node: JsonObject): never => fail('SQL_CONSTRUCT', { construct, ...locator.place(byteOf(node)) });

  function visit(value: Json | undefined, scope: ReadonlySet<string>): void {
    if (Array.isArray(value)) for (const item of value) visit(item, scope);
    else if (isObject(value)) visitObject(value, scope);
  }

  function visitObject(node: JsonObject, scope: ReadonlySet<string>): void {
    if ('type_info' in node) visitType(node);
    else if ('is_null' in node) visitType(node['type'] as JsonObject);
    else if (typeof node['class'] === 'string') visitExpression(node, scope);
    else if (typeof node['type'] === 'string') visitPart(node, node['type'], scope);
    else visitAll(node, scope);
  }

  function visitAll(node: JsonObject, scope: ReadonlySet<string>): void {
    for (const value of Object.values(node)) visit(value, scope);
  }

  function visitExpression(node: JsonObject, scope: ReadonlySet<string>): void {
    const kind = node['class'] as string;
    if (kind === 'COLUMN_REF' && (node['column_names'] as readonly Json[]).length > MOST_PARTS) {
      refuse(`A name of more than ${MOST_PARTS} parts`, node);
    }
    if (kind === 'FUNCTION' || kind === 'WINDOW') visitCall(node, scope, false);
    else if (kind === 'CONSTANT') visit(node['value'], scope);
    else if (kind === 'CAST') visitAll(node, scope);
    else if (kind === 'OPERATOR' && operators.has(node['type'] as string)) visitAll(node, scope);
    else if (plainExpressions.has(kind)) visitAll(node, scope);
    else refuse(`The expression ${kind} ${node['type']}`, node);
  }

  function visitCall(node: JsonObject, scope: ReadonlySet<string>, inFrom: boolean): void {
    const catalog = node['catalog'] as string;
    if (catalog !== '' && asciiLower(catalog) !== 'system') refuse(`A function of the database ${catalog}`, node);
    functions.push({ name: node['function_name'] as string, inFrom, position: locator.index(byteOf(node)) });
    visitAll(node, scope);
  }

  function visitPart(node: JsonObject, type: string, scope: ReadonlySet<string>): void {
    if (queryNodes.has(type)) visitQuery(node, scope);
    else if (type === 'BASE_TABLE') visitTable(node, scope);
    else if (type === 'TABLE_FUNCTION') visitTableFunction(node, scope);
    else if (type === 'SHOW_REF') visitShow(node, scope);
    else if (type === 'PIVOT') visitPivot(node, scope);
    else if (plainParts.has(type)) visitAll(node, scope);
    else refuse(`The part ${type}`, node);
  }

  /**
   * Scope as DuckDB has it: a CTE is seen by those after it and by the query, not by itself; the second half of a recursive one sees
   * itself, the first half does not. Naming a table too many is safe, one too few is not.
   */
  function visitQuery(node: JsonObject, outer: ReadonlySet<string>): void {
    if (node['type'] === 'SELECT_NODE' && ++queries > MOST_QUERIES) refuse(`A statement of more than ${MOST_QUERIES} queries`, node);
    const scope = new Set(outer);
    for (const { key, value } of ctes(node)) {
      visit(value, scope);
      scope.add(asciiLower(key));
    }
    const { cte_map: _, right, ...rest } = node;
    visitAll(rest, scope);
    const own = node['type'] === 'RECURSIVE_CTE_NODE' ? [asciiLower(node['cte_name'] as string)] : [];
    visit(right, new Set([...scope, ...own]));
  }

  function visitTable(node: JsonObject, scope: ReadonlySet<string>): void {
    const name = node['table_name'] as string;
    const catalog = node['catalog_name'] as string;
    const schema = (node['schema_name'] as string) || null;
    const byte = byteOf(node);
    if (catalog !== '')
      fail('SQL_TABLE', { table: `${catalog}.${schema}.${name}`, problem: 'other databases are not open', ...locator.place(byte) });
    if (node['at_clause']) fail('SQL_TABLE', { table: name, problem: 'there are no past versions (AT)', ...locator.place(byte) });
    if (schema !== null || !scope.has(asciiLower(name))) tables.push({ schema, name, position: locator.index(byte) });
    visit(node['sample'], scope);
  }

  function visitTableFunction(node: JsonObject, scope: ReadonlySet<string>): void {
    const { function: call, ...rest } = node;
    if (isObject(call) && call['class'] === 'FUNCTION') visitCall(call, scope, true);
    else refuse('This table function', node);
    for (const [key, value] of Object.entries(rest)) if (key !== 'type') visit(value, scope);
  }

  /** DESCRIBE and SUMMARIZE carry a query; SHOW TABLES and its kin carry only a word. */
  function visitShow(node: JsonObject, scope: ReadonlySet<string>): void {
    const query = node['query'];
    if (!isObject(query)) fail('SQL_KIND', { kind: 'SHOW', ...locator.place(byteOf(node)) });
    visit(query, scope);
  }

  function visitPivot(node: JsonObject, scope: ReadonlySet<string>): void {
    for (const pivot of node['pivots'] as readonly JsonObject[]) {
      if (pivot['pivot_enum']) refuse(`PIVOT over the type ${pivot['pivot_enum']}`, node);
    }
    visitAll(node, scope);
  }

  function visitType(type: JsonObject): void {
    const id = type['id'] as string;
    const info = type['type_info'];
    if (id === 'UNBOUND' && isObject(info) && info['schema'] === '' && info['catalog'] === '') {
      if (!namedTypes.has(asciiLower(info['name'] as string))) refuse(`The type ${info['name']}`, type);
    } else if (!types.has(id)) refuse(`The type ${id}`, type);
    visitTypeInfo(info);
  }

  function visitTypeInfo(value: Json | undefined): void {
    if (Array.isArray(value)) for (const item of value) visitTypeInfo(item);
    else if (isObject(value)) {
      if ('class' in value) refuse('A type made by an expression', value);
      if ('type_info' in value) visitType(value);
      else for (const part of Object.values(value)) visitTypeInfo(part);
    }
  }

  visit(tree, new Set());
  return { tables, functions };
}

function ctes(node: JsonObject): readonly { key: string; value: JsonObject }[] {
  const map = (node['cte_map'] as JsonObject)['map'];
  return map as unknown as readonly { key: string; value: JsonObject }[];
}

/** DuckDB writes 2^64 - 1 where it has no location. */
function byteOf(node: JsonObject): number | undefined {
  const byte = node['query_location'];
  return typeof byte === 'number' && Number.isSafeInteger(byte) ? byte : undefined;
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
