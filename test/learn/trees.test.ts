import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Feature, featureBins } from '../../src/learn/trees/bins.ts';
import { type Boosted, boost, type Rows } from '../../src/learn/trees/boost.ts';
import { type Forest, newForest, scoreColumns } from '../../src/learn/trees/forest.ts';
import { growTree } from '../../src/learn/trees/grow.ts';
import { type MakeKernel, plainKernel } from '../../src/learn/trees/kernel.ts';
import { type LossName, lossNamed } from '../../src/learn/trees/losses.ts';
import { type BoostOptions, boostDefaults } from '../../src/learn/trees/settings.ts';
import { generator } from './data.ts';

const numeric = (values: readonly number[], name = 'x'): Feature => ({
  name,
  kind: 'numeric',
  levels: 0,
  values: Float64Array.from(values),
});
const category = (codes: readonly number[], levels: number): Feature => ({
  name: 'c',
  kind: 'category',
  levels,
  values: Float64Array.from(codes),
});
const rowsOf = (features: Feature[], targets: readonly number[]): Rows => ({
  features,
  targets: Float64Array.from(targets),
  weights: new Float64Array(targets.length).fill(1),
});

function run(
  rows: Rows,
  options: Partial<BoostOptions>,
  validation: Rows | null = null,
  classes = 2,
  kernel: MakeKernel = plainKernel,
): Boosted {
  const steps = boost(rows, validation, { ...boostDefaults, minRows: 1, ...options }, classes, kernel);
  for (let step = steps.next(); ; step = steps.next()) if (step.done) return step.value;
}

const predictions = (forest: Forest, rows: Rows): Float64Array =>
  scoreColumns(
    forest,
    rows.features.map((f) => f.values),
    rows.targets.length,
  );

/** The best gain over every feature, threshold and missing side, by trying all of them on the rows themselves. */
function bruteForceGain(rows: Rows, l2: number): number {
  const mean = rows.targets.reduce((s, y) => s + y, 0) / rows.targets.length;
  const gradients = rows.targets.map((y) => mean - y);
  const strength = (inside: readonly number[]): number => {
    const g = inside.reduce((s, i) => s + gradients[i]!, 0);
    return inside.length === 0 ? 0 : (g * g) / (inside.length + l2);
  };
  const all = [...gradients.keys()];
  let best = 0;
  for (const { values } of rows.features) {
    for (const threshold of new Set(values)) {
      for (const missingLeft of [true, false]) {
        const left = all.filter((i) => (Number.isNaN(values[i]!) ? missingLeft : values[i]! <= threshold));
        if (left.length === 0 || left.length === all.length) continue;
        const right = all.filter((i) => !left.includes(i));
        best = Math.max(best, strength(left) + strength(right) - strength(all));
      }
    }
  }
  return best;
}

const value = fc.oneof({ weight: 5, arbitrary: fc.integer({ min: -4, max: 4 }) }, { weight: 1, arbitrary: fc.constant(Number.NaN) });
const table = fc.array(fc.tuple(value, value, fc.integer({ min: -9, max: 9 })), { minLength: 4, maxLength: 25 });

test('the first split is the best that a search of all splits finds, missing values on either side', () => {
  fc.assert(
    fc.property(table, fc.constantFrom(0, 1, 3), (data, l2) => {
      const rows = rowsOf(
        [numeric(data.map((d) => d[0])), numeric(data.map((d) => d[1]))],
        data.map((d) => d[2]),
      );
      const { forest } = run(rows, { rounds: 1, maxLeaves: 2, l2, minChildWeight: 0 });
      const best = bruteForceGain(rows, l2);
      assert.ok(Math.abs(forest.gain[0]! - best) <= 1e-5 * (1 + best), `${forest.gain[0]} against ${best}`);
    }),
    { numRuns: 200 },
  );
});

test('a leaf holds the shrunk optimum of its rows, and cover counts them', () => {
  const rows = rowsOf([numeric([1, 2, 3, 4])], [0, 0, 10, 10]);
  const { forest } = run(rows, { rounds: 1, maxLeaves: 2, l2: 1, learningRate: 0.5 });
  const scores = predictions(forest, rows);
  assert.ok(Math.abs(scores[0]! - (5 - (0.5 * 10) / 3)) < 1e-6);
  assert.ok(Math.abs(scores[3]! - (5 + (0.5 * 10) / 3)) < 1e-6);
  assert.deepEqual([...forest.cover], [4, 2, 2]);
});

