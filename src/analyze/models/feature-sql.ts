/**
 * Feature functions where an expression may stand: ML.BUCKETIZE(x, [1, 2]), ML.STANDARD_SCALER(x) OVER () … are written as the SQL that
 * they mean before the text is read, so that everything behind sees what it knows: the allow-list, views' plans (a scaler is a window
 * over all rows), shared scans. In a TRANSFORM they stay: there they are learned from the training rows.
 */
import { combinations, fail, MillraceError, type Parameters } from '#core';
import { quoteLiteral, type Token, tokens } from '#sql';
import { placeOf } from './calls.ts';

export interface SpelledFeatures {
  readonly text: string;
  /** The error with its place in the text that was given. */
  placed(error: MillraceError): MillraceError;
}

/** MODEL_CALL for one that is not written as it must be. Costs one look at a text that has none. */
export function spellFeatures(given: string): SpelledFeatures {
  if (!/\bml\s*\./i.test(given)) return { text: given, placed: (error) => error };
  const stretches: Stretch[] = [];
  const text = spelled(given, significant(given), 0, given.length, stretches);
  return {
    text,
    placed(error) {
      const { position } = error.params;
      if (typeof position !== 'number' || text === given) return error;
      const own = stretches.findLast((each) => each.at <= position);
      const from = own === undefined ? position : own.from + (own.asGiven ? position - own.at : 0);
      return new MillraceError(error.code, { ...error.params, ...placeOf(given, from) } as Parameters, error.cause);
    },
  };
}

/** From `at` on the new text is what stood from `from` on: the same, or what was made of a call. */
interface Stretch {
  readonly at: number;
  readonly from: number;
  readonly asGiven: boolean;
}

function spelled(given: string, own: readonly Token[], start: number, end: number, stretches: Stretch[] = []): string {
  const skipped = transformOf(own);
  let text = '';
  let done = start;
  const copy = (to: number) => {
    stretches.push({ at: text.length, from: done, asGiven: true });
    text += given.slice(done, to);
  };
  for (let at = 0; at < own.length; at++) {
    const token = own[at]!;
    if (token.start < done || token.end > end || (token.start > skipped.start && token.start < skipped.end)) continue;
    const call = callAt(given, own, at);
    if (call === null) continue;
    copy(token.start);
    stretches.push({ at: text.length, from: token.start, asGiven: false });
    text += `(${call.sql})`;
    done = call.end;
  }
  copy(end);
  return text;
}

const significant = (text: string): Token[] => tokens(text).filter(({ kind }) => kind !== 'space' && kind !== 'comment');
const wordOf = (token: Token | undefined): string => (token?.kind === 'word' ? token.text.toUpperCase() : (token?.text ?? ''));

/** Where the TRANSFORM of a CREATE MODEL stands. */
function transformOf(own: readonly Token[]): { start: number; end: number } {
  const model = /^CREATE (OR REPLACE )?MODEL /.test(own.slice(0, 5).map(wordOf).join(' '));
  const at = model ? own.findIndex((token) => wordOf(token) === 'TRANSFORM') : -1;
  return at < 0 ? { start: 0, end: 0 } : { start: own[at]!.start, end: own[closing(own, at + 1)]?.end ?? Number.POSITIVE_INFINITY };
}

/** The index of what closes the bracket at an index; past the end where nothing does. */
function closing(own: readonly Token[], open: number): number {
  for (let depth = 0, at = open; at < own.length; at++) {
    const { kind, text } = own[at]!;
    if (kind !== 'punctuation') continue;
    if ('([{'.includes(text)) depth++;
    if (')]}'.includes(text) && --depth === 0) return at;
  }
  return own.length;
}

