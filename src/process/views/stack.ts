/**
 * A partition of very many rows is read as a whole for each new row. Two views on each other read less: the lower one sums up by a
 * finer grain, the upper one sums up the lower. Proposed where every column of the query can be summed up twice.
 */
import { ctesOf, isColumn, type Node, outputName, queryOf, rewrite, sameText } from '#sql';
import { type Row, text } from '#store';
import { type Engine, quotedName } from './engine.ts';
import { sourceParts, timePart, type View } from './view.ts';

/** A partition of more rows than this is worth a view below. */
const LARGE = 1_000_000;

const FINER: Readonly<Record<string, string>> = {
  ...{ minute: 'second', hour: 'minute', day: 'hour' },
  ...{ week: 'day', month: 'day', quarter: 'day', year: 'day' },
};

/** How an aggregate of aggregates is taken. */
const AGAIN: Readonly<Record<string, (column: string) => string>> = {
  count_star: (column) => `CAST(sum(${column}) AS BIGINT)`,
  count: (column) => `CAST(sum(${column}) AS BIGINT)`,
  sum: (column) => `sum(${column})`,
  min: (column) => `min(${column})`,
  max: (column) => `max(${column})`,
  bool_and: (column) => `bool_and(${column})`,
  bool_or: (column) => `bool_or(${column})`,
};

/** Lines for EXPLAIN: nothing, the two statements, or why there are none. Reads the partition's columns of the source once. */
export async function stackFor(view: View, engine: Engine): Promise<readonly string[]> {
  const parts = sourceParts(view);
  if (parts === null || parts.some((part) => part.list !== null)) return [];
  const list = parts.map((part) => part.sql).join(', ');
  const [largest] = await engine.rows(`SELECT max(n) AS n FROM (SELECT count(*) AS n FROM ${quotedName(view.source)} GROUP BY ${list})`);
  const rows = Number(largest?.['n'] ?? 0);
  if (rows <= LARGE) return [];
  const said = `the largest partition has ${rows.toLocaleString('en-US')} rows, which are read for each change of it`;
  const proposed = await proposal(view, engine);
  return 'problem' in proposed ? [said, `a view below it can't be proposed: ${proposed.problem}`] : [said, proposed.lower, proposed.upper];
}

type Proposal = { readonly lower: string; readonly upper: string } | { readonly problem: string };

async function proposal(view: View, engine: Engine): Promise<Proposal> {
  const found = timePart(sourceParts(view) ?? []);
  const { unit, column: time } = found?.time ?? { unit: null, column: '' };
  const finer = unit === null ? undefined : FINER[unit];
  if (found === null || unit === null || finer === undefined) return { problem: 'the partition has no time of a grain that can be finer' };
  const query = queryOf(await engine.serialize(view.query));
  const problem = plain(query);
  if (problem !== null) return { problem };
  const list = query['select_list'] as readonly Node[];
  const grain = queryOf(await engine.serialize(`SELECT ${(sourceParts(view) ?? [])[found.part]!.sql}`))['select_list'] as readonly Node[];
  const isGrain = (node: Node) => node['class'] === 'FUNCTION' && sameText(node) === sameText(grain[0]!);
  const column = (item: Node) => `"${outputName(item).replaceAll('"', '""')}"`;
  const upper: string[] = [];
  for (const item of list) {
    const again = AGAIN[String(item['function_name'])];
    if (isGrain(item)) upper.push(`date_trunc('${unit}', ${column(item)}) AS ${column(item)}`);
    else if (isColumn(item)) upper.push(column(item));
    else if (again !== undefined && item['distinct'] !== true) upper.push(`${again(column(item))} AS ${column(item)}`);
    else return { problem: `${outputName(item)} can't be summed up twice` };
  }
  const grainItem = list.find(isGrain);
  if (grainItem === undefined) return { problem: 'its time is not among the columns as it stands in PARTITION BY' };
  const fine = rewrite(query, (node) => (isGrain(node) ? withUnit(node, unit, finer) : null));
  const lower = `${view.full}_by_${finer}`;
  const options = `OPTIONS (refresh = '${view.refresh} milliseconds')`;
  const groups = list.flatMap((item, k) => (isGrain(item) || isColumn(item) ? [String(k + 1)] : [])).join(', ');
  return {
    lower: `CREATE MATERIALIZED VIEW ${lower} PARTITION BY date_trunc('${finer}', ${time}) ${options} AS ${await printQuery(fine, engine)}`,
    upper: `CREATE OR REPLACE MATERIALIZED VIEW ${view.full} PARTITION BY date_trunc('${unit}', ${column(grainItem)}) ${options} AS SELECT ${upper.join(', ')} FROM ${lower} GROUP BY ${groups}`,
  };
}

/** Why the query is more than one table, grouped. */
function plain(query: Node): string | null {
  if (query['type'] !== 'SELECT_NODE' || ctesOf(query).length > 0) return 'the query is more than one SELECT';
  if ((query['from_table'] as Node)['type'] !== 'BASE_TABLE') return 'it reads more than one table';
  if (query['having'] != null || query['qualify'] != null || ((query['modifiers'] as Node[]) ?? []).length > 0)
    return 'it has HAVING, QUALIFY, DISTINCT, ORDER BY or LIMIT';
  return ((query['group_expressions'] as Node[]) ?? []).length === 0 ? 'it has no GROUP BY' : null;
}

function withUnit(node: Node, unit: string, finer: string): Node {
  return JSON.parse(JSON.stringify(node).replaceAll(`"value":"${unit}"`, `"value":"${finer}"`)) as Node;
}

async function printQuery(query: Node, engine: Engine): Promise<string> {
  const tree = JSON.parse(await engine.serialize('SELECT 1')) as { statements: Node[] };
  const json = JSON.stringify({ error: false, statements: [{ ...tree.statements[0], node: query }] }, (key, value) =>
    key === 'query_location' ? 0 : value,
  );
  const [row]: Row[] = await engine.rows(`SELECT json_deserialize_sql(${text(json)}::JSON) AS sql`);
  return String(row!['sql']);
}
