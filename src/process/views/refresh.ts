/**
 * One refresh: in one transaction the partitions that new rows touched are deleted and computed again from the source, and the
 * batch up to which the view is right is recorded. So a view equals its query in batch at any time, however late or disordered
 * the rows came.
 */
import { name, quoted, type Row, type Transaction, text } from '#store';
import { frozenSql, setLateAside } from './late.ts';
import { withSubqueries } from './plain.ts';
import { type Input, type Part, quotedName, truncatedTime, type View } from './view.ts';

export interface Refreshed {
  readonly mode: 'partitions' | 'whole' | 'nothing';
  readonly partitions: number;
  readonly rows: number;
  /** Rows that came for a frozen partition, if any did. */
  readonly late?: number;
}

/** All columns but the source's own batch number, which a SELECT * would carry along. */
export const COLUMNS = `COLUMNS(name -> name <> '_batch')`;

/** Time partitions further apart than this are read as separate ranges. */
const MAX_RANGES = 16;

const NOTHING: Refreshed = { mode: 'nothing', partitions: 0, rows: 0 };

/**
 * `since` is the batch up to which the view is right; null builds it. `whole` forces a full recompute. What is frozen by `watermark`
 * stays as it is.
 */
export async function refreshView(
  tx: Transaction,
  view: View,
  since: number | null,
  options: { whole: boolean; keepOld: boolean; watermark: string | null; news?: News },
): Promise<Refreshed> {
  const { watermark } = options;
  if (since === null) return recompute(tx, view);
  const changed = await changeTables((sql) => tx.rows(sql));
  const replaced = changed.get(view.source);
  const aside = replaced === undefined ? null : changeTable(replaced);
  const found = watermark === null ? 0 : await setLateAside(tx, view, since, watermark, aside);
  const late = found === 0 ? {} : { late: found };
  if (view.columns === null || options.whole) {
    if (watermark !== null) return { ...(await recomputeOpen(tx, view, watermark)), ...late };
    return (options.keepOld ? await recomputeByDifference(tx, view) : null) ?? recompute(tx, view);
  }
  await tx.run(`CREATE OR REPLACE TEMP TABLE touched AS ${touchedSql(view, since, changed, watermark, options.news)}`);
  const names = view.columns.map((_, k) => `_p${k}`);
  const [sum] = await tx.rows(
    `SELECT count(*) AS n, bool_or(${names.map((name) => `${name} IS NULL`).join(' OR ')}) AS nulls FROM touched`,
  );
  const partitions = Number(sum!['n']);
  if (partitions === 0) return found === 0 ? NOTHING : { mode: 'partitions', partitions, rows: 0, ...late };
  const among = amongSql(names, sum!['nulls'] === true);
  const own = ownColumns(view);
  const affected = `${among(own)}${view.lookback === null ? '' : await fromTouched((sql) => tx.rows(sql), `"${view.lookback.column}"`, own)}`;
  if (options.keepOld) await keepOld(tx, view, affected);
  const gone = await tx.run(`DELETE FROM ${quoted(view.name)} WHERE ${affected}`);
  // A row of the source may belong to other partitions too (hopping windows, a lookback): those stay as they are.
  const rows = await tx.run(
    `INSERT INTO ${quoted(view.name)} SELECT ${COLUMNS}, ${tx.batch} AS _batch FROM (${await touchedQuery((sql) => tx.rows(sql), view, among)}\n) AS fresh WHERE ${affected}`,
  );
  // Rows that a view leaves out touch partitions of which it has no row: those who stand on it have nothing to do.
  if (gone + rows > 0) tx.changed({ kind: 'view', target: view.full, rows });
  return { mode: 'partitions', partitions, rows, ...late };
}

/** The columns of the view that hold the partition, as SQL. */
export const ownColumns = (view: View): string[] => (view.columns ?? []).map((column) => `"${column.replaceAll('"', '""')}"`);

/** The view's query over the rows of the touched partitions alone; the table `touched` is in scope. */
export async function touchedQuery(rows: (sql: string) => Promise<Row[]>, view: View, among: Among): Promise<string> {
  const sources = new Map<Input, string>();
  for (const input of view.inputs) {
    if (input.by !== 'partition') continue;
    sources.set(input, `(SELECT * FROM ${quotedName(input.table)} WHERE ${await restricted(rows, view, input.parts, among)})`);
  }
  return withSources(view, sources);
}

/** Readers see the old rows until the transaction commits. Whoever stands on it can't know what went: the record says that all of it changed. */
async function recompute(tx: Transaction, view: View): Promise<Refreshed> {
  await tx.run(`CREATE SCHEMA IF NOT EXISTS "${view.name.schema}"`);
  await tx.run(
    `CREATE OR REPLACE TABLE ${quoted(view.name)} AS SELECT ${COLUMNS}, ${tx.batch}::BIGINT AS _batch FROM (${view.query}\n) AS fresh`,
  );
  await tx.run(`DROP TABLE IF EXISTS ${changeTable(view.full)}`);
  const [count] = await tx.rows(`SELECT count(*) AS n FROM ${quoted(view.name)}`);
  const rows = Number(count!['n']);
  tx.changed({ kind: 'view', target: view.full, key: 'whole', rows });
  return { mode: 'whole', partitions: 0, rows };
}

