import type { Experiment, ExperimentMetric } from '../metrics/experiment.ts';
import { type Events, eventsOf } from './events.ts';
import { eventEvidence } from './evidence.ts';
import { type AnswerKind, eventOptions, type Given, type Setting } from './kind.ts';
import { refundsOf } from './orders.ts';
import { readStep } from './steps.ts';
import { literal, needColumn, quote } from './tables.ts';

/** Two-sided quantiles of the normal distribution, and of chi-square at p = 0.001 by degrees of freedom. */
const normal = { 0.1: 1.6448536269514722, 0.05: 1.959963984540054, 0.01: 2.5758293035489004 } as const;
const chiSquare = [10.828, 13.816, 16.266, 18.467, 20.515, 22.458, 24.322, 26.124, 27.877];

/**
 * Means by visitor from the first exposure on; visitors of two variants are left out and counted. Differences are to the first variant,
 * adjusted by CUPED (Deng et al. 2013) with what the visitor did before the exposure, θ pooled over variants; a visitor without a past
 * has the mean. Until the definition's last day the interval is an asymptotic confidence sequence (Waudby-Smith et al. 2021, eq. for
 * the mean with ρ tuned to `planned`), right however often one looks; after it, the fixed one with p-values, adjusted by Holm over the
 * primary and decision metrics, by Benjamini–Hochberg over exploration. Revenue of an order counts once.
 */
