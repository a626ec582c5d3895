/**
 * Can a view be kept by recomputing only the partitions that new rows touch? It can if every grouping, window, DISTINCT and join
 * keeps rows of different partitions apart. Read from DuckDB's own tree of the query; where that can't be shown, the plan is a full
 * recompute, and says why.
 *
 * PARTITION BY is an expression over the columns of one table, the source. Another table is
 *  - restricted to the touched partitions too, where a join makes one of its columns equal to the partition: its rows name partitions;
 *  - looked up by a key, where a join makes one of its columns equal to another expression of the source: the partitions of the
 *    source's rows with a changed key are touched;
 *  - otherwise read whole: any change of it recomputes the view.
 */
import { ctesOf, equalities, find, isColumn, type Node, namesOf, outputName, queryOf, rewrite, sameText, subqueryOf } from '#sql';

/** How a change of one table that the query reads becomes partitions. Expressions are over that table's own columns. */
export type Reading =
  | { readonly by: 'partition'; readonly parts: readonly Node[] }
  | {
      readonly by: 'key';
      readonly key: Node;
      /** The rows of this table whose `key` equals a changed key say by `parts` which partitions are touched. */
      readonly of: { readonly table: string; readonly key: Node; readonly parts: readonly Node[] };
    }
  | { readonly by: 'whole'; readonly reason: string };

export interface Use {
  /** schema.name in lower case. */
  readonly table: string;
  /** The byte of the query's text at which it is named. */
  readonly at: number;
  readonly reading: Reading;
}

/** In words, with what would mend it. `at` is the byte of the query's text where it stands, if that is known. */
export interface Reason {
  readonly words: string;
  readonly at: number | null;
}

export interface PartitionPlan {
  /** The columns of the view that hold the partition, one for each part; null: each refresh recomputes the whole. */
  readonly columns: readonly string[] | null;
  /** Why it is recomputed as a whole. */
  readonly reasons: readonly Reason[];
  readonly uses: readonly Use[];
  /** Does PARTITION BY name columns of the source itself, and not of the view? */
  readonly namesSource: boolean;
  /** A column in PARTITION BY that neither the source nor the view has. `at` is its byte in `SELECT <partition expression>`. */
  readonly unknown: { readonly name: string; readonly at: number } | null;
}

export interface Planning {
  /** json_serialize_sql of the query, and of `SELECT <partition expression>`. */
  readonly query: string;
  readonly partition: string;
  /** The partition expression as it was written. */
  readonly written: string;
  /** The source: schema.name in lower case. */
  readonly source: string;
  /** Columns in lower case by schema.name in lower case, of every table that the query reads. */
  readonly columns: ReadonlyMap<string, ReadonlySet<string>>;
  readonly aggregates: ReadonlySet<string>;
}

export function planPartition(planning: Planning): PartitionPlan {
  const query = queryOf(planning.query);
  const { parts, ...named } = partsOf(planning, query);
  const walk = new Walk(planning, { table: planning.source, parts }, referencesIn(query));
  const outputs = walk.query(query, new Map());
  for (const part of parts) walk.unnested(part, parts.length === 1);
  const columns = outputs === null ? [] : outputs.map((names) => [...names][0]);
  if (walk.reasons.length === 0 && columns.some((name) => name === undefined))
    walk.reasons.push({ words: `the partition expression is not among the columns; add ${planning.written}`, at: null });
  const reasons = [...new Map(walk.reasons.map((reason) => [`${reason.words} ${reason.at}`, reason])).values()];
  return { columns: reasons.length === 0 ? (columns as string[]) : null, reasons, uses: walk.uses, ...named };
}

/**
 * PARTITION BY (a, b) has two parts. Over the source's own columns, which may stand behind the name by which the query knows the source. A
 * column that the source lacks is the view's own of that name, and stands for what that is made of.
 */
