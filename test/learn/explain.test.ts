import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type ColumnData, explain, predict, train } from '#learn';
import { boost, boostDefaults } from '../../src/learn/trees/boost.ts';
import { type Forest, goesLeft, scoreRow } from '../../src/learn/trees/forest.ts';
import { plainKernel } from '../../src/learn/trees/kernel.ts';
import { addShapValues, expectedScores } from '../../src/learn/trees/shap.ts';
import { generator, numbers, texts } from './data.ts';

const FEATURES = 4;

function grow(seed: number): { forest: Forest; rows: Float64Array[] } {
  const next = generator(seed);
  const rows = Array.from({ length: 60 }, () =>
    Float64Array.from({ length: FEATURES }, (_, f) =>
      f === 3 ? Math.floor(next() * 3) : next() < 0.1 ? Number.NaN : Math.floor(next() * 5),
    ),
  );
  const features = Array.from({ length: FEATURES }, (_, f) => ({
    name: `x${f}`,
    kind: f === 3 ? ('category' as const) : ('numeric' as const),
    levels: f === 3 ? 3 : 0,
    values: Float64Array.from(rows, (row) => row[f]!),
  }));
  const targets = Float64Array.from(rows, (row) => (row[0]! > 2 ? 3 : 0) * (row[1]! || 1) + (row[3] === 1 ? 2 : 0) + next());
  const steps = boost(
    { features, targets, weights: new Float64Array(60).fill(1) },
    null,
    { ...boostDefaults, rounds: 3, maxLeaves: 8, minRows: 2 },
    1,
    plainKernel,
  );
  for (let step = steps.next(); ; step = steps.next()) if (step.done) return { forest: step.value.forest, rows };
}

/** The tree's value when only the features of the subset are known: others follow both branches by cover. */
function expectation(forest: Forest, node: number, row: Float64Array, known: number): number {
  const f = forest.feature[node]!;
  if (f < 0) return forest.threshold[node]!;
  const left = forest.left[node]!;
  if ((known >> f) & 1) return expectation(forest, left + (goesLeft(forest, node, row[f]!) ? 0 : 1), row, known);
  const [a, b] = [forest.cover[left]!, forest.cover[left + 1]!];
  return (a * expectation(forest, left, row, known) + b * expectation(forest, left + 1, row, known)) / (a + b);
}

/** Shapley's formula over all subsets (Shapley 1953). */
function shapley(forest: Forest, row: Float64Array, feature: number): number {
  const factorial = (n: number): number => (n <= 1 ? 1 : n * factorial(n - 1));
  let sum = 0;
  for (let subset = 0; subset < 1 << FEATURES; subset++) {
    if ((subset >> feature) & 1) continue;
    const size = [...Array(FEATURES).keys()].filter((f) => (subset >> f) & 1).length;
    const weight = (factorial(size) * factorial(FEATURES - size - 1)) / factorial(FEATURES);
    for (const root of forest.roots)
      sum += weight * (expectation(forest, root, row, subset | (1 << feature)) - expectation(forest, root, row, subset));
  }
  return sum;
}

test("SHAP values are Shapley's sum over all subsets, and add up to the score", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1e6 }), fc.nat({ max: 59 }), (seed, at) => {
      const { forest, rows } = grow(seed);
      const row = rows[at]!;
      const values = new Float64Array(FEATURES);
      addShapValues(forest, row, values);
      values.forEach((value, f) => {
        const exact = shapley(forest, row, f);
        assert.ok(Math.abs(value - exact) < 1e-9, `x${f}: ${value} against ${exact}`);
      });
      const score = new Float64Array(1);
      scoreRow(forest, row, score);
      assert.ok(Math.abs(expectedScores(forest)[0]! + values.reduce((s, v) => s + v, 0) - score[0]!) < 1e-9);
    }),
    { numRuns: 40 },
  );
});

test('an explanation by column adds up to the prediction, and a model without trees is refused', async () => {
  const next = generator(9);
  const rows = Array.from({ length: 300 }, (_, i) => i);
  const columns = [
    numbers(
      'a',
      rows.map(() => next()),
    ),
    texts(
      'b',
      rows.map((i) => ['u', 'v', 'w'][i % 3]!),
    ),
    numbers(
      'noise',
      rows.map(() => next()),
    ),
  ];
  const target = numbers(
    'y',
    rows.map((i) => Number(columns[0]!.values[i]) * 3 + (i % 3)),
  );
  const model = await train({ target: 'y', learner: 'trees' }, [...columns, target]);
  const [found] = explain(model, columns);
  const predicted = predict(model, columns).columns[0]!.values;
  for (const i of rows) {
    const sum = found!.columns.reduce((s, c) => s + Number(c.values[i]), found!.base);
    assert.ok(Math.abs(sum - Number(predicted[i])) < 1e-9);
  }
  const weight = (name: string): number =>
    rows.reduce((s, i) => s + Math.abs(Number(found!.columns.find((c) => c.name === name)!.values[i])), 0);
  assert.ok(weight('a') > 5 * weight('noise') && weight('b') > 5 * weight('noise'));
});

test('of linear models each column is told what it adds; the features of one column are added up', async () => {
  const rows = Array.from({ length: 400 }, (_, i) => i);
  const columns: ColumnData[] = [
    { name: 'a', kind: 'number', values: Float64Array.from(rows, (i) => (i % 17 === 0 ? Number.NaN : (i * 7919) % 100)) },
    { name: 'kind', kind: 'text', values: rows.map((i) => (i % 23 === 0 ? null : ['x', 'y', 'z'][i % 3]!)) },
    { name: 'at', kind: 'time', values: Float64Array.from(rows, (i) => i * 3_600_000) },
    { name: 'said', kind: 'text', values: rows.map((i) => `word${i % 90} then other${(i * 7) % 60} and more${i}`) },
  ];
  const score = (i: number) => ((i * 7919) % 100) / 20 + (i % 3) * 2;
  const value: ColumnData = { name: 'y', kind: 'number', values: Float64Array.from(rows, score) };
  const sign: ColumnData = {
    name: 'y',
    kind: 'text',
    values: rows.map((i) => ['low', 'mid', 'high'][Math.min(2, Math.floor(score(i) / 4))]!),
  };
  const adding = (found: ReturnType<typeof explain>[number], i: number) =>
    found.columns.reduce((sum, { values }) => sum + Number(values[i]), found.base);
  const line = await train({ target: 'y', learner: 'linear' }, [...columns, value]);
  const [found] = explain(line, columns);
  assert.deepEqual(found!.columns.map(({ name }) => name).sort(), ['a', 'at', 'kind', 'said']);
  const predicted = predict(line, columns).columns[0]!.values;
  for (const i of rows) assert.ok(Math.abs(adding(found!, i) - Number(predicted[i])) < 1e-6);
  const classes = await train({ target: 'y', learner: 'linear' }, [...columns, sign]);
  const outputs = explain(classes, columns);
  assert.deepEqual(
    outputs.map(({ of }) => of),
    classes.classes,
  );
  const chances = predict(classes, columns).columns.slice(1);
  for (const i of rows) {
    const powers = outputs.map((output) => Math.exp(adding(output, i)));
    const total = powers.reduce((sum, power) => sum + power, 0);
    chances.forEach(({ values }, k) => void assert.ok(Math.abs(powers[k]! / total - Number(values[i])) < 1e-9));
  }
});
