import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { fail, MillraceError, type Table } from '#core';
import type { Front } from '#platform';
import { type MetricShape, metricShape, parseDashboard } from '#visualize';
import type { LineageAnswer, LineageNode, MetricsAnswer, ViewsAnswer } from '../api.ts';
import { full, named } from '../names.ts';

type Found = Omit<LineageNode, 'level'>;
interface Graph {
  readonly nodes: Map<string, Found>;
  readonly edges: { from: string; to: string }[];
}

/** So many boxes can still be looked at. */
const mostNodes = 60;
const isName = /^[a-z][a-z0-9_-]{0,62}$/;

/** What is made from what, as definitions say it: topics and transfers → tables → views → models, metrics, saved questions, dashboards. */
export function lineageRoutes(app: FastifyInstance, front: Front): void {
  const { workspace, warehouse, models, transfers } = front;

  app.get(
    '/v1/metrics',
    { config: { action: 'catalog' } },
    async (): Promise<MetricsAnswer> => ({
      metrics: metrics(),
      time_zone: workspace.settings.timeZone,
      currency: workspace.settings.currency,
    }),
  );

  app.get<{ Querystring: { table?: unknown } }>(
    '/v1/lineage',
    { config: { action: 'catalog' } },
    async ({ query }): Promise<LineageAnswer> => {
      const asked = query.table;
      if (typeof asked !== 'string') return fail('REQUEST_INVALID', { problem: '"table" is missing: ?table=schema.name' });
      const [tables, { views }] = await Promise.all([
        warehouse.json<Table[]>('GET', '/tables'),
        warehouse.json<Pick<ViewsAnswer, 'views'>>('GET', '/views'),
      ]);
      const graph = whole(tables, views);
      const id = `table ${asked}`;
      if (!graph.nodes.has(id)) fail('TABLE_UNKNOWN', { table: asked.slice(0, 200) });
      return around(graph, id);
    },
  );

  function metrics(): MetricShape[] {
    return texts('metrics', '.yaml').flatMap(({ name, text }) => metricShape(name, text) ?? []);
  }

  function whole(tables: readonly Table[], views: ViewsAnswer['views']): Graph {
    const graph: Graph = { nodes: new Map(), edges: [] };
    const reads = (sql: string, to: Found) => {
      for (const table of named(sql, tables).found) edge(graph, nodeOf(table), to);
    };
    for (const table of tables.filter(({ origin }) => origin !== 'system')) {
      graph.nodes.set(nodeOf(table).id, nodeOf(table));
      if (table.origin === 'topic') edge(graph, { id: `topic ${table.name}`, kind: 'topic', name: table.name }, nodeOf(table));
    }
    for (const view of views) {
      for (const read of view.reads) edge(graph, tableNode(read, tables), tableNode(view.name, tables));
    }
    for (const transfer of transfers.list().transfers) {
      const node: Found = { id: `transfer ${transfer.name}`, kind: 'transfer', name: transfer.name };
      for (const { target } of transfer.tables) edge(graph, node, tableNode(target, tables));
    }
    for (const { name, versions } of models.models())
      if (versions[0] !== undefined) reads(versions[0].query, { id: `model ${name}`, kind: 'model', name });
    for (const { name, table } of metrics()) edge(graph, tableNode(table, tables), { id: `metric ${name}`, kind: 'metric', name });
    for (const { name, text } of texts('queries', '.sql')) reads(text, { id: `query ${name}`, kind: 'query', name });
    for (const { name, text } of texts('dashboards', '.yaml'))
      for (const sql of statementsOf(name, text)) reads(sql, { id: `dashboard ${name}`, kind: 'dashboard', name });
    return graph;
  }

  function texts(folder: string, ending: string): { name: string; text: string }[] {
    const path = join(workspace.path, folder);
    const files = existsSync(path) ? readdirSync(path).filter((file) => file.endsWith(ending)) : [];
    return files
      .map((file) => file.slice(0, -ending.length))
      .filter((name) => isName.test(name))
      .sort()
      .map((name) => ({ name, text: readFileSync(join(path, `${name}${ending}`), 'utf8') }));
  }
}

/** None of a file that can't be taken: the list of dashboards says what is wrong with it. */
function statementsOf(name: string, text: string): readonly string[] {
  try {
    return parseDashboard(text, `dashboards/${name}.yaml`).tiles.flatMap(({ sql }) => sql ?? []);
  } catch (thrown) {
    if (!(thrown instanceof MillraceError)) throw thrown;
    return [];
  }
}

function nodeOf(table: Table): Found {
  return { id: `table ${full(table)}`, kind: table.origin === 'view' || table.kind === 'view' ? 'view' : 'table', name: full(table) };
}

/** One that the catalog lacks is named all the same: a definition reads or makes it. */
function tableNode(name: string, tables: readonly Table[]): Found {
  const whole = name.includes('.') ? name : `main.${name}`;
  const found = tables.find((table) => full(table).toLowerCase() === whole.toLowerCase());
  return found === undefined ? { id: `table ${whole}`, kind: 'table', name: whole } : nodeOf(found);
}

function edge({ nodes, edges }: Graph, from: Found, to: Found): void {
  for (const node of [from, to]) if (!nodes.has(node.id)) nodes.set(node.id, node);
  if (from.id !== to.id && !edges.some((each) => each.from === from.id && each.to === to.id)) edges.push({ from: from.id, to: to.id });
}

/** All that is upstream and downstream of one node, each by its longest way, so that every arrow points to a higher level. */
function around({ nodes, edges }: Graph, start: string): LineageAnswer {
  const levels = new Map([[start, 0]]);
  for (const [here, there, step] of [
    ['to', 'from', -1],
    ['from', 'to', 1],
  ] as const) {
    let last = [start];
    // A ring of definitions would go on for ever.
    for (let depth = 1; depth <= nodes.size && last.length > 0 && depth < 12; depth++) {
      const next = edges.filter((each) => last.includes(each[here]) && each[there] !== start).map((each) => each[there]);
      last = [...new Set(next)].filter((id) => levels.has(id) || levels.size < mostNodes);
      for (const id of last) levels.set(id, step * depth);
    }
  }
  return {
    nodes: [...levels].map(([id, level]) => ({ ...nodes.get(id)!, level })),
    edges: edges.filter(({ from, to }) => levels.has(from) && levels.has(to) && levels.get(from)! < levels.get(to)!),
  };
}
