/** The feature functions of TRANSFORM: learned once from the training rows, then the same arithmetic in SQL, over HTTP and in the exported script. */
import type { Cell, Feature, FeatureCall } from '#analyze';
import { combinations, fail } from '#core';
import { type ColumnData, parseNumber, parseTime } from '#learn';

interface FeatureFunction {
  /** The most arguments behind the columns. */
  readonly most: number;
  /** It is of combinations of columns. */
  readonly several?: Several;
  readonly fit: (taken: Taken) => Feature['does'];
}

/** Combinations of at least so many columns, in which one may stand again. */
interface Several {
  readonly least: number;
  readonly again: boolean;
}

/** Functions by name: what they take, and what they learn from the columns named. */
const FUNCTIONS: Readonly<Record<string, FeatureFunction>> = {
  BUCKETIZE: {
    most: 3,
    fit: ({ list, flag, must }) => {
      must(3, 'bucket_names');
      const edges = list(1).sort((a, b) => a - b);
      return { kind: 'bucket', edges: flag(2, false) ? edges.slice(1, -1) : edges };
    },
  },
  QUANTILE_BUCKETIZE: {
    most: 2,
    fit: ({ numbers, value, must }) => {
      must(2, 'bucket_names');
      const sorted = numbers();
      const count = value(1, 2, 10_000);
      const edges = Array.from({ length: count - 1 }, (_, k) => quantile(sorted, (k + 1) / count));
      return { kind: 'bucket', edges: [...new Set(edges)] };
    },
  },
  STANDARD_SCALER: {
    most: 0,
    fit: ({ numbers }) => {
      const known = numbers();
      const mean = known.reduce((sum, v) => sum + v / known.length, 0);
      const deviation = Math.sqrt(known.reduce((sum, v) => sum + (v - mean) ** 2 / known.length, 0));
      return { kind: 'scale', offset: mean, by: deviation || 1 };
    },
  },
  MIN_MAX_SCALER: {
    most: 0,
    fit: ({ numbers }) => {
      const known = numbers();
      return { kind: 'scale', offset: known[0]!, by: known.at(-1)! - known[0]! || 1 };
    },
  },
  MAX_ABS_SCALER: {
    most: 0,
    fit: ({ numbers }) => {
      const known = numbers();
      return { kind: 'scale', offset: 0, by: Math.max(Math.abs(known[0]!), Math.abs(known.at(-1)!)) || 1 };
    },
  },
  ROBUST_SCALER: {
    most: 3,
    fit: ({ numbers, list, flag, call, refuse }) => {
      const known = numbers();
      const [low, high, ...more] = call.values.length > 0 ? list(1) : [25, 75];
      if (more.length > 0 || !(low! >= 0 && low! < high! && high! <= 100)) refuse('takes two percentages, the lower first: [25, 75]');
      const range = quantile(known, high! / 100) - quantile(known, low! / 100);
      return { kind: 'scale', offset: flag(2, true) ? quantile(known, 0.5) : 0, by: (flag(3, true) && range) || 1 };
    },
  },
  IMPUTER: {
    most: 1,
    fit: ({ numbers, counts, text }) => {
      const how = text(1, ['mean', 'median', 'most_frequent']);
      if (how === 'most_frequent') return { kind: 'fill', value: counts()[0]![0] };
      const known = numbers();
      return { kind: 'fill', value: how === 'median' ? quantile(known, 0.5) : known.reduce((sum, v) => sum + v / known.length, 0) };
    },
  },
  // The learners have a column for each level themselves; these say which levels are worth one.
  ONE_HOT_ENCODER: {
    most: 3,
    fit: (taken) => {
      taken.must(1, 'none');
      return levels(taken, 2);
    },
  },
  LABEL_ENCODER: { most: 2, fit: (taken) => levels(taken, 1) },
  FEATURE_CROSS: { most: 1, several: { least: 2, again: false }, fit: () => ({ kind: 'cross' }) },
  POLYNOMIAL_EXPAND: {
    most: 1,
    several: { least: 1, again: true },
    fit: ({ kinds, refuse }) => (kinds.every((kind) => kind === 'number') ? { kind: 'product' } : refuse('takes numbers')),
  },
};

const MOST_FIELDS = 10;
const MOST_DEGREE = 4;

/** A call of several columns is a feature for each combination of them up to its degree (2), `as_a_b` …; one alone keeps the call's name. */
function spread(call: FeatureCall, { least, again }: Several, refuse: (problem: string) => never): FeatureCall[] {
  const { columns, values, as } = call;
  const degree = values[0] ?? 2;
  if (typeof degree !== 'number' || !Number.isInteger(degree) || degree < least || degree > MOST_DEGREE)
    return refuse(`takes a number from ${least} to ${MOST_DEGREE}`);
  // One alone is joined with nothing: its values are categories all the same.
  if (columns.length === 1 && !again) return [call];
  const named = new Set(columns.map((column) => column.toLowerCase()));
  if (columns.length < least || columns.length > MOST_FIELDS || named.size < columns.length)
    return refuse(`takes ${least} to ${MOST_FIELDS} different columns, as STRUCT(a, b)`);
  const found = combinations(columns, degree, again).filter((taken) => taken.length >= least);
  return found.map((taken) => ({ ...call, columns: taken, as: found.length === 1 ? as : `${as}_${taken.join('_')}` }));
}

