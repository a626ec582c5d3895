/**
 * Can a view be kept by recomputing only the partitions that new rows touch? It can if every grouping, window and DISTINCT over
 * the source keeps rows of different partitions apart. Read from DuckDB's own tree of the query; where that can't be shown, the
 * plan is a full recompute, and says why.
 */

/** A node of DuckDB's serialized tree. */
type Node = { readonly [key: string]: unknown };

export interface PartitionPlan {
  /** The column of the view that holds the partition, or null: then each refresh recomputes the whole. */
  readonly column: string | null;
  /** Why it is recomputed as a whole, in words. */
  readonly reasons: readonly string[];
}

/** `query` and `partition` are texts of json_serialize_sql, of the view's query and of `SELECT <partition expression>`. */
export function planPartition(
  query: string,
  partition: string,
  source: { schema: string; name: string },
  aggregates: ReadonlySet<string>,
): PartitionPlan {
  const expression = (first(partition)['select_list'] as Node[])[0]!;
  const walk = new Walk(strip(expression), source, aggregates);
  const outputs = walk.query(first(query), new Map());
  const [column] = outputs ?? [];
  if (walk.reasons.length === 0 && column === undefined) walk.reasons.push('the partition expression is not among the columns');
  return { column: walk.reasons.length === 0 ? column! : null, reasons: walk.reasons };
}

function first(tree: string): Node {
  const parsed = JSON.parse(tree) as { statements: { node: Node }[] };
  return parsed.statements[0]!.node;
}

/** Names of the output columns that equal the partition; null for a query that does not read the source at all. */
type Outputs = ReadonlySet<string> | null;

class Walk {
  readonly reasons: string[] = [];
  readonly #expression: string;
  readonly #source: { schema: string; name: string };
  readonly #aggregates: ReadonlySet<string>;

  constructor(expression: string, source: { schema: string; name: string }, aggregates: ReadonlySet<string>) {
    this.#expression = expression;
    this.#source = source;
    this.#aggregates = aggregates;
  }

  query(node: Node, outer: ReadonlyMap<string, Outputs>): Outputs {
    const ctes = new Map(outer);
    for (const { key, value } of ((node['cte_map'] as Node | undefined)?.['map'] ?? []) as { key: string; value: Node }[]) {
      ctes.set(key.toLowerCase(), this.query((value['query'] as Node)['node'] as Node, ctes));
    }
    switch (node['type']) {
      case 'SELECT_NODE':
        return this.#select(node, ctes);
      case 'SET_OPERATION_NODE':
        return this.#union(node, ctes);
      default:
        return this.#refuse('it has a recursive query');
    }
  }

