import { fail } from '#core';
import type { ColumnData } from './columns.ts';
import { cellOf, type Encoded, type Encoder, encode, rowEncoder, textOf, valueIn } from './encode.ts';
import { exp, sigmoid } from './exact.ts';
import { linearScorer } from './linear/linear.ts';
import { type Learned, type Link, type Model, unpackForest, unpackLinear } from './model.ts';
import { scoreRow } from './trees/forest.ts';
import { columnScorer } from './trees/score.ts';

/** One row's answer. Regression: the value. Classification: the most probable label, and the probability of each class in the model's order. */
export interface Prediction {
  readonly value: number | string;
  readonly probabilities: Float64Array | null;
}

/** Encoded rows → answers, [rows × width]: width 1 for regression, the number of classes else. */
export type Answerer = (encoded: Encoded) => Float64Array;

/**
 * Predictions of all rows as columns: `predicted_<target>` and, for classification, `probability_<class>` for each class.
 * Every column that the model was trained on must be there (MODEL_INPUT); others are ignored; unseen categories count as missing.
 */
export function predict(model: Model, columns: readonly ColumnData[]): { readonly columns: ColumnData[] } {
  const answers = columnPredictor(model)(columns);
  const name = `predicted_${model.target}`;
  if (model.classes === null) return { columns: [{ name, kind: 'number', values: answers }] };
  const { classes } = model;
  const rows = answers.length / classes.length;
  const labels = Array.from({ length: rows }, (_, row) => classes[mostProbable(answers, row * classes.length, classes.length)]!);
  const predicted: ColumnData =
    model.targetKind === 'number'
      ? { name, kind: 'number', values: Float64Array.from(labels, Number) }
      : { name, kind: 'text', values: labels };
  const probabilities = classes.map((label, k): ColumnData => {
    const values = new Float64Array(rows);
    for (let row = 0; row < rows; row++) values[row] = answers[row * classes.length + k]!;
    return { name: `probability_${label}`, kind: 'number', values };
  });
  return { columns: [predicted, ...probabilities] };
}

/**
 * A function that answers many rows at once: columns [rows] → [rows × width], class probabilities in the model's order, or values.
 * Building it unpacks the model. Errors: MODEL_INPUT.
 */
export function columnPredictor(model: Model): (columns: readonly ColumnData[]) => Float64Array {
  const answer = answerer(model.learned, model.classes?.length ?? 1);
  return (columns) => answer(encode(model.encoders, columns));
}

export function mostProbable(answers: Float64Array, at: number, width: number): number {
  let best = 0;
  for (let k = 1; k < width; k++) if (answers[at + k]! > answers[at + best]!) best = k;
  return best;
}

/**
 * A function that predicts one row at a time, in microseconds for trees; building it unpacks the model. A value that is absent or null is
 * missing; unknown names are ignored, but a row with none of the model's columns is refused (MODEL_INPUT), as is a value of the wrong type.
 */
export function predictor(model: Model): (row: Readonly<Record<string, unknown>>) => Prediction {
  const width = model.classes?.length ?? 1;
  const answer = rowAnswerer(model, width);
  return (row) => {
    if (model.encoders.length > 0 && !model.encoders.some((e) => Object.hasOwn(row, e.column))) {
      fail('MODEL_INPUT', {
        column: model.encoders[0]!.column,
        value: 'a row with none of its columns',
        expected: `a row with "${model.encoders[0]!.column}"`,
      });
    }
    return predictionOf(model, answer(row));
  };
}

/** What a row's answers [width] say: the value, or the most probable class. */
export function predictionOf({ classes, targetKind }: Pick<Model, 'classes' | 'targetKind'>, answers: Float64Array): Prediction {
  if (classes === null) return { value: answers[0]!, probabilities: null };
  const label = classes[mostProbable(answers, 0, classes.length)]!;
  return { value: targetKind === 'number' ? Number(label) : label, probabilities: answers };
}

type RowAnswerer = (row: Readonly<Record<string, unknown>>) => Float64Array;

function rowAnswerer(model: Model, width: number): RowAnswerer {
  const { learned, encoders } = model;
  if (learned.kind === 'trees') return treesRowAnswerer(learned, encoders, width);
  if (learned.kind === 'blend') {
    const members = learned.members.map((m) => ({ weight: m.weight, answer: rowAnswerer({ ...model, learned: m.learned }, width) }));
    return (row) => blended(members.map((m) => ({ weight: m.weight, answers: m.answer(row) })));
  }
  const answer = answerer(learned, width);
  return (row) =>
    answer(
      encode(
        encoders,
        encoders.map((encoder) => rowColumn(row, encoder)),
      ),
    );
}

