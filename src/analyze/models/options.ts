/** OPTIONS of CREATE MODEL, BigQuery ML's names first, as a training plan. */
import { fail } from '#core';
import { forests, type Plan, sharePrior } from '#learn';
import type { OptionValue } from '#sql';
import type { Settings, TrainingOrder } from './model.ts';
import { type Draft, flag, LOSS_OPTIONS, number, objectiveOf, type Setter, treeOptions } from './tree-options.ts';

export interface Ordered {
  readonly type: string;
  readonly plan: Plan;
  /** What the new version is to be called; the champion unless said otherwise. */
  readonly alias: string;
  readonly brought: TrainingOrder['brought'];
  readonly clustering: TrainingOrder['clustering'];
}

type Kind = Pick<Plan, 'task' | 'learner' | 'trees'>;

/** Model types, with the part of a plan that they stand for. */
const TYPES: Readonly<Record<string, Kind>> = {
  AUTOML: { task: 'auto', learner: 'auto' },
  AUTOML_CLASSIFIER: { task: 'classification', learner: 'auto' },
  AUTOML_REGRESSOR: { task: 'regression', learner: 'auto' },
  BOOSTED_TREE_CLASSIFIER: { task: 'classification', learner: 'trees' },
  BOOSTED_TREE_REGRESSOR: { task: 'regression', learner: 'trees' },
  RANDOM_FOREST_CLASSIFIER: { task: 'classification', learner: 'trees', trees: { ...forests.randomForest, ...sharePrior } },
  RANDOM_FOREST_REGRESSOR: { task: 'regression', learner: 'trees', trees: forests.randomForest },
  NAIVE_BAYES: { task: 'classification', learner: 'bayes' },
  LOGISTIC_REG: { task: 'classification', learner: 'linear' },
  LINEAR_REG: { task: 'regression', learner: 'linear' },
};

const SPLITS: Readonly<Record<string, NonNullable<Plan['split']>['kind']>> = {
  AUTO_SPLIT: 'auto',
  RANDOM: 'random',
  CUSTOM: 'custom',
  SEQ: 'time',
  GROUP: 'group',
  NO_SPLIT: 'none',
};

const share: (set: (draft: Draft, value: number) => void) => Setter = (set) => (draft, value, refuse) => {
  if (typeof value !== 'number' || !(value >= 0.01 && value <= 0.9))
    refuse(`is a share of the rows from 0.01 to 0.9, and is ${String(value)}`);
  set(draft, value as number);
};

const weightColumn: Setter = (draft, value, refuse) => {
  if (typeof value !== 'string') refuse('names a column');
  draft.weight = value as string;
};

