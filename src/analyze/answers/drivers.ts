import { fail } from '#core';
import { type Measure, measureOf } from '../metrics/measure.ts';
import { combinations, contributionSql } from './contribution.ts';
import { orderMatch } from './evidence.ts';
import type { AnswerKind, Given, Setting } from './kind.ts';
import {
  dimensionColumn,
  figureOf,
  fromAll,
  fromSql,
  joinsOf,
  leftOut,
  metricOf,
  summandCaveats,
  timeCaveat,
  timeOf,
  uniqueness,
} from './metric.ts';
import { literal, withinDays } from './tables.ts';

const MOST_SETS = 200;

/**
 * A metric in the asked days beside the days before, for every combination of up to `order` dimensions. Columns are those of BigQuery's
 * contribution analysis for that kind of metric, by shorter names: `unexpected` is what the change is beyond that of all other rows
 * (complement's ratio), `attributed` a segment's part of the change of a ratio (Aumann–Shapley), `support` the larger of the segment's
 * shares in the two periods. A combination that says the same as one with fewer dimensions is left out.
 */
export const drivers: AnswerKind = {
  name: 'drivers',
  title: 'What made the figure move?',
  summary: 'Segments of a metric by how much they contribute to its change between two periods.',
  options: [
    {
      name: 'metric',
      type: 'text',
      of: 'metric',
      required: true,
      summary: 'The definition: metrics/<name>.yaml with a time: sums and counts, or such over another or over a count of distinct values.',
    },
    { name: 'from', type: 'text', of: 'day', required: true, summary: 'The first day of the period, YYYY-MM-DD.' },
    { name: 'to', type: 'text', of: 'day', required: true, summary: 'Its last day.' },
    { name: 'before_from', type: 'text', of: 'day', required: true, summary: 'The first day of the period that it is compared with.' },
    { name: 'before_to', type: 'text', of: 'day', required: true, summary: 'The last day of that one.' },
    { name: 'by', type: 'list', summary: 'Dimensions of the metric. Default: all.' },
    { name: 'order', type: 'integer', default: 2, summary: 'How many dimensions a segment may combine, 1 to 3.' },
    { name: 'support', type: 'number', default: 0.01, summary: 'Segments below this share in both periods are left out.' },
    { name: 'redundant', type: 'boolean', default: false, summary: 'Also segments that say the same as one with fewer dimensions.' },
    { name: 'top', type: 'integer', default: 50, summary: 'At most so many segments.' },
  ],
  sql(given, setting) {
    const { definition, by, measure } = parts(given, setting);
    const time = timeOf(definition, given, setting);
    const [after, before] = periods(given, setting, time);
    const source = fromSql(definition, by, { ...given, from: null, to: null }, setting, [`((${after}) OR (${before}))`]).replace(
      /^FROM /,
      '',
    );
    const insights = contributionSql({
      source,
      dimensions: by.map((dimension) => ({ name: dimension, sql: dimensionColumn(definition, dimension) })),
      measure,
      isTest: `(${after})`,
      order: given['order'] as number,
      minSupport: given['support'] as number,
      keep: given['redundant'] === true ? 'all' : 'shorter',
    });
    return `SELECT array_to_string(list_transform(contributors, lambda x: regexp_replace(x, '=', ' = ')), ' and ') AS segment, metric_test AS after, metric_control AS before,
  ${shown[measure.kind]}, round(apriori_support, 6) AS support
FROM (${insights.sql}) WHERE contributors <> ['all'] ORDER BY contribution DESC NULLS LAST, segment LIMIT ${given['top']}`;
  },
  evidence(given, setting) {
    const { definition, by, measure } = parts(given, setting);
    const [after, before] = periods(given, setting, timeOf(definition, given, setting));
    const from = (dimensions: readonly string[], condition: string) =>
      fromSql(definition, dimensions, { ...given, from: null, to: null }, setting, [condition]);
    const rows = (what: string, condition: string) =>
      `SELECT 1 AS ord, 'rows of the ${what}' AS fact, CAST(count(*) AS VARCHAR) AS value ${from([], condition)}`;
    const value = (what: string, condition: string) =>
      `SELECT 2, '${definition.name} of the ${what}', CAST(${figureOf(definition)} AS VARCHAR) ${from([], condition)}`;
    const empty = (what: string, condition: string) =>
      `SELECT 8, 'caveat: there are no rows in the ${what}', 'there is nothing to compare' ${from([], condition)} HAVING count(*) = 0`;
    const columns = by.map((dimension) => dimensionColumn(definition, dimension));
    const below = `SELECT 8, 'caveat: segments below zero, whose support is no share', CAST(count(*) AS VARCHAR) FROM (
    SELECT ${measure.sum} AS part ${from(by, `((${after}) OR (${before}))`)} GROUP BY GROUPING SETS (${columns.map((column) => `(${column}, (${after}))`).join(', ')})) WHERE part < 0 HAVING count(*) > 0`;
    const selects = [
      `SELECT 0 AS ord, 'the period' AS fact, ${literal(`${given['from']} to ${given['to']} (${setting.timeZone})`)} AS value`,
      `SELECT 0, 'the period before', ${literal(`${given['before_from']} to ${given['before_to']} (${setting.timeZone})`)}`,
      rows('period', after),
      rows('period before', before),
      ...leftOut(definition, setting),
      `SELECT 2, 'set aside: outside both periods', CAST(count(*) AS VARCHAR) ${fromAll(definition, [`((${after}) OR (${before})) IS NOT TRUE`], setting)} HAVING count(*) > 0`,
      ...timeCaveat(definition, setting),
      ...summandCaveats(definition, from([], `((${after}) OR (${before}))`)),
      value('period', after),
      value('period before', before),
      empty('period', after),
      empty('period before', before),
      below,
      ...orderMatch('drivers', given, setting),
    ];
    return `SELECT fact, value FROM (\n  ${[...selects, `SELECT 9, 'data version (batch)', CAST(coalesce(max(batch), 0) AS VARCHAR) FROM millrace.batch`].join('\n  UNION ALL ')}\n) ORDER BY ord, fact`;
  },
  guards(given, setting) {
    const { definition, by } = parts(given, setting);
    return joinsOf(definition, by).map((join) => uniqueness(definition, join, setting));
  },
};

