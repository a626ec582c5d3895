/** OPTIONS of CREATE MODEL that say how trees grow: BigQuery ML's names where it has the thing, else XGBoost's. */
import type { Plan } from '#learn';
import type { OptionValue } from '#sql';

export type Draft = { -readonly [K in keyof Omit<Plan, 'trees' | 'linear'>]: Plan[K] } & {
  readonly trees: { -readonly [K in keyof NonNullable<Plan['trees']>]: NonNullable<Plan['trees']>[K] };
  readonly linear: { -readonly [K in keyof NonNullable<Plan['linear']>]: NonNullable<Plan['linear']>[K] };
  alias: string;
};

export type Setter = (draft: Draft, value: OptionValue, refuse: (problem: string) => never) => void;

export const number: (set: (draft: Draft, value: number) => void) => Setter = (set) => (draft, value, refuse) => {
  if (typeof value !== 'number') refuse(`must be a number, and is ${String(value)}`);
  set(draft, value as number);
};

export const flag: (set: (draft: Draft, value: boolean) => void) => Setter = (set) => (draft, value, refuse) => {
  if (typeof value !== 'boolean') refuse('is true or false');
  set(draft, value as boolean);
};

type Loss = NonNullable<NonNullable<Plan['trees']>['loss']>;

/** XGBoost's names. Its pseudo-Huber loss is another one than Huber's own, which is LightGBM's `huber`. */
const OBJECTIVES: Readonly<Record<string, Loss>> = {
  'reg:squarederror': 'squared',
  'reg:absoluteerror': 'absolute',
  'reg:quantileerror': 'quantile',
  'count:poisson': 'poisson',
  'reg:gamma': 'gamma',
  'reg:tweedie': 'tweedie',
  huber: 'huber',
};

const POLICIES: Readonly<Record<string, 'leaf' | 'depth'>> = { lossguide: 'leaf', depthwise: 'depth' };

const choice = <T>(choices: Readonly<Record<string, T>>, value: OptionValue, refuse: (problem: string) => never): T =>
  typeof value === 'string' && Object.hasOwn(choices, value.toLowerCase())
    ? choices[value.toLowerCase()]!
    : refuse(`is one of ${Object.keys(choices).join(', ')}`);

/** STRUCT(…, …), … as lists of their values. */
function structs(value: OptionValue, problem: string, refuse: (problem: string) => never): (readonly unknown[])[] {
  if (!Array.isArray(value) || value.length === 0) return refuse(problem);
  return value.map((each) => (Array.isArray(each) ? each : refuse(problem)));
}

type Trees = Draft['trees'];
type NumberOf = { [K in keyof Trees]-?: NonNullable<Trees[K]> extends number ? K : never }[keyof Trees];

/** Options that are a number, and the setting that each is. */
const NUMBERS: Readonly<Record<string, NumberOf>> = {
  max_tree_depth: 'maxDepth',
  max_leaves: 'maxLeaves',
  max_bin: 'maxBins',
  learn_rate: 'learningRate',
  subsample: 'rowSample',
  colsample_bytree: 'columnSample',
  colsample_bynode: 'splitColumnSample',
  min_split_loss: 'minGain',
  min_tree_child_weight: 'minChildWeight',
  quantile_alpha: 'alpha',
  huber_slope: 'delta',
  tweedie_variance_power: 'power',
};

const numbers = Object.entries(NUMBERS).map(([option, setting]): [string, Setter] => [
  option,
  number(({ trees }, value) => {
    trees[setting] = value;
  }),
]);

export const treeOptions: Readonly<Record<string, Setter>> = {
  ...Object.fromEntries(numbers),
  grow_policy: ({ trees }, value, refuse) => {
    trees.growth = choice(POLICIES, value, refuse);
  },
  extra_trees: flag(({ trees }, value) => {
    trees.randomCuts = value;
  }),
  objective: ({ trees }, value, refuse) => {
    trees.loss = choice(OBJECTIVES, value, refuse);
  },
  monotone_constraints: ({ trees }, value, refuse) => {
    const problem = "is a list of columns and 1 (rises) or -1 (falls): [STRUCT('age', 1), STRUCT('price', -1)]";
    const directions = structs(value, problem, refuse).map(([column, direction, ...more]): [string, 1 | -1] => {
      const fits = typeof column === 'string' && (direction === 1 || direction === -1) && more.length === 0;
      return fits ? [column, direction] : refuse(problem);
    });
    const twice = directions.find(([column], at) => directions.findIndex(([other]) => other === column) !== at);
    if (twice !== undefined) refuse(`has "${twice[0]}" twice`);
    trees.monotone = Object.fromEntries(directions);
  },
  interaction_constraints: ({ trees }, value, refuse) => {
    const problem = "is a list of columns that may meet in a tree: [STRUCT('age', 'price'), STRUCT('country')]";
    trees.interactions = structs(value, problem, refuse).map((group) =>
      group.map((column) => (typeof column === 'string' ? column : refuse(problem))),
    );
  },
};

/** Options of a loss, and the loss whose they are. */
export const LOSS_OPTIONS: Readonly<Record<string, Loss>> = {
  quantile_alpha: 'quantile',
  huber_slope: 'huber',
  tweedie_variance_power: 'tweedie',
};

/** The objective of that loss. */
export const objectiveOf = (loss: Loss): string => Object.keys(OBJECTIVES).find((name) => OBJECTIVES[name] === loss)!;
