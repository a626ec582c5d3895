/**
 * One refresh: in one transaction the partitions that new rows touched are deleted and computed again from the source, and the
 * batch up to which the view is right is recorded. So a view equals its query in batch at any time, however late or disordered
 * the rows came.
 */
import { quoted, type Transaction, text } from '#store';
import { type Input, type Part, quotedName, type View } from './view.ts';

export interface Refreshed {
  readonly mode: 'partitions' | 'whole' | 'nothing';
  readonly partitions: number;
  readonly rows: number;
}

/** All columns but the source's own batch number, which a SELECT * would carry along. */
const COLUMNS = `COLUMNS(name -> name <> '_batch')`;

/** Time partitions further apart than this are read as separate ranges. */
const MAX_RANGES = 16;

/** `since` is the batch up to which the view is right; null builds it. `whole` forces a full recompute. */
export async function refreshView(
  tx: Transaction,
  view: View,
  since: number | null,
  options: { whole: boolean; keepOld: boolean },
): Promise<Refreshed> {
  if (since === null || view.columns === null || options.whole) return recompute(tx, view);
  const changed = await changeTables(tx);
  await tx.run(touchedSql(view, since, changed));
  const names = view.columns.map((_, k) => `_p${k}`);
  const [found] = await tx.rows(
    `SELECT count(*) AS n, bool_or(${names.map((name) => `${name} IS NULL`).join(' OR ')}) AS nulls FROM touched`,
  );
  const partitions = Number(found!['n']);
  if (partitions === 0) return { mode: 'nothing', partitions: 0, rows: 0 };
  const among = amongSql(names, found!['nulls'] === true);
  const own = view.columns.map((column) => `"${column.replaceAll('"', '""')}"`);
  const affected = `${among(own)}${view.lookback === null ? '' : ` AND ${fromTouched(`"${view.lookback.column}"`, own)}`}`;
  if (options.keepOld) await keepOld(tx, view, affected);
  await tx.run(`DELETE FROM ${quoted(view.name)} WHERE ${affected}`);
  const sources = new Map<Input, string>();
  for (const input of view.inputs) {
    if (input.by !== 'partition') continue;
    sources.set(input, `(SELECT * FROM ${quotedName(input.table)} WHERE ${await restricted(tx, view, input.parts, among)})`);
  }
  // A row of the source may belong to other partitions too (hopping windows, a lookback): those stay as they are.
  const rows = await tx.run(
    `INSERT INTO ${quoted(view.name)} SELECT ${COLUMNS}, ${tx.batch} AS _batch FROM (${withSources(view, sources)}\n) AS fresh WHERE ${affected}`,
  );
  tx.changed({ kind: 'view', target: view.full, rows });
  return { mode: 'partitions', partitions, rows };
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

const changeTable = (full: string): string => `change."${full.replaceAll('"', '""')}"`;

/** Names of the tables of which replaced rows are kept, by schema.name in lower case. */
async function changeTables(tx: Transaction): Promise<ReadonlyMap<string, string>> {
  const found = await tx.rows(`SELECT table_name AS name FROM duckdb_tables() WHERE schema_name = 'change'`);
  return new Map(found.map(({ name }) => [String(name).toLowerCase(), String(name)]));
}

/** The partitions of rows that came after batch `since`, of rows that were replaced after it, and of rows that look up what changed. */
export function touchedSql(view: View, since: number, changed: ReadonlyMap<string, string>): string {
  const news = (table: string, columns: string): string[] => {
    const replaced = changed.get(table);
    return [quotedName(table), ...(replaced === undefined ? [] : [changeTable(replaced)])].map(
      (from) => `SELECT ${columns} FROM ${from} WHERE _batch > ${since}`,
    );
  };
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
  const names = (view.columns ?? []).map((_, k) => `_p${k}`).join(', ');
  const grouped =
    view.lookback === null
      ? ''
      : `, coalesce(min(_time) FILTER (WHERE _time IS NOT NULL), '-infinity') AS _from, bool_or(_time IS NULL) AS _timeless`;
  return `CREATE OR REPLACE TEMP TABLE touched AS SELECT ${names}${grouped} FROM (${selects.join(' UNION ALL ')}) AS news GROUP BY ${names}`;
}

/** Is the partition that the expressions give among the touched ones? NULL is a partition too. */
function amongSql(names: readonly string[], nulls: boolean): (expressions: readonly string[]) => string {
  const listed = names.join(', ');
  return (expressions) => {
    const within = `${expressions.length === 1 ? expressions[0] : `(${expressions.join(', ')})`} IN (SELECT ${names.length === 1 ? listed : `(${listed})`} FROM touched)`;
    if (!nulls) return within;
    if (names.length === 1) return `(${within} OR ${expressions[0]} IS NULL)`;
    return `EXISTS (SELECT 1 FROM touched WHERE ${names.map((name, k) => `${name} IS NOT DISTINCT FROM ${expressions[k]}`).join(' AND ')})`;
  };
}

async function restricted(
  tx: Transaction,
  view: View,
  parts: readonly Part[],
  among: (expressions: readonly string[]) => string,
): Promise<string> {
  const [only] = parts;
  if (parts.length === 1 && only!.list !== null) return `list_has_any(${only!.list}, (SELECT list(_p0) FROM touched))`;
  const expressions = parts.map((part) => part.sql);
  if (view.lookback === null) return `${among(expressions)}${parts.length === 1 ? await rangeSql(tx, only!.sql) : ''}`;
  const [first] = await tx.rows(`SELECT CAST(min(CASE WHEN _timeless THEN '-infinity' ELSE _from END) AS VARCHAR) AS t FROM touched`);
  return `${among(expressions)} AND (_time >= ${text(String(first!['t']))}::TIMESTAMPTZ - to_milliseconds(${view.lookback.span}) OR _time IS NULL)`;
}

/** With a lookback only rows from the key's first touched time on can have changed. */
function fromTouched(time: string, own: readonly string[]): string {
  const same = own.map((column, k) => `t._p${k} IS NOT DISTINCT FROM ${column}`).join(' AND ');
  return `EXISTS (SELECT 1 FROM touched AS t WHERE ${same} AND (t._timeless OR ${time} IS NULL OR ${time} >= t._from))`;
}

/** The rows that go, for those who stand on this view. */
async function keepOld(tx: Transaction, view: View, where: string): Promise<void> {
  const change = changeTable(view.full);
  await tx.run(`CREATE TABLE IF NOT EXISTS ${change} AS SELECT * FROM ${quoted(view.name)} LIMIT 0`);
  await tx.run(`INSERT INTO ${change} SELECT * EXCLUDE (_batch), ${tx.batch} FROM ${quoted(view.name)} WHERE ${where}`);
}

/** A partition expression over a time column, as far as DuckDB's zone maps can use it. */
const TRUNCATED = /^date_trunc\('(second|minute|hour|day|week|month|quarter|year)',\s*("?[A-Za-z_][A-Za-z0-9_]*"?)\)$/i;

/** For time partitions also the plain ranges, so that only these parts of the history are read. */
async function rangeSql(tx: Transaction, expression: string): Promise<string> {
  const match = TRUNCATED.exec(expression.trim());
  if (match === null) return '';
  const [, unit, column] = match as unknown as [string, string, string];
  const touched = (await tx.rows('SELECT CAST(_p0 AS VARCHAR) AS p FROM touched ORDER BY _p0')).map((row) => row['p']);
  const times = touched.filter((time) => time !== null).map(String);
  const ranges: string[] = touched.length > times.length ? [`${column} IS NULL`] : [];
  const step = Math.max(1, Math.ceil(times.length / MAX_RANGES));
  for (let k = 0; k < times.length; k += step) {
    const [lo, hi] = [times[k]!, times[Math.min(k + step, times.length) - 1]!];
    ranges.push(`(${column} >= ${text(lo)}::TIMESTAMPTZ AND ${column} < ${text(hi)}::TIMESTAMPTZ + INTERVAL 1 ${unit})`);
  }
  return ` AND (${ranges.join(' OR ')})`;
}

/** The query with names of tables replaced by subqueries, under the names that the query knows them by. */
export function withSources(view: View, subqueries: ReadonlyMap<Input, string>): string {
  let query = view.query;
  for (const [input, subquery] of [...subqueries].sort(([a], [b]) => b.at - a.at)) {
    const { length, alias } = reference(query.slice(input.at));
    query = `${query.slice(0, input.at)}${subquery}${alias === null ? '' : ` AS ${alias}`}${query.slice(input.at + length)}`;
  }
  return query;
}

const IDENTIFIER = String.raw`(?:"(?:[^"]|"")+"|[\p{L}_][\p{L}\p{N}_$]*)`;
const REFERENCE = new RegExp(`^(?:${IDENTIFIER}\\s*\\.\\s*)?(${IDENTIFIER})`, 'u');
const ALIAS = new RegExp(`^\\s+(?:as\\s+)?(${IDENTIFIER})`, 'iu');
const CLAUSES = new Set(
  'where group order having limit join inner left right full cross natural asof positional anti semi on using window qualify union except intersect select offset sample tablesample pivot unpivot'.split(
    ' ',
  ),
);

/** How long the table's name is at the beginning of the text, and the alias that must be added when the text gives none. */
function reference(query: string): { length: number; alias: string | null } {
  const match = REFERENCE.exec(query)!;
  const after = ALIAS.exec(query.slice(match[0].length));
  const aliased = after !== null && !CLAUSES.has(after[1]!.toLowerCase());
  return { length: match[0].length, alias: aliased ? null : match[1]! };
}
