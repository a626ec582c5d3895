import { fail } from '#core';
import type { AnswerKind, Given, Setting } from './kind.ts';
import { dimensionColumn, fromSql, joinsOf, metricOf, timeOf, uniqueness } from './metric.ts';
import { literal, quote, withinDays } from './tables.ts';

const MOST_SETS = 200;

/**
 * A metric in the asked days beside the days before, for every combination of up to `order` dimensions. Columns are those of BigQuery's
 * contribution analysis: `unexpected` is what the change is beyond that of all other rows (complement's ratio), `support` the larger of
 * the segment's shares in the two periods. A combination that says the same as one with fewer dimensions is left out. The expression
 * should be a sum or a count: other figures don't add up over segments.
 */
export const drivers: AnswerKind = {
  name: 'drivers',
  title: 'What made the figure move?',
  summary: 'Segments of a metric by how much they contribute to its change between two periods.',
  options: [
    { name: 'metric', type: 'text', required: true, summary: 'The definition: metrics/<name>.yaml, a sum or a count with a time.' },
    { name: 'from', type: 'text', required: true, summary: 'The first day of the period, YYYY-MM-DD.' },
    { name: 'to', type: 'text', required: true, summary: 'Its last day.' },
    { name: 'before_from', type: 'text', required: true, summary: 'The first day of the period that it is compared with.' },
    { name: 'before_to', type: 'text', required: true, summary: 'The last day of that one.' },
    { name: 'by', type: 'list', summary: 'Dimensions of the metric. Default: all.' },
    { name: 'order', type: 'integer', default: 2, summary: 'How many dimensions a segment may combine, 1 to 3.' },
    { name: 'support', type: 'number', default: 0.01, summary: 'Segments below this share in both periods are left out.' },
    { name: 'top', type: 'integer', default: 50, summary: 'At most so many segments.' },
  ],
  sql(given, setting) {
    const { definition, by, sets } = parts(given, setting);
    const time = timeOf(definition, given);
    const [after, before] = periods(given, setting, time);
    const names = by.map((dimension) => quote(dimension));
    const masks = by.map((dimension) => `grouping(${dimensionColumn(definition, dimension)})`);
    return `WITH part AS (
  SELECT ${by.map((dimension) => `${dimensionColumn(definition, dimension)} AS ${quote(dimension)}`).join(', ')}, [${masks.join(', ')}] AS absent,
    CASE WHEN ${after} THEN 'after' ELSE 'before' END AS period, ${definition.expression} AS value
  ${fromSql(definition, by, { ...given, from: null, to: null }, setting, [`((${after}) OR (${before}))`])}
  GROUP BY GROUPING SETS (${sets.map((set) => `(${[...set.map((dimension) => dimensionColumn(definition, dimension)), 'period'].join(', ')})`).join(', ')})
),
segment AS (
  SELECT ${names.join(', ')}, absent, coalesce(any_value(value) FILTER (WHERE period = 'after'), 0) AS after, coalesce(any_value(value) FILTER (WHERE period = 'before'), 0) AS before
  FROM part GROUP BY ALL
),
total AS (SELECT after, before FROM segment WHERE list_sum(absent) = ${by.length}),
judged AS (
  SELECT ${names.map((name) => `s.${name}`).join(', ')}, s.absent, ${by.length} - list_sum(s.absent) AS dimensions, s.after, s.before, s.after - s.before AS difference,
    CAST(t.after - t.before AS DOUBLE) AS whole, s.after - s.before * ((t.after - s.after) / nullif(t.before - s.before, 0)) AS unexpected,
    greatest(s.after / nullif(t.after, 0), s.before / nullif(t.before, 0)) AS support
  FROM segment AS s CROSS JOIN total AS t
)
SELECT array_to_string(list_filter([${by.map((dimension, at) => `CASE WHEN absent[${at + 1}] = 0 THEN ${literal(`${dimension} = `)} || coalesce(CAST(${quote(dimension)} AS VARCHAR), 'NULL') END`).join(', ')}], lambda x: x IS NOT NULL), ' and ') AS segment,
  after, before, difference, round(difference / nullif(whole, 0), 6) AS of_change, round(difference / nullif(before, 0), 6) AS relative,
  round(unexpected, 2) AS unexpected, round(support, 6) AS support
FROM judged WHERE dimensions > 0 AND support >= ${given['support']} AND NOT EXISTS (
  -- The same rows under fewer dimensions say it shorter.
  SELECT 1 FROM judged AS shorter WHERE shorter.dimensions > 0 AND shorter.dimensions < judged.dimensions AND shorter.after = judged.after AND shorter.before = judged.before
    AND ${by.map((dimension, at) => `(shorter.absent[${at + 1}] = 1 OR (judged.absent[${at + 1}] = 0 AND shorter.${quote(dimension)} IS NOT DISTINCT FROM judged.${quote(dimension)}))`).join(' AND ')}
) ORDER BY abs(difference) DESC, segment LIMIT ${given['top']}`;
  },
  evidence(given, setting) {
    const { definition } = parts(given, setting);
    const [after, before] = periods(given, setting, timeOf(definition, given));
    const rows = (what: string, condition: string) =>
      `SELECT 1 AS ord, 'rows of the ${what}' AS fact, CAST(count(*) AS VARCHAR) AS value ${fromSql(definition, [], { ...given, from: null, to: null }, setting, [condition])}`;
    const value = (what: string, condition: string) =>
      `SELECT 2, '${definition.name} of the ${what}', CAST(${definition.expression} AS VARCHAR) ${fromSql(definition, [], { ...given, from: null, to: null }, setting, [condition])}`;
    const selects = [rows('period', after), rows('period before', before), value('period', after), value('period before', before)];
    return `SELECT fact, value FROM (\n  ${[...selects, `SELECT 9, 'data version (batch)', CAST(coalesce(max(batch), 0) AS VARCHAR) FROM millrace.batch`].join('\n  UNION ALL ')}\n) ORDER BY ord, fact`;
  },
  guards(given, setting) {
    const { definition, by } = parts(given, setting);
    return joinsOf(definition, by).map((join) => uniqueness(definition, join, setting));
  },
};

function periods(given: Given, setting: Setting, time: string): [after: string, before: string] {
  const days = (from: Given[string], to: Given[string]) =>
    withinDays(drivers.name, { from: from ?? null, to: to ?? null }, setting, time).join(' AND ');
  return [days(given['from']!, given['to']!), days(given['before_from']!, given['before_to']!)];
}

function parts(given: Given, setting: Setting) {
  const { definition } = metricOf({ ...given, by: [] }, setting);
  const asked = given['by'] as readonly string[];
  const { by } = metricOf({ ...given, by: asked.length > 0 ? asked : definition.dimensions }, setting);
  const order = given['order'] as number;
  const refuse = (option: string, problem: string) => fail('ANSWER_OPTION', { answer: drivers.name, option, problem });
  if (by.length === 0) refuse('by', `the metric "${definition.name}" has no dimensions`);
  if (order < 1 || order > 3) refuse('order', 'it is from 1 to 3');
  const sets = combinations(by, order);
  if (sets.length > MOST_SETS) refuse('by', `${sets.length} combinations of dimensions are too many; name fewer, or a lower order`);
  return { definition, by, sets };
}

/** All subsets of at most that many, the empty one (the total) first. */
function combinations(all: readonly string[], most: number): (readonly string[])[] {
  let sets: (readonly string[])[] = [[]];
  for (const each of all) sets = [...sets, ...sets.filter((set) => set.length < most).map((set) => [...set, each])];
  return sets;
}
