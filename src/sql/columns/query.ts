/** Lineage of columns within one statement: from each column that it gives to the columns of tables that it is made of. */
import { ctesOf, find, type Node } from '../tree.ts';
import { fromOf } from './from.ts';
import { makingOf } from './making.ts';
import { inFrom, type Known, lower, lowers, type Place, type Scope, type SelectShape, spend } from './scope.ts';
import { distinct, type Made, renamed, type Shape, shapeWith, together, unknownShape } from './shape.ts';

const BUDGET = 500_000;
/** Of one result. */
const MOST_COLUMNS = 10_000;
const ROUNDS = 10;

/**
 * What the query gives, from a tree of json_serialize_sql. Names are looked up as DuckDB does: in what stands after FROM, then among the
 * columns before, then in the query around it. Only values count: what chooses rows (WHERE, JOIN … ON, GROUP BY) is no source of a column,
 * but for a subquery that stands in an expression.
 */
export function shapeOf(query: Node, known: Known): Shape {
  return queryShape(query, { ...known, ctes: new Map(), outer: [], budget: { left: BUDGET }, query: queryShape });
}

function queryShape(query: Node, outer: Scope): SelectShape {
  if (!spend(outer, 1)) return unknownShape;
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
    if (!spend(scope, starred?.length ?? 1) || columns.length + (starred?.length ?? 1) > MOST_COLUMNS)
      return { ...unknownShape, rows: from.rows };
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
