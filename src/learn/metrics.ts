import { exp, log } from './exact.ts';
import { random } from './random.ts';

/** Answers beside the truth. Classification: answers are probabilities [rows × classes], truth class numbers. Regression: values. */
export interface Judged {
  readonly truth: Float64Array;
  readonly weights: Float64Array;
  readonly answers: Float64Array;
  /** 1 for regression. */
  readonly width: number;
}

/** Negative log-likelihood, the figure that models are chosen by in classification; a probability of 0 counts as 1e-15. */
export function logLoss({ truth, weights, answers, width }: Judged): number {
  return weightedMean(truth, weights, (y, row) => -log(Math.max(answers[row * width + y]!, 1e-15)));
}

export function accuracy({ truth, weights, answers, width }: Judged): number {
  return weightedMean(truth, weights, (y, row) => {
    for (let k = 0; k < width; k++)
      if (
        k !== y &&
        (answers[row * width + k]! > answers[row * width + y]! || (answers[row * width + k] === answers[row * width + y] && k < y))
      )
        return 0;
    return 1;
  });
}

export function rootMeanSquare({ truth, weights, answers }: Judged): number {
  return Math.sqrt(weightedMean(truth, weights, (y, row) => (answers[row]! - y) ** 2));
}

export function meanAbsolute({ truth, weights, answers }: Judged): number {
  return weightedMean(truth, weights, (y, row) => Math.abs(answers[row]! - y));
}

/** Mean pinball loss of the quantile alpha. */
export function pinball({ truth, weights, answers }: Judged, alpha: number): number {
  return weightedMean(truth, weights, (y, row) => (answers[row]! >= y ? (1 - alpha) * (answers[row]! - y) : alpha * (y - answers[row]!)));
}

/** Share of the target's variance that is explained: 1 - SSE/SST over these rows. */
export function determination(judged: Judged): number {
  const mean = weightedMean(judged.truth, judged.weights, (y) => y);
  const total = weightedMean(judged.truth, judged.weights, (y) => (y - mean) ** 2);
  return total > 0 ? 1 - rootMeanSquare(judged) ** 2 / total : 0;
}

/**
 * Area under the ROC curve: the chance that a row of the class stands above one of another, ties half (Mann, Whitney 1947). Two classes: of the
 * second; more: the mean of each against all others, each counting alike, over those that tell any apart (Hand, Till 2001 compare in pairs;
 * this is scikit-learn's "ovr" and "macro"). What comes back measures the same rows by other weights: they are sorted once.
 */
export function areaUnderRoc({ truth, answers, width }: Judged): (judged: Judged) => number {
  const classes = width <= 2 ? [1] : Array.from({ length: width }, (_, k) => k);
  const areas = classes.map((k) => areaOf(truth, answers, width, k));
  return ({ weights }) => {
    const known = areas.map((area) => area(weights)).filter((area) => !Number.isNaN(area));
    return known.reduce((sum, area) => sum + area, 0) / known.length;
  };
}

/** Of class k, against all others. */
function areaOf(truth: Float64Array, answers: Float64Array, width: number, k: number): (weights: Float64Array) => number {
  const column = Math.min(k, width - 1);
  const order = byScore(answers, width, truth.length, column);
  const scores = Float64Array.from(order, (row) => answers[row * width + column]!);
  return (weights) => {
    let area = 0;
    let negatives = 0;
    let positives = 0;
    for (let at = 0; at < order.length; ) {
      const score = scores[at];
      let tiedPositive = 0;
      let tiedNegative = 0;
      for (; at < order.length && scores[at] === score; at++) {
        const row = order[at]!;
        if (truth[row] === k) tiedPositive += weights[row]!;
        else tiedNegative += weights[row]!;
      }
      area += tiedPositive * (negatives + tiedNegative / 2);
      negatives += tiedNegative;
      positives += tiedPositive;
    }
    return positives > 0 && negatives > 0 ? area / (positives * negatives) : Number.NaN;
  };
}

/** Rows in ascending order of a class's probability, the last class's unless it is said. */
function byScore(answers: Float64Array, width: number, rows: number, column = width - 1): Uint32Array {
  return Uint32Array.from({ length: rows }, (_, i) => i).sort((a, b) => answers[a * width + column]! - answers[b * width + column]!);
}

