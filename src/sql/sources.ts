/** Lineage of columns within one statement: from each column that it gives to the columns of tables that it is made of. */
import { distinct, type Made, renamed, type Shape, type Source, shapeWith, together, unknownShape } from './shape.ts';
import { ctesOf, find, isColumn, type Node, subqueryOf } from './tree.ts';

interface Known {
  /** Null for what is no table. */
  readonly tables: (schema: string | null, name: string) => Shape | null;
  /** Functions that take many rows. */
  readonly aggregates: ReadonlySet<string>;
}

/**
 * What the query gives, from a tree of json_serialize_sql. Names are looked up as DuckDB does: in what stands after FROM, then among the
 * columns before, then in the query around it. Only values count: what chooses rows (WHERE, JOIN … ON, GROUP BY) is no source of a column,
 * but for a subquery that stands in an expression.
 */
export function shapeOf(query: Node, known: Known): Shape {
  return queryShape(query, { ...known, ctes: new Map(), outer: [] });
}

interface Scope extends Known {
  readonly ctes: ReadonlyMap<string, Shape>;
  /** What stands after FROM in the queries around it and, beside it, on its left; the nearest first. */
  readonly outer: readonly From[];
}

/** What stands after FROM. */
interface From {
  readonly relations: readonly { readonly schema: string; readonly alias: string; readonly shape: Shape }[];
  /** What * means; null where only the engine knows. */
  readonly listed: readonly Listed[] | null;
  /** Columns of USING and NATURAL, which stand for both sides. */
  readonly merged: ReadonlyMap<string, Made>;
  readonly rows: readonly Source[];
}

interface Listed {
  readonly alias: string;
  readonly made: Made;
}

/** Where an expression looks for its names. */
interface Place {
  readonly scope: Scope;
  readonly from: From;
  /** Columns of the list before it: SELECT a + 1 AS b, b * 2. */
  readonly before: ReadonlyMap<string, Made>;
}

/** More nodes than these are named, not spelled out again. */
const SHORT = 60;
/** They are called without parentheses. */
const BARE = new Set(['current_date', 'current_time', 'current_timestamp', 'localtime', 'localtimestamp', 'rowid']);
const ROUNDS = 10;
const nowhere: From = { relations: [], listed: [], merged: new Map(), rows: [] };

interface SelectShape extends Shape {
  /** What chooses its rows, for a subquery in an expression: EXISTS is made of nothing else. */
  readonly conditions?: () => Made;
}

function queryShape(query: Node, outer: Scope): SelectShape {
  const scope = withCtes(query, outer);
  if (query['type'] === 'SELECT_NODE') return selectShape(query, scope);
  if (query['type'] === 'RECURSIVE_CTE_NODE') return recursiveShape(query, scope);
  if (query['type'] !== 'SET_OPERATION_NODE') return unknownShape;
  const sides = ((query['children'] as Node[] | undefined) ?? [query['left'] as Node, query['right'] as Node]).map((side) =>
    queryShape(side, scope),
  );
  const kind = String(query['setop_type']);
  return kind.startsWith('UNION') ? unionOf(sides, kind === 'UNION_BY_NAME') : sides[0]!;
}

function withCtes(query: Node, scope: Scope): Scope {
  const ctes = new Map(scope.ctes);
  const map = ((query['cte_map'] as Node | undefined)?.['map'] ?? []) as readonly { value: Node }[];
  for (const [at, { name, query: inner }] of ctesOf(query).entries())
    ctes.set(name, renamed(queryShape(inner, { ...scope, ctes }), (map[at]!.value['aliases'] ?? []) as string[]));
  return { ...scope, ctes };
}

