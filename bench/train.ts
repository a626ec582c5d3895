/**
 * Boosted trees beside XGBoost (hist, the same parameters, categories native on both sides) in the same run: CPU time of binning and
 * training, and the score on held-out rows. XGBoost runs in MILLRACE_PYTHON (default python3), where `import xgboost` must work.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { takeRows } from '../src/learn/columns.ts';
import { encode, fitEncoders } from '../src/learn/encode.ts';
import type { ColumnData } from '../src/learn/index.ts';
import { areaUnderRoc, rootMeanSquare } from '../src/learn/metrics.ts';
import { readColumn } from '../src/learn/read.ts';
import { readTarget } from '../src/learn/target.ts';
import type { Feature } from '../src/learn/trees/bins.ts';
import { type BoostOptions, boost, boostDefaults, type Rows } from '../src/learn/trees/boost.ts';
import { type Forest, scoreColumns } from '../src/learn/trees/forest.ts';
import { type MakeKernel, plainKernel } from '../src/learn/trees/kernel.ts';
import { wasmKernel } from '../src/learn/trees/kernel-wasm.ts';
import { generator, readTable, withoutData } from '../test/learn/data.ts';
import { type Figure, report } from './report.ts';

interface Task {
  readonly name: string;
  readonly loss: 'squared' | 'logistic';
  readonly learn: Rows;
  readonly test: Rows;
}

const OPTIONS: Partial<BoostOptions> = {
  rounds: 100,
  learningRate: 0.1,
  growth: 'depth',
  maxDepth: 6,
  maxLeaves: 64,
  minChildWeight: 1,
  minRows: 0,
  l2: 1,
  maxBins: 255,
};

/** A quarter of the rows, every fourth, is held out. */
function taskOf(name: string, columns: readonly ColumnData[], target: string, ignore: readonly string[] = []): Task {
  const at = columns.findIndex((c) => c.name === target);
  const known = readTarget({ target }, columns[at]!, readColumn(columns[at]!));
  const used = columns.filter((c) => c.name !== target && !ignore.includes(c.name));
  const outcome = { values: known.values, outputs: 1 };
  const readings = used.map(readColumn);
  const encoders = fitEncoders(readings, takeRows(used, known.rows), outcome);
  const { features } = encode(encoders, takeRows(used, known.rows));
  const side = (isTest: boolean): Rows => {
    const rows = Array.from(known.values.keys()).filter((i) => (i % 4 === 0) === isTest);
    const pick = (values: Float64Array): Float64Array => Float64Array.from(rows, (row) => values[row]!);
    return {
      features: features.map((f) => ({ ...f, values: pick(f.values) })),
      targets: pick(known.values),
      weights: new Float64Array(rows.length).fill(1),
    };
  };
  return { name, loss: known.task === 'regression' ? 'squared' : 'logistic', learn: side(false), test: side(true) };
}

/** Numbers with interactions, or categories with an effect each; `rows` of them. */
function madeUp(name: string, rows: number, numbers: number, categories: number, loss: Task['loss']): Task {
  const next = generator(rows + numbers);
  const features: Feature[] = [];
  for (let f = 0; f < numbers; f++)
    features.push({
      name: `x${f}`,
      kind: 'numeric',
      levels: 0,
      values: Float64Array.from({ length: rows }, () => (next() < 0.02 ? Number.NaN : next() + next())),
    });
  for (let f = 0; f < categories; f++)
    features.push({
      name: `c${f}`,
      kind: 'category',
      levels: 40,
      values: Float64Array.from({ length: rows }, () => Math.floor(next() * 40)),
    });
  const at = (f: number, row: number): number => features[f % features.length]!.values[row] || 0;
  const signal = Float64Array.from(
    { length: rows },
    (_, i) => at(0, i) * at(1, i) * 2 - at(2, i) + Math.sin(at(3, i) * 3) + ((at(numbers, i) * 7) % 5) * 0.3 + (next() - 0.5) * 2,
  );
  const middle = Float64Array.from(signal).sort()[rows >> 1]!;
  const targets = loss === 'squared' ? signal : signal.map((v) => (v > middle ? 1 : 0));
  const side = (from: number, to: number): Rows => ({
    features: features.map((f) => ({ ...f, values: f.values.slice(from, to) })),
    targets: targets.slice(from, to),
    weights: new Float64Array(to - from).fill(1),
  });
  const cut = Math.floor(rows * 0.75);
  return { name, loss, learn: side(0, cut), test: side(cut, rows) };
}

