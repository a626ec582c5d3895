import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ColumnData, checkModel, explain, forests, type Model, type Plan, predict, predictor, sharePrior, train } from '#learn';
import { type Learned, sealModel, unpackForest } from '../../src/learn/model.ts';
import { boost } from '../../src/learn/trees/boost.ts';
import { type Forest, goesLeft } from '../../src/learn/trees/forest.ts';
import { plainKernel } from '../../src/learn/trees/kernel.ts';
import { boostDefaults } from '../../src/learn/trees/settings.ts';
import { generator, numbers, texts } from './data.ts';

const COUNT = 6000;
const FOREST = { forest: true, rounds: 30, randomCuts: true, splitColumnSample: 0.6, maxLeaves: 64, minRows: 20 } as const;

/** One row in a hundred is a hit; where both are large, one in ten is. */
function rareRows(seed: number): { a: number[]; b: number[]; hits: number[] } {
  const next = generator(seed);
  const a = Array.from({ length: COUNT }, () => next());
  const b = Array.from({ length: COUNT }, () => next());
  const hits = a.map((x, i) => Number(next() < (x > 0.7 && b[i]! > 0.7 ? 0.1 : 0.001)));
  return { a, b, hits };
}

function leafOf(forest: Forest, root: number, row: readonly number[]): number {
  let node = root;
  while (forest.feature[node]! >= 0) node = forest.left[node]! + (goesLeft(forest, node, row[forest.feature[node]!]!) ? 0 : 1);
  return node;
}

/** Means over the trees of the share of a class among the rows in the same leaf, `prior` rows with the share of all among them. */
function brute(forest: Forest, rows: readonly (readonly number[])[], isOf: readonly number[], output: number, prior: number): number[] {
  const all = isOf.reduce((sum, y) => sum + y, 0) / rows.length;
  const roots = [...forest.roots].filter((_, tree) => tree % forest.outputs === output);
  const means = rows.map(() => 0);
  for (const root of roots) {
    const leaves = rows.map((row) => leafOf(forest, root, row));
    const counts = new Map<number, { rows: number; hits: number }>();
    leaves.forEach((leaf, i) => {
      const count = counts.get(leaf) ?? { rows: 0, hits: 0 };
      counts.set(leaf, { rows: count.rows + 1, hits: count.hits + isOf[i]! });
    });
    leaves.forEach((leaf, i) => {
      const count = counts.get(leaf)!;
      means[i]! += (count.hits + prior * all) / (count.rows + prior) / roots.length;
    });
  }
  return means;
}

function grown(targets: readonly number[], features: readonly (readonly number[])[], loss: 'logistic' | 'softmax' | 'poisson', l2: number) {
  const steps = boost(
    {
      features: features.map((values, f) => ({ name: `x${f}`, kind: 'numeric', levels: 0, values: Float64Array.from(values) })),
      targets: Float64Array.from(targets),
      weights: new Float64Array(targets.length).fill(1),
    },
    null,
    { ...boostDefaults, ...FOREST, loss, l2 },
    loss === 'softmax' ? 3 : 2,
    plainKernel,
  );
  for (let step = steps.next(); ; step = steps.next()) if (step.done) return step.value.forest;
}

function scoresOf(forest: Forest, row: readonly number[]): number[] {
  const scores = [...forest.base];
  forest.roots.forEach((root, tree) => {
    scores[tree % forest.outputs]! += forest.threshold[leafOf(forest, root, row)]!;
  });
  return scores;
}

for (const prior of [0, 1])
  test(`a forest of a rare class is the mean of its leaves' shares, with ${prior} rows of prior`, () => {
    const { a, b, hits } = rareRows(3);
    const forest = grown(hits, [a, b], 'logistic', prior);
    const rows = a.map((x, i) => [x, b[i]!]);
    const wanted = brute(forest, rows, hits, 0, prior);
    rows.forEach((row, i) => {
      const [score] = scoresOf(forest, row);
      assert.ok(Math.abs(score! - wanted[i]!) < 1e-6, `${score} and ${wanted[i]}`);
    });
  });

test('of three classes each is the mean share of its trees; of counts the mean', () => {
  const { a, b, hits } = rareRows(5);
  const rows = a.map((x, i) => [x, b[i]!]);
  const classes = a.map((x, i) => (hits[i] === 1 ? 2 : x + b[i]! > 1.2 ? 1 : 0));
  const forest = grown(classes, [a, b], 'softmax', 1);
  for (const k of [0, 1, 2]) {
    const wanted = brute(
      forest,
      rows,
      classes.map((y) => Number(y === k)),
      k,
      1,
    );
    for (let i = 0; i < COUNT; i += 7) assert.ok(Math.abs(scoresOf(forest, rows[i]!)[k]! - wanted[i]!) < 1e-6);
  }
  const counted = grown(
    classes.map((y) => y * 50),
    [a, b],
    'poisson',
    0,
  );
  const wanted = brute(
    counted,
    rows,
    classes.map((y) => y * 50),
    0,
    0,
  );
  for (let i = 0; i < COUNT; i += 7) assert.ok(Math.abs(scoresOf(counted, rows[i]!)[0]! - wanted[i]!) < 1e-4);
});

const FOREST_PLAN: Plan = { target: 'y', learner: 'trees', trees: { ...FOREST, l2: 1 } };
const tableOf = (seed: number, label: (i: number, of: ReturnType<typeof rareRows>) => string): ColumnData[] => {
  const of = rareRows(seed);
  return [
    numbers('a', of.a),
    numbers('b', of.b),
    texts(
      'y',
      of.a.map((_, i) => label(i, of)),
    ),
  ];
};
const rare = (i: number, { hits }: ReturnType<typeof rareRows>): string => (hits[i] === 1 ? 'yes' : 'no');
const three = (i: number, { a, b, hits }: ReturnType<typeof rareRows>): string =>
  hits[i] === 1 ? 'hit' : a[i]! + b[i]! > 1.2 ? 'high' : 'low';

