/** Figures of predictions beside known answers, under BigQuery ML's names. */
import { areaUnderRoc } from '#learn';

/** Answers [rows × width] of the rows whose label is known: probabilities in the classes' order, or values (width 1). Truth: class numbers or values. */
export interface Judged {
  readonly truth: Float64Array;
  readonly answers: Float64Array;
  readonly width: number;
}

export type Figures = Readonly<Record<string, number>>;

export function regressionFigures({ truth, answers }: Judged): Figures {
  const n = truth.length;
  const mean = (of: (row: number) => number): number => {
    let sum = 0;
    for (let row = 0; row < n; row++) sum += of(row);
    return sum / n;
  };
  const error = (row: number) => answers[row]! - truth[row]!;
  const average = mean((row) => truth[row]!);
  const bias = mean(error);
  const variance = mean((row) => (truth[row]! - average) ** 2);
  const squared = mean((row) => error(row) ** 2);
  const absolute = Float64Array.from(truth, (_, row) => Math.abs(error(row))).sort();
  const logarithmic = (row: number) => (Math.log1p(Math.max(answers[row]!, 0)) - Math.log1p(truth[row]!)) ** 2;
  return {
    mean_absolute_error: mean((row) => Math.abs(error(row))),
    mean_squared_error: squared,
    mean_squared_log_error: truth.some((value) => value < 0) ? Number.NaN : mean(logarithmic),
    median_absolute_error: (absolute[(n - 1) >> 1]! + absolute[n >> 1]!) / 2,
    r2_score: variance === 0 ? Number.NaN : 1 - squared / variance,
    explained_variance: variance === 0 ? Number.NaN : 1 - mean((row) => (error(row) - bias) ** 2) / variance,
  };
}

/** Two classes: of the second, at the threshold. More: precision, recall, F1 and the area are means over the classes that stand in the data. */
export function classificationFigures(judged: Judged, threshold: number): Figures {
  const { truth, answers, width } = judged;
  let loss = 0;
  for (let row = 0; row < truth.length; row++) loss -= Math.log(Math.max(answers[row * width + truth[row]!]!, 1e-15)) / truth.length;
  return { ...confusionFigures(confusion(judged, threshold)), log_loss: loss, roc_auc: areaOf(judged) };
}

/** Rows count alike. */
const areaOf = (judged: Judged): number => {
  const weighed = { ...judged, weights: new Float64Array(judged.truth.length).fill(1) };
  return areaUnderRoc(weighed)(weighed);
};

/** Precision, recall, accuracy and F1 of a table of rows by true (outer) and predicted class. */
export function confusionFigures(table: readonly (readonly number[])[]): Figures {
  const classes = table.length === 2 ? [1] : table.map((_, k) => k).filter((k) => table[k]!.some((count) => count > 0));
  const each = classes.map((k) => {
    const hit = table[k]![k]!;
    const predicted = table.reduce((sum, row) => sum + row[k]!, 0);
    const actual = table[k]!.reduce((sum, count) => sum + count, 0);
    const precision = predicted === 0 ? 0 : hit / predicted;
    const recall = actual === 0 ? 0 : hit / actual;
    return { precision, recall, f1: precision + recall === 0 ? 0 : (2 * precision * recall) / (precision + recall) };
  });
  const mean = (of: (figures: (typeof each)[number]) => number) => each.reduce((sum, figures) => sum + of(figures) / each.length, 0);
  const total = table.flat().reduce((sum, count) => sum + count, 0);
  const right = table.reduce((sum, row, k) => sum + row[k]!, 0);
  return { precision: mean((f) => f.precision), recall: mean((f) => f.recall), accuracy: right / total, f1_score: mean((f) => f.f1) };
}

/** The class that a row of probabilities stands for: the most probable (the first of equals), or with two classes the second from the threshold on. */
export function decide(answers: Float64Array, at: number, width: number, threshold: number): number {
  if (width === 2 && threshold !== 0.5) return answers[at + 1]! >= threshold ? 1 : 0;
  let best = 0;
  for (let k = 1; k < width; k++) if (answers[at + k]! > answers[at + best]!) best = k;
  return best;
}

/** Rows by true (outer) and predicted (inner) class. */
export function confusion({ truth, answers, width }: Judged, threshold: number): number[][] {
  const table = Array.from({ length: width }, () => new Array<number>(width).fill(0));
  truth.forEach((actual, row) => {
    table[actual]![decide(answers, row * width, width, threshold)]!++;
  });
  return table;
}

export interface RocPoint {
  readonly threshold: number;
  readonly truePositives: number;
  readonly falsePositives: number;
  readonly trueNegatives: number;
  readonly falseNegatives: number;
}

export const HUNDREDTHS: readonly number[] = Array.from({ length: 101 }, (_, at) => at / 100);

/** Counts at thresholds of the second class: from a threshold on a row is taken for it. Cost: rows × log rows, and little for each threshold. */
export function rocPoints({ truth, answers, width }: Judged, thresholds: readonly number[]): RocPoint[] {
  const scoresOf = (label: number) =>
    Float64Array.from(
      [...truth.keys()].filter((row) => truth[row] === label),
      (row) => answers[row * width + 1]!,
    ).sort();
  const [negatives, positives] = [scoresOf(0), scoresOf(1)];
  return thresholds.map((threshold) => {
    const [trueNegatives, falseNegatives] = [below(negatives, threshold), below(positives, threshold)];
    return {
      threshold,
      truePositives: positives.length - falseNegatives,
      falsePositives: negatives.length - trueNegatives,
      trueNegatives,
      falseNegatives,
    };
  });
}

/** How many of the sorted values lie below. */
function below(sorted: Float64Array, value: number): number {
  let [from, to] = [0, sorted.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (sorted[middle]! < value) from = middle + 1;
    else to = middle;
  }
  return from;
}
