/**
 * A model from a table in a given time, beside AutoGluon (medium quality), FLAML, and XGBoost and scikit-learn tuned at random for the same time,
 * on the same rows and two cores: AUC (two classes), log-loss (more) or RMSE on rows held out, and the mean rank. The peers run in
 * MILLRACE_PYTHON (default python3); one that can't be imported there is left out, and without all of them but AutoGluon, which few machines have,
 * the goals are not met: who was not there was not beaten. Peers get our columns as numbers and category codes (of
 * more than 254 categories ordered target means), which takes the reading of the table off them; we get the table and choose our own split.
 * `--budget 30,120` seconds, `--splits 1` (up to 5), `--sets name,name`; `--quick` is three sets at 5 seconds. `--peers FILE` keeps what the
 * peers reached, so that they need not run again on the same machine; `--only peers` fills it and `--only ours` asks no peer that is not in it.
 */
import { spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { takeRows } from '../src/learn/columns.ts';
import { encode, encodeTraining, fitEncoders } from '../src/learn/encode.ts';
import { type ColumnData, lendHelpers, predict, train } from '../src/learn/index.ts';
import { areaUnderRoc, logLoss, rootMeanSquare } from '../src/learn/metrics.ts';
import { readColumn } from '../src/learn/read.ts';
import { outcomeOf, readTarget, type Target } from '../src/learn/target.ts';
import { startPool } from '../src/run/pool.ts';
import { generator, readTable, readText, withoutData } from '../test/learn/data.ts';
import { type Figure, report } from './report.ts';

interface Task {
  readonly name: string;
  readonly columns: () => ColumnData[];
  readonly target: string;
  readonly ignore?: readonly string[];
  /** Rows stand in the order of time: a test block comes after the rows that are learned from. */
  readonly inTime?: true;
}

const SPLITS = 5;
const TEST_SHARE = 0.2;

const adult = 'age workclass fnlwgt education education_num marital occupation relationship race sex gain loss hours country income'.split(
  ' ',
);
const higgs = ['y', ...Array.from({ length: 28 }, (_, i) => `x${i}`)];
const census = (): ColumnData[] => readTable('adult-census/adult-train.csv.gz', /, ?/, adult);
const credit = (): ColumnData[] => readTable('german-credit/german.data', /[ \t]+/, null);
const housing = (): ColumnData[] => readTable('california-housing/housing.csv.gz', ',', null);
const bikes = (): ColumnData[] => readTable('bike-sharing/hour.csv.gz', ',', null);
const churn = (): ColumnData[] => readTable('telco-churn/Telco-Customer-Churn.csv.gz', ',', null);

/** The file names one column fewer than it has, and quotes some values. */
function occupancy(): ColumnData[] {
  const names = ['number', 'date', 'temperature', 'humidity', 'light', 'co2', 'ratio', 'occupied'];
  const rows = readText('uci-occupancy/datatest2.txt.gz').trim().split(/\r?\n/).slice(1);
  const cells = rows.map((line) => line.replaceAll('"', '').split(','));
  return names.map((name, at): ColumnData => {
    const values = cells.map((row) => row[at]!);
    return name === 'date' ? { name, kind: 'text', values } : { name, kind: 'number', values: Float64Array.from(values, Number) };
  });
}

const TASKS: readonly Task[] = [
  { name: 'german-credit', columns: credit, target: 'class' },
  { name: 'california-housing', columns: housing, target: 'median_house_value' },
  { name: 'bike-sharing', columns: bikes, target: 'cnt', ignore: ['casual', 'registered', 'instant'], inTime: true },
  { name: 'adult-census', columns: census, target: 'income' },
  { name: 'telco-churn', columns: churn, target: 'Churn', ignore: ['customerID'] },
  { name: 'higgs', columns: () => readTable('higgs-lightgbm/binary.train.tsv.gz', '\t', higgs), target: 'y' },
  { name: 'occupancy', columns: occupancy, target: 'occupied', ignore: ['number'], inTime: true },
  { name: 'hours of work', columns: census, target: 'hours', ignore: ['income'] },
  { name: 'size of a credit', columns: credit, target: 'credit_amount', ignore: ['class'] },
  { name: 'nearness to the ocean', columns: housing, target: 'ocean_proximity' },
  { name: 'casual riders', columns: bikes, target: 'casual', ignore: ['cnt', 'registered', 'instant'], inTime: true },
  {
    name: 'taxi tips',
    columns: () => readTable('nyc-taxi/green_tripdata_2016-07.csv.gz', ',', null),
    target: 'tip_amount',
    ignore: ['total_amount', 'ehail_fee'],
  },
];

interface Divided {
  readonly learn: ColumnData[];
  readonly test: ColumnData[];
  readonly target: Target;
  readonly truth: Float64Array;
}

/**
 * Rows with a known target, divided; a split in time tests one of the last five tenths, and learns from what is before it. One by chance
 * that leaves a class nothing to be learned from is drawn again: what a model says of it then is chance, ours and the peers' alike.
 */
function divided({ columns, target: name, ignore = [], inTime }: Task, split: number): Divided {
  const all = columns().filter((column) => !ignore.includes(column.name));
  const column = all.find((c) => c.name === name)!;
  const target = readTarget({ target: name }, column, readColumn(column));
  const { learned, tested } = inTime ? latest(target.rows.length, split) : drawn(target, split);
  const rows = (of: readonly number[]): ColumnData[] =>
    takeRows(
      all,
      of.map((i) => target.rows[i]!),
    );
  return { learn: rows(learned), test: rows(tested), target, truth: Float64Array.from(tested, (i) => target.values[i]!) };
}

interface Places {
  readonly learned: number[];
  readonly tested: number[];
}

function latest(count: number, split: number): Places {
  const [from, to] = [1 - (split + 1) / 10, 1 - split / 10].map((share) => Math.round(share * count)) as [number, number];
  const places = Array.from({ length: count }, (_, i) => i);
  return { learned: places.slice(0, from), tested: places.slice(from, to) };
}

function drawn({ rows, classes, values }: Target, split: number): Places {
  for (let seed = 1000 + split; ; seed += SPLITS) {
    const next = generator(seed);
    const draws = Array.from(rows, () => next());
    const places = [...draws.keys()];
    const learned = places.filter((i) => draws[i]! >= TEST_SHARE);
    if (classes !== null && new Set(learned.map((i) => values[i])).size < classes.length) continue;
    return { learned, tested: places.filter((i) => draws[i]! < TEST_SHARE) };
  }
}

/** Greater is better: AUC, or log-loss or RMSE below 0. */
function scoreOf({ truth, target }: Divided, answers: Float64Array): number {
  const width = target.classes?.length ?? 1;
  const judged = { truth, weights: truth.map(() => 1), answers, width };
  return width === 1 ? -rootMeanSquare(judged) : width === 2 ? areaUnderRoc(judged)(judged) : -logLoss(judged);
}

async function ours(task: Task, data: Divided, seconds: number): Promise<Result> {
  const began = performance.now();
  const model = await train({ target: task.target, budget: { millis: seconds * 1000 } }, data.learn);
  const spent = (performance.now() - began) / 1000;
  const { columns } = predict(model, data.test);
  const width = data.target.classes?.length ?? 1;
  // A class that is missing from the rows learned from has no probability.
  const known = data.target.classes?.map((label) => columns.find((c) => c.name === `probability_${label}`)?.values);
  const answers = new Float64Array(data.truth.length * width);
  if (known === undefined) answers.set(columns[0]!.values as Float64Array);
  else for (let i = 0; i < answers.length; i++) answers[i] = Number(known[i % width]?.[Math.floor(i / width)] ?? 0);
  return { score: scoreOf(data, answers), seconds: spent };
}

interface Result {
  readonly score: number;
  readonly seconds: number;
}

const PEERS = `
import importlib, json, sys, time, warnings
warnings.filterwarnings('ignore')
import numpy as np
folder, budget, wanted = sys.argv[1], float(sys.argv[2]), sys.argv[3]
meta = json.load(open(folder + '/meta.json'))
types, classes = meta['types'], meta['classes']
read = lambda name: np.fromfile(folder + '/' + name).reshape(len(types), -1).T
X, test, y = read('learn'), read('test'), np.fromfile(folder + '/target')
categories = [f for f, kind in enumerate(types) if kind == 'c']
rng = np.random.default_rng(1)
began = time.time()
held = np.arange(len(y)) >= int(len(y) * 0.8) if meta['inTime'] else rng.random(len(y)) < 0.2
def loss(y, p):
    if classes == 1: return float(np.mean((p - y) ** 2))
    p = p if p.ndim == 2 else np.column_stack([1 - p, p])
    return float(-np.mean(np.log(np.maximum(p[np.arange(len(y)), y.astype(int)], 1e-15))))
def search(fit):
    best = None
    while best is None or time.time() - began < budget * 0.75:
        at = (rng.integers(3, 10), 10 ** rng.uniform(-2, -0.5), rng.uniform(0.5, 1), rng.uniform(0.4, 1), 10 ** rng.uniform(-2, 1.5))
        answer, rounds = fit(X[~held], y[~held], at, None, held)
        score = loss(y[held], answer(X[held]))
        if best is None or score < best[0]: best = (score, at, rounds)
    return fit(X, y, best[1], best[2], None)[0]
def xgboost():
    import xgboost as xgb
    objective = {1: 'reg:squarederror', 2: 'binary:logistic'}.get(classes, 'multi:softprob')
    def fit(X1, y1, at, rounds, held):
        depth, rate, rows, columns, l2 = at
        p = dict(objective=objective, tree_method='hist', max_depth=int(depth), eta=rate, subsample=rows, colsample_bytree=columns, reg_lambda=l2, nthread=2)
        if classes > 2: p['num_class'] = classes
        make = lambda a, b=None: xgb.DMatrix(a, b, feature_types=types, enable_categorical=True)
        if held is None: m = xgb.train(p, make(X1, y1), rounds)
        else: m = xgb.train(p, make(X1, y1), 2000, evals=[(make(X[held], y[held]), 'v')], early_stopping_rounds=30, verbose_eval=False)
        return (lambda a: m.predict(make(a))), getattr(m, 'best_iteration', 0) + 1 if held is not None else rounds
    return search(fit)
def sklearn():
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    def fit(X1, y1, at, rounds, held):
        depth, rate, rows, columns, l2 = at
        make = HistGradientBoostingRegressor if classes == 1 else HistGradientBoostingClassifier
        early = dict(max_iter=1000, early_stopping=True, n_iter_no_change=20) if held is not None else dict(max_iter=rounds, early_stopping=False)
        seen = held & np.isin(y, y1) if classes > 1 and held is not None else held
        beside = dict(X_val=X[seen], y_val=y[seen]) if held is not None else {}
        m = make(learning_rate=rate, max_leaf_nodes=int(2 ** min(depth, 7)), max_features=columns, l2_regularization=l2,
            categorical_features=categories, random_state=1, **early).fit(X1, y1, **beside)
        def answer(a):
            if classes == 1: return m.predict(a)
            p = np.zeros((len(a), classes)); p[:, m.classes_.astype(int)] = m.predict_proba(a); return p
        return answer, m.n_iter_
    return search(fit)
def flaml():
    import pandas as pd
    from flaml import AutoML
    def frame(a):
        f = pd.DataFrame(a, columns=['c%d' % i for i in range(a.shape[1])])
        for i in categories: f['c%d' % i] = f['c%d' % i].astype('Int64').astype('category')
        return f
    m = AutoML()
    more = dict(eval_method='holdout', split_type='time') if meta['inTime'] else {}
    m.fit(frame(X), y if classes == 1 else y.astype(int), task='regression' if classes == 1 else 'classification', seed=1, verbose=0, n_jobs=2,
        metric={1: 'rmse', 2: 'roc_auc'}.get(classes, 'log_loss'), time_budget=budget, **more)
    def answer(a):
        if classes == 1: return m.predict(frame(a))
        p = np.zeros((len(a), classes)); p[:, m.classes_.astype(int)] = m.predict_proba(frame(a)); return p
    return answer
def autogluon():
    import pandas as pd
    from autogluon.tabular import TabularPredictor
    def frame(a):
        f = pd.DataFrame(a, columns=['c%d' % i for i in range(a.shape[1])])
        for i in categories: f['c%d' % i] = f['c%d' % i].astype('Int64').astype('category')
        return f
    table = frame(X)
    table['y'] = y if classes == 1 else y.astype(int)
    kind, metric = {1: ('regression', 'root_mean_squared_error'), 2: ('binary', 'roc_auc')}.get(classes, ('multiclass', 'log_loss'))
    m = TabularPredictor(label='y', path=folder + '/autogluon', problem_type=kind, eval_metric=metric, verbosity=0)
    more = dict(tuning_data=table[held]) if meta['inTime'] else {}
    m.fit(table[~held] if meta['inTime'] else table, time_limit=budget, presets='medium_quality', num_cpus=2, **more)
    def answer(a):
        if classes == 1: return m.predict(frame(a))
        found = m.predict_proba(frame(a))
        p = np.zeros((len(a), classes)); p[:, [int(c) for c in found.columns]] = found.to_numpy(); return p
    return answer
importlib.import_module(dict(autogluon='autogluon.tabular').get(wanted, wanted))
answer = dict(xgboost=xgboost, sklearn=sklearn, flaml=flaml, autogluon=autogluon)[wanted]()
spent = time.time() - began
p = np.asarray(answer(test), dtype='float64')
if classes == 2 and p.ndim == 1: p = np.column_stack([1 - p, p])
p.tofile(folder + '/answers')
print(json.dumps(dict(seconds=spent)))
`;

const PEER_NAMES = { autogluon: 'AutoGluon, medium', flaml: 'FLAML', xgboost: 'XGBoost, tuned', sklearn: 'scikit-learn, tuned' } as const;
type Peer = keyof typeof PEER_NAMES;
type Who = Peer | 'ours';
/** Those without whom being first says nothing. */
const NEEDED: readonly Peer[] = ['flaml', 'xgboost', 'sklearn'];
const NAMES: Readonly<Record<Who, string>> = { ours: 'Millrace', ...PEER_NAMES };

function peer(who: Peer, task: Task, data: Divided, seconds: number): Result | null {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-automl-'));
  try {
    const write = (name: string, columns: readonly Float64Array[]): void =>
      writeFileSync(join(folder, name), Buffer.concat(columns.map((c) => Buffer.from(c.buffer, c.byteOffset, c.byteLength))));
    const used = (side: readonly ColumnData[]): ColumnData[] => side.filter((c) => c.name !== task.target);
    const classes = data.target.classes;
    const column = data.learn.find((c) => c.name === task.target)!;
    const learned = readTarget({ target: task.target, task: data.target.task }, column, readColumn(column));
    const values = classes === null ? learned.values : learned.values.map((code) => classes.indexOf(learned.classes![code]!));
    const outcome = outcomeOf(values, classes);
    const encoders = fitEncoders(
      used(data.learn).map((column) => readColumn(column)),
      used(data.learn),
      outcome,
    );
    // Of columns with very many categories each row has what the rows before it tell, as in our own training: means with its own answer in them would mislead.
    const learn = encodeTraining(encoders, used(data.learn), outcome, 1).features;
    const test = encode(encoders, used(data.test)).features;
    write(
      'learn',
      learn.map((f) => f.values),
    );
    write(
      'test',
      test.map((f) => f.values),
    );
    write('target', [values]);
    const types = learn.map((f) => (f.kind === 'category' ? 'c' : 'q'));
    writeFileSync(join(folder, 'meta.json'), JSON.stringify({ types, classes: classes?.length ?? 1, inTime: task.inTime === true }));
    const python = process.env['MILLRACE_PYTHON'] ?? 'python3';
    const run = spawnSync(python, ['-c', PEERS, folder, String(seconds), who], { encoding: 'utf8', cwd: folder });
    if (run.status !== 0) {
      process.stderr.write(`${PEER_NAMES[who]}: ${run.error?.message ?? run.stderr.trim().split('\n').at(-1)}\n`);
      return null;
    }
    const bytes = readFileSync(join(folder, 'answers'));
    const answers = new Float64Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
    return { score: scoreOf(data, answers), seconds: (JSON.parse(run.stdout.trim().split('\n').at(-1)!) as { seconds: number }).seconds };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What peers have reached, in a file of lines that a later run reads again; without a file it is forgotten. */
class Remembered {
  private readonly file: string | undefined;
  private readonly known = new Map<string, Result>();

  constructor(file: string | undefined) {
    this.file = file;
    if (file === undefined || !existsSync(file)) return;
    for (const line of readFileSync(file, 'utf8').trim().split('\n')) {
      const [key, result] = JSON.parse(line) as [string, Result];
      this.known.set(key, result);
    }
  }

  get(key: string): Result | null {
    return this.known.get(key) ?? null;
  }

  keep(key: string, result: Result): void {
    this.known.set(key, result);
    if (this.file !== undefined) appendFileSync(this.file, `${JSON.stringify([key, result])}\n`);
  }
}

/** The place of each among those that answered: 1 is best, ties share the mean place. */
function ranksOf(scores: ReadonlyMap<Who, number>): Map<Who, number> {
  const all = [...scores.values()];
  return new Map(
    [...scores].map(([who, score]) => {
      const better = all.filter((other) => other > score).length;
      return [who, better + (all.filter((other) => other === score).length + 1) / 2];
    }),
  );
}

const mean = (values: readonly number[]): number => values.reduce((sum, v) => sum + v, 0) / values.length;
const option = (name: string): string | undefined => process.argv[process.argv.indexOf(name) + 1 || Number.NaN];

if (withoutData) {
  process.stderr.write(`${withoutData}\n`);
  process.exit(0);
}
const quick = process.argv.includes('--quick');
const budgets = quick ? [5] : (option('--budget') ?? '30,120').split(',').map(Number);
const splits = Math.min(SPLITS, quick ? 1 : Number(option('--splits') ?? 1));
const names = option('--sets')?.split(',');
const only = option('--only');
const tasks = names ? TASKS.filter((task) => names.includes(task.name)) : quick ? TASKS.slice(0, 3) : TASKS;
const remembered = new Remembered(option('--peers'));

async function resultOf(who: Who, task: Task, split: number, seconds: number, data: Divided): Promise<Result | null> {
  if (who === 'ours') return only === 'peers' ? null : ours(task, data, seconds);
  const key = [who, task.name, `split ${split + 1}`, `${seconds} s`].join(', ');
  const known = remembered.get(key);
  if (known !== null || only === 'ours') return known;
  const found = peer(who, task, data, seconds);
  if (found !== null) remembered.keep(key, found);
  return found;
}

/** Scores of all who answered, by split. */
async function contest(task: Task, seconds: number): Promise<Map<Who, number[]>> {
  const scores = new Map<Who, number[]>();
  for (let split = 0; split < splits; split++) {
    const data = divided(task, split);
    const told: string[] = [];
    for (const who of Object.keys(NAMES) as Who[]) {
      const result = await resultOf(who, task, split, seconds, data);
      if (result !== null) scores.set(who, [...(scores.get(who) ?? []), result.score]);
      told.push(`${NAMES[who]} ${result === null ? '–' : `${Math.abs(result.score).toPrecision(5)} (${result.seconds.toFixed(0)} s)`}`);
    }
    process.stderr.write(`${task.name}, ${seconds} s, split ${split + 1}: ${told.join('; ')}\n`);
  }
  return scores;
}

/** How far ours is behind the peer that is best over all splits, in % of its score, and the standard error of that over the splits. */
function behindBest(scores: ReadonlyMap<Who, readonly number[]>): { value: number; error: number | null } | null {
  const own = scores.get('ours');
  const peers = [...scores].filter(([who, all]) => who !== 'ours' && all.length === own?.length).map(([, all]) => all);
  if (own === undefined || peers.length === 0) return null;
  const best = peers.reduce((a, b) => (mean(b) > mean(a) ? b : a));
  const gaps = best.map((score, split) => ((score - own[split]!) / Math.abs(score)) * 100);
  const value = mean(gaps);
  const squares = gaps.reduce((sum, gap) => sum + (gap - value) ** 2, 0);
  return { value, error: gaps.length < 2 ? null : Math.sqrt(squares / (gaps.length - 1) / gaps.length) };
}

const pool = startPool(1);
lendHelpers(pool);
const figures: Record<string, Figure> = {};
const goals: Parameters<typeof report>[0]['goals'][number][] = [];
for (const seconds of budgets) {
  const ranks = new Map<Who, number[]>();
  const behind: number[] = [];
  const absent = new Set<Peer>();
  for (const task of tasks) {
    const scores = await contest(task, seconds);
    for (const who of NEEDED) if (scores.get(who)?.length !== splits) absent.add(who);
    const gap = behindBest(scores);
    if (gap === null) continue;
    for (const [who, rank] of ranksOf(new Map([...scores].map(([who, all]) => [who, mean(all)]))))
      ranks.set(who, [...(ranks.get(who) ?? []), rank]);
    behind.push(gap.value);
    const sure = gap.error === null ? '' : ` (± ${gap.error.toFixed(2)} over ${splits} splits)`;
    figures[`${seconds}s ${task.name}`] = { value: gap.value, unit: '%', title: `${seconds} s, ${task.name}: behind the best peer${sure}` };
  }
  if (only === 'peers') continue;
  goals.push({ figure: `${seconds}s behind`, at: 'most', value: 1 }, { figure: `${seconds}s lead`, at: 'least', value: 0 });
  for (const [who, all] of ranks)
    figures[`${seconds}s rank ${who}`] = { value: mean(all), title: `${seconds} s: mean rank of ${NAMES[who]}` };
  if (absent.size > 0) {
    const missing = [...absent].map((who) => PEER_NAMES[who]).join('; ');
    process.stderr.write(
      `${seconds} s can't be judged: not every task was answered by ${missing} (MILLRACE_PYTHON names a Python that has it)\n`,
    );
    continue;
  }
  figures[`${seconds}s behind`] = { value: Math.max(...behind), unit: '%', title: `${seconds} s: furthest behind the best peer` };
  const rivals = [...ranks].filter(([who]) => who !== 'ours').map(([, all]) => mean(all));
  figures[`${seconds}s lead`] = {
    value: Math.min(...rivals) - mean(ranks.get('ours')!),
    title: `${seconds} s: mean rank ahead of the next`,
  };
}
await pool.close();
report({ bench: 'automl', figures, goals });
