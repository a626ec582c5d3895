/**
 * Statements that group the same rows of one table, answered from one scan: the rows are grouped once by every column that any of them
 * groups by (the scan), and each statement is asked of that instead. A dashboard's tiles are such statements.
 */
import { sha256 } from '#core';
import { find, isColumn, type Node, namesOf, queryOf, rewrite, sameText } from './tree.ts';

/** A statement that can be answered from a scan that it shares. */
export interface Sharable {
  readonly table: { readonly schema: string; readonly name: string };
  /** The same for those that read the same rows. */
  readonly rows: string;
  readonly query: Node;
}

export interface SharedScan {
  /** Queries: what is read once, and for each statement what is asked of it. `treeText` and DuckDB print them. */
  readonly scan: Node;
  /** null for one that does what a scan by groups can't answer: a median, an order within a figure, a figure without a name. */
  readonly statements: readonly (Node | null)[];
  /** The columns by which the scan groups for each of them, but for those of expressions. */
  readonly columns: readonly (readonly string[])[];
  /** The scan in two steps, of which the first stays right when other values are asked for; null where that can't be said. */
  readonly wide: WideScan | null;
}

/**
 * `base`: all rows, grouped by the columns of the condition too. `over`: the scan, of that. `made`: of the table, how many values each
 * expression has that the rows are grouped by; null where they are grouped by columns alone.
 */
export interface WideScan {
  readonly base: Node;
  readonly over: Node;
  readonly made: Node | null;
}

/** What merges partial figures: of the scan's parts, with the types that the whole figure has. */
const merged: Readonly<Record<string, (parts: Part) => Node>> = {
  count_star: ({ part }) => whole(call('sum', part('count_star'))),
  count: ({ part }) => whole(call('sum', part('count'))),
  sum: ({ part }) => call('sum', part('sum')),
  min: ({ part }) => call('min', part('min')),
  max: ({ part }) => call('max', part('max')),
  // As the engine has it: the exact sum as a double, through the number of values.
  avg: ({ part }) => operator('/', cast(call('sum', part('sum')), 'DOUBLE'), call('sum', part('count'))),
};

/** The column of a partial figure by another function over the same arguments. */
interface Part {
  part(name: string): Node;
}

/** Changes from call to call, so that asking once is not the same as asking twice. */
const volatile = new Set(['random', 'uuid', 'gen_random_uuid', 'nextval', 'setseed']);

/** null for a statement that is no plain grouping of one table's rows. `tree` is what DuckDB makes of its text. */
export function sharableOf(tree: string): Sharable | null {
  const query = queryOf(tree);
  const from = query['from_table'] as Node | undefined;
  if (query['type'] !== 'SELECT_NODE' || from?.['type'] !== 'BASE_TABLE') return null;
  const plain =
    from['sample'] === null &&
    from['at_clause'] === null &&
    from['catalog_name'] === '' &&
    (from['column_name_alias'] as unknown[]).length === 0 &&
    query['sample'] === null &&
    ((query['cte_map'] as Node)['map'] as unknown[]).length === 0;
  const outside = [query['select_list'], query['group_expressions'], query['having'], query['qualify'], query['modifiers']];
  const isVolatile = (node: Node) => volatile.has(String(node['function_name']));
  const refused = (node: Node) => node['class'] === 'SUBQUERY' || node['class'] === 'LAMBDA' || isVolatile(node);
  // A star would mean the scan's columns; behind ORDER BY it means those of the result.
  const stars = find(
    [query['select_list'], query['group_expressions'], query['having'], query['qualify']],
    (node) => node['class'] === 'STAR',
  );
  if (!plain || find(outside, refused).length > 0 || stars.length > 0 || find(query['where_clause'], isVolatile).length > 0) return null;
  const table = { schema: String(from['schema_name'] || 'main'), name: String(from['table_name']) };
  const rows = sameText({ ...table, alias_: String(from['alias']).toLowerCase(), where: query['where_clause'] ?? null } as Node);
  return { table, rows, query };
}

