import { fail, isTableWord, type Parameters } from '#core';
import { Cursor } from './cursor.ts';
import {
  type Piece,
  parseExpression,
  parseExpressions,
  parseFrom,
  parseQuery,
  parseQueryInFull,
  placeIn,
  type Serialize,
  type Source,
  type Verified,
} from './parse.ts';
import type { Reads } from './reads.ts';
import {
  type CreateMaterializedViewStatement,
  type FeatureCall,
  mergeReads,
  noReads,
  type OptionValue,
  readOf,
  type Statement,
  type Target,
} from './statement.ts';
import { asciiLower, identifier, quoteIdentifier, significant, type Token, tokens } from './tokens.ts';

/** Longer texts are data, not statements; DuckDB's tree of one takes a hundred times its length. */
const longest = 1_000_000;

/**
 * Reads one statement. A query (SELECT and its kin) is parsed by DuckDB as a whole. Other kinds are split by our lexer; each query
 * and expression in them is parsed by DuckDB, and the statement is printed anew (`sql`) from quoted names and those parts: a text
 * that DuckDB might understand otherwise than we do is never run.
 *
 * Errors: SQL_EMPTY, SQL_LENGTH, SQL_SEVERAL, SQL_SYNTAX (with position), SQL_KIND, SQL_CONSTRUCT, SQL_TABLE, SQL_WRITE, TABLE_NAME.
 * Cost: one call of `serialize` for each part, under a millisecond for everyday texts.
 */
export async function readStatement(text: string, serialize: Serialize): Promise<Statement> {
  if (text.length > longest) fail('SQL_LENGTH', { length: text.length, limit: longest });
  if (!text.isWellFormed() || text.includes('\0')) {
    fail('SQL_SYNTAX', { problem: 'it has a NUL or half of a surrogate pair', ...placeIn(text, Math.max(text.indexOf('\0'), 0)) });
  }
  const own = statementTokens(text);
  if (own.length === 0) fail('SQL_EMPTY');
  const source: Source = { text, serialize };
  const cursor = new Cursor(text, own);
  const parameters = parametersOf(own);
  const read = readers.find(({ words }) => words.some((phrase) => cursor.take(...phrase)));
  if (!read) {
    const { sql, reads } = await parseQuery(source, cursor.rest());
    return { kind: 'select', text, parameters, sql, reads };
  }
  refuseSeveral(text, own);
  const statement = await read.read(cursor, source);
  cursor.expectEnd();
  return { ...statement, text, parameters };
}

/** What a reader finds; text and parameters are the same for all. */
type Found<S = Statement> = S extends Statement ? Omit<S, 'text' | 'parameters'> : never;

interface Reader {
  readonly words: readonly (readonly string[])[];
  readonly read: (cursor: Cursor, source: Source) => Promise<Found>;
}

const readers: readonly Reader[] = [
  { words: [['EXPLAIN']], read: readExplain },
  { words: [['CREATE']], read: readCreate },
  { words: [['INSERT', 'INTO']], read: readInsert },
  { words: [['UPDATE']], read: readUpdate },
  { words: [['DELETE', 'FROM']], read: readDelete },
  { words: [['DROP']], read: readDrop },
  { words: [['EXPORT', 'MODEL']], read: readExportModel },
  { words: [['ALTER', 'MODEL']], read: readAlterModel },
  { words: [['REFRESH', 'MATERIALIZED', 'VIEW']], read: (cursor) => readAboutView(cursor, 'refresh_materialized_view') },
  { words: [['PAUSE', 'MATERIALIZED', 'VIEW']], read: (cursor) => readAboutView(cursor, 'pause_materialized_view') },
  { words: [['RESUME', 'MATERIALIZED', 'VIEW']], read: (cursor) => readAboutView(cursor, 'resume_materialized_view') },
  { words: [['SHOW', 'MATERIALIZED', 'VIEWS']], read: async () => ({ kind: 'show_materialized_views', reads: noReads }) },
  { words: [['RUN', 'SCHEDULED', 'QUERY']], read: (cursor) => readAboutQuery(cursor, 'run_scheduled_query') },
  { words: [['PAUSE', 'SCHEDULED', 'QUERY']], read: (cursor) => readAboutQuery(cursor, 'pause_scheduled_query') },
  { words: [['RESUME', 'SCHEDULED', 'QUERY']], read: (cursor) => readAboutQuery(cursor, 'resume_scheduled_query') },
  { words: [['SHOW', 'SCHEDULED', 'QUERIES']], read: async () => ({ kind: 'show_scheduled_queries', reads: noReads }) },
];

