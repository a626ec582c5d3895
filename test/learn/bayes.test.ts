import assert from 'node:assert/strict';
import { test } from 'node:test';
import { predict, predictor, train } from '#learn';
import { fitBayes } from '../../src/learn/bayes.ts';
import type { Encoded } from '../../src/learn/encode.ts';
import { linearScorer } from '../../src/learn/linear/linear.ts';
import { generator, numbers, readTable, texts, withoutData } from './data.ts';

const next = generator(61);
const ROWS = 300;
const classes = 3;
const truth = Array.from({ length: ROWS }, () => Math.floor(next() * classes));
const colour = truth.map((k) => (next() < 0.5 ? k : Math.floor(next() * 4)));
const size = truth.map((k) => (next() < 0.1 + k * 0.1 ? Number.NaN : k * 2 + next() * 5));

/** Class probabilities of row i by Bayes's rule, straight from counts: shares of colours, a normal density with a common variance, and missing or not. */
function byHand(i: number, smoothing: number): number[] {
  const known = size.filter((v) => !Number.isNaN(v));
  const overall = known.reduce((s, v) => s + v, 0) / known.length;
  const scale = Math.sqrt(known.reduce((s, v) => s + (v - overall) ** 2, 0) / known.length);
  const z = size.map((v) => (v - overall) / scale);
  const members = Array.from({ length: classes }, (_, k) => truth.flatMap((y, row) => (y === k ? [row] : [])));
  const present = members.map((rows) => rows.filter((row) => !Number.isNaN(size[row])));
  const means = present.map((rows) => rows.reduce((s, row) => s + z[row]!, 0) / (rows.length + smoothing));
  const squares = present.reduce((s, rows, k) => s + rows.reduce((t, row) => t + (z[row]! - means[k]!) ** 2, 0), 0);
  const variance = (squares + smoothing) / (known.length + smoothing);
  const joint = members.map((rows, k) => {
    const seen = present[k]!.length;
    let p = (rows.length + smoothing) / (ROWS + smoothing * classes);
    p *= (rows.filter((row) => colour[row] === colour[i]).length + smoothing) / (rows.length + smoothing * 4);
    if (Number.isNaN(size[i])) return (p * (rows.length - seen + smoothing)) / (rows.length + 2 * smoothing);
    p *= (seen + smoothing) / (rows.length + 2 * smoothing);
    return p * Math.exp(-((z[i]! - means[k]!) ** 2) / (2 * variance));
  });
  const total = joint.reduce((s, p) => s + p, 0);
  return joint.map((p) => p / total);
}

test("naive Bayes gives the probabilities of Bayes's rule, missing values among them", () => {
  const feature = (column: string, values: readonly number[]) => ({ name: column, column, cycle: null, values: Float64Array.from(values) });
  const encoded: Encoded = {
    rows: ROWS,
    features: [
      { ...feature('colour', colour), kind: 'category', levels: 4 },
      { ...feature('size', size), kind: 'numeric', levels: 0 },
    ],
    texts: [],
  };
  const rows = { encoded, targets: Float64Array.from(truth), weights: new Float64Array(ROWS).fill(1) };
  const scores = linearScorer(fitBayes(rows, classes, { smoothing: 1 }))(encoded);
  for (let i = 0; i < ROWS; i++) {
    const raw = Array.from(scores.subarray(i * classes, (i + 1) * classes), Math.exp);
    const total = raw.reduce((s, v) => s + v, 0);
    byHand(i, 1).forEach((p, k) => {
      assert.ok(Math.abs(raw[k]! / total - p) < 1e-5, `row ${i}, class ${k}: ${raw[k]! / total} against ${p}`);
    });
  }
});

test('a plan may ask for naive Bayes, and is refused for numbers', async () => {
  const columns = [
    texts(
      'colour',
      colour.map((c) => `c${c}`),
    ),
    numbers('size', size),
    texts(
      'y',
      truth.map((k) => `class ${k}`),
    ),
  ];
  const model = await train({ target: 'y', learner: 'bayes' }, columns);
  assert.equal(model.learned.kind, 'linear');
  assert.equal(model.report!.better, true);
  assert.ok(predictor(model)({ colour: 'c2', size: 8 }).probabilities![2]! > 0.5);
  await assert.rejects(train({ target: 'size', learner: 'bayes' }, columns), { code: 'LEARN_PLAN' });
});

test('sms-spam: naive Bayes on words tells 97 % of the messages right', { skip: withoutData }, async () => {
  const columns = readTable('sms-spam/SMSSpamCollection.gz', '\t', ['label', 'text']);
  const model = await train({ target: 'label', learner: 'bayes' }, columns);
  const right = model.report!.scores.find((s) => s.metric === 'accuracy')!.value;
  assert.ok(right >= 0.97, `accuracy ${right}`);
  assert.equal(predict(model, columns).columns[0]!.values.length, columns[0]!.values.length);
});