/**
 * The whole computed again, and only the rows written that differ: whoever stands on it is told row by row. Null, and nothing done, where
 * the query has come to give other columns than those that stand there.
 */
async function recomputeByDifference(tx: Transaction, view: View): Promise<Refreshed | null> {
  const own = quoted(view.name);
  const shape = async (from: string) => JSON.stringify(await tx.rows(`DESCRIBE ${from}`));
  await tx.run(`CREATE OR REPLACE TEMP TABLE anew AS SELECT ${COLUMNS} FROM (${view.query}\n) AS fresh`);
  const [was, is] = [await shape(`SELECT * EXCLUDE (_batch) FROM ${own}`), await shape('SELECT * FROM anew')];
  const differs = was === is ? await writeDifference(tx, view, own) : null;
  await tx.run('DROP TABLE anew');
  return differs === null ? null : { mode: 'whole', partitions: 0, rows: differs };
}

/** Of each row that one side has more often than the other, all copies are written again. */
async function writeDifference(tx: Transaction, view: View, own: string): Promise<number> {
  const before = `SELECT * EXCLUDE (_batch) FROM ${own}`;
  await tx.run(`CREATE OR REPLACE TEMP TABLE differing AS
    (${before} EXCEPT ALL FROM anew) UNION (FROM anew EXCEPT ALL ${before})`);
  const [size] = await tx.rows('SELECT count(*) AS n FROM differing');
  let rows = 0;
  if (Number(size!['n']) > 0) {
    const columns = (await tx.rows('DESCRIBE anew')).map((column) => name(String(column['column_name'])));
    const among = (table: string) =>
      `EXISTS (SELECT 1 FROM differing AS d WHERE ${columns.map((column) => `d.${column} IS NOT DISTINCT FROM ${table}.${column}`).join(' AND ')})`;
    await keepOld(tx, view, among('kept'));
    await tx.run(`DELETE FROM ${own} AS kept WHERE ${among('kept')}`);
    rows = await tx.run(`INSERT INTO ${own} SELECT *, ${tx.batch} AS _batch FROM anew WHERE ${among('anew')}`);
    tx.changed({ kind: 'view', target: view.full, rows });
  }
  await tx.run('DROP TABLE differing');
  return rows;
}

/** All that is not frozen, anew. */
async function recomputeOpen(tx: Transaction, view: View, watermark: string): Promise<Refreshed> {
  const open = `(${frozenSql(view, ownColumns(view), watermark)}) IS NOT TRUE`;
  await tx.run(`DELETE FROM ${quoted(view.name)} WHERE ${open}`);
  const rows = await tx.run(
    `INSERT INTO ${quoted(view.name)} SELECT ${COLUMNS}, ${tx.batch} AS _batch FROM (${view.query}\n) AS fresh WHERE ${open}`,
  );
  await tx.run(`DROP TABLE IF EXISTS ${changeTable(view.full)}`);
  tx.changed({ kind: 'view', target: view.full, key: 'whole', rows });
  return { mode: 'whole', partitions: 0, rows };
}

export const changeTable = (full: string): string => `change."${full.replaceAll('"', '""')}"`;

/** Names of the tables of which replaced rows are kept, by schema.name in lower case. */
export async function changeTables(rows: (sql: string) => Promise<Row[]>): Promise<ReadonlyMap<string, string>> {
  const found = await rows(`SELECT table_name AS name FROM duckdb_tables() WHERE schema_name = 'change'`);
  return new Map(found.map(({ name }) => [String(name).toLowerCase(), String(name)]));
}

/** The table that new rows were read into for several views at once, by schema.name in lower case of where they came from. */
export type News = ReadonlyMap<string, string>;

/** Where new rows of a table stand: in it, and those that were replaced in its change record. */
export function newsOf(table: string, changed: ReadonlyMap<string, string>): string[] {
  const replaced = changed.get(table);
  return [quotedName(table), ...(replaced === undefined ? [] : [changeTable(replaced)])];
}

/**
 * A query of the partitions of rows that came after batch `since`, of rows that were replaced after it, and of rows that look up what
 * changed; without those that `watermark` has frozen.
 */
export function touchedSql(
  view: View,
  since: number,
  changed: ReadonlyMap<string, string>,
  watermark: string | null,
  shared: News = new Map(),
): string {
  const news = (table: string, columns: string): string[] =>
    (shared.has(table) ? [shared.get(table)!] : newsOf(table, changed)).map(
      (from) => `SELECT ${columns} FROM ${from} WHERE _batch > ${since}`,
    );
  const listed = (parts: readonly Part[]) => parts.map((part, k) => `${part.sql} AS _p${k}`).join(', ');
  const time = view.lookback === null ? '' : ', _time';
  const selects = view.inputs.flatMap((input) => {
    if (input.by === 'partition') return news(input.table, listed(input.parts) + time);
    if (input.by === 'key')
      return [
        `SELECT ${listed(input.of.parts)} FROM ${quotedName(input.of.table)} WHERE ${input.of.key} IN (${news(input.table, input.key).join(' UNION ALL ')})`,
      ];
    return [];
  });
  const own = (view.columns ?? []).map((_, k) => `_p${k}`);
  const names = own.join(', ');
  const open = watermark === null ? '' : ` WHERE (${frozenSql(view, own, watermark)}) IS NOT TRUE`;
  const grouped =
    view.lookback === null
      ? ''
      : `, coalesce(min(_time) FILTER (WHERE _time IS NOT NULL), '-infinity') AS _from, bool_or(_time IS NULL) AS _timeless`;
  return `SELECT ${names}${grouped} FROM (${selects.join(' UNION ALL ')}) AS news${open} GROUP BY ${names}`;
}

