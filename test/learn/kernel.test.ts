import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { boost } from '../../src/learn/trees/boost.ts';
import { lendHelpers } from '../../src/learn/trees/helpers.ts';
import { type Kernel, type MakeKernel, plainKernel, type SearchNode } from '../../src/learn/trees/kernel.ts';
import { wasmKernel } from '../../src/learn/trees/kernel-wasm.ts';
import { boostDefaults } from '../../src/learn/trees/settings.ts';
import { bestSplit, splitLimits, unbounded } from '../../src/learn/trees/split.ts';
import { generator } from './data.ts';

const ROWS = 500;
const OFFSETS = Uint32Array.of(0, 3, 259, 300);

function filled(make: MakeKernel, seed: number): Kernel {
  const kernel = make({ rows: ROWS, features: 3, offsets: OFFSETS, slots: 3 });
  const next = generator(seed);
  for (let row = 0; row < ROWS; row++) {
    kernel.order[row] = row;
    for (let f = 0; f < 3; f++) kernel.bins[row * 3 + f] = Math.floor(next() * (OFFSETS[f + 1]! - OFFSETS[f]!));
    kernel.gradients[row * 2] = Math.floor((next() - 0.5) * 2 ** 31);
    kernel.gradients[row * 2 + 1] = Math.floor(next() * 2 ** 30);
  }
  kernel.activate(Uint32Array.of(0, 1, 2));
  return kernel;
}

for (const [name, make] of [
  ['plain', plainKernel],
  ['wasm', wasmKernel],
] as const) {
  test(`${name}: a histogram is the sum of its rows, feature by feature, and leaves nothing of the one before`, () => {
    const kernel = filled(make, 3);
    kernel.fill(1, 0, ROWS);
    kernel.fill(1, 100, 400);
    const expected = new Float64Array(600);
    for (let row = 100; row < 400; row++) {
      for (let f = 0; f < 3; f++) {
        const at = (OFFSETS[f]! + kernel.bins[row * 3 + f]!) * 2;
        expected[at]! += kernel.gradients[row * 2]!;
        expected[at + 1]! += kernel.gradients[row * 2 + 1]!;
      }
    }
    assert.deepEqual([...kernel.histogram(1)], [...expected]);
  });

  test(`${name}: the sibling's histogram is what remains of the parent's`, () => {
    const kernel = filled(make, 5);
    kernel.fill(0, 0, ROWS);
    kernel.fill(1, 0, 200);
    kernel.fill(2, 200, ROWS);
    kernel.subtract(0, 1);
    assert.deepEqual([...kernel.histogram(0)], [...kernel.histogram(2)]);
  });

  test(`${name}: partition keeps the order on both sides and touches nothing else`, () => {
    const kernel = filled(make, 7);
    const goesLeft = Uint8Array.from({ length: 256 }, (_, bin) => (bin % 3 === 0 ? 1 : 0));
    const middle = kernel.partition(50, 450, 1, goesLeft);
    const rows = Array.from({ length: 400 }, (_, i) => i + 50);
    const left = rows.filter((row) => kernel.bins[row * 3 + 1]! % 3 === 0);
    const right = rows.filter((row) => kernel.bins[row * 3 + 1]! % 3 !== 0);
    assert.equal(middle, 50 + left.length);
    assert.deepEqual([...kernel.order.subarray(50, 450)], [...left, ...right]);
    assert.deepEqual(
      [...kernel.order.subarray(0, 50), ...kernel.order.subarray(450)],
      Array.from({ length: 100 }, (_, i) => (i < 50 ? i : i + 400)),
    );
  });

  test(`${name}: features that are not active are not summed`, () => {
    const kernel = filled(make, 9);
    kernel.activate(Uint32Array.of(2));
    kernel.fill(0, 0, ROWS);
    assert.ok(
      kernel
        .histogram(0)
        .subarray(0, OFFSETS[2]! * 2)
        .every((v) => v === 0),
    );
    assert.ok(
      kernel
        .histogram(0)
        .subarray(OFFSETS[2]! * 2)
        .some((v) => v !== 0),
    );
  });
}

test('both kernels give the same bits whatever is asked of them', () => {
  const range = fc
    .tuple(fc.integer({ min: 0, max: ROWS }), fc.integer({ min: 0, max: ROWS }))
    .map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1e6 }),
      fc.array(fc.tuple(range, fc.integer({ min: 0, max: 2 }), fc.integer({ min: 1, max: 255 })), { maxLength: 6 }),
      (seed, steps) => {
        const [a, b] = [filled(plainKernel, seed), filled(wasmKernel, seed)];
        for (const [[from, to], feature, cut] of steps) {
          const goesLeft = Uint8Array.from({ length: 256 }, (_, bin) => (bin < cut ? 1 : 0));
          assert.equal(b.partition(from, to, feature, goesLeft), a.partition(from, to, feature, goesLeft));
          for (const kernel of [a, b]) kernel.fill(feature, from, to);
          assert.deepEqual(b.histogram(feature), a.histogram(feature));
          assert.deepEqual(b.order, a.order);
        }
      },
    ),
    { numRuns: 60 },
  );
});

