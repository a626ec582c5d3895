import { fail } from '#core';
import { summandOf } from '../metrics/measure.ts';
import type { Metric, MetricJoin } from '../metrics/metric.ts';
import { orderMatch, spanOf } from './evidence.ts';
import { type AnswerKind, eventOptions, type Given, type Guard, type Setting } from './kind.ts';
import { type Found, findTable, instantOf, literal, needColumn, periodOf, quote, requireType, withinDays, zoneless } from './tables.ts';

/** A metric of the workspace by time and dimensions. A join whose key is not unique in the data would count rows twice: METRIC_JOIN. */
export const metric: AnswerKind = {
  name: 'metric',
  title: 'A figure that is defined once',
  summary: 'A metric of metrics/*.yaml, by time and by its dimensions.',
  options: [
    { name: 'metric', type: 'text', of: 'metric', required: true, summary: 'The definition: metrics/<name>.yaml.' },
    { name: 'by', type: 'list', summary: 'Dimensions of the metric.' },
    {
      name: 'grain',
      type: 'choice',
      choices: ['none', 'day', 'week', 'month'],
      default: 'none',
      summary: 'One row for each period; weeks begin on the workspace’s week_start.',
    },
    ...eventOptions.filter(({ name }) => name === 'from' || name === 'to'),
  ],
  sql(given, setting) {
    const { definition, by } = metricOf(given, setting);
    const grain = String(given['grain']);
    const period =
      grain === 'none'
        ? []
        : [`${periodOf(grain, `${timeOf(definition, given, setting)} AT TIME ZONE ${literal(setting.timeZone)}`, setting)} AS period`];
    const columns = [
      ...period,
      ...by.map((dimension) => `${dimensionColumn(definition, dimension)} AS ${quote(dimension)}`),
      `${figureOf(definition)} AS value`,
    ];
    return `SELECT ${columns.join(', ')}\n${fromSql(definition, by, given, setting)}\nGROUP BY ALL ORDER BY ALL`;
  },
  evidence(given, setting) {
    const { definition, by } = metricOf(given, setting);
    const from = fromSql(definition, by, given, setting);
    const span = definition.time === null ? [] : spanOf(`(SELECT ${timeOf(definition, given, setting)} AS time ${from})`, setting);
    const days = daysOf(definition, given, setting);
    const all = tableOf(setting, definition.table);
    const rows = [
      `SELECT 1 AS ord, 'rows used' AS fact, CAST(count(*) AS VARCHAR) AS value ${from}`,
      `SELECT 1, 'rows of ${all.name.replaceAll("'", "''")}', CAST(count(*) AS VARCHAR) FROM ${all.sql}`,
    ];
    const selects = [
      ...rows,
      ...leftOut(definition, setting),
      ...(days.length === 0
        ? []
        : [
            `SELECT 2, 'set aside: outside the asked days', CAST(count(*) AS VARCHAR) ${fromAll(definition, [`(${days.join(' AND ')}) IS NOT TRUE`], setting)} HAVING count(*) > 0`,
          ]),
      ...span,
      ...timeCaveat(definition, setting),
      ...summandCaveats(definition, from),
      ...orderMatch('metric', given, setting),
      `SELECT 9, 'data version (batch)', CAST(coalesce(max(batch), 0) AS VARCHAR) FROM millrace.batch`,
    ];
    return `SELECT fact, value FROM (\n  ${selects.join('\n  UNION ALL ')}\n) ORDER BY ord, fact`;
  },
  guards(given, setting) {
    const { definition, by } = metricOf(given, setting);
    return joinsOf(definition, by).map((join) => uniqueness(definition, join, setting));
  },
};

export function metricOf(given: Given, setting: Setting): { definition: Metric; by: readonly string[] } {
  const definition = setting.metric(String(given['metric']));
  const by = given['by'] as readonly string[];
  const unknown = by.find((dimension) => !definition.dimensions.includes(dimension));
  if (unknown !== undefined)
    fail('METRIC_DIMENSION', { metric: definition.name, dimension: unknown, dimensions: definition.dimensions.join(', ') || 'none' });
  return { definition, by };
}

/** The expression as it may stand before more SQL: a comment at its end ends with a line. */
export const figureOf = ({ expression }: Metric): string => (expression.includes('--') ? `${expression}\n` : expression);

/** The metric's time as an instant. Errors: ANSWER_OPTION where it has none, ANSWER_COLUMN, ANSWER_TYPE. */
export function timeOf(definition: Metric, { grain, from }: Given, setting: Setting): string {
  if (definition.time !== null) {
    const { table, column } = timeColumn(definition, definition.time, setting);
    return instantOf(table, column, setting);
  }
  const option = grain !== 'none' ? 'grain' : from !== null ? 'from' : 'to';
  return fail('ANSWER_OPTION', { answer: 'metric', option, problem: `the metric "${definition.name}" has no time` });
}

function timeColumn(definition: Metric, time: string, setting: Setting): { table: Found; column: string } {
  const table = tableOf(setting, definition.table);
  const what = `the time of the metric "${definition.name}"`;
  const column = needColumn(table, 'base', what, [time]);
  requireType(table, column, what, /^(TIMESTAMP|DATE$)/, 'TIMESTAMP WITH TIME ZONE');
  return { table, column };
}

