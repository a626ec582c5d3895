import type { Encoded, EncodedFeature, Encoder } from '../encode.ts';
import type { Lesson } from '../learners.ts';
import { meanWithError, rowLosses } from '../metrics.ts';
import { mix, random, shuffled } from '../random.ts';
import type { Dependence, Report, Slice } from '../report.ts';
import type { Lessons, Study } from './search.ts';

/** Importance reads at most so many rows. */
const IMPORTANCE_ROWS = 2000;
/** Importance of at most so many columns: those that tell most by themselves. */
const MOST_COLUMNS = 200;
const DEPENDENCE_COLUMNS = 6;
const DEPENDENCE_ROWS = 300;
const DEPENDENCE_POINTS = 12;
const MOST_SLICES = 5;
/** A slice is worth a word when it has so many rows, that share of all, and is worse by so many errors. */
const SLICE = { rows: 20, share: 0.02, errors: 3 } as const;
const SLICE_LEVELS = 30;

type Answer = (encoded: Encoded) => Float64Array;

/** How much worse the metric gets when a column is shuffled (Breiman 2001), on up to 2,000 judged rows. All features of a column move together. */
export function importance(study: Study, lesson: Lesson, answer: Answer, known: ReadonlyMap<string, number>): Report['importance'] {
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

/** Partial dependence of the columns that matter most and are one feature each, on up to 300 judged rows. */
export function dependence(
  study: Study,
  { encoders, judge: judged }: Lessons,
  answer: Answer,
  weighty: Report['importance'],
): Dependence[] {
  const { encoded } = judged;
  const rows = shuffled(encoded.rows, random(study.seed)).slice(0, DEPENDENCE_ROWS);
  const sample = pickRows(encoded, rows);
  const found: Dependence[] = [];
  for (const { column } of weighty) {
    const encoder = encoders.find((e) => e.column === column);
    const at = encoded.features.findIndex((f) => f.column === column);
    if (encoder === undefined || at < 0 || (encoder.kind !== 'number' && encoder.kind !== 'category')) continue;
    const points = gridOf(encoder, encoded.features[at]!).map(({ value, code }) => {
      const features = sample.features.map((f, i) => (i === at ? { ...f, values: new Float64Array(sample.rows).fill(code) } : f));
      const answers = answer({ ...sample, features });
      return { value, answers: Array.from({ length: study.width }, (_, k) => meanOf(answers, k, study.width)) };
    });
    found.push({ column, points });
    if (found.length === DEPENDENCE_COLUMNS) break;
  }
  return found;
}

function meanOf(answers: Float64Array, k: number, width: number): number {
  let sum = 0;
  for (let at = k; at < answers.length; at += width) sum += answers[at]!;
  return sum / (answers.length / width);
}

/** Quantiles of a number, the most frequent categories (levels stand in that order), and missing where it is seen. */
function gridOf(
  encoder: Encoder & { kind: 'number' | 'category' },
  { values }: EncodedFeature,
): { value: number | string | null; code: number }[] {
  const present = values.filter((v) => !Number.isNaN(v)).sort();
  const missing = present.length < values.length ? [{ value: null, code: Number.NaN }] : [];
  if (encoder.kind === 'category') {
    return [...encoder.levels.slice(0, DEPENDENCE_POINTS).map((value, code) => ({ value, code })), ...missing];
  }
  const quantiles = Array.from(
    { length: DEPENDENCE_POINTS },
    (_, q) => present[Math.round((q / (DEPENDENCE_POINTS - 1)) * (present.length - 1))],
  );
  const distinct = [...new Set(quantiles)].filter((v) => v !== undefined);
  return [...distinct.map((v) => ({ value: v, code: v })), ...missing];
}

/**
 * Values of one column, quarters of a number, on whose judged rows the mean loss is above that of the others by more than three errors; the
 * clearest first. Rows are harder where the answer is more open, so the simple rule's loss stands beside: where it is lower, the model fails.
 */
export function slices(study: Study, { encoders, judge: judged }: Lessons, answers: Float64Array, ruled: Float64Array): Slice[] {
  const of = (given: Float64Array): Float64Array =>
    rowLosses(
      { truth: judged.targets, weights: judged.weights, answers: given, width: study.width },
      study.metric,
      study.plan.trees?.alpha,
    );
  const [own, rule] = [of(answers), of(ruled)];
  const found: (Slice & { readonly clear: number })[] = [];
  for (const encoder of encoders) {
    if (encoder.kind !== 'number' && encoder.kind !== 'category') continue;
    const feature = judged.encoded.features.find((f) => f.column === encoder.column)!;
    for (const { value, has } of partsOf(encoder, feature)) {
      const inside = Uint32Array.from(own.keys()).filter((row) => has(feature.values[row]!));
      if (inside.length < Math.max(SLICE.rows, own.length * SLICE.share) || inside.length > own.length / 2) continue;
      const outside = Uint32Array.from(own.keys()).filter((row) => !has(feature.values[row]!));
      const [here, there, byRule] = [meanAt(own, judged, inside), meanAt(own, judged, outside), meanAt(rule, judged, inside)];
      const error = Math.hypot(here.error, there.error);
      const clear = (here.value - there.value) / error;
      if (!(clear > SLICE.errors)) continue;
      const facts = { rows: inside.length, loss: here.value, otherLoss: there.value, error, ruleLoss: byRule.value };
      found.push({ column: encoder.column, value, ...facts, clear });
    }
  }
  found.sort((a, b) => b.clear - a.clear);
  return found.slice(0, MOST_SLICES).map(({ clear: _clear, ...slice }) => slice);
}

function meanAt(losses: Float64Array, { weights }: Lesson, rows: Uint32Array): { value: number; error: number } {
  const pick = (values: Float64Array): Float64Array => Float64Array.from(rows, (row) => values[row]!);
  return meanWithError(pick(losses), pick(weights));
}

type Part = { readonly value: string; readonly has: (code: number) => boolean };

function partsOf(encoder: Encoder & { kind: 'number' | 'category' }, { values }: EncodedFeature): Part[] {
  const missing: Part = { value: 'missing', has: Number.isNaN };
  if (encoder.kind === 'category') {
    return [...encoder.levels.slice(0, SLICE_LEVELS).map((value, code): Part => ({ value, has: (v) => v === code })), missing];
  }
  const present = values.filter((v) => !Number.isNaN(v)).sort();
  const cuts = [...new Set([0.25, 0.5, 0.75].map((q) => present[Math.floor(q * present.length)] ?? 0))];
  const ends = [Number.NEGATIVE_INFINITY, ...cuts, Number.POSITIVE_INFINITY];
  const ranges = ends.slice(1).map((to, i): Part => {
    const from = ends[i]!;
    const value =
      from === Number.NEGATIVE_INFINITY
        ? `below ${to}`
        : to === Number.POSITIVE_INFINITY
          ? `${from} or more`
          : `from ${from} to below ${to}`;
    return { value, has: (v) => v >= from && v < to };
  });
  return [...ranges, missing];
}