/**
 * One scan for all of them. `columns` are the table's, `name` is the table that the scan will fill, `wideName` that of a wide scan's base.
 * `aggregates`: the engine's names of functions that take many rows. `inside`: columns of too many values to group by; instead of each the
 * whole expression is grouped by in which it stands, and a statement that has it by itself is not answered.
 */
export function shareScan(
  list: readonly Sharable[],
  {
    columns,
    name,
    wideName,
    aggregates,
    inside = new Set(),
  }: { columns: readonly string[]; name: string; wideName: string; aggregates: ReadonlySet<string>; inside?: ReadonlySet<string> },
): SharedScan {
  const known = new Map(columns.map((column) => [column.toLowerCase(), column]));
  const keys = new Map<string, Node>();
  const parts = new Map<string, { node: Node; name: string }>();
  const columnsOf: (readonly string[])[] = [];
  const statements = list.map(({ query, table }) => {
    const from = query['from_table'] as Node;
    const alias = String(from['alias'] || table.name).toLowerCase();
    const own = { keys: new Map<string, Node>(), parts: new Map(parts) };
    const made = rewritten(query, { alias, known, aggregates, inside, ...own });
    columnsOf.push(made === null ? [] : [...own.keys.values()].filter(isColumn).map((node) => (node['column_names'] as string[])[0]!));
    if (made === null) return null;
    for (const [key, node] of own.keys) keys.set(key, node);
    for (const [text, part] of own.parts) parts.set(text, part);
    return { ...made, from_table: { ...from, alias: '', schema_name: '', table_name: name }, where_clause: null };
  });
  const scan = grouping(
    list[0]!.query,
    [...keys].map(([key, node]) => ({ ...node, alias: key })),
    [...parts.values()].map(({ node, name: alias }) => ({ ...node, alias })),
  );
  return { scan, statements, columns: columnsOf, wide: widened(list[0]!, { keys, parts, known, wideName }) };
}

/** The rows of `query`, grouped by `keys`. */
function grouping(query: Node, keys: readonly Node[], figures: readonly Node[]): Node {
  return {
    ...query,
    modifiers: [],
    select_list: [...keys, ...figures],
    group_expressions: keys.map((key) => ({ ...key, alias: '' })),
    group_sets: keys.length === 0 ? [] : [[...keys.keys()]],
    aggregate_handling: 'STANDARD_HANDLING',
    having: null,
    qualify: null,
  };
}

/** Expressions that depend on nothing but what stands in them: no parameter, and of functions the operators alone, since some look at the clock. */
const fixed = new Set(['CONSTANT', 'CAST', 'COMPARISON', 'CONJUNCTION', 'CASE', 'OPERATOR', 'BETWEEN']);

/** Whether one of its parts depends on more than the row. A column that is none of the table's is CURRENT_DATE or the like. */
function dependsOnMore(expression: unknown, isOwn: (column: Node) => boolean): boolean {
  const more = (node: Node) =>
    'class' in node && (isColumn(node) ? !isOwn(node) : !fixed.has(String(node['class'])) && node['is_operator'] !== true);
  return find(expression, more).length > 0;
}

