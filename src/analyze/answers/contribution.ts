import { literal, quote } from './tables.ts';

/** What contribution analysis is asked over: rows of a test set and of a control set, by dimensions. */
export interface Contribution {
  /** SQL: a relation as it may stand after FROM. */
  readonly source: string;
  /** Dimensions: a name, and SQL over the source. */
  readonly dimensions: readonly { readonly name: string; readonly sql: string }[];
  /** SQL over the source: an aggregate that adds up over rows (a sum or a count). */
  readonly metric: string;
  /** SQL over the source: true for the test set, false for the control set; rows of neither are not in the source. */
  readonly isTest: string;
  /** How many dimensions a segment may combine, from 1. */
  readonly order: number;
  /** Segments below this share (apriori support) are left out, 0 to 1. */
  readonly minSupport: number;
  /** Whether a segment whose rows are those of one with fewer dimensions is left out. */
  readonly pruneRedundant: boolean;
}

/**
 * A query with a row a segment, the largest contribution first, the row of all rows ("all") among them, in the columns of BigQuery's
 * ML.GET_INSIGHTS for a summable metric: contributors, the dimensions (NULL where a segment leaves one open), metric_test,
 * metric_control, difference, relative_difference, unexpected_difference, relative_unexpected_difference, apriori_support,
 * contribution. Support is the larger of the segment's shares of the two sets; unexpected is what is beyond the change of all other
 * rows. Cost: one pass with as many grouping sets as there are combinations.
 */
export function contributionSql({ source, dimensions, metric, isTest, order, minSupport, pruneRedundant }: Contribution): string {
  // Names of our own, so that a dimension may be called as it likes.
  const names = dimensions.map((_, at) => `d${at + 1}`);
  const sets = combinations(
    dimensions.map(({ sql }) => sql),
    order,
  );
  const shorter = names.map(
    (name, at) => `(s.absent[${at + 1}] = 1 OR (j.absent[${at + 1}] = 0 AND s.${name} IS NOT DISTINCT FROM j.${name}))`,
  );
  return `WITH part AS (
  SELECT ${dimensions.map(({ sql }, at) => `${sql} AS ${names[at]}`).join(', ')}, [${dimensions.map(({ sql }) => `grouping(${sql})`).join(', ')}] AS absent,
    ${isTest} AS is_test, ${metric} AS value
  FROM ${source}
  GROUP BY GROUPING SETS (${sets.map((set) => `(${[...set, isTest].join(', ')})`).join(', ')})
),
segment AS (
  SELECT ${names.join(', ')}, absent, coalesce(any_value(value) FILTER (WHERE is_test), 0) AS metric_test, coalesce(any_value(value) FILTER (WHERE NOT is_test), 0) AS metric_control
  FROM part GROUP BY ALL
),
total AS (SELECT metric_test AS test, metric_control AS control FROM segment WHERE list_sum(absent) = ${names.length}),
judged AS (
  SELECT s.*, ${names.length} - list_sum(s.absent) AS dimensions, s.metric_test - s.metric_control AS difference, CAST(t.test - t.control AS DOUBLE) AS whole,
    s.metric_control * ((t.test - s.metric_test) / nullif(t.control - s.metric_control, 0)) AS expected,
    greatest(s.metric_test / nullif(t.test, 0), s.metric_control / nullif(t.control, 0)) AS support
  FROM segment AS s CROSS JOIN total AS t
)
SELECT CASE WHEN dimensions = 0 THEN ['all'] ELSE list_filter([${dimensions.map(({ name }, at) => `CASE WHEN absent[${at + 1}] = 0 THEN ${literal(`${name}=`)} || coalesce(CAST(${names[at]} AS VARCHAR), 'NULL') END`).join(', ')}], lambda x: x IS NOT NULL) END AS contributors,
  ${dimensions.map(({ name }, at) => `${names[at]} AS ${quote(name)}`).join(', ')}, metric_test, metric_control, difference, difference / nullif(metric_control, 0) AS relative_difference,
  metric_test - expected AS unexpected_difference, (metric_test - expected) / nullif(expected, 0) AS relative_unexpected_difference,
  CASE WHEN dimensions = 0 THEN 1 ELSE support END AS apriori_support, abs(difference) AS contribution, difference / nullif(whole, 0) AS of_change
FROM judged AS j WHERE dimensions = 0 OR (support >= ${minSupport}${
    pruneRedundant
      ? ` AND NOT EXISTS (
  -- The same rows under fewer dimensions say it shorter.
  SELECT 1 FROM judged AS s WHERE s.dimensions > 0 AND s.dimensions < j.dimensions AND s.metric_test = j.metric_test AND s.metric_control = j.metric_control
    AND ${shorter.join(' AND ')}
)`
      : ''
  })
ORDER BY contribution DESC, contributors`;
}

/** All subsets of at most that many, the empty one (the total) first. */
export function combinations<T>(all: readonly T[], most: number): (readonly T[])[] {
  let sets: (readonly T[])[] = [[]];
  for (const each of all) sets = [...sets, ...sets.filter((set) => set.length < most).map((set) => [...set, each])];
  return sets;
}
