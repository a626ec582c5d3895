import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type ErrorCode, MillraceError } from '#core';
import { type ColumnData, predictor, train } from '#learn';
import { boost, type Rows } from '../../src/learn/trees/boost.ts';
import { type Forest, scoreColumns, scoreRow } from '../../src/learn/trees/forest.ts';
import { wasmKernel } from '../../src/learn/trees/kernel-wasm.ts';
import { masksOf } from '../../src/learn/trees/masks.ts';
import { columnScorer } from '../../src/learn/trees/score.ts';
import { type BoostOptions, boostDefaults } from '../../src/learn/trees/settings.ts';
import { generator, numbers, texts } from './data.ts';

const COUNT = 600;

/** y falls and rises with a, b and c, which meet in pairs; d is a category. */
function table(seed: number): Rows {
  const next = generator(seed);
  const column = (name: string) => ({
    name,
    kind: 'numeric' as const,
    levels: 0,
    values: Float64Array.from({ length: COUNT }, () => (next() < 0.08 ? Number.NaN : Math.floor(next() * 40) / 4)),
  });
  const [a, b, c] = [column('a'), column('b'), column('c')];
  const d = { name: 'd', kind: 'category' as const, levels: 9, values: Float64Array.from({ length: COUNT }, () => Math.floor(next() * 9)) };
  const at = (of: typeof a, i: number): number => of.values[i]! || 0;
  const targets = Float64Array.from(
    { length: COUNT },
    (_, i) => at(a, i) + Math.sin(at(a, i)) * 3 + at(a, i) * (d.values[i]! % 2) - at(b, i) * Math.cos(at(c, i)) + next() * 4,
  );
  return { features: [a, b, c, d], targets, weights: new Float64Array(COUNT).fill(1) };
}

function grow(rows: Rows, options: Partial<BoostOptions>, classes = 2): Forest {
  const steps = boost(rows, null, { ...boostDefaults, rounds: 20, minRows: 3, ...options }, classes, wasmKernel);
  for (let step = steps.next(); ; step = steps.next()) if (step.done) return step.value.forest;
}

function score(forest: Forest, row: readonly number[]): number {
  const scores = new Float64Array(1);
  scoreRow(forest, Float64Array.from(row), scores);
  return scores[0]!;
}

/** Data are quarters, so eighths fall into every interval between thresholds and onto them. */
const known = fc.integer({ min: -16, max: 96 }).map((v) => v / 8);
const other = fc.oneof({ weight: 5, arbitrary: known }, { weight: 1, arbitrary: fc.constant(Number.NaN) });

for (const growth of ['leaf', 'depth'] as const) {
  test(`growth by ${growth}: a monotone constraint holds at every pair of inputs, and without it the same data break it`, () => {
    const rows = table(41);
    const held = grow(rows, { growth, monotone: { a: 1, b: -1 } });
    const free = grow(rows, { growth });
    let broken = 0;
    fc.assert(
      fc.property(known, known, other, other, fc.integer({ min: 0, max: 8 }), (x, y, u, v, d) => {
        const [low, high] = [Math.min(x, y), Math.max(x, y)];
        assert.ok(score(held, [low, u, v, d]) <= score(held, [high, u, v, d]), `a from ${low} to ${high}`);
        assert.ok(score(held, [u, low, v, d]) >= score(held, [u, high, v, d]), `b from ${low} to ${high}`);
        if (score(free, [low, u, v, d]) > score(free, [high, u, v, d])) broken++;
      }),
      { numRuns: 2000 },
    );
    assert.ok(broken > 0);
  });
}

test('columns that may not meet never stand on one path', () => {
  const paths = (forest: Forest, node: number, above: ReadonlySet<number>): ReadonlySet<number>[] => {
    if (forest.feature[node]! < 0) return [above];
    const here = new Set([...above, forest.feature[node]!]);
    return [0, 1].flatMap((side) => paths(forest, forest.left[node]! + side, here));
  };
  const all = (forest: Forest): ReadonlySet<number>[] => [...forest.roots].flatMap((root) => paths(forest, root, new Set()));
  const meets = (forest: Forest, f: number, g: number): boolean => all(forest).some((path) => path.has(f) && path.has(g));
  const held = grow(table(43), {
    interactions: [
      ['a', 'd'],
      ['b', 'c'],
    ],
  });
  for (const [f, g] of [
    [0, 1],
    [0, 2],
    [3, 1],
    [3, 2],
  ] as const)
    assert.equal(meets(held, f, g), false, `${f} and ${g}`);
  assert.ok(meets(held, 0, 3) && meets(held, 1, 2) && meets(grow(table(43), {}), 0, 1));
});

