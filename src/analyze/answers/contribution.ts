import type { Measure } from '../metrics/measure.ts';
import { literal, quote } from './tables.ts';

/** What contribution analysis is asked over: rows of a test set and of a control set, by dimensions. */
export interface Contribution {
  /** SQL: a relation as it may stand after FROM. */
  readonly source: string;
  /** Dimensions: a name, and SQL over the source. */
  readonly dimensions: readonly { readonly name: string; readonly sql: string }[];
  readonly measure: Measure;
  /** SQL over the source: an aggregate whose value stands in the column `lowest`. */
  readonly lowest?: string;
  /** SQL over the source: true for the test set, false for the control set; rows of neither are not in the source. */
  readonly isTest: string;
  /** How many dimensions a segment may combine, from 1. */
  readonly order: number;
  /** Segments below this share (apriori support) are left out, 0 to 1. */
  readonly minSupport: number;
  /** Of segments that say the same because one has more dimensions than the other: which are kept. */
  readonly keep: 'all' | 'shorter' | 'longer';
}

/**
 * The query has a row a segment, the largest contribution first, the row of all rows (contributors = ['all']) among them. `columns` are
 * those of BigQuery's ML.GET_INSIGHTS for that kind of metric, contributors and the dimensions first (NULL where a segment leaves one
 * open); behind them are `of_change` (NULL by category, where parts don't add up), `rows_test`, `rows_control` and `lowest`. Cost: one
 * pass with as many grouping sets as there are combinations.
 */
export interface Contributed {
  readonly sql: string;
  readonly columns: readonly string[];
}

/**
 * Contribution analysis by the formulas of BigQuery's documentation of ML.GET_INSIGHTS. Support is the larger of a segment's shares of
 * the two sets in what is summed (of a ratio: its numerator). Where that documentation has no formula: the Aumann–Shapley value of a
 * segment of a ratio N/D is its part of the integral along the straight line from the control's totals to the test's (Aumann, Shapley
 * 1974), ΔN·∫1/D − ΔD·∫N/D², so that any partition's add up to the change of the whole.
 */
export function contributionSql(asked: Contribution): Contributed {
  const { source, dimensions, measure, isTest, order, minSupport, keep } = asked;
  // Names of our own, so that a dimension may be called as it likes.
  const names = dimensions.map((_, at) => `d${at + 1}`);
  const sets = combinations(
    dimensions.map(({ sql }) => sql),
    order,
  );
  const { judged, columns } = kinds[measure.kind];
  const own = [
    'contributors',
    ...dimensions.map(({ name }) => name),
    'metric_test',
    'metric_control',
    ...columns,
    'apriori_support',
    'contribution',
  ];
  const sql = `WITH part AS (
  SELECT ${dimensions.map(({ sql }, at) => `${sql} AS ${names[at]}`).join(', ')}, [${dimensions.map(({ sql }) => `grouping(${sql})`).join(', ')}] AS absent,
    ${isTest} AS is_test, ${measure.sum} AS value, ${measure.over ?? '0'} AS divisor, count(*) AS n, ${asked.lowest ?? 'NULL'} AS lowest
  FROM ${source}
  GROUP BY GROUPING SETS (${sets.map((set) => `(${[...set, isTest].join(', ')})`).join(', ')})
),
segment AS (
  SELECT ${names.join(', ')}, absent, ${names.length} - list_sum(absent) AS dimensions, min(lowest) AS lowest,
    coalesce(any_value(value) FILTER (WHERE is_test), 0) AS sum_test, coalesce(any_value(value) FILTER (WHERE NOT is_test), 0) AS sum_control,
    coalesce(any_value(divisor) FILTER (WHERE is_test), 0) AS over_test, coalesce(any_value(divisor) FILTER (WHERE NOT is_test), 0) AS over_control,
    coalesce(any_value(n) FILTER (WHERE is_test), 0) AS rows_test, coalesce(any_value(n) FILTER (WHERE NOT is_test), 0) AS rows_control
  FROM part GROUP BY ALL
),
whole AS (SELECT sum_test AS test, sum_control AS control, over_test, over_control${measure.kind === 'ratio' ? `,\n    ${alongTheLine}` : ''} FROM segment WHERE dimensions = 0),
judged AS (
  SELECT s.*, ${judged},
    CASE WHEN s.dimensions = 0 THEN 1 ELSE greatest(s.sum_test / nullif(w.test, 0), s.sum_control / nullif(w.control, 0)) END AS support
  FROM segment AS s CROSS JOIN whole AS w
)
SELECT CASE WHEN dimensions = 0 THEN ['all'] ELSE list_filter([${dimensions.map(({ name }, at) => `CASE WHEN absent[${at + 1}] = 0 THEN ${literal(`${name}=`)} || coalesce(CAST(${names[at]} AS VARCHAR), 'NULL') END`).join(', ')}], lambda x: x IS NOT NULL) END AS contributors,
  ${dimensions.map(({ name }, at) => `${names[at]} AS ${quote(name)}`).join(', ')},
  metric_test, metric_control, ${columns.join(', ')}, support AS apriori_support, contribution, of_change, rows_test, rows_control, lowest
FROM judged AS j WHERE dimensions = 0 OR (support >= ${minSupport}${keep === 'all' ? '' : ` AND NOT EXISTS (${sameUnder(keep, names)})`})
ORDER BY contribution DESC NULLS LAST, contributors`;
  return { sql, columns: own };
}

