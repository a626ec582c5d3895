/** What all readings of an experiment stand on: who was exposed to what, and what each visitor did after it and before it. */
import { fail } from '#core';
import type { Experiment, ExperimentMetric } from '#experiment';
import { measureOf } from '../metrics/measure.ts';
import { type Events, eventsOf } from './events.ts';
import type { Given, Setting } from './kind.ts';
import { fromSql, tableOf, timeCaveat } from './metric.ts';
import { refundsOf } from './orders.ts';
import { readStep, type Step, unseenAmong } from './steps.ts';
import { fromDay, instantOf, literal, needColumn, quote, requireType } from './tables.ts';

export interface Trial {
  readonly answer: string;
  readonly definition: Experiment;
  readonly events: Events;
  readonly exposure: Step;
  readonly variant: string;
  /** The options with the days up to the definition's end; the past before its beginning stays in, as it is the covariate. */
  readonly days: Given;
  /** The same with the definition's own days, of which the evidence tells. */
  readonly period: Given;
}

/** Errors: EXPERIMENT_UNKNOWN, ANSWER_*, DEFINITION_*. */
export function trialOf(answer: string, given: Given, setting: Setting): Trial {
  const definition = setting.experiment(String(given['experiment']));
  const days = { ...given, from: null, to: definition.to };
  const events = eventsOf(answer, days, setting, { unit: definition.unit });
  needColumn(events.table, 'e', 'the variant', [definition.variant]);
  const exposure = readStep(answer, 'exposure', definition.exposure, events);
  const period = { ...days, from: definition.from };
  return { answer, definition, events, exposure, variant: definition.variant.toLowerCase(), days, period };
}

/** Visitors of the past as if they had met an experiment that need not have begun. */
export interface Past {
  readonly definition: Experiment;
  readonly events: Events;
  /** Where they would have met it. */
  readonly at: Step;
  readonly columns: readonly string[];
  /** `subject`: all are of one variant. */
  readonly subject: string;
  /** From the events to `outcome`, with `subject`. */
  readonly ctes: readonly string[];
}

/** With the options experiment, at, from and to. Errors: EXPERIMENT_UNKNOWN, ANSWER_*, DEFINITION_*. */
export function pastOf(answer: string, given: Given, setting: Setting): Past {
  const definition = setting.experiment(String(given['experiment']));
  // What came before the asked days stays in: it is the covariate.
  const days = { ...given, from: null };
  const events = eventsOf(answer, days, setting, { unit: definition.unit });
  const at = readStep(answer, 'at', String(given['at']), events);
  const columns = [...at.columns, ...metricColumns(answer, definition, events)];
  const began = fromDay(answer, given, setting, 'day');
  const subject = `subject AS (SELECT "user", 'all' AS variant, min(time) AS first FROM used WHERE ${at.condition} AND ${began} GROUP BY "user")`;
  const ctes = [...events.ctes(columns), subject, ...outcomes(answer, definition, events, days, setting)];
  return { definition, events, at, columns, subject, ctes };
}

/** Columns that the definition names, for `events.ctes`. */
export function wanted({ answer, definition, events, exposure, variant }: Trial): string[] {
  return [...exposure.columns, variant, ...metricColumns(answer, definition, events)];
}

export function metricColumns(answer: string, { metrics }: Experiment, events: Events): string[] {
  return metricSteps(answer, metrics, events).flatMap(({ columns }) => columns);
}

const metricSteps = (answer: string, metrics: Experiment['metrics'], events: Events): Step[] =>
  metrics.flatMap((metric) => amounts(metric).flatMap((what) => (isMoney(what) ? [] : [readStep(answer, 'event', what, events)])));

export const names = ({ variants }: Experiment): string => variants.map(({ name }) => literal(name)).join(', ');
export const control = ({ variants }: Experiment): string => literal(variants[0]!.name);

/** `share` of the variant whose name stands in `variant`. */
export const meantShare = ({ variants }: Experiment): string =>
  `CASE variant ${variants.map(({ name, share }) => `WHEN ${literal(name)} THEN ${share}`).join(' ')} END`;

/**
 * `exposed`: "user", variant, first; `subject`: those of one variant alone; `ending`: whether the last day is over.
 * Whoever saw two variants is in none: it is not known what did it.
 */
export function subjects({ definition, exposure, variant }: Trial, { timeZone }: Setting): string[] {
  const began = definition.from === null ? '' : ` AND day >= DATE '${definition.from}'`;
  return [
    `exposed AS (
  SELECT "user", CAST(${quote(variant)} AS VARCHAR) AS variant, min(time) AS first FROM used
  WHERE ${exposure.condition}${began} AND CAST(${quote(variant)} AS VARCHAR) IN (${names(definition)}) GROUP BY ALL
)`,
    `subject AS (SELECT "user", any_value(variant) AS variant, min(first) AS first FROM exposed GROUP BY "user" HAVING count(*) = 1)`,
    `ending AS (SELECT ${definition.to === null ? 'false' : `CAST(now() AT TIME ZONE ${literal(timeZone)} AS DATE) > DATE '${definition.to}'`} AS ended)`,
  ];
}

