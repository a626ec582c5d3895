import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type ColumnData, explain, type Model, type Plan, predict, train } from '#learn';
import { boost } from '../../src/learn/trees/boost.ts';
import { type Forest, goesLeft, scoreRow } from '../../src/learn/trees/forest.ts';
import { plainKernel } from '../../src/learn/trees/kernel.ts';
import { boostDefaults } from '../../src/learn/trees/settings.ts';
import { expectedScores, shapAdder } from '../../src/learn/trees/shap.ts';
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
      shapAdder(forest)(row, values);
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

/** The members of a blend, trained one by one on the same table. */
async function blendOf(target: ColumnData, columns: readonly ColumnData[], counts = false): Promise<Model> {
  const table = [...columns, target];
  const trees = await train({ target: 'y', learner: 'trees', trees: { rounds: 25, maxLeaves: 8 } }, table);
  const linear = await train({ target: 'y', learner: 'linear' }, table);
  const third: Partial<Plan>[] =
    trees.classes !== null
      ? [{ learner: 'bayes' }]
      : counts
        ? [{ learner: 'trees', trees: { rounds: 40, maxLeaves: 8, loss: 'poisson' } }]
        : [];
  const more = await Promise.all(third.map((plan) => train({ target: 'y', ...plan }, table)));
  assert.deepEqual(linear.encoders, trees.encoders);
  const members = [trees, linear, ...more].map(({ learned }, m, all) => ({
    weight: [0.6, 0.3, 0.1][m]! / (all.length === 2 ? 0.9 : 1),
    learned,
  }));
  const flat = {
    kind: 'constant',
    link: trees.classes === null ? 'identity' : trees.classes.length === 2 ? 'sigmoid' : 'softmax',
  } as const;
  const constant = { ...flat, scores: trees.classes === null || trees.classes.length === 2 ? [0.4] : trees.classes.map((_, k) => k / 3) };
  // A blend within a blend, and a member that no column moves.
  const inner = { kind: 'blend', members } as const;
  return {
    ...trees,
    learned: {
      kind: 'blend',
      members: [
        { weight: 0.9, learned: inner },
        { weight: 0.1, learned: constant },
      ],
    },
  };
}

const mixedRows = Array.from({ length: 300 }, (_, i) => i);
const mixedColumns: ColumnData[] = [
  { name: 'a', kind: 'number', values: Float64Array.from(mixedRows, (i) => (i % 17 === 0 ? Number.NaN : (i * 7919) % 100)) },
  { name: 'kind', kind: 'text', values: mixedRows.map((i) => (i % 23 === 0 ? null : ['x', 'y', 'z'][i % 3]!)) },
  { name: 'at', kind: 'time', values: Float64Array.from(mixedRows, (i) => ((i * 31) % 300) * 3_600_000) },
];
const mixedScore = (i: number): number => ((i * 7919) % 100) / 20 + (i % 3) * 2 + ((i * 31) % 7) / 3;
const mixedTargets: readonly [string, ColumnData][] = [
  ['a number', numbers('y', mixedRows.map(mixedScore))],
  [
    'two classes',
    texts(
      'y',
      mixedRows.map((i) => (mixedScore(i) > 5 ? 'yes' : 'no')),
    ),
  ],
  [
    'four classes',
    texts(
      'y',
      mixedRows.map((i) => ['p', 'q', 'r', 's'][Math.min(3, Math.floor(mixedScore(i) / 2.5))]!),
    ),
  ],
];
for (const [what, target, counts] of [...mixedTargets, ['a number, one with a logarithmic link', mixedTargets[0]![1], true] as const]) {
  test(`blends of ${what}: the columns add up from the base to the answer, for each class`, async () => {
    const blend = await blendOf(target, mixedColumns, counts);
    const found = explain(blend, mixedColumns);
    const answers = predict(blend, mixedColumns).columns.slice(blend.classes === null ? 0 : 1);
    const told = blend.classes === null ? answers : blend.classes.length === 2 ? [answers[1]!] : answers;
    assert.deepEqual(
      found.map(({ of, scale }) => [of, scale]),
      told.map((_, k) => [blend.classes === null ? null : blend.classes.length === 2 ? blend.classes[1] : blend.classes[k], 'answer']),
    );
    found.forEach(({ base, columns }, k) => {
      for (const i of mixedRows) {
        const sum = columns.reduce((total, { values }) => total + Number(values[i]), base);
        assert.ok(Math.abs(sum - Number(told[k]!.values[i])) < 1e-9, `row ${i}: ${sum} and ${told[k]!.values[i]}`);
      }
    });
    // What all classes' probabilities gain from a column is nothing, since they add up to one.
    if (found.length > 2)
      for (const [c] of found[0]!.columns.entries())
        for (const i of mixedRows) assert.ok(Math.abs(found.reduce((sum, { columns }) => sum + Number(columns[c]!.values[i]), 0)) < 1e-9);
  });
}

test('a blend of numbers is explained by the weighted sum of what explains its members, and nothing else', async () => {
  const [, target] = mixedTargets[0]!;
  const blend = await blendOf(target, mixedColumns);
  const inner = blend.learned.kind === 'blend' ? blend.learned.members[0]!.learned : null;
  assert.ok(inner?.kind === 'blend');
  const parts = inner.members.map(({ weight, learned }) => ({ weight, found: explain({ ...blend, learned }, mixedColumns)[0]! }));
  const [found] = explain(blend, mixedColumns);
  for (const { name, values } of found!.columns)
    for (const i of mixedRows) {
      const expected = parts.reduce(
        (sum, part) => sum + 0.9 * part.weight * Number(part.found.columns.find((column) => column.name === name)?.values[i] ?? 0),
        0,
      );
      assert.ok(Math.abs(Number(values[i]) - expected) < 1e-12);
    }
});

test('scores are carried to probabilities along the straight line: as the line cut into many small steps says', async () => {
  for (const [, target] of mixedTargets.slice(1)) {
    const model = await train({ target: 'y', learner: 'linear' }, [...mixedColumns, target]);
    const scores = explain(model, mixedColumns);
    const found = explain({ ...model, learned: { kind: 'blend', members: [{ weight: 1, learned: model.learned }] } }, mixedColumns);
    const steps = 4000;
    for (const i of [0, 1, 17, 46]) {
      const way = scores.map(({ columns }) => columns.map(({ values }) => Number(values[i])));
      const total = way.map((columns) => columns.reduce((a, b) => a + b, 0));
      const chances = (t: number): number[] => {
        const at = scores.map(({ base }, o) => Math.exp(base + t * total[o]!));
        const powers = at.length === 1 ? [1, at[0]!] : at;
        const sum = powers.reduce((a, b) => a + b, 0);
        return powers.map((power) => power / sum);
      };
      const expected = found.map(() => way[0]!.map(() => 0));
      for (let step = 0; step < steps; step++) {
        const p = chances((step + 0.5) / steps);
        found.forEach((_, k) => {
          const own = found.length === 1 ? 1 : k;
          way.forEach((columns, o) => {
            const score = way.length === 1 ? 1 : o;
            const slope = p[own]! * ((own === score ? 1 : 0) - p[score]!);
            columns.forEach((value, c) => {
              expected[k]![c]! += (slope * value) / steps;
            });
          });
        });
      }
      found.forEach(({ columns }, k) => {
        columns.forEach(({ values }, c) => void assert.ok(Math.abs(Number(values[i]) - expected[k]![c]!) < 1e-5, `row ${i}, class ${k}`));
      });
    }
  }
});