/** Every option; ranges are the plan's own (LEARN_PLAN). */
const OPTIONS: Readonly<Record<string, Setter>> = {
  model_type: () => {},
  input_label_cols: (draft, value, refuse) => {
    if (!Array.isArray(value) || value.length !== 1 || typeof value[0] !== 'string') refuse("names one column: ['label']");
    draft.target = (value as readonly string[])[0]!;
  },
  data_split_method: (draft, value, refuse) => {
    const kind = SPLITS[String(value).toUpperCase()] ?? refuse(`is one of ${Object.keys(SPLITS).join(', ')}`);
    draft.split = { ...draft.split, kind };
  },
  data_split_col: (draft, value, refuse) => {
    if (typeof value !== 'string') refuse('names a column');
    draft.split = { kind: 'auto', ...draft.split, column: value as string };
  },
  data_split_eval_fraction: share((draft, value) => {
    // Without a search nothing is chosen: the rows to evaluate by are those that the model is judged on.
    draft.split = { kind: 'auto', ...draft.split, ...(draft.learner === 'auto' ? { choose: value } : { judge: value }) };
  }),
  data_split_test_fraction: share((draft, value) => {
    draft.split = { kind: 'auto', ...draft.split, judge: value };
  }),
  budget: (draft, value, refuse) => {
    draft.budget = { ...draft.budget, millis: durationOf(value) ?? refuse("is a time such as '30 seconds', '5m' or a number of seconds") };
  },
  budget_hours: number((draft, value) => {
    draft.budget = { ...draft.budget, millis: value * 3_600_000 };
  }),
  num_trials: number((draft, value) => {
    draft.budget = { ...draft.budget, trials: value };
  }),
  weight_col: weightColumn,
  instance_weight_col: weightColumn,
  auto_class_weights: flag((draft, value) => {
    if (value) draft.classWeights = 'balanced';
  }),
  class_weights: (draft, value, refuse) => {
    const problem = "is a list of labels and what a row of each counts: [STRUCT('yes', 3.0), STRUCT('no', 1.0)]";
    if (!Array.isArray(value) || value.length === 0) refuse(problem);
    const weights = (value as readonly unknown[]).map((each): [string, number] => {
      const [label, weight] = Array.isArray(each) && each.length === 2 ? (each as [unknown, unknown]) : refuse(problem);
      if (label === null || typeof weight !== 'number') refuse(problem);
      return [typeof label === 'boolean' ? String(Number(label)) : String(label), weight as number];
    });
    const twice = weights.find(([label], at) => weights.findIndex(([other]) => other === label) !== at);
    if (twice !== undefined) refuse(`has "${twice[0]}" twice`);
    draft.classWeights = Object.fromEntries(weights);
  },
  ignore_cols: (draft, value, refuse) => {
    if (!Array.isArray(value) || value.some((each) => typeof each !== 'string')) refuse("is a list of columns: ['a', 'b']");
    draft.ignore = value as readonly string[];
  },
  seed: number((draft, value) => {
    draft.seed = value;
  }),
  max_iterations: number((draft, value) => {
    draft.trees.rounds = value;
    draft.linear.iterations = value;
  }),
  num_parallel_tree: number((draft, value) => {
    draft.trees.rounds = value;
  }),
  ...treeOptions,
  l1_reg: number((draft, value) => {
    draft.trees.l1 = value;
    draft.linear.l1 = value;
  }),
  l2_reg: number((draft, value) => {
    draft.trees.l2 = value;
    draft.linear.l2 = value;
  }),
  label_time_col: (draft, value, refuse) => {
    if (typeof value !== 'string') refuse('names a column');
    draft.moment = value as string;
  },
  hit_value: number((draft, value) => {
    draft.money = { contact: 0, ...draft.money, hit: value };
  }),
  contact_cost: number((draft, value) => {
    draft.money = { hit: 0, ...draft.money, contact: value };
  }),
  alias: (draft, value, refuse) => {
    draft.alias = typeof value === 'string' && isAlias(value) ? value : refuse('is a name of a–z, 0–9 and _, such as challenger');
  },
};

export const isAlias = (text: string): boolean => /^[a-z][a-z0-9_]{0,62}$/.test(text);