type Among = (expressions: readonly string[]) => string;

/** Is the partition that the expressions give among the touched ones? NULL is a partition too. */
export function amongSql(names: readonly string[], nulls: boolean): Among {
  const listed = names.join(', ');
  return (expressions) => {
    const within = `${expressions.length === 1 ? expressions[0] : `(${expressions.join(', ')})`} IN (SELECT ${names.length === 1 ? listed : `(${listed})`} FROM touched)`;
    if (!nulls) return within;
    if (names.length === 1) return `(${within} OR ${expressions[0]} IS NULL)`;
    return `EXISTS (SELECT 1 FROM touched WHERE ${names.map((name, k) => `${name} IS NOT DISTINCT FROM ${expressions[k]}`).join(' AND ')})`;
  };
}

/** Which rows of a table a refresh reads. */
export async function restricted(rows: (sql: string) => Promise<Row[]>, view: View, parts: readonly Part[], among: Among): Promise<string> {
  const [only] = parts;
  if (parts.length === 1 && only!.list !== null) return `list_has_any(${only!.list}, (SELECT list(_p0) FROM touched))`;
  const expressions = parts.map((part) => part.sql);
  if (view.lookback === null) return `${among(expressions)}${parts.length === 1 ? await rangeSql(rows, only!.sql) : ''}`;
  return `${among(expressions)} AND (_time >= ${await firstTouched(rows)} - to_milliseconds(${view.lookback.span}) OR _time IS NULL)`;
}

async function firstTouched(rows: (sql: string) => Promise<Row[]>): Promise<string> {
  const [first] = await rows(`SELECT CAST(min(CASE WHEN _timeless THEN '-infinity' ELSE _from END) AS VARCHAR) AS t FROM touched`);
  return `${text(String(first!['t']))}::TIMESTAMPTZ`;
}

/** With a lookback only rows from the key's first touched time on can have changed; the plain bound spares DuckDB the older ones. */
async function fromTouched(rows: (sql: string) => Promise<Row[]>, time: string, own: readonly string[]): Promise<string> {
  const same = own.map((column, k) => `t._p${k} IS NOT DISTINCT FROM ${column}`).join(' AND ');
  const bound = `(${time} >= ${await firstTouched(rows)} OR ${time} IS NULL)`;
  return ` AND ${bound} AND EXISTS (SELECT 1 FROM touched AS t WHERE ${same} AND (t._timeless OR ${time} IS NULL OR ${time} >= t._from))`;
}

/** The rows that go, for those who stand on this view. */
async function keepOld(tx: Transaction, view: View, where: string): Promise<void> {
  const change = changeTable(view.full);
  await tx.run(`CREATE TABLE IF NOT EXISTS ${change} AS SELECT * FROM ${quoted(view.name)} LIMIT 0`);
  await tx.run(`INSERT INTO ${change} SELECT * EXCLUDE (_batch), ${tx.batch} FROM ${quoted(view.name)} AS kept WHERE ${where}`);
}

/** For time partitions also the plain ranges, so that DuckDB's zone maps let it read only these parts of the history. */
async function rangeSql(rows: (sql: string) => Promise<Row[]>, expression: string): Promise<string> {
  const truncated = truncatedTime(expression);
  if (truncated === null) return '';
  const { unit, column } = truncated;
  const touched = (await rows('SELECT CAST(_p0 AS VARCHAR) AS p FROM touched ORDER BY _p0')).map((row) => row['p']);
  const times = touched.filter((time) => time !== null).map(String);
  const ranges: string[] = touched.length > times.length ? [`${column} IS NULL`] : [];
  const step = Math.max(1, Math.ceil(times.length / MAX_RANGES));
  for (let k = 0; k < times.length; k += step) {
    const [lo, hi] = [times[k]!, times[Math.min(k + step, times.length) - 1]!];
    ranges.push(`(${column} >= ${text(lo)}::TIMESTAMPTZ AND ${column} < ${text(hi)}::TIMESTAMPTZ + INTERVAL 1 ${unit})`);
  }
  return ` AND (${ranges.join(' OR ')})`;
}

/** The query with names of tables replaced by subqueries. */
export function withSources(view: View, subqueries: ReadonlyMap<Input, string>): string {
  return withSubqueries(
    view.query,
    [...subqueries].map(([{ at }, subquery]) => ({ at, subquery })),
  );
}
