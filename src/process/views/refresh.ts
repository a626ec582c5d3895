/**
 * One refresh: in one transaction the partitions that new rows touched are deleted and computed again from the source, and the
 * batch up to which the view is right is recorded. So a view equals its query in batch at any time, however late or disordered
 * the rows came.
 */
import { name, quoted, type Row, type Transaction, text } from '#store';
import { quotedName } from './engine.ts';
import { frozenSql, setLateAside } from './late.ts';
import { withSubqueries } from './plain.ts';
import { timesOf } from './time.ts';
import { type Input, type Part, timePart, type View } from './view.ts';

export interface Refreshed {
  readonly mode: 'partitions' | 'whole' | 'nothing';
  readonly partitions: number;
  readonly rows: number;
  /** Rows that came for a frozen partition, if any did. */
  readonly late?: number;
}

/** All columns but the source's own batch number, which a SELECT * would carry along. */
export const COLUMNS = `COLUMNS(name -> name <> '_batch')`;

/** Time partitions apart from each other are read as so many ranges, split where they are furthest apart. */
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
  const replacedIn = (table: string) => (changed.has(table) ? changeTable(changed.get(table)!) : null);
  const found = watermark === null ? 0 : await setLateAside(tx, view, since, watermark, replacedIn);
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
  const time = view.lookback === null ? null : name(view.lookback.column);
  const affected = `${among(own)}${time === null ? '' : fromTouched(time, own)}`;
  let gone = 0;
  for (const range of time === null ? ['true'] : fromSql(time, await firstTouched((sql) => tx.rows(sql)))) {
    if (options.keepOld) await keepOld(tx, view, `${range} AND ${affected}`);
    gone += await tx.run(`DELETE FROM ${quoted(view.name)} WHERE ${range} AND ${affected}`);
  }
  // A row of the source may belong to other partitions too (hopping windows, a lookback): those stay as they are.
  const rows = await tx.run(
    `INSERT INTO ${quoted(view.name)} SELECT ${COLUMNS}, ${tx.batch} AS _batch FROM (${await touchedQuery((sql) => tx.rows(sql), view, among)}\n) AS fresh WHERE ${affected}${ordered(view)}`,
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
    sources.set(input, await touchedRows(rows, view, input, among));
  }
  return withSources(view, sources);
}

/** Rows with a lookback stand in the order of their time, as a window leaves them by key: a refresh looks for the newest alone. */
export const ordered = (view: View): string => (view.lookback === null ? '' : ` ORDER BY ${name(view.lookback.column)}`);

/** Readers see the old rows until the transaction commits. Whoever stands on it can't know what went: the record says that all of it changed. */
async function recompute(tx: Transaction, view: View): Promise<Refreshed> {
  await tx.run(`CREATE SCHEMA IF NOT EXISTS "${view.name.schema}"`);
  await tx.run(
    `CREATE OR REPLACE TABLE ${quoted(view.name)} AS SELECT ${COLUMNS}, ${tx.batch}::BIGINT AS _batch FROM (${view.query}\n) AS fresh${ordered(view)}`,
  );
  await tx.run(`DROP TABLE IF EXISTS ${changeTable(view.full)}`);
  const [count] = await tx.rows(`SELECT count(*) AS n FROM ${quoted(view.name)}`);
  const rows = Number(count!['n']);
  tx.changed({ kind: 'view', target: view.full, key: 'whole', rows });
  return { mode: 'whole', partitions: 0, rows };
}

/** Has the table of a view the columns that its query gives? They are others once the source's are. */
export async function isShaped(rows: (sql: string) => Promise<Row[]>, view: View): Promise<boolean> {
  const shape = (from: string) => rows(`SELECT column_name, column_type FROM (DESCRIBE SELECT ${COLUMNS} FROM ${from})`);
  const is = await shape(`(${view.query}\n) AS fresh`);
  return JSON.stringify(is) === JSON.stringify(await shape(quoted(view.name)));
}