/** The significant tokens without the semicolons that end the statement. */
function statementTokens(text: string): Token[] {
  const found = significant(tokens(text));
  while (found.at(-1)?.text === ';') found.pop();
  return found;
}

function refuseSeveral(text: string, own: readonly Token[]): void {
  const ends = own.filter((token) => token.kind === 'punctuation' && token.text === ';');
  if (ends.length > 0) fail('SQL_SEVERAL', { count: ends.length + 1, ...placeIn(text, ends[0]!.start) });
}

function parametersOf(own: readonly Token[]): string[] {
  let unnamed = 0;
  const names = own.filter((token) => token.kind === 'parameter').map(({ text }) => (text === '?' ? String(++unnamed) : text.slice(1)));
  return [...new Set(names)];
}

async function readExplain(cursor: Cursor, source: Source): Promise<Found> {
  if (cursor.take('MATERIALIZED', 'VIEW'))
    return { kind: 'explain_materialized_view', target: cursor.target(), create: null, reads: noReads };
  if (cursor.take('CREATE')) return readExplainCreate(cursor, source);
  const analyze = cursor.take('ANALYZE');
  const { sql, reads } = await parseQuery(source, cursor.rest());
  return { kind: 'explain', analyze, inner: sql, reads, sql: `EXPLAIN ${analyze ? 'ANALYZE ' : ''}${sql}\n` };
}

async function readExplainCreate(cursor: Cursor, source: Source): Promise<Found> {
  const replace = cursor.take('OR', 'REPLACE');
  if (!cursor.take('MATERIALIZED', 'VIEW')) refuseKind(cursor, 'EXPLAIN CREATE');
  const create = await readCreateMaterializedView(cursor, source, replace);
  return {
    kind: 'explain_materialized_view',
    target: create.target,
    create: { ...create, text: source.text, parameters: [] },
    reads: create.reads,
  };
}

async function readCreate(cursor: Cursor, source: Source): Promise<Found> {
  const replace = cursor.take('OR', 'REPLACE');
  if (cursor.take('TABLE')) return readCreateAs('create_table_as', cursor, source, replace);
  if (cursor.take('VIEW')) return readCreateAs('create_view', cursor, source, replace);
  if (cursor.take('MATERIALIZED', 'VIEW')) return readCreateMaterializedView(cursor, source, replace);
  if (cursor.take('SCHEDULED', 'QUERY')) return readCreateScheduledQuery(cursor, source, replace);
  if (cursor.take('MODEL')) return readCreateModel(cursor, source, replace);
  if (!replace && cursor.take('SCHEMA')) return readSchema('create_schema', cursor, cursor.take('IF', 'NOT', 'EXISTS'));
  return refuseKind(cursor, 'CREATE');
}

