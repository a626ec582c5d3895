import { fail } from '#core';
import { type Cell, type ColumnData, cell } from '../columns.ts';
import type { Plan, SplitKind } from '../plan.ts';
import { hashText, mix, random, shuffled } from '../random.ts';
import { known, type Reading, timeOf } from '../read.ts';
import type { Target } from '../target.ts';
import { isEntity, timeIn } from './entity.ts';

/** How rows to judge by are chosen, and why. */
export interface SplitDecision {
  readonly kind: SplitKind;
  readonly column: string | null;
  readonly why: string;
}

/** Rows to learn from and rows to judge by; row numbers of the table. */
export interface Division {
  readonly learn: Uint32Array;
  readonly judge: Uint32Array;
}

/**
 * Chooses the split (all columns of the table, rows with a known target). Time: a time column along which the target drifts or
 * clings to its neighbours, so that a random split would let the model see the future. Group: an entity's rows repeat, so that a random
 * split would have the same entity on both sides; of several the one with the fewest values, which has the others' (a customer's orders).
 * Else random, stratified by class.
 */
export function chooseSplit(plan: Plan, columns: readonly ColumnData[], readings: readonly Reading[], target: Target): SplitDecision {
  const asked = plan.split?.kind ?? 'auto';
  if (asked !== 'auto') return askedSplit(asked, plan, columns, readings);
  for (const [at, reading] of readings.entries()) {
    if (reading.role !== 'time' || reading.distinct < 20 || reading.missing > reading.rows * 0.05) continue;
    const drift = driftAlong(timesOf(columns[at]!, target.rows), target);
    if (drift !== null)
      return {
        kind: 'time',
        column: reading.name,
        why: `${drift} along "${reading.name}", so a random split would let the model look into the future`,
      };
  }
  const entity = entitiesOf(plan, columns, readings).sort((a, b) => a.distinct - b.distinct)[0];
  if (entity !== undefined) {
    const each = ((entity.rows - entity.missing) / entity.distinct).toFixed(1);
    return {
      kind: 'group',
      column: entity.name,
      why: `"${entity.name}" repeats (${each} rows each), so a random split would have the same one on both sides`,
    };
  }
  if (target.classes !== null)
    return { kind: 'stratified', column: null, why: 'rows look exchangeable; each class keeps its share on both sides' };
  return { kind: 'random', column: null, why: 'rows look exchangeable' };
}

function askedSplit(kind: SplitKind, plan: Plan, columns: readonly ColumnData[], readings: readonly Reading[]): SplitDecision {
  if (kind === 'random' || kind === 'stratified') return { kind, column: null, why: 'as asked' };
  if (kind === 'none') return { kind, column: null, why: 'as asked: all rows are learned from, and none is held out' };
  const named = plan.split?.column;
  const at =
    named === undefined ? readings.findIndex((r) => kind === 'time' && r.role === 'time') : columns.findIndex((c) => c.name === named);
  if (kind === 'custom' && at >= 0) checkSides(columns[at]!);
  const fits = at >= 0 && (kind !== 'time' || readings[at]!.role === 'time' || columns[at]!.kind === 'number');
  if (!fits)
    fail('LEARN_PLAN', {
      option: 'split.column',
      value: named ?? 'left out',
      expected: kind === 'time' ? 'a time column of the table' : 'a column of the table',
    });
  return { kind, column: columns[at]!.name, why: 'as asked' };
}

type Side = 'learn' | 'choose' | 'judge';

/** BigQuery ML's words: a flag that is true for rows to judge by, or a text for a search's three sides. */
const SIDES: Readonly<Record<string, Side>> = {
  '0': 'learn',
  '1': 'judge',
  FALSE: 'learn',
  TRUE: 'judge',
  TRAIN: 'learn',
  EVAL: 'choose',
  VALIDATE: 'choose',
  TEST: 'judge',
};

/** A row without a side is judged: what nobody said to learn from is not learned from. */
function sideOf(value: Cell): Side | null {
  const given = known(value);
  return given === null ? 'judge' : (SIDES[String(given).toUpperCase()] ?? null);
}

function checkSides(column: ColumnData): void {
  for (let row = 0; row < column.values.length; row++) {
    const value = cell(column, row);
    if (sideOf(value) !== null) continue;
    fail('LEARN_PLAN', {
      option: 'split.column',
      value: `"${column.name}" with ${String(value).slice(0, 50)}`,
      expected: 'a column of true (judged) and false (learned from), or of TRAIN, EVAL and TEST',
    });
  }
}

/** Whether a column says which rows are learned from: then those of the other side never are. */
export const isGiven = ({ kind }: SplitDecision): boolean => kind === 'custom';

