import { type BayesOptions, fitBayes } from './bayes.ts';
import type { Encoded } from './encode.ts';
import { fitLinear, type LinearOptions } from './linear/linear.ts';
import { type Learned, type Link, packForest, packLinear } from './model.ts';
import { boost, type Rows } from './trees/boost.ts';
import { wasmKernel } from './trees/kernel-wasm.ts';
import type { BoostOptions } from './trees/settings.ts';

/** A learner with all its settings: one line of the leaderboard, and all that is needed to train it again. */
export type Candidate =
  | { readonly name: string; readonly learner: 'trees'; readonly options: BoostOptions }
  | { readonly name: string; readonly learner: 'linear'; readonly options: LinearOptions }
  | { readonly name: string; readonly learner: 'bayes'; readonly options: BayesOptions };

/** Rows ready to learn from. */
export interface Lesson {
  readonly encoded: Encoded;
  readonly targets: Float64Array;
  readonly weights: Float64Array;
}

/** Whether its scores are shares of rows: nothing is left to calibrate by a slope in log-odds, which leaves of shares could not hold. */
export function holdsShares(candidate: Candidate): boolean {
  return candidate.learner === 'trees' && linkOf(candidate.options) === 'share';
}

export interface Taught {
  readonly learned: Learned;
  /** Rounds that the trees kept; null for others. */
  readonly rounds: number | null;
}

/**
 * Trains one candidate; yields its progress after each round or iteration. With validation rows, trees stop early on them. `next(true)` ends the
 * training with what there is.
 */
export function* teach(
  candidate: Candidate,
  lesson: Lesson,
  validation: Lesson | null,
  classes: number,
): Generator<number, Taught, boolean | undefined> {
  if (candidate.learner === 'bayes') {
    yield 1;
    return { learned: packLinear(fitBayes(lesson, classes, candidate.options), classes === 2 ? 'sigmoid' : 'softmax'), rounds: null };
  }
  if (candidate.learner === 'linear') {
    const fit = fitLinear(lesson, classes, candidate.options);
    let step = fit.next();
    for (let iteration = 1; !step.done; iteration++) step = fit.next(yield iteration);
    return { learned: packLinear(step.value, linkOf(candidate.options)), rounds: null };
  }
  const growing = boost(rowsOf(lesson), validation && rowsOf(validation), candidate.options, classes, wasmKernel);
  let step = growing.next();
  while (!step.done) step = growing.next(yield step.value.round);
  const { forest, rounds } = step.value;
  return { learned: { kind: 'trees', link: linkOf(candidate.options), forest: packForest(forest) }, rounds };
}

function rowsOf({ encoded, targets, weights }: Lesson): Rows {
  return { features: encoded.features, targets, weights };
}

function linkOf({ loss, forest = false }: Pick<BoostOptions, 'loss'> & { readonly forest?: boolean }): Link {
  switch (loss) {
    case 'logistic':
      return forest ? 'share' : 'sigmoid';
    case 'softmax':
      return forest ? 'share' : 'softmax';
    case 'poisson':
    case 'gamma':
    case 'tweedie':
      return forest ? 'identity' : 'exp';
    default:
      return 'identity';
  }
}