test('raw values are routed like their bins: a fully grown tree with rate 1 gives every row its own answer', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { comparator: 'SameValueZero', minLength: 2, maxLength: 60 }),
      (values) => {
        const targets = values.map((_, i) => i % 7);
        const rows = rowsOf([numeric(values)], targets);
        const { forest } = run(rows, { rounds: 1, maxLeaves: 100, l2: 0, learningRate: 1, minChildWeight: 0 });
        const scores = predictions(forest, rows);
        targets.forEach((y, i) => {
          assert.ok(Math.abs(scores[i]! - y) < 1e-5, `row ${i}: ${scores[i]} against ${y}`);
        });
      },
    ),
  );
});

test('bins hold about the same number of rows and never tear equal values apart', () => {
  const next = generator(3);
  const values = Array.from({ length: 5000 }, () => Math.floor(next() * next() * 3000));
  const bins = featureBins(numeric(values), 50);
  assert.ok(bins.kind === 'numeric' && bins.upper.length === 49);
  const counts = new Array<number>(50).fill(0);
  for (const v of values) counts[bins.upper.filter((u) => v > u).length]!++;
  assert.ok(Math.max(...counts) < 400, `${Math.max(...counts)} rows in one bin`);
  assert.ok(Math.min(...counts) > 0);
});

function noisyTable(seed: number, count: number): Rows {
  const next = generator(seed);
  const features = [0, 1, 2].map((f) =>
    numeric(
      Array.from({ length: count }, () => (next() < 0.1 ? Number.NaN : next() * 10)),
      `x${f}`,
    ),
  );
  const codes = Array.from({ length: count }, () => Math.floor(next() * 12));
  const targets = codes.map((c, i) => (c % 3 === 0 ? 5 : 0) + (features[0]!.values[i]! > 4 ? 3 : 0) + next());
  return rowsOf([...features, category(codes, 12)], targets);
}

function permuted(rows: Rows): Rows {
  const order = [...rows.targets.keys()].sort((a, b) => ((a * 7919) % 10007) - ((b * 7919) % 10007));
  const move = (values: Float64Array): Float64Array => Float64Array.from(order, (i) => values[i]!);
  return {
    features: rows.features.map((f) => ({ ...f, values: move(f.values) })),
    targets: move(rows.targets),
    weights: move(rows.weights),
  };
}

test('the trees are the same bit by bit whatever the order of rows', () => {
  const rows = noisyTable(11, 2000);
  const one = run(rows, { rounds: 20 }).forest;
  const two = run(permuted(rows), { rounds: 20 }).forest;
  assert.deepEqual(two, one);
});

test('few histogram slots cost time, never another tree', () => {
  const rows = noisyTable(5, 3000);
  const tree = (slots: number): unknown => {
    const bins = rows.features.map((f) => featureBins(f, 64));
    const offsets = Uint32Array.of(0, 66, 132, 198, 211);
    const kernel = plainKernel({ rows: 3000, features: 4, offsets, slots });
    rows.features.forEach((f, at) => {
      f.values.forEach((v, row) => {
        const { upper } = bins[at] as { upper: Float64Array };
        kernel.bins[row * 4 + at] = Number.isNaN(v) ? 0 : f.kind === 'category' ? v + 1 : 1 + upper.filter((u) => v > u).length;
        kernel.gradients[row * 2] = Math.round(-rows.targets[row]! * 1000);
        kernel.gradients[row * 2 + 1] = 1000;
      });
    });
    const forest = newForest();
    const ground = { kernel, bins, offsets, slots, gradientScale: 0.001, hessianScale: 0.001 };
    growTree(ground, 3000, Uint32Array.of(0, 1, 2, 3), { ...boostDefaults, maxLeaves: 40 }, 1, forest);
    return forest;
  };
  assert.deepEqual(tree(3), tree(41));
});