async function readCreateAs(kind: 'create_table_as' | 'create_view', cursor: Cursor, source: Source, replace: boolean): Promise<Found> {
  const ifNotExists = cursor.take('IF', 'NOT', 'EXISTS');
  const target = newTarget(cursor);
  const columns = cursor.names();
  if (cursor.isMark('(')) refuseKind(cursor, 'CREATE TABLE with columns');
  cursor.expect('AS');
  const { sql: body, reads } = await (kind === 'create_view' ? parseQueryInFull : parseQuery)(source, cursor.rest());
  const start = `CREATE ${replace ? 'OR REPLACE ' : ''}${kind === 'create_view' ? 'VIEW' : 'TABLE'} ${ifNotExists ? 'IF NOT EXISTS ' : ''}`;
  const sql = `${start}${printTarget(target)}${printColumns(columns)} AS ${body}\n`;
  return { kind, target, replace, ifNotExists, columns, body, reads, sql };
}

async function readInsert(cursor: Cursor, source: Source): Promise<Found> {
  const target = cursor.target();
  const columns = cursor.names();
  const byName = cursor.take('BY', 'NAME');
  const { sql: body, reads } = await parseQuery(source, cursor.rest());
  const sql = `INSERT INTO ${printTarget(target)}${printColumns(columns)} ${byName ? 'BY NAME ' : ''}${body}\n`;
  return { kind: 'insert', target, columns, byName, body, reads, sql };
}

async function readUpdate(cursor: Cursor, source: Source): Promise<Found> {
  const target = cursor.target();
  const alias = readAlias(cursor, ['SET']);
  cursor.expect('SET');
  const set: { column: string; value: Verified }[] = [];
  do {
    const column = cursor.name();
    cursor.expectMark('=');
    set.push({ column, value: await parseExpression(source, cursor.until([','], ['FROM'], ['WHERE'])) });
  } while (cursor.takeMark(','));
  const from = cursor.take('FROM') ? await parseFrom(source, cursor.until(['WHERE'])) : null;
  const where = await readWhere(cursor, source);
  const values = set.map(({ column, value }) => `${quoteIdentifier(column)} = ${value.sql}`).join(', ');
  const sql = `UPDATE ${printTarget(target)}${printAlias(alias)} SET ${values}${printClause(' FROM ', from)}${printClause(' WHERE ', where)}`;
  const reads = mergeReads(readOf(target), ...set.map(({ value }) => value.reads), readsIn(from), readsIn(where));
  const columns = set.map(({ column }) => column);
  return { kind: 'update', target, columns, alias, from: from?.sql ?? null, where: where?.sql ?? null, reads, sql };
}

async function readDelete(cursor: Cursor, source: Source): Promise<Found> {
  const target = cursor.target();
  const alias = readAlias(cursor, ['USING', 'WHERE']);
  const from = cursor.take('USING') ? await parseFrom(source, cursor.until(['WHERE'])) : null;
  const where = await readWhere(cursor, source);
  const sql = `DELETE FROM ${printTarget(target)}${printAlias(alias)}${printClause(' USING ', from)}${printClause(' WHERE ', where)}`;
  const reads = mergeReads(readOf(target), readsIn(from), readsIn(where));
  return { kind: 'delete', target, alias, from: from?.sql ?? null, where: where?.sql ?? null, reads, sql };
}

async function readWhere(cursor: Cursor, source: Source): Promise<Verified | null> {
  return cursor.take('WHERE') ? parseExpression(source, cursor.until()) : null;
}

async function readDrop(cursor: Cursor): Promise<Found> {
  if (cursor.take('SCHEMA')) return readSchema('drop_schema', cursor, cursor.take('IF', 'EXISTS'));
  if (cursor.take('MATERIALIZED', 'VIEW')) return readAboutView(cursor, 'drop_materialized_view');
  if (cursor.take('SCHEDULED', 'QUERY')) return readAboutQuery(cursor, 'drop_scheduled_query');
  const model = cursor.take('MODEL');
  const what = cursor.take('TABLE') ? 'table' : 'view';
  if (!model && what === 'view' && !cursor.take('VIEW')) refuseKind(cursor, 'DROP');
  const ifExists = cursor.take('IF', 'EXISTS');
  const target = cursor.target();
  const cascade = readCascade(cursor);
  if (model) return { kind: 'drop_model', target, ifExists, reads: noReads, ...cascade };
  const sql = `DROP ${what.toUpperCase()} ${ifExists ? 'IF EXISTS ' : ''}${printTarget(target)}`;
  return { kind: 'drop', what, target, ifExists, reads: noReads, sql, ...cascade };
}

