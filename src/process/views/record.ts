/** What the warehouse remembers of each view: a row for each refresh that changed something; the newest counts. */
import type { UsedModel } from '#core';
import { type Row, type Store, type Transaction, text } from '#store';
import { LATE_TABLE } from './late.ts';
import { PAUSE_TABLE } from './pause.ts';
import type { View } from './view.ts';

type Rows = (sql: string) => Promise<Row[]>;

export interface Recorded {
  readonly definition: string;
  /** The batch up to which it is right. */
  readonly batch: number;
  readonly refreshed: string;
  readonly watermark: string | null;
  readonly late: number;
  /** The versions that scored its rows. */
  readonly models: readonly UsedModel[];
  /** Replaced rows were taken out while it was not kept (its file was broken): it can't tell which partitions they touched. */
  readonly missed: boolean;
}

/** `audit` has a row for each audit that found a difference, with both results as JSON; `mended` is when the view was computed anew. */
const TABLES = [
  'CREATE TABLE IF NOT EXISTS millrace.view (name VARCHAR NOT NULL, definition VARCHAR NOT NULL, batch BIGINT NOT NULL, refreshed TIMESTAMPTZ NOT NULL)',
  'ALTER TABLE millrace.view ADD COLUMN IF NOT EXISTS watermark TIMESTAMPTZ',
  'ALTER TABLE millrace.view ADD COLUMN IF NOT EXISTS models JSON',
  'ALTER TABLE millrace.view ADD COLUMN IF NOT EXISTS missed BOOLEAN',
  LATE_TABLE,
  'ALTER TABLE millrace.late ADD COLUMN IF NOT EXISTS gone BOOLEAN',
  PAUSE_TABLE,
  `CREATE TABLE IF NOT EXISTS millrace.audit (
    found TIMESTAMPTZ NOT NULL, view VARCHAR NOT NULL, batch BIGINT NOT NULL, partitions VARCHAR NOT NULL, differences BIGINT NOT NULL,
    kept JSON NOT NULL, computed JSON NOT NULL)`,
  'ALTER TABLE millrace.audit ADD COLUMN IF NOT EXISTS mended TIMESTAMPTZ',
];

export async function openRecords(store: Store): Promise<void> {
  await store.write(async (tx) => {
    for (const statement of TABLES) await tx.run(statement);
  });
}

export async function record(tx: Transaction, view: View, batch: number, watermark: string | null): Promise<void> {
  await tx.run(
    `INSERT INTO millrace.view (name, definition, batch, refreshed, watermark, models) VALUES (${text(view.full)}, ${text(view.definition)}, ${batch}, now(), ${watermark === null ? 'NULL' : text(watermark)}, ${text(JSON.stringify(view.models))})`,
  );
}

/** Null for a view that was never built. */
export async function recordOf(rows: Rows, full: string): Promise<Recorded | null> {
  const [row] = await rows(
    `SELECT definition, batch, strftime(refreshed, '%Y-%m-%dT%H:%M:%S.%gZ') AS refreshed, CAST(watermark AS VARCHAR) AS watermark, coalesce(models, '[]') AS models, missed,
       (SELECT count(*) FROM millrace.late WHERE view = ${text(full)}) AS late
     FROM millrace.view WHERE name = ${text(full)} ORDER BY batch DESC, refreshed DESC LIMIT 1`,
  );
  if (row === undefined) return null;
  return {
    definition: String(row['definition']),
    batch: Number(row['batch']),
    refreshed: String(row['refreshed']),
    watermark: row['watermark'] as string | null,
    late: Number(row['late']),
    models: JSON.parse(String(row['models'])) as UsedModel[],
    missed: row['missed'] === true,
  };
}

/** The view was computed anew: what audits found before is no fault any more. */
export async function recordMended(store: Store, full: string): Promise<void> {
  await store.write((tx) => tx.run(`UPDATE millrace.audit SET mended = now() WHERE view = ${text(full)} AND mended IS NULL`));
}

/** Of a view that is dropped, nothing; of one that is built anew, what was late is late no more. */
export async function forget(tx: Transaction, full: string): Promise<void> {
  for (const table of ['millrace.late', 'millrace.audit']) await tx.run(`DELETE FROM ${table} WHERE view = ${text(full)}`);
  await tx.run(`DELETE FROM millrace.pause WHERE name = ${text(full)}`);
}

/**
 * Takes out what nobody asks for again: all but the newest row of each view, and replaced rows that each view has seen. `right` are the
 * views that are right up to now; `seen` is, for each table that other views read, the batch up to which all of those have seen it; `kept`
 * are all views.
 */
export async function trim(
  tx: Transaction,
  right: readonly { view: View; watermark: string | null }[],
  seen: ReadonlyMap<string, number>,
  kept: readonly string[],
): Promise<number> {
  for (const { view, watermark } of right) await record(tx, view, tx.batch - 1, watermark);
  await tx.run(`DELETE FROM millrace.view AS old WHERE EXISTS (SELECT 1 FROM millrace.view AS newer WHERE newer.name = old.name
    AND (newer.batch, newer.refreshed) > (old.batch, old.refreshed))`);
  await tx.run(`UPDATE millrace.view SET missed = true WHERE name NOT IN (${kept.map(text).join(', ') || "''"}) AND missed IS NULL`);
  const replaced = await tx.rows(`SELECT table_name AS name FROM duckdb_tables() WHERE schema_name = 'change'`);
  let rows = 0;
  for (const { name } of replaced) {
    const upTo = seen.get(String(name).toLowerCase()) ?? tx.batch - 1;
    rows += await tx.run(`DELETE FROM change."${String(name).replaceAll('"', '""')}" WHERE _batch <= ${upTo}`);
  }
  return rows;
}
