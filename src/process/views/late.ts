/**
 * Lateness: a partition is frozen once the watermark (the newest time of the rows that were taken before) is `lateness` past its end.
 * A row that comes for a frozen partition stands in `millrace.late` instead, with the view and the partition, and is counted.
 */
import { type Row, type Transaction, text } from '#store';
import { quotedName, sourceParts, type View } from './view.ts';

export const LATE_TABLE = `CREATE TABLE IF NOT EXISTS millrace.late (
  view VARCHAR NOT NULL, batch BIGINT NOT NULL, arrived TIMESTAMPTZ NOT NULL, partition VARCHAR, row JSON NOT NULL)`;

/** Is the partition whose parts the expressions give frozen? NULL when it has no time. */
export function frozenSql(view: View, expressions: readonly string[], watermark: string): string {
  const { part, unit, span } = view.lateness!;
  return `${expressions[part]} + INTERVAL 1 ${unit} + to_milliseconds(${span}) <= ${text(watermark)}::TIMESTAMPTZ`;
}

/** Keeps the rows since that batch that came too late. They never come twice: the batch moves on in the same transaction. */
export async function setLateAside(tx: Transaction, view: View, since: number, watermark: string): Promise<number> {
  const parts = (sourceParts(view) ?? []).map((part) => part.sql);
  const shown = parts.length === 1 ? parts[0] : `(${parts.join(', ')})`;
  return tx.run(`INSERT INTO millrace.late SELECT ${text(view.full)}, ${tx.batch}, now(), CAST(${shown} AS VARCHAR), to_json(late)
    FROM ${quotedName(view.source)} AS late WHERE _batch > ${since} AND ${frozenSql(view, parts, watermark)}`);
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
    `SELECT CAST(greatest(${before === null ? 'NULL' : text(before)}::TIMESTAMPTZ, max(${view.lateness.time})::TIMESTAMPTZ) AS VARCHAR) AS t
      FROM ${quotedName(view.source)}${since === null ? '' : ` WHERE _batch > ${since}`}`,
  );
  return (row!['t'] as string | null) ?? null;
}