function unionOf(sides: readonly Shape[], byName: boolean): Shape {
  const rows = distinct(sides.flatMap((side) => side.rows));
  const [first] = sides;
  const all = sides.flatMap((side) => (side.columns === null ? [] : [side.columns]));
  const isWhole = all.length === sides.length;
  if (isWhole && !byName && all.every(({ length }) => length === all[0]!.length)) {
    const merged = all[0]!.map(({ name }, at) =>
      together(
        name,
        all.map((columns) => columns[at]!),
      ),
    );
    return shapeWith(merged, rows);
  }
  const of = (name: string) => {
    const found = sides.flatMap((side) => side.of(name) ?? []);
    return found.length === 0 || (!byName && found.length < sides.length) ? null : together(first!.of(name)?.name ?? name, found);
  };
  const names = new Map(all.flat().map(({ name }) => [name.toLowerCase(), name]));
  return isWhole && byName
    ? shapeWith(
        [...names.values()].map((name) => of(name)!),
        rows,
      )
    : { columns: null, of, rows };
}

/** Its second half reads what it gave before: columns may move at each round, until nothing new comes. */
function recursiveShape(query: Node, scope: Scope): Shape {
  const names = (query['aliases'] ?? []) as string[];
  const name = String(query['cte_name']).toLowerCase();
  let shape = renamed(queryShape(query['left'] as Node, scope), names);
  const count = () => (shape.columns ?? []).reduce((sum, { from }) => sum + from.length, shape.rows.length);
  for (let round = 0, before = -1; round < ROUNDS && before !== count(); round++) {
    before = count();
    const again = queryShape(query['right'] as Node, { ...scope, ctes: new Map([...scope.ctes, [name, shape]]) });
    shape = renamed(unionOf([shape, again], false), names);
  }
  return shape;
}

function selectShape(query: Node, scope: Scope): SelectShape {
  const from = fromOf((query['from_table'] ?? {}) as Node, scope);
  const before = new Map<string, Made>();
  const place = { scope, from, before };
  const columns: Made[] = [];
  const loose: Node[] = [];
  for (const item of (query['select_list'] ?? []) as readonly Node[]) {
    const starred = isPlainStar(item) ? starOf(item, place) : null;
    if (starred !== null) columns.push(...starred);
    else if (item['alias'] === '' && find(item, isStar).length > 0) loose.push(item);
    else {
      const made = makingOf(item, place);
      columns.push(made);
      if (made.name !== '' && !before.has(made.name.toLowerCase())) before.set(made.name.toLowerCase(), made);
    }
  }
  const shape = shapeWith(columns, from.rows);
  const conditions = () => makingOf([query['where_clause'], query['having']], place);
  if (loose.length === 0) return { ...shape, conditions };
  const of = (name: string) => shape.of(name) ?? loose.map((item) => starredOf(name, item, place)).find((made) => made !== null) ?? null;
  return { columns: null, of, rows: from.rows, conditions };
}

const isStar = (node: Node): boolean => node['class'] === 'STAR';
const isPlainStar = (item: Node): boolean => isStar(item) && item['columns'] !== true && item['expr'] == null;

/** Of a star whose list is not known, by the name of a column. COLUMNS(…) and * LIKE keep names; what is around others does not. */
function starredOf(name: string, item: Node, place: Place): Made | null {
  const star = isStar(item) || item['function_name'] === '~~' ? find(item, isStar)[0]! : null;
  if (star === null) return null;
  const { replaced, names, only } = changesOf(star);
  const original = [...names].find(([, shown]) => shown.toLowerCase() === name.toLowerCase())?.[0] ?? name;
  const instead = replaced.get(original.toLowerCase());
  const made = instead === undefined ? inFrom(only === '' ? [original] : [only, original], place.from) : makingOf(instead, place);
  return made === null ? null : { ...made, name };
}

const lower = (value: unknown): string => String(value ?? '').toLowerCase();
const lowers = (values: unknown): string[] => ((values ?? []) as unknown[]).map(lower);