function partsOf(planning: Planning, query: Node): { parts: Node[] } & Pick<PartitionPlan, 'namesSource' | 'unknown'> {
  const { source, partition } = planning;
  const own = planning.columns.get(source) ?? new Set<string>();
  const tables = find(query, (node) => node['type'] === 'BASE_TABLE' && fullName(node) === source, true);
  const aliases = new Set(tables.map((node) => String(node['alias'] || node['table_name']).toLowerCase()));
  const walk = new Walk(planning, { table: '', parts: [] }, new Map());
  let unknown: PartitionPlan['unknown'] = null;
  let namesSource = true;
  const spelled = rewrite((queryOf(partition)['select_list'] as Node[])[0]!, (node) => {
    if (!isColumn(node)) return null;
    const names = namesOf(node);
    if (own.has(names[0]!)) return null;
    const behind = aliases.has(names[0]!) ? 1 : `${names[0]}.${names[1]}` === source ? 2 : 0;
    if (behind > 0 && own.has(names[behind] ?? '')) return { ...node, column_names: names.slice(behind) };
    namesSource = false;
    const made = names.length > 1 ? null : walk.madeOf(query, names[0]!);
    if (made?.table === source) return made.expression;
    unknown ??= made === null && !walk.puts(query, names[0]!) ? { name: names.join('.'), at: Number(node['query_location']) } : null;
    return null;
  });
  // What a lambda calls its parameters looks like a column too.
  const lambdas = find(spelled, (node) => node['class'] === 'LAMBDA');
  return {
    parts: spelled['function_name'] === 'row' ? (spelled['children'] as Node[]) : [spelled],
    namesSource,
    unknown: lambdas.length > 0 ? null : unknown,
  };
}

const fullName = (table: Node) => `${String(table['schema_name'] || 'main')}.${String(table['table_name'])}`.toLowerCase();

/** How often each name without a schema is read: a CTE that is read twice can't be restricted for one reader. */
function referencesIn(query: Node): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { table_name } of find(query, (node) => node['type'] === 'BASE_TABLE' && node['schema_name'] === '', true))
    counts.set(String(table_name).toLowerCase(), (counts.get(String(table_name).toLowerCase()) ?? 0) + 1);
  return counts;
}

/** For each part of the partition the output columns that equal it; null for a query that does not read the source. */
type Outputs = readonly ReadonlySet<string>[] | null;

interface Cte {
  readonly query: Node;
  readonly scope: Ctes;
  readonly outputs: Outputs;
}
type Ctes = ReadonlyMap<string, Cte>;

/** One thing in FROM. */
interface Relation {
  readonly node: Node;
  readonly alias: string;
  /** schema.name of a table, null for a subquery. */
  readonly table: string | null;
  /** The subquery or CTE behind it, and what it may refer to. */
  readonly inner: { readonly query: Node; readonly scope: Ctes; readonly shared: boolean } | null;
  readonly columns: ReadonlySet<string>;
  /** The partition over a table's own columns, or the output columns that equal it; null where it is not partitioned. */
  readonly parts:
    | { readonly of: 'table'; readonly expressions: readonly Node[] }
    | { readonly of: 'query'; readonly names: readonly ReadonlySet<string>[] }
    | null;
}

interface From {
  readonly node: Node | null;
  readonly relations: readonly Relation[];
  /** Those whose partition columns say to which partition a joined row belongs. */
  readonly trusted: readonly Relation[];
}

/** An expression over the columns of one relation, its columns without the relation's name. */
interface Owned {
  readonly relation: Relation;
  readonly expression: Node;
}

class Walk {
  readonly reasons: Reason[] = [];
  readonly uses: Use[] = [];
  readonly #planning: Planning;
  readonly #source: { readonly table: string; readonly parts: readonly Node[] };
  readonly #references: ReadonlyMap<string, number>;
  /** Tables and subqueries beside the source that a join restricts to the touched partitions. */
  readonly #imposed = new Map<Node, Relation['parts']>();

  constructor(planning: Planning, source: { table: string; parts: readonly Node[] }, references: ReadonlyMap<string, number>) {
    this.#planning = planning;
    this.#source = source;
    this.#references = references;
  }