/** Errors: MODEL_TYPE, MODEL_OPTION. `columns` are those of the training table: without input_label_cols one of them is named label. */
export function readOptions(options: Readonly<Record<string, OptionValue>>, columns: readonly string[]): Ordered {
  const type = String(options['model_type'] ?? 'AUTOML').toUpperCase();
  if (type === 'KMEANS') return readClusterOptions(options, columns);
  const whole = TYPES[type] ?? fail('MODEL_TYPE', { type: type.slice(0, 50) });
  checkMeaning(whole, options);
  const { trees: base, ...kind } = whole;
  const draft: Draft = { target: 'label', ...kind, trees: {}, linear: {}, alias: 'champion' };
  for (const [option, value] of Object.entries(options)) {
    const refuse = (problem: string): never => fail('MODEL_OPTION', { option, problem });
    const set = Object.hasOwn(OPTIONS, option) ? OPTIONS[option] : undefined;
    (set ?? refuse(`is not known; options are ${Object.keys(OPTIONS).join(', ')}`))(draft, value, refuse);
  }
  const { alias, trees, linear, target, split, ignore, ...rest } = draft;
  const written = columns.find((column) => column === target) ?? columns.find((column) => column.toLowerCase() === target.toLowerCase());
  if (written === undefined)
    fail('MODEL_OPTION', { option: 'input_label_cols', problem: `must name a column of the query; "${target}" is none` });
  checkLoss(trees, options);
  checkNamed(draft, columns);
  const { monotone, ...others } = trees;
  const unused = kind.learner === 'auto' || kind.learner === 'bayes' ? Object.keys({ ...others, ...linear }) : [];
  if (unused.length > 0)
    fail('MODEL_OPTION', {
      option: 'for one learner',
      problem: `can't be set for ${type}, which chooses its settings (${unused.join(', ')})`,
    });
  const ignored = [...namedColumns(ignore ?? [], columns), ...splitColumn(split, columns, options)];
  const extra = isForest(whole) && trees.randomCuts === true ? { ...forests.extraTrees, l2: base?.l2 ?? 0 } : base;
  const grown = kind.learner === 'trees' ? { ...extra, ...trees } : kind.learner === 'auto' && monotone !== undefined ? { monotone } : null;
  const settings = kind.learner === 'linear' ? { linear } : grown === null ? {} : { trees: grown };
  const parts = { ...(split !== undefined && { split }), ...(ignored.length > 0 && { ignore: ignored }) };
  return { type, plan: { ...rest, ...parts, target: written!, ...settings }, alias, brought: null, clustering: null };
}

/** Columns by the table's own spelling. One that is misspelled would be learned from without a word: MODEL_OPTION. */
function namedColumns(ignore: readonly string[], columns: readonly string[]): string[] {
  return ignore.map(
    (given) =>
      columns.find((column) => column === given) ??
      columns.find((column) => column.toLowerCase() === given.toLowerCase()) ??
      fail('MODEL_OPTION', { option: 'ignore_cols', problem: `must name columns of the query; "${given}" is none` }),
  );
}

/** The column that the split was told to go by: it is none to learn from, as in BigQuery ML. MODEL_OPTION where the options don't fit each other. */
function splitColumn(split: Plan['split'], columns: readonly string[], options: Readonly<Record<string, OptionValue>>): string[] {
  const refuse = (option: string, problem: string): never => fail('MODEL_OPTION', { option, problem });
  const method = String(options['data_split_method'] ?? 'AUTO_SPLIT').toUpperCase();
  const fractions = ['data_split_eval_fraction', 'data_split_test_fraction'].filter((option) => option in options);
  if (fractions.length > 0 && (method === 'CUSTOM' || method === 'NO_SPLIT')) refuse(fractions[0]!, `says nothing with ${method}`);
  if (split?.column === undefined) return method === 'CUSTOM' ? refuse('data_split_col', 'must name the column that CUSTOM goes by') : [];
  if (method === 'NO_SPLIT' || method === 'RANDOM' || method === 'AUTO_SPLIT')
    refuse('data_split_col', `is for SEQ, GROUP and CUSTOM; ${method} goes by none`);
  if (!columns.includes(split.column)) refuse('data_split_col', `must name a column of the query; "${split.column}" is none`);
  return [split.column];
}

