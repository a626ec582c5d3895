/** What a refresh would do now, and why, in words and numbers; nothing is changed. */

import { type Engine, quotedName } from './engine.ts';
import type { Refreshed } from './refresh.ts';
import { amongSql, changeTables, touchedRows, touchedSql } from './refresh.ts';
import { stackFor } from './stack.ts';
import { tablesOf, type View } from './view.ts';

export interface Explained {
  readonly aspect: string;
  readonly detail: string;
}

/** How a view that is kept stands. */
export interface Standing {
  readonly batch: number | null;
  /** Something changed that can't be told by partition. */
  readonly whole: boolean;
  readonly watermark: string | null;
  readonly late: number;
  readonly refreshed: string | null;
  readonly last: Refreshed | null;
  readonly lastMs: number | null;
  readonly readers: readonly string[];
}

const SHOWN = 20;
const count = (n: number) => n.toLocaleString('en-US');

/** `standing` is null for a definition that is only asked about. Cost: the new rows, and a count of what a refresh would read. */
export async function explainView(view: View, standing: Standing | null, engine: Engine): Promise<readonly Explained[]> {
  const lines: Explained[] = [];
  const say = (aspect: string, ...details: readonly string[]) => {
    for (const detail of details) lines.push({ aspect, detail });
  };
  say('kept', view.columns === null ? 'as a whole' : `by partition ${view.partition}`);
  say('because', ...view.plan.reasons);
  say('change', ...planText(view));
  say(
    'model',
    ...view.models.map(({ spelled, version }) => `${spelled} scores with version ${version}; another one recomputes the whole view`),
  );
  if (view.lateness !== null)
    say('lateness', `a partition is frozen ${view.lateness.span} ms after its end; later rows go to millrace.late`);
  if (standing === null || standing.batch === null) say('build', ...(await readWhole(view, engine)));
  else if (view.columns === null || standing.whole) say('refresh', 'the whole view', ...(await readWhole(view, engine)));
  else say('refresh', ...(await touchedNow(view, standing.batch, standing.watermark, engine)));
  if (standing !== null) say('standing', ...standingText(view, standing));
  say('stack', ...(await stackFor(view, engine)));
  return lines;
}

async function readWhole(view: View, engine: Engine): Promise<string[]> {
  const lines: string[] = [];
  for (const table of tablesOf(view)) lines.push(`reads all ${count(await sizeOf(table, engine))} rows of ${table}`);
  return lines;
}

async function sizeOf(table: string, engine: Engine): Promise<number> {
  const [row] = await engine.rows(`SELECT count(*) AS n FROM ${quotedName(table)}`);
  return Number(row!['n']);
}

async function touchedNow(view: View, since: number, watermark: string | null, engine: Engine): Promise<string[]> {
  const touched = touchedSql(view, since, await changeTables(engine.rows), watermark);
  const rows = (sql: string) => engine.rows(`WITH touched AS MATERIALIZED (${touched}) ${sql}`);
  const names = view.columns!.map((_, k) => `_p${k}`);
  const found = await rows(
    `SELECT count(*) OVER () AS n, (${names.map((name) => `${name} IS NULL`).join(' OR ')}) AS nulls, concat_ws(', ', ${names.map((name) => `coalesce(CAST(${name} AS VARCHAR), 'NULL')`).join(', ')}) AS p
     FROM touched ORDER BY ${names.join(', ')} LIMIT ${SHOWN}`,
  );
  if (found.length === 0) return ['touches nothing: the view is right'];
  const total = Number(found[0]!['n']);
  const shown = found.map(({ p }) => String(p)).join('; ');
  const [nulls] = await rows(`SELECT bool_or(${names.map((name) => `${name} IS NULL`).join(' OR ')}) AS n FROM touched`);
  const among = amongSql(names, nulls!['n'] === true);
  const lines = [`touches ${count(total)} ${total === 1 ? 'partition' : 'partitions'}: ${shown}${total > SHOWN ? '; …' : ''}`];
  for (const input of view.inputs) {
    const all = await sizeOf(input.table, engine);
    if (input.by !== 'partition') lines.push(`reads ${input.table} (${count(all)} rows) as the join asks for it`);
    else {
      const [read] = await rows(`SELECT count(*) AS n FROM ${await touchedRows(rows, view, input, among)}`);
      lines.push(`reads ${count(Number(read!['n']))} of ${count(all)} rows of ${input.table}`);
    }
  }
  return lines;
}

function standingText(view: View, standing: Standing): string[] {
  const { last, lastMs } = standing;
  return [
    standing.batch === null ? 'never built' : `right up to batch ${standing.batch}, refreshed ${standing.refreshed}`,
    ...(last === null || lastMs === null
      ? []
      : [`the last refresh took ${count(lastMs)} ms: ${last.mode}, ${count(last.partitions)} partitions, ${count(last.rows)} rows`]),
    ...(view.lateness === null ? [] : [`watermark ${standing.watermark ?? 'none'}, ${count(standing.late)} rows came late`]),
    ...(standing.readers.length === 0 ? [] : [`read by ${standing.readers.join(', ')}`]),
  ];
}

/** How each table that a view reads is kept up with, in words. */
export function planText(view: View): string[] {
  if (view.columns === null) return [...tablesOf(view)].map((table) => `${table}: any change recomputes the whole view`);
  const lines = view.inputs.map((input) => {
    if (view.untold.has(input.table))
      return `${input.table}: any change recomputes the whole view, because its rows don’t say which batch brought them (_batch)`;
    if (input.by === 'partition')
      return `${input.table}: a changed row touches the partition ${input.parts.map((part) => part.sql).join(', ')}`;
    if (input.by === 'key')
      return `${input.table}: a changed row touches the partitions of the rows of ${input.of.table} whose ${input.of.key} equals its ${input.key}`;
    return `${input.table}: any change recomputes the whole view, because ${input.reason}`;
  });
  return [...new Set(lines)];
}