  query(node: Node, outer: Ctes): Outputs {
    const ctes = new Map(outer);
    for (const { name, query } of ctesOf(node)) ctes.set(name, { query, scope: new Map(ctes), outputs: this.query(query, ctes) });
    if (node['type'] === 'SELECT_NODE') return this.#select(node, ctes);
    if (node['type'] === 'SET_OPERATION_NODE') return this.#union(node, ctes);
    return this.#refuse('it has a recursive query, in which partitions can’t be told apart', node);
  }

  #union(node: Node, ctes: Ctes): Outputs {
    const children = (node['children'] as Node[] | undefined) ?? [node['left'] as Node, node['right'] as Node];
    const sides = children.map((child) => this.query(child, ctes));
    if (sides.every((side) => side === null)) return null;
    if (sides.some((side) => side === null))
      return this.#refuse('one side of a set operation does not read the source; let each side read it, or make two views', node);
    this.#limits(node);
    const [head, ...rest] = sides as (readonly ReadonlySet<string>[])[];
    const places = children.map((child) => this.#listed(child, ctes));
    // UNION joins by place: the column must stand at the same place in every side.
    return head!.map((names, k) => {
      const shared = [...names].filter((name) => {
        const place = places[0]!.indexOf(name);
        return rest.every((side, s) => side[k]!.has(node['setop_by_name'] === true ? name : (places[s + 1]![place] ?? '')));
      });
      if (shared.length === 0)
        this.#say(`a set operation has no partition column in common; put ${this.#written} at the same place of each side`, node);
      return new Set(shared);
    });
  }

