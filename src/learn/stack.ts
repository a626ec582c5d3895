import type { Judged } from './metrics.ts';
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
const LEAST_SHARE = 0.08;
const EXPECTATION_STEPS = 100;
const FRANK_WOLFE_STEPS = 2000;

/**
 * Shares of the models in their blend; they add up to 1. Stacked weights where the metric has them: on small and large tables they were as good as
 * greedy selection or better, however many models there were to choose from. Else, or with few rows, greedy selection. Cost: rows × models × some hundreds.
 */
export function blendShares(given: OutOfFold, metric: MetricName, measure: (judged: Judged) => number): number[] {
  const stacked = given.truth.length < LEAST_ROWS ? null : stackerOf(metric);
  return stacked === null ? greedyShares(given, measure) : stacked(given);
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
  if (metric === 'logLoss') return (given) => sparse(given, likelihoodShares);
  if (metric === 'rmse') return (given) => sparse(given, squaredShares);
  return null;
}

/** Members with hardly a say are dropped, the weaker half of them at a time, and the others' shares found anew: of many models that are much alike, some stay. */
function sparse(given: OutOfFold, fit: (given: OutOfFold) => number[]): number[] {
  let members = given.answers.map((_, m) => m);
  while (true) {
    const shares = fit({ ...given, answers: members.map((m) => given.answers[m]!) });
    const weak = [...shares.keys()].filter((at) => shares[at]! < LEAST_SHARE).sort((a, b) => shares[a]! - shares[b]!);
    if (weak.length === 0) return given.answers.map((_, m) => shares[members.indexOf(m)] ?? 0);
    const dropped = new Set(weak.slice(0, Math.ceil(weak.length / 2)));
    members = members.filter((_, at) => !dropped.has(at));
  }
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
