import { cell } from '../columns.ts';
import type { Encoded } from '../encode.ts';
import type { Judged } from '../metrics.ts';
import { hashText, mix } from '../random.ts';
import { known } from '../read.ts';
import type { Report, Warning } from '../report.ts';
import { isStamp, lateColumns } from './arrival.ts';
import { isEntity, isIdentifier, timeIn } from './entity.ts';
import { constantRule, knowledge } from './rule.ts';
import type { Lessons, Study } from './search.ts';

/** A model that knows so much of the answer is too good to be true. */
const TOO_GOOD = 0.99;

/** Of a column that alone knows that share of the answer, or orders two classes with that area under the ROC curve. */
export function leak(column: string, target: string, known: number, ranks: number): Warning {
  const much =
    known >= ranks
      ? `tells ${Math.floor(known * 100)} % of "${target}"`
      : `tells the classes of "${target}" apart (AUC ${ranks.toFixed(3)})`;
  const text = `"${column}" alone ${much}. If it is only known after the answer, leave it out (ignore) and train again.`;
  return { kind: 'leakage', column, text };
}

/** What the data itself gives reason to say. */
export function dataWarnings(study: Study, outer: Lessons): Warning[] {
  const warnings: Warning[] = [];
  for (const [name, why] of study.left) warnings.push({ kind: 'dropped', column: name, text: `"${name}" is not learned from: ${why}.` });
  for (const { name } of study.columns.filter((column) => isStamp(study.arrivals, column.name)))
    warnings.push({ kind: 'dropped', column: name, text: `"${name}" is not learned from: it says when another column came.` });
  warnings.push(...lateColumns(study.arrivals, study.used, study.target));
  const unknown = study.columns[0]!.values.length - study.target.rows.length;
  if (unknown > 0)
    warnings.push({
      kind: 'dropped',
      column: study.plan.target,
      ...(study.plan.weight === undefined
        ? { text: `${unknown} rows without a known "${study.plan.target}" are not learned from.` }
        : { text: `${unknown} rows without a known "${study.plan.target}" or with a weight of 0 are not learned from.` }),
    });
  if (study.target.rows.length < 500)
    warnings.push({
      kind: 'few rows',
      column: null,
      text: `${study.target.rows.length} rows are few: expect the score to change with new data.`,
    });
  const seen = outer.rows.judge.length === 0 ? notJudged() : [...duplicates(outer), ...bothSides(study, outer)];
  return [...warnings, ...reweighted(study), ...imbalance(study), ...absent(study, outer), ...seen];
}

function notJudged(): Warning[] {
  const text = 'All rows were learned from and none was held out: nothing here says how good the model is. Evaluate it on other rows.';
  return [{ kind: 'not judged', column: null, text }];
}

/** Classes of which one side has no row: they can't be learned, or are not judged. */
function absent({ target, plan }: Study, { learn, judge: judged }: Lessons): Warning[] {
  if (target.classes === null) return [];
  const without = (targets: Float64Array): string => {
    const there = new Set(targets);
    const labels = target.classes!.filter((_, k) => !there.has(k)).map((label) => `"${label}"`);
    return labels.slice(0, 3).join(', ') + (labels.length > 3 ? ` … (${labels.length})` : '');
  };
  const tell = (labels: string, text: string): Warning[] => (labels === '' ? [] : [{ kind: 'imbalance', column: plan.target, text }]);
  const [unlearned, unjudged] = [without(learn.targets), judged.targets.length === 0 ? '' : without(judged.targets)];
  return [
    ...tell(unlearned, `No row that was learned from is ${unlearned}: the figures are of a model that can't know it.`),
    ...tell(unjudged, `No row that was held out is ${unjudged}: the figures say nothing of it.`),
  ];
}

function reweighted({ plan }: Study): Warning[] {
  if (plan.classWeights === undefined) return [];
  const how = plan.classWeights === 'balanced' ? 'alike' : 'as asked';
  const text = `Classes weigh ${how} in learning: probabilities are not shares of real rows. Figures count real rows; the comparison with the simple rule, importance and slices weigh the classes.`;
  return [{ kind: 'class weights', column: null, text }];
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

/** What the model may know again: an id that is learned from, or an entity (by its other columns), whose rows stand on both sides. */
function bothSides({ plan, split, columns, readings, used, left }: Study, { learn, judge: judged, rows }: Lessons): Warning[] {
  if (learn.targets.length === 0) return [];
  const time = timeIn(columns, readings);
  const warnings: Warning[] = [];
  columns.forEach((column, at) => {
    if (column.name === split.column || (split.kind === 'group' && left.has(column.name))) return;
    const isRisk = used.includes(column) ? isIdentifier : isEntity;
    if (!isRisk(column, readings[at]!, plan, time)) return;
    const before = new Set(Array.from(rows.learn, (row) => known(cell(column, row))));
    let again = 0;
    for (const row of rows.judge) if (known(cell(column, row)) !== null && before.has(known(cell(column, row)))) again++;
    const share = Math.round((again / judged.targets.length) * 100);
    if (share < 5) return;
    const text = `${share} % of the rows to judge by have a "${column.name}" that was learned from: new ones may be predicted worse. Split by group to see.`;
    warnings.push({ kind: 'both sides', column: column.name, text });
  });
  return warnings;
}

/** What the result gives reason to say. */
export function resultWarnings(judged: Judged, outer: Lessons, better: boolean, weighty: Report['importance']): Warning[] {
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
