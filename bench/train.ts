/**
 * Boosted trees beside XGBoost (hist, level by level) and LightGBM (leaf by leaf) in the same run, with the same parameters and categories
 * native on every side: CPU time of binning and training on one thread and wall-clock time on two (of the first split), the score on held-out
 * rows of five splits, whether the model is the same at 1, 2 and 4 threads, and the kernel's memory for a row. The peers run in MILLRACE_PYTHON
 * (default python3); one that can't be imported there is left out. `--sets name,name`; `--alone` leaves the peers' two
 * threads out (they wait for each other in loops, so on a machine with other work their time says nothing); `--quick` takes a twentieth of the made-up rows and one split.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
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
import { boost, type Rows } from '../src/learn/trees/boost.ts';
import { type Forest, scoreColumns } from '../src/learn/trees/forest.ts';
import { lendHelpers } from '../src/learn/trees/helpers.ts';
import { type MakeKernel, plainKernel } from '../src/learn/trees/kernel.ts';
import { wasmKernel } from '../src/learn/trees/kernel-wasm.ts';
import { type BoostOptions, boostDefaults } from '../src/learn/trees/settings.ts';
import { type Pool, startPool } from '../src/run/pool.ts';
import { generator, readPacked, readTable, withoutData } from '../test/learn/data.ts';
import { type Figure, report } from './report.ts';

/** A table of which each split holds out another fifth. */
interface Task {
  readonly name: string;
  readonly loss: 'squared' | 'logistic';
  readonly rows: Rows;
}

interface Divided extends Task {
  readonly learn: Rows;
  readonly test: Rows;
}

const SPLITS = 5;

function divided(task: Task, split: number): Divided {
  const { features, targets } = task.rows;
  const side = (isTest: boolean): Rows => {
    const rows = Array.from(targets.keys()).filter((i) => (i % SPLITS === split) === isTest);
    const pick = (values: Float64Array): Float64Array => Float64Array.from(rows, (row) => values[row]!);
    return {
      features: features.map((f) => ({ ...f, values: pick(f.values) })),
      targets: pick(targets),
      weights: new Float64Array(rows.length).fill(1),
    };
  };
  return { ...task, learn: side(false), test: side(true) };
}

type Peer = 'xgboost' | 'lightgbm';

const COMMON: Partial<BoostOptions> = { rounds: 100, learningRate: 0.1, l2: 1, maxBins: 255 };
/** Our settings that mean the same as the peer's in PEERS below. */
const OPTIONS: Readonly<Record<Peer, Partial<BoostOptions>>> = {
  xgboost: { ...COMMON, growth: 'depth', maxDepth: 6, maxLeaves: 64, minChildWeight: 1, minRows: 0 },
  lightgbm: { ...COMMON, growth: 'leaf', maxLeaves: 31, minChildWeight: 1e-3, minRows: 20 },
};

function taskOf(name: string, columns: readonly ColumnData[], target: string, ignore: readonly string[] = []): Task {
  const at = columns.findIndex((c) => c.name === target);
  const known = readTarget({ target }, columns[at]!, readColumn(columns[at]!));
  const used = columns.filter((c) => c.name !== target && !ignore.includes(c.name));
  const encoders = fitEncoders(
    used.map((column) => readColumn(column)),
    takeRows(used, known.rows),
    { values: known.values, outputs: 1 },
  );
  const { features } = encode(encoders, takeRows(used, known.rows));
  return taskFrom(name, known.task === 'regression' ? 'squared' : 'logistic', features, known.values);
}

function taskFrom(name: string, loss: Task['loss'], features: readonly Feature[], targets: Float64Array): Task {
  return { name, loss, rows: { features, targets, weights: new Float64Array(targets.length).fill(1) } };
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
  return taskFrom(name, loss, features, loss === 'squared' ? signal : signal.map((v) => (v > middle ? 1 : 0)));
}