test('growth keeps to its limits: leaves, depth, weight and rows of a child, least gain', () => {
  const rows = noisyTable(7, 2000);
  for (const growth of ['leaf', 'depth'] as const) {
    const { forest } = run(rows, { rounds: 3, growth, maxLeaves: 9, maxDepth: 4, minChildWeight: 30, minRows: 30 });
    for (const [t, root] of forest.roots.entries()) {
      const end = forest.roots[t + 1] ?? forest.feature.length;
      const leaves = [...forest.feature.slice(root, end)].filter((f) => f < 0).length;
      assert.ok(leaves <= 9 && leaves > 4);
      const depth = (node: number): number =>
        forest.feature[node]! < 0 ? 0 : 1 + Math.max(depth(forest.left[node]!), depth(forest.left[node]! + 1));
      assert.ok(depth(root) <= 4);
    }
    assert.ok(Math.min(...forest.cover) >= 30);
  }
  const stump = run(rows, { rounds: 1, minGain: 1e9 }).forest;
  assert.equal(stump.feature.length, 1, 'nothing gains so much');
});

test('one split tells odd from even categories, and unseen ones go the way of the others', () => {
  const codes = Array.from({ length: 4000 }, (_, i) => i % 20);
  const rows = rowsOf(
    [category(codes, 20)],
    codes.map((c) => (c % 2 === 0 ? 1 : -1)),
  );
  const { forest } = run(rows, { rounds: 1, maxLeaves: 2, learningRate: 1, l2: 0 });
  const scores = scoreColumns(forest, [Float64Array.of(0, 1, 18, 19, 300, Number.NaN)], 6);
  assert.deepEqual([...scores].slice(0, 4).map(Math.round), [1, -1, 1, -1]);
  assert.equal(scores[4], scores[5], 'a code beyond the set is treated as missing is');
});

test('every loss: gradient and hessian are the derivatives of the loss that is reported', () => {
  const options = { classes: 3, alpha: 0.3, delta: 0.7, power: 1.4 };
  const smooth: LossName[] = ['squared', 'huber', 'poisson', 'gamma', 'tweedie', 'logistic', 'softmax'];
  for (const name of smooth) {
    const loss = lossNamed(name, options);
    const target = Float64Array.of(name === 'squared' || name === 'huber' ? -1.3 : 1);
    const one = Float64Array.of(1);
    const scores = Float64Array.from({ length: loss.outputs }, (_, k) => 0.4 - 0.3 * k);
    const gradient = new Float64Array(loss.outputs);
    const hessian = new Float64Array(loss.outputs);
    loss.derivatives(target, one, scores, gradient, hessian);
    for (let k = 0; k < loss.outputs; k++) {
      const at = (step: number): number =>
        loss.mean(
          target,
          one,
          scores.map((s, i) => (i === k ? s + step : s)),
        );
      const slope = (at(1e-4) - at(-1e-4)) / 2e-4;
      assert.ok(Math.abs(gradient[k]! - slope) < 1e-6, `${name} gradient ${gradient[k]} against ${slope}`);
      const bend = (at(1e-3) - 2 * at(0) + at(-1e-3)) / 1e-6;
      // Softmax uses twice the diagonal, an upper bound of the curvature; huber's is that of its middle.
      const expected = name === 'softmax' ? bend * 2 : name === 'huber' ? 1 : bend;
      assert.ok(Math.abs(hessian[k]! - expected) < 1e-4, `${name} hessian ${hessian[k]} against ${expected}`);
    }
  }
});

test('a quantile model leaves its share of rows below', () => {
  const next = generator(17);
  const x = Array.from({ length: 4000 }, () => next() * 4);
  const rows = rowsOf(
    [numeric(x)],
    x.map((v) => v + next() * (1 + v)),
  );
  for (const alpha of [0.1, 0.5, 0.9]) {
    const { forest } = run(rows, { loss: 'quantile', alpha, rounds: 60, minRows: 50 });
    const scores = predictions(forest, rows);
    const below = rows.targets.filter((y, i) => y <= scores[i]!).length / 4000;
    assert.ok(Math.abs(below - alpha) < 0.03, `alpha ${alpha}: ${below} below`);
  }
});

test('the absolute loss is not moved by an outlier as the squared one is', () => {
  const rows = rowsOf([numeric([0, 0, 0, 1, 1, 1])], [1, 1, 1e6, 5, 5, 5]);
  const { forest } = run(rows, { loss: 'absolute', rounds: 50, learningRate: 0.5, maxLeaves: 2 });
  const scores = predictions(forest, rows);
  assert.ok(Math.abs(scores[0]! - 1) < 0.01 && Math.abs(scores[3]! - 5) < 0.01);
});