test('a forest is the mean of trees that each learned from the start, extra trees too; its seed decides, its error beats one tree', () => {
  const [rows, fresh] = [table(47), table(53)];
  const error = (forest: Forest): number =>
    fresh.targets.reduce(
      (s, y, i) =>
        s +
        (y -
          score(
            forest,
            fresh.features.map((f) => f.values[i]!),
          )) **
          2 /
          COUNT,
      0,
    );
  for (const randomCuts of [false, true]) {
    const options = { forest: true, rowSample: 0.632, splitColumnSample: 0.6, randomCuts, maxLeaves: 200, l2: 0, minRows: 2 };
    const many = grow(rows, { ...options, rounds: 60 });
    assert.ok(error(many) < error(grow(rows, { ...options, rounds: 1 })) * 0.85, `random cuts: ${randomCuts}`);
    assert.deepEqual(grow(rows, { ...options, rounds: 60 }), many);
    assert.notDeepEqual(grow(rows, { ...options, rounds: 60, seed: 9 }).threshold, many.threshold);
    // The first tree does not know of the others: alone it is the same, times their number.
    const first = grow(rows, { ...options, rounds: 1 });
    const end = many.roots[1]!;
    first.threshold.forEach((value, n) => {
      const shared = first.feature[n]! < 0 ? value / 60 : value;
      assert.ok(Math.abs(many.threshold[n]! - shared) < 1e-12);
    });
    assert.equal(end, first.feature.length);
  }
});

/** Trees of 8, 31, 60 and 250 leaves need 1, 1, 2 and 8 words of leaves; three outputs take turns; one tree of all rows is walked down. */
const scored: readonly [string, Partial<BoostOptions>, boolean][] = [
  ['8 leaves', { rounds: 7, maxLeaves: 8 }, true],
  ['31 leaves', { rounds: 40, maxLeaves: 31 }, true],
  ['60 leaves', { rounds: 30, maxLeaves: 60 }, true],
  ['250 leaves', { rounds: 9, maxLeaves: 250, minRows: 1 }, true],
  ['three outputs', { rounds: 11, maxLeaves: 20, loss: 'softmax' }, true],
  ['a tree with a leaf for each row', { rounds: 3, maxLeaves: 600, minRows: 0, minChildWeight: 0, l2: 0 }, false],
];
for (const [what, options, byMasks] of scored) {
  test(`many rows at once are scored as each alone, bit by bit: missing values, categories, values never seen (${what})`, () => {
    const rows = table(59);
    const targets = options.loss === 'softmax' ? rows.targets.map((y) => (y < 2 ? 0 : y < 8 ? 1 : 2)) : rows.targets;
    const forest = grow({ ...rows, targets }, options, options.loss === 'softmax' ? 3 : 2);
    assert.equal(masksOf(forest) !== null, byMasks);
    const value = fc.oneof(other, fc.constantFrom(-1e300, 1e300, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0, 2.25));
    const code = fc.constantFrom(0, 3, 8, 9, 254, 255, 256, 300, 1e9, Number.NaN);
    const scorer = columnScorer(forest);
    fc.assert(
      fc.property(fc.array(fc.tuple(value, value, value, code), { minLength: 300, maxLength: 1300, size: 'max' }), (given) => {
        const columns = [0, 1, 2, 3].map((f) => Float64Array.from(given, (row) => row[f]!));
        const scores = scorer(columns, given.length);
        const alone = new Float64Array(forest.outputs);
        given.forEach((row, i) => {
          scoreRow(forest, Float64Array.from(row), alone);
          for (let k = 0; k < forest.outputs; k++) assert.equal(scores[i * forest.outputs + k], alone[k], `${row}`);
        });
      }),
      { numRuns: 4 },
    );
  });
}

