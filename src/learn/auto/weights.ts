import { fail } from '#core';
import type { ColumnData } from '../columns.ts';
import type { Plan } from '../plan.ts';
import type { Target } from '../target.ts';

/** What a row counts, [rows of the table]. */
export interface Weights {
  /** Among the rows judged: as the plan's column of weights says, else 1. */
  readonly rows: Float64Array;
  /** In learning and choosing: times its class's weight. Without class weights the same array. */
  readonly learning: Float64Array;
}

/** Weights of rows that the plan's class weights are to be taken into. LEARN_PLAN where these can't weigh the target's classes. */
export function readWeights(plan: Plan, rows: Float64Array, target: Target): Weights {
  if (plan.classWeights === undefined) return { rows, learning: rows };
  if (target.classes === null) refuse(plan, 'left out for numbers: they weigh classes');
  if (plan.money !== undefined)
    refuse(
      plan,
      'left out with money: acting from contact / hit on already weighs the classes by what they cost, and needs honest probabilities',
    );
  const each = plan.classWeights === 'balanced' ? balanced(target, rows) : named(plan, target.classes!, plan.classWeights);
  const learning = Float64Array.from(rows);
  target.rows.forEach((row, i) => {
    learning[row] = learning[row]! * each[target.values[i]!]!;
  });
  return { rows, learning };
}

/**
 * The target without the answers of rows that weigh 0: such a row can neither be learned from nor judge, so it must not take the place of
 * one that can. A side of a split that weighs nothing has no figures.
 */
export function weighty(column: ColumnData, weights: Float64Array): ColumnData {
  if (!weights.includes(0)) return column;
  if (column.kind === 'text') return { ...column, values: column.values.map((value, row) => (weights[row] === 0 ? null : value)) };
  return { ...column, values: column.values.map((value, row) => (weights[row] === 0 ? Number.NaN : value)) };
}

/** LEARN_WEIGHTS where the column can't weigh rows. */
export function rowWeights(plan: Plan, columns: readonly ColumnData[]): Float64Array {
  const rows = columns[0]!.values.length;
  if (plan.weight === undefined) return new Float64Array(rows).fill(1);
  const column = columns.find((c) => c.name === plan.weight);
  if (column?.kind !== 'number')
    return fail('LEARN_WEIGHTS', { column: plan.weight, problem: column ? 'is not a number' : 'is not in the training table' });
  const bad = column.values.findIndex((w) => !(w >= 0 && w < 1e15));
  if (bad >= 0) {
    const value = column.values[bad]!;
    fail('LEARN_WEIGHTS', {
      column: plan.weight,
      problem: `has ${Number.isNaN(value) ? 'no value' : `the value ${value}`} in row ${bad + 1}`,
    });
  }
  if (column.values.every((w) => w === 0)) fail('LEARN_WEIGHTS', { column: plan.weight, problem: 'is 0 in every row' });
  return column.values;
}

/** All classes count alike, and all rows together what they did: total / (classes × the class's share), scikit-learn's "balanced". */
function balanced({ classes, rows, values }: Target, weights: Float64Array): number[] {
  const sums = classes!.map(() => 0);
  let total = 0;
  rows.forEach((row, i) => {
    sums[values[i]!]! += weights[row]!;
    total += weights[row]!;
  });
  return sums.map((sum) => (sum > 0 ? total / (sums.length * sum) : 1));
}

/** A class that is not named weighs 1. */
function named(plan: Plan, classes: readonly string[], given: Readonly<Record<string, number>>): number[] {
  const unknown = Object.keys(given).find((label) => !classes.includes(label));
  if (unknown !== undefined) refuse(plan, `classes of "${plan.target}", which "${unknown}" is not`);
  return classes.map((label) => (Object.hasOwn(given, label) ? given[label]! : 1));
}

function refuse({ classWeights }: Plan, expected: string): never {
  return fail('LEARN_PLAN', { option: 'classWeights', value: JSON.stringify(classWeights), expected });
}
