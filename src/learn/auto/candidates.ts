import { bayesDefaults } from '../bayes.ts';
import type { Candidate } from '../learners.ts';
import { linearDefaults } from '../linear/linear.ts';
import type { Plan } from '../plan.ts';
import type { Random } from '../random.ts';
import type { Target } from '../target.ts';
import { type BoostOptions, boostDefaults, forests, sharePrior } from '../trees/settings.ts';

/** Rounds are bounded by early stopping, so the bound is generous. */
const SEARCH = { rounds: 2000, patience: 40 } as const;

/**
 * Strong settings for most tables, most useful first (a portfolio: Feurer et al. 2022), so that a small budget tries the best bets. A plan
 * that names a learner has that one candidate.
 */
export function portfolio(plan: Plan, target: Target, has: { readonly texts: boolean; readonly others: boolean }): Candidate[] {
  const linearLoss = target.classes === null ? 'squared' : target.classes.length === 2 ? 'logistic' : 'softmax';
  const linear = (name: string, l2: number): Candidate => ({
    name,
    learner: 'linear',
    options: { ...linearDefaults, l2, ...plan.linear, loss: linearLoss },
  });
  const trees = (name: string, options: Partial<BoostOptions>): Candidate => ({
    name,
    learner: 'trees',
    options: { ...boostDefaults, ...SEARCH, loss: linearLoss, seed: plan.seed ?? 1, ...options, ...plan.trees },
  });
  const forest = (name: string, options: Partial<BoostOptions>): Candidate =>
    trees(name, { ...options, ...(target.classes !== null && sharePrior), rounds: 100 });
  const bayes = (smoothing: number): Candidate => ({ name: 'naive Bayes', learner: 'bayes', options: { smoothing } });
  if (plan.learner === 'bayes') return [bayes(bayesDefaults.smoothing)];
  if (plan.learner === 'trees') return [trees('trees', {})];
  if (plan.learner === 'linear') return [linear('linear', linearDefaults.l2)];
  const words = [
    linear('words, light penalty', 0.1),
    ...(target.classes === null ? [] : [bayes(0.1)]),
    linear('words, lighter penalty', 0.02),
    linear('words, penalty', 1),
  ];
  const tables = [
    trees('trees of 15 leaves', { maxLeaves: 15, learningRate: 0.06, columnSample: 0.7, minRows: 20 }),
    linear('linear', 1),
    trees('trees of 31 leaves, sampled rows', { maxLeaves: 31, learningRate: 0.05, columnSample: 0.6, rowSample: 0.8, l2: 3 }),
    ...(countsFrom(target) ? [trees('trees for counts', { loss: 'poisson', learningRate: 0.06, columnSample: 0.8 })] : []),
    ...(isRare(target)
      ? [trees('trees for a rare class', { maxLeaves: 8, learningRate: 0.05, columnSample: 0.6, minRows: 3, l2: 5 })]
      : []),
    trees('trees of depth 3', { growth: 'depth', maxDepth: 3, maxLeaves: 8, learningRate: 0.1, minRows: 10 }),
    trees('trees of 63 leaves', { maxLeaves: 63, learningRate: 0.04, columnSample: 0.5, minRows: 40, l2: 5 }),
    ...(target.classes === null ? [] : [bayes(bayesDefaults.smoothing)]),
    trees('trees of depth 6', { growth: 'depth', maxDepth: 6, maxLeaves: 64, learningRate: 0.08, columnSample: 0.8, minRows: 5 }),
    forest('extra trees', forests.extraTrees),
    forest('random forest', forests.randomForest),
  ];
  // A line's slopes and naive Bayes' shares are bound to no direction, and one such member would turn the blend.
  if (Object.keys(plan.trees?.monotone ?? {}).length > 0) return tables.filter(({ learner }) => learner === 'trees');
  if (!has.texts) return tables;
  return has.others ? [words[0]!, tables[0]!, ...words.slice(1), ...tables.slice(2)] : words;
}

/** A class with so few rows is lost in leaves of 20 rows. */
function isRare({ classes, values }: Target): boolean {
  if (classes === null) return false;
  const counts = new Float64Array(classes.length);
  for (const y of values) counts[y] = counts[y]! + 1;
  return Math.min(...counts) < values.length * 0.05;
}

/** Whole numbers of at least 0, some of them large: a log link fits them. */
function countsFrom(target: Target): boolean {
  if (target.classes !== null) return false;
  return target.values.every((v) => v >= 0 && Number.isInteger(v)) && target.values.some((v) => v > 0);
}

/** A neighbour of a candidate that did well: one to three settings moved. */
export function neighbour(candidate: Candidate, next: Random, number: number): Candidate {
  const times = (value: number, low: number, high: number): number => Math.max(low, Math.min(high, value * 2 ** (next() * 2 - 1)));
  if (candidate.learner === 'linear') {
    return {
      ...candidate,
      name: `linear, variant ${number}`,
      options: { ...candidate.options, l2: times(candidate.options.l2, 1e-4, 1e4) },
    };
  }
  if (candidate.learner === 'bayes') {
    const options = { smoothing: times(candidate.options.smoothing, 1e-3, 1e3) };
    return { name: `naive Bayes, variant ${number}`, learner: 'bayes', options };
  }
  const o = candidate.options;
  // Where depth or rows bound the trees, more leaves change nothing: something else moves too.
  const moved = (): boolean => next() < 0.5;
  const sampled = moved();
  const options: BoostOptions = {
    ...o,
    maxLeaves: Math.round(times(o.maxLeaves, 4, 256)),
    learningRate: moved() ? o.learningRate : times(o.learningRate, 0.02, 0.2),
    columnSample: sampled ? 0.3 + next() * 0.7 : o.columnSample,
    rowSample: sampled && moved() ? o.rowSample : 0.6 + next() * 0.4,
    l2: moved() ? o.l2 : times(o.l2, 0.1, 50),
    minRows: moved() ? o.minRows : Math.round(times(o.minRows, 2, 200)),
  };
  return { name: `trees, variant ${number}`, learner: 'trees', options };
}