/** Metrics as they are judged: those of the definition, then money again with its highest values capped. */
export interface Judged {
  readonly name: string;
  readonly metric: ExperimentMetric;
  readonly role: ExperimentMetric['role'];
}

export function judgedMetrics({ metrics, winsorise }: Experiment): Judged[] {
  const capped = winsorise === null ? [] : metrics.filter(({ kind }) => kind === 'revenue' || kind === 'net_revenue');
  return [
    ...metrics.map((metric) => ({ name: metric.name, metric, role: metric.role })),
    ...capped.map((metric) => ({ name: `${metric.name}, capped at the ${winsorise} quantile`, metric, role: 'exploration' as const })),
  ];
}

/**
 * From `subject` and `used` on: `outcome` with one row a visitor and metric: metric, "user", variant, y (after the first exposure),
 * x (as much time before it; NULL for a visitor without a past, and for ratios). `days`: the options with the days that `events` are of.
 */
export function outcomes(answer: string, definition: Experiment, events: Events, days: Given, setting: Setting): string[] {
  const capped = judgedMetrics(definition).slice(definition.metrics.length);
  return [
    events.purchase(),
    `refunded AS (${refundsOf(days, setting)})`,
    ...(definition.covariateDays === 0
      ? []
      : [
          `past AS (SELECT DISTINCT s."user" FROM subject AS s JOIN used AS u ON u."user" = s."user" AND u.time < s.first AND u.time >= s.first - INTERVAL ${definition.covariateDays} DAY)`,
        ]),
    `measured AS (
  ${definition.metrics.map((metric) => measure(metric, sourcesOf(answer, definition, metric, events, days, setting), definition.covariateDays)).join('\n  UNION ALL ')}
)`,
    `outcome AS (
  SELECT * FROM measured${capped.map(({ name, metric }) => `\n  UNION ALL SELECT ${literal(name)}, "user", variant, least(y, quantile_cont(y, ${definition.winsorise}) OVER ()), x FROM measured WHERE metric = ${literal(metric.name)}`).join('')}
)`,
  ];
}

function measure(metric: ExperimentMetric, { of, over }: Sources, days: number): string {
  if (over !== null) return ratio(metric, of, over);
  const value =
    metric.kind === 'conversion'
      ? (when: string) => `CAST(count(*) FILTER (WHERE ${when}) > 0 AS DOUBLE)`
      : (when: string) => `CAST(coalesce(sum(a.amount) FILTER (WHERE ${when}), 0) AS DOUBLE)`;
  const past =
    days === 0
      ? 'NULL'
      : `CASE WHEN any_value(h."user") IS NOT NULL THEN ${value(`a.time < s.first AND a.time >= s.first - INTERVAL ${days} DAY`)} END`;
  return `SELECT ${literal(metric.name)} AS metric, s."user", any_value(s.variant) AS variant, ${value('a.time >= s.first')} AS y, ${past} AS x
  FROM subject AS s LEFT JOIN ${of} AS a ON a."user" = s."user"${days === 0 ? '' : ' LEFT JOIN past AS h ON h."user" = s."user"'}
  GROUP BY s."user"`;
}

/**
 * A ratio of two sums over visitors, as its linearisation R + (N − R·D) / mean(D): its mean is the ratio, and its variance over the
 * number of visitors is that of the delta method (Deng, Knoblich, Lu 2018, section 3).
 */
function ratio(metric: ExperimentMetric, of: string, over: string): string {
  const sum = (source: string) =>
    `(SELECT s."user", CAST(sum(a.amount) AS DOUBLE) AS amount FROM subject AS s JOIN ${source} AS a ON a."user" = s."user" AND a.time >= s.first GROUP BY s."user")`;
  return `SELECT ${literal(metric.name)}, "user", variant, n.ratio + (numerator - n.ratio * denominator) / n.mean, NULL
  FROM (SELECT s."user", s.variant, coalesce(n.amount, 0) AS numerator, coalesce(d.amount, 0) AS denominator,
    {'ratio': sum(coalesce(n.amount, 0)) OVER own / nullif(sum(coalesce(d.amount, 0)) OVER own, 0), 'mean': avg(coalesce(d.amount, 0)) OVER own} AS n
    FROM subject AS s LEFT JOIN ${sum(of)} AS n ON n."user" = s."user" LEFT JOIN ${sum(over)} AS d ON d."user" = s."user"
    WINDOW own AS (PARTITION BY s.variant))`;
}

/** Relations ("user", time, amount) of what a metric adds up, and of what that is divided by. */
interface Sources {
  readonly of: string;
  readonly over: string | null;
}

function sourcesOf(
  answer: string,
  definition: Experiment,
  metric: ExperimentMetric,
  events: Events,
  days: Given,
  setting: Setting,
): Sources {
  if (metric.kind === 'metric') return metricSources(answer, definition, metric, days, setting);
  const [of, over] = amounts(metric).map((what) => amountSource(answer, what, events)) as [string, string?];
  return { of, over: over ?? null };
}

