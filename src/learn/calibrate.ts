import { pack } from './base64.ts';
import { exp, log } from './exact.ts';
import { minimise } from './linear/minimise.ts';
import { type Judged, logLoss, meanWithError, rowLosses } from './metrics.ts';
import { type Learned, packForest, packLinear, unpackForest, unpackLinear } from './model.ts';

/**
 * What turns a model's scores into honest ones: score' = slope · score + intercept. Two classes: Platt 1999, one intercept, for the second.
 * More: temperature scaling with an intercept for each class (Guo et al. 2017; Alexandari et al. 2020).
 */
export interface Calibration {
  readonly slope: number;
  /** [1] for two classes, else [classes]. */
  readonly intercepts: readonly number[];
}

/** Rows of prior on "leave it as it is": few rows must not bend the scores. */
const PRIOR_ROWS = 4;
/** Probabilities nearer to 0 or 1 than this count as this far. */
const EDGE = 1e-12;

/** Scores that give the answers back: log-odds of the second of two classes, else logarithms. [rows × outputs]. */
function scoresOf({ answers, width }: Judged): Float64Array {
  const bounded = (p: number): number => log(Math.max(EDGE, Math.min(1 - EDGE, p)));
  if (width > 2) return answers.map(bounded);
  return Float64Array.from({ length: answers.length / 2 }, (_, row) => bounded(answers[row * 2 + 1]!) - bounded(answers[row * 2]!));
}

/** The calibration with the least log-loss on answers to rows that the model did not learn from. Cost: rows × classes × some tens of iterations. */
export function fitCalibration(judged: Judged): Calibration {
  const scores = scoresOf(judged);
  const outputs = judged.width === 2 ? 1 : judged.width;
  const total = judged.weights.reduce((sum, w) => sum + w, 0);
  const prior = PRIOR_ROWS / total;
  const x = new Float64Array(1 + outputs);
  x[0] = 1;
  const objective = (at: Float64Array, gradient: Float64Array): number => {
    gradient.fill(0);
    const answers = applied(scores, outputs, judged.width, at[0]!, at.subarray(1));
    judged.truth.forEach((y, row) => {
      const share = judged.weights[row]! / total;
      for (let k = 0; k < outputs; k++) {
        const wanted = outputs === 1 ? y : y === k ? 1 : 0;
        const p = outputs === 1 ? answers[row * 2 + 1]! : answers[row * outputs + k]!;
        const slope = share * (p - wanted);
        gradient[0] = gradient[0]! + slope * scores[row * outputs + k]!;
        gradient[1 + k] = gradient[1 + k]! + slope;
      }
    });
    let value = logLoss({ ...judged, answers });
    at.forEach((v, i) => {
      const off = v - (i === 0 ? 1 : 0);
      value += 0.5 * prior * off * off;
      gradient[i] = gradient[i]! + prior * off;
    });
    return value;
  };
  const steps = minimise(objective, x, { l1: new Float64Array(x.length), iterations: 100, tolerance: 1e-9 });
  while (!steps.next().done);
  // A negative slope would turn the ranking around: then the model knows nothing, and only the shares are told.
  return { slope: Math.max(0, x[0]!), intercepts: [...x.subarray(1)] };
}

/** Calibrated answers [rows × width]. */
export function calibrated(judged: Judged, { slope, intercepts }: Calibration): Float64Array {
  return applied(scoresOf(judged), intercepts.length, judged.width, slope, intercepts);
}

function applied(scores: Float64Array, outputs: number, width: number, slope: number, intercepts: ArrayLike<number>): Float64Array {
  const rows = scores.length / outputs;
  const answers = new Float64Array(rows * width);
  for (let row = 0; row < rows; row++) {
    if (outputs === 1) {
      const s = slope * scores[row]! + intercepts[0]!;
      const p = s >= 0 ? 1 / (1 + exp(-s)) : 1 - 1 / (1 + exp(s));
      answers[row * 2] = 1 - p;
      answers[row * 2 + 1] = p;
      continue;
    }
    let top = Number.NEGATIVE_INFINITY;
    for (let k = 0; k < outputs; k++) top = Math.max(top, slope * scores[row * outputs + k]! + intercepts[k]!);
    let sum = 0;
    for (let k = 0; k < outputs; k++) sum += answers[row * outputs + k] = exp(slope * scores[row * outputs + k]! + intercepts[k]! - top);
    for (let k = 0; k < outputs; k++) answers[row * outputs + k] = answers[row * outputs + k]! / sum;
  }
  return answers;
}

/**
 * The calibration of answers that were given out of fold, or null where it is not worth having: fitted on every second row, it must lower
 * the log-loss of the others by more than one standard error, both ways taken together.
 */
export function worthCalibrating(judged: Judged): Calibration | null {
  const halves = [0, 1].map((side) => Uint32Array.from(judged.truth.keys()).filter((row) => row % 2 === side));
  if (halves[1]!.length < 50) return null;
  const gains = new Float64Array(judged.truth.length);
  halves.forEach((rows, side) => {
    const others = rowsOf(judged, halves[1 - side]!);
    const own = rowsOf(judged, rows);
    const after = rowLosses({ ...own, answers: calibrated(own, fitCalibration(others)) }, 'logLoss');
    rowLosses(own, 'logLoss').forEach((before, i) => {
      gains[rows[i]!] = before - after[i]!;
    });
  });
  const { value, error } = meanWithError(gains, judged.weights);
  return value > error ? fitCalibration(judged) : null;
}

function rowsOf({ truth, weights, answers, width }: Judged, rows: Uint32Array): Judged {
  return {
    truth: Float64Array.from(rows, (row) => truth[row]!),
    weights: Float64Array.from(rows, (row) => weights[row]!),
    answers: Float64Array.from({ length: rows.length * width }, (_, i) => answers[rows[Math.floor(i / width)]! * width + (i % width)]!),
    width,
  };
}

/** The same learned model with calibrated scores: leaves and weights are scaled, so that it stays of its kind, and as fast. Not for blends, nor where scores are shares. */
export function foldCalibration(learned: Exclude<Learned, { kind: 'blend' }>, { slope, intercepts }: Calibration): Learned {
  switch (learned.kind) {
    case 'constant':
      return { ...learned, scores: learned.scores.map((s, k) => s * slope + intercepts[k]!) };
    case 'linear': {
      const model = unpackLinear(learned);
      const scaled = { ...model, intercepts: model.intercepts.map((b, k) => b * slope + intercepts[k]!) };
      return packLinear({ ...scaled, weights: model.weights.map((w) => w * slope) }, learned.link);
    }
    case 'trees': {
      const forest = unpackForest(learned.forest);
      const threshold = forest.threshold.map((value, node) => (forest.feature[node]! < 0 ? value * slope : value));
      return {
        ...learned,
        forest: { ...packForest(forest), threshold: pack(threshold), base: pack(forest.base.map((b, k) => b * slope + intercepts[k]!)) },
      };
    }
  }
}