/** A segment `s` of the same sums whose dimensions are some of `j`'s (or `j`'s some of its), with the same values. */
function sameUnder(keep: 'shorter' | 'longer', names: readonly string[]): string {
  const [few, many] = keep === 'shorter' ? ['s', 'j'] : ['j', 's'];
  const within = names.map(
    (name, at) => `(${few}.absent[${at + 1}] = 1 OR (${many}.absent[${at + 1}] = 0 AND s.${name} IS NOT DISTINCT FROM j.${name}))`,
  );
  const same = ['sum_test', 'sum_control', 'over_test', 'over_control'].map((sum) => `s.${sum} = j.${sum}`);
  return `
  SELECT 1 FROM judged AS s WHERE s.dimensions > 0 AND ${few}.dimensions < ${many}.dimensions AND ${[...same, ...within].join(' AND ')}
`;
}

/** All less a part, as a divisor: NULL where nothing but the error of adding up doubles is left. */
const rest = (all: string, part: string) => `CASE WHEN abs(${all} - ${part}) > 1e-12 * abs(${all}) THEN ${all} - ${part} END`;
const ratio = (of: string, over: string) => `CAST(${of} AS DOUBLE) / nullif(${over}, 0)`;
const [after, before] = [ratio('s.sum_test', 's.over_test'), ratio('s.sum_control', 's.over_control')];

/** What is worked out of a segment `s` beside the whole `w`, and which of it BigQuery shows between the metric and the support. */
const kinds: Readonly<Record<Measure['kind'], { readonly judged: string; readonly columns: readonly string[] }>> = {
  sum: {
    judged: `s.sum_test AS metric_test, s.sum_control AS metric_control, s.sum_test - s.sum_control AS difference,
    difference / nullif(s.sum_control, 0) AS relative_difference, s.sum_control * ((w.test - s.sum_test) / (${rest('w.control', 's.sum_control')})) AS expected,
    s.sum_test - expected AS unexpected_difference, (s.sum_test - expected) / nullif(expected, 0) AS relative_unexpected_difference,
    abs(difference) AS contribution, difference / nullif(CAST(w.test - w.control AS DOUBLE), 0) AS of_change`,
    columns: ['difference', 'relative_difference', 'unexpected_difference', 'relative_unexpected_difference'],
  },
  ratio: {
    judged: `${after} AS metric_test, ${before} AS metric_control, ${after} / nullif(${before}, 0) AS metric_test_over_metric_control,
    ${after} / nullif(CAST(w.test - s.sum_test AS DOUBLE) / (${rest('w.over_test', 's.over_test')}), 0) AS metric_test_over_complement,
    ${before} / nullif(CAST(w.control - s.sum_control AS DOUBLE) / (${rest('w.over_control', 's.over_control')}), 0) AS metric_control_over_complement,
    (s.sum_test - s.sum_control) * w.by_sum - (s.over_test - s.over_control) * w.by_over AS aumann_shapley_attribution,
    abs(aumann_shapley_attribution) AS contribution, aumann_shapley_attribution / nullif(${ratio('w.test', 'w.over_test')} - ${ratio('w.control', 'w.over_control')}, 0) AS of_change`,
    columns: [
      ...['metric_test_over_metric_control', 'metric_test_over_complement', 'metric_control_over_complement'],
      'aumann_shapley_attribution',
    ],
  },
  'by category': {
    judged: `${after} AS metric_test, ${before} AS metric_control, ${after} - ${before} AS difference, difference / nullif(${before}, 0) AS relative_difference,
    ${after} / nullif(${ratio('w.test', 'w.over_test')}, 0) AS metric_test_over_population, ${before} / nullif(${ratio('w.control', 'w.over_control')}, 0) AS metric_control_over_population,
    abs(difference) AS contribution, NULL AS of_change`,
    columns: ['difference', 'relative_difference', 'metric_test_over_population', 'metric_control_over_population'],
  },
};

/**
 * by_sum = ∫1/D and by_over = ∫N/D² for N and D going evenly from the control's totals to the test's: with the middles N̄ and D̄,
 * by_over = N̄/(D₀D₁) + ΔN·(by_sum − D̄/(D₀D₁))/ΔD. Where D hardly moves both come from their series in ΔD/D̄, as the differences
 * would cancel. NULL where D is 0 at an end or on the way.
 */
const alongTheLine = `CAST(over_control AS DOUBLE) AS first, CAST(over_test AS DOUBLE) AS last, (first + last) / 2 AS middle,
    CASE WHEN first * last > 0 THEN (last - first) / middle END AS moved, abs(moved) < 0.01 AS still,
    CASE WHEN still THEN (1 + moved ** 2 / 12 + moved ** 4 / 80) / middle ELSE ln(last / first) / (moved * middle) END AS by_sum,
    (CAST(sum_test AS DOUBLE) + sum_control) / 2 / (first * last) + (CAST(sum_test AS DOUBLE) - sum_control)
      * CASE WHEN still THEN -(moved / 6 + moved ** 3 / 20) / middle ** 2 ELSE (by_sum - middle / (first * last)) / (moved * middle) END AS by_over`;

/** All subsets of at most that many, the empty one (the total) first. */
export function combinations<T>(all: readonly T[], most: number): (readonly T[])[] {
  let sets: (readonly T[])[] = [[]];
  for (const each of all) sets = [...sets, ...sets.filter((set) => set.length < most).map((set) => [...set, each])];
  return sets;
}
