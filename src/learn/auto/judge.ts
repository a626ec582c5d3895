import { take } from '../columns.ts';
import type { Lesson } from '../learners.ts';
import {
  accuracy,
  areaUnderRoc,
  averagePrecision,
  brier,
  calibration,
  calibrationError,
  confusion,
  determination,
  f1,
  gapEdges,
  type Judged,
  meanAbsolute,
  miscalibration,
  ranking,
  spread,
  thresholds,
  withError,
} from '../metrics.ts';
import type { Learned } from '../model.ts';
import { answerer, mostProbable } from '../predict.ts';
import type { Figure, MetricName, Report, Trial, Warning } from '../report.ts';
import { cardOf } from './card.ts';
import { dependence, importance, slices } from './inspect.ts';
import { acting, worth } from './money.ts';
import { constantRule, featureRule, knowledge, type Rule } from './rule.ts';
import type { Lessons, Study } from './search.ts';
import { dataWarnings, leak, resultWarnings } from './warnings.ts';

/** A single column that knows so much of the answer is suspected to be written after it, */
const LEAK = 0.8;
/** and so is one that alone puts nearly all rows of two classes in order. */
const LEAK_AREA = 0.97;

/** What the search did. */
interface Made {
  readonly trials: readonly Trial[];
  readonly stopped: boolean;
  readonly millis: number;
}

/** Judges the blend on the outer division's rows, which nothing was chosen by, and writes the report. */
export function judge(study: Study, outer: Lessons, inner: Lessons, blend: Learned, made: Made, now: () => number): Report {
  const { target, width, measure, metric, seed } = study;
  const answer = answerer(blend, width);
  const asked = now();
  const judged = against(outer.judge, answer(outer.judge.encoded), width);
  const predictMicros = ((now() - asked) * 1000) / judged.truth.length;
  const rules = judgeRules(study, inner, outer);
  const ruled = against(outer.judge, rules.best.answer(outer.judge), width);
  const gain = withError(judged, (j) => measure({ ...j, answers: ruled.answers }) - measure(j), seed);
  const better = gain.value > 2 * gain.error && gain.value > 0;
  const binary = target.classes?.length === 2;
  const weighty = importance(study, outer.judge, answer, rules.known);
  const real = { ...judged, weights: take(study.weights.rows, outer.rows.judge) };
  const points = binary ? acting(real, ruled.answers) : null;
  const bins = binary ? calibration(real) : null;
  const facts: Omit<Report, 'card'> = {
    task: target.task,
    taskWhy: target.why,
    rows: {
      table: study.columns[0]!.values.length,
      known: target.rows.length,
      learned: outer.learn.targets.length,
      judged: outer.judge.targets.length,
    },
    columns: study.readings,
    split: study.split,
    warnings: [...dataWarnings(study, outer), ...rules.leaks, ...resultWarnings(judged, outer, better, weighty)],
    metric,
    trials: made.trials,
    scores: figures(study, real),
    rule: { text: ruleText(rules.best, study), score: measure(ruled), gain: gain.value, gainError: gain.error },
    better,
    importance: weighty,
    confusion: target.classes === null ? null : confusion(real),
    thresholds: binary ? thresholds(real) : null,
    calibration: bins,
    reliability: bins && { brier: brier(real), expectedError: calibrationError(bins), miscalibration: miscalibration(real) },
    answered: binary && study.plan.weight === undefined ? null : answered(real),
    ranking: binary ? ranking(real) : null,
    acting: points,
    money: points && study.plan.money ? worth(points, study.plan.money) : null,
    dependence: dependence(study, outer, answer, weighty),
    slices: slices(study, outer, judged.answers, ruled.answers),
    cost: { trainMillis: made.millis, predictMicros, bytes: JSON.stringify(blend).length },
    stopped: made.stopped,
  };
  return { ...facts, card: cardOf({ ...facts, target: study.plan.target, classes: target.classes }) };
}

/** The report where no row was held out: of how good the model is, it says nothing. */
export function unjudged(study: Study, all: Lessons, blend: Learned, made: Made): Report {
  const { target } = study;
  const rows = { table: study.columns[0]!.values.length, known: target.rows.length, learned: target.rows.length, judged: 0 };
  const facts: Omit<Report, 'card'> = {
    task: target.task,
    taskWhy: target.why,
    rows,
    columns: study.readings,
    split: study.split,
    warnings: dataWarnings(study, all),
    metric: study.metric,
    trials: made.trials,
    scores: [],
    rule: null,
    better: null,
    importance: [],
    confusion: null,
    thresholds: null,
    calibration: null,
    reliability: null,
    answered: null,
    ranking: null,
    acting: null,
    money: null,
    dependence: [],
    slices: [],
    cost: {
      trainMillis: made.millis,
      predictMicros: made.trials.reduce((sum, t) => sum + t.share * t.predictMicros, 0),
      bytes: JSON.stringify(blend).length,
    },
    stopped: made.stopped,
  };
  return { ...facts, card: cardOf({ ...facts, target: study.plan.target, classes: target.classes }) };
}

