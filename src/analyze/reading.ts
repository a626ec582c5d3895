/** Small things that we ask the engine ourselves. */
import type { Column } from '#core';
import { type Node, quoteLiteral, treeText } from '#sql';
import { type Chunk, newTextBuffer, type Reader, type Values } from '#store';

type Cells = (string | null)[];

/** The first row as text. */
export async function firstRow(reader: Reader, sql: string, values?: Values): Promise<Cells> {
  const result = await reader.stream(sql, values);
  const chunk = await result.next();
  const cells = chunk === null ? [] : result.columns.map((_, at) => cellText(chunk, at, 0));
  while ((await result.next()) !== null);
  return cells;
}

function cellText(chunk: Chunk, column: number, row: number): string | null {
  const buffer = newTextBuffer();
  return chunk.text(column, row, buffer) ? buffer.bytes.toString('utf8', 0, buffer.end) : null;
}

export async function columnsOf(reader: Reader, sql: string): Promise<readonly Column[]> {
  const result = await reader.stream(sql);
  while ((await result.next()) !== null);
  return result.columns;
}

export interface Bound {
  readonly sql: string;
  readonly values: Readonly<Record<string, unknown>>;
}

/** Only the values that a text reads: the engine refuses others. */
export function bound(sql: string, values: Readonly<Record<string, unknown>>): Bound {
  const read = Object.entries(values).filter(([name]) => new RegExp(`\\$${name}\\b`).test(sql));
  return { sql, values: Object.fromEntries(read) };
}

/** How many rows a grouping reads behind its conditions, and how many groups it gives, as the engine estimates. */
export async function estimateOf({ sql, values }: Bound, reader: Reader): Promise<{ rows: number; groups: number }> {
  const [, plan] = await firstRow(reader, `EXPLAIN (FORMAT json) ${sql}`, values);
  const nodes = all(JSON.parse(plan!) as PlanNode[]);
  const estimate = (node: PlanNode) => Number(node.extra_info?.['Estimated Cardinality'] ?? 0);
  return {
    rows: Math.max(0, ...nodes.filter(({ name }) => /SCAN/.test(name)).map(estimate)),
    // Behind a grouping nothing changes their number, and not every kind of grouping says it itself.
    groups: estimate(nodes[0]!),
  };
}

interface PlanNode {
  readonly name: string;
  readonly extra_info?: Readonly<Record<string, unknown>>;
  readonly children?: readonly PlanNode[];
}

const all = (nodes: readonly PlanNode[]): PlanNode[] => nodes.flatMap((node) => [node, ...all(node.children ?? [])]);

let aggregates: Promise<ReadonlySet<string>> | null = null;

/** The names of all functions that take many rows: the engine's, so that they are the same for every warehouse of this process. */
export function aggregateNames(reader: Reader): Promise<ReadonlySet<string>> {
  aggregates ??= firstRow(
    reader,
    "SELECT string_agg(DISTINCT function_name, ' ') FROM duckdb_functions() WHERE function_type = 'aggregate'",
  ).then(([names]) => new Set((names ?? '').split(' ')));
  aggregates.catch(() => {
    aggregates = null;
  });
  return aggregates;
}

/** The one expression of a SELECT that `printed` gave, to be read: the engine calls count(*) count_star(). */
export const expressionIn = (select: string | null): string =>
  (select ?? '').replace(/^SELECT /, '').replace(/\bcount_star\(\)/g, 'count(*)');

/** Trees as SQL again, by the engine itself, in one go. */
export async function printed(reader: Reader, trees: readonly (Node | null)[]): Promise<Cells> {
  const texts = trees.map((node) => (node === null ? 'NULL' : `json_deserialize_sql(${quoteLiteral(treeText(node))}::JSON)`));
  return texts.length === 0 ? [] : firstRow(reader, `SELECT ${texts.join(', ')}`);
}