const shown: Readonly<Record<Measure['kind'], string>> = {
  sum: `difference, round(of_change, 6) AS of_change, round(relative_difference, 6) AS relative, round(unexpected_difference, 2) AS unexpected,
  round(relative_unexpected_difference, 6) AS relative_unexpected`,
  ratio: `aumann_shapley_attribution AS attributed, round(of_change, 6) AS of_change, round(metric_test_over_metric_control - 1, 6) AS relative,
  round(metric_test_over_complement, 6) AS after_over_others, round(metric_control_over_complement, 6) AS before_over_others`,
  'by category': `difference, round(relative_difference, 6) AS relative,
  round(metric_test_over_population, 6) AS after_over_all, round(metric_control_over_population, 6) AS before_over_all`,
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
  const refuse = (option: string, problem: string): never => fail('ANSWER_OPTION', { answer: drivers.name, option, problem });
  if (by.length === 0) refuse('by', `the metric "${definition.name}" has no dimensions`);
  if (order < 1 || order > 3) refuse('order', 'it is from 1 to 3');
  const sets = combinations(by, order).length;
  if (sets > MOST_SETS) refuse('by', `${sets} combinations of dimensions are too many; name fewer, or a lower order`);
  const measure =
    measureOf(definition.expression) ??
    refuse(
      'metric',
      `"${definition.expression}" is neither sums and counts nor such over another or over count(DISTINCT …): it can’t be taken apart`,
    );
  return { definition, by, measure };
}