/** The columns that name an entity (entity.ts), in the table's order. */
function entitiesOf(plan: Plan, columns: readonly ColumnData[], readings: readonly Reading[]): Reading[] {
  const time = timeIn(columns, readings);
  return readings.filter((reading, at) => isEntity(columns[at]!, reading, plan, time));
}

/** Why each column that is not learned from is not, where the plan does not say so itself: a sentence's end. */
export function leftOut(
  plan: Plan,
  split: SplitDecision,
  columns: readonly ColumnData[],
  readings: readonly Reading[],
): ReadonlyMap<string, string> {
  const why = new Map<string, string>();
  for (const { name, role, why: found } of readings)
    if (role === 'id' || role === 'constant' || role === 'empty') why.set(name, found ?? role);
  if (split.kind === 'group') {
    const group = columns.find(({ name }) => name === split.column)!;
    for (const { name } of entitiesOf(plan, columns, readings))
      if (isWithin(columns.find((column) => column.name === name)!, group))
        why.set(name, `each value has one "${group.name}", so that the rows that it is judged by, like new ones, have others`);
    why.set(group.name, 'the rows that it is judged by, like new ones, have other values');
  }
  if (split.kind === 'custom') why.set(split.column!, 'it says which rows are learned from');
  for (const name of [plan.target, plan.weight, ...(plan.ignore ?? [])]) if (name !== undefined) why.delete(name);
  return why;
}

/** Whether the rows of each value are of one group: a customer's orders. */
function isWithin(column: ColumnData, group: ColumnData): boolean {
  const groups = new Map<Cell, Cell>();
  for (let row = 0; row < column.values.length; row++) {
    const value = known(cell(column, row));
    if (value === null) continue;
    const own = known(cell(group, row));
    if (groups.has(value) && groups.get(value) !== own) return false;
    groups.set(value, own);
  }
  return true;
}

/** Epoch milliseconds (or any number) of those rows; NaN where missing. */
function timesOf(column: ColumnData, rows: Uint32Array): Float64Array {
  return Float64Array.from(rows, (row) => timeOf(cell(column, row)));
}

/**
 * Says how the target depends on time, or null when it does not: the lag-1 autocorrelation of its mean over up to 200 equal slices in time
 * order, which is 0 ± 1/√slices for exchangeable rows; beyond four such errors counts.
 */
function driftAlong(times: Float64Array, target: Target): string | null {
  const order = Uint32Array.from(times.keys()).filter((i) => !Number.isNaN(times[i]));
  order.sort((a, b) => times[a]! - times[b]!);
  const slices = Math.min(200, Math.floor(order.length / 10));
  if (slices < 20) return null;
  const means = new Float64Array(slices);
  for (let s = 0; s < slices; s++) {
    const from = Math.floor((s * order.length) / slices);
    const to = Math.floor(((s + 1) * order.length) / slices);
    for (let i = from; i < to; i++) means[s] = means[s]! + target.values[order[i]!]! / (to - from);
  }
  const r = autocorrelation(means);
  return r > 4 / Math.sqrt(slices) ? `neighbouring rows have similar answers (autocorrelation ${r.toFixed(2)})` : null;
}

function autocorrelation(values: Float64Array): number {
  const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
  let along = 0;
  let own = 0;
  for (let i = 0; i < values.length; i++) {
    own += (values[i]! - mean) ** 2;
    if (i > 0) along += (values[i]! - mean) * (values[i - 1]! - mean);
  }
  return own > 0 ? along / own : 0;
}

/** Divides the rows: about `share` of them to judge by. Time: the latest. Group: whole groups. Stratified: that share of each class. */
export function divide(
  decision: SplitDecision,
  columns: readonly ColumnData[],
  target: Pick<Target, 'values' | 'rows'>,
  share: number,
  seed: number,
): Division {
  const { rows } = target;
  if (decision.kind === 'none') return { learn: rows, judge: rows.slice(0, 0) };
  const column = columns.find((c) => c.name === decision.column)!;
  if (decision.kind === 'custom') return bySide(column, rows, 'judge');
  if (decision.kind === 'time') return byTime(column, rows, share);
  if (Number.isInteger(1 / share)) return foldsOf(decision, columns, target, 1 / share, seed)[0]!;
  const judged = decision.kind === 'group' ? groupShare(column, rows, share, seed) : dealShare(decision, target, share, seed);
  return { learn: rows.filter((_row, i) => !judged[i]), judge: rows.filter((_row, i) => judged[i]) };
}

