import type { SplitDecision } from './auto/split.ts';
import type { Candidate } from './learners.ts';
import type { Threshold } from './metrics.ts';
import type { Reading } from './read.ts';

/** A figure with its standard error over resampled rows. */
export interface Figure {
  readonly metric: MetricName;
  readonly value: number;
  readonly error: number;
}

/** `logLoss`, `rmse`, `mae`, `pinball`: less is better; the others: more is better. */
export type MetricName = 'logLoss' | 'auc' | 'accuracy' | 'f1' | 'rmse' | 'mae' | 'pinball' | 'r2';

/** One model tried: its score on rows that it did not learn from, but that it was chosen by. */
export interface Trial {
  readonly candidate: Candidate;
  readonly score: number;
  readonly rounds: number | null;
  readonly trainMillis: number;
  /** Weight in the final blend; 0 when it is not part of it. */
  readonly share: number;
}

/** Something about the data that the user should know; `column` where it is about one. */
export interface Warning {
  readonly kind: 'dropped' | 'leakage' | 'imbalance' | 'duplicates' | 'few rows' | 'no better than the rule' | 'too good';
  readonly column: string | null;
  readonly text: string;
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
  /** Figures of the blend on rows that nothing was learned from nor chosen by. The final model has then learned from these rows too. */
  readonly scores: readonly Figure[];
  /** The best simple rule (a constant, or a table of one column) on the same rows; `gain` is what the model improves `metric` by. */
  readonly rule: { readonly text: string; readonly score: number; readonly gain: number; readonly gainError: number };
  /** Whether the gain is beyond two of its errors. */
  readonly better: boolean;
  /** Loss of `metric` when the column's values are shuffled among the judged rows, largest first. */
  readonly importance: readonly { readonly column: string; readonly loss: number }[];
  /** Classification: rows by true (outer) and predicted (inner) class. */
  readonly confusion: readonly (readonly number[])[] | null;
  /** Two classes: counts at each threshold of the second class. */
  readonly thresholds: readonly Threshold[] | null;
  readonly calibration: readonly { readonly rows: number; readonly predicted: number; readonly observed: number }[] | null;
  /** Whether training ended before its budget because it was told to. */
  readonly stopped: boolean;
}