/** Evidence: a time that had to be given a zone. */
export function timeCaveat(definition: Metric, setting: Setting): string[] {
  if (definition.time === null) return [];
  const { table, column } = timeColumn(definition, definition.time, setting);
  // A day is the same in every zone.
  return table.type(definition.time) === 'DATE' ? [] : zoneless(table, column, setting);
}

/** Evidence: rows of the table that the definition's own condition leaves out. */
export function leftOut(definition: Metric, setting: Setting): string[] {
  if (definition.where === null) return [];
  const others = fromAll({ ...definition, where: null }, [`(${definition.where}\n) IS NOT TRUE`], setting);
  return [`SELECT 2, 'set aside: rows that the metric leaves out', CAST(count(*) AS VARCHAR) ${others} HAVING count(*) > 0`];
}

/** Evidence: rows below zero, and one that is as large as all others, where the metric is the sum over its rows. */
export function summandCaveats(definition: Metric, from: string): string[] {
  const x = summandOf(definition.expression);
  if (x === null) return [];
  return [
    `SELECT 8, 'caveat: rows below zero', CAST(count(*) FILTER (WHERE (${x}) < 0) AS VARCHAR) ${from} HAVING count(*) FILTER (WHERE (${x}) < 0) > 0`,
    `SELECT 8, 'caveat: one row is more than half of the figure', CAST(max(${x}) AS VARCHAR) ${from} HAVING count(*) > 1 AND sum(${x}) > 0 AND max(${x}) > 0.5 * sum(${x})`,
  ];
}

/** FROM and WHERE over the metric's table, of all days. */
export const fromAll = (definition: Metric, conditions: readonly string[], setting: Setting): string =>
  fromSql(definition, [], { from: null, to: null }, setting, conditions);

export const joinsOf = (definition: Metric, by: readonly string[]) =>
  definition.joins.filter((join) => by.some((dimension) => dimension.startsWith(`${join.name}.`)));

export function dimensionColumn(definition: Metric, dimension: string): string {
  return definition.joins.some((join) => dimension.startsWith(`${join.name}.`)) ? `"${dimension}"` : quote(dimension);
}

export function tableOf(setting: Setting, name: string): Found {
  return findTable(setting, name) ?? fail('ANSWER_TABLE', { what: 'the metric', table: name, needs: 'the definition names it' });
}

const daysOf = (definition: Metric, given: Given, setting: Setting): string[] =>
  given['from'] === null && given['to'] === null ? [] : withinDays('metric', given, setting, timeOf(definition, given, setting));

/** Joined columns get names that no column of the metric's table has, so that its expression can't be ambiguous. */
export function fromSql(
  definition: Metric,
  by: readonly string[],
  given: Given,
  setting: Setting,
  conditions: readonly string[] = [],
): string {
  const base = tableOf(setting, definition.table);
  const joins = joinsOf(definition, by).map((join) => {
    const other = tableOf(setting, join.table);
    const columns = by
      .filter((dimension) => dimension.startsWith(`${join.name}.`))
      .map((dimension) => dimension.slice(join.name.length + 1));
    const selected = [
      ...join.on.map(([, column], at) => `${needColumn(other, 'j', `the join "${join.name}"`, [column])} AS "${join.name}.key${at}"`),
      ...columns.map((column) => `${needColumn(other, 'j', `the dimension ${join.name}.${column}`, [column])} AS "${join.name}.${column}"`),
    ];
    const on = join.on.map(([own], at) => `"${join.name}.key${at}" = ${needColumn(base, 'base', `the join "${join.name}"`, [own])}`);
    return `LEFT JOIN (SELECT ${selected.join(', ')} FROM ${other.sql} AS j) AS ${quote(join.name)} ON ${on.join(' AND ')}`;
  });
  const days = daysOf(definition, given, setting);
  const where = [...(definition.where === null ? [] : [`(${definition.where}\n)`]), ...days, ...conditions];
  return [`FROM ${base.sql} AS base`, ...joins, ...(where.length === 0 ? [] : [`WHERE ${where.join(' AND ')}`])].join('\n');
}

export function uniqueness(definition: Metric, join: MetricJoin, setting: Setting): Guard {
  const other = tableOf(setting, join.table);
  const key = join.on.map(([, column]) => needColumn(other, 'j', `the join "${join.name}"`, [column]));
  return {
    sql: `SELECT concat_ws(', ', ${key.join(', ')}) AS key, count(*) AS n FROM ${other.sql} AS j WHERE ${key.map((column) => `${column} IS NOT NULL`).join(' AND ')} GROUP BY ${key.join(', ')} HAVING count(*) > 1 LIMIT 1`,
    refuse: (row) =>
      fail('METRIC_JOIN', {
        metric: definition.name,
        join: join.name,
        table: other.name,
        key: join.on.map(([, column]) => column).join(', '),
        value: String(row['key']),
        rows: Number(row['n']),
      }),
  };
}