/** A condition on columns alone says the same of a group that has them among its keys as of each of the group's rows. */
function widened(
  { query, table }: Sharable,
  scan: Pick<Rewriting, 'keys' | 'parts' | 'known'> & { readonly wideName: string },
): WideScan | null {
  const from = query['from_table'] as Node;
  const alias = String(from['alias'] || table.name).toLowerCase();
  const where = query['where_clause'] as Node | null;
  if (find(where, (node) => node['class'] === 'SUBQUERY' || node['class'] === 'LAMBDA').length > 0) return null;
  const figures = [...scan.parts.values()].flatMap(({ node }) => [node['children'], node['filter']]);
  if (dependsOnMore(figures, (node) => columnOf(node, alias, scan.known) !== undefined)) return null;
  const keys = new Map(scan.keys);
  let fails = false;
  const filter =
    where &&
    rewrite(where, (node) => {
      if (!isColumn(node)) return null;
      const column = columnOf(node, alias, scan.known);
      if (column === undefined) {
        if (namesOf(node).length > 1) fails = true;
        return node;
      }
      keys.set(keyOf(column), reference(column));
      return reference(keyOf(column));
    });
  if (fails) return null;
  const base = grouping(
    { ...query, where_clause: null },
    [...keys].map(([key, node]) => ({ ...node, alias: key })),
    [...scan.parts.values()].map(({ node, name }) => ({ ...node, alias: name })),
  );
  const over = grouping(
    { ...query, from_table: { ...from, alias: '', schema_name: '', table_name: scan.wideName }, where_clause: filter },
    [...scan.keys.keys()].map((key) => ({ ...reference(key), alias: key })),
    [...scan.parts.values()].map(({ node, name }) => ({
      ...merged[String(node['function_name']).toLowerCase()]!({ part: () => reference(name) }),
      alias: name,
    })),
  );
  const made = [...scan.keys.values()].filter((node) => !isColumn(node));
  const count = (node: Node, k: number): Node => ({ ...call('count', node), distinct: true, alias: `made ${k}` });
  return { base, over, made: made.length === 0 ? null : grouping({ ...query, where_clause: null }, [], made.map(count)) };
}

/** What the scan calls a column that it groups by. */
const keyOf = (column: string): string => `key ${column}`;

/** The table's column that a name means, as the table spells it. */
function columnOf(node: Node, alias: string, known: ReadonlyMap<string, string>): string | undefined {
  const names = namesOf(node);
  if (names.length > 2 || (names.length === 2 && names[0] !== alias)) return undefined;
  return known.get(names.at(-1)!);
}

interface Rewriting {
  readonly alias: string;
  readonly known: ReadonlyMap<string, string>;
  /** What the scan must group by, and add up, for it; by the names that it gives them. */
  readonly keys: Map<string, Node>;
  readonly parts: Map<string, { node: Node; name: string }>;
  readonly aggregates: ReadonlySet<string>;
  readonly inside: ReadonlySet<string>;
}

