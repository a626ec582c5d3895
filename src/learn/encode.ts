import { type Clock, fail } from '#core';
import { pack, unpackDoubles } from './base64.ts';
import { type Cell, type ColumnData, cell } from './columns.ts';
import { random, shuffled } from './random.ts';
import { known, parseNumber, parseTime, type Reading } from './read.ts';
import type { Feature } from './trees/bins.ts';

/**
 * How one column of the table becomes features, learned from training rows only; plain data, part of the model.
 * `statistics` stands for categories too many for one bin each: the target's mean by category, smoothed to the prior.
 */
export type Encoder =
  | { readonly kind: 'number'; readonly column: string }
  | { readonly kind: 'category'; readonly column: string; readonly levels: readonly string[] }
  | {
      readonly kind: 'statistics';
      readonly column: string;
      readonly levels: readonly string[];
      /** [(levels + 1) × outputs] packed doubles: a row for each level, the last for all others. */
      readonly means: string;
      readonly outputs: number;
    }
  /** With a clock what is read are instants, whose parts are those of the clock. */
  | { readonly kind: 'time'; readonly column: string; readonly hours: boolean; readonly clock?: Clock }
  | { readonly kind: 'text'; readonly column: string };

/** A feature and where it comes from. `cycle` counts the values of a part of a date (12 months), for learners that need them apart. */
export interface EncodedFeature extends Feature {
  readonly column: string;
  readonly cycle: number | null;
}

/** Rows as learners take them. `texts` are the free-text columns as they stand, for learners that read words. */
export interface Encoded {
  readonly rows: number;
  readonly features: readonly EncodedFeature[];
  readonly texts: readonly { readonly column: string; readonly values: readonly (string | null)[] }[];
}

/** What encoders that look at the target need of it: [rows × outputs] numbers whose means are to be learned, and what each row counts (left out: alike). */
export interface Outcome {
  readonly values: Float64Array;
  readonly outputs: number;
  readonly weights?: Float64Array;
}

/** Bin 0 is for missing values, so a byte has room for this many levels. */
const MOST_LEVELS = 254;
/** Spellings of a category that are remembered while a column is encoded. */
const MOST_SPELLINGS = 4096;
/** Rows of prior in a target mean: few rows of a category say little. */
const PRIOR_ROWS = 10;

type Spec = Omit<EncodedFeature, 'values' | 'column'>;

/** Chooses and fits an encoder for each column that is learned from. Encoders depend on the set of rows, not on their order. */
export function fitEncoders(readings: readonly Reading[], columns: readonly ColumnData[], outcome: Outcome): Encoder[] {
  const encoders: Encoder[] = [];
  readings.forEach((reading, at) => {
    const encoder = fitEncoder(reading, columns[at]!, outcome);
    if (encoder) encoders.push(encoder);
  });
  return encoders;
}

function fitEncoder(reading: Reading, column: ColumnData, outcome: Outcome): Encoder | null {
  const name = column.name;
  switch (reading.role) {
    case 'number':
      return { kind: 'number', column: name };
    case 'text':
      return { kind: 'text', column: name };
    case 'time':
      return timeEncoder(column);
    case 'category':
      return categoryEncoder(column, outcome);
    case 'id':
    case 'constant':
    case 'empty':
      return null;
  }
}

function timeEncoder(column: ColumnData): Encoder {
  const clock = column.kind === 'time' && column.clock !== undefined ? { clock: column.clock } : {};
  const encoder = { kind: 'time', column: column.name, hours: true, ...clock } as const;
  const local = localTime(encoder.clock);
  for (let i = 0; i < column.values.length; i++) {
    const time = coerce(encoder, cell(column, i));
    if (time !== null && local(time as number) % 86_400_000 !== 0) return encoder;
  }
  return { ...encoder, hours: false };
}