test('what a forest promises of a rare class comes true on rows it never saw', async () => {
  const model = await train({ ...FOREST_PLAN, trees: { ...forests.randomForest, ...sharePrior, minRows: 100 } }, tableOf(7, rare));
  const fresh = rareRows(11);
  const promised = predict(model, tableOf(11, rare)).columns.at(-1)!.values as Float64Array;
  const inside = (i: number) => fresh.a[i]! > 0.72 && fresh.b[i]! > 0.72;
  const mean = (of: (i: number) => number, which: (i: number) => boolean): number => {
    const rows = fresh.a.map((_, i) => i).filter(which);
    return rows.reduce((sum, i) => sum + of(i), 0) / rows.length;
  };
  // 0.1 and 0.001 by construction; a step in log-odds from 1 % to 10 % says 0.99.
  assert.ok(Math.abs(mean((i) => promised[i]!, inside) - 0.1) < 0.035, String(mean((i) => promised[i]!, inside)));
  assert.ok(
    Math.abs(
      mean(
        (i) => promised[i]!,
        (i) => !inside(i),
      ) - 0.003,
    ) < 0.003,
  );
  assert.ok(Math.max(...promised) < 0.4, String(Math.max(...promised)));
});

for (const [what, label] of [
  ['two classes', rare],
  ['three classes', three],
] as const)
  test(`a forest of ${what}: one row as many, probabilities that add up to 1, explanations that add up to them`, async () => {
    const columns = tableOf(13, label);
    const model = await train(FOREST_PLAN, columns);
    const some = columns.map((column) => ({ ...column, values: column.values.slice(0, 300) }) as ColumnData);
    const answers = predict(model, some).columns.slice(1);
    const one = predictor(model);
    const explained = explain(model, some);
    assert.deepEqual(
      explained.map(({ of, scale }) => [of, scale]),
      (model.classes!.length === 2 ? ['yes'] : model.classes!).map((of) => [of, 'answer']),
    );
    for (let i = 0; i < 300; i++) {
      const given = answers.map(({ values }) => Number(values[i]));
      assert.deepEqual([...one({ a: some[0]!.values[i], b: some[1]!.values[i] }).probabilities!], given);
      assert.ok(given.every((p) => p >= 0 && p <= 1) && Math.abs(given.reduce((sum, p) => sum + p, 0) - 1) < 1e-12);
      explained.forEach(({ base, columns: moved }, k) => {
        const sum = moved.reduce((total, { values }) => total + Number(values[i]), base);
        assert.ok(Math.abs(sum - given[explained.length === 1 ? 1 : k]!) < 1e-9, `row ${i}`);
      });
    }
  });

for (const [what, label] of [
  ['two classes', rare],
  ['three classes', three],
] as const)
  test(`a forest beside boosted trees in a blend of ${what}: it is the weighted mean, and explanations add up to it`, async () => {
    const columns = tableOf(19, label);
    const [forest, boosted] = await Promise.all([train(FOREST_PLAN, columns), train({ ...FOREST_PLAN, trees: { rounds: 20 } }, columns)]);
    assert.deepEqual(forest.encoders, boosted.encoders);
    const { format: _format, version: _version, hash: _hash, ...parts } = forest;
    const members = [
      { weight: 0.4, learned: forest.learned },
      { weight: 0.6, learned: boosted.learned },
    ];
    const blend = checkModel(sealModel({ ...parts, learned: { kind: 'blend', members } }));
    assert.equal(blend.version, 2);
    const some = columns.map((column) => ({ ...column, values: column.values.slice(0, 100) }) as ColumnData);
    const [own, other, both] = [forest, boosted, blend].map((model) => predict(model, some).columns.slice(1));
    const explained = explain(blend, some);
    for (let i = 0; i < 100; i++)
      for (const k of own!.keys()) {
        const [a, b, c] = [own, other, both].map((answers) => Number(answers![k]!.values[i]));
        assert.ok(Math.abs(0.4 * a! + 0.6 * b! - c!) < 1e-12);
        const told = explained.length === 1 ? (k === 1 ? explained[0] : undefined) : explained[k];
        if (told === undefined) continue;
        const sum = told.columns.reduce((total, { values }) => total + Number(values[i]), told.base);
        assert.ok(Math.abs(sum - c!) < 1e-9, `row ${i}`);
      }
  });

test('a model whose leaves are shares says a version of its own; one of before answers as it did', async () => {
  const model = await train(FOREST_PLAN, tableOf(17, rare));
  assert.equal(model.version, 2);
  assert.deepEqual(checkModel(JSON.parse(JSON.stringify(model))), model);
  const boosted = await train({ target: 'y', learner: 'trees', trees: { rounds: 5 } }, tableOf(17, rare));
  assert.equal(boosted.version, 1);
  // A forest of version 1 holds steps in log-odds: the same file with the sigmoid's link.
  const learned = { ...(model.learned as Learned & { kind: 'trees' }), link: 'sigmoid' as const };
  const { format: _format, version: _version, hash: _hash, ...parts } = model;
  const before: Model = checkModel(JSON.parse(JSON.stringify(sealModel({ ...parts, learned }))));
  assert.equal(before.version, 1);
  const row = { a: 0.9, b: 0.9 };
  const [score] = scoresOf(unpackForest(learned.forest), [0.9, 0.9]);
  assert.ok(Math.abs(predictor(before)(row).probabilities![1]! - 1 / (1 + Math.exp(-score!))) < 1e-12);
});
