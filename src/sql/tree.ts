/** DuckDB's serialized tree of a query (json_serialize_sql), as far as we look into it: its columns, calls and clauses. */

export type Node = { readonly [key: string]: unknown };

/** The query of a text of json_serialize_sql. */
export function queryOf(tree: string): Node {
  const parsed = JSON.parse(tree) as { statements: { node: Node }[] };
  return parsed.statements[0]!.node;
}

export const isColumn = (node: Node): boolean => node['class'] === 'COLUMN_REF';

export function namesOf(column: Node): string[] {
  return ((column['column_names'] as string[] | undefined) ?? []).map((name) => name.toLowerCase());
}

/** The name under which a column of a select list goes out. */
export function outputName(item: Node): string {
  return String(item['alias'] || (namesOf(item).at(-1) ?? item['function_name'] ?? '')).toLowerCase();
}

export function ctesOf(query: Node): { name: string; query: Node }[] {
  const map = ((query['cte_map'] as Node | undefined)?.['map'] ?? []) as { key: string; value: Node }[];
  return map.map(({ key, value }) => ({ name: key.toLowerCase(), query: (value['query'] as Node)['node'] as Node }));
}

export const subqueryOf = (node: Node): Node | undefined => (node['subquery'] as Node | undefined)?.['node'] as Node | undefined;

/** Both sides of each equality that must hold for a row: those of an AND, not those of an OR. */
export function equalities(condition: unknown): [Node, Node][] {
  const node = condition as Node | null;
  if (node == null) return [];
  if (node['type'] === 'COMPARE_EQUAL') return [[node['left'] as Node, node['right'] as Node]];
  if (node['type'] === 'CONJUNCTION_AND') return (node['children'] as Node[]).flatMap(equalities);
  return [];
}

/** A node as text without what does not change its meaning. */
export function sameText(node: Node): string {
  return JSON.stringify(node, (key, value) => {
    if (key === 'query_location' || key === 'alias') return undefined;
    // DuckDB writes main.list_value for what [1, 2] became, and no schema for what was written list_value(1, 2).
    if ((key === 'schema' && value === 'main') || (key === 'catalog' && value === 'system')) return '';
    if (key === 'column_names' && Array.isArray(value)) return value.map((name) => String(name).toLowerCase());
    return value;
  });
}

/** Every node that matches; what lies within a subquery of an expression only with `deep`. */
export function find(from: unknown, matches: (node: Node) => boolean, deep = false): Node[] {
  const found: Node[] = [];
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(visit);
    else if (typeof value === 'object' && value !== null) {
      const node = value as Node;
      if (matches(node)) found.push(node);
      if (node['class'] === 'SUBQUERY' && !deep) return;
      Object.values(node).forEach(visit);
    }
  };
  visit(from);
  return found;
}

/** The same tree with some nodes replaced; null from `replace` keeps a node. */
export function rewrite(node: Node, replace: (node: Node) => Node | null): Node {
  const visit = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(visit);
    if (typeof value !== 'object' || value === null) return value;
    const found = replace(value as Node);
    return found ?? Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, visit(inner)]));
  };
  return visit(node) as Node;
}

/** The tree of a query as json_deserialize_sql takes it. Places in a text mean nothing any more; parameters are named anew. */
export function treeText(query: Node): string {
  const names = [...new Set(find(query, (node) => node['class'] === 'PARAMETER', true).map((node) => String(node['identifier'])))];
  const statement = { node: query, named_param_map: names.map((key, at) => ({ key, value: at + 1 })) };
  return JSON.stringify({ error: false, statements: [statement] }, (key, value) => (key === 'query_location' ? 0 : value));
}
