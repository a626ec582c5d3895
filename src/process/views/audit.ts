/**
 * The auditor computes a few partitions of a view from scratch and compares: over few rows by the query as it stands, over many by the
 * partitions alone. It runs within the write lane while the view is right up
 * to the newest batch, so any difference is a fault: of the plan, of the engine, or of somebody who changed the view's rows.
 */
import { name, quoted, type Row, type Store, type Transaction, text } from '#store';
import { quotedName } from './engine.ts';
import { ANEW, frozenSql } from './late.ts';
import { amongSql, COLUMNS, ownColumns, touchedQuery } from './refresh.ts';
import { sourceParts, tablesOf, type View } from './view.ts';

export interface Audited {
  readonly at: string;
  /** How many partitions were compared; null for a view that is kept as a whole. */
  readonly partitions: number | null;
  /** Rows that stand on one side only. */
  readonly differences: number;
}

/** A partition, its parts as text. */
export type Sampled = readonly (string | null)[];

/** Views over fewer rows than this are computed in full. */
const SMALL = 200_000;
/** How many rows of each side are kept as evidence. */
const EVIDENCE = 20;

/**
 * Partitions to compare, half of them from the view and half from its source (a partition that is missing stands only there), without
 * those of which rows came late, and without frozen ones where another table can change what they would be. Reads the partition's columns
 * once, outside the lane.
 */
export async function samplePartitions(
  store: Store,
  view: View,
  watermark: string | null,
  { count, seed }: { readonly count: number; readonly seed: number },
): Promise<readonly Sampled[]> {
  const parts = sourceParts(view);
  if (parts === null) return [];
  const names = parts.map((_, k) => `p${k}`);
  const isAlone = view.inputs.every((input) => input.by === 'partition' && input.table === view.source);
  const sampled = (expressions: readonly string[], table: string) => {
    const parts = `(SELECT ${expressions.map((expression, k) => `${expression} AS ${names[k]}`).join(', ')} FROM ${table})`;
    const from = watermark === null || isAlone ? parts : `(FROM ${parts} WHERE (${frozenSql(view, names, watermark)}) IS NOT TRUE)`;
    const list = names.map((each) => `CAST(${each} AS VARCHAR) AS ${each}`).join(', ');
    return `(SELECT ${list} FROM ${from} USING SAMPLE reservoir(${Math.ceil(count / 2)} ROWS) REPEATABLE (${seed}))`;
  };
  const source = sampled(
    parts.map((part) => part.sql),
    quotedName(view.source),
  );
  const shown = names.length === 1 ? names[0] : `CAST((${names.join(', ')}) AS VARCHAR)`;
  const found = await store.rows(
    `SELECT DISTINCT ${names.join(', ')} FROM (FROM ${sampled(ownColumns(view), quoted(view.name))} UNION ALL FROM ${source})
     WHERE (${shown} IS NULL OR ${shown} NOT IN (SELECT partition FROM millrace.late WHERE view = ${text(view.full)} AND partition IS NOT NULL))
       AND NOT EXISTS (SELECT 1 FROM millrace.late WHERE view = ${text(view.full)} AND partition = ${text(ANEW)})`,
  );
  return found.map((row) => names.map((each) => row[each] as string | null));
}