/** Harmonic mean of precision and recall of the class. */
export function f1(judged: Judged, positive: number): number {
  const table = confusion(judged);
  const hit = table[positive]![positive]!;
  const predicted = table.reduce((sum, row) => sum + row[positive]!, 0);
  const actual = table[positive]!.reduce((sum, n) => sum + n, 0);
  return predicted + actual > 0 ? (2 * hit) / (predicted + actual) : 0;
}

/** Weight of rows by true class (outer) and most probable class (inner). */
export function confusion({ truth, weights, answers, width }: Judged): number[][] {
  const table = Array.from({ length: width }, () => new Array<number>(width).fill(0));
  truth.forEach((y, row) => {
    let best = 0;
    for (let k = 1; k < width; k++) if (answers[row * width + k]! > answers[row * width + best]!) best = k;
    table[y]![best]! += weights[row]!;
  });
  return table;
}

/** How many values lie below the first edge, between two, from the last on. */
export interface Spread {
  readonly edges: readonly number[];
  readonly counts: readonly number[];
}

export function spread(values: Float64Array, edges: readonly number[]): Spread {
  const counts = new Array<number>(edges.length + 1).fill(0);
  for (const value of values) counts[edges.filter((edge) => value >= edge).length]!++;
  return { edges, counts };
}

/** How far from a tenth its gap is looked for, as a share of the values. */
const NEAR = 0.04;

/**
 * Edges near the tenths of the values, each in the middle of the widest gap there; none where all values there are equal. A model gives few
 * values many times, and one that learned from some more rows gives nearly the same: an edge on such a value would part them at random.
 */
export function gapEdges(values: Float64Array): number[] {
  const sorted = values.slice().sort();
  const edges = Array.from({ length: 9 }, (_, k) => {
    const [from, to] = [-NEAR, NEAR].map((off) => Math.round(((k + 1) / 10 + off) * (sorted.length - 1)));
    let at = from!;
    for (let i = from!; i < to!; i++) if (sorted[i + 1]! - sorted[i]! > sorted[at + 1]! - sorted[at]!) at = i;
    return sorted[at + 1]! > sorted[at]! ? (sorted[at]! + sorted[at + 1]!) / 2 : Number.NaN;
  });
  return [...new Set(edges)].filter((edge) => !Number.isNaN(edge));
}

/** A point of the threshold slider: what happens when rows with at least this probability are acted on. */
export interface Threshold {
  readonly threshold: number;
  readonly truePositives: number;
  readonly falsePositives: number;
  readonly falseNegatives: number;
  readonly trueNegatives: number;
}

/** 101 thresholds from 0 to 1, for two classes, rows by weight: ROC, precision–recall, lift and profit are all read from these counts. */
export function thresholds({ truth, weights, answers, width }: Judged): Threshold[] {
  return Array.from({ length: 101 }, (_, at) => {
    const counts = [0, 0, 0, 0];
    truth.forEach((y, row) => {
      const acted = answers[row * width + width - 1]! >= at / 100;
      const kind = y === 1 ? (acted ? 0 : 2) : acted ? 1 : 3;
      counts[kind]! += weights[row]!;
    });
    const [truePositives, falsePositives, falseNegatives, trueNegatives] = counts as [number, number, number, number];
    return { threshold: at / 100, truePositives, falsePositives, falseNegatives, trueNegatives };
  });
}

/** Weighted mean of (p - y)² for the second of two classes (Brier 1950). */
export function brier({ truth, weights, answers, width }: Judged): number {
  return weightedMean(truth, weights, (y, row) => (answers[row * width + width - 1]! - y) ** 2);
}

/** A bin of the reliability diagram: mean promised probability, observed share of positives, and the weight of its rows. */
export interface ReliabilityBin {
  readonly rows: number;
  readonly predicted: number;
  readonly observed: number;
}