test('two models that are asked in turn keep their own answers', () => {
  const rows = table(61);
  const columns = rows.features.map((f) => f.values);
  const forests = [grow(rows, { rounds: 5 }), grow(rows, { rounds: 90, maxLeaves: 60 })];
  const scorers = forests.map(columnScorer);
  for (const at of [0, 1, 0, 1]) assert.deepEqual(scorers[at]!(columns, COUNT), scoreColumns(forests[at]!, columns, COUNT));
});

for (const kind of ['numbers', 'classes', 'classes beside words'] as const)
  test(`a search keeps a monotone constraint, with every member of its blend: ${kind}`, async () => {
    const next = generator(71);
    const rows = Array.from({ length: 500 }, () => [next() * 10, next() * 10] as const);
    // The line through the data falls with a, which it must not.
    const truth = rows.map(([a, b]) => 3 * b - 2 * a + next());
    const columns: ColumnData[] = [
      numbers(
        'a',
        rows.map(([a]) => a),
      ),
      numbers(
        'b',
        rows.map(([, b]) => b),
      ),
      ...(kind === 'classes beside words'
        ? [
            texts(
              'said',
              truth.map((y, i) => `it was ${y > 5 ? 'fine' : 'poor'} on ${i}`),
            ),
          ]
        : []),
      kind === 'numbers'
        ? numbers('y', truth)
        : texts(
            'y',
            truth.map((y) => (y > 5 ? 'yes' : 'no')),
          ),
    ];
    const model = await train({ target: 'y', budget: { trials: 5 }, trees: { monotone: { a: 1 } } }, columns);
    assert.deepEqual([...new Set(model.report!.trials.map(({ candidate }) => candidate.learner))], ['trees']);
    const one = predictor(model);
    for (const b of [0, 3, 5, 8, null])
      for (let a = 0, before = Number.NEGATIVE_INFINITY; a <= 10; a += 0.25) {
        const { value, probabilities } = one({ a, b, said: 'it was poor on 7' });
        const answer = probabilities?.[1] ?? Number(value);
        assert.ok(answer >= before - 1e-12, `${answer} after ${before} at ${a}`);
        before = answer;
      }
  });

test('a constraint that can not be meant is refused', async () => {
  const columns = ['x', 'y'].map((name) =>
    numbers(
      name,
      Array.from({ length: 60 }, (_, i) => (i * 7) % 23),
    ),
  );
  for (const trees of [
    { monotone: { nowhere: 1 } },
    { monotone: { x: 2 } },
    { monotone: { x: 1 }, loss: 'absolute' },
    { interactions: [['x', 'nowhere']] },
    { interactions: 'x' },
    { forest: 'yes' },
    { splitColumnSample: 0 },
  ]) {
    await assert.rejects(
      train({ target: 'y', learner: 'trees', trees: trees as never }, columns),
      (thrown) => thrown instanceof MillraceError && thrown.code === ('LEARN_PLAN' satisfies ErrorCode),
      JSON.stringify(trees),
    );
  }
  // What one class gains, others lose: of more than two it says nothing which.
  const [x] = columns;
  const classes = (count: number) =>
    texts(
      'y',
      Array.from({ length: 60 }, (_, i) => `class ${i % count}`),
    );
  for (const [target, trees] of [
    [classes(3), { monotone: { x: 1 } }],
    [classes(2), { monotone: { x: 1 }, loss: 'softmax' }],
  ] as const)
    await assert.rejects(
      train({ target: 'y', trees }, [x!, target]),
      (thrown) => thrown instanceof MillraceError && thrown.code === ('LEARN_PLAN' satisfies ErrorCode),
    );
});

test('where there is no WebAssembly, or a page’s policy forbids it, there are no masks: trees are walked down', async () => {
  const forest = grow(table(67), { rounds: 40, maxLeaves: 31 });
  assert.notEqual(masksOf(forest), null);
  const { WebAssembly } = globalThis as { WebAssembly?: unknown };
  const path: string = '../../src/learn/trees/masks.ts?without';
  try {
    Object.assign(globalThis, { WebAssembly: undefined });
    // Another copy of the module, which has started none yet.
    const without = (await import(path)) as { masksOf: typeof masksOf };
    assert.equal(without.masksOf(forest), null);
  } finally {
    Object.assign(globalThis, { WebAssembly });
  }
});