/** A metric of the workspace by visitor: the rows of its table that name one. Errors: METRIC_UNKNOWN, ANSWER_*. */
function metricSources(
  answer: string,
  { unit }: Experiment,
  { name, metric, by }: ExperimentMetric,
  days: Given,
  setting: Setting,
): Sources {
  const definition = setting.metric(metric);
  const refuse = (problem: string) => fail('ANSWER_OPTION', { answer, option: 'experiment', problem: `its metric "${name}" ${problem}` });
  const measure = measureOf(definition.expression);
  if (measure === null || measure.kind === 'by category')
    return refuse(`is ${definition.expression}: neither a sum over a visitor’s rows nor one such over another`);
  if (definition.time === null) return refuse('has no time: what came after the exposure is not known');
  const table = tableOf(setting, definition.table);
  const usual =
    unit === 'visitor' ? ['user_pseudo_id', 'visitor_id'] : ['user_id', 'customer_id', 'user_pseudo_id', 'visitor_id', 'person'];
  const visitor = needColumn(table, 'base', `the visitor of the metric "${metric}"`, by === null ? usual : [by]);
  const time = needColumn(table, 'base', `the time of the metric "${metric}"`, [definition.time]);
  // A day does not tell what came before the exposure on it and what after.
  requireType(table, time, `the time of the metric "${metric}"`, /^TIMESTAMP/, 'TIMESTAMP WITH TIME ZONE');
  const source = (sum: string) =>
    `(SELECT CAST(${visitor} AS VARCHAR) AS "user", ${instantOf(table, time, setting)} AS time, CAST(${sum} AS DOUBLE) AS amount ${fromSql(definition, [], { from: null, to: days['to'] ?? null }, setting)} GROUP BY ALL)`;
  return { of: source(measure.sum), over: measure.over === null ? null : source(measure.over) };
}

/**
 * Caveats of evidence, after `subject`: events of the metrics, or of where visitors meet the test (`at`), that nobody sent; a metric whose
 * rows name nobody who was in the test, or whose time has no zone.
 */
export function metricCaveats(answer: string, definition: Experiment, at: Step, events: Events, days: Given, setting: Setting): string[] {
  const unseen = unseenAmong([at, ...metricSteps(answer, definition.metrics, events)]);
  const own = definition.metrics
    .filter(({ kind }) => kind === 'metric')
    .flatMap((metric) => {
      const { of } = sourcesOf(answer, definition, metric, events, days, setting);
      const stranger = `SELECT 8, 'caveat: no row of the metric is of a visitor: ' || ${literal(metric.name)}, '0' FROM ${of} AS a JOIN subject AS s ON s."user" = a."user" HAVING count(*) = 0`;
      return [stranger, ...timeCaveat(setting.metric(metric.metric), setting)];
    });
  const counts = definition.metrics.filter(({ kind }) => kind === 'count' || kind === 'ratio');
  const nameless =
    !events.paid && metricSteps(answer, counts, events).some(({ event }) => event === 'purchase')
      ? [
          `SELECT 8, 'caveat: purchases without an order id are not known to be different orders', CAST(count(*) AS VARCHAR) FROM used WHERE event = 'purchase' AND order_id IS NULL HAVING count(*) > 0`,
        ]
      : [];
  return [...unseen, ...nameless, ...own];
}

/** What a metric adds up: money, or the event that is counted. */
function amounts({ kind, event, numerator, denominator }: ExperimentMetric): readonly string[] {
  if (kind === 'metric') return [];
  if (kind === 'ratio') return [numerator, denominator];
  return [kind === 'revenue' || kind === 'net_revenue' ? kind : event];
}

const isMoney = (what: string) => what === 'revenue' || what === 'net_revenue' || what === 'orders';

/** A relation ("user", time, amount). An order's money counts once. */
function amountSource(answer: string, what: string, events: Events): string {
  switch (what) {
    case 'revenue':
      return '(SELECT "user", time, value AS amount FROM purchase)';
    case 'orders':
      return '(SELECT "user", time, 1 AS amount FROM purchase)';
    case 'net_revenue':
      return '(SELECT p."user", p.time, p.value - coalesce(f.value, 0) AS amount FROM purchase AS p LEFT JOIN refunded AS f USING (order_id))';
    default:
      return counted(readStep(answer, 'event', what, events), events);
  }
}

/** An event counts as often as it happened, a purchase once an order, where it was first reported; one that names no order as it is. */
export function counted({ event, name, condition }: Step, events: Events): string {
  if (event !== 'purchase') return `(SELECT "user", time, 1 AS amount FROM used WHERE ${condition})`;
  const orders = `SELECT arg_min("user", time) AS "user", min(time) AS time, 1 AS amount FROM used WHERE ${condition} AND order_id IS NOT NULL`;
  if (!events.paid)
    return `(${orders} GROUP BY order_id UNION ALL SELECT "user", time, 1 FROM used WHERE ${condition} AND order_id IS NULL)`;
  // An order that is paid, not a report of one.
  return name === event
    ? '(SELECT "user", time, 1 AS amount FROM purchase)'
    : `(${orders} AND order_id IN (SELECT order_id FROM purchase) GROUP BY order_id)`;
}