export const experiment: AnswerKind = {
  name: 'experiment',
  title: 'Did the change pay?',
  summary: 'An A/B test of experiments/*.yaml: visitors, means, differences with always-valid or final intervals, sample-ratio check.',
  options: [
    { name: 'experiment', type: 'text', required: true, summary: 'The definition: experiments/<name>.yaml.' },
    ...eventOptions.filter(({ name }) => name === 'events' || name === 'orders'),
  ],
  sql(given, setting) {
    const test = parts(given, setting);
    const { alpha, planned } = test.definition;
    const rho2 = (-2 * Math.log(alpha) + Math.log(-2 * Math.log(alpha) + 1)) / planned;
    return `WITH ${ctes(test, given, setting).join(',\n')},
moment AS (
  SELECT o.metric, o.variant, count(*) AS visitors, avg(o.y) AS mean, var_samp(o.y) AS variance,
    avg(o.y - t.theta * (coalesce(o.x, t.mean_x) - t.mean_x)) AS adjusted, var_samp(o.y - t.theta * (coalesce(o.x, t.mean_x) - t.mean_x)) AS adjusted_variance
  FROM outcome AS o JOIN theta AS t USING (metric) GROUP BY o.metric, o.variant
),
compared AS (
  SELECT m.*, m.adjusted - c.adjusted AS difference, c.adjusted AS control, m.visitors + c.visitors AS n,
    sqrt(m.adjusted_variance / m.visitors + c.adjusted_variance / c.visitors) AS se
  FROM moment AS m JOIN moment AS c ON c.metric = m.metric AND c.variant = ${literal(test.definition.variants[0]!.name)}
),
judged AS (
  SELECT c.*, r.role, r.ord, e.ended, CASE WHEN e.ended THEN ${normal[alpha]}
    ELSE sqrt(2 * (n * ${rho2} + 1) / (n * ${rho2}) * ln(sqrt(n * ${rho2} + 1) / ${alpha})) END AS width,
    CASE WHEN e.ended AND c.variant <> ${literal(test.definition.variants[0]!.name)} AND se > 0 THEN ${twoSided('abs(difference / se)')} END AS p
  FROM compared AS c JOIN role AS r USING (metric) CROSS JOIN ending AS e
),
ranked AS (
  SELECT *, CASE WHEN role IN ('primary', 'decision') THEN 'decision' ELSE role END AS family,
    row_number() OVER (PARTITION BY CASE WHEN role IN ('primary', 'decision') THEN 'decision' ELSE role END ORDER BY p NULLS LAST, ord, variant) AS rank,
    count(p) OVER (PARTITION BY CASE WHEN role IN ('primary', 'decision') THEN 'decision' ELSE role END) AS family_size
  FROM judged
)
SELECT metric, role, variant, visitors, mean, sqrt(variance) AS deviation,
  CASE WHEN variant <> ${literal(test.definition.variants[0]!.name)} THEN difference END AS difference,
  CASE WHEN variant <> ${literal(test.definition.variants[0]!.name)} THEN difference - width * se END AS low,
  CASE WHEN variant <> ${literal(test.definition.variants[0]!.name)} THEN difference + width * se END AS high,
  CASE WHEN variant <> ${literal(test.definition.variants[0]!.name)} THEN difference / nullif(control, 0) END AS lift,
  CASE WHEN ended THEN 'final' ELSE 'always valid' END AS interval,
  p, CASE WHEN p IS NULL THEN NULL WHEN family = 'exploration'
    THEN least(1, min(p * family_size / rank) OVER (PARTITION BY family ORDER BY rank DESC ROWS UNBOUNDED PRECEDING))
    ELSE least(1, max(p * (family_size - rank + 1)) OVER (PARTITION BY family ORDER BY rank ROWS UNBOUNDED PRECEDING)) END AS p_adjusted,
  round(1 - adjusted_variance / nullif(variance, 0), 4) AS variance_saved
FROM ranked ORDER BY ord, variant`;
  },
  evidence(given, setting) {
    const test = parts(given, setting);
    const { variants } = test.definition;
    const critical = chiSquare[variants.length - 2]!;
    const share = `CASE variant ${variants.map(({ name, share }) => `WHEN ${literal(name)} THEN ${share}`).join(' ')} END`;
    const alarm = (value: string) =>
      `format('chi-square {:.2f}, {} {:.2f} (p = 0.001)', ${value}, CASE WHEN ${value} > ${critical} THEN 'ALARM: above' ELSE 'below' END, ${critical})`;
    const more = [
      `SELECT 2, 'set aside: visitors of two variants', CAST(count(*) AS VARCHAR) FROM (SELECT "user" FROM exposed GROUP BY "user" HAVING count(DISTINCT variant) > 1)`,
      `SELECT 2, 'set aside: exposures to an unknown variant', CAST(count(*) AS VARCHAR) FROM used WHERE ${test.exposure.condition} AND coalesce(CAST(${quote(test.variant)} AS VARCHAR), '') NOT IN (${names(test.definition)}) HAVING count(*) > 0`,
      `SELECT 6, 'sample ratio', ${alarm('sum((n - expected) ** 2 / expected)')}
    FROM (SELECT variant, count(*) AS n, sum(count(*)) OVER () * ${share} AS expected FROM subject GROUP BY variant) HAVING count(*) > 0`,
      `SELECT 6, 'sample ratio, first half against second', ${alarm('sum((n - expected) ** 2 / expected)')}
    FROM (SELECT variant, half, count(*) AS n, sum(count(*)) OVER (PARTITION BY variant) * sum(count(*)) OVER (PARTITION BY half) / sum(count(*)) OVER () AS expected
      FROM (SELECT variant, ntile(2) OVER (ORDER BY first, "user") AS half FROM subject) GROUP BY variant, half) HAVING count(DISTINCT half) = 2`,
      `SELECT 6, 'revenue of the top 1 % of visitors', format('{:.1f} %', 100 * sum(y) FILTER (WHERE rank * 100 <= n) / nullif(sum(y), 0))
    FROM (SELECT y, row_number() OVER (ORDER BY y DESC) AS rank, count(*) OVER () AS n FROM spent) HAVING sum(y) > 0`,
      ...variants.map(
        ({ name }) =>
          `SELECT 8, 'caveat: nobody saw the variant ' || ${literal(name)}, '0' WHERE NOT EXISTS (SELECT 1 FROM subject WHERE variant = ${literal(name)})`,
      ),
    ];
    const spent = `spent AS (SELECT s."user", coalesce(sum(p.value), 0) AS y FROM subject AS s LEFT JOIN purchase AS p ON p."user" = s."user" AND p.time >= s.first GROUP BY ALL)`;
    return eventEvidence(
      'experiment',
      test.events,
      days(given, test.definition),
      setting,
      more,
      [...subjects(test, setting), spent],
      wanted(test),
    );
  },
};

interface Parts {
  readonly definition: Experiment;
  readonly events: Events;
  readonly exposure: { readonly condition: string; readonly columns: readonly string[] };
  readonly variant: string;
}

const days = (given: Given, { to }: Experiment): Given => ({ ...given, from: null, to });
const names = ({ variants }: Experiment) => variants.map(({ name }) => literal(name)).join(', ');

/** The past before `from` stays in: it is the covariate. */
function parts(given: Given, setting: Setting): Parts {
  const definition = setting.experiment(String(given['experiment']));
  const events = eventsOf('experiment', days(given, definition), setting);
  needColumn(events.table, 'e', 'the variant', [definition.variant]);
  return {
    definition,
    events,
    exposure: readStep('experiment', 'exposure', definition.exposure, events),
    variant: definition.variant.toLowerCase(),
  };
}

