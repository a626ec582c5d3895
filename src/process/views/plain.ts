/**
 * Plain views (CREATE VIEW) have no rows of their own, so nothing says which of them are new. Where a definition reads one, its query takes
 * the place of its name: the plan sees the tables behind it.
 */
import { fail, MillraceError } from '#core';
import { readStatement, type Serialize } from '#sql';
import { name, type Row } from '#store';

interface Engine {
  readonly serialize: Serialize;
  rows(sql: string): Promise<Row[]>;
}

/** More views on each other than these stand in a circle. */
const DEEPEST = 20;

/** Where in the spelled-out query a stretch of text is from: from that place of the query on as it was written, or from a plain view. */
interface Stretch {
  readonly length: number;
  readonly from: { readonly index: number } | { readonly view: string };
}

export interface Spelled {
  readonly query: string;
  /** The plain views that were spelled out, schema.name in lower case. */
  readonly through: readonly string[];
  /** Where a place of it is from. */
  origin(index: number): Stretch['from'];
}

/** The query with every plain view in it spelled out. Errors: VIEW_CYCLE. */
export async function spelledOut(query: string, engine: Engine): Promise<Spelled> {
  const through = new Set<string>();
  let stretches: readonly Stretch[] = [{ length: query.length, from: { index: 0 } }];
  for (let depth = 0; depth < DEEPEST; depth++) {
    const tables = (await readStatement(query, engine.serialize)).reads.tables.map((table) => ({
      full: `${table.schema ?? 'main'}.${table.name}`.toLowerCase(),
      at: table.position,
    }));
    const views = await plainViews(
      tables.map(({ full }) => full),
      engine,
    );
    const replaced = tables.flatMap(({ full, at }) => (views.has(full) ? [{ at, view: full, subquery: views.get(full)! }] : []));
    if (replaced.length === 0) return { query, through: [...through], origin: (index) => originIn(stretches, index) };
    for (const full of views.keys()) through.add(full);
    for (const { at, view, subquery } of replaced.sort((a, b) => b.at - a.at)) {
      const after = withSubqueries(query, [{ at, subquery }]);
      const rest = query.length - at - reference(query.slice(at)).length;
      stretches = [
        ...stretchesOf(stretches, 0, at),
        { length: after.length - at - rest, from: { view } },
        ...stretchesOf(stretches, query.length - rest, query.length),
      ];
      query = after;
    }
  }
  return fail('VIEW_CYCLE', { path: [...through].join(' → ') });
}

/** The stretches of the text between two places. */
function stretchesOf(all: readonly Stretch[], start: number, end: number): Stretch[] {
  let at = 0;
  return all.flatMap(({ length, from }) => {
    const [first, last] = [Math.max(at, start), Math.min(at + length, end)];
    const skipped = first - at;
    at += length;
    return last <= first ? [] : [{ length: last - first, from: 'view' in from ? from : { index: from.index + skipped } }];
  });
}

function originIn(all: readonly Stretch[], index: number): Stretch['from'] {
  const end = all.reduce((sum, { length }) => sum + length, 0);
  const [stretch] = stretchesOf(all, index, end);
  return stretch?.from ?? { index };
}

/** The query behind each of the names that is a plain view, in parentheses. */
async function plainViews(names: readonly string[], { rows, serialize }: Engine): Promise<ReadonlyMap<string, string>> {
  const views = new Map<string, string>();
  for (const [view, sql] of await plainTexts(rows)) {
    if (!names.includes(view)) continue;
    const statement = await readStatement(sql, serialize);
    if (statement.kind !== 'create_view') continue;
    const { body, columns } = statement;
    views.set(view, columns === null ? `(${body}\n)` : `(SELECT * FROM (${body}\n) AS renamed(${columns.map(name).join(', ')}))`);
  }
  return views;
}

/** The statement that made each plain view, by schema.name in lower case. */
export async function plainTexts(rows: Engine['rows']): Promise<ReadonlyMap<string, string>> {
  const found = await rows(
    `SELECT lower(schema_name || '.' || view_name) AS name, sql FROM duckdb_views() WHERE NOT internal AND NOT temporary ORDER BY name`,
  );
  return new Map(found.map(({ name, sql }) => [String(name), String(sql)]));
}

/** Plain views that read one of the tables, directly or through each other; what another program's view reads may not be known. */
export async function plainReadersOf(tables: readonly string[], { rows, serialize }: Engine): Promise<readonly string[]> {
  const reads = new Map<string, readonly string[]>();
  for (const [view, sql] of await plainTexts(rows)) {
    reads.set(view, await readsOf(sql, serialize));
  }
  const below = new Set(tables.map((table) => table.toLowerCase()));
  for (let size = -1; size !== below.size; ) {
    size = below.size;
    for (const [view, read] of reads) if (read.some((table) => below.has(table))) below.add(view);
  }
  return [...reads.keys()].filter((view) => below.has(view) && !tables.includes(view));
}

async function readsOf(sql: string, serialize: Serialize): Promise<readonly string[]> {
  try {
    const { reads } = await readStatement(sql, serialize);
    return reads.tables.map(({ schema, name }) => `${schema ?? 'main'}.${name}`.toLowerCase());
  } catch (thrown) {
    if (!(thrown instanceof MillraceError)) throw thrown;
    return [];
  }
}

/** The query with subqueries in place of the tables that stand at these places, under the names that the query knows them by. */
export function withSubqueries(query: string, replaced: readonly { readonly at: number; readonly subquery: string }[]): string {
  for (const { at, subquery } of [...replaced].sort((a, b) => b.at - a.at)) {
    const { length, alias } = reference(query.slice(at));
    query = `${query.slice(0, at)}${subquery}${alias === null ? '' : ` AS ${alias}`}${query.slice(at + length)}`;
  }
  return query;
}

const IDENTIFIER = String.raw`(?:"(?:[^"]|"")+"|[\p{L}_][\p{L}\p{N}_$]*)`;
const GAP = String.raw`(?:\s|--[^\n]*(?:\n|$)|/\*[\s\S]*?\*/)`;
const REFERENCE = new RegExp(`^(?:${IDENTIFIER}${GAP}*\\.${GAP}*)?(${IDENTIFIER})`, 'u');
const ALIAS = new RegExp(`^${GAP}+(?:as${GAP}+)?(${IDENTIFIER})`, 'iu');
const CLAUSES = new Set(
  'where group order having limit join inner left right full cross natural asof positional anti semi on using window qualify union except intersect select offset sample tablesample pivot unpivot'.split(
    ' ',
  ),
);

/** How long the table's name is at the beginning of the text, and the alias that must be added when the text gives none. */
function reference(query: string): { length: number; alias: string | null } {
  const match = REFERENCE.exec(query)!;
  const after = ALIAS.exec(query.slice(match[0].length));
  const aliased = after !== null && !CLAUSES.has(after[1]!.toLowerCase());
  return { length: match[0].length, alias: aliased ? null : match[1]! };
}