/** Rows in ten bins of the second class's probability, by weight: what was promised against what came. */
export function calibration({ truth, weights, answers, width }: Judged): ReliabilityBin[] {
  const bins = Array.from({ length: 10 }, () => ({ rows: 0, predicted: 0, observed: 0 }));
  truth.forEach((y, row) => {
    const p = answers[row * width + width - 1]!;
    const bin = bins[Math.min(9, Math.floor(p * 10))]!;
    bin.rows += weights[row]!;
    bin.predicted += p * weights[row]!;
    bin.observed += y === 1 ? weights[row]! : 0;
  });
  return bins.filter((b) => b.rows > 0).map((b) => ({ rows: b.rows, predicted: b.predicted / b.rows, observed: b.observed / b.rows }));
}

/** Expected calibration error: the mean distance of promise and outcome over the bins, by weight (Naeini et al. 2015). */
export function calibrationError(bins: readonly ReliabilityBin[]): number {
  const total = bins.reduce((sum, b) => sum + b.rows, 0);
  return bins.reduce((sum, b) => sum + (b.rows / total) * Math.abs(b.predicted - b.observed), 0);
}

/** A step of the isotonic fit: answers from `from` to `to` have the observed share `observed`. */
export interface IsotonicStep {
  readonly from: number;
  readonly to: number;
  readonly weight: number;
  readonly observed: number;
}

/**
 * The non-decreasing function of the second class's probability that fits the truth best in squares (pool adjacent violators, Ayer et al. 1955):
 * the reliability diagram without bins to choose (Dimitriadis, Gneiting, Jordan 2021).
 */
export function isotonic({ truth, weights, answers, width }: Judged): IsotonicStep[] {
  const steps: IsotonicStep[] = [];
  const pooled = (a: IsotonicStep, b: IsotonicStep): IsotonicStep => {
    const weight = a.weight + b.weight;
    return { from: a.from, to: b.to, weight, observed: (a.observed * a.weight + b.observed * b.weight) / weight };
  };
  for (const tied of tiedAnswers({ truth, weights, answers, width })) {
    let step = tied;
    while (steps.length > 0 && steps.at(-1)!.observed >= step.observed) step = pooled(steps.pop()!, step);
    steps.push(step);
  }
  return steps;
}

/** Rows of one answer as one step, in ascending order: they can't be told apart whatever their truth. */
function tiedAnswers({ truth, weights, answers, width }: Judged): IsotonicStep[] {
  const steps: { from: number; to: number; weight: number; observed: number }[] = [];
  for (const row of byScore(answers, width, truth.length)) {
    const p = answers[row * width + width - 1]!;
    const w = weights[row]!;
    if (w === 0) continue;
    const last = steps.at(-1);
    if (last?.from !== p) steps.push({ from: p, to: p, weight: w, observed: truth[row]! });
    else {
      last.observed = (last.observed * last.weight + truth[row]! * w) / (last.weight + w);
      last.weight += w;
    }
  }
  return steps;
}

/** How much of the Brier score a perfect recalibration of these very rows would take away (the MCB of Dimitriadis, Gneiting, Jordan 2021). */
export function miscalibration(judged: Judged): number {
  const total = judged.weights.reduce((sum, w) => sum + w, 0);
  // Within a step the best squares are those of its own share.
  const best = isotonic(judged).reduce((sum, s) => sum + (s.weight / total) * s.observed * (1 - s.observed), 0);
  return brier(judged) - best;
}

/** A point of the ranking of rows by the second class's probability, the surest first: what is met when the first `share` of them is taken. */
export interface RankPoint {
  /** Share of all rows taken. */
  readonly share: number;
  readonly precision: number;
  /** Share of the positives that are taken: recall, the true positive rate. */
  readonly recall: number;
  readonly falsePositiveRate: number;
  /** Precision beside that of taking rows at random. */
  readonly lift: number;
}

