import { fail } from '#core';
import { type ColumnData, checkColumns, take, takeRows } from '../columns.ts';
import { type Encoder, encode, encodeTraining, fitEncoders } from '../encode.ts';
import { type Candidate, type Lesson, teach } from '../learners.ts';
import { type Judged, logLoss, meanAbsolute, pinball, rootMeanSquare } from '../metrics.ts';
import { type Learned, type Model, sealModel } from '../model.ts';
import { checkPlan, type Plan } from '../plan.ts';
import { answerer } from '../predict.ts';
import { mix, random } from '../random.ts';
import { type Reading, readColumn } from '../read.ts';
import type { MetricName, Trial } from '../report.ts';
import { outcomeOf, readTarget, type Target } from '../target.ts';
import { neighbour, portfolio } from './candidates.ts';
import { judge } from './judge.ts';
import { chooseSplit, type Division, divide, foldsOf, type SplitDecision } from './split.ts';

/** Where training stands; given after each round of each model tried. */
export interface Progress {
  /** Models finished, and how many there will be (null: until the time is up). */
  readonly trials: number;
  readonly of: number | null;
  readonly trying: string;
  readonly round: number;
  readonly metric: MetricName;
  readonly best: { readonly name: string; readonly score: number } | null;
  readonly elapsedMillis: number;
}

/** The data of one training, read and checked once. */
export interface Study {
  readonly plan: Plan;
  readonly columns: readonly ColumnData[];
  readonly readings: readonly Reading[];
  /** Columns that are learned from, and their readings. */
  readonly used: readonly ColumnData[];
  readonly usedReadings: readonly Reading[];
  readonly target: Target;
  readonly weights: Float64Array;
  readonly split: SplitDecision;
  readonly seed: number;
  /** 1 for regression, else the number of classes. */
  readonly width: number;
  readonly metric: MetricName;
  readonly measure: (judged: Judged) => number;
}

/** A trial with what the blend needs of it: its answers to the rows of all folds, in the folds' order. */
interface Tried {
  readonly candidate: Candidate;
  readonly answers: Float64Array;
  readonly score: number;
  readonly rounds: number | null;
  readonly trainMillis: number;
}

const DEFAULT_TRIALS = 6;
/** Share of rows that nothing is learned from nor chosen by. */
const JUDGED = 0.2;
/** Below this many rows one part is too small to choose by: each row is judged once, in three or five folds. */
const FEW_ROWS = 5000;
const VERY_FEW_ROWS = 2000;
/** Share of a time budget for trials; the rest is for training the chosen ones on all rows. */
const TRIAL_SHARE = 0.6;
const MOST_MEMBERS = 8;

/**
 * The whole story of a training: read → split → try → blend → judge → learn from all rows. A generator that yields Progress after each
 * round; `next(true)` stops it: the running trial is dropped and the best finished one becomes the model, trained on the rows tried with
 * (LEARN_STOPPED if there is none); once the chosen models are being trained, that is finished.
 * `now` is a clock in milliseconds.
 */
export function* search(plan: Plan, columns: readonly ColumnData[], now: () => number): Generator<Progress, Model, boolean | undefined> {
  const began = now();
  const study = openStudy(plan, columns);
  const outer = divide(study.split, columns, study.target, JUDGED, study.seed);
  const folds = innerFolds(study, outer);
  const lessons = folds.map((fold) => lessonsOf(study, fold));
  const { tried, stopped } = yield* tryCandidates(study, lessons, now);
  const shares = stopped ? onlyBest(tried) : blendShares(study, tried, lessons);
  const chosen = tried.filter((_, t) => shares[t]! > 0);
  const chosenShares = shares.filter((share) => share > 0);
  const best = bestOf(tried)!;
  const progress =
    (trying: string) =>
    (round: number): Progress => ({
      trials: tried.length,
      of: tried.length,
      trying,
      round,
      metric: study.metric,
      best: { name: best.candidate.name, score: best.score },
      elapsedMillis: now() - began,
    });
  const judging = lessonsOf(study, outer);
  const blend = yield* whileTold(
    learnAll(chosen, chosenShares, judging.learn, study.width),
    progress('the chosen models on the rows tried with'),
  );
  const trials = tried.map(({ answers: _answers, ...trial }, t): Trial => ({ ...trial, share: shares[t]! }));
  const report = judge(study, judging, lessons[0]!, blend.result, trials, stopped || blend.stopped);
  let final = { encoders: judging.encoders, learned: blend.result };
  if (!report.stopped) {
    const all = lessonsOf(study, { learn: study.target.rows, judge: study.target.rows.slice(0, 0) });
    const taught = yield* whileTold(learnAll(chosen, chosenShares, all.learn, study.width), progress('the chosen models on all rows'));
    final = { encoders: all.encoders, learned: taught.result };
  }
  return sealModel({
    task: study.target.task,
    target: plan.target,
    targetKind: study.target.kind,
    classes: study.target.classes,
    ...final,
    report,
  });
}