/** EXCLUDE, REPLACE and RENAME of a star, and the relation that it is of. */
function changesOf(star: Node) {
  const list = <T>(key: string) => (star[key] ?? []) as readonly T[];
  return {
    only: lower(star['relation_name']),
    excluded: new Set(lowers(star['exclude_list'])),
    qualified: list<Node>('qualified_exclude_list').map((each) => ({ table: lower(each['table']), column: lower(each['column']) })),
    replaced: new Map(list<{ key: string; value: Node }>('replace_list').map(({ key, value }) => [lower(key), value])),
    names: new Map(list<{ key: Node; value: string }>('rename_list').map(({ key, value }) => [lower(key['column']), value])),
  };
}

/** What a * gives; null where only the engine knows. */
function starOf(item: Node, place: Place): Made[] | null {
  const { from } = place;
  const { only, excluded, qualified, replaced, names } = changesOf(item);
  const listed =
    only === ''
      ? from.listed
      : (from.relations.find(({ alias }) => alias === only)?.shape.columns?.map((made) => ({ alias: only, made })) ?? null);
  return (
    listed?.flatMap(({ alias, made }) => {
      const name = made.name.toLowerCase();
      const isOut = qualified.some(({ table, column }) => column === name && (table === '' || table === alias));
      if (excluded.has(name) || isOut) return [];
      const instead = replaced.get(name);
      return [{ ...(instead === undefined ? made : makingOf(instead, place)), name: names.get(name) ?? made.name }];
    }) ?? null
  );
}

function fromOf(node: Node, scope: Scope): From {
  switch (node['type']) {
    case 'JOIN':
      return joinOf(node, scope);
    case 'EMPTY':
    case undefined:
      return nowhere;
    default: {
      const shape = renamed(relationShape(node, scope), (node['column_name_alias'] ?? []) as string[]);
      const alias = String(
        node['alias'] || (node['table_name'] ?? (node['function'] as Node | undefined)?.['function_name'] ?? ''),
      ).toLowerCase();
      const schema = String(node['alias'] ? '' : (node['schema_name'] ?? '')).toLowerCase();
      const listed = shape.columns?.map((made) => ({ alias, made })) ?? null;
      return { relations: [{ schema, alias, shape }], listed, merged: new Map(), rows: shape.rows };
    }
  }
}

function relationShape(node: Node, scope: Scope): Shape {
  const beside: Place = { scope: { ...scope, outer: scope.outer.slice(1) }, from: scope.outer[0] ?? nowhere, before: new Map() };
  switch (node['type']) {
    case 'BASE_TABLE': {
      const [schema, name] = [String(node['schema_name'] ?? '') || null, String(node['table_name'])];
      const cte = schema === null ? scope.ctes.get(name.toLowerCase()) : undefined;
      return cte ?? scope.tables(schema, name) ?? unknownShape;
    }
    case 'SUBQUERY':
      return queryShape(subqueryOf(node)!, scope);
    case 'EXPRESSION_LIST': {
      const rows = (node['values'] ?? []) as readonly (readonly Node[])[];
      const cell = (row: readonly Node[], at: number) => {
        const made = makingOf(row[at]!, beside);
        return rows.length === 1 ? made : { ...made, expressions: [] };
      };
      const columns = (rows[0] ?? []).map((_, at) =>
        together(
          `col${at}`,
          rows.map((row) => cell(row, at)),
        ),
      );
      return shapeWith(columns, []);
    }
    case 'TABLE_FUNCTION':
      return functionShape(node['function'] as Node, beside);
    case 'PIVOT':
      return pivotShape(node, scope);
    default:
      return unknownShape;
  }
}

/** Functions that give one column, called like themselves. */
const ONE_COLUMN = new Set(['unnest', 'generate_series', 'range']);

function functionShape(call: Node, place: Place): Shape {
  const name = String(call['function_name']);
  const { from, partly, expressions } = makingOf(call, place);
  const made = { name, from, partly, expressions };
  if (ONE_COLUMN.has(name.toLowerCase())) return shapeWith([made], from);
  return { columns: null, of: (asked) => ({ ...made, name: asked }), rows: from };
}