/** Options that would be taken and change nothing, or not what their name says. */
const MEANINGLESS: readonly { readonly of: (kind: Kind) => boolean; readonly options: readonly string[]; readonly reason: string }[] = [
  { of: isForest, options: ['learn_rate'], reason: 'is for boosted trees; the trees of a random forest count alike' },
  {
    of: isForest,
    options: ['max_iterations'],
    reason: 'is for boosted trees; num_parallel_tree says how many trees a random forest has',
  },
  {
    of: (kind) => !isForest(kind),
    options: ['num_parallel_tree'],
    reason: 'is for random forests; boosted trees grow one after the other (max_iterations)',
  },
  {
    of: ({ learner }) => learner === 'linear',
    options: Object.keys(treeOptions),
    reason: 'is for trees; a linear model has max_iterations, l1_reg and l2_reg',
  },
  {
    of: ({ learner, task, trees }) => learner !== 'trees' || task !== 'regression' || trees !== undefined,
    options: ['objective', ...Object.keys(LOSS_OPTIONS)],
    reason: 'is for BOOSTED_TREE_REGRESSOR; the others have one loss',
  },
  {
    of: ({ learner }) => learner === 'bayes',
    options: ['monotone_constraints'],
    reason: 'is for trees; naive Bayes is bound to no direction',
  },
  {
    of: ({ task }) => task === 'regression',
    options: ['hit_value', 'contact_cost'],
    reason: 'is for a label of two classes; a number is not hit or missed',
  },
  {
    of: ({ task }) => task === 'regression',
    options: ['auto_class_weights', 'class_weights'],
    reason: 'is for classes; a number has none',
  },
  {
    of: ({ learner }) => learner !== 'auto',
    options: ['data_split_test_fraction'],
    reason: 'is for AUTOML*, which chooses by other rows; without a search data_split_eval_fraction says what is held out',
  },
];

function isForest({ trees }: Kind): boolean {
  return trees !== undefined;
}

function checkNamed({ trees, moment }: Draft, columns: readonly string[]): void {
  for (const [option, named] of Object.entries({
    monotone_constraints: Object.keys(trees.monotone ?? {}),
    interaction_constraints: trees.interactions?.flat() ?? [],
    label_time_col: moment === undefined ? [] : [moment],
  })) {
    const absent = named.find((column) => !columns.includes(column));
    if (absent !== undefined) fail('MODEL_OPTION', { option, problem: `must name a column of the query; "${absent}" is none` });
  }
}

/** A setting of one loss beside another says nothing. */
function checkLoss({ loss }: Draft['trees'], options: Readonly<Record<string, OptionValue>>): void {
  for (const [option, of] of Object.entries(LOSS_OPTIONS))
    if (option in options && loss !== of) fail('MODEL_OPTION', { option, problem: `is for objective = '${objectiveOf(of)}'` });
}

function checkMeaning(kind: Kind, options: Readonly<Record<string, OptionValue>>): void {
  const given = Object.keys(options);
  for (const { of, options: these, reason } of MEANINGLESS) {
    const option = of(kind) ? these.find((each) => given.includes(each)) : undefined;
    if (option !== undefined) fail('MODEL_OPTION', { option, problem: reason });
  }
  if (given.includes('weight_col') && given.includes('instance_weight_col'))
    fail('MODEL_OPTION', { option: 'instance_weight_col', problem: 'is weight_col by BigQuery’s name: give one of them' });
  if (given.includes('class_weights') && options['auto_class_weights'] === true)
    fail('MODEL_OPTION', { option: 'class_weights', problem: 'stands beside auto_class_weights: give one of them' });
  if (given.includes('contact_cost') && !given.includes('hit_value'))
    fail('MODEL_OPTION', { option: 'contact_cost', problem: 'needs hit_value, what acting on a right one brings' });
}

/** A list of single values as texts, or null. */
function wordsOf(value: OptionValue): string[] | null {
  return Array.isArray(value) && value.every((each) => !Array.isArray(each)) ? value.map(String) : null;
}