/** Whether a time is read by a clock, which older readers of models don't know. */
export const readsClock = (encoders: readonly Encoder[]): boolean =>
  encoders.some((encoder) => encoder.kind === 'time' && encoder.clock !== undefined);

/** What the clock shows at an instant, as milliseconds of a wall-clock time. */
function localTime(clock: Clock = []): (instant: number) => number {
  if (clock.length < 2) return (instant) => instant + (clock[0]?.[1] ?? 0);
  // Rows that stand together are mostly of one season.
  let from = 0;
  return (instant) => {
    const fits = (at: number) => (at === 0 || instant >= clock[at]![0]) && (at === clock.length - 1 || instant < clock[at + 1]![0]);
    if (!fits(from)) {
      let [low, high] = [0, clock.length];
      while (high - low > 1) {
        const middle = (low + high) >> 1;
        if (instant >= clock[middle]![0]) low = middle;
        else high = middle;
      }
      from = low;
    }
    return instant + clock[from]![1];
  };
}

function categoryEncoder(column: ColumnData, outcome: Outcome): Encoder {
  const counts = new Map<string, number>();
  for (let i = 0; i < column.values.length; i++) {
    const level = levelOf(cell(column, i));
    if (level !== null) counts.set(level, (counts.get(level) ?? 0) + 1);
  }
  const levels = [...counts.keys()].sort((a, b) => counts.get(b)! - counts.get(a)! || (a < b ? -1 : 1));
  if (levels.length <= MOST_LEVELS) return { kind: 'category', column: column.name, levels };
  const repeated = levels.filter((level) => counts.get(level)! > 1);
  const sums = sumByLevel(column, repeated, outcome);
  return { kind: 'statistics', column: column.name, levels: repeated, means: pack(sums.means()), outputs: outcome.outputs };
}

function levelOf(value: Cell): string | null {
  const level = known(value);
  return level === null ? null : String(level).trim();
}

function sumByLevel(column: ColumnData, levels: readonly string[], outcome: Outcome): LevelSums {
  const sums = new LevelSums(levels, outcome);
  for (let i = 0; i < column.values.length; i++) sums.add(sums.codeOf(levelOf(cell(column, i))), i);
  return sums;
}

/** Sums of the outcome by level, and the smoothed means that they give. Rows weigh 1 on average, so that the prior's rows are rows like them. */
class LevelSums {
  private readonly codes: ReadonlyMap<string, number>;
  private readonly counts: Float64Array;
  private readonly sums: Float64Array;
  private readonly prior: Float64Array;
  private readonly outcome: Outcome;
  private readonly weigh: (row: number) => number;

  constructor(levels: readonly string[], outcome: Outcome) {
    this.codes = new Map(levels.map((level, code) => [level, code]));
    this.counts = new Float64Array(levels.length + 1);
    this.sums = new Float64Array((levels.length + 1) * outcome.outputs);
    this.prior = new Float64Array(outcome.outputs);
    this.outcome = outcome;
    const { outputs, values, weights } = outcome;
    const rows = values.length / outputs;
    const mean = weights === undefined ? 1 : weights.reduce((sum, weight) => sum + weight, 0) / rows;
    this.weigh = weights === undefined ? () => 1 : (row) => weights[row]! / mean;
    for (let i = 0; i < values.length; i++) this.prior[i % outputs]! += (this.weigh(Math.floor(i / outputs)) * values[i]!) / rows;
  }

  codeOf(level: string | null): number {
    return (level === null ? undefined : this.codes.get(level)) ?? this.codes.size;
  }

  add(code: number, row: number): void {
    const { outputs, values } = this.outcome;
    const weight = this.weigh(row);
    this.counts[code]! += weight;
    for (let k = 0; k < outputs; k++) this.sums[code * outputs + k]! += weight * values[row * outputs + k]!;
  }

  mean(code: number, output: number): number {
    const { outputs } = this.outcome;
    const prior = this.prior[output]!;
    return (this.sums[code * outputs + output]! + prior * PRIOR_ROWS) / (this.counts[code]! + PRIOR_ROWS);
  }