function tasks(quick: boolean): Task[] {
  const scale = quick ? 0.05 : 1;
  const made = [
    madeUp('200k × 28 numbers', 200_000 * scale, 28, 0, 'logistic'),
    madeUp('100k × 10 numbers, 10 categories', 100_000 * scale, 10, 10, 'squared'),
    madeUp('20k × 200 numbers', 20_000 * scale, 200, 0, 'squared'),
    madeUp('50k × 20 categories', 50_000 * scale, 4, 20, 'logistic'),
  ];
  if (withoutData) return made;
  const adult =
    'age workclass fnlwgt education education_num marital occupation relationship race sex gain loss hours country income'.split(' ');
  const higgs = ['y', ...Array.from({ length: 28 }, (_, i) => `x${i}`)];
  return [
    taskOf('adult-census', readTable('adult-census/adult-train.csv.gz', /, ?/, adult), 'income'),
    taskOf('telco-churn', readTable('telco-churn/Telco-Customer-Churn.csv.gz', ',', null), 'Churn'),
    taskOf('german-credit', readTable('german-credit/german.data', /[ \t]+/, null), 'class'),
    taskOf('california-housing', readTable('california-housing/housing.csv.gz', ',', null), 'median_house_value'),
    taskOf('bike-sharing', readTable('bike-sharing/hour.csv.gz', ',', null), 'cnt', ['casual', 'registered']),
    taskOf('higgs', readTable('higgs-lightgbm/binary.train.tsv.gz', '\t', higgs), 'y'),
    ...made,
  ];
}

interface Result {
  readonly seconds: number;
  readonly score: number;
}

function ours(task: Task, kernel: MakeKernel): Result {
  const began = process.cpuUsage();
  const steps = boost(task.learn, null, { ...boostDefaults, ...OPTIONS, loss: task.loss }, 2, kernel);
  let step = steps.next();
  while (!step.done) step = steps.next();
  const { user, system } = process.cpuUsage(began);
  return { seconds: (user + system) / 1e6, score: scoreOf(task, step.value.forest) };
}

function scoreOf(task: Task, forest: Forest): number {
  const answers = scoreColumns(
    forest,
    task.test.features.map((f) => f.values),
    task.test.targets.length,
  );
  return score(task, answers);
}

const score = (task: Task, answers: Float64Array): number => {
  const judged = { truth: task.test.targets, weights: task.test.weights, answers, width: 1 };
  return task.loss === 'logistic' ? areaUnderRoc(judged) : rootMeanSquare(judged);
};

const XGBOOST = `
import json, sys, time
import numpy as np, xgboost as xgb
folder, repeats = sys.argv[1], int(sys.argv[2])
meta = json.load(open(folder + '/meta.json'))
read = lambda name, columns: np.fromfile(folder + '/' + name).reshape(columns, -1).T
types = meta['types']
parameters = dict(objective=meta['objective'], tree_method='hist', max_depth=6, eta=0.1, min_child_weight=1, reg_lambda=1, max_bin=255, nthread=1, max_cat_to_onehot=4)
best = None
for _ in range(repeats):
    learn, y = read('learn', len(types)), np.fromfile(folder + '/target')
    began = time.process_time()
    matrix = xgb.QuantileDMatrix(learn, y, feature_types=types, enable_categorical=True, max_bin=255, nthread=1)
    model = xgb.train(parameters, matrix, 100)
    spent = time.process_time() - began
    best = spent if best is None else min(best, spent)
answers = model.predict(xgb.DMatrix(read('test', len(types)), feature_types=types, enable_categorical=True), output_margin=True)
answers.astype('float64').tofile(folder + '/answers')
print(json.dumps(dict(seconds=best, version=xgb.__version__)))
`;

