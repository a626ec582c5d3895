import { fail } from '#core';
import { type Calibration, calibrated, foldCalibration, worthCalibrating } from '../calibrate.ts';
import { type ColumnData, checkColumns, take, takeRows } from '../columns.ts';
import { type Encoder, encode, encodeTraining, fitEncoders } from '../encode.ts';
import { type Candidate, holdsShares, type Lesson, teach } from '../learners.ts';
import { forget } from '../linear/linear.ts';
import { type Judged, logLoss, meanAbsolute, meanWithError, pinball, rootMeanSquare, rowLosses } from '../metrics.ts';
import { type Learned, type Model, sealModel } from '../model.ts';
import { checkPlan, type Plan } from '../plan.ts';
import { answerer } from '../predict.ts';
import { mix, type Random, random } from '../random.ts';
import { type Reading, readColumn } from '../read.ts';
import type { Trial } from '../report.ts';
import { blendShares } from '../stack.ts';
import { outcomeOf, readTarget, type Target } from '../target.ts';
import { type Arrivals, isStamp, readArrivals } from './arrival.ts';
import { neighbour, portfolio } from './candidates.ts';
import { judge, unjudged } from './judge.ts';
import { chooseSplit, type Division, divide, foldsOf, givenChoice, isGiven, leftOut, type SplitDecision } from './split.ts';
import { targetCandidates } from './targets.ts';
import { faster, finishing, isBoosted, PACE_ROUNDS, paceOf, type Time, timeOf } from './time.ts';
import { readWeights, rowWeights, type Weights, weighty } from './weights.ts';

/** Metrics that models are chosen by: less is better. */
export type ChosenBy = 'logLoss' | 'rmse' | 'mae' | 'pinball';

/** Where training stands; given after each round of each model tried. */
export interface Progress {
  /** Models finished, and how many there will be (null: until the time is up). */
  readonly trials: number;
  readonly of: number | null;
  readonly trying: string;
  readonly round: number;
  readonly metric: ChosenBy;
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
  /** Why others are not, by name, where the plan does not say so itself. */
  readonly left: ReadonlyMap<string, string>;
  readonly target: Target;
  readonly weights: Weights;
  readonly split: SplitDecision;
  readonly arrivals: Arrivals;
  readonly seed: number;
  /** 1 for regression, else the number of classes. */
  readonly width: number;
  readonly metric: ChosenBy;
  readonly measure: (judged: Judged) => number;
}

/** A trial with what the blend needs of it: its answers to the rows of all folds, in the folds' order. */
interface Tried extends Omit<Trial, 'share' | 'calibrated'> {
  readonly answers: Float64Array;
  readonly calibration: Calibration | null;
}

const DEFAULT_TRIALS = 6;
/** Share of rows that nothing is learned from nor chosen by. */
const JUDGED = 0.2;
/** Below this many rows one part is too small to choose by: each row is judged once, in three or five folds. */
const FEW_ROWS = 5000;
const VERY_FEW_ROWS = 2000;
/** Each fold is a training, however small a share was asked for. */
const MOST_FOLDS = 10;
/** Neighbours come from so many of the best. */
const PARENTS = 5;
/** The search ends when so many in turn were no better than the best, */
const ENOUGH = 60;
/** and with learners of one setting after so many of each. */
const ENOUGH_OF_ONE_SETTING = 8;
/** A model that is worse than the best by so many errors of the difference, on the folds that both saw, is given up. */
const HOPELESS = 3;

/**
 * The whole story of a training: read → split → try → blend → judge → learn from all rows that may be learned from. A generator that yields Progress after each
 * round; `next(true)` stops it: the running trial is dropped and the best finished one becomes the model, trained on the rows tried with
 * (LEARN_STOPPED if there is none); once the chosen models are being trained, that is finished.
 * `now` is a clock in milliseconds.
 */