test('a forest is the same with either kernel, sampled rows and columns included', () => {
  const next = generator(19);
  const rows = 3000;
  const values = (): Float64Array => Float64Array.from({ length: rows }, () => (next() < 0.1 ? Number.NaN : next() * 9));
  const features = Array.from({ length: 7 }, (_, f) => ({ name: `x${f}`, kind: 'numeric' as const, levels: 0, values: values() }));
  const targets = Float64Array.from({ length: rows }, (_, i) => ((features[0]!.values[i]! || 5) + next() * 3 > 6 ? 1 : 0));
  const grow = (make: MakeKernel): unknown => {
    const options = { ...boostDefaults, loss: 'logistic' as const, rounds: 15, rowSample: 0.7, columnSample: 0.6 };
    const steps = boost({ features, targets, weights: new Float64Array(rows).fill(1) }, null, options, 2, make);
    for (let step = steps.next(); ; step = steps.next()) if (step.done) return step.value.forest;
  };
  assert.deepEqual(grow(wasmKernel), grow(plainKernel));
});

test('a search finds the splits that the plain one finds: numbers, few and many categories, missing values, one node and siblings', () => {
  // A category of three levels between numbers, and one of more levels than a side may list twice.
  const levels = [0, 3, 0, 200];
  const offsets = Uint32Array.of(0, 257, 261, 301, 502);
  const bins = levels.map((count, f) =>
    count > 0
      ? ({ kind: 'category', levels: count } as const)
      : ({ kind: 'numeric', upper: new Float64Array(offsets[f + 1]! - offsets[f]! - 2) } as const),
  );
  const categorical = Uint8Array.from(levels, (count) => Number(count > 0));
  const rows = 6000;
  const scales = { gradientScale: 2 ** -20, hessianScale: 2 ** -20 };
  const found = new Set<number>();
  lendHelpers({ count: 2, join: () => {} });
  for (let seed = 1; seed <= 40; seed++) {
    const kernels = [plainKernel, wasmKernel].map((make) => make({ rows, features: 4, offsets, slots: 3, categorical }));
    const [plain, wasm] = kernels as [Kernel, Kernel];
    const next = generator(seed);
    const [driver, missing] = [seed % 4, seed % 3 === 0 ? 0.1 : 0];
    const values = bins.map((of, f) =>
      Float64Array.from({ length: rows }, () =>
        next() < missing
          ? Number.NaN
          : of.kind === 'category'
            ? Math.floor(next() ** 2 * of.levels)
            : next() * (offsets[f + 1]! - offsets[f]!),
      ),
    );
    for (const kernel of kernels) {
      bins.forEach((of, f) => {
        const upper = Float64Array.from({ length: offsets[f + 1]! - offsets[f]! - 2 }, (_, i) => i + 1);
        kernel.writeBins(f, of.kind === 'category' ? of : { kind: 'numeric', upper }, values[f]!);
      });
      kernel.number();
      kernel.activate(Uint32Array.from(seed % 5 === 0 ? [1, 2, 3] : [0, 1, 2, 3]));
    }
    for (let row = 0; row < rows; row++) {
      const g = Math.floor(((((values[driver]![row] || 0) * 7) % 11) - 5 + next()) * 2 ** 20);
      const h = Math.floor(next() * 2 ** 20);
      for (const kernel of kernels) kernel.gradients.set([g, h], row * 2);
    }
    const rules = { l1: seed % 2, l2: 1, minGain: 0, minChildWeight: 1e-3, minRows: seed % 7 === 0 ? 400 : 20 };
    const active = Uint32Array.from(seed % 5 === 0 ? [1, 2, 3] : [0, 1, 2, 3]);
    const sumsOf = (from: number, to: number): { gradient: number; hessian: number } => {
      const sums = { gradient: 0, hessian: 0 };
      for (let row = from; row < to; row++) {
        sums.gradient += plain.gradients[row * 2]! * scales.gradientScale;
        sums.hessian += plain.gradients[row * 2 + 1]! * scales.hessianScale;
      }
      return sums;
    };
    const expected = (slot: number, from: number, to: number): unknown =>
      bestSplit(
        { sums: plain.histogram(slot), offsets, ...scales },
        active,
        bins,
        { ...sumsOf(from, to), rows: to - from, ...unbounded, monotone: null, draw: null },
        rules,
      );
    const node = (slot: number, from: number, to: number): SearchNode => {
      const sums = sumsOf(from, to);
      return { slot, from, to, ...sums, limits: splitLimits({ hessian: sums.hessian, rows: to - from }, rules) };
    };
    const of = { ...scales, l1: rules.l1, l2: rules.l2 };
    plain.fill(0, 0, rows);
    const [whole] = wasm.search!(of, true, node(0, 0, rows));
    assert.deepEqual(whole, expected(0, 0, rows), `seed ${seed}`);
    const middle = 300 + seed * 50;
    plain.fillBeside(1, 0, 0, middle);
    const halves = wasm.search!(of, true, node(1, 0, middle), node(0, middle, rows));
    assert.deepEqual(halves, [expected(1, 0, middle), expected(0, middle, rows)], `seed ${seed}, halves`);
    if (whole) found.add(whole.feature);
  }
  lendHelpers(null);
  assert.deepEqual([...found].sort(), [0, 1, 2, 3]);
});
