import type { Encoded } from '../encode.ts';
import { exp, log, orderFreeMean, sigmoid } from '../exact.ts';
import { type Design, designWriter, fitDesign, type Sparse } from './design.ts';
import { minimise } from './minimise.ts';

export interface LinearOptions {
  readonly loss: 'squared' | 'logistic' | 'softmax';
  /** Penalties as in scikit-learn's 1/C: they weigh against the sum of losses, not the mean. */
  readonly l1: number;
  readonly l2: number;
  readonly iterations: number;
}

export const linearDefaults: LinearOptions = { loss: 'squared', l1: 0, l2: 1, iterations: 100 };

/** A linear model: scores = intercepts + row · weights. `weights` is [width × outputs]. */
export interface Linear {
  readonly design: Design;
  readonly outputs: number;
  readonly intercepts: Float64Array;
  readonly weights: Float32Array;
}

export interface LinearRows {
  readonly encoded: Encoded;
  readonly targets: Float64Array;
  readonly weights: Float64Array;
}

/**
 * Linear, logistic or softmax regression with elastic net by (OW)L-BFGS. Intercepts are not penalised; numbers are standardised, so the
 * penalty treats all alike. A generator: yields the mean loss after each iteration. Cost of an iteration: non-zero values × outputs.
 */
export function* fitLinear(rows: LinearRows, classes: number, options: LinearOptions): Generator<number, Linear, boolean | undefined> {
  const { design, table } = prepare(rows.encoded);
  const outputs = options.loss === 'softmax' ? classes : 1;
  const scale = options.loss === 'squared' ? spread(rows.targets, rows.weights) : { mean: 0, deviation: 1 };
  const targets = rows.targets.map((y) => (y - scale.mean) / scale.deviation);
  const size = table.width * outputs;
  const x = new Float64Array(size + outputs);
  const total = rows.weights.reduce((sum, w) => sum + w, 0);
  const l1 = new Float64Array(size + outputs).fill(options.l1 / total, 0, size);
  const objective = (at: Float64Array, gradient: Float64Array): number =>
    linearLoss(table, targets, rows.weights, outputs, options.loss, at, gradient, options.l2 / total);
  yield* minimise(objective, x, { l1, iterations: options.iterations, tolerance: 1e-5 });
  return {
    design,
    outputs,
    intercepts: Float64Array.from(x.subarray(size), (b) => b * scale.deviation + scale.mean),
    weights: Float32Array.from(x.subarray(0, size), (w) => w * scale.deviation),
  };
}

/** Candidates that learn from the same rows share their design and table. */
const prepared = new WeakMap<Encoded, { readonly design: Design; readonly table: Sparse }>();

export function prepare(encoded: Encoded): { readonly design: Design; readonly table: Sparse } {
  const known = prepared.get(encoded);
  if (known) return known;
  const design = fitDesign(encoded);
  const made = { design, table: designWriter(design)(encoded) };
  prepared.set(encoded, made);
  return made;
}

/** The table of rows that nobody learns from any more, whose features are still asked for. */
export function forget(encoded: Encoded): void {
  prepared.delete(encoded);
}

function spread(targets: Float64Array, weights: Float64Array): { mean: number; deviation: number } {
  const mean = orderFreeMean(targets, weights);
  const squares = orderFreeMean(
    targets.map((y) => (y - mean) * (y - mean)),
    weights,
  );
  return { mean, deviation: squares > 0 ? Math.sqrt(squares) : 1 };
}

/** Mean loss plus l2/2·|w|² at `at` (weights, then intercepts), and its gradient. */
export function linearLoss(
  table: Sparse,
  targets: Float64Array,
  rowWeights: Float64Array,
  outputs: number,
  loss: LinearOptions['loss'],
  at: Float64Array,
  gradient: Float64Array,
  l2: number,
): number {
  const size = table.width * outputs;
  let total = 0;
  for (const w of rowWeights) total += w;
  let value = 0;
  gradient.fill(0);
  const scores = new Float64Array(outputs);
  const intercepts = at.subarray(size);
  for (let row = 0; row < table.rows; row++) {
    rowScores(table, row, at, intercepts, outputs, scores);
    const share = rowWeights[row]! / total;
    value += share * residuals(loss, scores, targets[row]!);
    for (let k = 0; k < outputs; k++) scores[k] = scores[k]! * share;
    addRow(table, row, scores, outputs, gradient, size);
  }
  for (let i = 0; i < size; i++) {
    value += 0.5 * l2 * at[i]! * at[i]!;
    gradient[i] = gradient[i]! + l2 * at[i]!;
  }
  return value;
}

function addRow(table: Sparse, row: number, derivative: Float64Array, outputs: number, gradient: Float64Array, size: number): void {
  const { columns, values } = table;
  const end = table.starts[row + 1]!;
  const only = derivative[0]!;
  for (let p = table.starts[row]!; p < end; p++) {
    const base = columns[p]! * outputs;
    const v = values[p]!;
    gradient[base] = gradient[base]! + only * v;
    for (let k = 1; k < outputs; k++) gradient[base + k] = gradient[base + k]! + derivative[k]! * v;
  }
  for (let k = 0; k < outputs; k++) gradient[size + k] = gradient[size + k]! + derivative[k]!;
}

/** Replaces scores by the loss's derivative and returns the loss. */
function residuals(loss: LinearOptions['loss'], scores: Float64Array, target: number): number {
  const s = scores[0]!;
  if (loss === 'squared') {
    scores[0] = s - target;
    return 0.5 * (s - target) * (s - target);
  }
  if (loss === 'logistic') {
    scores[0] = sigmoid(s) - target;
    return Math.max(s, 0) - target * s + log(1 + exp(-Math.abs(s)));
  }
  let top = s;
  for (const score of scores) top = Math.max(top, score);
  let sum = 0;
  const chosen = scores[target]!;
  for (let k = 0; k < scores.length; k++) sum += scores[k] = exp(scores[k]! - top);
  for (let k = 0; k < scores.length; k++) scores[k] = scores[k]! / sum - (k === target ? 1 : 0);
  return log(sum) + top - chosen;
}

function rowScores(
  table: Sparse,
  row: number,
  weights: Float64Array,
  intercepts: Float64Array,
  outputs: number,
  scores: Float64Array,
): void {
  const { columns, values } = table;
  const end = table.starts[row + 1]!;
  let only = intercepts[0]!;
  for (let k = 1; k < outputs; k++) scores[k] = intercepts[k]!;
  for (let p = table.starts[row]!; p < end; p++) {
    const base = columns[p]! * outputs;
    const v = values[p]!;
    only += v * weights[base]!;
    for (let k = 1; k < outputs; k++) scores[k] = scores[k]! + v * weights[base + k]!;
  }
  scores[0] = only;
}

/** Scores of encoded rows: a function built once for each model; the answer is [rows × outputs]. */
export function linearScorer(model: Linear): (encoded: Encoded) => Float64Array {
  const write = designWriter(model.design);
  const one = new Float64Array(model.outputs);
  const weights = Float64Array.from(model.weights);
  return (encoded) => {
    const table = write(encoded);
    const scores = new Float64Array(table.rows * model.outputs);
    for (let row = 0; row < table.rows; row++) {
      rowScores(table, row, weights, model.intercepts, model.outputs, one);
      scores.set(one, row * model.outputs);
    }
    return scores;
  };
}
