/** A question that was clicked together, and the statement that it means. Pure. */
import { type Column, periodSql, type Table } from '#core';
import type { Tile, TimeRange } from '#visualize';
import type { MetricFacts, MetricsAnswer } from '../../src/server/api.ts';
import { literal, quoted, quotedTable } from '../sql.ts';

export const aggregates = ['count', 'sum', 'avg', 'min', 'max', 'distinct'] as const;
export type Aggregate = (typeof aggregates)[number];

export const tests = ['is', 'is_not', 'contains', 'at_least', 'at_most', 'empty', 'filled'] as const;
export type Test = (typeof tests)[number];

export interface Condition {
  readonly column: string;
  readonly test: Test;
  readonly value: string;
}

export interface Question {
  readonly aggregate: Aggregate;
  /** Of what; null for count. */
  readonly measure: string | null;
  /** The column that says when; null for none. */
  readonly time: string | null;
  readonly grain: 'none' | 'day' | 'week' | 'month';
  readonly by: readonly string[];
  readonly conditions: readonly Condition[];
  readonly range: TimeRange | 'custom';
  readonly from: string;
  readonly to: string;
  readonly compare: boolean;
}

const blank: Omit<Question, 'time'> = {
  aggregate: 'count',
  measure: null,
  grain: 'none',
  by: [],
  conditions: [],
  range: 'all',
  from: '',
  to: '',
  compare: false,
};

export const isTime = ({ type }: Column) => /^(DATE|TIMESTAMP)/.test(type);
export const isNumber = ({ type }: Column) => /^(U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|FLOAT|DOUBLE|DECIMAL)/.test(type);
const isPlain = ({ type }: Column) => !/\[\]$|^(STRUCT|MAP|UNION|LIST|BLOB|JSON)/.test(type);

/** Columns that can be grouped by and filtered. */
export const plainColumns = ({ columns }: Table): readonly Column[] => columns.filter(isPlain);

/** The first question about a table: how many rows, by its first time where it has one. */
export function firstQuestion(table: Table): Question {
  const times = table.columns.filter(isTime);
  const time = (times.find(({ name }) => !name.startsWith('_')) ?? times[0])?.name ?? null;
  return { ...blank, time, grain: time === null ? 'none' : 'day' };
}

export function firstMetricQuestion({ time }: MetricFacts): Question {
  return { ...blank, time: time === null ? null : 'period', grain: time === null ? 'none' : 'day' };
}

/**
 * The statement; it reads $from and $to (the day after the last) where a range is chosen, so that it stands on a dashboard as it is. Two
 * periods are counted in one pass over the rows: what comes before $from is the period of the same length before it.
 */
export function tableSql(
  table: Table,
  question: Question,
  { time_zone, week_start }: Pick<MetricsAnswer, 'time_zone' | 'week_start'>,
): string {
  const { time, grain, by, compare } = question;
  const ranged = time !== null && question.range !== 'all';
  const twice = compare && ranged;
  const when = time === null ? '' : localTime(table.columns.find(({ name }) => name === time)!, time_zone);
  const length = '($to::DATE - $from::DATE)::INTEGER';
  const shifted = twice ? `CASE WHEN ${when} < $from::DATE THEN ${when} + to_days(${length}) ELSE ${when} END` : when;
  const value = aggregateOf(question);
  const name = valueName(question);
  const grouped = [
    ...(time !== null && grain !== 'none' ? [`${periodSql(grain, shifted, week_start)} AS ${grain}`] : []),
    ...by.map(quoted),
  ];
  const measures = twice
    ? [`${value} FILTER (WHERE ${when} >= $from::DATE) AS ${name}`, `${value} FILTER (WHERE ${when} < $from::DATE) AS before`]
    : [`${value} AS ${name}`];
  const where = [
    ...(ranged ? [`${when} >= ${twice ? `$from::DATE - ${length}` : '$from::DATE'}`, `${when} < $to::DATE`] : []),
    ...question.conditions.filter(isSaid).map((condition) => conditionSql(condition, table.columns)),
  ];
  const order = time !== null && grain !== 'none' ? 'ALL' : by.length > 0 ? `${name} DESC NULLS LAST` : null;
  return [
    `SELECT ${[...grouped, ...measures].join(', ')}`,
    `FROM ${quotedTable(table)}`,
    ...(where.length > 0 ? [`WHERE ${where.join('\n  AND ')}`] : []),
    ...(grouped.length > 0 ? ['GROUP BY ALL'] : []),
    ...(order === null ? [] : [`ORDER BY ${order}`]),
  ].join('\n');
}