function bySide(column: ColumnData, rows: Uint32Array, side: Side): Division {
  const there = (row: number) => sideOf(cell(column, row)) === side;
  return { learn: rows.filter((row) => !there(row)), judge: rows.filter(there) };
}

/** What models are chosen by among the rows that may be learned from, where the plan's column says it; else null. */
export function givenChoice(decision: SplitDecision, columns: readonly ColumnData[], rows: Uint32Array): Division | null {
  if (decision.kind !== 'custom') return null;
  const division = bySide(columns.find((c) => c.name === decision.column)!, rows, 'choose');
  return division.judge.length === 0 ? null : division;
}

/** So many divisions in which each row is judged once. For a time split there is one: the latest part. */
export function foldsOf(
  decision: SplitDecision,
  columns: readonly ColumnData[],
  target: Pick<Target, 'values' | 'rows'>,
  folds: number,
  seed: number,
): Division[] {
  if (decision.kind === 'time') return [byTime(columns.find((c) => c.name === decision.column)!, target.rows, 1 / folds)];
  const fold =
    decision.kind === 'group'
      ? groupFolds(columns.find((c) => c.name === decision.column)!, target.rows, folds, seed)
      : dealFolds(decision, target, folds, seed);
  return Array.from({ length: folds }, (_, f) => ({
    learn: target.rows.filter((_row, i) => fold[i] !== f),
    judge: target.rows.filter((_row, i) => fold[i] === f),
  }));
}

/** The latest share of rows; rows of the same instant are never torn apart. Rows without a time are learned from. */
function byTime(column: ColumnData, rows: Uint32Array, share: number): Division {
  const times = timesOf(column, rows);
  const sorted = times.filter((t) => !Number.isNaN(t)).sort();
  const cut = sorted[Math.floor(sorted.length * (1 - share))] ?? Number.POSITIVE_INFINITY;
  const judge = rows.filter((_row, i) => times[i]! >= cut);
  const learn = rows.filter((_row, i) => !(times[i]! >= cut));
  return { learn, judge };
}

/** By hash, so that a group keeps its fold whatever other rows there are; few groups may miss a fold so, and are dealt in the hashes' order. */
function groupFolds(column: ColumnData, rows: Uint32Array, folds: number, seed: number): Uint8Array {
  const hashes = Array.from(rows, (row) => groupHash(column, row, seed));
  if (new Set(hashes.map((hash) => hash % folds)).size === folds) return Uint8Array.from(hashes, (hash) => hash % folds);
  const place = new Map([...new Set(hashes)].sort((a, b) => a - b).map((hash, at) => [hash, at % folds]));
  return Uint8Array.from(hashes, (hash) => place.get(hash)!);
}

function groupShare(column: ColumnData, rows: Uint32Array, share: number, seed: number): Uint8Array {
  const hashes = Array.from(rows, (row) => groupHash(column, row, seed));
  const judged = Uint8Array.from(hashes, (hash) => Number(hash < share * 2 ** 32));
  if (judged.includes(0) && judged.includes(1)) return judged;
  // Few groups may all fall on one side: the first few are judged, and at least one is learned from.
  const groups = [...new Set(hashes)].sort((a, b) => a - b);
  const most = groups[Math.max(0, Math.min(groups.length - 2, Math.round(groups.length * share) - 1))]!;
  return Uint8Array.from(hashes, (hash) => Number(hash <= most));
}

/** The same for all rows of a group. */
function groupHash(column: ColumnData, row: number, seed: number): number {
  const group = known(cell(column, row));
  return group === null ? mix(row ^ seed) : hashText(String(group), seed);
}

/** Deals shuffled rows to folds in turn; stratified: class by class (a regression's rows are not classed). */
function dealFolds(decision: SplitDecision, target: Pick<Target, 'values' | 'rows'>, folds: number, seed: number): Uint8Array {
  const fold = new Uint8Array(target.rows.length);
  dealt(decision, target, seed).forEach((i, at) => {
    fold[i] = at % folds;
  });
  return fold;
}

/** As many of each class as the share asks for, to within one row. */
function dealShare(decision: SplitDecision, target: Pick<Target, 'values' | 'rows'>, share: number, seed: number): Uint8Array {
  const judged = new Uint8Array(target.rows.length);
  dealt(decision, target, seed).forEach((i, at) => {
    judged[i] = Number(Math.floor((at + 1) * share) > Math.floor(at * share));
  });
  return judged;
}

function dealt({ kind }: SplitDecision, { rows, values }: Pick<Target, 'values' | 'rows'>, seed: number): number[] {
  const order = Array.from(shuffled(rows.length, random(seed)));
  if (kind === 'stratified') order.sort((a, b) => values[a]! - values[b]!);
  return order;
}