function wanted({ definition, events, exposure, variant }: Parts): string[] {
  const metrics = definition.metrics.flatMap((metric) => readStep('experiment', 'event', metric.event, events).columns);
  return [...exposure.columns, variant, ...metrics];
}

function subjects({ definition, exposure, variant }: Parts, { timeZone }: Setting): string[] {
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

function ctes(test: Parts, given: Given, setting: Setting): string[] {
  const { definition, events } = test;
  const capped =
    definition.winsorise === null ? [] : definition.metrics.filter((metric) => metric.kind === 'revenue' || metric.kind === 'net_revenue');
  const roles = [
    ...definition.metrics.map((metric, at) => [metric.name, metric.role, at]),
    ...capped.map((metric, at) => [cappedName(metric, definition), 'exploration', 100 + at]),
  ];
  return [
    ...events.ctes(wanted(test)),
    events.purchase(),
    ...subjects(test, setting),
    `refunded AS (${refundsOf(given, setting)})`,
    `role(metric, role, ord) AS (VALUES ${roles.map(([name, role, ord]) => `(${literal(String(name))}, '${role}', ${ord})`).join(', ')})`,
    `measured AS (
  ${definition.metrics.map((metric) => measure(metric, test)).join('\n  UNION ALL ')}
)`,
    `outcome AS (
  SELECT * FROM measured${capped.map((metric) => `\n  UNION ALL SELECT ${literal(cappedName(metric, definition))}, "user", variant, least(y, quantile_cont(y, ${definition.winsorise}) OVER ()), x FROM measured WHERE metric = ${literal(metric.name)}`).join('')}
)`,
    `theta AS (
  SELECT metric, coalesce(avg(x), 0) AS mean_x, coalesce(covar_pop(y, x) / nullif(var_pop(x), 0), 0) AS theta FROM outcome GROUP BY metric
)`,
  ];
}

const cappedName = ({ name }: ExperimentMetric, { winsorise }: Experiment) => `${name}, capped at the ${winsorise} quantile`;

/** One row a visitor: y after the first exposure, x before it (NULL for a visitor without a past). */
function measure(metric: ExperimentMetric, { definition, events }: Parts): string {
  const days = definition.covariateDays;
  const money = metric.kind === 'revenue' ? 'p.value' : 'p.value - coalesce(f.value, 0)';
  const source =
    metric.kind === 'revenue' || metric.kind === 'net_revenue'
      ? `(SELECT p."user", p.time, ${money} AS amount FROM purchase AS p${metric.kind === 'revenue' ? '' : ' LEFT JOIN refunded AS f USING (order_id)'})`
      : `(SELECT "user", time, 1 AS amount FROM used WHERE ${readStep('experiment', 'event', metric.event, events).condition})`;
  const value =
    metric.kind === 'conversion'
      ? (when: string) => `CAST(count(*) FILTER (WHERE ${when}) > 0 AS DOUBLE)`
      : (when: string) => `CAST(coalesce(sum(a.amount) FILTER (WHERE ${when}), 0) AS DOUBLE)`;
  const past =
    days === 0
      ? 'NULL'
      : `CASE WHEN any_value(h."user") IS NOT NULL THEN ${value(`a.time < s.first AND a.time >= s.first - INTERVAL ${days} DAY`)} END`;
  return `SELECT ${literal(metric.name)} AS metric, s."user", any_value(s.variant) AS variant, ${value('a.time >= s.first')} AS y, ${past} AS x
  FROM subject AS s LEFT JOIN ${source} AS a ON a."user" = s."user"${
    days === 0
      ? ''
      : `\n  LEFT JOIN (SELECT DISTINCT s."user" FROM subject AS s JOIN used AS u ON u."user" = s."user" AND u.time < s.first AND u.time >= s.first - INTERVAL ${days} DAY) AS h ON h."user" = s."user"`
  } GROUP BY s."user"`;
}

/** 2(1 − Φ(z)) by Abramowitz and Stegun 26.2.17 (absolute error below 1.5e-7). */
function twoSided(z: string): string {
  const t = `(1 / (1 + 0.2316419 * ${z}))`;
  return `2 * 0.3989422804014327 * exp(-0.5 * ${z} * ${z}) * ${t} * (0.319381530 + ${t} * (-0.356563782 + ${t} * (1.781477937 + ${t} * (-1.821255978 + ${t} * 1.330274429))))`;
}
