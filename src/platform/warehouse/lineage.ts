/** Lineage: what is made from what, as definitions say it: topics and transfers → tables → views → models, metrics, questions, dashboards. */
import { json } from 'node:stream/consumers';
import { fail, type Table } from '#core';
import type { Keeper, Queries } from '#process';
import { fullName, named } from '#sql';
import type { Store } from '#store';
import type { Routes } from './http.ts';
import type { Reader } from './readers.ts';

interface Node {
  readonly id: string;
  readonly kind: 'topic' | 'transfer' | 'table' | 'view' | 'scheduled query' | Reader['kind'];
  readonly name: string;
}

interface Graph {
  readonly nodes: Map<string, Node>;
  readonly edges: { from: string; to: string }[];
}

/** The front knows them: by name, the tables that each fills. */
export type Transfers = readonly { readonly name: string; readonly targets: readonly string[] }[];

interface Asked {
  readonly table: string;
  readonly transfers: Transfers;
}

/** So many boxes can still be looked at. */
const MOST = 60;
const DEEPEST = 12;

export function lineageRoutes(input: {
  readonly store: Store;
  readonly keeper: Keeper;
  readonly queries: Queries;
  readonly readers: () => readonly Reader[];
}): Routes {
  const { store, keeper, queries, readers } = input;

  async function whole(transfers: Transfers): Promise<Graph> {
    const tables = await store.tables();
    const graph: Graph = { nodes: new Map(), edges: [] };
    const at = (name: string) => nodeOf(name, tables);
    for (const table of tables.filter(({ origin }) => origin !== 'system')) {
      const node = at(fullName(table));
      graph.nodes.set(node.id, node);
      if (table.origin === 'topic') edge(graph, nodeAs('topic', table.name), node);
    }
    for (const { name, targets } of transfers) for (const target of targets) edge(graph, nodeAs('transfer', name), at(target));
    for (const { name, reads, models } of keeper.states()) {
      for (const read of reads) edge(graph, at(read), at(name));
      for (const { model } of models) edge(graph, nodeAs('model', model), at(name));
    }
    for (const [name, sql] of await keeper.plainTexts())
      for (const table of named(sql, tables).found) edge(graph, at(fullName(table)), at(name));
    for (const { name, reads } of queries.states()) for (const read of reads) edge(graph, at(read), at(name));
    for (const { kind, name, sql } of readers())
      for (const table of named(sql, tables).found) edge(graph, at(fullName(table)), nodeAs(kind, name));
    return graph;
  }

  return {
    /** What has a name and is no table, but for what the front knows itself: transfers and models. */
    'GET /names': async () => [
      ...queries.states().map(({ name }) => ({ kind: 'scheduled query', name })),
      ...readers().flatMap(({ kind, name }) => (kind === 'model' ? [] : [{ kind, name }])),
    ],
    'POST /lineage': async ({ request }) => {
      const { table, transfers } = (await json(request)) as Asked;
      const graph = await whole(transfers);
      const id = `table ${table}`;
      if (!graph.nodes.has(id)) fail('TABLE_UNKNOWN', { table: table.slice(0, 200) });
      return around(graph, id);
    },
  };
}

const nodeAs = (kind: Node['kind'], name: string): Node => ({ id: `${kind} ${name}`, kind, name });

/** One that the catalog lacks is named all the same: a definition reads or makes it. */
function nodeOf(name: string, tables: readonly Table[]): Node {
  const whole = name.includes('.') ? name : `main.${name}`;
  const found = tables.find((table) => fullName(table).toLowerCase() === whole.toLowerCase());
  const isView = found !== undefined && (found.origin === 'view' || found.kind === 'view');
  const full = found === undefined ? whole : fullName(found);
  return { id: `table ${full}`, kind: isView ? 'view' : 'table', name: full };
}

function edge({ nodes, edges }: Graph, from: Node, to: Node): void {
  for (const node of [from, to]) if (!nodes.has(node.id)) nodes.set(node.id, node);
  if (from.id !== to.id && !edges.some((each) => each.from === from.id && each.to === to.id)) edges.push({ from: from.id, to: to.id });
}

/** All that is upstream and downstream of one node, each by its longest way, so that every arrow points to a higher level. */
function around({ nodes, edges }: Graph, start: string): { nodes: (Node & { level: number })[]; edges: Graph['edges'] } {
  const levels = new Map([[start, 0]]);
  for (const [here, there, step] of [
    ['to', 'from', -1],
    ['from', 'to', 1],
  ] as const) {
    let last = [start];
    // A ring of definitions would go on for ever.
    for (let depth = 1; depth < DEEPEST && last.length > 0; depth++) {
      const next = edges.filter((each) => last.includes(each[here]) && each[there] !== start).map((each) => each[there]);
      last = [...new Set(next)].filter((id) => levels.has(id) || levels.size < MOST);
      for (const id of last) levels.set(id, step * depth);
    }
  }
  return {
    nodes: [...levels].map(([id, level]) => ({ ...nodes.get(id)!, level })),
    edges: edges.filter(({ from, to }) => levels.has(from) && levels.has(to) && levels.get(from)! < levels.get(to)!),
  };
}