function openStudy(plan: Plan, columns: readonly ColumnData[]): Study {
  checkPlan(plan);
  checkColumns(columns);
  const readings = columns.map(readColumn);
  const at = columns.findIndex((c) => c.name === plan.target);
  if (at < 0) fail('LEARN_TARGET', { target: plan.target, problem: 'is not in the training table' });
  const target = readTarget(plan, columns[at]!, readings[at]!);
  const split = chooseSplit(plan, columns, readings, target);
  const kept = columns.map((column, i) => isUsed(plan, split, column, readings[i]!));
  const used = columns.filter((_, i) => kept[i]);
  if (used.length === 0) fail('LEARN_FEATURES', { dropped: columns.length - 1, columns: columns.length - 1 });
  demandLoss(plan, target);
  const { metric, measure } = measureOf(plan, target);
  const weights = weightsOf(plan, columns);
  const usedReadings = readings.filter((_, i) => kept[i]);
  const width = target.classes?.length ?? 1;
  return { plan, columns, readings, used, usedReadings, target, weights, split, seed: plan.seed ?? 1, width, metric, measure };
}

/** A group's name says nothing of a new group, so it is not learned from. */
function isUsed(plan: Plan, split: SplitDecision, column: ColumnData, reading: Reading): boolean {
  if (column.name === plan.target || column.name === plan.weight || plan.ignore?.includes(column.name)) return false;
  if (split.kind === 'group' && column.name === split.column) return false;
  return reading.role !== 'id' && reading.role !== 'constant' && reading.role !== 'empty';
}

/** A loss must be able to mean the target: classes for logistic and softmax, no negative counts or amounts for those with a log link. */
function demandLoss(plan: Plan, { classes, values }: Target): void {
  const loss = plan.trees?.loss;
  if (loss === undefined) return;
  const refuse = (expected: string): never => fail('LEARN_PLAN', { option: 'trees.loss', value: loss, expected });
  if (classes !== null) {
    if (loss !== 'softmax' && (loss !== 'logistic' || classes.length > 2))
      refuse(classes.length > 2 ? 'softmax for more than two classes' : 'logistic or softmax for classes');
    return;
  }
  if (loss === 'logistic' || loss === 'softmax') refuse('a loss for numbers');
  const least = loss === 'gamma' ? Number.MIN_VALUE : loss === 'poisson' || loss === 'tweedie' ? 0 : Number.NEGATIVE_INFINITY;
  if (!values.every((v) => v >= least)) refuse('a loss for negative numbers, such as squared');
}

function measureOf(plan: Plan, target: Target): { metric: MetricName; measure: (judged: Judged) => number } {
  if (target.classes !== null) return { metric: 'logLoss', measure: logLoss };
  if (plan.trees?.loss === 'absolute') return { metric: 'mae', measure: meanAbsolute };
  if (plan.trees?.loss === 'quantile') return { metric: 'pinball', measure: (judged) => pinball(judged, plan.trees?.alpha ?? 0.5) };
  return { metric: 'rmse', measure: rootMeanSquare };
}