/** Options of clusters; without num_clusters there are as many as the silhouettes say. MODEL_OPTION. */
function readClusterOptions(options: Readonly<Record<string, OptionValue>>, columns: readonly string[]): Ordered {
  const draft: { -readonly [K in keyof NonNullable<Ordered['clustering']>]: NonNullable<Ordered['clustering']>[K] } = {};
  let alias = 'champion';
  for (const [option, value] of Object.entries(options)) {
    const refuse = (problem: string): never => fail('MODEL_OPTION', { option, problem });
    const whole = (least: number, most: number) =>
      typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most
        ? value
        : refuse(`is a whole number from ${least} to ${most}`);
    if (option === 'num_clusters') draft.clusters = whole(2, 100);
    else if (option === 'seed') draft.seed = whole(0, 2 ** 32 - 1);
    else if (option === 'ignore_cols') draft.ignore = namedColumns(wordsOf(value) ?? refuse("is a list of columns: ['a', 'b']"), columns);
    else if (option === 'alias')
      alias = typeof value === 'string' && isAlias(value) ? value : refuse('is a name of a–z, 0–9 and _, such as challenger');
    else if (option !== 'model_type') refuse('is not for KMEANS; there are num_clusters, ignore_cols, seed and alias');
  }
  return { type: 'KMEANS', plan: { target: 'centroid_id' }, alias, brought: null, clustering: draft };
}

/** Options of a model that is brought: its file, and what the file doesn't say. MODEL_OPTION. */
export function readBroughtOptions(options: Readonly<Record<string, OptionValue>>): Ordered {
  const draft = {
    target: 'label',
    alias: 'champion',
    path: '',
    columns: null as readonly string[] | null,
    classes: null as readonly string[] | null,
  };
  for (const [option, value] of Object.entries(options)) {
    const refuse = (problem: string): never => fail('MODEL_OPTION', { option, problem });
    const text = () => (typeof value === 'string' ? value : refuse('must be text'));
    const list = () => {
      const words = wordsOf(value);
      return words !== null && words.length > 0 ? words : refuse("is a list: ['a', 'b']");
    };
    if (option === 'model_path') draft.path = text();
    else if (option === 'input_cols') draft.columns = list();
    else if (option === 'classes') draft.classes = list();
    else if (option === 'input_label_cols') draft.target = list()[0]!;
    else if (option === 'alias') draft.alias = isAlias(text()) ? text() : refuse('is a name of a–z, 0–9 and _, such as challenger');
    else if (option !== 'model_type') refuse('is not for ONNX; there are model_path, input_cols, input_label_cols, classes and alias');
  }
  const { path, columns, classes, target, alias } = draft;
  if (path === '') fail('MODEL_OPTION', { option: 'model_path', problem: 'must name a file in the workspace’s folder models' });
  return { type: 'ONNX', plan: { target }, alias, brought: { path, columns, classes }, clustering: null };
}

/** What ALTER MODEL … SET OPTIONS sets, as JSON by name. MODEL_OPTION. */
export function readSettings(options: Readonly<Record<string, OptionValue>>): Record<keyof Settings, string> {
  const settings: Record<string, string> = {};
  for (const [option, value] of Object.entries(options)) {
    const refuse = (problem: string): never => fail('MODEL_OPTION', { option, problem });
    if (option === 'alias') continue;
    if (option === 'description' || option === 'log_topic') {
      if (value !== null && (typeof value !== 'string' || value.length > 10_000)) refuse('must be text, or NULL for none');
    } else if (option === 'log_share') {
      if (typeof value !== 'number' || !(value >= 0 && value <= 1)) refuse('is a share of the requests from 0 to 1');
    } else refuse('can’t be set; there are alias, description, log_topic and log_share');
    settings[option] = JSON.stringify(value);
  }
  return settings;
}

/** '30s', '5 minutes', 30 (seconds) → milliseconds; null for anything else. */
export function durationOf(value: OptionValue): number | null {
  if (typeof value === 'number') return value > 0 ? value * 1000 : null;
  const match = /^\s*(\d+(?:\.\d+)?)\s*(s|sec|seconds?|m|min|minutes?|h|hours?)\s*$/i.exec(String(value));
  if (match === null) return null;
  const unit = { s: 1000, m: 60_000, h: 3_600_000 }[match[2]![0]!.toLowerCase() as 's' | 'm' | 'h'];
  return Number(match[1]) * unit;
}
