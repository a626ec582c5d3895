/** What an expression is made of. */
import { find, isColumn, type Node, subqueryOf } from '../tree.ts';
import { lookUp, lowers, type Place, spend } from './scope.ts';
import type { Made, Source } from './shape.ts';

/** An expression of more nodes than these is named, not spelled out again, and so is what would make one longer than SPELLED. */
const SHORT = 60;
const SPELLED = 400;
/** Of one column; where there are more, it is told in part. */
const MOST_SOURCES = 200;
/** They are called without parentheses. */
const BARE = new Set(['current_date', 'current_time', 'current_timestamp', 'localtime', 'localtimestamp', 'rowid']);
/** Elsewhere x -> y is the operator of JSON. */
const TAKES_LAMBDA = /(?:apply|transform|filter|reduce)$/i;

export const withoutAlias = (node: Node): Node => ({ ...node, alias: '' });
const sizes = new WeakMap<Node, number>();

/** What an expression, or several, is made of. */
export function makingOf(expression: Node | readonly unknown[], place: Place): Made {
  const from = new Map<string, Source>();
  const taken = new Set<Made>();
  let found = 0;
  let partly = false;
  let size = 0;

  function take(made: Made): void {
    found += made.from.length;
    if (taken.has(made)) return;
    taken.add(made);
    for (const source of made.from) {
      const key = `${source.of}\n${source.column}`;
      if (from.size < MOST_SOURCES || from.has(key)) from.set(key, source);
      else partly = true;
    }
    partly ||= made.partly;
  }

  const takeRows = (rows: readonly Source[]) => take({ name: '', expressions: [], from: rows, partly: false });

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
    if (added > SHORT || size + added > SPELLED) return node;
    size += added;
    return { ...only, alias: node['alias'] };
  }

  function subquery(node: Node, bound: ReadonlySet<string>): Node {
    const { scope } = place;
    const inner = scope.query(subqueryOf(node)!, { ...scope, outer: [place.from, ...scope.outer] });
    if (inner.columns === null) takeRows(inner.rows);
    partly ||= inner.columns === null;
    for (const made of inner.columns ?? []) take(made);
    if (inner.conditions !== undefined) take(inner.conditions());
    return { ...node, child: visit(node['child'], bound) };
  }

  function lambda(node: Node, bound: ReadonlySet<string>): Node {
    const parameters = find(node['lhs'], isColumn).flatMap((each) => lowers(each['column_names']));
    return { ...node, expr: visit(node['expr'], new Set([...bound, ...parameters])) };
  }

  /** page.upper() is read as a function of a schema; DuckDB looks for a column of that name. */
  function method(node: Node): void {
    const names = [node['catalog'], node['schema']].map((part) => String(part ?? '')).filter((part) => part !== '');
    const made = names.length === 0 || names[0] === 'main' ? null : lookUp(names, place);
    if (made !== null) take(made);
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
      case 'POSITIONAL_REFERENCE': {
        const listed = place.from.listed?.[Number(node['index']) - 1];
        if (listed === undefined) partly = true;
        else take(listed.made);
        return node;
      }
      case 'STAR':
        if (place.from.listed === null || !spend(place.scope, place.from.listed.length)) partly = true;
        else for (const { made } of place.from.listed) take(made);
        return node;
    }
    const before = found;
    if (node['class'] === 'FUNCTION') method(node);
    if (node['class'] === 'FUNCTION' && TAKES_LAMBDA.test(String(node['function_name'])))
      return {
        ...node,
        children: (node['children'] as Node[]).map((child) => (child['class'] === 'LAMBDA' ? lambda(child, bound) : visit(child, bound))),
      };
    const copy = Object.fromEntries(Object.entries(node).map(([key, inner]) => [key, visit(inner, bound)]));
    const isOfRows =
      node['class'] === 'WINDOW' || (node['class'] === 'FUNCTION' && place.scope.aggregates.has(String(node['function_name'])));
    if (isOfRows && found === before) takeRows(place.from.rows);
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
  return { name, expressions: node === null ? [] : [node], from: [...from.values()], partly };
}