/** [rows of the table]. */
function weightsOf(plan: Plan, columns: readonly ColumnData[]): Float64Array {
  const rows = columns[0]!.values.length;
  if (plan.weight === undefined) return new Float64Array(rows).fill(1);
  const column = columns.find((c) => c.name === plan.weight);
  if (column?.kind !== 'number')
    return fail('LEARN_WEIGHTS', { column: plan.weight, problem: column ? 'is not a number' : 'is not in the training table' });
  const bad = column.values.findIndex((w) => !(w >= 0 && w < 1e15));
  if (bad >= 0) fail('LEARN_WEIGHTS', { column: plan.weight, problem: `has the value ${column.values[bad]} in row ${bad + 1}` });
  if (column.values.every((w) => w === 0)) fail('LEARN_WEIGHTS', { column: plan.weight, problem: 'is 0 in every row' });
  return column.values;
}

function innerFolds(study: Study, outer: Division): Division[] {
  demandRows(study, outer);
  const inside = new Set(outer.learn);
  const positions = Array.from(study.target.rows.keys()).filter((i) => inside.has(study.target.rows[i]!));
  const target = { rows: outer.learn, values: take(study.target.values, positions) };
  const rows = outer.learn.length;
  const count = rows >= VERY_FEW_ROWS && rows < FEW_ROWS ? 3 : 5;
  const folds = foldsOf(study.split, study.columns, target, count, mix(study.seed));
  const wanted = (rows < FEW_ROWS ? folds : folds.slice(0, 1)).filter((f) => f.learn.length > 0 && f.judge.length > 0);
  demandRows(study, wanted[0] ?? { learn: outer.learn, judge: outer.learn.slice(0, 0) });
  return wanted;
}

/** A split by time or group can leave a side empty: all rows at one instant, one group. */
function demandRows({ plan, split }: Study, division: Division): void {
  if (division.learn.length > 0 && division.judge.length > 0) return;
  fail('LEARN_PLAN', { option: 'split.column', value: split.column ?? plan.target, expected: 'a column with several times or groups' });
}

/** The two sides of a division, encoded by what its learning side shows. */
export interface Lessons {
  readonly encoders: readonly Encoder[];
  readonly learn: Lesson;
  readonly judge: Lesson;
}

function lessonsOf(study: Study, division: Division): Lessons {
  const targetAt = new Map<number, number>();
  study.target.rows.forEach((row, i) => {
    targetAt.set(row, study.target.values[i]!);
  });
  const side = (rows: Uint32Array) => ({
    columns: takeRows(study.used, rows),
    targets: Float64Array.from(rows, (row) => targetAt.get(row)!),
    weights: take(study.weights, rows),
  });
  const learn = side(division.learn);
  const judged = side(division.judge);
  const outcome = outcomeOf(learn.targets, study.target.classes);
  const encoders = fitEncoders(study.usedReadings, learn.columns, outcome);
  return {
    encoders,
    learn: { ...learn, encoded: encodeTraining(encoders, learn.columns, outcome, study.seed) },
    judge: { ...judged, encoded: encode(encoders, judged.columns) },
  };
}

function* tryCandidates(
  study: Study,
  lessons: readonly Lessons[],
  now: () => number,
): Generator<Progress, { tried: Tried[]; stopped: boolean }, boolean | undefined> {
  const began = now();
  const { millis } = study.plan.budget ?? {};
  const encoded = lessons[0]!.learn.encoded;
  const has = { texts: encoded.texts.length > 0, others: study.used.length > encoded.texts.length };
  const queue = portfolio(study.plan, study.target, has);
  const alone = study.plan.learner !== undefined && study.plan.learner !== 'auto';
  const most = alone ? 1 : (study.plan.budget?.trials ?? (millis === undefined ? DEFAULT_TRIALS : null));
  const deadline = millis === undefined ? Number.POSITIVE_INFINITY : began + millis * TRIAL_SHARE;
  const next = random(study.seed);
  const tried: Tried[] = [];
  while (most === null || tried.length < most) {
    const best = bestOf(tried);
    const candidate = queue.shift() ?? neighbour(best!.candidate, next, tried.length + 1);
    const trial = tryOne(study, candidate, lessons, now);
    for (let step = trial.next(); ; step = trial.next()) {
      if (step.done) {
        tried.push(step.value);
        break;
      }
      const standing = best && { name: best.candidate.name, score: best.score };
      const stop = yield {
        trials: tried.length,
        of: most,
        trying: candidate.name,
        round: step.value,
        metric: study.metric,
        best: standing,
        elapsedMillis: now() - began,
      };
      if (stop === true) return best ? { tried, stopped: true } : fail('LEARN_STOPPED');
      if (best && now() > deadline) return { tried, stopped: false };
    }
    if (now() > deadline) break;
  }
  return { tried, stopped: false };
}

