import type { GrowRules } from './grow.ts';
import type { LossName, LossOptions } from './losses.ts';

/** Every setting of a booster. The defaults stand in `boostDefaults`; the peers' names of each in docs/learn.md. */
export interface BoostOptions extends GrowRules, Omit<LossOptions, 'classes'> {
  readonly loss: LossName;
  /** Rounds at most; each grows one tree for each output. */
  readonly rounds: number;
  readonly learningRate: number;
  /** Value bins of a numeric feature, at most 255. */
  readonly maxBins: number;
  /** Share of rows, and of features, that each round sees. */
  readonly rowSample: number;
  readonly columnSample: number;
  /** Stop when the validation loss has not improved for so many rounds; 0 grows all rounds. */
  readonly patience: number;
  readonly seed: number;
  /**
   * Trees side by side instead of one after the other: each learns from the start, on its own sample of rows, and their mean counts (a random
   * forest). Leaves hold means and, of classes, shares (`lossOfMeans`).
   */
  readonly forest: boolean;
  /** Numeric features with which the prediction may only rise (1) or fall (-1), by name. Not with losses whose leaves are quantiles. */
  readonly monotone: Readonly<Record<string, 1 | -1>>;
  /** Groups of feature names: features on one path of a tree stand together in one group; empty: any may meet. */
  readonly interactions: readonly (readonly string[])[];
}

export const boostDefaults: BoostOptions = {
  loss: 'squared',
  rounds: 200,
  learningRate: 0.1,
  growth: 'leaf',
  maxLeaves: 31,
  maxDepth: 64,
  minChildWeight: 1e-3,
  minRows: 20,
  l1: 0,
  l2: 1,
  minGain: 0,
  maxBins: 255,
  rowSample: 1,
  columnSample: 1,
  patience: 0,
  alpha: 0.5,
  delta: 1,
  power: 1.5,
  seed: 1,
  splitColumnSample: 1,
  randomCuts: false,
  forest: false,
  monotone: {},
  interactions: [],
};

/** Settings of forests over the defaults (Breiman 2001; Geurts et al. 2006). */
export const forests = {
  randomForest: { forest: true, rounds: 200, rowSample: 0.632, splitColumnSample: 0.35, maxLeaves: 512, minRows: 5, l2: 0 },
  extraTrees: { forest: true, rounds: 200, randomCuts: true, splitColumnSample: 0.5, maxLeaves: 512, minRows: 5, l2: 0 },
} as const satisfies Record<string, Partial<BoostOptions>>;

/** A forest of classes has a row of prior in each leaf: five rows without a class say that it is rare there, not that it never comes. */
export const sharePrior = { l2: 1 } as const satisfies Partial<BoostOptions>;