/** The `most` frequent levels that stand in at least `least` rows; the two numbers are the arguments from `at` on. Their defaults are BigQuery's. */
function levels({ counts, value, call }: Taken, at: number): Feature['does'] {
  const most = call.values.length >= at ? value(at, 1, 1_000_000) : 32_000;
  const least = call.values.length > at ? value(at + 1, 0, 1e12) : 5;
  return {
    kind: 'keep',
    levels: counts()
      .filter(([, count]) => count >= least)
      .slice(0, most)
      .map(([level]) => String(level)),
  };
}

/** A call with what it may ask of its arguments and its column. */
interface Taken {
  readonly call: FeatureCall;
  /** Known numbers, ascending; at least one. */
  readonly numbers: () => Float64Array;
  /** Known values with their counts, the most frequent first. */
  readonly counts: () => [string | number, number][];
  readonly list: (at: number) => number[];
  readonly value: (at: number, least: number, most: number) => number;
  readonly text: (at: number, of: readonly string[]) => string;
  readonly flag: (at: number, otherwise: boolean) => boolean;
  /** Refuses any other word there than the one that says what is done anyway. */
  readonly must: (at: number, word: string) => void;
  readonly kinds: readonly ColumnData['kind'][];
  readonly refuse: (problem: string) => never;
}

/** Linear between the two nearest of the sorted values (type 7 of Hyndman and Fan 1996). */
function quantile(sorted: Float64Array, share: number): number {
  const place = (sorted.length - 1) * share;
  const low = Math.floor(place);
  return sorted[low]! + (sorted[Math.min(low + 1, sorted.length - 1)]! - sorted[low]!) * (place - low);
}

/** Learns what the calls need from the training table. MODEL_OPTION for a call that makes no sense. */
export function fitFeatures(calls: readonly FeatureCall[], columns: readonly ColumnData[]): Feature[] {
  return calls.flatMap((given) => {
    const refuse = (problem: string): never => fail('MODEL_OPTION', { option: `ML.${given.name}`, problem });
    const fit = FUNCTIONS[given.name] ?? refuse(`is no feature function; there are ${Object.keys(FUNCTIONS).join(', ')}`);
    if (given.values.length > fit.most)
      refuse(fit.most === 0 ? 'takes its column only' : `takes at most ${fit.most} arguments behind its column`);
    if (given.columns.length !== 1 && fit.several === undefined) refuse('takes one column first');
    return (fit.several === undefined ? [given] : spread(given, fit.several, refuse)).map((call) => fitted(call, fit, columns, refuse));
  });
}

function fitted(call: FeatureCall, fit: FeatureFunction, columns: readonly ColumnData[], refuse: (problem: string) => never): Feature {
  const sources = call.columns.map(
    (asked) => columns.find(({ name }) => name.toLowerCase() === asked.toLowerCase()) ?? refuse(`finds no column "${asked}"`),
  );
  const own = sources[0]!;
  const taken: Taken = {
    call,
    numbers() {
      if (own.kind === 'text') return refuse(`takes numbers, and "${own.name}" is text`);
      const known = own.values.filter(Number.isFinite).sort();
      return known.length > 0 ? known : refuse(`learns nothing from "${own.name}", which is empty`);
    },
    counts() {
      const found = new Map<string | number, number>();
      for (const value of own.values) {
        const level = readCell(value);
        if (level !== null) found.set(level, (found.get(level) ?? 0) + 1);
      }
      if (found.size === 0) refuse(`learns nothing from "${own.name}", which is empty`);
      return [...found].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
    },
    list(at) {
      const given = call.values[at - 1];
      if (!Array.isArray(given) || given.length === 0 || given.some((each) => typeof each !== 'number'))
        return refuse('takes a list of numbers');
      return [...given] as number[];
    },
    value(at, least, most) {
      const given = call.values[at - 1];
      return typeof given === 'number' && given >= least && given <= most
        ? given
        : refuse(least === most ? `takes ${least} as argument ${at + 1}` : `takes a number from ${least} to ${most}`);
    },
    text(at, of) {
      const given = String(call.values[at - 1]).toLowerCase();
      return of.includes(given) ? given : refuse(`takes one of ${of.join(', ')}`);
    },
    flag(at, otherwise) {
      const given = call.values[at - 1] ?? otherwise;
      return typeof given === 'boolean' ? given : refuse(`takes TRUE or FALSE as argument ${at + 1}`);
    },
    must(at, word) {
      const given = call.values[at - 1] ?? word;
      if (String(given).toLowerCase() !== word) refuse(`takes '${word}' only as argument ${at + 1}`);
    },
    kinds: sources.map(({ kind }) => kind),
    refuse,
  };
  return { as: call.as, columns: sources.map(({ name }) => name), kinds: sources.map(({ kind }) => kind), does: fit.fit(taken) };
}