function callAt(given: string, own: readonly Token[], at: number): { sql: string; end: number } | null {
  const name = wordOf(own[at + 2]);
  if (wordOf(own[at]) !== 'ML' || own[at + 1]?.text !== '.' || own[at + 3]?.text !== '(' || !Object.hasOwn(FEATURES, name)) return null;
  const feature = FEATURES[name]!;
  const refuse = (problem: string): never => fail('MODEL_CALL', { call: `ML.${name}`, problem, ...placeOf(given, own[at]!.start) });
  const close = closing(own, at + 3);
  if (close >= own.length) refuse('has a parenthesis that is not closed');
  const over = wordOf(own[close + 1]) === 'OVER';
  const last = over ? close + 3 : close;
  if (over !== (feature.rows === 'all') || (over && (own[close + 2]?.text !== '(' || own[last]?.text !== ')')))
    refuse(feature.rows === 'all' ? 'looks at all rows: it needs OVER () behind it' : 'looks at one row: it takes no OVER');
  const parts = split(own, at + 4, close);
  if (parts.length < feature.least || parts.length > feature.most) refuse(`is written ${feature.written}`);
  const textOf = ([from, to]: Span) => spelled(given, own.slice(from, to), own[from]!.start, own[to - 1]!.end);
  return { sql: feature.sql(argumentsOf(given, own, parts, textOf, refuse)), end: own[last]!.end };
}

/** Tokens from the first to before the second index. */
type Span = readonly [number, number];

function split(own: readonly Token[], from: number, to: number): Span[] {
  const spans: Span[] = [];
  let start = from;
  for (let at = from; at < to; at++) {
    if (own[at]!.text === ',') {
      spans.push([start, at]);
      start = at + 1;
    } else if (own[at]!.kind === 'punctuation' && '([{'.includes(own[at]!.text)) at = Math.min(to, closing(own, at));
  }
  if (start < to) spans.push([start, to]);
  return spans.filter(([first, end]) => end > first);
}

/** What stands between the parentheses of a call, by its place. */
interface Arguments {
  readonly sql: (k: number, otherwise?: string) => string;
  /** Literals: what is left out is the default. */
  readonly number: (k: number, otherwise: number, least: number, most: number) => number;
  readonly numbers: (k: number, otherwise: readonly number[]) => readonly number[];
  /** A list of number literals in ascending order, or null for any other list. */
  readonly literals: (k: number) => readonly number[] | null;
  readonly isColumn: (k: number) => boolean;
  readonly flag: (k: number, otherwise: boolean) => boolean;
  readonly word: (k: number, of: readonly string[]) => string;
  /** The fields of STRUCT(a, b AS c, …). */
  readonly fields: (k: number) => readonly { readonly name: string; readonly sql: string }[];
}

function argumentsOf(
  given: string,
  own: readonly Token[],
  parts: readonly Span[],
  sqlOf: (span: Span) => string,
  refuse: (problem: string) => never,
): Arguments {
  const literal = (k: number): string => {
    const [from, to] = parts[k]!;
    return given.slice(own[from]!.start, own[to - 1]!.end);
  };
  const isPath = ([from, to]: Span): boolean =>
    own.slice(from, to).every(({ kind, text }, n) => (n % 2 === 0 ? kind === 'word' || kind === 'quoted' : text === '.'));
  const numeric = (text: string): number => (/^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(text.trim()) ? Number(text) : Number.NaN);
  return {
    sql: (k, otherwise = 'NULL') => (parts[k] === undefined ? otherwise : `(${sqlOf(parts[k]!)})`),
    number(k, otherwise, least, most) {
      const value = parts[k] === undefined ? otherwise : numeric(literal(k));
      return value >= least && value <= most ? value : refuse(`takes a number from ${least} to ${most} as argument ${k + 1}`);
    },
    numbers(k, otherwise) {
      if (parts[k] === undefined) return otherwise;
      const listed = /^\[(.*)\]$/s.exec(literal(k))?.[1] ?? literal(k);
      const values = listed.split(',').map(numeric);
      return values.some(Number.isNaN) ? refuse(`takes numbers as argument ${k + 1}`) : values;
    },
    literals(k) {
      const values = (/^\[(.*)\]$/s.exec(literal(k))?.[1] ?? '').split(',').map(numeric);
      return values.some(Number.isNaN) ? null : values.sort((a, b) => a - b);
    },
    isColumn: (k) => isPath(parts[k]!),
    flag(k, otherwise) {
      const said = parts[k] === undefined ? String(otherwise).toUpperCase() : literal(k).toUpperCase();
      return said === 'TRUE' || said === 'FALSE' ? said === 'TRUE' : refuse(`takes TRUE or FALSE as argument ${k + 1}`);
    },
    word(k, of) {
      const said = parts[k] === undefined ? `'${of[0]}'` : literal(k).toLowerCase();
      return of.find((each) => said === `'${each}'`) ?? refuse(`takes one of '${of.join("', '")}' as argument ${k + 1}`);
    },
    fields(k) {
      const [from, to] = parts[k]!;
      if (wordOf(own[from]) !== 'STRUCT' || own[from + 1]?.text !== '(') refuse('takes STRUCT(a, b AS c, …) first');
      const fields = split(own, from + 2, to - 1).map(([first, end]) => {
        const aliased = end - first > 2 && wordOf(own[end - 2]) === 'AS';
        const name = own[end - 1]!;
        if (!aliased && !isPath([first, end])) refuse('needs a name for what is no column: STRUCT(a + 1 AS b)');
        const named = name.kind === 'quoted' ? name.text.slice(1, -1).replaceAll('""', '"') : name.text;
        return { name: named, sql: `(${sqlOf([first, aliased ? end - 2 : end])})` };
      });
      const names = new Set(fields.map(({ name }) => name.toLowerCase()));
      return names.size === fields.length && fields.length <= MOST_FIELDS
        ? fields
        : refuse(`takes up to ${MOST_FIELDS} fields of different names`);
    },
  };
}

