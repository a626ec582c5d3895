import { fail, type Parameters } from '#core';
import { isObject, type JsonObject, type Locator, type Reads, readsOf } from './reads.ts';
import { quoteIdentifier, tokens, withPlainSpaces } from './tokens.ts';

/** Runs `SELECT json_serialize_sql($1)` in DuckDB: its own parser's tree of SELECT-like statements, as JSON text. Nothing is executed. */
export type Serialize = (sql: string) => Promise<string>;

/** A part of the user's text: `start` is where it begins there. */
export interface Piece {
  readonly text: string;
  readonly start: number;
}

/** The user's text with what is needed to parse parts of it and to say where in it something is. */
export interface Source {
  readonly text: string;
  readonly serialize: Serialize;
}

/** A part of the user's text that DuckDB parsed: print `sql` and nothing else. */
export interface Verified {
  readonly sql: string;
  readonly reads: Reads;
}

/** The place of an index of the text, for an error: lines and columns count from 1. */
export function placeIn(text: string, position: number): Parameters {
  const before = text.slice(0, position).split('\n');
  return { position, line: before.length, column: before.at(-1)!.length + 1 };
}

/** A whole query: SELECT, FROM, VALUES, TABLE, WITH, PIVOT … IN, DESCRIBE or SUMMARIZE; exactly one. */
export async function parseQuery(source: Source, piece: Piece): Promise<Verified> {
  const { tree, locator } = await parseOne(source, '', piece, '');
  return { sql: withPlainSpaces(piece.text), reads: readsOf(tree, locator) };
}

/**
 * A whole query in which each table is named with its schema, for a text that is bound elsewhere: within a view DuckDB looks for a bare
 * name in the view's own schema before it looks in main, and does so again at every reading.
 */
export async function parseQueryInFull(source: Source, piece: Piece): Promise<Verified> {
  const { sql, reads } = await parseQuery(source, piece);
  const full = withMain(sql, reads, piece.start);
  // That nothing else has become of it is not left to the places: it is read again.
  const namesOf = (tables: Reads['tables']) => JSON.stringify(tables.map(({ schema, name }) => [schema ?? 'main', name]));
  const again = full === sql ? reads : (await parseQuery({ text: full, serialize: source.serialize }, { text: full, start: 0 })).reads;
  if (again.tables.some(({ schema }) => schema === null) || namesOf(again.tables) !== namesOf(reads.tables)) {
    fail('SQL_CONSTRUCT', { construct: 'A table without its schema', ...placeIn(source.text, piece.start) });
  }
  return { sql: full, reads };
}

/** The query with `main.` before each bare name of a table; `start` is where it began in the text that was read. */
function withMain(sql: string, reads: Reads, start: number): string {
  const bare = new Map(reads.tables.flatMap(({ schema, name, position }) => (schema === null ? [[position - start, name]] : [])));
  if (bare.size === 0) return sql;
  return tokens(sql)
    .map((token) => {
      const name = bare.get(token.start);
      if (name === undefined) return token.text;
      // Behind a dot a name in '' is none.
      return `main.${token.kind === 'string' ? quoteIdentifier(name) : token.text}`;
    })
    .join('');
}

/** Exactly one expression. It is printed in parentheses that close on a line of their own, as it was parsed. */
export async function parseExpression(source: Source, piece: Piece): Promise<Verified> {
  const { tree, locator } = await parseOne(source, 'SELECT (', piece, '\n)');
  const node = bareSelect(source, tree, piece, ['select_list']);
  const list = node['select_list'] as readonly JsonObject[];
  if (list.length !== 1 || list[0]!['alias'] !== '') notAlone(source, piece);
  return { sql: `(${withPlainSpaces(piece.text)}\n)`, reads: readsOf(tree, locator) };
}

/** A list of expressions with or without AS. */
export async function parseExpressions(source: Source, piece: Piece): Promise<Verified> {
  const { tree, locator } = await parseOne(source, 'SELECT ', piece, '\n');
  bareSelect(source, tree, piece, ['select_list']);
  return { sql: `${withPlainSpaces(piece.text)}\n`, reads: readsOf(tree, locator) };
}

/** What may stand after FROM: tables, joins, subqueries; no other clause. */
export async function parseFrom(source: Source, piece: Piece): Promise<Verified> {
  const { tree, locator } = await parseOne(source, 'SELECT 1 FROM ', piece, '\nWHERE true');
  const node = bareSelect(source, tree, piece, ['select_list', 'from_table', 'where_clause']);
  const where = node['where_clause'];
  if (!isObject(where ?? null) || (where as JsonObject)['class'] !== 'CAST') notAlone(source, piece);
  return { sql: `${withPlainSpaces(piece.text)}\n`, reads: readsOf(tree, locator) };
}