/**
 * The whole computed again, and only the rows written that differ: whoever stands on it is told row by row. Null, and nothing done, where
 * the query has come to give other columns than those that stand there.
 */
async function recomputeByDifference(tx: Transaction, view: View): Promise<Refreshed | null> {
  if (!(await isShaped((sql) => tx.rows(sql), view))) return null;
  await tx.run(`CREATE OR REPLACE TEMP TABLE anew AS SELECT ${COLUMNS} FROM (${view.query}\n) AS fresh`);
  const rows = await writeDifference(tx, view, quoted(view.name));
  await tx.run('DROP TABLE anew');
  return { mode: 'whole', partitions: 0, rows };
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

/** All that is not frozen, anew. What is frozen stays, in the columns that the query gives now. */
async function recomputeOpen(tx: Transaction, view: View, watermark: string): Promise<Refreshed> {
  const own = quoted(view.name);
  const open = `(${frozenSql(view, ownColumns(view), watermark)}) IS NOT TRUE`;
  const fresh = `SELECT ${COLUMNS}, ${tx.batch}::BIGINT AS _batch FROM (${view.query}\n) AS fresh`;
  if (!(await isShaped((sql) => tx.rows(sql), view))) {
    await tx.run(`CREATE OR REPLACE TEMP TABLE frozen AS FROM ${own} WHERE NOT (${open})`);
    await tx.run(`CREATE OR REPLACE TABLE ${own} AS ${fresh} LIMIT 0`);
    const has = (await tx.rows(`DESCRIBE ${own}`)).map(({ column_name }) => text(String(column_name)));
    await tx.run(`INSERT INTO ${own} BY NAME SELECT COLUMNS(name -> name IN (${has.join(', ')})) FROM frozen`);
    await tx.run('DROP TABLE frozen');
  } else await tx.run(`DELETE FROM ${own} WHERE ${open}`);
  const rows = await tx.run(`INSERT INTO ${own} ${fresh} WHERE ${open}`);
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
    if (view.untold.has(input.table)) return [];
    if (input.by === 'partition') return news(input.table, listed(input.parts) + time);
    if (input.by === 'key')
      return [
        `SELECT ${listed(input.of.parts)} FROM ${quotedName(input.of.table)} WHERE ${input.of.key} IN (${news(input.table, input.key).join(' UNION ALL ')})`,
      ];
    return [];
  });
  const own = (view.columns ?? []).map((_, k) => `_p${k}`);
  const names = own.join(', ');
  if (selects.length === 0) return `SELECT ${own.map((part) => `NULL AS ${part}`).join(', ')} WHERE false`;
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

/** The rows of a table that a refresh reads, as a subquery. */
export async function touchedRows(
  rows: (sql: string) => Promise<Row[]>,
  view: View,
  { table, parts }: Input & { by: 'partition' },
  among: Among,
): Promise<string> {
  const ranges =
    view.lookback === null
      ? await rangesSql(rows, parts)
      : fromSql('_time', `${await firstTouched(rows)} - to_milliseconds(${view.lookback.span})`);
  const read = ranges.map((range) => `SELECT * FROM ${quotedName(table)} WHERE ${range}`).join(' UNION ALL ');
  const list = parts.length === 1 ? parts[0]!.list : null;
  const own = list === null ? among(parts.map((part) => part.sql)) : await amongListed(rows, list);
  return `(SELECT * FROM (${read}) WHERE ${own})`;
}

/** Is one of the partitions of a row, which the list names, among the touched ones? */
async function amongListed(rows: (sql: string) => Promise<Row[]>, list: string): Promise<string> {
  // NULL is a partition too, which list_has_any does not see.
  const [nulls] = await rows('SELECT bool_or(_p0 IS NULL) AS n FROM touched');
  const withNull = nulls!['n'] === true ? ` OR len(${list}) > list_count(${list})` : '';
  return `(list_has_any(${list}, (SELECT list(_p0) FROM touched))${withNull})`;
}