const MOST_FIELDS = 10;

interface FeatureFunction {
  readonly written: string;
  /** One row, or all of them by OVER (). */
  readonly rows: 'one' | 'all';
  readonly least: number;
  readonly most: number;
  readonly sql: (given: Arguments) => string;
}

/** A number; NaN is as missing as NULL. */
const value = (x: string): string => `nullif(CAST(${x} AS DOUBLE), 'NaN'::DOUBLE)`;
/** What is learned from: finite numbers. */
const known = (x: string): string => `CASE WHEN isfinite(CAST(${x} AS DOUBLE)) THEN CAST(${x} AS DOUBLE) END`;
const overAll = (aggregate: string, x: string): string => `${aggregate}(${known(x)}) OVER ()`;
const quantile = (x: string, share: number): string => `quantile_cont(${known(x)}, ${share}) OVER ()`;
/** Numbers that are all the same are not divided by their range of nothing. */
const scaled = (x: string, offset: string, by: string): string => `(${value(x)} - ${offset}) / coalesce(nullif(${by}, 0), 1)`;

const FORMATS = ['bucket_names', 'bucket_ranges', 'bucket_ranges_json'] as const;

/** A bucket begins with its lower edge. `edges` is a list in ascending order. */
function bucket(x: string, edges: string, format: string): string {
  const made: Readonly<Record<string, string>> = {
    bucket_names: `'bin_' || (1 + _ml_n)`,
    bucket_ranges: `CASE WHEN _ml_n = 0 THEN '(-inf, ' ELSE '[' || _ml_e[_ml_n] || ', ' END || coalesce(CAST(_ml_e[_ml_n + 1] AS VARCHAR), '+inf') || ')'`,
    bucket_ranges_json: `'{"start": "' || CASE WHEN _ml_n = 0 THEN '-Infinity' ELSE CAST(_ml_e[_ml_n] AS VARCHAR) END || '", "end": "' || coalesce(CAST(_ml_e[_ml_n + 1] AS VARCHAR), 'Infinity') || '"}'`,
  };
  // Lambdas over lists of one, so that each part is worked out once.
  const counted = `[CASE WHEN ${value('_ml_x')} IS NOT NULL THEN len(list_filter(_ml_e, lambda _ml_p: _ml_p <= _ml_x)) END]`;
  return `list_transform([${edges}], lambda _ml_e: list_transform([${x}], lambda _ml_x: list_transform(${counted}, lambda _ml_n: ${made[format]})[1])[1])[1]`;
}

function bins(x: string, points: readonly number[]): string {
  const cases = points.map((point, k) => ` WHEN ${x} < ${point} THEN 'bin_${k + 1}'`);
  return `CASE WHEN ${value(x)} IS NULL THEN NULL${cases.join('')} ELSE 'bin_${points.length + 1}' END`;
}

/** Levels that stand often enough, the most frequent first, of those as frequent the first in order; as a list in order. */
function vocabulary(x: string, top: number, least: number): string {
  const frequent = `list_filter(map_entries(histogram(CAST(${x} AS VARCHAR)) OVER ()), lambda _ml_e: _ml_e.value >= ${least})`;
  const ordered = `list_sort(list_transform(${frequent}, lambda _ml_e: {'n': -CAST(_ml_e.value AS BIGINT), 'level': _ml_e.key}))`;
  return `list_sort(list_transform(${ordered}[1:${top}], lambda _ml_e: _ml_e.level))`;
}

