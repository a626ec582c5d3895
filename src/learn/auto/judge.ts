import type { Encoded } from '../encode.ts';
import type { Lesson } from '../learners.ts';
import {
  accuracy,
  areaUnderRoc,
  calibration,
  confusion,
  determination,
  f1,
  type Judged,
  meanAbsolute,
  thresholds,
  withError,
} from '../metrics.ts';
import type { Learned } from '../model.ts';
import { answerer } from '../predict.ts';
import { hashText, mix, random, shuffled } from '../random.ts';
import type { Figure, MetricName, Report, Trial, Warning } from '../report.ts';
import { constantRule, featureRule, knowledge, type Rule } from './rule.ts';
import type { Lessons, Study } from './search.ts';

/** A single column that knows so much of the answer is suspected to be written after it. */
const LEAK = 0.8;
/** A model that knows so much of the answer is too good to be true. */
const TOO_GOOD = 0.99;
/** Importance reads at most so many rows. */
const IMPORTANCE_ROWS = 2000;
/** Importance of at most so many columns: those that tell most by themselves. */
const MOST_COLUMNS = 200;

/** Judges the blend on the outer division's rows, which nothing was chosen by, and writes the report. */
export function judge(study: Study, outer: Lessons, inner: Lessons, blend: Learned, trials: readonly Trial[], stopped: boolean): Report {
  const { target, width, measure, metric, seed } = study;
  const answer = answerer(blend, width);
  const judged = against(outer.judge, answer(outer.judge.encoded), width);
  const rules = judgeRules(study, inner, outer);
  const ruled = against(outer.judge, rules.best.answer(outer.judge), width);
  const gain = withError(judged, (j) => measure({ ...j, answers: ruled.answers }) - measure(j), seed);
  const better = gain.value > 2 * gain.error && gain.value > 0;
  const binary = target.classes?.length === 2;
  const weighty = importance(study, outer.judge, answer, rules.known);
  return {
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
    trials,
    scores: figures(study, judged),
    rule: { text: ruleText(rules.best, study), score: measure(ruled), gain: gain.value, gainError: gain.error },
    better,
    importance: weighty,
    confusion: target.classes === null ? null : confusion(judged),
    thresholds: binary ? thresholds(judged) : null,
    calibration: binary ? calibration(judged) : null,
    stopped,
  };
}

function against(lesson: Lesson, answers: Float64Array, width: number): Judged {
  return { truth: lesson.targets, weights: lesson.weights, answers, width };
}

function figures(study: Study, judged: Judged): Figure[] {
  const figure = (metric: MetricName, of: (judged: Judged) => number): Figure => ({ metric, ...withError(judged, of, study.seed) });
  const first = figure(study.metric, study.measure);
  if (judged.width === 1)
    return [first, figure('mae', meanAbsolute), figure('r2', determination)].filter((f, i) => i === 0 || f.metric !== study.metric);
  const rest = [figure('accuracy', accuracy), figure('f1', judged.width === 2 ? (j) => f1(j, 1) : meanF1)];
  return judged.width === 2 ? [first, figure('auc', areaUnderRoc), ...rest] : [first, ...rest];
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
    if (known >= LEAK) leaks.push(leak(feature.column, study.plan.target, known));
  });
  return { best: best.at < 0 ? constantRule(outer.learn, width) : featureRule(outer.learn, best.at, width), leaks, known: knownBy };
}

function leak(column: string, target: string, known: number): Warning {
  const share = Math.floor(known * 100);
  return {
    kind: 'leakage',
    column,
    text: `"${column}" alone tells ${share} % of "${target}". If it is only known after the answer, leave it out (ignore) and train again.`,
  };
}

function ruleText(rule: Rule, study: Study): string {
  if (rule.column !== null) return `the usual answer for each range or value of "${rule.column}"`;
  return study.target.classes === null ? 'the same value for every row' : "each class's share for every row";
}

function dataWarnings(study: Study, outer: Lessons): Warning[] {
  const warnings: Warning[] = [];
  for (const { name, role, why } of study.readings) {
    if (name === study.plan.target || (role !== 'id' && role !== 'constant' && role !== 'empty')) continue;
    warnings.push({ kind: 'dropped', column: name, text: `"${name}" is not learned from: ${why}.` });
  }
  const unknown = study.columns[0]!.values.length - study.target.rows.length;
  if (unknown > 0)
    warnings.push({
      kind: 'dropped',
      column: study.plan.target,
      text: `${unknown} rows without a known "${study.plan.target}" are not learned from.`,
    });
  if (study.target.rows.length < 500)
    warnings.push({
      kind: 'few rows',
      column: null,
      text: `${study.target.rows.length} rows are few: expect the score to change with new data.`,
    });
  return [...warnings, ...imbalance(study), ...duplicates(outer)];
}