test('a poisson model predicts the mean count of each group and never below 0', () => {
  const next = generator(23);
  const x = Array.from({ length: 3000 }, (_, i) => i % 3);
  const means = [0.2, 2, 8];
  const rows = rowsOf(
    [numeric(x)],
    x.map((g) => Math.floor(means[g]! + next() * 2)),
  );
  const { forest } = run(rows, { loss: 'poisson', rounds: 100, l2: 0 });
  const scores = predictions(forest, rows).map(Math.exp);
  for (const g of [0, 1, 2]) {
    const mean = rows.targets.filter((_, i) => x[i] === g).reduce((s, y) => s + y, 0) / 1000;
    assert.ok(Math.abs(scores[x.indexOf(g)]! - mean) < 0.05 * mean + 0.01, `${scores[x.indexOf(g)]} against ${mean}`);
  }
});

test('a weight counts like so many copies of the row', () => {
  const once = rowsOf([numeric([1, 2, 3, 4, 5, 6])], [3, 1, 4, 1, 5, 9]);
  const weighted = { ...once, weights: Float64Array.of(1, 2, 3, 1, 2, 1) };
  const copies = [0, 1, 1, 2, 2, 2, 3, 4, 4, 5];
  const copied = rowsOf(
    [numeric(copies.map((i) => i + 1))],
    copies.map((i) => once.targets[i]!),
  );
  const options = { rounds: 10, maxLeaves: 3, minRows: 0 };
  const a = predictions(run(weighted, options).forest, once);
  const b = predictions(run(copied, options).forest, once);
  a.forEach((v, i) => {
    assert.ok(Math.abs(v - b[i]!) < 1e-5, `row ${i}: ${v} against ${b[i]}`);
  });
});

test('early stopping keeps the rounds that were best on the validation rows', () => {
  const rows = noisyTable(29, 400);
  const other = noisyTable(31, 400);
  const losses: number[] = [];
  const steps = boost(rows, other, { ...boostDefaults, rounds: 400, learningRate: 0.3, patience: 15, minRows: 1 }, 1, plainKernel);
  let result: Boosted | null = null;
  for (let step = steps.next(); ; step = steps.next()) {
    if (step.done) {
      result = step.value;
      break;
    }
    losses.push(step.value.validation!);
  }
  assert.ok(losses.length < 400, 'it stopped');
  assert.equal(result.rounds, losses.indexOf(Math.min(...losses)) + 1);
  assert.equal(losses.length, result.rounds + 15);
  const scores = predictions(result.forest, other);
  const mean = other.targets.reduce((s, y, i) => s + 0.5 * (y - scores[i]!) ** 2, 0) / 400;
  assert.ok(Math.abs(mean - result.validation!) < 1e-9, 'the forest that comes back is that of the best round');
});

test('row and column samples depend on the seed alone', () => {
  const rows = noisyTable(37, 1000);
  const options = { rounds: 10, rowSample: 0.5, columnSample: 0.5 };
  assert.deepEqual(run(rows, { ...options, seed: 4 }).forest, run(rows, { ...options, seed: 4 }).forest);
  assert.notDeepEqual(run(rows, { ...options, seed: 4 }).forest, run(rows, { ...options, seed: 5 }).forest);
  const { forest } = run(rows, { rounds: 4, columnSample: 0.25 });
  for (const [t, root] of forest.roots.entries()) {
    const used = new Set([...forest.feature.slice(root, forest.roots[t + 1] ?? forest.feature.length)].filter((f) => f >= 0));
    assert.ok(used.size <= 1, 'one column of four in each round');
  }
});

test('whole numbers, which are counted, have the bins that sorting gives their halves', () => {
  const next = generator(5);
  for (const [rows, width] of [
    [50, 9],
    [5000, 90],
    [5000, 4000],
  ] as const) {
    const whole = Float64Array.from({ length: rows }, () => (next() < 0.1 ? Number.NaN : Math.floor(next() ** 2 * width) - width / 3));
    const upper = (values: Float64Array): number[] => {
      const bins = featureBins({ name: 'x', kind: 'numeric', levels: 0, values }, 64);
      return bins.kind === 'numeric' ? [...bins.upper] : [];
    };
    assert.deepEqual(
      upper(whole.map((v) => Math.floor(v))),
      upper(whole.map((v) => Math.floor(v) / 2)).map((bound) => bound * 2),
    );
  }
});