/** Whether its values are categories, however they are spelled: bins, levels and joined texts. */
export const makesCategories = ({ kind }: Feature['does']): boolean => kind === 'bucket' || kind === 'keep' || kind === 'cross';

export const makesNumbers = ({ kind }: Feature['does'], of: ColumnData['kind']): boolean =>
  kind === 'scale' || kind === 'product' || (kind === 'fill' && of !== 'text');

/** As learning reads it: a text has no blanks around it, and is missing where it is nothing else. */
function readCell(cell: Cell): Cell {
  const read = typeof cell === 'string' ? cell.trim() : cell;
  return read === '' || Number.isNaN(read) ? null : read;
}

/** What was a number, a time or a text in training, however it is written now. MODEL_INPUT for a text that is none. */
function inKind(cell: Cell, kind: ColumnData['kind'] | undefined, column: string): Cell {
  const read = readCell(cell);
  if (read === null || kind === undefined) return read;
  if (kind === 'text') return String(read);
  if (typeof read === 'number') return read;
  const parsed = kind === 'time' ? parseTime(read) : parseNumber(read);
  const expected = kind === 'time' ? 'dates or times' : 'numbers';
  return parsed ?? fail('MODEL_INPUT', { column, value: `the text "${read.slice(0, 40)}"`, expected });
}

/** The value of a feature, from the values of its columns. MODEL_INPUT. */
function featureValue({ does, columns, kinds }: Feature, cells: readonly Cell[]): Cell {
  const read = cells.map((cell, k) => inKind(cell, kinds?.[k], columns[k]!));
  const cell = read[0] ?? null;
  const number = cell === null ? Number.NaN : Number(cell);
  switch (does.kind) {
    case 'scale':
      return Number.isNaN(number) ? null : (number - does.offset) / does.by;
    case 'bucket':
      return Number.isNaN(number) ? null : `bin_${1 + does.edges.filter((edge) => number >= edge).length}`;
    case 'fill':
      return cell ?? does.value;
    case 'keep':
      return cell === null ? null : does.levels.includes(String(cell)) ? String(cell) : 'other';
    case 'cross':
      return read.includes(null) ? null : read.join('_');
    case 'product':
      return read.includes(null) ? null : read.reduce<number>((product, each) => product * Number(each), 1);
  }
}

/** The columns with those that the features make, which replace others of their name. */
export function withFeatures(features: readonly Feature[], columns: readonly ColumnData[]): ColumnData[] {
  const made = features.map((feature): ColumnData | null => {
    const own = feature.columns.map((name) => columns.find((column) => column.name === name));
    // The model says itself what it misses.
    if (own.some((column) => column === undefined)) return null;
    const rows = own[0]!.values.length;
    const cells = Array.from({ length: rows }, (_, row) =>
      featureValue(
        feature,
        own.map((column) => column!.values[row] ?? null),
      ),
    );
    const kind = feature.kinds?.[0] ?? own[0]!.kind;
    if (makesNumbers(feature.does, kind))
      return { name: feature.as, kind: 'number', values: Float64Array.from(cells, (cell) => (cell as number | null) ?? Number.NaN) };
    return { name: feature.as, kind: 'text', values: cells as (string | null)[] };
  });
  const found = made.filter((column) => column !== null);
  return [...columns.filter(({ name }) => !features.some(({ as }) => as === name)), ...found];
}

/**
 * Adds the values that the features make to a row, as if what is absent in it were null. `reads` are the columns that the model reads.
 * MODEL_INPUT for a row with none of what it and the features read.
 */
export function rowMaker(
  features: readonly Feature[],
  reads: readonly string[],
): (row: Readonly<Record<string, unknown>>) => Readonly<Record<string, unknown>> {
  const others = reads.filter((name) => !features.some(({ as }) => as === name));
  const names = [...new Set([...features.flatMap(({ columns }) => columns), ...others])];
  return (row) => {
    if (features.length === 0) return row;
    if (!names.some((name) => Object.hasOwn(row, name)))
      fail('MODEL_INPUT', { column: names[0]!, value: 'a row with none of its columns', expected: `a row with "${names[0]}"` });
    const made: Record<string, unknown> = { ...row };
    for (const feature of features) {
      const cells = feature.columns.map((column, k) => cellOf(Object.hasOwn(row, column) ? row[column] : null, feature.kinds?.[k], column));
      made[feature.as] = featureValue(feature, cells);
    }
    return made;
  };
}

function cellOf(value: unknown, kind: ColumnData['kind'] | undefined, column: string): Cell {
  if (typeof value === 'string' || typeof value === 'number') return value;
  if (value === null || value === undefined) return null;
  if (typeof value === 'boolean') return kind === 'text' ? String(value) : Number(value);
  if (typeof value === 'bigint') return Number(value);
  if (value instanceof Date) return value.getTime();
  return fail('MODEL_INPUT', { column, value: `a value of type ${typeof value}`, expected: 'single values' });
}
