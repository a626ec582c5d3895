/** From a result back to the rows: what each of its columns is made from, and the query of the rows behind one of its rows. */
import { ctesOf, find, isColumn, type Node, namesOf, queryOf, subqueryOf } from './tree.ts';

/** A column of a result. */
export interface Output {
  /** null where the engine names it by itself. */
  readonly name: string | null;
  /** What makes it, as a tree. */
  readonly expression: Node;
  /** The names of columns that it reads, as they are written. */
  readonly reads: readonly string[];
  /** Made of many rows: no row behind it has this value. */
  readonly figure: boolean;
}

/** What the outermost SELECT gives; null for a statement that has none of its own (UNION, VALUES, SELECT *). */
export function outputsOf(tree: string, aggregates: ReadonlySet<string>): Output[] | null {
  const query = passedOn(queryOf(tree));
  if (query['type'] !== 'SELECT_NODE') return null;
  const items = query['select_list'] as readonly Node[];
  if (items.some((item) => item['class'] === 'STAR')) return null;
  return items.map((item) => {
    const name = String(item['alias'] || (isColumn(item) ? (item['column_names'] as string[]).at(-1)! : '')) || null;
    const reads = [...new Set(find(item, isColumn, true).map((column) => namesOf(column).join('.')))];
    const figure =
      find(item, (node) => node['class'] === 'WINDOW' || (node['class'] === 'FUNCTION' && aggregates.has(String(node['function_name']))))
        .length > 0 || find(item, (node) => node['class'] === 'SUBQUERY').length > 0;
    return { name, expression: { ...item, alias: '' }, reads, figure };
  });
}

/** The query whose rows `SELECT * FROM (…)` gives as they are, in whatever order: a call of an answer is such a one. */
function passedOn(query: Node): Node {
  const from = (query['from_table'] ?? {}) as Node;
  const [item, ...more] = (query['select_list'] ?? []) as readonly Node[];
  const lists = (node: Node | undefined, ...keys: string[]) => keys.every((key) => ((node?.[key] ?? []) as unknown[]).length === 0);
  const isStar =
    item?.['class'] === 'STAR' &&
    more.length === 0 &&
    item['columns'] !== true &&
    item['expr'] == null &&
    lists(item, 'exclude_list', 'replace_list', 'qualified_exclude_list', 'rename_list');
  const narrowed = [query['where_clause'], query['having'], query['qualify'], query['sample'], from['sample']].some((part) => part != null);
  const isPlain =
    isStar && !narrowed && lists(query, 'group_expressions') && lists(from, 'column_name_alias') && ctesOf(query).length === 0;
  const inner = isPlain && from['type'] === 'SUBQUERY' ? subqueryOf(from) : undefined;
  return inner === undefined ? query : passedOn(inner);
}

/**
 * The rows that a statement's FROM and WHERE give, with each of its columns that is no figure beside them as `behind 0`, `behind 1`, …:
 * a row of the result stands on those that have its values there. null where `outputsOf` is.
 */
export function behindOf(tree: string, outputs: readonly Output[]): Node | null {
  const query = passedOn(queryOf(tree));
  if (query['type'] !== 'SELECT_NODE' || (query['from_table'] as Node)['type'] === 'EMPTY') return null;
  const star: Node = {
    class: 'STAR',
    type: 'STAR',
    alias: '',
    query_location: 0,
    relation_name: '',
    exclude_list: [],
    replace_list: [],
    columns: false,
    expr: null,
    qualified_exclude_list: [],
    rename_list: [],
  };
  const beside = outputs.flatMap(({ expression, figure }, at) => (figure ? [] : [{ ...expression, alias: `behind ${at}` }]));
  return {
    ...query,
    modifiers: [],
    select_list: [star, ...beside],
    group_expressions: [],
    group_sets: [],
    aggregate_handling: 'STANDARD_HANDLING',
    having: null,
    qualify: null,
  };
}