/** At most 100 points, rows of one answer never torn apart: ROC, precision–recall, cumulative gain and lift are all drawn from them. */
export function ranking(judged: Judged): RankPoint[] {
  const { truth, weights, answers, width } = judged;
  const order = byScore(answers, width, truth.length).reverse();
  const total = weights.reduce((sum, w) => sum + w, 0);
  const positives = truth.reduce((sum, y, row) => sum + (y === 1 ? weights[row]! : 0), 0);
  if (!(positives > 0 && positives < total)) return [];
  const points: RankPoint[] = [];
  let taken = 0;
  let hits = 0;
  order.forEach((row, at) => {
    taken += weights[row]!;
    if (truth[row] === 1) hits += weights[row]!;
    const next = order[at + 1];
    const torn = next !== undefined && answers[next * width + width - 1] === answers[row * width + width - 1];
    if (torn || taken === 0 || taken / total < (points.at(-1)?.share ?? 0) + 0.01 - 1e-9) return;
    points.push({
      share: taken / total,
      precision: hits / taken,
      recall: hits / positives,
      falsePositiveRate: (taken - hits) / (total - positives),
      lift: hits / taken / (positives / total),
    });
  });
  return points;
}

/** Area under the precision–recall curve as average precision: Σ (recall gained) × precision, ties together. */
export function averagePrecision({ truth, weights, answers, width }: Judged): number {
  const order = byScore(answers, width, truth.length).reverse();
  const positives = truth.reduce((sum, y, row) => sum + (y === 1 ? weights[row]! : 0), 0);
  let taken = 0;
  let hits = 0;
  let counted = 0;
  let area = 0;
  order.forEach((row, at) => {
    taken += weights[row]!;
    if (truth[row] === 1) hits += weights[row]!;
    const next = order[at + 1];
    if (next !== undefined && answers[next * width + width - 1] === answers[row * width + width - 1]) return;
    if (hits > counted) area += ((hits - counted) / positives) * (hits / taken);
    counted = hits;
  });
  return positives > 0 ? area : Number.NaN;
}

/** The loss of each row, where the metric is their weighted mean (rmse: the square of it is). */
export function rowLosses({ truth, answers, width }: Judged, metric: 'logLoss' | 'rmse' | 'mae' | 'pinball', alpha = 0.5): Float64Array {
  return truth.map((y, row) => {
    if (metric === 'logLoss') return -log(Math.max(answers[row * width + y]!, 1e-15));
    const over = answers[row]! - y;
    if (metric === 'rmse') return over * over;
    return metric === 'mae' ? Math.abs(over) : over >= 0 ? (1 - alpha) * over : -alpha * over;
  });
}

/** Weighted mean of values and its standard error, rows counted as drawn independently (Cochran 1977, 5.15 for ratios). */
export function meanWithError(values: Float64Array, weights: Float64Array): { readonly value: number; readonly error: number } {
  const total = weights.reduce((sum, w) => sum + w, 0);
  const value = values.reduce((sum, v, i) => sum + v * weights[i]!, 0) / total;
  const squares = values.reduce((sum, v, i) => sum + (weights[i]! * (v - value)) ** 2, 0);
  return { value, error: Math.sqrt(squares) / total };
}

function weightedMean(truth: Float64Array, weights: Float64Array, value: (y: number, row: number) => number): number {
  let sum = 0;
  let total = 0;
  for (let row = 0; row < truth.length; row++) {
    sum += value(truth[row]!, row) * weights[row]!;
    total += weights[row]!;
  }
  return total > 0 ? sum / total : Number.NaN;
}

/** The metric's value and its standard error over Poisson bootstrap resamples of rows (Hanley, MacGibbon 2006): each row weighs Poisson(1) in each. */
export function withError(
  judged: Judged,
  metric: (judged: Judged) => number,
  seed: number,
  resamples = 100,
): { readonly value: number; readonly error: number } {
  const values: number[] = [];
  const next = random(seed);
  for (let r = 0; r < resamples; r++) {
    const value = metric({ ...judged, weights: judged.weights.map((w) => w * poissonOne(next())) });
    if (!Number.isNaN(value)) values.push(value);
  }
  const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
  const variance = values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / Math.max(1, values.length - 1);
  return { value: metric(judged), error: Math.sqrt(variance) };
}

/** The Poisson(1) quantile of u. */
function poissonOne(u: number): number {
  let p = exp(-1);
  let sum = p;
  let k = 0;
  while (u > sum && k < 12) {
    k++;
    p /= k;
    sum += p;
  }
  return k;
}