export function* search(plan: Plan, columns: readonly ColumnData[], now: () => number): Generator<Progress, Model, boolean | undefined> {
  const began = now();
  const study = openStudy(plan, columns);
  const outer = divide(study.split, columns, study.target, plan.split?.judge ?? JUDGED, study.seed);
  const folds = innerFolds(study, outer);
  const lessons = folds.map((fold) => lessonsOf(study, fold));
  const time = timeOf(plan, study.target.rows.length, outer, folds, began);
  const { tried, givenUp, stopped } = yield* tryCandidates(study, lessons, time, now);
  const shares = stopped ? onlyBest(tried) : affordable(study, tried, lessons, time, now());
  for (const { learn } of lessons) forget(learn.encoded);
  const chosen = tried.filter((_, t) => shares[t]! > 0);
  const chosenShares = shares.filter((share) => share > 0);
  const best = bestOf(tried)!;
  const progress =
    (trying: string) =>
    (round: number): Progress => ({
      trials: tried.length + givenUp.length,
      of: tried.length + givenUp.length,
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
  forget(judging.learn.encoded);
  const trials = tried.map(
    ({ answers: _answers, calibration, ...trial }, t): Trial => ({ ...trial, calibrated: calibration !== null, share: shares[t]! }),
  );
  const made = { trials: [...trials, ...givenUp], stopped: stopped || blend.stopped, millis: now() - began };
  const unseen = outer.judge.length === 0;
  const report = unseen ? unjudged(study, judging, blend.result, made) : judge(study, judging, lessons[0]!, blend.result, made, now);
  let final = { encoders: judging.encoders, learned: blend.result };
  if (!report.stopped && !unseen && !isGiven(study.split)) {
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
  const readings = columns.map((column) => readColumn(column, plan.categories?.includes(column.name)));
  const at = columns.findIndex((c) => c.name === plan.target);
  if (at < 0) fail('LEARN_TARGET', { target: plan.target, problem: `is not in the training table${insteadOf(columns, readings)}` });
  const rows = rowWeights(plan, columns);
  const target = readTarget(plan, weighty(columns[at]!, rows), readings[at]!);
  const split = chooseSplit(plan, columns, readings, target);
  const arrivals = readArrivals(plan, columns, readings);
  const left = leftOut(plan, split, columns, readings);
  const own = [plan.target, plan.weight, ...(plan.ignore ?? [])];
  const kept = columns.map(({ name }) => !own.includes(name) && !left.has(name) && !isStamp(arrivals, name));
  const used = columns.filter((_, i) => kept[i]);
  if (used.length === 0) fail('LEARN_FEATURES', { dropped: columns.length - 1, columns: columns.length - 1 });
  if (plan.learner === 'bayes' && target.classes === null)
    fail('LEARN_PLAN', { option: 'learner', value: 'bayes', expected: 'another one for numbers: naive Bayes tells classes' });
  demandLoss(plan, target);
  demandDirection(plan, target);
  demandHits(plan, target);
  const { metric, measure } = measureOf(plan, target);
  const weights = readWeights(plan, rows, target);
  const usedReadings = readings.filter((_, i) => kept[i]);
  const width = target.classes?.length ?? 1;
  const seed = plan.seed ?? 1;
  return { plan, columns, readings, used, usedReadings, left, target, weights, split, arrivals, seed, width, metric, measure };
}

function insteadOf(columns: readonly ColumnData[], readings: readonly Reading[]): string {
  const likely = targetCandidates(columns, readings).slice(0, 3);
  return likely.length === 0 ? '' : `; its likeliest targets are ${likely.map(({ column, why }) => `"${column}" (${why})`).join(', ')}`;
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
  if (!values.every((v) => v >= least)) refuse(`a loss for numbers below 0${loss === 'gamma' ? ' and 0 itself' : ''}, such as squared`);
}

/** Prices that nothing is reckoned with would be taken without a word. */
function demandHits({ money }: Plan, { classes }: Target): void {
  if (money === undefined || classes?.length === 2) return;
  const expected = `left out with ${classes === null ? 'a number to predict' : `${classes.length} classes`}: a hit is of two`;
  fail('LEARN_PLAN', { option: 'money', value: JSON.stringify(money), expected });
}

/** Where each class has a score of its own, all of them rising say nothing of which one's share rises. */
function demandDirection({ trees, learner }: Plan, { classes }: Target): void {
  const { monotone = {}, loss } = trees ?? {};
  if (learner === 'linear' || learner === 'bayes' || Object.keys(monotone).length === 0) return;
  if ((classes?.length ?? 0) > 2 || loss === 'softmax')
    fail('LEARN_PLAN', {
      option: 'trees.monotone',
      value: JSON.stringify(monotone),
      expected: 'left out with more than two classes and with the loss softmax',
    });
}

function measureOf(plan: Plan, target: Target): { metric: ChosenBy; measure: (judged: Judged) => number } {
  if (target.classes !== null) return { metric: 'logLoss', measure: logLoss };
  if (plan.trees?.loss === 'absolute') return { metric: 'mae', measure: meanAbsolute };
  if (plan.trees?.loss === 'quantile') return { metric: 'pinball', measure: (judged) => pinball(judged, plan.trees?.alpha ?? 0.5) };
  return { metric: 'rmse', measure: rootMeanSquare };
}

function innerFolds(study: Study, outer: Division): Division[] {
  if (study.split.kind !== 'none') demandRows(study, outer);
  const given = givenChoice(study.split, study.columns, outer.learn);
  if (given !== null) {
    demandRows(study, given);
    return [given];
  }
  const inside = new Set(outer.learn);
  const positions = Array.from(study.target.rows.keys()).filter((i) => inside.has(study.target.rows[i]!));
  const target = { rows: outer.learn, values: take(study.target.values, positions) };
  const rows = outer.learn.length;
  const { choose } = study.plan.split ?? {};
  const share = choose === undefined ? 1 / (rows >= VERY_FEW_ROWS && rows < FEW_ROWS ? 3 : 5) : (choose * study.target.rows.length) / rows;
  const along = within(study);
  const [columns, seed] = [study.columns, mix(study.seed)];
  const folds =
    rows < FEW_ROWS
      ? foldsOf(along, columns, target, Math.min(MOST_FOLDS, Math.max(2, Math.round(1 / share))), seed)
      : [divide(along, columns, target, Math.min(share, 0.9), seed)];
  const wanted = folds.filter((f) => f.learn.length > 0 && f.judge.length > 0);
  demandRows(study, wanted[0] ?? { learn: outer.learn, judge: outer.learn.slice(0, 0) });
  return wanted;
}

/** How rows to choose by are told from others: as rows to judge by are, unless that was by a list or not at all. */
function within({ split, target }: Study): SplitDecision {
  if (split.kind !== 'custom' && split.kind !== 'none') return split;
  return { kind: target.classes === null ? 'random' : 'stratified', column: null, why: split.why };
}

/** A split by time or group can leave a side empty: all rows at one instant, one group. */
function demandRows({ plan, split }: Study, division: Division): void {
  if (division.learn.length > 0 && division.judge.length > 0) return;
  fail('LEARN_PLAN', {
    option: 'split.column',
    value: split.column ?? plan.target,
    expected: 'a column with several times or groups, or with both sides',
  });
}

/** The two sides of a division, encoded by what its learning side shows. */
export interface Lessons {
  readonly rows: Division;
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
    weights: take(study.weights.learning, rows),
  });
  const learn = side(division.learn);
  const judged = side(division.judge);
  const outcome = outcomeOf(learn.targets, study.target.classes, learn.weights);
  const encoders = fitEncoders(study.usedReadings, learn.columns, outcome);
  return {
    rows: division,
    encoders,
    learn: { ...learn, encoded: encodeTraining(encoders, learn.columns, outcome, study.seed) },
    judge: { ...judged, encoded: encode(encoders, judged.columns) },
  };
}

function* tryCandidates(
  study: Study,
  lessons: readonly Lessons[],
  time: Time,
  now: () => number,
): Generator<Progress, { tried: Tried[]; givenUp: Trial[]; stopped: boolean }, boolean | undefined> {
  const { millis, trials } = study.plan.budget ?? {};
  const encoded = lessons[0]!.learn.encoded;
  const has = { texts: encoded.texts.length > 0, others: study.used.length > encoded.texts.length };
  const queue = portfolio(study.plan, study.target, has);
  const alone = study.plan.learner !== undefined && study.plan.learner !== 'auto';
  const most = alone ? 1 : (trials ?? (millis === undefined ? DEFAULT_TRIALS : null));
  const next = random(study.seed);
  const tried: Tried[] = [];
  const givenUp: Trial[] = [];
  /** Trials since the best one. */
  let idle = 0;
  let pace: number | null = study.plan.trees?.learningRate === undefined ? null : 1;
  while (most === null || tried.length + givenUp.length < most) {
    const best = bestOf(tried);
    const parent = queue.length === 0 ? parentOf(tried, next) : null;
    if (queue.length === 0 && (parent === null || idle >= ENOUGH)) break;
    let candidate = parent === null ? faster(queue.shift()!, pace ?? 1) : neighbour(parent, next, tried.length + givenUp.length + 1);
    let trial = tryOne(study, candidate, lessons, best, now);
    const started = now();
    let enough = false;
    for (let step = trial.next(); ; step = trial.next(enough)) {
      if (step.done) {
        if ('share' in step.value) givenUp.push(step.value);
        else tried.push(step.value);
        idle = bestOf(tried) === best ? idle + 1 : 0;
        break;
      }
      const standing = best && { name: best.candidate.name, score: best.score };
      const stop = yield {
        trials: tried.length + givenUp.length,
        of: most,
        trying: candidate.name,
        round: step.value,
        metric: study.metric,
        best: standing,
        elapsedMillis: now() - time.began,
      };
      if (stop === true) return best ? { tried, givenUp, stopped: true } : fail('LEARN_STOPPED');
      if (best && now() + finishing(tried, time) > time.until) return { tried, givenUp, stopped: false };
      if (pace === null && step.value === PACE_ROUNDS && isBoosted(candidate)) {
        pace = paceOf(candidate, (now() - started) / PACE_ROUNDS, lessons.length, time);
        if (pace > 1) {
          candidate = faster(candidate, pace);
          trial = tryOne(study, candidate, lessons, best, now);
        }
      }
      // The first model is kept, however little it could grow.
      enough = !best && now() + time.again * (now() - started) > time.until;
    }
    if (now() + finishing(tried, time) > time.until) break;
  }
  return { tried, givenUp, stopped: false };
}

/** Whose neighbour is tried next: one of the best few, the better the likelier. A learner with one setting is soon known, so it is asked for few; null: nobody is left. */
function parentOf(tried: readonly Tried[], next: Random): Candidate | null {
  const known = (learner: Candidate['learner']): number => tried.filter(({ candidate }) => candidate.learner === learner).length;
  const open = tried.filter(({ candidate }) => candidate.learner === 'trees' || known(candidate.learner) < ENOUGH_OF_ONE_SETTING);
  const best = [...open].sort((a, b) => a.score - b.score).slice(0, PARENTS);
  return best[Math.floor(next() ** 2 * best.length)]?.candidate ?? null;
}

function bestOf(tried: readonly Tried[]): Tried | null {
  let best: Tried | null = null;
  for (const trial of tried) if (best === null || trial.score < best.score) best = trial;
  return best;
}

/** Learns in each fold and answers the rest of it. Between folds a model that is far behind the best is given up (racing: Maron, Moore 1994). */
function* tryOne(
  study: Study,
  candidate: Candidate,
  lessons: readonly Lessons[],
  best: Tried | null,
  now: () => number,
): Generator<number, Tried | Trial, boolean | undefined> {
  const began = now();
  const answers: Float64Array[] = [];
  let rounds = 0;
  let bytes = 0;
  let answering = 0;
  for (const [at, { learn, judge: judged }] of lessons.entries()) {
    const taught = yield* teach(candidate, learn, judged, study.width);
    rounds += taught.rounds ?? 0;
    bytes = JSON.stringify(taught.learned).length;
    const asked = now();
    answers.push(answerer(taught.learned, study.width)(judged.encoded));
    answering += now() - asked;
    const seen = judgedBy(study, lessons.slice(0, at + 1), joined(answers));
    if (at + 1 < lessons.length && best !== null && isHopeless(study, candidate, seen, best)) {
      const facts = { ...scored(study, seen), rounds: null, bytes, predictMicros: (answering * 1000) / seen.truth.length };
      return { candidate, ...facts, trainMillis: now() - began, calibrated: false, share: 0 };
    }
  }
  const given = judgedBy(study, lessons, joined(answers));
  const calibration = calibrationOf(study, candidate, given);
  const judged = calibration === null ? given : { ...given, answers: calibrated(given, calibration) };
  const kept = candidate.learner === 'trees' ? Math.max(1, Math.round(rounds / lessons.length)) : null;
  return {
    candidate,
    answers: judged.answers,
    calibration,
    ...scored(study, judged),
    rounds: kept,
    trainMillis: now() - began,
    predictMicros: (answering * 1000) / given.truth.length,
    bytes,
  };
}

function calibrationOf({ width }: Study, candidate: Candidate, given: Judged): Calibration | null {
  return width === 1 || holdsShares(candidate) ? null : worthCalibrating(given);
}

function isHopeless(study: Study, candidate: Candidate, seen: Judged, best: Tried): boolean {
  const { metric, plan } = study;
  const alpha = plan.trees?.alpha;
  const calibration = calibrationOf(study, candidate, seen);
  const own = calibration === null ? seen : { ...seen, answers: calibrated(seen, calibration) };
  const reached = rowLosses({ ...seen, answers: best.answers.subarray(0, seen.answers.length) }, metric, alpha);
  const behind = rowLosses(own, metric, alpha).map((loss, row) => loss - reached[row]!);
  const { value, error } = meanWithError(behind, seen.weights);
  return value > HOPELESS * error && seen.truth.length >= 100;
}

/** The score and its error. The error of a root mean square is by the delta method. */
function scored({ metric, measure, plan }: Study, judged: Judged): { score: number; error: number } {
  const score = measure(judged);
  const { error } = meanWithError(rowLosses(judged, metric, plan.trees?.alpha), judged.weights);
  return { score, error: metric === 'rmse' ? error / Math.max(2 * score, Number.MIN_VALUE) : error };
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

/** Shares of a blend that there is time to train: members with the least say are left out until it fits; one always stays. */
function affordable(study: Study, tried: readonly Tried[], lessons: readonly Lessons[], { until, again }: Time, at: number): number[] {
  const { truth, weights } = judgedBy(study, lessons, tried[0]!.answers);
  const sharesOf = (members: readonly Tried[]): number[] =>
    blendShares({ truth, weights, width: study.width, answers: members.map(({ answers }) => answers) }, study.metric, study.measure);
  let members = tried;
  let shares = sharesOf(members);
  while (true) {
    const ordered = members.map((trial, m) => ({ trial, share: shares[m]! })).filter(({ share }) => share > 0);
    ordered.sort((a, b) => b.share - a.share);
    let ends = at;
    const kept = ordered.filter(({ trial }, m) => {
      const cost = again * trial.trainMillis;
      if (m > 0 && ends + cost > until) return false;
      ends += cost;
      return true;
    });
    if (kept.length === ordered.length) break;
    members = kept.map(({ trial }) => trial);
    shares = sharesOf(members);
  }
  return tried.map((trial) => shares[members.indexOf(trial)] ?? 0);
}

/** Trains the chosen candidates on all the given rows, with the rounds and the calibration that were found in the folds. */
function* learnAll(
  chosen: readonly Tried[],
  shares: readonly number[],
  lesson: Lesson,
  width: number,
): Generator<number, Learned, boolean | undefined> {
  const members: { weight: number; learned: Learned }[] = [];
  for (const [at, { candidate, rounds, calibration }] of chosen.entries()) {
    const settled: Candidate =
      candidate.learner === 'trees' ? { ...candidate, options: { ...candidate.options, rounds: rounds!, patience: 0 } } : candidate;
    const teaching = teach(settled, lesson, null, width);
    const { learned } = yield* teaching;
    members.push({
      weight: shares[at]!,
      learned: calibration === null || learned.kind === 'blend' ? learned : foldCalibration(learned, calibration),
    });
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