function xgboost(task: Task, repeats: number): (Result & { version: string }) | null {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-train-'));
  try {
    const write = (name: string, columns: readonly Float64Array[]): void =>
      writeFileSync(join(folder, name), Buffer.concat(columns.map((c) => Buffer.from(c.buffer, c.byteOffset, c.byteLength))));
    write(
      'learn',
      task.learn.features.map((f) => f.values),
    );
    write(
      'test',
      task.test.features.map((f) => f.values),
    );
    write('target', [task.learn.targets]);
    const types = task.learn.features.map((f) => (f.kind === 'category' ? 'c' : 'q'));
    writeFileSync(
      join(folder, 'meta.json'),
      JSON.stringify({ types, objective: task.loss === 'logistic' ? 'binary:logistic' : 'reg:squarederror' }),
    );
    const run = spawnSync(process.env['MILLRACE_PYTHON'] ?? 'python3', ['-c', XGBOOST, folder, String(repeats)], { encoding: 'utf8' });
    if (run.status !== 0) return null;
    const bytes = readFileSync(join(folder, 'answers'));
    const answers = new Float64Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
    return { ...(JSON.parse(run.stdout.trim().split('\n').at(-1)!) as { seconds: number; version: string }), score: score(task, answers) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const quick = process.argv.includes('--quick');
const repeats = quick ? 1 : 3;
const fastest = (task: Task, kernel: MakeKernel): Result =>
  Array.from({ length: repeats }, () => ours(task, kernel)).reduce((best, r) => (r.seconds < best.seconds ? r : best));

const figures: Record<string, Figure> = {};
const ratios: number[] = [];
const plainRatios: number[] = [];
let worst = 0;
for (const task of tasks(quick)) {
  const wasm = fastest(task, wasmKernel);
  const plain = fastest(task, plainKernel);
  plainRatios.push(plain.seconds / wasm.seconds);
  const peer = xgboost(task, repeats);
  const metric = task.loss === 'logistic' ? 'AUC' : 'RMSE';
  const beside =
    peer === null ? 'XGBoost not found' : `XGBoost ${peer.version}: ${peer.seconds.toFixed(2)} s, ${metric} ${peer.score.toPrecision(5)}`;
  process.stderr.write(`${task.name}: ${wasm.seconds.toFixed(2)} s, ${metric} ${wasm.score.toPrecision(5)}; ${beside}\n`);
  if (peer === null) continue;
  ratios.push(wasm.seconds / peer.seconds);
  const behind = task.loss === 'logistic' ? peer.score / wasm.score - 1 : wasm.score / peer.score - 1;
  worst = Math.max(worst, behind * 100);
  figures[`ratio ${task.name}`] = { value: wasm.seconds / peer.seconds, title: `CPU time against XGBoost, ${task.name}` };
}
const mean = (values: readonly number[]): number => Math.exp(values.reduce((s, v) => s + Math.log(v), 0) / values.length);
if (ratios.length > 0) {
  figures['ratio'] = { value: mean(ratios), title: `CPU time against XGBoost, geometric mean of ${ratios.length} sets` };
  figures['behind'] = { value: worst, unit: '%', title: 'furthest behind XGBoost (AUC or RMSE, relative)' };
}
figures['plain'] = { value: mean(plainRatios), title: 'CPU time of the plain kernel against WebAssembly' };
report({
  bench: 'train',
  figures,
  goals: [
    { figure: 'ratio', at: 'most', value: 0.75 },
    { figure: 'behind', at: 'most', value: 1 },
  ],
});