function against(lesson: Lesson, answers: Float64Array, width: number): Judged {
  return { truth: lesson.targets, weights: lesson.weights, answers, width };
}

/** Rows count alike here: what comes later has no weights. */
function answered({ answers, width }: Judged): NonNullable<Report['answered']> {
  if (width === 1) return { classes: null, spread: spread(answers, gapEdges(answers)) };
  const tenths = Array.from({ length: 9 }, (_, k) => (k + 1) / 10);
  if (width === 2)
    return {
      classes: null,
      spread: spread(
        answers.filter((_, at) => at % 2 === 1),
        tenths,
      ),
    };
  const given = Uint32Array.from({ length: answers.length / width }, (_, row) => mostProbable(answers, row * width, width));
  const classes = new Array<number>(width).fill(0);
  for (const k of given) classes[k]!++;
  // Tenths of the probability, not of the rows: a model that is always sure has them all within a hair of each other.
  const sure = Float64Array.from(given, (k, row) => answers[row * width + k]!);
  return { classes, spread: spread(sure, tenths) };
}

/** Of real rows: class weights are for learning and choosing. Those that these rows have (one class has no area under a curve). */
function figures(study: Study, real: Judged): Figure[] {
  return allFigures(study, real).filter(({ value }) => !Number.isNaN(value));
}

function allFigures(study: Study, real: Judged): Figure[] {
  const figure = (metric: MetricName, of: (judged: Judged) => number): Figure => ({ metric, ...withError(real, of, study.seed) });
  const first = figure(study.metric, study.measure);
  if (real.width === 1)
    return [first, figure('mae', meanAbsolute), figure('r2', determination)].filter((f, i) => i === 0 || f.metric !== study.metric);
  const rest = [figure('accuracy', accuracy), figure('f1', real.width === 2 ? (j) => f1(j, 1) : meanF1)];
  const ranked = [first, figure('auc', areaUnderRoc(real)), ...rest];
  return real.width === 2 ? [...ranked, figure('averagePrecision', averagePrecision)] : ranked;
}

/** F1 averaged over classes, each counting alike. */
function meanF1(judged: Judged): number {
  let sum = 0;
  for (let k = 0; k < judged.width; k++) sum += f1(judged, k);
  return sum / judged.width;
}

/** The best simple rule, chosen in the inner division and learned from all rows that the blend learned from; and columns that know too much. */
function judgeRules(study: Study, inner: Lessons, outer: Lessons): { best: Rule; leaks: Warning[]; known: ReadonlyMap<string, number> } {
  const { width } = study;
  const base = constantRule(inner.learn, width).answer(inner.judge);
  let best = { at: -1, score: study.measure(against(inner.judge, base, width)) };
  const leaks: Warning[] = [];
  const knownBy = new Map<string, number>();
  inner.learn.encoded.features.forEach((feature, at) => {
    const judged = against(inner.judge, featureRule(inner.learn, at, width).answer(inner.judge), width);
    const score = study.measure(judged);
    if (score < best.score) best = { at, score };
    const known = knowledge(judged, base);
    knownBy.set(feature.column, Math.max(known, knownBy.get(feature.column) ?? known));
    const area = width === 2 ? areaUnderRoc(judged)(judged) : 0;
    // Rows of one class have no order to tell.
    const ranks = Number.isNaN(area) ? 0 : area;
    const told = leaks.some(({ column }) => column === feature.column);
    if (!told && (known >= LEAK || ranks >= LEAK_AREA)) leaks.push(leak(feature.column, study.plan.target, known, ranks));
  });
  return { best: best.at < 0 ? constantRule(outer.learn, width) : featureRule(outer.learn, best.at, width), leaks, known: knownBy };
}

function ruleText(rule: Rule, study: Study): string {
  const weighed = study.plan.classWeights === undefined ? '' : ', classes weighed as in learning';
  if (rule.column !== null) return `the usual answer for each range or value of "${rule.column}"${weighed}`;
  return study.target.classes === null ? 'the same value for every row' : `each class's share for every row${weighed}`;
}