function pivotShape(node: Node, scope: Scope): Shape {
  const from = fromOf(node['source'] as Node, scope);
  const place = { scope, from, before: new Map() };
  const pivots = (node['pivots'] ?? []) as readonly Node[];
  const values = lowers(node['unpivot_names']);
  if (values.length > 0) {
    const entries = pivots.flatMap((pivot) => pivot['entries'] as readonly Node[]);
    const taken = entries.flatMap((entry) => (entry['values'] as readonly Node[]).map((value) => String(value['value'])));
    const partly = entries.some((entry) => entry['star_expr'] != null);
    const all = together(
      '',
      taken.flatMap((name) => inFrom([name], from) ?? []),
    );
    const words = pivots.flatMap((pivot) => lowers(pivot['unpivot_names']));
    const of = (name: string): Made | null => {
      if (values.includes(name.toLowerCase())) return { ...all, name, expressions: [], partly: all.partly || partly };
      return words.includes(name.toLowerCase()) ? { name, expressions: [], from: [], partly: false } : inFrom([name], from);
    };
    return { columns: null, of, rows: from.rows };
  }
  const figures = makingOf([node['aggregates'], pivots.map((pivot) => pivot['pivot_expressions'])], place);
  const groups = lowers(node['groups']);
  const used = new Set(
    find([node['aggregates'], pivots], isColumn, true).map((column) => String((column['column_names'] as string[]).at(-1)).toLowerCase()),
  );
  const of = (name: string): Made | null => {
    const isGroup = groups.length > 0 ? groups.includes(name.toLowerCase()) : !used.has(name.toLowerCase());
    return (isGroup ? inFrom([name], from) : null) ?? { ...figures, name, expressions: (node['aggregates'] as Node[]).map(withoutAlias) };
  };
  return { columns: null, of, rows: from.rows };
}

function joinOf(node: Node, scope: Scope): From {
  const left = fromOf(node['left'] as Node, scope);
  const kind = String(node['join_type']);
  if (kind === 'SEMI' || kind === 'ANTI') return left;
  const right = fromOf(node['right'] as Node, { ...scope, outer: [left, ...scope.outer] });
  const namesIn = (from: From) => from.listed?.map(({ made }) => made.name.toLowerCase()) ?? [];
  const using =
    node['ref_type'] === 'NATURAL' ? namesIn(left).filter((name) => namesIn(right).includes(name)) : lowers(node['using_columns']);
  const merged = new Map([...left.merged, ...right.merged]);
  for (const name of using) {
    const [one, other] = [inFrom([name], left), inFrom([name], right)];
    const made = kind === 'RIGHT' ? other : kind === 'FULL' && one && other ? together(one.name, [one, other]) : one;
    if (made !== null) merged.set(name, made);
  }
  const isUsed = ({ made }: Listed) => using.includes(made.name.toLowerCase());
  const listed =
    left.listed === null || right.listed === null
      ? null
      : [
          ...left.listed.map((each) => (isUsed(each) ? { ...each, made: merged.get(each.made.name.toLowerCase()) ?? each.made } : each)),
          ...right.listed.filter((each) => !isUsed(each)),
        ];
  return { relations: [...left.relations, ...right.relations], listed, merged, rows: distinct([...left.rows, ...right.rows]) };
}

/** The column that a name (its parts in order) means; what follows a column's name is a field of it. */
function inFrom(names: readonly string[], { relations, merged }: From): Made | null {
  const [first, second, third] = names.map((name) => name.toLowerCase());
  if (third !== undefined) {
    const found = relations.find(({ schema, alias }) => schema === first && alias === second)?.shape.of(third);
    if (found != null) return found;
  }
  if (second !== undefined) {
    const found = relations.find(({ alias }) => alias === first)?.shape.of(second);
    if (found != null) return found;
  }
  const shared = merged.get(first!);
  if (shared !== undefined) return shared;
  // What may have any column comes last.
  for (const open of [false, true])
    for (const { shape } of relations) {
      const found = (shape.columns === null) === open ? shape.of(first!) : null;
      if (found !== null) return found;
    }
  // A whole row as one value.
  const row = second === undefined ? relations.find(({ alias }) => alias === first)?.shape.columns : undefined;
  return row == null ? null : { ...together(first!, row), expressions: [] };
}