  #select(node: Node, ctes: Ctes): Outputs {
    const from = this.#from(node['from_table'] as Node, ctes, equalities(node['where_clause']));
    const list = (node['select_list'] as Node[]) ?? [];
    this.#subqueries(node, ctes);
    if (from.trusted.length === 0) return null;
    const named = (expression: Node): Node => {
      // A name means a column of FROM, and where there is none a column of the list.
      if (!isColumn(expression) || owner(expression, from.relations) !== null) return expression;
      const [name] = namesOf(expression);
      return list.find((item) => String(item['alias']).toLowerCase() === name) ?? expression;
    };
    const hasParts = (expressions: readonly Node[]) =>
      this.#source.parts.every((_, k) => expressions.some((expression) => isPart(named(expression), k, from)));
    const groups = counted((node['group_expressions'] as Node[]) ?? [], list);
    const groupAll = node['aggregate_handling'] === 'FORCE_AGGREGATES';
    if (groups.length > 0 && !hasParts(groups))
      this.#say(`a GROUP BY does not have the partition expression; add ${this.#written} to it`, groups);
    if (((node['group_sets'] as unknown[]) ?? []).length > 1) this.#say('it has several grouping sets; make a view for each', groups);
    if (groupAll && !hasParts(list))
      this.#say(`GROUP BY ALL groups without the partition expression; add ${this.#written} to the columns`, list);
    const isAggregate = (inner: Node) => inner['class'] === 'FUNCTION' && this.#planning.aggregates.has(String(inner['function_name']));
    const [aggregate] = find([list, node['having']], isAggregate);
    if (groups.length === 0 && !groupAll && aggregate !== undefined)
      this.#say(`an aggregate has no GROUP BY; group by ${this.#written}`, aggregate);
    const modifiers = (node['modifiers'] as Node[]) ?? [];
    // Which row DISTINCT ON keeps is decided by ORDER BY.
    const chosen = modifiers.some((modifier) => modifier['type'] === 'DISTINCT_MODIFIER') ? modifiers : [];
    for (const window of find([list, node['qualify'], chosen], (inner) => inner['class'] === 'WINDOW'))
      if (!hasParts((window['partitions'] as Node[]) ?? []))
        this.#say(`a window does not have the partition expression in PARTITION BY; add ${this.#written} to it`, window);
    for (const modifier of modifiers) {
      if (modifier['type'] !== 'DISTINCT_MODIFIER') continue;
      const on = counted((modifier['distinct_on_targets'] as Node[]) ?? [], list);
      const starred = list.some((item) => item['class'] === 'STAR');
      if (!hasParts(on.length > 0 ? on : list) && !(on.length === 0 && starred))
        this.#say(`a DISTINCT does not have the partition expression; add ${this.#written} to it`, on.length > 0 ? on : list);
    }
    this.#limits(node);
    return this.#source.parts.map((_, k) => {
      const names = new Set<string>();
      for (const item of list) {
        if (item['class'] === 'STAR') {
          const only = item['relation_name'] as string | undefined;
          for (const relation of from.trusted)
            if (!only || relation.alias === only.toLowerCase()) for (const name of starred(relation, k, item)) names.add(name);
        } else if (isPart(item, k, from)) names.add(outputName(item));
      }
      return names;
    });
  }

  #from(node: Node, ctes: Ctes, where: readonly [Node, Node][]): From {
    if (node['type'] === 'JOIN') return this.#join(node, ctes, where);
    const relation = this.#relation(node, ctes);
    if (relation.table !== null && relation.parts?.of === 'table')
      this.#use(relation, { by: 'partition', parts: relation.parts.expressions });
    if (relation.table === null && relation.inner === null && this.#readsSource(node, ctes))
      this.#say(`a ${String(node['type']).replaceAll('_', ' ')} of the source can't be looked into; write it as a query`, node);
    return { node, relations: [relation], trusted: relation.parts === null ? [] : [relation] };
  }

  /** What stands there, without deciding anything about it. */
  #relation(node: Node, ctes: Ctes): Relation {
    const alias = String(node['alias']).toLowerCase();
    const renamed = ((node['column_name_alias'] as string[] | undefined) ?? []).map((name) => name.toLowerCase());
    if (node['type'] === 'BASE_TABLE') {
      const name = String(node['table_name']).toLowerCase();
      const cte = node['schema_name'] === '' ? ctes.get(name) : undefined;
      if (cte !== undefined) {
        const inner = { query: cte.query, scope: cte.scope, shared: (this.#references.get(name) ?? 0) > 1 };
        return this.#derived(node, alias || name, inner, cte.outputs, renamed);
      }
      const table = `${String(node['schema_name'] || 'main').toLowerCase()}.${name}`;
      const columns = this.#planning.columns.get(table) ?? new Set<string>();
      const imposed = this.#imposed.get(node);
      const own = table === this.#source.table ? ({ of: 'table', expressions: this.#source.parts } as const) : null;
      return { node, alias: alias || name, table, inner: null, columns, parts: renamed.length > 0 ? null : (imposed ?? own) };
    }
    const query = node['type'] === 'SUBQUERY' ? subqueryOf(node) : undefined;
    if (query !== undefined) {
      const inner = { query, scope: ctes, shared: false };
      return this.#derived(node, alias, inner, this.#imposed.has(node) ? null : this.query(query, ctes), renamed);
    }
    const columns = new Set(
      renamed.length > 0 ? renamed : [alias, String((node['function'] as Node)?.['function_name'] ?? '').toLowerCase()],
    );
    return { node, alias, table: null, inner: null, columns, parts: null };
  }

  #derived(node: Node, alias: string, inner: NonNullable<Relation['inner']>, outputs: Outputs, renamed: readonly string[]): Relation {
    const listed = this.#listed(inner.query, inner.scope);
    const rename = (name: string) => renamed[listed.indexOf(name)] ?? name;
    const parts =
      this.#imposed.get(node) ??
      (outputs === null ? null : { of: 'query', names: outputs.map((names) => new Set([...names].map(rename))) });
    return { node, alias, table: null, inner: renamed.length > 0 ? null : inner, columns: new Set(listed.map(rename)), parts };
  }

  /** The columns that a query puts out, in their order. */
  #listed(query: Node, outer: Ctes): string[] {
    const ctes = new Map(outer);
    for (const { name, query: inner } of ctesOf(query)) ctes.set(name, { query: inner, scope: new Map(ctes), outputs: null });
    if (query['type'] !== 'SELECT_NODE') {
      const head = ((query['children'] as Node[] | undefined) ?? [query['left'] as Node])[0];
      return head === undefined ? [] : this.#listed(head, ctes);
    }
    return ((query['select_list'] as Node[]) ?? []).flatMap((item) => {
      if (item['class'] !== 'STAR') return [outputName(item)];
      const excluded = excludedBy(item);
      const only = String(item['relation_name'] ?? '').toLowerCase();
      return this.#shapes(query['from_table'] as Node, ctes)
        .filter((relation) => only === '' || relation.alias === only)
        .flatMap((relation) => [...relation.columns].filter((name) => !excluded.has(name)));
    });
  }

  /** Rows that belong to several partitions can be told by a list of these alone. */
  unnested(part: Node, isOnly: boolean): void {
    const lists = find(part, (node) => UNNEST.has(String(node['function_name'])), true);
    if (lists.length === 0) return;
    if (isOnly && lists.length === 1 && lists[0] === part && (part['children'] as Node[]).length === 1) return;
    this.#say('a partition that is unnested must be unnest(…) of one list and nothing else', null);
  }

  puts(query: Node, name: string): boolean {
    return this.#listed(query, new Map()).includes(name);
  }

  /** The table's own columns that an output column of a query is made of, row by row. */
  madeOf(query: Node, name: string): { table: string; expression: Node } | null {
    const found = this.#trace(query, [name], new Map());
    const [expression] = found?.expressions ?? [];
    if (expression === undefined) return null;
    const isSummed = (node: Node) =>
      node['class'] === 'WINDOW' || (node['class'] === 'FUNCTION' && this.#planning.aggregates.has(String(node['function_name'])));
    return find(expression, isSummed).length > 0 ? null : { table: found!.table, expression: { ...expression, alias: '' } };
  }

  /** The relations of a FROM with their columns only. */
  #shapes(node: Node, ctes: Ctes): Relation[] {
    if (node['type'] === 'JOIN') return [...this.#shapes(node['left'] as Node, ctes), ...this.#shapes(node['right'] as Node, ctes)];
    return [new Walk(this.#planning, { table: '', parts: [] }, this.#references).#relation(node, ctes)];
  }

  #join(node: Node, ctes: Ctes, where: readonly [Node, Node][]): From {
    let left = this.#from(node['left'] as Node, ctes, where);
    let right = this.#from(node['right'] as Node, ctes, where);
    const using = ((node['using_columns'] as string[] | undefined) ?? []).map((name) => name.toLowerCase());
    const pairs: Pair[] = [
      ...[...equalities(node['condition']), ...where].flatMap((pair) => pairOf(pair, left, right)),
      ...using.flatMap((name) => pairOf([column(name), column(name)], left, right)),
    ];
    if (left.trusted.length === 0 && right.trusted.length === 0)
      return { node, relations: [...left.relations, ...right.relations], trusted: [] };
    const kind = node['ref_type'] === 'POSITIONAL' ? 'POSITIONAL' : String(node['join_type']);
    if (left.trusted.length > 0 && right.trusted.length > 0) {
      if (
        !this.#source.parts.every((_, k) =>
          pairs.some((pair) => isPart(pair.left.expression, k, left, pair.left) && isPart(pair.right.expression, k, right, pair.right)),
        )
      )
        this.#say(
          `the source is joined with itself on something else than the partition; join on ${this.#written} too, or make one side a view of its own`,
          node,
        );
    } else {
      const inner = left.trusted.length > 0 ? left : right;
      const beside = this.#beside(inner, inner === left ? right : left, inner === left ? pairs : pairs.map(swapped), ctes, where);
      if (inner === left) right = beside;
      else left = beside;
    }
    return this.#joined(kind, node, left, right);
  }

  /** The other side of a join: restricted to the partition where the join allows it, else looked up or read whole. */
  #beside(inner: From, other: From, pairs: readonly Pair[], ctes: Ctes, where: readonly [Node, Node][]): From {
    const equal = this.#source.parts.map((_, k) => pairs.find((pair) => isPart(pair.left.expression, k, inner, pair.left))?.right);
    const owners = new Set(equal.map((owned) => owned?.relation));
    const [owner] = owners;
    if (
      owners.size === 1 &&
      owner !== undefined &&
      this.#impose(
        owner,
        equal.map((owned) => owned!.expression),
      )
    )
      return this.#from(other.node!, ctes, where);
    for (const relation of other.relations) this.#lookUp(relation, inner, pairs);
    return other;
  }

  /** Restricts a relation to rows whose `expressions` are the partition. */
  #impose(relation: Relation, expressions: readonly Node[]): boolean {
    if (relation.table !== null) {
      this.#imposed.set(relation.node, { of: 'table', expressions });
      return true;
    }
    const walked = this.#traced(relation, expressions);
    if (walked === null) return false;
    for (const use of walked.uses) this.#record(use);
    this.#imposed.set(relation.node, { of: 'query', names: walked.outputs });
    return true;
  }

  /** Does each row of the relation depend only on rows of one table whose `expressions` there are the same? Then how it reads its tables. */
  #traced(relation: Relation, expressions: readonly Node[]): { uses: readonly Use[]; outputs: readonly ReadonlySet<string>[] } | null {
    const { inner } = relation;
    if (inner === null || inner.shared || !expressions.every(isColumn)) return null;
    const names = expressions.map((expression) => namesOf(expression).join('.'));
    const found = this.#trace(inner.query, names, inner.scope);
    if (found === null) return null;
    const walk = new Walk(this.#planning, { table: found.table, parts: found.expressions }, this.#references);
    const outputs = walk.query(inner.query, inner.scope);
    const apart = outputs?.every((has, k) => has.has(names[k]!)) && walk.reasons.length === 0;
    return apart ? { uses: walk.uses, outputs: outputs! } : null;
  }

  /** The table and the expressions over it that output columns of a query are made of. */
  #trace(query: Node, names: readonly string[], outer: Ctes): { table: string; expressions: Node[] } | null {
    if (query['type'] !== 'SELECT_NODE') {
      const head = ((query['children'] as Node[] | undefined) ?? [query['left'] as Node])[0];
      return head === undefined ? null : this.#trace(head, names, outer);
    }
    const ctes = new Map(outer);
    for (const { name, query: inner } of ctesOf(query)) ctes.set(name, { query: inner, scope: new Map(ctes), outputs: null });
    const list = (query['select_list'] as Node[]) ?? [];
    const relations = this.#shapes(query['from_table'] as Node, ctes);
    const owned = names.map((name) => {
      const item = list.find((item) => item['class'] !== 'STAR' && outputName(item) === name);
      return owner(item ?? column(name), relations);
    });
    const [first] = owned;
    if (first == null || owned.some((one) => one === null || one.relation !== first.relation)) return null;
    const expressions = owned.map((one) => one!.expression);
    if (first.relation.table !== null) return { table: first.relation.table, expressions };
    const { inner } = first.relation;
    if (inner === null || !expressions.every(isColumn)) return null;
    return this.#trace(
      inner.query,
      expressions.map((expression) => namesOf(expression).join('.')),
      inner.scope,
    );
  }

  #lookUp(relation: Relation, inner: From, pairs: readonly Pair[]): void {
    for (const { left, right } of pairs) {
      const { parts, table } = left.relation;
      if (right.relation !== relation || table === null || parts?.of !== 'table' || !inner.trusted.includes(left.relation)) continue;
      const of = { table, key: left.expression, parts: parts.expressions };
      if (relation.table !== null) {
        this.#use(relation, { by: 'key', key: right.expression, of });
        return;
      }
      const traced = this.#traced(relation, [right.expression]);
      if (traced === null) continue;
      for (const use of traced.uses)
        this.#record({ ...use, reading: use.reading.by === 'partition' ? { by: 'key', key: use.reading.parts[0]!, of } : WHOLE });
      return;
    }
  }

  #joined(kind: string, node: Node, left: From, right: From): From {
    const relations = [...left.relations, ...right.relations];
    const within = (...sides: From[]): From => ({ node, relations, trusted: sides.flatMap((side) => side.trusted) });
    const refused = (): From => {
      this.#say('an outer join keeps rows that the source does not have; let the source stand on the side that is kept', node);
      return within(left, right);
    };
    const leftOnly = (): From => (left.trusted.length > 0 ? within(left) : refused());
    switch (kind) {
      case 'INNER':
        return node['ref_type'] === 'ASOF' ? leftOnly() : within(left, right);
      case 'LEFT':
        return leftOnly();
      case 'RIGHT':
        return right.trusted.length > 0 ? within(right) : refused();
      case 'SEMI':
      case 'ANTI':
        return left.trusted.length > 0 ? { node, relations: left.relations, trusted: left.trusted } : refused();
      default:
        return refused();
    }
  }

  #use(relation: Relation, reading: Reading): void {
    this.#record({ table: relation.table!, at: Number(relation.node['query_location']), reading });
  }

  #record(use: Use): void {
    const at = this.uses.findIndex((other) => other.at === use.at);
    if (at < 0) this.uses.push(use);
    else this.uses[at] = use;
  }

  #limits(node: Node): void {
    if (((node['modifiers'] as Node[]) ?? []).some((modifier) => String(modifier['type']).startsWith('LIMIT')))
      this.#say(
        `a LIMIT looks over all partitions; QUALIFY row_number() OVER (PARTITION BY ${this.#written} ORDER BY …) <= n keeps the first of each`,
        node['modifiers'],
      );
  }

  /** A subquery in an expression that reads the source sees rows of other partitions. */
  #subqueries(node: Node, ctes: Ctes): void {
    const { from_table, cte_map, ...rest } = node;
    const functions = find(from_table, (inner) => inner['type'] === 'TABLE_FUNCTION' || inner['type'] === 'JOIN');
    const conditions = functions.map((inner) => inner['function'] ?? inner['condition']);
    for (const inner of find([rest, conditions], (child) => child['class'] === 'SUBQUERY'))
      if (this.#readsSource(inner, ctes))
        this.#say(`a subquery in an expression reads the source; join it by ${this.#written} instead`, inner);
  }

  #readsSource(node: Node, ctes: Ctes): boolean {
    return find(node, (inner) => inner['type'] === 'BASE_TABLE', true).some((table) => {
      const name = String(table['table_name']).toLowerCase();
      const cte = table['schema_name'] === '' ? ctes.get(name) : undefined;
      if (cte !== undefined) return cte.outputs !== null || this.#readsSource(cte.query, cte.scope);
      return `${String(table['schema_name'] || 'main').toLowerCase()}.${name}` === this.#source.table;
    });
  }

  get #written(): string {
    return this.#planning.written;
  }

  #say(words: string, where: unknown): void {
    this.reasons.push({ words, at: firstPlace(where) });
  }

  #refuse(words: string, where: Node): Outputs {
    this.#say(words, where);
    return this.#source.parts.map(() => new Set<string>());
  }
}

