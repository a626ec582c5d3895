/** What stands after FROM: relations with their columns. */
import { find, isColumn, type Node, subqueryOf } from '../tree.ts';
import { makingOf, withoutAlias } from './making.ts';
import { type From, inFrom, type Listed, lowers, nowhere, type Place, type Scope, spend } from './scope.ts';
import { distinct, type Made, renamed, type Shape, shapeWith, together, unknownShape } from './shape.ts';

export function fromOf(node: Node, scope: Scope): From {
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
      return scope.query(subqueryOf(node)!, scope);
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
    left.listed === null || right.listed === null || !spend(scope, left.listed.length + right.listed.length)
      ? null
      : [
          ...left.listed.map((each) => (isUsed(each) ? { ...each, made: merged.get(each.made.name.toLowerCase()) ?? each.made } : each)),
          ...right.listed.filter((each) => !isUsed(each)),
        ];
  return { relations: [...left.relations, ...right.relations], listed, merged, rows: distinct([...left.rows, ...right.rows]) };
}