/** The statement with the scan's columns in the places of the table's; null where it is no grouping, or has what can't be merged. */
function rewritten(query: Node, { alias, known, keys, parts, aggregates, inside }: Rewriting): Node | null {
  const items = query['select_list'] as readonly Node[];
  const aliases = new Set(items.map((item) => String(item['alias']).toLowerCase()));
  let groups = query['aggregate_handling'] === 'FORCE_AGGREGATES' || (query['group_expressions'] as unknown[]).length > 0;
  let fails = false;
  const key = (column: string): Node => {
    keys.set(keyOf(column), reference(column));
    return reference(keyOf(column));
  };
  const isAlias = (node: Node) => namesOf(node).length === 1 && aliases.has(namesOf(node)[0]!);
  /** The key of an expression that has a column in it which is not grouped by. */
  const wholeKey = (node: Node, aliasFirst: boolean): Node | null => {
    // Texts are joined of what is grouped: to join one for each row takes longer than all the rest.
    if (
      inside.size === 0 ||
      isColumn(node) ||
      node['function_name'] === '||' ||
      (!fixed.has(String(node['class'])) && node['is_operator'] !== true)
    )
      return null;
    const columns = find(node, isColumn).map((each) => columnOf(each, alias, known));
    if (!columns.some((column) => column !== undefined && inside.has(column))) return null;
    if (dependsOnMore(node, (each) => columnOf(each, alias, known) !== undefined && !(aliasFirst && isAlias(each)))) return null;
    const name = `made ${digestOf(sameText(node))}`;
    keys.set(name, { ...node, alias: '' });
    return { ...reference(name), alias: node['alias'] };
  };
  /** `aliasFirst`: in ORDER BY a name means the result's column before the table's; elsewhere the table's comes first. */
  const visit =
    (aliasFirst: boolean) =>
    (node: Node): Node | null => {
      if (isColumn(node)) {
        const [only, second] = namesOf(node);
        if (aliasFirst && second === undefined && aliases.has(only!)) return node;
        const column = columnOf(node, alias, known);
        if (column !== undefined && inside.has(column)) fails = true;
        if (column !== undefined) return { ...key(column), alias: node['alias'] };
        if (second !== undefined || !aliases.has(only!)) fails = true;
        return node;
      }
      const made = wholeKey(node, aliasFirst);
      if (made !== null) return made;
      const called = String(node['function_name']).toLowerCase();
      if (node['class'] !== 'FUNCTION' || !aggregates.has(called)) return null;
      groups = true;
      const ordered = ((node['order_bys'] as Node | null)?.['orders'] as unknown[] | undefined) ?? [];
      if (ordered.length > 0) fails = true;
      const inner = find(
        [node['children'], node['filter']],
        (each) => each['class'] === 'WINDOW' || aggregates.has(String(each['function_name'])),
      );
      if (inner.length > 0) fails = true;
      // Different values of columns that the scan groups by are still there.
      if (node['distinct'] === true && called === 'count') {
        const children = (node['children'] as Node[]).map((child) => rewrite(child, visit(false)));
        return { ...node, children, filter: node['filter'] === null ? null : rewrite(node['filter'] as Node, visit(false)) };
      }
      // Of two arguments (the most n of them) a list comes back, which the most of lists is not.
      const merge = node['distinct'] === true || (node['children'] as unknown[]).length > 1 ? undefined : merged[called];
      if (merge === undefined) {
        fails = true;
        return node;
      }
      const figure = merge({ part: (name) => partOf({ ...node, function_name: name, alias: '' }, parts) });
      return { ...figure, alias: node['alias'] };
    };
  const select_list = items.map((item) => {
    const column = isColumn(item) ? columnOf(item, alias, known) : undefined;
    // The name of a figure without AS is the engine's own spelling of it.
    if (item['alias'] === '' && column === undefined) fails = true;
    const next = rewrite(item, visit(false));
    return item['alias'] === '' && column !== undefined ? { ...next, alias: column } : next;
  });
  const part = (name: string, aliasFirst = false) => rewrite(query[name] as Node, visit(aliasFirst));
  const made: Node = {
    ...query,
    select_list,
    group_expressions: part('group_expressions'),
    having: query['having'] === null ? null : part('having'),
    qualify: query['qualify'] === null ? null : part('qualify'),
    modifiers: part('modifiers', true),
  };
  return fails || !groups ? null : made;
}

/** Scans name the same figure the same, so that what one has grouped can be asked by another that needs no more. */
const digestOf = (text: string): string => sha256(text).slice(0, 16);

/** The scan's column for a partial figure; the same one for the same figure. */
function partOf(node: Node, parts: Map<string, { node: Node; name: string }>): Node {
  const text = sameText(node);
  const name = `part ${digestOf(text)}`;
  parts.set(text, { node, name });
  return reference(name);
}

const reference = (name: string): Node => ({ class: 'COLUMN_REF', type: 'COLUMN_REF', alias: '', query_location: 0, column_names: [name] });

const call = (name: string, argument: Node): Node => func(name, [argument], false);

const operator = (name: string, left: Node, right: Node): Node => func(name, [left, right], true);

function func(name: string, children: readonly Node[], is_operator: boolean): Node {
  return {
    class: 'FUNCTION',
    type: 'FUNCTION',
    alias: '',
    query_location: 0,
    function_name: name,
    schema: '',
    children,
    filter: null,
    order_bys: { type: 'ORDER_MODIFIER', orders: [] },
    distinct: false,
    is_operator,
    export_state: false,
    catalog: '',
  };
}

function cast(child: Node, type: string): Node {
  const cast_type = { id: type, type_info: null };
  return { class: 'CAST', type: 'OPERATOR_CAST', alias: '', query_location: 0, child, cast_type, try_cast: false };
}

/** A count, which is 0 where there is nothing. */
function whole(sum: Node): Node {
  const zero = { type: { id: 'INTEGER', type_info: null }, is_null: false, value: 0 };
  const none = { class: 'CONSTANT', type: 'VALUE_CONSTANT', alias: '', query_location: 0, value: zero };
  return cast({ class: 'OPERATOR', type: 'OPERATOR_COALESCE', alias: '', query_location: 0, children: [sum, none] }, 'BIGINT');
}