function bestOf(tried: readonly Tried[]): Tried | null {
  let best: Tried | null = null;
  for (const trial of tried) if (best === null || trial.score < best.score) best = trial;
  return best;
}

function* tryOne(study: Study, candidate: Candidate, lessons: readonly Lessons[], now: () => number): Generator<number, Tried, undefined> {
  const began = now();
  const answers: Float64Array[] = [];
  let rounds = 0;
  for (const { learn, judge: judged } of lessons) {
    const taught = yield* teach(candidate, learn, judged, study.width);
    rounds += taught.rounds ?? 0;
    answers.push(answerer(taught.learned, study.width)(judged.encoded));
  }
  const all = joined(answers);
  const score = study.measure(judgedBy(study, lessons, all));
  const kept = candidate.learner === 'trees' ? Math.max(1, Math.round(rounds / lessons.length)) : null;
  return { candidate, answers: all, score, rounds: kept, trainMillis: now() - began };
}

function judgedBy(study: Study, lessons: readonly Lessons[], answers: Float64Array): Judged {
  const truth = joined(lessons.map((l) => l.judge.targets));
  return { truth, weights: joined(lessons.map((l) => l.judge.weights)), answers, width: study.width };
}

function joined(parts: readonly Float64Array[]): Float64Array {
  const whole = new Float64Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function onlyBest(tried: readonly Tried[]): number[] {
  const best = bestOf(tried);
  return tried.map((trial) => (trial === best ? 1 : 0));
}

/** Greedy ensemble selection with replacement (Caruana et al. 2004) on the folds' answers: shares of the trials, which add up to 1. */
function blendShares(study: Study, tried: readonly Tried[], lessons: readonly Lessons[]): number[] {
  const picks = new Array<number>(tried.length).fill(0);
  const sum = new Float64Array(tried[0]!.answers.length);
  let reached = Number.POSITIVE_INFINITY;
  for (let count = 1; count <= MOST_MEMBERS; count++) {
    const scores = tried.map(({ answers }) =>
      study.measure(
        judgedBy(
          study,
          lessons,
          sum.map((s, i) => (s + answers[i]!) / count),
        ),
      ),
    );
    const best = scores.indexOf(Math.min(...scores));
    if (!(scores[best]! < reached)) break;
    reached = scores[best]!;
    picks[best]!++;
    tried[best]!.answers.forEach((answer, i) => {
      sum[i] = sum[i]! + answer;
    });
  }
  const total = picks.reduce((a, b) => a + b, 0);
  return picks.map((count) => count / total);
}

/** Trains the chosen candidates on all the given rows, with the rounds that were best in the folds. */
function* learnAll(
  chosen: readonly Tried[],
  shares: readonly number[],
  lesson: Lesson,
  width: number,
): Generator<number, Learned, undefined> {
  const members: { weight: number; learned: Learned }[] = [];
  for (const [at, { candidate, rounds }] of chosen.entries()) {
    const settled: Candidate =
      candidate.learner === 'trees' ? { ...candidate, options: { ...candidate.options, rounds: rounds!, patience: 0 } } : candidate;
    const teaching = teach(settled, lesson, null, width);
    const { learned } = yield* teaching;
    members.push({ weight: shares[at]!, learned });
  }
  return members.length === 1 ? members[0]!.learned : { kind: 'blend', members };
}

/** Runs the steps to their end, telling of each; remembers whether it was asked to stop. */
function* whileTold<T>(
  steps: Generator<number, T, undefined>,
  progress: (round: number) => Progress,
): Generator<Progress, { result: T; stopped: boolean }, boolean | undefined> {
  let stopped = false;
  for (let step = steps.next(); ; step = steps.next()) {
    if (step.done) return { result: step.value, stopped };
    if ((yield progress(step.value)) === true) stopped = true;
  }
}
