/**
 * Boosted trees beside XGBoost (hist, level by level) and LightGBM (leaf by leaf) in the same run, with the same parameters and categories
 * native on every side: CPU time of binning and training on one thread, wall-clock time on two, and the score on held-out rows. The peers run
 * in MILLRACE_PYTHON (default python3); one that can't be imported there is left out. `--quick` takes a twentieth of the made-up rows.
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
import { lendHelpers, wasmKernel } from '../src/learn/trees/kernel-wasm.ts';
import { type Pool, startPool } from '../src/run/pool.ts';
import { generator, readPacked, readTable, withoutData } from '../test/learn/data.ts';
import { type Figure, report } from './report.ts';

interface Task {
  readonly name: string;
  readonly loss: 'squared' | 'logistic';
  readonly learn: Rows;
  readonly test: Rows;
}

type Peer = 'xgboost' | 'lightgbm';

const COMMON: Partial<BoostOptions> = { rounds: 100, learningRate: 0.1, l2: 1, maxBins: 255 };
/** Our settings that mean the same as the peer's in PEERS below. */
const OPTIONS: Readonly<Record<Peer, Partial<BoostOptions>>> = {
  xgboost: { ...COMMON, growth: 'depth', maxDepth: 6, maxLeaves: 64, minChildWeight: 1, minRows: 0 },
  lightgbm: { ...COMMON, growth: 'leaf', maxLeaves: 31, minChildWeight: 1e-3, minRows: 20 },
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
    taskOf('taxi tips', readTable('nyc-taxi/green_tripdata_2016-07.csv.gz', ',', null), 'tip_amount', ['total_amount', 'ehail_fee']),
    digits(),
    ...made,
  ];
}

/** 10,000 images of digits as 784 numbers each: is the digit at least 5? */
function digits(): Task {
  const bytes = (name: string): Buffer => readPacked(`mnist/t10k-${name}-ubyte.gz`);
  const [images, labels] = [bytes('images-idx3').subarray(16), bytes('labels-idx1').subarray(8)];
  const side = (isTest: boolean): Rows => {
    const rows = Array.from(labels.keys()).filter((i) => (i % 4 === 0) === isTest);
    return {
      features: Array.from({ length: 784 }, (_, f) => ({
        name: `pixel ${f}`,
        kind: 'numeric' as const,
        levels: 0,
        values: Float64Array.from(rows, (row) => images[row * 784 + f]!),
      })),
      targets: Float64Array.from(rows, (row) => (labels[row]! >= 5 ? 1 : 0)),
      weights: new Float64Array(rows.length).fill(1),
    };
  };
  return { name: 'digits × 784 pixels', loss: 'logistic', learn: side(false), test: side(true) };
}

interface Result {
  /** Of one thread. */
  readonly cpuSeconds: number;
  /** Of two threads. */
  readonly wallSeconds: number;
  readonly score: number;
}