  #union(node: Node, ctes: ReadonlyMap<string, Outputs>): Outputs {
    const children = (node['children'] as Node[] | undefined) ?? [node['left'] as Node, node['right'] as Node];
    const sides = children.map((child) => this.query(child, ctes));
    if (sides.every((side) => side === null)) return null;
    if (sides.some((side) => side === null)) return this.#refuse('one side of a set operation does not read the source');
    this.#limits(node);
    const [head, ...rest] = sides as ReadonlySet<string>[];
    const shared = new Set([...head!].filter((name) => rest.every((side) => side.has(name))));
    return shared.size > 0 ? shared : this.#refuse('a set operation has no partition column in common');
  }

  #select(node: Node, ctes: ReadonlyMap<string, Outputs>): Outputs {
    const from = this.#from(node['from_table'] as Node, ctes);
    const list = (node['select_list'] as Node[]) ?? [];
    if (from === null) {
      this.#subqueries(node, ctes);
      return null;
    }
    const isPartition = (expression: Node): boolean =>
      (from.base && strip(expression) === this.#expression) ||
      (expression['class'] === 'COLUMN_REF' && from.names.has(columnName(expression)));
    const resolved = (expression: Node): Node => {
      // GROUP BY 1 means the first column; GROUP BY alias the column of that name.
      const ordinal = expression['class'] === 'CONSTANT' ? Number((expression['value'] as Node)['value']) : Number.NaN;
      if (Number.isInteger(ordinal)) return list[ordinal - 1] ?? expression;
      const alias = expression['class'] === 'COLUMN_REF' ? columnName(expression) : '';
      return list.find((item) => String(item['alias']).toLowerCase() === alias && alias !== '') ?? expression;
    };
    const groups = (node['group_expressions'] as Node[]) ?? [];
    const groupAll = node['aggregate_handling'] === 'FORCE_AGGREGATES';
    if (groups.length > 0 && !groups.some((group) => isPartition(resolved(group)) || isPartition(group)))
      this.reasons.push('a GROUP BY does not have the partition expression');
    if (((node['group_sets'] as unknown[]) ?? []).length > 1) this.reasons.push('it has several grouping sets');
    if (groupAll && !list.some(isPartition)) this.reasons.push('GROUP BY ALL groups without the partition expression');
    if (
      groups.length === 0 &&
      !groupAll &&
      some(list, (inner) => inner['class'] === 'FUNCTION' && this.#aggregates.has(String(inner['function_name'])))
    ) {
      this.reasons.push('an aggregate has no GROUP BY');
    }
    for (const window of all([...list, node['qualify'] as Node], (inner) => inner['class'] === 'WINDOW')) {
      if (!((window['partitions'] as Node[]) ?? []).some((part) => isPartition(part)))
        this.reasons.push('a window does not have the partition expression in PARTITION BY');
    }
    for (const modifier of (node['modifiers'] as Node[]) ?? []) {
      if (modifier['type'] === 'DISTINCT_MODIFIER') {
        const on = (modifier['distinct_on_targets'] as Node[]) ?? [];
        if (!(on.length > 0 ? on : list).some(isPartition)) this.reasons.push('a DISTINCT does not have the partition expression');
      }
    }
    this.#limits(node);
    this.#subqueries({ ...node, from_table: null, cte_map: null }, ctes);
    return this.#outputs(list, from, isPartition);
  }

  #outputs(
    list: readonly Node[],
    from: { base: boolean; names: ReadonlySet<string> },
    isPartition: (expression: Node) => boolean,
  ): Outputs {
    const outputs = new Set<string>();
    for (const item of list) {
      if (item['class'] === 'STAR') for (const name of from.names) outputs.add(name);
      else if (isPartition(item)) outputs.add(String(item['alias'] || columnName(item)).toLowerCase());
    }
    return outputs;
  }

  #from(node: Node, ctes: ReadonlyMap<string, Outputs>): { base: boolean; names: ReadonlySet<string> } | null {
    switch (node['type']) {
      case 'BASE_TABLE': {
        const schema = String(node['schema_name']).toLowerCase();
        const name = String(node['table_name']).toLowerCase();
        if (schema === '' && ctes.has(name)) {
          const outputs = ctes.get(name)!;
          return outputs === null ? null : { base: false, names: outputs };
        }
        const isSource =
          (schema === '' ? 'main' : schema) === this.#source.schema.toLowerCase() && name === this.#source.name.toLowerCase();
        if (!isSource) return null;
        const plain = JSON.parse(this.#expression) as Node;
        return { base: true, names: plain['class'] === 'COLUMN_REF' ? new Set([columnName(plain)]) : new Set() };
      }
      case 'SUBQUERY': {
        const outputs = this.query((node['subquery'] as Node)['node'] as Node, ctes);
        return outputs === null ? null : { base: false, names: outputs };
      }
      case 'JOIN': {
        const left = this.#from(node['left'] as Node, ctes);
        const right = this.#from(node['right'] as Node, ctes);
        if (left !== null && right !== null) {
          this.reasons.push('the source is joined with itself');
          return left;
        }
        const kind = String(node['join_type']);
        const outerSide = kind === 'FULL' || (kind === 'RIGHT' && left !== null) || (kind === 'LEFT' && right !== null);
        if ((left ?? right) !== null && outerSide) this.reasons.push('an outer join keeps rows that the source does not have');
        return left ?? right;
      }
      default:
        return null;
    }
  }

  #limits(node: Node): void {
    if (((node['modifiers'] as Node[]) ?? []).some((modifier) => String(modifier['type']).startsWith('LIMIT')))
      this.reasons.push('a LIMIT looks over all partitions');
    if (node['sample'] != null) this.reasons.push('a SAMPLE looks over all partitions');
  }

  /** A subquery in an expression that reads the source sees rows of other partitions. */
  #subqueries(node: Node, ctes: ReadonlyMap<string, Outputs>): void {
    for (const inner of all([node], (child) => child['class'] === 'SUBQUERY')) {
      const query = (inner['subquery'] as Node | undefined)?.['node'] as Node | undefined;
      if (query !== undefined && new Walk(this.#expression, this.#source, this.#aggregates).query(query, ctes) !== null) {
        this.reasons.push('a subquery in an expression reads the source');
      }
    }
  }

  #refuse(reason: string): Outputs {
    this.reasons.push(reason);
    return new Set();
  }
}

function columnName(expression: Node): string {
  const names = (expression['column_names'] as string[] | undefined) ?? [];
  return (names.at(-1) ?? '').toLowerCase();
}

/** A node as text without what does not change its meaning: places, aliases, and the table that a column is spelled with. */
function strip(node: Node): string {
  return JSON.stringify(node, (key, value) => {
    if (key === 'query_location' || key === 'alias') return undefined;
    if (key === 'column_names' && Array.isArray(value)) return value.slice(-1).map((name) => String(name).toLowerCase());
    return value;
  });
}

function all(nodes: readonly unknown[], matches: (node: Node) => boolean): Node[] {
  const found: Node[] = [];
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(visit);
    else if (typeof value === 'object' && value !== null) {
      const node = value as Node;
      if (matches(node)) found.push(node);
      // A subquery's own windows and aggregates are looked at when it is walked.
      if (node['class'] === 'SUBQUERY') return;
      Object.values(node).forEach(visit);
    }
  };
  nodes.forEach(visit);
  return found;
}

function some(nodes: readonly unknown[], matches: (node: Node) => boolean): boolean {
  return all(nodes, matches).length > 0;
}
