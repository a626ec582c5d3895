import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { boost, type Rows } from '../../src/learn/trees/boost.ts';
import { scoreColumns } from '../../src/learn/trees/forest.ts';
import { plainKernel } from '../../src/learn/trees/kernel.ts';
import { wasmKernel } from '../../src/learn/trees/kernel-wasm.ts';
import { type LossName, lossNamed } from '../../src/learn/trees/losses.ts';
import { boostDefaults } from '../../src/learn/trees/settings.ts';
import { generator } from './data.ts';

interface Case {
  readonly loss: LossName;
  readonly options: { readonly classes?: number; readonly alpha?: number; readonly delta?: number; readonly power?: number };
  readonly targets: readonly number[];
  readonly weights: readonly number[];
  readonly scores: readonly number[];
  readonly value: number;
  readonly gradient: readonly number[];
  readonly hessian: readonly number[];
}

/*
 * cases/losses-sklearn.json holds, for targets, weights and raw scores drawn with numpy's default_rng(7), what the losses of scikit-learn 1.9.1
 * (sklearn._loss.loss: HalfSquaredError, AbsoluteError, PinballLoss, HuberLoss, HalfPoissonLoss, HalfGammaLoss, HalfTweedieLoss,
 * HalfBinomialLoss, HalfMultinomialLoss) give: sum(loss) / sum(weights) and gradient_hessian of each row.
 */
const { cases } = JSON.parse(readFileSync(join(import.meta.dirname, 'cases/losses-sklearn.json'), 'utf8')) as { cases: Case[] };
const defaults = { classes: 2, alpha: 0.5, delta: 1, power: 1.5 };

/** Losses whose curvature is 0 nearly everywhere are grown with 1 (LightGBM's way); softmax with twice the diagonal (XGBoost's). */
const bent = (loss: LossName, hessian: number, weight: number): number => {
  if (loss === 'absolute' || loss === 'quantile' || loss === 'huber') return weight;
  return loss === 'softmax' ? hessian * 2 : hessian;
};

test('there is a case of every loss', () => {
  const names = new Set(cases.map(({ loss }) => loss));
  assert.deepEqual([...names].sort(), ['absolute', 'gamma', 'huber', 'logistic', 'poisson', 'quantile', 'softmax', 'squared', 'tweedie']);
});

for (const { loss: name, options, targets, weights, scores, value, gradient, hessian } of cases) {
  test(`${name} ${JSON.stringify(options)}: loss, gradient and hessian are scikit-learn's`, () => {
    const loss = lossNamed(name, { ...defaults, ...options });
    const [y, w, s] = [targets, weights, scores].map((of) => Float64Array.from(of)) as [Float64Array, Float64Array, Float64Array];
    const close = (own: number, given: number, what: string): void =>
      assert.ok(Math.abs(own - given) <= 1e-9 * (1 + Math.abs(given)), `${what}: ${own} against ${given}`);
    close(loss.mean(y, w, s), value, 'mean loss');
    const [g, h] = [new Float64Array(s.length), new Float64Array(s.length)];
    loss.derivatives(y, w, s, g, h);
    s.forEach((_, at) => {
      close(g[at]!, gradient[at]!, `gradient ${at}`);
      close(h[at]!, bent(name, hessian[at]!, weights[Math.floor(at / loss.outputs)]!), `hessian ${at}`);
    });
  });
}

/** Three groups of amounts, of which each loss has an optimum that is known by itself. */
const GROUPS = 3;
const groupOf = Float64Array.from({ length: 1500 }, (_, i) => i % GROUPS);

function grown(loss: LossName, targets: Float64Array, classes = 2): Float64Array[] {
  const rows: Rows = {
    features: [{ name: 'group', kind: 'numeric', levels: 0, values: groupOf }],
    targets,
    weights: new Float64Array(targets.length).fill(1),
  };
  const options = {
    ...boostDefaults,
    loss,
    alpha: 0.8,
    delta: 0.7,
    power: 1.4,
    rounds: 200,
    learningRate: 0.3,
    l2: 0,
    minChildWeight: 0,
    minRows: 1,
  };
  return [plainKernel, wasmKernel].map((kernel) => {
    const growing = boost(rows, null, options, classes, kernel);
    let step = growing.next();
    while (!step.done) step = growing.next();
    return scoreColumns(step.value.forest, [Float64Array.of(0, 1, 2)], GROUPS);
  });
}

const mean = (values: readonly number[]): number => values.reduce((sum, v) => sum + v, 0) / values.length;
/** Where the mean of the clipped residuals is 0, by halving. */
function huberCentre(values: readonly number[], delta: number): number {
  let [low, high] = [Math.min(...values), Math.max(...values)];
  for (let step = 0; step < 60; step++) {
    const middle = (low + high) / 2;
    if (mean(values.map((v) => Math.max(-delta, Math.min(delta, v - middle)))) > 0) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

const next = generator(71);
const amounts = Float64Array.from(groupOf, (g) => (g + 1) * (0.2 + next() * next() * 5));
const optimum: Readonly<Partial<Record<LossName, (values: readonly number[]) => number>>> = {
  squared: mean,
  huber: (values) => huberCentre(values, 0.7),
  poisson: (values) => Math.log(mean(values)),
  gamma: (values) => Math.log(mean(values)),
  tweedie: (values) => Math.log(mean(values)),
};

for (const [loss, of] of Object.entries(optimum) as [LossName, (values: readonly number[]) => number][]) {
  test(`trees grown by ${loss} come to the optimum of each group, with either kernel`, () => {
    for (const scores of grown(loss, amounts))
      for (let g = 0; g < GROUPS; g++) {
        const expected = of([...amounts].filter((_, i) => groupOf[i] === g));
        assert.ok(Math.abs(scores[g]! - expected) < 2e-3 * (1 + Math.abs(expected)), `group ${g}: ${scores[g]} against ${expected}`);
      }
  });
}

for (const [loss, share] of [
  ['absolute', 0.5],
  ['quantile', 0.8],
] as const) {
  test(`trees grown by ${loss} leave a share of ${share} of each group below, with either kernel`, () => {
    for (const scores of grown(loss, amounts))
      for (let g = 0; g < GROUPS; g++) {
        const inside = [...amounts].filter((_, i) => groupOf[i] === g);
        const below = inside.filter((v) => v <= scores[g]!).length / inside.length;
        assert.ok(Math.abs(below - share) < 0.01, `group ${g}: ${below} below`);
      }
  });
}

test('trees grown by logistic and softmax come to the shares of each group, with either kernel', () => {
  const classes = Float64Array.from(groupOf, (g, i) => (i % 7 < g + 1 ? 1 : i % 5 === 0 ? 2 : 0));
  const two = classes.map((k) => (k === 1 ? 1 : 0));
  const share = (k: number, g: number): number => {
    const inside = [...classes].filter((_, i) => groupOf[i] === g);
    return inside.filter((c) => c === k).length / inside.length;
  };
  for (const scores of grown('logistic', two))
    for (let g = 0; g < GROUPS; g++) assert.ok(Math.abs(1 / (1 + Math.exp(-scores[g]!)) - share(1, g)) < 1e-3);
  for (const scores of grown('softmax', classes, 3))
    for (let g = 0; g < GROUPS; g++) {
      const powers = [0, 1, 2].map((k) => Math.exp(scores[g * 3 + k]!));
      for (const k of [0, 1, 2]) assert.ok(Math.abs(powers[k]! / (powers[0]! + powers[1]! + powers[2]!) - share(k, g)) < 1e-3);
    }
});