  means(): Float64Array {
    const { outputs } = this.outcome;
    return this.sums.map((_, at) => this.mean(Math.floor(at / outputs), at % outputs));
  }
}

/** Encodes rows that the encoders were not fitted on. MODEL_INPUT where a column is absent or a value does not fit. */
export function encode(encoders: readonly Encoder[], columns: readonly ColumnData[]): Encoded {
  const rows = columns[0]?.values.length ?? 0;
  const features: EncodedFeature[] = [];
  const texts: Encoded['texts'][number][] = [];
  for (const encoder of encoders) {
    const column = columns.find((c) => c.name === encoder.column);
    if (!column) fail('MODEL_INPUT', { column: encoder.column, value: 'a table without this column', expected: expectation(encoder) });
    demandKind(encoder, column);
    features.push(...encodeColumn(encoder, column, rows));
    if (encoder.kind === 'text')
      texts.push({ column: encoder.column, values: Array.from({ length: rows }, (_, i) => textOf(cell(column, i))) });
  }
  return { rows, features, texts };
}

/** Times and numbers are both doubles: one in place of the other would be read without a word as what it is not. A column with no values fits anywhere. */
function demandKind(encoder: Encoder, { kind, values }: ColumnData): void {
  const fits = encoder.kind === 'time' ? kind !== 'number' : kind !== 'time';
  if (fits || !(values as Float64Array).some(Number.isFinite)) return;
  fail('MODEL_INPUT', {
    column: encoder.column,
    value: kind === 'time' ? 'a column of times' : 'a column of numbers',
    expected: expectation(encoder),
  });
}

function encodeColumn(encoder: Encoder, column: ColumnData, rows: number): EncodedFeature[] {
  const writer = writerOf(encoder);
  const width = writer.specs.length;
  const values = writer.specs.map(() => new Float64Array(rows));
  const one = new Float64Array(width);
  const finished = (): EncodedFeature[] => writer.specs.map((of, f) => ({ ...of, column: encoder.column, values: values[f]! }));
  // The two kinds that most columns are, without a call for each value: numbers as they are, and each spelling of a category looked at once.
  if (encoder.kind === 'number' && column.kind !== 'text') {
    for (let i = 0; i < rows; i++) values[0]![i] = Number.isFinite(column.values[i]!) ? column.values[i]! : Number.NaN;
    return finished();
  }
  if (encoder.kind === 'category' && column.kind === 'text') {
    const seen = new Map<string | null, number>();
    for (let i = 0; i < rows; i++) {
      const spelling = column.values[i] ?? null;
      let code = seen.get(spelling);
      if (code === undefined) {
        writer.write(coerce(encoder, spelling), one, 0);
        code = one[0]!;
        if (seen.size < MOST_SPELLINGS) seen.set(spelling, code);
      }
      values[0]![i] = code;
    }
    return finished();
  }
  for (let i = 0; i < rows; i++) {
    writer.write(coerce(encoder, cell(column, i)), one, 0);
    for (let f = 0; f < width; f++) values[f]![i] = one[f]!;
  }
  return finished();
}

/**
 * Encodes the very rows that the encoders were fitted on. Where an encoder has seen the target, each row gets the statistics of the
 * rows before it in a random order, so that no row's own answer leaks into its features (Prokhorenkova et al. 2018, ordered target statistics).
 */
export function encodeTraining(encoders: readonly Encoder[], columns: readonly ColumnData[], outcome: Outcome, seed: number): Encoded {
  const plain = encode(encoders, columns);
  const features = [...plain.features];
  encoders.forEach((encoder) => {
    if (encoder.kind !== 'statistics') return;
    const column = columns.find((c) => c.name === encoder.column)!;
    const first = features.findIndex((f) => f.column === encoder.column);
    orderedStatistics(encoder, column, outcome, seed).forEach((values, k) => {
      features[first + k] = { ...features[first + k]!, values };
    });
  });
  return { ...plain, features };
}

