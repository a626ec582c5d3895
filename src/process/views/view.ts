/** A materialized view from its definition's text: checked, with its plan, before anything of it is run. */
import { fail, type Millis, type Role } from '#core';
import { type CreateMaterializedViewStatement, checkStatement, functionFamilies, readStatement, type Serialize } from '#sql';
import type { TableName } from '#store';
import { type PartitionPlan, planPartition } from './plan.ts';

export interface View {
  readonly name: TableName;
  /** schema.name */
  readonly full: string;
  /** The whole statement, as it stands in the file. */
  readonly definition: string;
  readonly query: string;
  /** SQL of the partition expression over the source's columns, or null. */
  readonly partition: string | null;
  readonly plan: PartitionPlan;
  /** The table whose changes say which partitions were touched: the first that the query reads. */
  readonly source: string;
  /** Where in `query` the source is named. */
  readonly sourceAt: readonly number[];
  /** The other tables that it reads: a change of one of them recomputes the whole. */
  readonly others: readonly string[];
  readonly refresh: Millis;
}

/** Functions that give another answer each time; a view on them would never equal its batch. */
const CHANGING = new Set([
  ...['random', 'uuid', 'uuidv4', 'uuidv7', 'gen_random_uuid', 'now', 'today', 'get_current_timestamp', 'get_current_time'],
  ...['current_date', 'current_localtime', 'current_localtimestamp', 'current_timestamp', 'transaction_timestamp', 'txid_current'],
]);

const aggregates = new Set(
  Object.entries(functionFamilies).flatMap(([family, names]) => (/aggregat/i.test(family) ? names.split(' ') : [])),
);
aggregates.add('count_star');

const REFRESH: Millis = 1000;

/** Errors: SQL_*, VIEW_*. `text` is a CREATE MATERIALIZED VIEW statement. */
export async function readView(
  text: string,
  serialize: Serialize,
  who: {
    role: Role;
    mayRead: (schema: string | null, name: string) => boolean;
    mayWrite: (schema: string, name: string | null) => boolean;
  },
): Promise<View> {
  const statement = await readStatement(text, serialize);
  if (statement.kind !== 'create_materialized_view') return fail('SQL_KIND', { kind: statement.kind.toUpperCase().replaceAll('_', ' ') });
  checkStatement(statement, who);
  return viewOf(statement, serialize);
}

export async function viewOf(statement: CreateMaterializedViewStatement, serialize: Serialize): Promise<View> {
  for (const { name } of statement.reads.functions)
    if (CHANGING.has(name.toLowerCase())) fail('VIEW_NOT_DETERMINISTIC', { function: name });
  const query = await readStatement(statement.body, serialize);
  const tables = query.reads.tables.map((table) => ({ full: `${table.schema ?? 'main'}.${table.name}`.toLowerCase(), at: table.position }));
  const source = tables[0]?.full ?? fail('VIEW_PARTITION', { problem: 'the query reads no table' });
  const [schema, name] = source.split('.') as [string, string];
  const { partitionBy } = statement;
  const plan: PartitionPlan =
    partitionBy === null
      ? { column: null, reasons: ['there is no PARTITION BY'] }
      : planPartition(await serialize(statement.body), await serialize(`SELECT ${partitionBy}`), { schema, name }, aggregates);
  return {
    name: { schema: statement.target.schema, name: statement.target.name },
    full: `${statement.target.schema}.${statement.target.name}`,
    definition: statement.text,
    query: statement.body,
    partition: partitionBy,
    plan,
    source,
    sourceAt: tables.filter((table) => table.full === source).map((table) => table.at),
    others: [...new Set(tables.map((table) => table.full).filter((full) => full !== source))],
    refresh: refreshOf(statement.options),
  };
}

const UNITS: Readonly<Record<string, Millis>> = { millisecond: 1, second: 1000, minute: 60_000, hour: 3_600_000, day: 86_400_000 };

function refreshOf(options: CreateMaterializedViewStatement['options']): Millis {
  for (const option of Object.keys(options)) if (option !== 'refresh') fail('VIEW_OPTION', { option, problem: 'is unknown' });
  const wanted = options['refresh'];
  if (wanted === undefined) return REFRESH;
  const match = /^(\d+)\s*(millisecond|second|minute|hour|day)s?$/i.exec(String(wanted));
  const every = match === null ? Number.NaN : Number(match[1]) * UNITS[match[2]!.toLowerCase()]!;
  return every >= 100 && every <= 7 * 86_400_000
    ? every
    : fail('VIEW_OPTION', { option: 'refresh', problem: `can't be ${String(wanted).slice(0, 50)}` });
}

/** Views in an order in which each comes after those that it reads. Errors: VIEW_CYCLE. */
export function inOrder(views: readonly View[]): View[] {
  const byName = new Map(views.map((view) => [view.full.toLowerCase(), view]));
  const done = new Set<View>();
  const ordered: View[] = [];
  const visit = (view: View, path: readonly string[]): void => {
    if (done.has(view)) return;
    if (path.includes(view.full)) fail('VIEW_CYCLE', { path: [...path.slice(path.indexOf(view.full)), view.full].join(' → ') });
    for (const read of [view.source, ...view.others]) {
      const upstream = byName.get(read);
      if (upstream !== undefined) visit(upstream, [...path, view.full]);
    }
    done.add(view);
    ordered.push(view);
  };
  for (const view of views) visit(view, []);
  return ordered;
}
