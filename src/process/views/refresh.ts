/**
 * One refresh: in one transaction the partitions that new rows touched are deleted and computed again from the source, and the
 * batch up to which the view is right is recorded. So a view equals its query in batch at any time, however late or disordered
 * the rows came.
 */
import { quoted, type Transaction, text } from '#store';
import type { View } from './view.ts';

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
  if (since === null) return build(tx, view);
  if (view.plan.column === null || options.whole) return recompute(tx, view);
  await tx.run(touchedSql(view, since, await hasChanges(tx, view.source)));
  const [found] = await tx.rows('SELECT count(*) AS n, count(*) FILTER (WHERE p IS NULL) AS nulls FROM touched');
  const partitions = Number(found!['n']);
  if (partitions === 0) return { mode: 'nothing', partitions: 0, rows: 0 };
  const part = `"${view.plan.column.replaceAll('"', '""')}"`;
  const nulls = Number(found!['nulls']) > 0;
  const among = (expression: string) => `(${expression} IN (SELECT p FROM touched)${nulls ? ` OR ${expression} IS NULL` : ''})`;
  if (options.keepOld) await keepOld(tx, view, among(part));
  await tx.run(`DELETE FROM ${quoted(view.name)} WHERE ${among(part)}`);
  const restricted = `(SELECT * FROM ${sourceSql(view)} WHERE ${among(view.partition!)}${await rangeSql(tx, view)})`;
  const rows = await tx.run(
    `INSERT INTO ${quoted(view.name)} SELECT ${COLUMNS}, ${tx.batch} AS _batch FROM (${withSource(view, restricted)}\n) AS fresh`,
  );
  tx.changed({ kind: 'view', target: view.full, rows });
  return { mode: 'partitions', partitions, rows };
}

async function build(tx: Transaction, view: View): Promise<Refreshed> {
  await tx.run(`CREATE SCHEMA IF NOT EXISTS "${view.name.schema}"`);
  await tx.run(
    `CREATE OR REPLACE TABLE ${quoted(view.name)} AS SELECT ${COLUMNS}, ${tx.batch}::BIGINT AS _batch FROM (${view.query}\n) AS fresh`,
  );
  const [count] = await tx.rows(`SELECT count(*) AS n FROM ${quoted(view.name)}`);
  tx.changed({ kind: 'view', target: view.full, rows: Number(count!['n']) });
  return { mode: 'whole', partitions: 0, rows: Number(count!['n']) };
}

/** Readers see the old rows until the transaction commits. */
async function recompute(tx: Transaction, view: View): Promise<Refreshed> {
  const refreshed = await build(tx, view);
  // Whoever stands on it can't know what went: the record says that all of it changed.
  tx.changed({ kind: 'view', target: view.full, key: 'whole', rows: refreshed.rows });
  return refreshed;
}

function sourceSql(view: View): string {
  const [schema, name] = view.source.split('.') as [string, string];
  return quoted({ schema, name });
}

async function hasChanges(tx: Transaction, source: string): Promise<boolean> {
  const found = await tx.rows(`SELECT 1 FROM duckdb_tables() WHERE schema_name = 'change' AND table_name = ${text(source)}`);
  return found.length > 0;
}

/** The partitions of rows that came after batch `since`, and of rows that were replaced after it. */
function touchedSql(view: View, since: number, replaced: boolean): string {
  const from = (table: string) => `SELECT ${view.partition} AS p FROM ${table} WHERE _batch > ${since}`;
  const old = replaced ? ` UNION ${from(`change."${view.source}"`)}` : '';
  return `CREATE OR REPLACE TEMP TABLE touched AS SELECT DISTINCT p FROM (${from(sourceSql(view))}${old}) AS news`;
}

/** The rows that go, for those who stand on this view. */
async function keepOld(tx: Transaction, view: View, where: string): Promise<void> {
  const change = `change."${view.full}"`;
  await tx.run(`CREATE TABLE IF NOT EXISTS ${change} AS SELECT * FROM ${quoted(view.name)} LIMIT 0`);
  await tx.run(`INSERT INTO ${change} SELECT * EXCLUDE (_batch), ${tx.batch} FROM ${quoted(view.name)} WHERE ${where}`);
}

/** A partition expression over a time column, as far as DuckDB's zone maps can use it: date_trunc('unit', column) or column::DATE. */
const TRUNCATED = /^\(?\s*date_trunc\('(second|minute|hour|day|week|month|quarter|year)',\s*("?[A-Za-z_][A-Za-z0-9_]*"?)\)\s*\)?$/i;

/** For time partitions also the plain ranges, so that only these parts of the history are read. */
async function rangeSql(tx: Transaction, view: View): Promise<string> {
  const match = TRUNCATED.exec(view.partition!.trim());
  if (match === null) return '';
  const [, unit, column] = match as unknown as [string, string, string];
  const touched = (await tx.rows('SELECT CAST(p AS VARCHAR) AS p FROM touched WHERE p IS NOT NULL ORDER BY touched.p')).map((row) =>
    String(row['p']),
  );
  if (touched.length === 0) return '';
  const ranges: { lo: string; hi: string }[] = [];
  const step = Math.max(1, Math.ceil(touched.length / MAX_RANGES));
  for (let k = 0; k < touched.length; k += step) ranges.push({ lo: touched[k]!, hi: touched[Math.min(k + step, touched.length) - 1]! });
  const within = ranges.map(
    ({ lo, hi }) => `(${column} >= ${text(lo)}::TIMESTAMPTZ AND ${column} < ${text(hi)}::TIMESTAMPTZ + INTERVAL 1 ${unit})`,
  );
  return ` AND (${within.join(' OR ')})`;
}

/** The query with the source's name replaced by a subquery, under the name that the query knows it by. */
function withSource(view: View, subquery: string): string {
  let query = view.query;
  for (const at of [...view.sourceAt].sort((a, b) => b - a)) {
    const { length, alias } = reference(query.slice(at));
    query = `${query.slice(0, at)}${subquery}${alias === null ? '' : ` AS ${alias}`}${query.slice(at + length)}`;
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