/** What is not said is not there. */
function readCascade(cursor: Cursor): { cascade?: true } {
  return cursor.take('CASCADE') ? { cascade: true } : {};
}

function readSchema(kind: 'create_schema' | 'drop_schema', cursor: Cursor, lenient: boolean): Found {
  const position = cursor.position;
  const written = cursor.name();
  const schema = kind === 'create_schema' ? newName(written) : written;
  const create = `CREATE SCHEMA ${lenient ? 'IF NOT EXISTS ' : ''}`;
  const drop = `DROP SCHEMA ${lenient ? 'IF EXISTS ' : ''}`;
  return { kind, schema, position, lenient, reads: noReads, sql: (kind === 'create_schema' ? create : drop) + quoteIdentifier(schema) };
}

async function readCreateMaterializedView(
  cursor: Cursor,
  source: Source,
  replace: boolean,
): Promise<Found<CreateMaterializedViewStatement>> {
  const ifNotExists = cursor.take('IF', 'NOT', 'EXISTS');
  const target = newTarget(cursor);
  const partitioned = cursor.take('PARTITION', 'BY');
  const partitionAt = partitioned ? cursor.position : -1;
  const partitionBy = partitioned ? await parseExpression(source, cursor.until(['OPTIONS'], ['AS'])) : null;
  const options = readOptions(cursor);
  cursor.expect('AS');
  const bodyAt = cursor.position;
  const body = await parseQuery(source, cursor.rest());
  const reads = mergeReads(body.reads, readsIn(partitionBy));
  const kind = 'create_materialized_view';
  return { kind, target, replace, ifNotExists, partitionBy: partitionBy?.sql ?? null, partitionAt, options, body: body.sql, bodyAt, reads };
}

async function readAboutView(
  cursor: Cursor,
  kind: 'refresh_materialized_view' | 'pause_materialized_view' | 'resume_materialized_view' | 'drop_materialized_view',
): Promise<Found> {
  const ifExists = kind === 'drop_materialized_view' && cursor.take('IF', 'EXISTS');
  const target = cursor.target();
  return { kind, target, ifExists, reads: noReads, ...(kind === 'drop_materialized_view' && readCascade(cursor)) };
}

async function readCreateScheduledQuery(cursor: Cursor, source: Source, replace: boolean): Promise<Found> {
  const ifNotExists = cursor.take('IF', 'NOT', 'EXISTS');
  const target = newTarget(cursor);
  const options = readOptions(cursor);
  cursor.expect('AS');
  const bodyAt = cursor.position;
  const { sql: body, reads } = await parseQuery(source, cursor.rest());
  return { kind: 'create_scheduled_query', target, replace, ifNotExists, options, body, bodyAt, reads };
}

async function readAboutQuery(
  cursor: Cursor,
  kind: 'run_scheduled_query' | 'pause_scheduled_query' | 'resume_scheduled_query' | 'drop_scheduled_query',
): Promise<Found> {
  const ifExists = kind === 'drop_scheduled_query' && cursor.take('IF', 'EXISTS');
  return { kind, target: cursor.target(), ifExists, reads: noReads };
}

async function readCreateModel(cursor: Cursor, source: Source, replace: boolean): Promise<Found> {
  const ifNotExists = cursor.take('IF', 'NOT', 'EXISTS');
  const target = newTarget(cursor);
  const { transform, features } = cursor.take('TRANSFORM') ? await readTransform(cursor, source) : noTransform;
  const options = readOptions(cursor);
  const brought = cursor.atEnd && options['model_path'] !== undefined;
  if (!brought) cursor.expect('AS');
  const body = brought ? null : await parseQuery(source, cursor.rest());
  const reads = mergeReads(readsIn(body), readsIn(transform));
  return {
    kind: 'create_model',
    target,
    replace,
    ifNotExists,
    transform: transform?.sql ?? null,
    features,
    options,
    body: body?.sql ?? null,
    reads,
  };
}