function orderedStatistics(encoder: Encoder & { kind: 'statistics' }, column: ColumnData, outcome: Outcome, seed: number): Float64Array[] {
  const rows = column.values.length;
  const sums = new LevelSums(encoder.levels, outcome);
  const values = Array.from({ length: outcome.outputs }, () => new Float64Array(rows));
  for (const row of shuffled(rows, random(seed))) {
    const code = sums.codeOf(levelOf(cell(column, row)));
    for (let k = 0; k < outcome.outputs; k++) values[k]![row] = sums.mean(code, k);
    sums.add(code, row);
  }
  return values;
}

/** The features that the encoders make, in the order of `encode`, and how many texts. */
export function shapeOf(encoders: readonly Encoder[]): {
  readonly features: readonly Omit<EncodedFeature, 'values'>[];
  readonly texts: number;
} {
  const features = encoders.flatMap((encoder) => writerOf(encoder).specs.map((spec) => ({ ...spec, column: encoder.column })));
  return { features, texts: encoders.filter(({ kind }) => kind === 'text').length };
}

/** One row of named values → features, in the order of `encode`. Absent values are missing. Built once for each model. */
export function rowEncoder(encoders: readonly Encoder[]): {
  readonly width: number;
  readonly write: (row: Readonly<Record<string, unknown>>, into: Float64Array) => void;
} {
  const writers = encoders.map((encoder) => ({ encoder, ...writerOf(encoder) }));
  const width = writers.reduce((sum, w) => sum + w.specs.length, 0);
  return {
    width,
    write(row, into) {
      let at = 0;
      for (const { encoder, specs, write } of writers) {
        write(coerce(encoder, cellOf(valueIn(row, encoder.column), encoder)), into, at);
        at += specs.length;
      }
    },
  };
}

/** A row's own value of that name: a column may be called `constructor`, which every object inherits. */
export function valueIn(row: Readonly<Record<string, unknown>>, column: string): unknown {
  return Object.hasOwn(row, column) ? row[column] : undefined;
}

/** A value from JSON, a driver or code as a cell. */
export function cellOf(value: unknown, encoder: Encoder): Cell {
  switch (typeof value) {
    case 'number':
      return Number.isFinite(value) ? value : null;
    case 'string':
      return value;
    case 'boolean':
      return encoder.kind === 'category' || encoder.kind === 'statistics' ? booleanLevel(encoder.levels, value) : value ? 1 : 0;
    case 'bigint':
      return Number(value);
    case 'undefined':
      return null;
    default:
      if (value === null) return null;
      if (value instanceof Date && Number.isFinite(value.getTime())) return value.getTime();
      return fail('MODEL_INPUT', { column: encoder.column, value: `a value of type ${typeof value}`, expected: expectation(encoder) });
  }
}

/** A table's true stands in a category as the table wrote it: true, or 1. */
function booleanLevel(levels: readonly string[], value: boolean): Cell {
  return levels.includes(String(value)) ? String(value) : value ? 1 : 0;
}

export function textOf(value: Cell): string | null {
  return value === null ? null : String(value);
}

/** The value in the type that the encoder reads; MODEL_INPUT where that can't be done. */
function coerce(encoder: Encoder, value: Cell): Cell {
  const given = known(value);
  if (given === null || encoder.kind === 'text') return given;
  if (encoder.kind === 'category' || encoder.kind === 'statistics') return String(given).trim();
  if (typeof given === 'number') return given;
  const parsed = encoder.kind === 'number' ? parseNumber(given) : parseTime(given);
  return (
    parsed ?? fail('MODEL_INPUT', { column: encoder.column, value: `the text "${given.slice(0, 40)}"`, expected: expectation(encoder) })
  );
}