function lookUp(names: readonly string[], { scope, from, before }: Place): Made | null {
  const found = inFrom(names, from) ?? before.get(names[0]!.toLowerCase());
  if (found != null) return found;
  for (const around of scope.outer) {
    const outer = inFrom(names, around);
    if (outer !== null) return outer;
  }
  return null;
}

const withoutAlias = (node: Node): Node => ({ ...node, alias: '' });
const sizes = new WeakMap<Node, number>();

/** What an expression, or several, is made of. */
function makingOf(expression: Node | readonly unknown[], place: Place): Made {
  const from: Source[] = [];
  let partly = false;
  let size = 0;

  function take(made: Made): void {
    from.push(...made.from);
    partly ||= made.partly;
  }

  function column(node: Node, bound: ReadonlySet<string>): Node {
    const names = node['column_names'] as string[];
    if (bound.has(names[0]!.toLowerCase())) return node;
    const made = lookUp(names, place);
    if (made === null) {
      partly ||= !BARE.has(names[0]!.toLowerCase());
      return node;
    }
    take(made);
    const [only, ...more] = made.expressions;
    if (only === undefined || more.length > 0) return node;
    const isField = names.at(-1)!.toLowerCase() !== made.name.toLowerCase();
    if (isField) return node;
    const added = isColumn(only) ? 0 : (sizes.get(only) ?? SHORT + 1);
    if (added > SHORT) return node;
    size += added;
    return { ...only, alias: node['alias'] };
  }

  function subquery(node: Node, bound: ReadonlySet<string>): Node {
    const { scope } = place;
    const inner = queryShape(subqueryOf(node)!, { ...scope, outer: [place.from, ...scope.outer] });
    if (inner.columns === null) from.push(...inner.rows);
    for (const made of inner.columns ?? []) take(made);
    if (inner.conditions !== undefined) take(inner.conditions());
    return { ...node, child: visit(node['child'], bound) };
  }

  function visit(value: unknown, bound: ReadonlySet<string>): unknown {
    if (Array.isArray(value)) return value.map((each) => visit(each, bound));
    if (typeof value !== 'object' || value === null) return value;
    const node = value as Node;
    size++;
    switch (node['class']) {
      case 'COLUMN_REF':
        return column(node, bound);
      case 'SUBQUERY':
        return subquery(node, bound);
      case 'LAMBDA': {
        const parameters = find(node['lhs'], isColumn).flatMap((each) => lowers(each['column_names']));
        return { ...node, expr: visit(node['expr'], new Set([...bound, ...parameters])) };
      }
      case 'POSITIONAL_REFERENCE': {
        const listed = place.from.listed?.[Number(node['index']) - 1];
        if (listed === undefined) partly = true;
        else take(listed.made);
        return node;
      }
      case 'STAR':
        if (place.from.listed === null) partly = true;
        for (const { made } of place.from.listed ?? []) take(made);
        return node;
    }
    const found = from.length;
    const copy = Object.fromEntries(Object.entries(node).map(([key, inner]) => [key, visit(inner, bound)]));
    const isOfRows =
      node['class'] === 'WINDOW' || (node['class'] === 'FUNCTION' && place.scope.aggregates.has(String(node['function_name'])));
    if (isOfRows && from.length === found) from.push(...place.from.rows);
    return copy;
  }

  const made = visit(expression, new Set());
  const node = Array.isArray(made) ? null : withoutAlias(made as Node);
  if (node !== null && !isColumn(node)) sizes.set(node, size);
  const name = Array.isArray(expression)
    ? ''
    : String(
        (expression as Node)['alias'] || (isColumn(expression as Node) ? ((expression as Node)['column_names'] as string[]).at(-1) : ''),
      );
  return { name, expressions: node === null ? [] : [node], from: distinct(from), partly };
}
