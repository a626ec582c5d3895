import { fail } from '#core';
import { type ColumnData, cell } from './columns.ts';
import type { Outcome } from './encode.ts';
import type { Plan } from './plan.ts';
import { known, parseNumber, type Reading } from './read.ts';

/** The column to predict, as numbers: the value, or the class's number. Only rows with a known target are learned from. */
export interface Target {
  readonly task: 'regression' | 'classification';
  readonly kind: 'number' | 'text';
  readonly classes: readonly string[] | null;
  /** Row numbers of the table that have a known target. */
  readonly rows: Uint32Array;
  /** [rows]. */
  readonly values: Float64Array;
  /** Why that task, when it was not said. */
  readonly why: string | null;
}

const LEAST_ROWS = 10;
const MOST_CLASSES = 100;
/** Beyond it neighbouring whole numbers are one double: labels would be another's. */
const LARGEST_LABEL = Number.MAX_SAFE_INTEGER;
/** Sums of squares stay finite, and a linear model's weights fit 32 bits. */
const LARGEST = 1e35;

/** Reads the target and settles the task. LEARN_TARGET, LEARN_ROWS or LEARN_CLASSES where there is nothing to learn. */
export function readTarget(plan: Plan, column: ColumnData, reading: Reading): Target {
  const { task, why } = settleTask(plan, column, reading);
  const kind = column.kind === 'text' ? 'text' : 'number';
  return task === 'regression' ? readNumbers(column, kind, why) : readClasses(column, kind, why);
}

function settleTask(plan: Plan, column: ColumnData, reading: Reading): { task: Target['task']; why: string | null } {
  if (column.kind === 'time') fail('LEARN_TARGET', { target: column.name, problem: 'is a time; predict a duration or a class instead' });
  if (plan.task === 'regression' || plan.task === 'classification') return { task: plan.task, why: null };
  const numbers = reading.role === 'number' || column.kind === 'number' || (reading.distinct <= 2 && numeric(column));
  if (!numbers) return { task: 'classification', why: 'the target is text' };
  if (reading.distinct <= 2) return { task: 'classification', why: 'the target has two values' };
  if (isOfLabels(column, reading)) return { task: 'classification', why: 'the target is text of few whole numbers' };
  return { task: 'regression', why: 'the target is a number with more than two values' };
}

/** A text target of more values is a number that stands in text. */
const MOST_LABELS = 20;

/** Whether whole numbers in text are labels, as who keeps them as text says: few of them, with five rows each or more. */
export function isOfLabels(column: ColumnData, { rows, missing, distinct }: Reading): boolean {
  if (column.kind !== 'text' || distinct > MOST_LABELS || distinct * 5 > rows - missing) return false;
  return column.values.every((value) => known(value) === null || Number.isInteger(parseNumber(value!)));
}

function numeric(column: ColumnData): boolean {
  for (let i = 0; i < column.values.length; i++) {
    const value = known(cell(column, i));
    if (typeof value === 'string' && parseNumber(value) === null) return false;
  }
  return true;
}

function readNumbers(column: ColumnData, kind: Target['kind'], why: string | null): Target {
  const rows: number[] = [];
  const values: number[] = [];
  for (let i = 0; i < column.values.length; i++) {
    const value = known(cell(column, i));
    if (value === null) continue;
    const number = typeof value === 'number' ? value : parseNumber(value);
    if (number === null) fail('LEARN_TARGET', { target: column.name, problem: `has the value "${value}", which is no number` });
    if (Math.abs(number) > LARGEST)
      fail('LEARN_TARGET', { target: column.name, problem: `has the value ${number}; numbers to predict are at most ${LARGEST} in size` });
    rows.push(i);
    values.push(number);
  }
  demandRows(column.name, rows.length);
  if (values.every((v) => v === values[0])) fail('LEARN_TARGET', { target: column.name, problem: `is ${values[0]} in every row` });
  return { task: 'regression', kind, classes: null, rows: Uint32Array.from(rows), values: Float64Array.from(values), why };
}

function readClasses(column: ColumnData, kind: Target['kind'], why: string | null): Target {
  const labels = Array.from({ length: column.values.length }, (_, i) => {
    const value = known(cell(column, i));
    if (typeof value === 'number' && Math.abs(value) > LARGEST_LABEL)
      fail('LEARN_TARGET', {
        target: column.name,
        problem: `has labels as large as ${value}, which can't be told apart as numbers; make them text`,
      });
    return value === null ? null : String(value).trim();
  });
  const rows = Uint32Array.from(labels.keys()).filter((i) => labels[i] !== null);
  demandRows(column.name, rows.length);
  const classes = [...new Set(labels)].filter((label) => label !== null).sort(byNumberThenText);
  if (classes.length === 1) fail('LEARN_TARGET', { target: column.name, problem: `is "${classes[0]}" in every row` });
  if (classes.length > MOST_CLASSES) fail('LEARN_CLASSES', { target: column.name, classes: classes.length, limit: MOST_CLASSES });
  const codes = new Map(classes.map((label, code) => [label, code]));
  return { task: 'classification', kind, classes, rows, values: Float64Array.from(rows, (i) => codes.get(labels[i]!)!), why };
}

function demandRows(target: string, rows: number): void {
  if (rows < LEAST_ROWS) fail('LEARN_ROWS', { target, rows, least: LEAST_ROWS });
}

function byNumberThenText(a: string, b: string): number {
  const x = parseNumber(a);
  const y = parseNumber(b);
  if (x !== null && y !== null && x !== y) return x - y;
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Classes whose share by category is learned, at most: the rarest add columns but little news. */
const MOST_SHARES = 10;

/** What target statistics average: the value, the second of two classes, or the first classes' indicators. */
export function outcomeOf(values: Float64Array, classes: readonly string[] | null, weights?: Float64Array): Outcome {
  const weighed = weights === undefined ? {} : { weights };
  if (classes === null || classes.length === 2) return { values, outputs: 1, ...weighed };
  const outputs = Math.min(classes.length, MOST_SHARES);
  const indicators = new Float64Array(values.length * outputs);
  values.forEach((code, row) => {
    if (code < outputs) indicators[row * outputs + code] = 1;
  });
  return { values: indicators, outputs, ...weighed };
}