/**
 * Puts the piece between two constants and has DuckDB parse that. The piece can't reach beyond its place: the callers look at the
 * shape of the tree, and print later exactly what was parsed here.
 */
async function parseOne(source: Source, before: string, piece: Piece, after: string): Promise<{ tree: JsonObject; locator: Locator }> {
  const sql = before + withPlainSpaces(piece.text) + after;
  const answer = treeOf(await source.serialize(sql), source, piece);
  const toText = (index: number): number => piece.start + Math.min(Math.max(index - before.length, 0), piece.text.length);
  if (answer['error'] !== false) refuseAnswer(answer, source, piece, (point) => toText(indexOfPoint(sql, point)));
  const statements = answer['statements'] as readonly JsonObject[];
  if (statements.length === 0) fail('SQL_EMPTY');
  if (statements.length > 1) fail('SQL_SEVERAL', { count: statements.length });
  const bytes = byteIndexes(sql);
  const index = (byte: number | undefined): number => (byte === undefined ? piece.start : toText(bytes(byte)));
  return { tree: statements[0]!, locator: { index, place: (byte) => placeIn(source.text, index(byte)) } };
}

/** A literal beyond a double's range makes DuckDB write JSON that isn't. */
function treeOf(json: string, source: Source, piece: Piece): JsonObject {
  try {
    return JSON.parse(json) as JsonObject;
  } catch (problem) {
    return fail('SQL_SYNTAX', { problem: 'a number in it has no finite value', ...placeIn(source.text, piece.start) }, problem);
  }
}

function refuseAnswer(answer: JsonObject, source: Source, piece: Piece, indexOf: (point: number) => number): never {
  const problem = String(answer['error_message']).replace(/[.!]+$/, '');
  // DuckDB's own words for a statement that has no tree as JSON.
  if (problem.startsWith('Only SELECT statements can be serialized')) {
    fail('SQL_KIND', { kind: kindOf(piece.text), ...placeIn(source.text, piece.start) });
  }
  const point = Number(answer['position']);
  const place = Number.isFinite(point) ? indexOf(point) : piece.start;
  return fail('SQL_SYNTAX', { problem, ...placeIn(source.text, place) });
}

/** DuckDB runs PIVOT without IN as several statements, one of which makes a type: it is none of the kinds that only read. */
function kindOf(text: string): string {
  if (/\bpivot\b/i.test(text)) return 'PIVOT without a list of values (IN …)';
  return (/[a-z]+/i.exec(text)?.[0] ?? text.slice(0, 20)).toUpperCase();
}

/** The one SELECT_NODE of a probe, if it has nothing but the given parts. */
function bareSelect(source: Source, tree: JsonObject, piece: Piece, parts: readonly string[]): JsonObject {
  const node = tree['node'];
  if (!isObject(node) || node['type'] !== 'SELECT_NODE') return notAlone(source, piece);
  const fixed = ['type', 'cte_map', 'aggregate_handling', ...parts];
  const others = Object.entries(node).filter(([key]) => !fixed.includes(key));
  const ctes = (node['cte_map'] as JsonObject)['map'] as readonly unknown[];
  const plain = ctes.length === 0 && node['aggregate_handling'] === 'STANDARD_HANDLING' && others.every(([, value]) => isAbsent(value));
  return plain ? node : notAlone(source, piece);
}

function isAbsent(value: unknown): boolean {
  return value === null || (Array.isArray(value) && value.length === 0) || (value as JsonObject)['type'] === 'EMPTY';
}

function notAlone(source: Source, piece: Piece): never {
  return fail('SQL_SYNTAX', { problem: 'one expression is expected here', ...placeIn(source.text, piece.start) });
}

/** DuckDB's locations are bytes of UTF-8, but its syntax errors count characters (code points). */
function byteIndexes(text: string): (byte: number) => number {
  const bytes: number[] = [];
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    const length = unit < 0x80 ? 1 : unit < 0x800 || isSurrogate(unit) ? 2 : 3;
    for (let i = 0; i < length; i++) bytes.push(index);
  }
  return bytes.length === text.length ? (byte) => byte : (byte) => bytes[byte] ?? text.length;
}

function indexOfPoint(text: string, point: number): number {
  return [...text].slice(0, point).join('').length;
}

function isSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdfff;
}
