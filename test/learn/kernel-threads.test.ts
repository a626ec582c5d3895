import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, test } from 'node:test';
import { startPool } from '#run';
import { encode, fitEncoders } from '../../src/learn/encode.ts';
import { packForest } from '../../src/learn/model.ts';
import { readColumn } from '../../src/learn/read.ts';
import type { Feature } from '../../src/learn/trees/bins.ts';
import { boost, type Rows } from '../../src/learn/trees/boost.ts';
import { type Helpers, lendHelpers } from '../../src/learn/trees/helpers.ts';
import { type MakeKernel, plainKernel } from '../../src/learn/trees/kernel.ts';
import { wasmKernel } from '../../src/learn/trees/kernel-wasm.ts';
import { type BoostOptions, boostDefaults } from '../../src/learn/trees/settings.ts';
import { generator, readTable, withoutData } from './data.ts';

const pools = [1, 3].map(startPool);
after(async () => {
  lendHelpers(null);
  await Promise.all(pools.map((pool) => pool.close()));
});

function hashOf(rows: Rows, options: Partial<BoostOptions>, kernel: MakeKernel = wasmKernel): string {
  const steps = boost(rows, null, { ...boostDefaults, rounds: 12, ...options }, 3, kernel);
  for (let step = steps.next(); ; step = steps.next())
    if (step.done)
      return createHash('sha256')
        .update(JSON.stringify(packForest(step.value.forest)))
        .digest('hex');
}

function sameAtAnyThreads(rows: Rows, options: Partial<BoostOptions>): void {
  lendHelpers(null);
  const alone = hashOf(rows, options);
  for (const pool of pools) {
    lendHelpers(pool);
    assert.equal(hashOf(rows, options), alone, `${pool.count + 1} threads`);
  }
  assert.equal(hashOf(rows, options, plainKernel), alone, 'plain kernel');
}

function madeUp(rows: number, targetOf: (x: number, c: number, noise: number) => number): Rows {
  const next = generator(rows);
  const features: Feature[] = Array.from({ length: 9 }, (_, f) => ({
    name: `x${f}`,
    kind: 'numeric',
    levels: 0,
    values: Float64Array.from({ length: rows }, () => (next() < 0.05 ? Number.NaN : next() * next())),
  }));
  features.push({ name: 'c', kind: 'category', levels: 30, values: Float64Array.from({ length: rows }, () => Math.floor(next() * 30)) });
  const targets = Float64Array.from({ length: rows }, (_, i) => targetOf(features[0]!.values[i]! || 0.2, features[9]!.values[i]!, next()));
  return { features, targets, weights: Float64Array.from({ length: rows }, (_, i) => 1 + (i % 3)) };
}

test('the trees are the same bits at 1, 2 and 4 threads: a number, missing values, categories and weights', () => {
  sameAtAnyThreads(
    madeUp(30_000, (x, c, noise) => x * 4 + (c % 4) + noise),
    { growth: 'depth', maxDepth: 6, maxLeaves: 64, rowSample: 0.8 },
  );
});

test('the trees are the same bits at 1, 2 and 4 threads: three classes, columns sampled', () => {
  sameAtAnyThreads(
    madeUp(20_011, (x, c, noise) => Math.floor(((x * 3 + (c % 5)) / 8 + noise) * 1.5)),
    { loss: 'softmax', rounds: 5, columnSample: 0.6 },
  );
});

test('the trees are the same bits at 1, 2 and 4 threads: counts, whose derivatives the kernel does not know', () => {
  sameAtAnyThreads(
    madeUp(25_000, (x, c) => Math.floor(x * 6) + (c % 3)),
    { loss: 'poisson' },
  );
});

function realRows(path: string, separator: string | RegExp, header: string[] | null, target: string, positive?: string): Rows {
  const table = readTable(path, separator, header);
  const answer = table.find((c) => c.name === target)!;
  const targets = Float64Array.from(answer.values as ArrayLike<unknown>, (v) =>
    positive === undefined ? Number(v) : v === positive ? 1 : 0,
  );
  const used = table.filter((c) => c !== answer);
  const encoders = fitEncoders(
    used.map((column) => readColumn(column)),
    used,
    { values: targets, outputs: 1 },
  );
  return { features: encode(encoders, used).features, targets, weights: new Float64Array(targets.length).fill(1) };
}

test('the trees are the same bits at 1, 2 and 4 threads on adult-census, california-housing and higgs', { skip: withoutData }, () => {
  const adult =
    'age workclass fnlwgt education education_num marital occupation relationship race sex gain loss hours country income'.split(' ');
  const higgs = ['y', ...Array.from({ length: 28 }, (_, i) => `x${i}`)];
  sameAtAnyThreads(realRows('adult-census/adult-train.csv.gz', /, ?/, adult, 'income', '>50K'), { loss: 'logistic' });
  sameAtAnyThreads(realRows('california-housing/housing.csv.gz', ',', null, 'median_house_value'), { growth: 'depth', maxDepth: 6 });
  sameAtAnyThreads(realRows('higgs-lightgbm/binary.train.tsv.gz', '\t', higgs, 'y'), { loss: 'logistic' });
});

test('helpers that never come, and a training that is dropped half way, change nothing', () => {
  const rows = madeUp(12_000, (x, c, noise) => x + c + noise);
  lendHelpers(null);
  const alone = hashOf(rows, {});
  let joined = 0;
  const absent: Helpers = { count: 3, join: () => joined++ };
  lendHelpers(absent);
  assert.equal(hashOf(rows, {}), alone);
  assert.equal(joined, 1);
  lendHelpers(pools[0]!);
  const dropped = boost(rows, null, { ...boostDefaults, rounds: 5 }, 1, wasmKernel);
  dropped.next();
  assert.equal(hashOf(rows, {}), alone);
  dropped.next();
});