/**
 * Rows from a time on, and those without one. They are read one after the other: of ranges that OR joins, DuckDB's zone maps spare none,
 * and the whole history would be read.
 */
const fromSql = (time: string, from: string): readonly string[] => [`${time} >= ${from}`, `${time} IS NULL`];

async function firstTouched(rows: (sql: string) => Promise<Row[]>): Promise<string> {
  const [first] = await rows(`SELECT CAST(min(CASE WHEN _timeless THEN '-infinity' ELSE _from END) AS VARCHAR) AS t FROM touched`);
  return `${text(String(first!['t']))}::TIMESTAMPTZ`;
}

/** With a lookback only rows from the key's first touched time on can have changed. */
function fromTouched(time: string, own: readonly string[]): string {
  const same = own.map((column, k) => `t._p${k} IS NOT DISTINCT FROM ${column}`).join(' AND ');
  return ` AND EXISTS (SELECT 1 FROM touched AS t WHERE ${same} AND (t._timeless OR ${time} IS NULL OR ${time} >= t._from))`;
}

/** The rows that go, for those who stand on this view. */
async function keepOld(tx: Transaction, view: View, where: string): Promise<void> {
  const change = changeTable(view.full);
  await tx.run(`CREATE TABLE IF NOT EXISTS ${change} AS SELECT * FROM ${quoted(view.name)} LIMIT 0`);
  await tx.run(`INSERT INTO ${change} SELECT * EXCLUDE (_batch), ${tx.batch} FROM ${quoted(view.name)} AS kept WHERE ${where}`);
}

/**
 * For time partitions the plain ranges, none of which overlap, so that DuckDB's zone maps let it read only these parts of the history. Times
 * that lie close to each other share a range: what is read beyond both ends, and as much again, since clocks may be set between them.
 */
async function rangesSql(rows: (sql: string) => Promise<Row[]>, parts: readonly Part[]): Promise<readonly string[]> {
  const found = timePart(parts);
  if (found === null) return ['true'];
  const { time } = found;
  const { column, length, slack } = time;
  const touched = await rows(
    `SELECT CAST(p AS VARCHAR) AS p, typeof(p) AS type, isfinite(p) AS finite, CASE WHEN p > lag(p) OVER before + ${length} + 3 * ${slack} THEN epoch(p) - epoch(lag(p) OVER before) ELSE 0 END AS gap
     FROM (SELECT DISTINCT _p${found.part} AS p FROM touched) WINDOW before AS (ORDER BY p) ORDER BY p`,
  );
  // Compared as the partition's own type: between one with and one without a time zone the clocks' changes would lie.
  const at = ({ p, type }: Row) => `CAST(${text(String(p))} AS ${String(type)})`;
  const times = touched.filter((row) => row['finite'] === true).map((row) => ({ p: at(row), gap: Number(row['gap']) }));
  const widest = [...times.keys()].filter((k) => k > 0 && times[k]!.gap > 0).sort((a, b) => times[b]!.gap - times[a]!.gap);
  const starts = times.length === 0 ? [] : [0, ...widest.slice(0, MAX_RANGES - 1).sort((a, b) => a - b)];
  const ranges = starts.map((start, k) => {
    const [lo, hi] = [times[start]!.p, times[(starts[k + 1] ?? times.length) - 1]!.p];
    return timesOf(time, lo, `${hi} + ${length}`);
  });
  const others = touched
    .filter((row) => row['finite'] !== true)
    .map((row) => (row['p'] === null ? `${column} IS NULL` : `${column} = ${at(row)}`));
  return [...ranges, ...others];
}

/** The query with names of tables replaced by subqueries. */
export function withSources(view: View, subqueries: ReadonlyMap<Input, string>): string {
  return withSubqueries(
    view.query,
    [...subqueries].map(([{ at }, subquery]) => ({ at, subquery })),
  );
}
