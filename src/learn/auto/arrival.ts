import { fail } from '#core';
import { type ColumnData, cell } from '../columns.ts';
import type { Plan } from '../plan.ts';
import { known, type Reading, timeOf } from '../read.ts';
import type { Warning } from '../report.ts';
import type { Target } from '../target.ts';

/**
 * When columns were written. A time column `<column>_received` says when `<column>` came (the log stamps each record `_received`); it is not
 * learned from. `moment` is when the answer has to be given: the plan's, else when the target came; null where the table says neither.
 */
export interface Arrivals {
  /** Time columns by name. */
  readonly times: ReadonlyMap<string, ColumnData>;
  readonly of: ReadonlyMap<string, ColumnData>;
  readonly moment: ColumnData | null;
}

const STAMP = '_received';
/** A clock may be wrong now and then; a column that was written later in more than that share of its rows is not. */
const LATE = 0.01;
/** A column that has values where a late one has them, and none where it has none, was written with it. */
const TOGETHER = 0.99;

export function readArrivals(plan: Plan, columns: readonly ColumnData[], readings: readonly Reading[]): Arrivals {
  const times = new Map(columns.filter((column, at) => isTime(column, readings[at]!)).map((column) => [column.name, column]));
  const of = new Map<string, ColumnData>();
  for (const { name } of columns) {
    const stamp = times.get(`${name}${STAMP}`);
    if (stamp !== undefined) of.set(name, stamp);
  }
  if (plan.moment === undefined) return { times, of, moment: of.get(plan.target) ?? null };
  const moment = times.get(plan.moment);
  if (moment === undefined) fail('LEARN_PLAN', { option: 'moment', value: plan.moment, expected: 'a time column of the table' });
  return { times, of, moment };
}

function isTime(column: ColumnData, { role }: Reading): boolean {
  return column.kind === 'time' || role === 'time';
}

/** Whether the column only says when another one came. */
export function isStamp({ of }: Arrivals, name: string): boolean {
  return name.endsWith(STAMP) && of.get(name.slice(0, -STAMP.length))?.name === name;
}

/** Columns that are learned from but were written after the moment, or hold times after it; and those that are only filled where such a one is. */
export function lateColumns({ times, of, moment }: Arrivals, used: readonly ColumnData[], { rows }: Target): Warning[] {
  if (moment === null) return [];
  const asked = Float64Array.from(rows, (row) => timeOf(cell(moment, row)));
  const late = new Map<ColumnData, string>();
  for (const column of used) {
    const stamp = of.get(column.name);
    const when = stamp ?? times.get(column.name);
    const share = when === undefined ? 0 : lateShare(column, when, rows, asked);
    const what = stamp === undefined ? 'holds times' : 'was written';
    if (share > LATE) late.set(column, `"${column.name}" ${what} after "${moment.name}" in ${percent(share)} of its rows`);
  }
  for (const column of used) {
    if (late.has(column) || of.has(column.name)) continue;
    const companion = [...late.keys()].find((other) => filledTogether(column, other, rows));
    if (companion !== undefined) late.set(column, `"${column.name}" is only filled where "${companion.name}" is, which came too late`);
  }
  return [...late].map(([{ name }, text]) => ({
    kind: 'leakage',
    column: name,
    text: `${text}: it is not known when the answer is needed. Leave it out (ignore) and train again.`,
  }));
}

/** Of the rows in which the column has a value and both times are known. */
function lateShare(column: ColumnData, times: ColumnData, rows: Uint32Array, asked: Float64Array): number {
  let both = 0;
  let late = 0;
  rows.forEach((row, i) => {
    if (known(cell(column, row)) === null) return;
    const came = timeOf(cell(times, row));
    if (Number.isNaN(came) || Number.isNaN(asked[i]!)) return;
    both++;
    if (came > asked[i]!) late++;
  });
  return both > 0 ? late / both : 0;
}

/** Both are filled in nearly the same rows, and in some rows neither is. */
function filledTogether(a: ColumnData, b: ColumnData, rows: Uint32Array): boolean {
  let alike = 0;
  let empty = 0;
  for (const row of rows) {
    const [inA, inB] = [known(cell(a, row)) !== null, known(cell(b, row)) !== null];
    if (inA === inB) alike++;
    if (!inA && !inB) empty++;
  }
  return empty >= rows.length * LATE && alike >= rows.length * TOGETHER;
}

const percent = (share: number): string => `${Number((share * 100).toPrecision(2))} %`;