function aggregateOf({ aggregate, measure }: Question): string {
  if (aggregate === 'count' || measure === null) return 'count(*)';
  return aggregate === 'distinct' ? `count(DISTINCT ${quoted(measure)})` : `${aggregate}(${quoted(measure)})`;
}

function valueName({ aggregate, measure }: Question): string {
  return aggregate === 'count' || measure === null ? 'rows_counted' : quoted(`${aggregate} of ${measure}`);
}

/** The instant as the clock of the workspace showed it; other times stand as they are. */
function localTime({ name, type }: Column, zone: string): string {
  return /TIME ZONE|TIMESTAMPTZ/.test(type) ? `(${quoted(name)} AT TIME ZONE ${literal(zone)})` : quoted(name);
}

/** One that waits for its value narrows nothing yet. */
const isSaid = ({ test, value }: Condition) => test === 'empty' || test === 'filled' || value !== '';

function conditionSql({ column: name, test, value }: Condition, columns: readonly Column[]): string {
  const own = columns.find((each) => each.name === name);
  const left = quoted(name);
  const right = own !== undefined && isNumber(own) && value.trim() !== '' && Number.isFinite(Number(value)) ? value.trim() : literal(value);
  switch (test) {
    case 'is':
      return `${left} = ${right}`;
    case 'is_not':
      return `${left} IS DISTINCT FROM ${right}`;
    case 'contains':
      return `contains(lower(${left}::VARCHAR), lower(${literal(value)}))`;
    case 'at_least':
      return `${left} >= ${right}`;
    case 'at_most':
      return `${left} <= ${right}`;
    case 'empty':
      return `${left} IS NULL`;
    case 'filled':
      return `${left} IS NOT NULL`;
  }
}

/** A metric's statement: its definition says how it is counted, joined and placed in time. Conditions are on the dimensions that are shown. */
export function metricSql(metric: MetricFacts, question: Question): string {
  const { grain, by, compare } = question;
  const ranged = metric.time !== null && question.range !== 'all';
  const call = (ends: string) =>
    `answers.metric(${[
      `metric := ${literal(metric.name)}`,
      ...(by.length > 0 ? [`by := ${literal(by.join(','))}`] : []),
      ...(metric.time !== null && grain !== 'none' ? [`grain := '${grain}'`] : []),
      ...(ranged ? [ends] : []),
    ].join(', ')})`;
  const now = call('from := $from, to := $last');
  const where = question.conditions
    .filter((condition) => isSaid(condition) && by.includes(condition.column))
    .map((condition) => conditionSql(condition, []));
  const source = compare && ranged && grain === 'none' ? besideBefore(by, now, call('from := $before_from, to := $before_last')) : now;
  return [
    'SELECT *',
    `FROM ${source}`,
    ...(where.length > 0 ? [`WHERE ${where.join(' AND ')}`] : []),
    ...(metric.time !== null && grain !== 'none' ? ['ORDER BY ALL'] : by.length > 0 ? ['ORDER BY value DESC NULLS LAST'] : []),
  ].join('\n');
}

/** Both periods side by side, also where one of them has no row for a value. */
function besideBefore(by: readonly string[], now: string, before: string): string {
  const same = by.map((name) => `a.${quoted(name)} IS NOT DISTINCT FROM b.${quoted(name)}`);
  const shown = by.map((name) => `coalesce(a.${quoted(name)}, b.${quoted(name)}) AS ${quoted(name)}`);
  const joined = same.length > 0 ? `FULL JOIN ${before} b ON ${same.join(' AND ')}` : `CROSS JOIN ${before} b`;
  return `(\n  SELECT ${[...shown, 'a.value', 'b.value AS before'].join(', ')}\n  FROM ${now} a\n  ${joined}\n)`;
}

/** A tile that asks the same; a plain question about a metric names it, and follows its definition. */
export function tileOf(title: string, sql: string, of: MetricFacts | null, question: Question | null): Tile {
  const named = of !== null && question !== null && question.conditions.length === 0 && !(question.compare && question.grain === 'none');
  return {
    title,
    width: 6,
    height: 4,
    sql,
    source: named ? { kind: 'metric', name: of.name, by: question.by, grain: of.time === null ? 'none' : question.grain } : null,
    chart: null,
    text: null,
    tab: null,
    filter: null,
    drill: null,
  };
}
