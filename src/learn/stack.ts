import { type Judged, meanWithError, rowLosses } from './metrics.ts';
import type { MetricName } from './report.ts';

/** Answers of several models to the same rows, none of which the model that gave them had learned from. */
export interface OutOfFold {
  readonly truth: Float64Array;
  readonly weights: Float64Array;
  readonly width: number;
  /** [models]: each [rows × width]. */
  readonly answers: readonly Float64Array[];
}

/** Fewer rows say too little of more weights than the greedy selection's. */
const LEAST_ROWS = 200;
const MOST_PICKS = 8;
/** A member with less of a say costs more time than it is worth. */
const LEAST_SHARE = 0.03;
const EXPECTATION_STEPS = 100;
const FRANK_WOLFE_STEPS = 2000;

/**
 * Shares of the models in their blend: greedy selection, or stacked weights, which name more members, where those are better by more than an
 * error on rows that they were not fitted on (fitted on one half of the rows, compared on the other, both ways). They add up to 1. Cost: rows × models × some hundreds.
 */
export function blendShares(given: OutOfFold, metric: MetricName, measure: (judged: Judged) => number): number[] {
  const greedy = (part: OutOfFold): number[] => greedyShares(part, measure);
  const stacked = stackerOf(metric);
  if (given.answers.length < 2 || stacked === null || given.truth.length < LEAST_ROWS) return greedy(given);
  const gains = new Float64Array(given.truth.length);
  for (const side of [0, 1]) {
    const rows = Uint32Array.from(given.truth.keys()).filter((row) => row % 2 === side);
    const others = Uint32Array.from(given.truth.keys()).filter((row) => row % 2 !== side);
    const [own, fitted] = [rowsOf(given, rows), rowsOf(given, others)];
    const losses = (shares: readonly number[]): Float64Array =>
      rowLosses({ ...own, answers: mixed(own.answers, shares) }, metric as 'logLoss' | 'rmse');
    const [before, after] = [losses(greedy(fitted)), losses(stacked(fitted))];
    rows.forEach((row, i) => {
      gains[row] = before[i]! - after[i]!;
    });
  }
  const { value, error } = meanWithError(gains, given.weights);
  return value > error ? stacked(given) : greedy(given);
}

/** The weighted sum of the models' answers. */
export function mixed(answers: readonly Float64Array[], shares: readonly number[]): Float64Array {
  const sum = new Float64Array(answers[0]!.length);
  answers.forEach((one, m) => {
    const share = shares[m]!;
    if (share !== 0) for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! + share * one[i]!;
  });
  return sum;
}

/** Ensemble selection with replacement (Caruana et al. 2004): at most eight picks, while each makes the score better. */
export function greedyShares({ answers, truth, weights, width }: OutOfFold, measure: (judged: Judged) => number): number[] {
  const picks = new Array<number>(answers.length).fill(0);
  const sum = new Float64Array(answers[0]!.length);
  let reached = Number.POSITIVE_INFINITY;
  for (let count = 1; count <= MOST_PICKS; count++) {
    const scores = answers.map((one) => measure({ truth, weights, width, answers: sum.map((s, i) => (s + one[i]!) / count) }));
    const best = scores.indexOf(Math.min(...scores));
    if (!(scores[best]! < reached)) break;
    reached = scores[best]!;
    picks[best]!++;
    for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! + answers[best]![i]!;
  }
  const total = picks.reduce((a, b) => a + b, 0);
  return picks.map((count) => count / total);
}

function stackerOf(metric: MetricName): ((given: OutOfFold) => number[]) | null {
  if (metric === 'logLoss') return (given) => worthy(likelihoodShares(given));
  if (metric === 'rmse') return (given) => worthy(squaredShares(given));
  return null;
}

/** Drops members with hardly a say. */
function worthy(shares: readonly number[]): number[] {
  const most = Math.max(...shares);
  const kept = shares.map((share) => (share >= Math.min(LEAST_SHARE, most) ? share : 0));
  const total = kept.reduce((sum, share) => sum + share, 0);
  return kept.map((share) => share / total);
}

/** Shares of the mixture with the greatest likelihood, by expectation and maximisation (Dempster et al. 1977): the log-loss is convex in them. */
export function likelihoodShares({ answers, truth, weights, width }: OutOfFold): number[] {
  const total = weights.reduce((sum, w) => sum + w, 0);
  const ofTruth = answers.map((one) => truth.map((y, row) => Math.max(one[row * width + y]!, 1e-15)));
  let shares = answers.map(() => 1 / answers.length);
  for (let step = 0; step < EXPECTATION_STEPS; step++) {
    const mixture = mixed(ofTruth, shares);
    shares = shares.map((share, m) => {
      const likely = ofTruth[m]!;
      let sum = 0;
      for (let row = 0; row < mixture.length; row++) sum += (weights[row]! * likely[row]!) / mixture[row]!;
      return (share * sum) / total;
    });
  }
  return shares;
}

/** Shares with the least squared error, none negative, adding up to 1 (stacked regression, Breiman 1996), by steps of Frank and Wolfe 1956. */
export function squaredShares({ answers, truth, weights }: OutOfFold): number[] {
  const products = (a: Float64Array, b: Float64Array): number => {
    let sum = 0;
    for (let i = 0; i < truth.length; i++) sum += weights[i]! * (a[i]! - truth[i]!) * (b[i]! - truth[i]!);
    return sum;
  };
  // With shares that add up to 1, the error of the mixture is the mixture of the errors.
  const gram = answers.map((a) => answers.map((b) => products(a, b)));
  let at = answers.map(() => 1 / answers.length);
  const times = (vector: readonly number[]): number[] => gram.map((row) => row.reduce((sum, g, m) => sum + g * vector[m]!, 0));
  for (let step = 0; step < FRANK_WOLFE_STEPS; step++) {
    const slope = times(at);
    const best = slope.indexOf(Math.min(...slope));
    const direction = at.map((share, m) => (m === best ? 1 : 0) - share);
    const turned = times(direction);
    const along = direction.reduce((sum, d, m) => sum + d * slope[m]!, 0);
    const bent = direction.reduce((sum, d, m) => sum + d * turned[m]!, 0);
    if (!(along < 0) || !(bent > 0)) break;
    const length = Math.min(1, -along / bent);
    at = at.map((share, m) => share + length * direction[m]!);
  }
  return at;
}

function rowsOf({ truth, weights, width, answers }: OutOfFold, rows: Uint32Array): OutOfFold {
  const pick = (values: Float64Array, each: number): Float64Array =>
    Float64Array.from({ length: rows.length * each }, (_, i) => values[rows[Math.floor(i / each)]! * each + (i % each)]!);
  return { truth: pick(truth, 1), weights: pick(weights, 1), width, answers: answers.map((one) => pick(one, width)) };
}