function ours(task: Task, kernel: MakeKernel, options: Partial<BoostOptions>): { cpu: number; wall: number; score: number } {
  const began = process.cpuUsage();
  const start = performance.now();
  const steps = boost(task.learn, null, { ...boostDefaults, ...options, loss: task.loss }, 2, kernel);
  let step = steps.next();
  while (!step.done) step = steps.next();
  const { user, system } = process.cpuUsage(began);
  return { cpu: (user + system) / 1e6, wall: (performance.now() - start) / 1e3, score: scoreOf(task, step.value.forest) };
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

const PEERS = `
import importlib, json, os, sys, time
import numpy as np
folder, repeats = sys.argv[1], int(sys.argv[2])
meta = json.load(open(folder + '/meta.json'))
types = meta['types']
read = lambda name: np.fromfile(folder + '/' + name).reshape(len(types), -1).T
learn, test, y = read('learn'), read('test'), np.fromfile(folder + '/target')
binary = meta['binary']

def xgboost(threads):
    import xgboost as xgb
    parameters = dict(objective='binary:logistic' if binary else 'reg:squarederror', tree_method='hist', max_depth=6, eta=0.1,
        min_child_weight=1, reg_lambda=1, max_bin=255, nthread=threads, max_cat_to_onehot=4)
    def fit():
        matrix = xgb.QuantileDMatrix(learn, y, feature_types=types, enable_categorical=True, max_bin=255, nthread=threads)
        return xgb.train(parameters, matrix, 100)
    def predict(model):
        return model.predict(xgb.DMatrix(test, feature_types=types, enable_categorical=True), output_margin=True)
    return fit, predict, xgb.__version__

def lightgbm(threads):
    import lightgbm as lgb
    parameters = dict(objective='binary' if binary else 'regression', num_leaves=31, learning_rate=0.1, min_data_in_leaf=20,
        min_sum_hessian_in_leaf=1e-3, lambda_l2=1, max_bin=255, num_threads=threads, verbose=-1, force_col_wise=meta['column_wise'],
        force_row_wise=not meta['column_wise'])
    categories = [f for f, kind in enumerate(types) if kind == 'c']
    def fit():
        return lgb.train(parameters, lgb.Dataset(learn, y, categorical_feature=categories), 100)
    return fit, lambda model: model.predict(test, raw_score=True), lgb.__version__

found = {}
for name, make in dict(xgboost=xgboost, lightgbm=lightgbm).items():
    try:
        importlib.import_module(name)
    except ImportError:
        continue
    best = {}
    for threads in (1, 2):
        fit, predict, version = make(threads)
        for _ in range(repeats):
            cpu, wall = time.process_time(), time.perf_counter()
            model = fit()
            spent = time.process_time() - cpu if threads == 1 else time.perf_counter() - wall
            best[threads] = min(best.get(threads, spent), spent)
    np.asarray(predict(model), dtype='float64').tofile(folder + '/' + name)
    found[name] = dict(cpu=best[1], wall=best[2], version=version)
print(json.dumps(found))
`;

function peersOf(task: Task, repeats: number): Partial<Record<Peer, Result & { version: string }>> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-train-'));
  try {
    const write = (name: string, columns: readonly Float64Array[]): void =>
      writeFileSync(join(folder, name), Buffer.concat(columns.map((c) => Buffer.from(c.buffer, c.byteOffset, c.byteLength))));
    const { learn, test } = task;
    for (const [name, side] of Object.entries({ learn, test }))
      write(
        name,
        side.features.map((f) => f.values),
      );
    write('target', [learn.targets]);
    const types = learn.features.map((f) => (f.kind === 'category' ? 'c' : 'q'));
    const meta = { types, binary: task.loss === 'logistic', column_wise: types.length > 100 };
    writeFileSync(join(folder, 'meta.json'), JSON.stringify(meta));
    const python = process.env['MILLRACE_PYTHON'] ?? 'python3';
    const run = spawnSync(python, ['-c', PEERS, folder, String(repeats)], { encoding: 'utf8' });
    if (run.status !== 0) {
      process.stderr.write(`${python}: ${run.error?.message ?? run.stderr.trim().split('\n').at(-1)}\n`);
      return {};
    }
    const found = JSON.parse(run.stdout.trim().split('\n').at(-1)!) as Record<Peer, { cpu: number; wall: number; version: string }>;
    return Object.fromEntries(
      Object.entries(found).map(([name, { cpu, wall, version }]) => {
        const bytes = readFileSync(join(folder, name));
        const answers = new Float64Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
        return [name, { cpuSeconds: cpu, wallSeconds: wall, version, score: score(task, answers) }];
      }),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const quick = process.argv.includes('--quick');
const repeats = quick ? 1 : 3;
const pool = startPool(1);

function fastest(task: Task, options: Partial<BoostOptions>): Result {
  const times = (helpers: Pool | null) => {
    lendHelpers(helpers);
    return Array.from({ length: repeats }, () => ours(task, wasmKernel, options));
  };
  const alone = times(null);
  const together = times(pool);
  lendHelpers(null);
  return {
    cpuSeconds: Math.min(...alone.map((r) => r.cpu)),
    wallSeconds: Math.min(...together.map((r) => r.wall)),
    score: alone[0]!.score,
  };
}

const titles: Readonly<Record<Peer, string>> = { xgboost: 'XGBoost', lightgbm: 'LightGBM' };
const figures: Record<string, Figure> = {};
const ratios: Record<Peer, { cpu: number; wall: number; behind: number }[]> = { xgboost: [], lightgbm: [] };
const plainRatios: number[] = [];
for (const task of tasks(quick)) {
  const peers = peersOf(task, repeats);
  const metric = task.loss === 'logistic' ? 'AUC' : 'RMSE';
  const told = (r: Result): string =>
    `${r.cpuSeconds.toFixed(2)} s of CPU, ${r.wallSeconds.toFixed(2)} s on two threads, ${metric} ${r.score.toPrecision(5)}`;
  for (const name of ['xgboost', 'lightgbm'] as const) {
    const own = fastest(task, OPTIONS[name]);
    const peer = peers[name];
    process.stderr.write(
      `${task.name}: ${told(own)}; ${peer ? `${titles[name]} ${peer.version}: ${told(peer)}` : `${titles[name]} not found`}\n`,
    );
    if (name === 'xgboost') plainRatios.push(ours(task, plainKernel, OPTIONS[name]).cpu / own.cpuSeconds);
    if (peer === undefined) continue;
    const behind = (task.loss === 'logistic' ? peer.score / own.score - 1 : own.score / peer.score - 1) * 100;
    const cpu = own.cpuSeconds / peer.cpuSeconds;
    ratios[name].push({ cpu, wall: own.wallSeconds / peer.wallSeconds, behind });
    figures[`${name} ${task.name}`] = { value: cpu, title: `CPU time against ${titles[name]}, ${task.name}` };
  }
}
await pool.close();
const mean = (values: readonly number[]): number => Math.exp(values.reduce((s, v) => s + Math.log(v), 0) / values.length);
for (const name of ['xgboost', 'lightgbm'] as const) {
  const of = ratios[name];
  if (of.length === 0) continue;
  const sets = `geometric mean of ${of.length} sets`;
  figures[`${name} cpu`] = { value: mean(of.map((r) => r.cpu)), title: `CPU time against ${titles[name]}, one thread, ${sets}` };
  figures[`${name} wall`] = { value: mean(of.map((r) => r.wall)), title: `time against ${titles[name]}, two threads, ${sets}` };
  figures[`${name} behind`] = {
    value: Math.max(...of.map((r) => r.behind)),
    unit: '%',
    title: `furthest behind ${titles[name]} (AUC or RMSE, relative)`,
  };
}
figures['plain'] = { value: mean(plainRatios), title: 'CPU time of the plain kernel against WebAssembly' };
report({
  bench: 'train',
  figures,
  goals: [
    { figure: 'xgboost cpu', at: 'most', value: 0.75 },
    { figure: 'xgboost wall', at: 'most', value: 0.75 },
    { figure: 'lightgbm cpu', at: 'most', value: 1 },
    { figure: 'lightgbm wall', at: 'most', value: 1 },
    { figure: 'xgboost behind', at: 'most', value: 1 },
    { figure: 'lightgbm behind', at: 'most', value: 1 },
  ],
});