/** The first byte that something in the tree stands at; DuckDB gives what has no place the largest number. */
function firstPlace(where: unknown): number | null {
  const places = find(where, (node) => typeof node['query_location'] === 'number', true).map((node) => Number(node['query_location']));
  const known = places.filter((place) => place < 2 ** 32);
  return known.length === 0 ? null : Math.min(...known);
}

const UNNEST: ReadonlySet<string> = new Set(['unnest', 'unlist']);

export const WHOLE: Reading = { by: 'whole', reason: 'no join makes one of its columns equal to a column of the source' };

/** An equality between the two sides of a join. */
interface Pair {
  readonly left: Owned;
  readonly right: Owned;
}

function pairOf([one, other]: readonly [Node, Node], left: From, right: From): Pair[] {
  const pair = (a: Node, b: Node): Pair[] => {
    const [l, r] = [owner(a, left.relations), owner(b, right.relations)];
    return l !== null && r !== null ? [{ left: l, right: r }] : [];
  };
  const straight = pair(one, other);
  return straight.length > 0 ? straight : pair(other, one);
}

const swapped = ({ left, right }: Pair): Pair => ({ left: right, right: left });

/** GROUP BY 1 and DISTINCT ON (1) mean the first column of the list; in a window a number is a number. */
function counted(expressions: readonly Node[], list: readonly Node[]): Node[] {
  return expressions.map((expression) => {
    const value = expression['class'] === 'CONSTANT' ? (expression['value'] as Node) : undefined;
    const isPlace = value !== undefined && /INT/.test(String((value['type'] as Node)['id']));
    return (isPlace ? list[Number(value['value']) - 1] : undefined) ?? expression;
  });
}