interface Transform {
  readonly transform: Verified | null;
  readonly features: readonly FeatureCall[];
}

const noTransform: Transform = { transform: null, features: [] };

async function readTransform(cursor: Cursor, source: Source): Promise<Transform> {
  const parts: Verified[] = [];
  const features: FeatureCall[] = [];
  cursor.expectMark('(');
  do {
    if (cursor.isAt('ML')) features.push(readFeature(cursor));
    else parts.push(await parseExpressions(source, cursor.until([','])));
  } while (cursor.takeMark(','));
  cursor.expectMark(')');
  // Each part ends in a line of its own; as a list only the last does.
  const sql = `${parts.map((part) => part.sql.trimEnd()).join(', ')}\n`;
  return { transform: { sql, reads: mergeReads(...parts.map(({ reads }) => reads)) }, features };
}

/** ML.NAME(column, literal, …) or ML.NAME(STRUCT(column, …)), with OVER () where what it learns needs all rows. */
function readFeature(cursor: Cursor): FeatureCall {
  cursor.expect('ML');
  cursor.expectMark('.');
  const name = cursor.name().toUpperCase();
  cursor.expectMark('(');
  const struct = cursor.take('STRUCT');
  if (struct) cursor.expectMark('(');
  const columns = [cursor.name()];
  while (struct && cursor.takeMark(',')) columns.push(cursor.name());
  if (struct) cursor.expectMark(')');
  const values: OptionValue[] = [];
  while (cursor.takeMark(',')) values.push(cursor.takeMark('[') ? readList(cursor) : readLiteral(cursor));
  cursor.expectMark(')');
  if (cursor.take('OVER')) {
    cursor.expectMark('(');
    cursor.expectMark(')');
  }
  cursor.expect('AS');
  return { name, columns, values, as: cursor.name() };
}

async function readExportModel(cursor: Cursor): Promise<Found> {
  const { target, version } = readModelVersion(cursor);
  return { kind: 'export_model', target, version, options: readOptions(cursor), reads: noReads };
}

async function readAlterModel(cursor: Cursor): Promise<Found> {
  const ifExists = cursor.take('IF', 'EXISTS');
  const { target, version } = readModelVersion(cursor);
  const common = { kind: 'alter_model', target, version, ifExists, reads: noReads } as const;
  if (cursor.take('RENAME', 'TO')) return { ...common, rename: newName(cursor.name()), options: {} };
  cursor.expect('SET');
  if (!cursor.isAt('OPTIONS')) cursor.refuse('OPTIONS (…) is expected');
  return { ...common, rename: null, options: readOptions(cursor) };
}

/** `name`, `schema.name`, with `@2` or `@alias` behind it. */
function readModelVersion(cursor: Cursor): { target: Target; version: string | null } {
  const target = cursor.target();
  return { target, version: cursor.takeMark('@') ? asciiLower(cursor.token().text) : null };
}

/** OPTIONS (key = literal, …); keys in lower case, each once. */
function readOptions(cursor: Cursor): Readonly<Record<string, OptionValue>> {
  const options = new Map<string, OptionValue>();
  if (!cursor.take('OPTIONS')) return {};
  cursor.expectMark('(');
  while (!cursor.isMark(')')) {
    const position = cursor.position;
    const key = asciiLower(cursor.name());
    if (options.has(key)) cursor.refuse(`the option ${key} stands twice`, position);
    cursor.expectMark('=');
    options.set(key, cursor.takeMark('[') ? readList(cursor) : readLiteral(cursor));
    if (!cursor.takeMark(',')) break;
  }
  cursor.expectMark(')');
  return Object.fromEntries(options);
}