function tasks(quick: boolean): Task[] {
  const scale = quick ? 0.05 : 1;
  const made = [
    madeUp('200k × 28 numbers', 200_000 * scale, 28, 0, 'logistic'),
    madeUp('100k × 10 numbers and 10 categories', 100_000 * scale, 10, 10, 'squared'),
    madeUp('20k × 200 numbers', 20_000 * scale, 200, 0, 'squared'),
    madeUp('50k × 20 categories', 50_000 * scale, 4, 20, 'logistic'),
    madeUp('2k × 5000 numbers', 2000, 5000, 0, 'squared'),
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
  const features = Array.from({ length: 784 }, (_, f): Feature => {
    const values = Float64Array.from({ length: labels.length }, (_v, row) => images[row * 784 + f]!);
    return { name: `pixel ${f}`, kind: 'numeric', levels: 0, values };
  });
  return taskFrom(
    'digits × 784 pixels',
    'logistic',
    features,
    Float64Array.from(labels, (label) => (label >= 5 ? 1 : 0)),
  );
}

interface Result {
  /** Of one thread. */
  readonly cpuSeconds: number;
  /** Of two threads. */
  readonly wallSeconds: number;
  readonly score: number;
}

interface Run {
  readonly cpu: number;
  readonly wall: number;
  readonly forest: Forest;
}

function ours(task: Divided, kernel: MakeKernel, options: Partial<BoostOptions>): Run {
  const began = process.cpuUsage();
  const start = performance.now();
  const steps = boost(task.learn, null, { ...boostDefaults, ...options, loss: task.loss }, 2, kernel);
  let step = steps.next();
  while (!step.done) step = steps.next();
  const { user, system } = process.cpuUsage(began);
  return { cpu: (user + system) / 1e6, wall: (performance.now() - start) / 1e3, forest: step.value.forest };
}

interface Memory {
  readonly buffer: SharedArrayBuffer;
}
/** Of the host, of which TypeScript knows only with the browser's library. */
declare const WebAssembly: { Memory: new (size: object) => Memory };

/** Bytes of each WebAssembly memory that was made. */
const takenMemory: number[] = [];
WebAssembly.Memory = class extends WebAssembly.Memory {
  constructor(size: object) {
    super(size);
    takenMemory.push(this.buffer.byteLength);
  }
};

/** Hash of all that a forest is. */
function hashOf(forest: Forest): string {
  const hash = createHash('sha256');
  for (const part of Object.values(forest))
    hash.update(ArrayBuffer.isView(part) ? new Uint8Array(part.buffer, part.byteOffset, part.byteLength) : String(part));
  return hash.digest('hex');
}

function scoreOf(task: Divided, forest: Forest): number {
  const answers = scoreColumns(
    forest,
    task.test.features.map((f) => f.values),
    task.test.targets.length,
  );
  return score(task, answers);
}

const score = (task: Divided, answers: Float64Array): number => {
  const judged = { truth: task.test.targets, weights: task.test.weights, answers, width: 1 };
  return task.loss === 'logistic' ? areaUnderRoc(judged)(judged) : rootMeanSquare(judged);
};

const PEERS = `
import importlib, json, os, sys, time
import numpy as np
folder, repeats, threads_tried = sys.argv[1], int(sys.argv[2]), [int(n) for n in sys.argv[3].split(',')]
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
    for threads in threads_tried:
        fit, predict, version = make(threads)
        for _ in range(repeats):
            cpu, wall = time.process_time(), time.perf_counter()
            model = fit()
            spent = time.process_time() - cpu if threads == 1 else time.perf_counter() - wall
            best[threads] = min(best.get(threads, spent), spent)
    np.asarray(predict(model), dtype='float64').tofile(folder + '/' + name)
    found[name] = dict(cpu=best.get(1, 0), wall=best.get(2, 0), version=version)
print(json.dumps(found))
`;

function peersOf(task: Divided, repeats: number, threads: string): Partial<Record<Peer, Result & { version: string }>> {
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
    const run = spawnSync(python, ['-c', PEERS, folder, String(repeats), threads], { encoding: 'utf8' });
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

const option = (name: string): string | undefined => process.argv[process.argv.indexOf(name) + 1 || Number.NaN];
const quick = process.argv.includes('--quick');
const repeats = quick ? 1 : 3;
const splits = quick ? 1 : SPLITS;
const names = option('--sets')?.split(',');
const alone = process.argv.includes('--alone');
const pools = { two: startPool(1), four: startPool(3) };

interface Timed extends Result {
  /** Whether one, two and four threads give the same forest. */
  readonly same: boolean;
}

function timed(task: Divided, options: Partial<BoostOptions>): Timed {
  const runs = (helpers: Pool | null, times: number): Run[] => {
    lendHelpers(helpers);
    return Array.from({ length: times }, () => ours(task, wasmKernel, options));
  };
  const alone = runs(null, repeats);
  const together = runs(pools.two, repeats);
  const four = runs(pools.four, 1);
  lendHelpers(null);
  return {
    cpuSeconds: Math.min(...alone.map((r) => r.cpu)),
    wallSeconds: Math.min(...together.map((r) => r.wall)),
    score: scoreOf(task, alone[0]!.forest),
    same: new Set([...alone, ...together, ...four].map(({ forest }) => hashOf(forest))).size === 1,
  };
}

/** How far ours is behind the peer, in % of its score. */
const behindOf = (task: Task, own: number, peer: number): number => (task.loss === 'logistic' ? peer / own - 1 : own / peer - 1) * 100;

interface Compared {
  readonly cpu: number;
  readonly wall: number;
  /** Mean over the splits, and its standard error. */
  readonly behind: number;
  readonly error: number;
}

/** Student's t with four degrees of freedom that is passed by chance once in 200 times, one-sided: there are some 24 comparisons. */
const CLEARLY = 4.604;

const titles: Readonly<Record<Peer, string>> = { xgboost: 'XGBoost', lightgbm: 'LightGBM' };
const figures: Record<string, Figure> = {};
const compared: Record<Peer, Compared[]> = { xgboost: [], lightgbm: [] };
const plainRatios: number[] = [];
/** Bytes of the kernel's memory for each row, by set. */
const rowBytes = new Map<string, number>();
let different = 0;

function compare(task: Task): void {
  const behind: Record<Peer, number[]> = { xgboost: [], lightgbm: [] };
  const first = divided(task, 0);
  const peers = peersOf(first, repeats, alone ? '1' : '1,2');
  const times = { xgboost: timed(first, OPTIONS.xgboost), lightgbm: timed(first, OPTIONS.lightgbm) };
  plainRatios.push(ours(first, plainKernel, OPTIONS.xgboost).cpu / times.xgboost.cpuSeconds);
  const metric = task.loss === 'logistic' ? 'AUC' : 'RMSE';
  const told = (r: Result): string =>
    `${r.cpuSeconds.toFixed(2)} s of CPU, ${r.wallSeconds.toFixed(2)} s on two threads, ${metric} ${r.score.toPrecision(5)}`;
  for (let split = 0; split < splits; split++) {
    const parts = split === 0 ? first : divided(task, split);
    const others = split === 0 ? peers : peersOf(parts, 1, '1');
    for (const [name, { score: reached }] of Object.entries(others) as [Peer, Result][]) {
      const own = split === 0 ? times[name].score : scoreOf(parts, ours(parts, wasmKernel, OPTIONS[name]).forest);
      behind[name].push(behindOf(task, own, reached));
    }
  }
  for (const name of ['xgboost', 'lightgbm'] as const) {
    const own = times[name];
    const peer = peers[name];
    if (!own.same) different++;
    process.stderr.write(
      `${task.name}: ${told(own)}; ${peer ? `${titles[name]} ${peer.version}: ${told(peer)}` : `${titles[name]} not found`}\n`,
    );
    if (peer === undefined) continue;
    const mean = behind[name].reduce((sum, gap) => sum + gap, 0) / splits;
    const squares = behind[name].reduce((sum, gap) => sum + (gap - mean) ** 2, 0);
    const error = splits > 1 ? Math.sqrt(squares / (splits - 1) / splits) : Number.POSITIVE_INFINITY;
    const cpu = own.cpuSeconds / peer.cpuSeconds;
    compared[name].push({ cpu, wall: own.wallSeconds / peer.wallSeconds, behind: mean, error });
    const sure = splits > 1 ? `, behind by ${mean.toFixed(2)} ± ${error.toFixed(2)} %` : '';
    figures[`${name} ${task.name}`] = { value: cpu, title: `CPU time against ${titles[name]}, ${task.name}${sure}` };
  }
}

const all = tasks(quick);
for (const task of names ? all.filter(({ name }) => names.includes(name)) : all) {
  compare(task);
  rowBytes.set(task.name, Math.max(...takenMemory.splice(0)) / (task.rows.targets.length * (1 - 1 / SPLITS)));
}
await Promise.all(Object.values(pools).map((pool) => pool.close()));
const mean = (values: readonly number[]): number => Math.exp(values.reduce((s, v) => s + Math.log(v), 0) / values.length);
for (const name of ['xgboost', 'lightgbm'] as const) {
  const of = compared[name];
  if (of.length === 0) continue;
  const sets = `geometric mean of ${of.length} sets`;
  figures[`${name} cpu`] = { value: mean(of.map((r) => r.cpu)), title: `CPU time against ${titles[name]}, one thread, ${sets}` };
  if (!alone) figures[`${name} wall`] = { value: mean(of.map((r) => r.wall)), title: `time against ${titles[name]}, two threads, ${sets}` };
  figures[`${name} behind`] = {
    value: Math.max(...of.map((r) => r.behind)),
    unit: '%',
    title: `furthest behind ${titles[name]} (AUC or RMSE, relative, mean of ${splits} splits)`,
  };
  figures[`${name} clearly`] = {
    value: of.filter((r) => r.behind > CLEARLY * r.error).length,
    title: `sets on which ${titles[name]} is better beyond noise (${CLEARLY} standard errors)`,
  };
}
figures['different'] = { value: different, title: 'models that differ at 1, 2 and 4 threads' };
for (const task of all.filter(({ name }) => rowBytes.has(name) && name.startsWith('200k')))
  figures['memory'] = {
    value: rowBytes.get(task.name)!,
    unit: 'bytes',
    title: `the kernel's memory for a row of ${task.rows.features.length} columns, histograms included`,
  };
figures['plain'] = { value: mean(plainRatios), title: 'CPU time of the plain kernel against WebAssembly' };
report({
  bench: 'train',
  figures,
  goals: [
    { figure: 'xgboost cpu', at: 'most', value: 0.75 },
    { figure: 'lightgbm cpu', at: 'most', value: 1 },
    ...(alone
      ? []
      : ([
          { figure: 'xgboost wall', at: 'most', value: 0.75 },
          { figure: 'lightgbm wall', at: 'most', value: 1 },
        ] as const)),
    { figure: 'xgboost behind', at: 'most', value: 1 },
    { figure: 'lightgbm behind', at: 'most', value: 1 },
    { figure: 'xgboost clearly', at: 'most', value: 0 },
    { figure: 'lightgbm clearly', at: 'most', value: 0 },
    { figure: 'different', at: 'most', value: 0 },
  ],
});