const column = (name: string): Node => ({ class: 'COLUMN_REF', type: 'COLUMN_REF', alias: '', column_names: [name] });

function isPart(expression: Node, k: number, from: From, known?: Owned): boolean {
  const owned = known ?? owner(expression, from.relations);
  if (owned === null) return false;
  const { relation } = owned;
  if (!from.trusted.includes(relation) || relation.parts === null) return false;
  if (relation.parts.of === 'table') return sameText(owned.expression) === sameText(relation.parts.expressions[k]!);
  return isColumn(owned.expression) && relation.parts.names[k]!.has(namesOf(owned.expression).join('.'));
}

/** The one relation over whose columns an expression is, if there is one; its columns are named without it. */
function owner(expression: Node, relations: readonly Relation[]): Owned | null {
  if (find(expression, (node) => node['class'] === 'SUBQUERY' || node['class'] === 'STAR').length > 0) return null;
  const owners = new Set<Relation | null>();
  const own = rewrite(expression, (node) => {
    if (!isColumn(node)) return null;
    const found = resolve(namesOf(node), relations);
    owners.add(found?.relation ?? null);
    return found === null ? null : { ...node, column_names: found.names };
  });
  const [relation] = owners;
  return owners.size === 1 && relation != null ? { relation, expression: own } : null;
}