function imbalance({ target }: Study): Warning[] {
  if (target.classes === null) return [];
  const counts = target.classes.map((_, k) => target.values.reduce((n, y) => n + (y === k ? 1 : 0), 0));
  const rarest = counts.indexOf(Math.min(...counts));
  if (counts[rarest]! >= target.rows.length * 0.05) return [];
  const text = `Only ${counts[rarest]} of ${target.rows.length} rows are "${target.classes[rarest]}": judge by the threshold table, not by accuracy.`;
  return [{ kind: 'imbalance', column: null, text }];
}

/** Rows to judge by whose features all stand among the rows learned from, when they are many. */
function duplicates({ learn, judge: judged }: Lessons): Warning[] {
  const seen = new Set(rowHashes(learn.encoded));
  let twice = 0;
  for (const hash of rowHashes(judged.encoded)) if (seen.has(hash)) twice++;
  if (twice < judged.encoded.rows * 0.05) return [];
  return [
    {
      kind: 'duplicates',
      column: null,
      text: `${twice} of ${judged.encoded.rows} rows to judge by also stand among the rows learned from: the score may flatter the model.`,
    },
  ];
}

/** A number for each row that equal rows share (two 32-bit hashes in one double, so that chance hits are negligible). */
function rowHashes({ rows, features, texts }: Encoded): number[] {
  const bits = new DataView(new ArrayBuffer(8));
  return Array.from({ length: rows }, (_, row) => {
    let a = 1;
    let b = 2;
    for (const { values } of features) {
      bits.setFloat64(0, values[row]!);
      a = mix(a ^ bits.getInt32(0)) + bits.getInt32(4);
      b = mix(b + bits.getInt32(4)) ^ bits.getInt32(0);
    }
    for (const { values } of texts) {
      const hash = hashText(values[row] ?? '', a);
      a = mix(a + hash);
      b = mix(b ^ hash);
    }
    return (mix(a) & 0x1fffff) * 4294967296 + mix(b);
  });
}

function resultWarnings(judged: Judged, outer: Lessons, better: boolean, weighty: Report['importance']): Warning[] {
  const warnings: Warning[] = [];
  const base = constantRule(outer.learn, judged.width).answer(outer.judge);
  if (knowledge(judged, base) > TOO_GOOD) {
    const [first] = weighty;
    const text =
      'The model is nearly always right. The columns that it uses most, together, may hold the answer: see whether they are known before it.';
    warnings.push({ kind: 'too good', column: first?.column ?? null, text });
  }
  if (!better)
    warnings.push({
      kind: 'no better than the rule',
      column: null,
      text: 'The model is not clearly better than the simple rule: use the rule.',
    });
  return warnings;
}

/** How much worse the metric gets when a column is shuffled (Breiman 2001), on up to 2,000 judged rows. All features of a column move together. */
function importance(
  study: Study,
  lesson: Lesson,
  answer: (encoded: Encoded) => Float64Array,
  known: ReadonlyMap<string, number>,
): Report['importance'] {
  const rows = Math.min(lesson.encoded.rows, IMPORTANCE_ROWS);
  const picked = shuffled(lesson.encoded.rows, random(study.seed)).slice(0, rows);
  const encoded = pickRows(lesson.encoded, picked);
  const truth = Float64Array.from(picked, (row) => lesson.targets[row]!);
  const weights = Float64Array.from(picked, (row) => lesson.weights[row]!);
  const score = (given: Encoded): number => study.measure({ truth, weights, answers: answer(given), width: study.width });
  const intact = score(encoded);
  const order = shuffled(rows, random(mix(study.seed + 1)));
  const columns = [...known.keys()].sort((a, b) => known.get(b)! - known.get(a)!).slice(0, MOST_COLUMNS);
  const losses = columns.map((column) => ({ column, loss: score(shuffleColumn(encoded, column, order)) - intact }));
  return losses.sort((a, b) => b.loss - a.loss);
}

function pickRows(encoded: Encoded, rows: Uint32Array): Encoded {
  const pick = (values: Float64Array): Float64Array => Float64Array.from(rows, (row) => values[row]!);
  return {
    rows: rows.length,
    features: encoded.features.map((f) => ({ ...f, values: pick(f.values) })),
    texts: encoded.texts.map((t) => ({ ...t, values: Array.from(rows, (row) => t.values[row] ?? null) })),
  };
}

function shuffleColumn(encoded: Encoded, column: string, order: Uint32Array): Encoded {
  return {
    rows: encoded.rows,
    features: encoded.features.map((f) => (f.column === column ? { ...f, values: f.values.map((_, i) => f.values[order[i]!]!) } : f)),
    texts: encoded.texts.map((t) => (t.column === column ? { ...t, values: t.values.map((_, i) => t.values[order[i]!] ?? null) } : t)),
  };
}
