import { fail } from '#core';
import type { LinearOptions } from './linear/linear.ts';
import { type BoostOptions, boostDefaults } from './trees/settings.ts';

export type SplitKind = 'random' | 'stratified' | 'time' | 'group' | 'custom' | 'none';

/** What to train: data, so that it can be shown, stored and run again. Everything but `target` is chosen for the data where it is left out. */
export interface Plan {
  readonly target: string;
  readonly task?: 'auto' | 'regression' | 'classification';
  /** `auto` tries a portfolio of learners and blends the best; the others train that learner alone. */
  readonly learner?: 'auto' | 'trees' | 'linear' | 'bayes';
  /** Settings over the defaults, for a single learner. */
  readonly trees?: Partial<BoostOptions>;
  readonly linear?: Partial<Omit<LinearOptions, 'loss'>>;
  /** Column of row weights. */
  readonly weight?: string;
  /**
   * Classes: what a row of each counts in learning and choosing, by label; `balanced`: all classes alike. Probabilities are then those of a
   * world in which rows weigh so; figures in the report stay those of real rows. Not with `money`, whose threshold needs honest probabilities.
   */
  readonly classWeights?: 'balanced' | Readonly<Record<string, number>>;
  /** Columns whose texts are categories, also where each is a number or a date. */
  readonly categories?: readonly string[];
  /** Columns not to learn from. */
  readonly ignore?: readonly string[];
  /**
   * How rows to learn from are told from rows to judge by; `column` is the time, the group, or of `custom` the side: 0 or TRAIN is learned
   * from, EVAL chosen by, anything else judged, and a judged row is never learned from. `none` learns from all rows and judges by none.
   * `judge` and `choose` are shares of all rows: what is held out (0.2), and what models are chosen by (a fifth of the rest).
   */
  readonly split?: { readonly kind: 'auto' | SplitKind; readonly column?: string; readonly judge?: number; readonly choose?: number };
  /** `trials` bounds the number of models tried and makes the result repeatable; `millis` bounds the time. Without either: 6 trials. */
  readonly budget?: { readonly trials?: number; readonly millis?: number };
  readonly seed?: number;
  /** A time column: when each row's answer has to be given. What was written later is told of (auto/arrival.ts). Default: when the target came. */
  readonly moment?: string;
  /** Two classes: what acting on a row of the second class brings, and what acting on any row costs, in the same money. */
  readonly money?: { readonly hit: number; readonly contact: number };
}

/** Refuses a plan that can't mean anything: LEARN_PLAN. */
export function checkPlan(plan: Plan): void {
  oneOf('task', plan.task ?? 'auto', ['auto', 'regression', 'classification']);
  oneOf('learner', plan.learner ?? 'auto', ['auto', 'trees', 'linear', 'bayes']);
  oneOf('split.kind', plan.split?.kind ?? 'auto', ['auto', 'random', 'stratified', 'time', 'group', 'custom', 'none']);
  checkShares(plan.split);
  inRange('budget.trials', plan.budget?.trials ?? 1, 1, 10_000, true);
  inRange('budget.millis', plan.budget?.millis ?? 1, 1, 7 * 86_400_000, false);
  inRange('seed', plan.seed ?? 1, 0, 2 ** 32 - 1, true);
  if (plan.money !== undefined) {
    inRange('money.hit', plan.money.hit, 0, 1e15, false);
    inRange('money.contact', plan.money.contact, 0, 1e15, false);
  }
  checkClassWeights(plan.classWeights);
  checkBoost({ ...boostDefaults, ...plan.trees });
  inRange('linear.l1', plan.linear?.l1 ?? 0, 0, 1e12, false);
  inRange('linear.l2', plan.linear?.l2 ?? 0, 0, 1e12, false);
  inRange('linear.iterations', plan.linear?.iterations ?? 1, 1, 100_000, true);
}

