import type { Acting, Worth } from './auto/money.ts';
import type { SplitDecision } from './auto/split.ts';
import type { Candidate } from './learners.ts';
import type { RankPoint, ReliabilityBin, Spread, Threshold } from './metrics.ts';
import type { Reading } from './read.ts';

/** A figure with its standard error over resampled rows. */
export interface Figure {
  readonly metric: MetricName;
  readonly value: number;
  readonly error: number;
}

/** `logLoss`, `rmse`, `mae`, `pinball`: less is better; the others: more is better. */
export type MetricName = 'logLoss' | 'auc' | 'averagePrecision' | 'accuracy' | 'f1' | 'rmse' | 'mae' | 'pinball' | 'r2';

/** One model tried: its score on rows that it did not learn from, but that it was chosen by. */
export interface Trial {
  readonly candidate: Candidate;
  readonly score: number;
  /** Standard error of the score over those rows. */
  readonly error: number;
  readonly rounds: number | null;
  readonly trainMillis: number;
  /** Time to answer a row of a batch. */
  readonly predictMicros: number;
  /** Of the learned part as JSON. */
  readonly bytes: number;
  /** Whether its probabilities were calibrated, because that clearly lowered their log-loss out of fold. */
  readonly calibrated: boolean;
  /** Weight in the final blend; 0 when it is not part of it. */
  readonly share: number;
}

/** Something about the data that the user should know; `column` where it is about one. */
export interface Warning {
  readonly kind:
    | 'dropped'
    | 'leakage'
    | 'imbalance'
    | 'class weights'
    | 'duplicates'
    | 'both sides'
    | 'few rows'
    | 'not judged'
    | 'no better than the rule'
    | 'too good';
  readonly column: string | null;
  readonly text: string;
}

/** Mean answer when the column has that value in every row, all else as it is (partial dependence, Friedman 2001). */
export interface Dependence {
  readonly column: string;
  /** `value` null: missing. `answers`: the value, or each class's probability. */
  readonly points: readonly { readonly value: number | string | null; readonly answers: readonly number[] }[];
}

/** Judged rows that the model does clearly worse on than on the others: their mean loss, beside the simple rule's on the same rows. */
export interface Slice {
  readonly column: string;
  /** A category, or a range of numbers in words. */
  readonly value: string;
  readonly rows: number;
  readonly loss: number;
  readonly otherLoss: number;
  readonly error: number;
  readonly ruleLoss: number;
}

/** The model in words, a sentence a line. */
export interface Card {
  readonly en: readonly string[];
  readonly ko: readonly string[];
}

/** How a model was made and how good it is: plain data for console, CLI and SQL. */
export interface Report {
  readonly task: 'regression' | 'classification';
  readonly taskWhy: string | null;
  readonly rows: { readonly table: number; readonly known: number; readonly learned: number; readonly judged: number };
  readonly columns: readonly Reading[];
  readonly split: SplitDecision;
  readonly warnings: readonly Warning[];
  /** What the trials were ranked by. */
  readonly metric: MetricName;
  readonly trials: readonly Trial[];
  /**
   * Figures of the blend on rows that nothing was learned from nor chosen by. The final model has then learned from these rows too, unless the
   * plan says which they are. Empty, and `rule` and `better` null, where no row was held out.
   */
  readonly scores: readonly Figure[];
  /**
   * The best simple rule (a constant, or a table of one column) on the same rows; `gain` is what the model improves `metric` by. Here, in
   * `importance` and in `slices` classes weigh as in learning: a model that was told that all count alike is held to that.
   */
  readonly rule: { readonly text: string; readonly score: number; readonly gain: number; readonly gainError: number } | null;
  /** Whether the gain is beyond two of its errors. */
  readonly better: boolean | null;
  /** Loss of `metric` when the column's values are shuffled among the judged rows, largest first. */
  readonly importance: readonly { readonly column: string; readonly loss: number }[];
  /** Classification: rows by true (outer) and predicted (inner) class. */
  readonly confusion: readonly (readonly number[])[] | null;
  /** Two classes: counts at each threshold of the second class. */
  readonly thresholds: readonly Threshold[] | null;
  /** Two classes: what was promised against what came, in ten bins. */
  readonly calibration: readonly ReliabilityBin[] | null;
  /** Two classes: the Brier score, the expected calibration error over those bins, and the part of the Brier score that recalibration could take away. */
  readonly reliability: { readonly brier: number; readonly expectedError: number; readonly miscalibration: number } | null;
  /**
   * The answers to the judged rows, so that later ones can be held against them. Numbers: some ten parts. More than two classes: how many
   * rows were given each, and how many had that class's probability in each tenth. Two classes: with a column of weights how many had the second's in each tenth; null without, since thresholds tell it, and where nothing was judged.
   */
  readonly answered: { readonly classes: readonly number[] | null; readonly spread: Spread } | null;
  /** Two classes: ROC, precision–recall, gain and lift are drawn from it. */
  readonly ranking: readonly RankPoint[] | null;
  /** Two classes: whom the model and the simple rule would act on, from which `worth` reads what that earns. */
  readonly acting: readonly Acting[] | null;
  /** What acting on the model is worth, where the plan says what a hit and a contact are worth. */
  readonly money: Worth | null;
  /** Of the columns that matter most. */
  readonly dependence: readonly Dependence[];
  readonly slices: readonly Slice[];
  /** Of the whole search, of a row of a batch, and of the blend as JSON. */
  readonly cost: { readonly trainMillis: number; readonly predictMicros: number; readonly bytes: number };
  readonly card: Card;
  /** Whether training ended before its budget because it was told to. */
  readonly stopped: boolean;
}