function expectation(encoder: Encoder): string {
  switch (encoder.kind) {
    case 'number':
      return 'numbers';
    case 'time':
      return 'dates or times';
    case 'category':
    case 'statistics':
      return 'categories';
    case 'text':
      return 'text';
  }
}

interface Writer {
  readonly specs: readonly Spec[];
  /** Writes the features of one coerced cell at `at`. */
  readonly write: (value: Cell, into: Float64Array, at: number) => void;
}

function writerOf(encoder: Encoder): Writer {
  switch (encoder.kind) {
    case 'number':
      return {
        specs: [{ name: encoder.column, kind: 'numeric', levels: 0, cycle: null }],
        write: (value, into, at) => {
          into[at] = value === null ? Number.NaN : (value as number);
        },
      };
    case 'category':
      return categoryWriter(encoder.column, encoder.levels);
    case 'statistics':
      return statisticsWriter(encoder);
    case 'time':
      return timeWriter(encoder);
    case 'text':
      return textWriter(encoder.column);
  }
}

function categoryWriter(column: string, levels: readonly string[]): Writer {
  const codes = new Map(levels.map((level, code) => [level, code]));
  return {
    specs: [{ name: column, kind: 'category', levels: levels.length, cycle: null }],
    write: (value, into, at) => {
      into[at] = value === null ? Number.NaN : (codes.get(value as string) ?? Number.NaN);
    },
  };
}

function statisticsWriter(encoder: Encoder & { kind: 'statistics' }): Writer {
  const { column, levels, outputs } = encoder;
  const codes = new Map(levels.map((level, code) => [level, code]));
  const means = unpackDoubles(encoder.means);
  return {
    specs: Array.from({ length: outputs }, (_, k) => ({
      name: outputs === 1 ? column : `${column} ${k}`,
      kind: 'numeric',
      levels: 0,
      cycle: null,
    })),
    write: (value, into, at) => {
      const code = (value === null ? undefined : codes.get(value as string)) ?? levels.length;
      for (let k = 0; k < outputs; k++) into[at + k] = means[code * outputs + k]!;
    },
  };
}

/** Day number since 1970, year, month, day of the month, weekday (Monday 0) and, where there are any, the hour. */
function timeWriter({ column, hours, clock }: Encoder & { kind: 'time' }): Writer {
  const local = localTime(clock);
  const part = (name: string, cycle: number | null): Spec => ({ name: `${column} ${name}`, kind: 'numeric', levels: 0, cycle });
  const specs = [part('day', null), part('year', null), part('month', 12), part('day of month', null), part('weekday', 7)];
  if (hours) specs.push(part('hour', 24));
  return {
    specs,
    write: (value, into, at) => {
      if (value === null) {
        into.fill(Number.NaN, at, at + specs.length);
        return;
      }
      const time = local(value as number);
      const date = new Date(time);
      into[at] = Math.floor(time / 86_400_000);
      into[at + 1] = date.getUTCFullYear();
      into[at + 2] = date.getUTCMonth();
      into[at + 3] = date.getUTCDate();
      into[at + 4] = (date.getUTCDay() + 6) % 7;
      if (hours) into[at + 5] = date.getUTCHours();
    },
  };
}

/** What a text looks like, for learners that don't read words. */
function textWriter(column: string): Writer {
  const part = (name: string): Spec => ({ name: `${column} ${name}`, kind: 'numeric', levels: 0, cycle: null });
  return {
    specs: [part('length'), part('words'), part('digits'), part('capitals')],
    write: (value, into, at) => {
      const text = value === null ? '' : String(value);
      into[at] = text.length;
      into[at + 1] = text.trim() === '' ? 0 : text.trim().split(/\s+/u).length;
      into[at + 2] = text.match(/\d/g)?.length ?? 0;
      into[at + 3] = text.match(/\p{Lu}/gu)?.length ?? 0;
    },
  };
}