function checkShares(split: Plan['split']): void {
  const { kind, judge, choose } = split ?? {};
  for (const [option, share] of [
    ['split.judge', judge],
    ['split.choose', choose],
  ] as const) {
    if (share === undefined) continue;
    inRange(option, share, 0.01, 0.9, false);
    if (kind === 'custom' || kind === 'none')
      fail('LEARN_PLAN', { option, value: String(share), expected: `left out with the split ${kind}` });
  }
  if ((judge ?? 0.2) + (choose ?? 0) > 0.95)
    fail('LEARN_PLAN', { option: 'split.choose', value: String(choose), expected: 'a share that leaves a twentieth to learn from' });
}

function checkClassWeights(given: Plan['classWeights']): void {
  if (given === undefined || given === 'balanced') return;
  const fits = typeof given === 'object' && given !== null && !Array.isArray(given);
  if (!fits || !Object.values(given).every((weight) => typeof weight === 'number' && weight > 0 && weight <= 1e6))
    fail('LEARN_PLAN', {
      option: 'classWeights',
      value: JSON.stringify(given),
      expected: '"balanced", or a number above 0, at most 1e6, by class',
    });
}

function checkBoost(o: BoostOptions): void {
  oneOf('trees.growth', o.growth, ['leaf', 'depth']);
  oneOf('trees.loss', o.loss, ['squared', 'absolute', 'huber', 'quantile', 'poisson', 'gamma', 'tweedie', 'logistic', 'softmax']);
  inRange('trees.rounds', o.rounds, 1, 100_000, true);
  inRange('trees.learningRate', o.learningRate, 1e-6, 1, false);
  inRange('trees.maxLeaves', o.maxLeaves, 2, 65_536, true);
  inRange('trees.maxDepth', o.maxDepth, 1, 64, true);
  inRange('trees.maxBins', o.maxBins, 2, 255, true);
  inRange('trees.rowSample', o.rowSample, 0.01, 1, false);
  inRange('trees.columnSample', o.columnSample, 0.01, 1, false);
  inRange('trees.patience', o.patience, 0, 100_000, true);
  for (const name of ['l1', 'l2', 'minGain', 'minChildWeight', 'minRows'] as const) inRange(`trees.${name}`, o[name], 0, 1e12, false);
  inRange('trees.splitColumnSample', o.splitColumnSample, 0.01, 1, false);
  for (const name of ['forest', 'randomCuts'] as const)
    if (typeof o[name] !== 'boolean') fail('LEARN_PLAN', { option: `trees.${name}`, value: String(o[name]), expected: 'true or false' });
  checkConstraints(o);
  inRange('trees.alpha', o.alpha, 0.001, 0.999, false);
  inRange('trees.delta', o.delta, 1e-12, 1e12, false);
  inRange('trees.power', o.power, 1.01, 1.99, false);
}

function checkConstraints({ monotone, interactions, loss }: BoostOptions): void {
  const directed = typeof monotone === 'object' && monotone !== null && !Array.isArray(monotone);
  if (!directed || !Object.values(monotone).every((d) => d === 1 || d === -1))
    fail('LEARN_PLAN', {
      option: 'trees.monotone',
      value: JSON.stringify(monotone),
      expected: '1 (rises) or -1 (falls) for each column named',
    });
  if (Object.keys(monotone).length > 0 && (loss === 'absolute' || loss === 'quantile'))
    fail('LEARN_PLAN', { option: 'trees.monotone', value: JSON.stringify(monotone), expected: `left out with the loss ${loss}` });
  const grouped = Array.isArray(interactions) && interactions.every((g) => Array.isArray(g) && g.every((name) => typeof name === 'string'));
  if (!grouped)
    fail('LEARN_PLAN', { option: 'trees.interactions', value: JSON.stringify(interactions), expected: 'a list of lists of columns' });
}

function oneOf(option: string, value: string, choices: readonly string[]): void {
  if (!choices.includes(value)) fail('LEARN_PLAN', { option, value: String(value), expected: `one of ${choices.join(', ')}` });
}

function inRange(option: string, value: number, low: number, high: number, whole: boolean): void {
  const fits = typeof value === 'number' && value >= low && value <= high && (!whole || Number.isInteger(value));
  if (!fits)
    fail('LEARN_PLAN', { option, value: String(value), expected: `${whole ? 'a whole number' : 'a number'} from ${low} to ${high}` });
}
