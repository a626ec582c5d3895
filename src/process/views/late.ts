/**
 * Lateness: a partition is frozen once the watermark (the newest time of the rows that were taken before) is `lateness` past its end.
 * A row that comes for a frozen partition stands in `millrace.late` instead, with the view and the partition, and is counted.
 */
import { type Row, type Transaction, text } from '#store';
import { quotedName } from './engine.ts';
import { endOf } from './time.ts';
import type { View } from './view.ts';

export const LATE_TABLE = `CREATE TABLE IF NOT EXISTS millrace.late (
  view VARCHAR NOT NULL, batch BIGINT NOT NULL, arrived TIMESTAMPTZ NOT NULL, partition VARCHAR, row JSON NOT NULL, gone BOOLEAN)`;

/** Is the partition whose parts the columns hold frozen? NULL when it has no time. */
export function frozenSql(view: View, columns: readonly string[], watermark: string): string {
  const { part, time, span } = view.lateness!;
  return `${endOf(time, columns[part]!)} + to_milliseconds(${span}) <= ${text(watermark)}::TIMESTAMPTZ`;
}

/** Stands for the partition where all of the source was made anew, so that what is late can't be told row by row. */
export const ANEW = '*';

/**
 * Keeps the rows since that batch that came too late, and (`gone`) those that were replaced or taken away too late: the view still counts
 * them. What went and came again as it was is neither. They never come twice: the batch moves on in the same transaction.
 */
export async function setLateAside(
  tx: Transaction,
  view: View,
  since: number,
  watermark: string,
  replacedIn: (table: string) => string | null,
): Promise<number> {
  const told = view.inputs.flatMap((input) => (input.by === 'partition' && !view.untold.has(input.table) ? [input] : []));
  // A table that is read twice in the same way has its rows late once.
  const once = new Map(told.map(({ table, parts }) => [JSON.stringify([table, parts]), { table, parts: parts.map(({ sql }) => sql) }]));
  let late = 0;
  for (const read of once.values()) late += await setAside(tx, view, { ...read, since, watermark, replaced: replacedIn(read.table) });
  return late;
}

async function setAside(
  tx: Transaction,
  view: View,
  of: { table: string; parts: readonly string[]; since: number; watermark: string; replaced: string | null },
): Promise<number> {
  const { table, parts, since, watermark, replaced } = of;
  const aside = (partition: string, row: string, gone: boolean, from: string) =>
    tx.run(`INSERT INTO millrace.late (view, batch, arrived, partition, row, gone)
      SELECT ${text(view.full)}, ${tx.batch}, now(), ${partition}, ${row}, ${gone} ${from}`);
  const isTopic = table.startsWith('raw.');
  if (!isTopic && (await madeAnew(tx, table, since)))
    return aside(text(ANEW), `to_json(${text(`all of ${table} was made anew`)})`, false, '');
  const own = parts.map((_, k) => `_p${k}`);
  const partition = `CAST(${own.length === 1 ? own[0] : `(${own.join(', ')})`} AS VARCHAR)`;
  // A row of hopping windows is late for the frozen ones among its own.
  const frozen = (rows: string) =>
    `FROM (SELECT ${parts.map((sql, k) => `${sql} AS _p${k}`).join(', ')}, to_json(late) AS _row FROM ${rows} AS late) WHERE ${frozenSql(view, own, watermark)}`;
  const news = (from: string) => `FROM ${from} WHERE _batch > ${since}`;
  if (replaced === null) return aside(partition, '_row', false, frozen(`(${news(quotedName(table))})`));
  const without = (one: string, other: string) =>
    frozen(`(SELECT * EXCLUDE (_batch) ${news(one)} EXCEPT ALL SELECT * EXCLUDE (_batch) ${news(other)})`);
  const source = quotedName(table);
  const came = await aside(partition, '_row', false, without(source, replaced));
  return came + (await aside(partition, '_row', true, without(replaced, source)));
}

async function madeAnew(tx: Transaction, source: string, since: number): Promise<boolean> {
  const [row] = await tx.rows(
    `SELECT count(*) AS n FROM millrace.batch WHERE batch > ${since} AND lower(target) = ${text(source)} AND (kind IN ('load', 'statement') OR key = 'whole')`,
  );
  return Number(row!['n']) > 0;
}

/** The watermark after the rows since that batch: it never goes back. */
export async function watermarkAfter(
  rows: (sql: string) => Promise<Row[]>,
  view: View,
  since: number | null,
  before: string | null,
): Promise<string | null> {
  if (view.lateness === null) return null;
  const [row] = await rows(
    `SELECT CAST(greatest(${before === null ? 'NULL' : text(before)}::TIMESTAMPTZ, max(${view.lateness.time.column})::TIMESTAMPTZ) AS VARCHAR) AS t
      FROM ${quotedName(view.source)}${since === null ? '' : ` WHERE _batch > ${since}`}`,
  );
  return (row!['t'] as string | null) ?? null;
}