/** The first in order of the most frequent values. */
const mostFrequent = (x: string): string =>
  `list_transform([histogram(${x}) OVER ()], lambda _ml_h: map_keys(_ml_h)[list_position(map_values(_ml_h), list_max(map_values(_ml_h)))])[1]`;

const labelled = (given: Arguments, at: number): string => {
  const x = given.sql(0);
  return `coalesce(list_position(${vocabulary(x, given.number(at, 32_000, 1, 1_000_000), given.number(at + 1, 5, 0, 1e12))}, CAST(${x} AS VARCHAR)), 0)`;
};

const struct = (items: readonly { readonly name: string; readonly sql: string }[]): string =>
  `{${items.map(({ name, sql }) => `${quoteLiteral(name)}: ${sql}`).join(', ')}}`;
const joined = (of: readonly { readonly name: string }[]): string => of.map(({ name }) => name).join('_');

const FEATURES: Readonly<Record<string, FeatureFunction>> = {
  BUCKETIZE: {
    ...{ written: 'ML.BUCKETIZE(number, [points] [, exclude_boundaries] [, output_format])', rows: 'one', least: 2, most: 4 },
    sql: (given) => {
      const literals = given.literals(1);
      // The everyday case without lambdas: faster, and a partition that a view's plan sees through.
      if (literals !== null && given.isColumn(0) && given.word(3, FORMATS) === 'bucket_names')
        return bins(given.sql(0), given.flag(2, false) ? literals.slice(1, -1) : literals);
      const points = `list_sort(${given.sql(1)})`;
      return bucket(given.sql(0), given.flag(2, false) ? `(${points})[2:-2]` : points, given.word(3, FORMATS));
    },
  },
  QUANTILE_BUCKETIZE: {
    ...{ written: 'ML.QUANTILE_BUCKETIZE(number, buckets [, output_format]) OVER ()', rows: 'all', least: 2, most: 3 },
    sql: (given) => {
      const count = given.number(1, 0, 2, 10_000);
      const shares = Array.from({ length: count - 1 }, (_, k) => (k + 1) / count);
      return bucket(
        given.sql(0),
        `list_sort(list_distinct(quantile_cont(${known(given.sql(0))}, [${shares.join(', ')}]) OVER ()))`,
        given.word(2, FORMATS),
      );
    },
  },
  STANDARD_SCALER: {
    ...{ written: 'ML.STANDARD_SCALER(number) OVER ()', rows: 'all', least: 1, most: 1 },
    sql: (given) => scaled(given.sql(0), overAll('avg', given.sql(0)), overAll('stddev_pop', given.sql(0))),
  },
  MIN_MAX_SCALER: {
    ...{ written: 'ML.MIN_MAX_SCALER(number) OVER ()', rows: 'all', least: 1, most: 1 },
    sql: (given) => {
      const least = overAll('min', given.sql(0));
      return scaled(given.sql(0), least, `${overAll('max', given.sql(0))} - ${least}`);
    },
  },
  MAX_ABS_SCALER: {
    ...{ written: 'ML.MAX_ABS_SCALER(number) OVER ()', rows: 'all', least: 1, most: 1 },
    sql: (given) => scaled(given.sql(0), '0', `max(abs(${known(given.sql(0))})) OVER ()`),
  },
  ROBUST_SCALER: {
    ...{ written: 'ML.ROBUST_SCALER(number [, [25, 75]] [, with_median] [, with_quantile_range]) OVER ()', rows: 'all', least: 1, most: 4 },
    sql: (given) => {
      const x = given.sql(0);
      const [low = 25, high = 75] = given.numbers(1, [25, 75]);
      const range = `${quantile(x, high / 100)} - ${quantile(x, low / 100)}`;
      return scaled(x, given.flag(2, true) ? quantile(x, 0.5) : '0', given.flag(3, true) ? range : '1');
    },
  },
  IMPUTER: {
    ...{ written: "ML.IMPUTER(x, 'mean' | 'median' | 'most_frequent') OVER ()", rows: 'all', least: 2, most: 2 },
    sql: (given) => {
      const x = given.sql(0);
      const how = given.word(1, ['mean', 'median', 'most_frequent']);
      if (how === 'most_frequent') return `coalesce(${x}, ${mostFrequent(x)})`;
      return `coalesce(${value(x)}, ${how === 'mean' ? overAll('avg', x) : quantile(x, 0.5)})`;
    },
  },
  LABEL_ENCODER: {
    ...{ written: 'ML.LABEL_ENCODER(text [, top_k] [, frequency_threshold]) OVER ()', rows: 'all', least: 1, most: 3 },
    sql: (given) => labelled(given, 1),
  },
  ONE_HOT_ENCODER: {
    ...{
      written: "ML.ONE_HOT_ENCODER(text [, 'none' | 'most_frequent'] [, top_k] [, frequency_threshold]) OVER ()",
      rows: 'all',
      least: 1,
      most: 4,
    },
    sql: (given) => {
      const x = `CAST(${given.sql(0)} AS VARCHAR)`;
      const dropped = given.word(1, ['none', 'most_frequent']) === 'none' ? 'false' : `${x} IS NOT DISTINCT FROM ${mostFrequent(x)}`;
      return `[{'index': ${labelled(given, 2)}, 'value': CASE WHEN ${dropped} THEN 0.0::DOUBLE ELSE 1.0::DOUBLE END}]`;
    },
  },
  FEATURE_CROSS: {
    ...{ written: 'ML.FEATURE_CROSS(STRUCT(a, b, …) [, degree])', rows: 'one', least: 1, most: 2 },
    sql: (given) => {
      const crossed = combinations(given.fields(0), given.number(1, 2, 2, 4), false).filter((fields) => fields.length > 1);
      return struct(crossed.map((of) => ({ name: joined(of), sql: of.map(({ sql }) => `CAST(${sql} AS VARCHAR)`).join(` || '_' || `) })));
    },
  },
  POLYNOMIAL_EXPAND: {
    ...{ written: 'ML.POLYNOMIAL_EXPAND(STRUCT(a, b, …) [, degree])', rows: 'one', least: 1, most: 2 },
    sql: (given) =>
      struct(
        combinations(given.fields(0), given.number(1, 2, 1, 4), true).map((of) => ({
          name: joined(of),
          sql: of.map(({ sql }) => `CAST(${sql} AS DOUBLE)`).join(' * '),
        })),
      ),
  },
  NGRAMS: {
    ...{ written: 'ML.NGRAMS(list, [shortest, longest] [, separator])', rows: 'one', least: 2, most: 3 },
    sql: (given) => {
      const [shortest = 1, longest = shortest] = given.numbers(1, []);
      const grams = `list_transform(range(${shortest}, least(${longest}, len(_ml_a) - _ml_i + 1) + 1), lambda _ml_n: array_to_string(_ml_a[_ml_i:_ml_i + _ml_n - 1], ${given.sql(2, "' '")}))`;
      const all = `flatten(list_transform(range(1, len(_ml_a) + 1), lambda _ml_i: ${grams}))`;
      return `list_transform([${given.sql(0)}], lambda _ml_a: ${all})[1]`;
    },
  },
  HASH_BUCKETIZE: {
    ...{ written: 'ML.HASH_BUCKETIZE(text, buckets)', rows: 'one', least: 2, most: 2 },
    sql: (given) => {
      const buckets = given.number(1, 0, 0, 2 ** 53);
      const hash = `md5_number_lower(CAST(${given.sql(0)} AS VARCHAR)) >> 1`;
      return `CAST(${buckets === 0 ? hash : `(${hash}) % ${buckets}`} AS BIGINT)`;
    },
  },
  NORMALIZER: {
    ...{ written: 'ML.NORMALIZER(list [, p])', rows: 'one', least: 1, most: 2 },
    sql: (given) => {
      const p = given.number(1, 2, 1, 1000);
      const norm = `pow(list_sum(list_transform(_ml_a, lambda _ml_v: pow(abs(CAST(_ml_v AS DOUBLE)), ${p}))), 1.0::DOUBLE / ${p})`;
      return `list_transform([${given.sql(0)}], lambda _ml_a: list_transform([coalesce(nullif(${norm}, 0), 1)], lambda _ml_m: list_transform(_ml_a, lambda _ml_w: CAST(_ml_w AS DOUBLE) / _ml_m))[1])[1]`;
    },
  },
};