/** Compares the sampled partitions, or the whole of a view that has none. A difference is recorded in `millrace.audit`. */
export async function auditView(tx: Transaction, view: View, sampled: readonly Sampled[]): Promise<Audited> {
  const rows = (sql: string) => tx.rows(sql);
  const at = new Date().toISOString();
  const where = view.columns === null ? null : await among(tx, view, sampled);
  // Where there is little to read, not even what the plan says of partitions is taken for granted.
  const computed = where === null || (await isSmall(rows, view)) ? view.query : await touchedQuery(rows, view, where);
  const restricted = where === null ? '' : ` WHERE ${where(ownColumns(view))}`;
  await tx.run(`CREATE OR REPLACE TEMP TABLE audit_kept AS SELECT ${COLUMNS} FROM ${quoted(view.name)}${restricted}`);
  await tx.run(`CREATE OR REPLACE TEMP TABLE audit_computed AS SELECT ${COLUMNS} FROM (${computed}\n) AS computed${restricted}`);
  const differences = await compared(rows);
  if (differences > 0) {
    const only = async (one: string, other: string) => {
      const found = await tx.rows(`SELECT to_json(r)::VARCHAR AS row FROM (FROM ${one} EXCEPT ALL FROM ${other} LIMIT ${EVIDENCE}) AS r`);
      return text(`[${found.map(({ row }) => String(row)).join(', ')}]`);
    };
    const partitions = text(JSON.stringify(view.columns === null ? 'whole' : sampled));
    await tx.run(`INSERT INTO millrace.audit (found, view, batch, partitions, differences, kept, computed) VALUES (now(), ${text(view.full)}, ${tx.batch - 1}, ${partitions}, ${differences},
      ${await only('audit_kept', 'audit_computed')}, ${await only('audit_computed', 'audit_kept')})`);
  }
  for (const table of ['audit_kept', 'audit_computed']) await tx.run(`DROP TABLE ${table}`);
  return { at, partitions: view.columns === null ? null : sampled.length, differences };
}

async function isSmall(rows: (sql: string) => Promise<Row[]>, view: View): Promise<boolean> {
  const tables = [...tablesOf(view)].map(text).join(', ');
  const [size] = await rows(
    `SELECT coalesce(sum(estimated_size), 0) AS n FROM duckdb_tables() WHERE lower(schema_name || '.' || table_name) IN (${tables})`,
  );
  return Number(size!['n']) <= SMALL;
}

async function among(tx: Transaction, view: View, sampled: readonly Sampled[]) {
  const own = ownColumns(view);
  const types = await tx.rows(`DESCRIBE SELECT ${own.join(', ')} FROM ${quoted(view.name)}`);
  const cast = own.map((_, k) => `CAST(c${k} AS ${String(types[k]!['column_type'])}) AS _p${k}`).join(', ');
  const values = sampled.map((parts) => `(${parts.map((part) => (part === null ? 'NULL' : text(part))).join(', ')})`).join(', ');
  const all = view.lookback === null ? '' : `, '-infinity'::TIMESTAMPTZ AS _from, true AS _timeless`;
  await tx.run(
    `CREATE OR REPLACE TEMP TABLE touched AS SELECT ${cast}${all} FROM (VALUES ${values}) AS v(${own.map((_, k) => `c${k}`).join(', ')})`,
  );
  return amongSql(
    own.map((_, k) => `_p${k}`),
    sampled.some((parts) => parts.includes(null)),
  );
}

/**
 * Rows on one side only. Doubles that are summed in another order differ in their last digits, so they are compared by nine digits: of
 * the value and of a multiple of it, because one of the two may lie where the rounding changes.
 */
async function compared(rows: (sql: string) => Promise<Row[]>): Promise<number> {
  const columns = await rows('DESCRIBE audit_kept');
  const counts: number[] = [];
  for (const factor of [1, 1.37]) {
    const list = columns.map(({ column_name, column_type }) => {
      const own = name(String(column_name));
      return column_type === 'DOUBLE' || column_type === 'FLOAT' ? `printf('%.8e', ${own}::DOUBLE * ${factor}) AS ${own}` : own;
    });
    const [kept, computed] = ['audit_kept', 'audit_computed'].map((table) => `(SELECT ${list.join(', ')} FROM ${table})`);
    const [row] = await rows(
      `SELECT (SELECT count(*) FROM (FROM ${kept} EXCEPT ALL FROM ${computed})) + (SELECT count(*) FROM (FROM ${computed} EXCEPT ALL FROM ${kept})) AS n`,
    );
    counts.push(Number(row!['n']));
  }
  return Math.min(...counts);
}