function treesRowAnswerer(learned: Learned & { kind: 'trees' }, encoders: readonly Encoder[], width: number): RowAnswerer {
  const forest = unpackForest(learned.forest);
  const { write, width: features } = rowEncoder(encoders);
  const values = new Float64Array(features);
  const scores = new Float64Array(forest.outputs);
  return (row) => {
    write(row, values);
    scoreRow(forest, values, scores);
    return linked(scores, learned.link, width);
  };
}

/** A row's value as a column of one. MODEL_INPUT for a value that is none. */
export function rowColumn(row: Readonly<Record<string, unknown>>, encoder: Encoder): ColumnData {
  const value = cellOf(valueIn(row, encoder.column), encoder);
  // A number that JSON gives for a time is epoch milliseconds.
  if (typeof value === 'number')
    return { name: encoder.column, kind: encoder.kind === 'time' ? 'time' : 'number', values: Float64Array.of(value) };
  return { name: encoder.column, kind: 'text', values: [textOf(value)] };
}

/** Unpacks what was learned; the function that comes back answers any number of rows. */
export function answerer(learned: Learned, width: number): Answerer {
  switch (learned.kind) {
    case 'constant': {
      const one = linked(Float64Array.from(learned.scores), learned.link, width);
      return (encoded) => Float64Array.from({ length: encoded.rows * width }, (_, at) => one[at % width]!);
    }
    case 'trees': {
      const score = columnScorer(unpackForest(learned.forest));
      return ({ features, rows }) => {
        const columns = features.map((f) => f.values);
        return linked(score(columns, rows), learned.link, width);
      };
    }
    case 'linear': {
      const score = linearScorer(unpackLinear(learned));
      return (encoded) => linked(score(encoded), learned.link, width);
    }
    case 'blend': {
      const members = learned.members.map((m) => ({ weight: m.weight, answer: answerer(m.learned, width) }));
      return (encoded) => blended(members.map((m) => ({ weight: m.weight, answers: m.answer(encoded) })));
    }
  }
}

function blended(members: readonly { readonly weight: number; readonly answers: Float64Array }[]): Float64Array {
  const sum = new Float64Array(members[0]!.answers.length);
  for (const { weight, answers } of members) for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! + weight * answers[i]!;
  return sum;
}

/** Scores [rows × outputs] → answers [rows × width]. */
export function linked(scores: Float64Array, link: Link, width: number): Float64Array {
  switch (link) {
    case 'identity':
      return scores.slice();
    case 'exp':
      return scores.map(exp);
    case 'sigmoid': {
      const answers = new Float64Array(scores.length * 2);
      for (let i = 0; i < scores.length; i++) {
        const p = sigmoid(scores[i]!);
        answers[i * 2] = 1 - p;
        answers[i * 2 + 1] = p;
      }
      return answers;
    }
    case 'softmax':
      return softmaxRows(scores, width);
    case 'share':
      return width === 2 ? sharesOfTwo(scores) : shareRows(scores, width);
  }
}

/** Sums of leaves may miss 0 and 1 by a rounding. */
function sharesOfTwo(scores: Float64Array): Float64Array {
  const answers = new Float64Array(scores.length * 2);
  for (let i = 0; i < scores.length; i++) {
    const p = Math.max(0, Math.min(1, scores[i]!));
    answers[i * 2] = 1 - p;
    answers[i * 2 + 1] = p;
  }
  return answers;
}

function shareRows(scores: Float64Array, width: number): Float64Array {
  const answers = scores.map((share) => Math.max(0, share));
  for (let at = 0; at < answers.length; at += width) {
    let sum = 0;
    for (let k = 0; k < width; k++) sum += answers[at + k]!;
    for (let k = 0; k < width; k++) answers[at + k] = sum > 0 ? answers[at + k]! / sum : 1 / width;
  }
  return answers;
}

function softmaxRows(scores: Float64Array, width: number): Float64Array {
  const answers = new Float64Array(scores.length);
  for (let at = 0; at < scores.length; at += width) {
    let top = Number.NEGATIVE_INFINITY;
    for (let k = 0; k < width; k++) top = Math.max(top, scores[at + k]!);
    let sum = 0;
    for (let k = 0; k < width; k++) sum += answers[at + k] = exp(scores[at + k]! - top);
    for (let k = 0; k < width; k++) answers[at + k] = answers[at + k]! / sum;
  }
  return answers;
}
