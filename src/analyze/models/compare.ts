/**
 * Two versions on the same rows, metric by metric: the difference with its interval. Paired, since both answered the same rows: what makes a
 * row hard for one makes it hard for the other, and falls out of the difference.
 */
import { quantile } from '../answers/normal.ts';
import { chiSquaredAbove } from './drift.ts';
import type { Judged } from './judge.ts';

export interface Compared {
  readonly metric: string;
  readonly baseline: number;
  readonly candidate: number;
  /** Candidate less baseline. */
  readonly difference: number;
  readonly low: number;
  readonly high: number;
  /** Of no difference, two-sided. */
  readonly p: number;
  /** Whose figure is better, where the interval leaves 0 out. */
  readonly better: 'baseline' | 'candidate' | 'unclear';
}

/** A figure of each and the variance of their difference. */
export interface Pair {
  readonly metric: string;
  readonly lessIsBetter: boolean;
  readonly baseline: number;
  readonly candidate: number;
  readonly variance: number;
}

/**
 * The figures of two models that judged the same rows, in the same order. Means of rows have the variance of the rows' differences; the area
 * under the ROC curve that of DeLong et al. 1988. Cost: rows × log rows.
 */
export function pairs(baseline: Judged, candidate: Judged): Pair[] {
  const { truth, width } = baseline;
  const mean = (metric: string, lessIsBetter: boolean, of: (judged: Judged, row: number) => number): Pair => {
    const values = [baseline, candidate].map((judged) => Float64Array.from(truth, (_, row) => of(judged, row)));
    const differences = values[1]!.map((value, row) => value - values[0]![row]!);
    const [before, after] = values.map(average);
    return { metric, lessIsBetter, baseline: before!, candidate: after!, variance: varianceOf(differences) / truth.length };
  };
  if (width === 1)
    return [
      mean('mean_absolute_error', true, ({ answers }, row) => Math.abs(answers[row]! - truth[row]!)),
      mean('mean_squared_error', true, ({ answers }, row) => (answers[row]! - truth[row]!) ** 2),
    ];
  const means = [
    mean('log_loss', true, ({ answers }, row) => -Math.log(Math.max(answers[row * width + truth[row]!]!, 1e-15))),
    mean('accuracy', false, ({ answers }, row) => Number(guess(answers, row * width, width) === truth[row])),
  ];
  if (width > 2) return means;
  const positives = truth.reduce((count, label) => count + label, 0);
  // Of one row of a class nothing can be said of how it varies.
  return Math.min(positives, truth.length - positives) < 2 ? means : [...means, areas(baseline, candidate)];
}

/** With its interval: normal, since each figure is a mean of many rows or a U-statistic of them. `level` is the interval's confidence, 0–1. */
export function compared({ metric, lessIsBetter, baseline, candidate, variance }: Pair, level: number): Compared {
  const difference = candidate - baseline;
  const error = Math.sqrt(variance);
  const reach = quantile((1 + level) / 2) * error;
  const [low, high] = [difference - reach, difference + reach];
  // Versions that answer alike have no difference and no variance.
  const p = error > 0 ? chiSquaredAbove((difference / error) ** 2, 1) : difference === 0 ? 1 : 0;
  const clear = low > 0 || high < 0;
  const better = !clear ? 'unclear' : difference < 0 === lessIsBetter ? 'candidate' : 'baseline';
  return { metric, baseline, candidate, difference, low, high, p, better };
}

function guess(answers: Float64Array, at: number, width: number): number {
  let best = 0;
  for (let k = 1; k < width; k++) if (answers[at + k]! > answers[at + best]!) best = k;
  return best;
}

const average = (values: Float64Array): number => values.reduce((sum, value) => sum + value / values.length, 0);

function varianceOf(values: Float64Array): number {
  const mean = average(values);
  return values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, values.length - 1);
}

/** By the placements of each positive among the negatives and of each negative among the positives (Sun, Xu 2014: from ranks). */
function areas(baseline: Judged, candidate: Judged): Pair {
  const [a, b] = [placements(baseline), placements(candidate)];
  const apart = (one: Float64Array, other: Float64Array) => varianceOf(other.map((value, k) => value - one[k]!)) / one.length;
  return {
    metric: 'roc_auc',
    lessIsBetter: false,
    baseline: average(a.positives),
    candidate: average(b.positives),
    variance: apart(a.positives, b.positives) + apart(a.negatives, b.negatives),
  };
}

/** Of each positive the share of negatives below it, and of each negative the share of positives above it, ties half; in the rows' order. */
function placements({ truth, answers, width }: Judged): { positives: Float64Array; negatives: Float64Array } {
  const scores = Float64Array.from(truth, (_, row) => answers[row * width + 1]!);
  const rows = (label: number) => Uint32Array.from(truth.keys()).filter((row) => truth[row] === label);
  const [no, yes] = [rows(0), rows(1)];
  const all = midRanks(scores);
  const among = (own: Uint32Array) => midRanks(Float64Array.from(own, (row) => scores[row]!));
  const [inNo, inYes] = [among(no), among(yes)];
  return {
    positives: Float64Array.from(yes, (row, k) => (all[row]! - inYes[k]!) / no.length),
    negatives: Float64Array.from(no, (row, k) => 1 - (all[row]! - inNo[k]!) / yes.length),
  };
}

/** From 1, the mean rank where values are equal. */
function midRanks(values: Float64Array): Float64Array {
  const order = Uint32Array.from(values.keys()).sort((a, b) => values[a]! - values[b]!);
  const ranks = new Float64Array(values.length);
  for (let from = 0; from < order.length; ) {
    let to = from;
    while (to < order.length && values[order[to]!] === values[order[from]!]) to++;
    for (let at = from; at < to; at++) ranks[order[at]!] = (from + 1 + to) / 2;
    from = to;
  }
  return ranks;
}