function resolve(names: readonly string[], relations: readonly Relation[]): { relation: Relation; names: readonly string[] } | null {
  const byAlias = names.length > 1 ? relations.find((relation) => relation.alias === names[0]) : undefined;
  if (byAlias !== undefined) return { relation: byAlias, names: names.slice(1) };
  const byTable = names.length > 2 ? relations.find((relation) => relation.table === `${names[0]}.${names[1]}`) : undefined;
  if (byTable !== undefined) return { relation: byTable, names: names.slice(2) };
  // Several have it only where USING made them one, or DuckDB would refuse the query.
  const byColumn = relations.find((relation) => relation.columns.has(names[0]!));
  return byColumn === undefined ? null : { relation: byColumn, names };
}

/** Columns of the partition that a star carries along. */
function starred(relation: Relation, k: number, star: Node): string[] {
  const { parts } = relation;
  const excluded = excludedBy(star);
  // COLUMNS(…) chooses by rules of its own.
  if (parts === null || star['columns'] === true) return [];
  const names =
    parts.of === 'query'
      ? [...parts.names[k]!]
      : parts.expressions
          .slice(k, k + 1)
          .filter(isColumn)
          .map((part) => namesOf(part).join('.'));
  return names.filter((name) => !excluded.has(name));
}

/** What EXCLUDE, REPLACE and RENAME take out of a star, or give another meaning. */
function excludedBy(star: Node): ReadonlySet<string> {
  const text = JSON.stringify([star['exclude_list'], star['qualified_exclude_list'], star['replace_list'], star['rename_list']]);
  return new Set([...text.matchAll(/"([^"]+)"/g)].map(([, name]) => name!.toLowerCase()));
}