/** Where an option of OPTIONS (…) stands in a statement; nothing where it was not said. */
export function placeOfOption(text: string, option: string): Parameters {
  const own = significant(tokens(text));
  const options = own.findIndex((token) => token.kind === 'word' && token.text.toUpperCase() === 'OPTIONS');
  const said = own.find((token, k) => k > options && own[k + 1]?.text === '=' && asciiLower(identifier(token)) === option);
  return options < 0 || said === undefined ? {} : placeIn(text, said.start);
}

function readList(cursor: Cursor): Extract<OptionValue, readonly unknown[]> {
  const values: Extract<OptionValue, readonly unknown[]>[number][] = [];
  while (!cursor.isMark(']')) {
    values.push(cursor.isAt('STRUCT') || cursor.isMark('(') ? readStruct(cursor) : readLiteral(cursor));
    if (!cursor.takeMark(',')) break;
  }
  cursor.expectMark(']');
  return values;
}

/** STRUCT(literal [AS name], …), or (literal, literal, …) as BigQuery also has it. */
function readStruct(cursor: Cursor): ReturnType<typeof readLiteral>[] {
  cursor.take('STRUCT');
  cursor.expectMark('(');
  const values: ReturnType<typeof readLiteral>[] = [];
  do {
    values.push(readLiteral(cursor));
    if (cursor.take('AS')) cursor.name();
  } while (cursor.takeMark(','));
  cursor.expectMark(')');
  return values;
}

function readLiteral(cursor: Cursor): string | number | boolean | null {
  const position = cursor.position;
  if (cursor.take('TRUE')) return true;
  if (cursor.take('FALSE')) return false;
  if (cursor.take('NULL')) return null;
  const sign = cursor.takeMark('-') ? -1 : 1;
  const token = cursor.token();
  if (token.kind === 'number') return sign * Number(token.text.replaceAll('_', ''));
  if (sign === 1 && token.kind === 'string' && token.text.startsWith("'")) return token.text.slice(1, -1).replaceAll("''", "'");
  return cursor.refuse('a literal is expected: text in single quotes, a number, TRUE, FALSE, NULL or a list of them', position);
}

function readAlias(cursor: Cursor, followers: readonly string[]): string | null {
  if (cursor.take('AS')) return cursor.name();
  const none = cursor.atEnd || followers.some((keyword) => cursor.isAt(keyword));
  return none ? null : cursor.name();
}

/** What is made gets a plain name in lower case, so that nobody has to quote it. */
function newTarget(cursor: Cursor): Target {
  const { schema, name, position } = cursor.target();
  return { schema: asciiLower(schema), name: newName(name), position };
}

function newName(written: string): string {
  const name = asciiLower(written);
  if (!isTableWord(name)) fail('TABLE_NAME', { table: written });
  return name;
}

function refuseKind(cursor: Cursor, start: string): never {
  const next: Piece | null = cursor.atEnd ? null : cursor.rest();
  const word = next ? (/^\w+/.exec(next.text)?.[0] ?? '') : '';
  return fail('SQL_KIND', { kind: `${start} ${word.toUpperCase()}`.trim(), ...placeIn(cursor.text, 0) });
}

function printTarget(target: Target): string {
  return `${quoteIdentifier(target.schema)}.${quoteIdentifier(target.name)}`;
}

function printColumns(columns: readonly string[] | null): string {
  return columns ? ` (${columns.map(quoteIdentifier).join(', ')})` : '';
}

function printAlias(alias: string | null): string {
  return alias === null ? '' : ` AS ${quoteIdentifier(alias)}`;
}

function printClause(keyword: string, part: Verified | null): string {
  return part ? keyword + part.sql : '';
}

function readsIn(part: Verified | null): Reads {
  return part?.reads ?? noReads;
}
