import type { Experiment } from '#experiment';
import { eventEvidence } from './evidence.ts';
import { type AnswerKind, eventOptions, type Given, moneyOption, type Setting } from './kind.ts';
import { alarmAbove, quantile, twoSided } from './normal.ts';
import { moneyCaveats, refundsOf } from './orders.ts';
import { literal } from './tables.ts';
import { control, judgedMetrics, meantShare, metricCaveats, names, outcomes, subjects, type Trial, trialOf, wanted } from './trial.ts';

/**
 * Means by visitor from the first exposure on; visitors of two variants are left out and counted. Differences are to the first variant,
 * adjusted by CUPED (Deng et al. 2013) with what the visitor did before the exposure, θ pooled over variants; a visitor without a past
 * has the mean. Until the definition's last day the interval is an asymptotic confidence sequence (Waudby-Smith et al. 2021, eq. for
 * the mean with ρ tuned to `planned`), right however often one looks; after it, the fixed one with p-values, adjusted by Holm over the
 * primary and decision metrics, by Benjamini–Hochberg over exploration. `low_all` to `high_all` holds for all comparisons of the family
 * together (Bonferroni), and the verdict is read from it. Revenue of an order counts once.
 */
export const experiment: AnswerKind = {
  name: 'experiment',
  title: 'Did the change pay?',
  summary: 'An A/B test of experiments/*.yaml: visitors, means, differences with always-valid or final intervals, sample-ratio check.',
  options: [
    { name: 'experiment', type: 'text', required: true, summary: 'The definition: experiments/<name>.yaml.' },
    ...eventOptions.filter(({ name }) => name === 'events' || name === 'orders'),
    moneyOption,
  ],
  sql(given, setting) {
    const trial = trialOf('experiment', given, setting);
    const { definition, events } = trial;
    const { alpha, planned, multiplicity } = definition;
    const family = `CASE WHEN role IN ('primary', 'decision') THEN 'decision' ELSE role END`;
    const treated = (value: string) => `CASE WHEN variant <> ${control(definition)} THEN ${value} END`;
    return `WITH ${[...events.ctes(wanted(trial)), ...subjects(trial, setting), ...outcomes('experiment', definition, events, trial.days, setting)].join(',\n')},
role(metric, role, ord, sign, minimum, level) AS (VALUES ${rolesOf(trial).join(', ')}),
theta AS (
  SELECT metric, coalesce(avg(x), 0) AS mean_x, coalesce(covar_pop(y, x) / nullif(var_pop(x), 0), 0) AS theta FROM outcome GROUP BY metric
),
moment AS (
  SELECT o.metric, o.variant, count(*) AS visitors, avg(o.y) AS mean, var_samp(o.y) AS variance,
    avg(o.y - t.theta * (coalesce(o.x, t.mean_x) - t.mean_x)) AS adjusted, var_samp(o.y - t.theta * (coalesce(o.x, t.mean_x) - t.mean_x)) AS adjusted_variance
  FROM outcome AS o JOIN theta AS t USING (metric) GROUP BY o.metric, o.variant
),
compared AS (
  SELECT m.*, m.adjusted - c.adjusted AS difference, c.adjusted AS control, m.visitors + c.visitors AS n,
    sqrt(m.adjusted_variance / m.visitors + c.adjusted_variance / c.visitors) AS se
  FROM moment AS m LEFT JOIN moment AS c ON c.metric = m.metric AND c.variant = ${control(definition)}
),
judged AS (
  SELECT c.*, r.role, r.ord, r.sign, r.minimum, e.ended, ${family} AS family,
    ${widthOf('e.ended', 'n', String(alpha), String(quantile(1 - alpha / 2)), alpha, planned)} AS width,
    ${widthOf('e.ended', 'n', `r.level.alpha`, 'r.level.z', alpha, planned)} AS width_all,
    CASE WHEN e.ended AND c.variant <> ${control(definition)} AND se > 0 THEN ${twoSided('abs(difference / se)')} END AS p
  FROM compared AS c JOIN role AS r USING (metric) CROSS JOIN ending AS e
),
ranked AS (
  SELECT *, row_number() OVER (PARTITION BY family ORDER BY p NULLS LAST, ord, variant) AS rank, count(p) OVER (PARTITION BY family) AS family_size
  FROM judged
),
told AS (
  SELECT *, difference - width_all * se AS low_all, difference + width_all * se AS high_all, minimum * abs(control) AS matters,
    CASE WHEN sign > 0 THEN difference - width_all * se ELSE -difference - width_all * se END AS worst,
    CASE WHEN sign > 0 THEN difference + width_all * se ELSE width_all * se - difference END AS best,
    ${
      multiplicity
        ? `CASE WHEN p IS NULL THEN NULL WHEN family = 'exploration'
    THEN least(1, min(p * family_size / rank) OVER (PARTITION BY family ORDER BY rank DESC ROWS UNBOUNDED PRECEDING))
    ELSE least(1, max(p * (family_size - rank + 1)) OVER (PARTITION BY family ORDER BY rank ROWS UNBOUNDED PRECEDING)) END`
        : 'p'
    } AS p_adjusted
  FROM ranked
)
SELECT metric, role, variant, visitors, mean, sqrt(variance) AS deviation,
  ${treated('difference')} AS difference,
  ${treated('difference - width * se')} AS low,
  ${treated('difference + width * se')} AS high,
  ${treated('difference / nullif(control, 0)')} AS lift,
  ${treated('low_all')} AS low_all,
  ${treated('high_all')} AS high_all,
  CASE WHEN ended THEN 'final' ELSE 'always valid' END AS interval,
  p, p_adjusted,
  ${treated(`CASE WHEN low_all IS NULL OR se = 0 THEN 'undecided' WHEN worst > 0 THEN 'better' WHEN best < 0 THEN CASE WHEN role = 'guardrail' AND worst > -matters THEN 'worse, but within the harm put up with' ELSE 'worse' END
    WHEN role = 'guardrail' AND worst > -matters THEN 'no harm beyond what is put up with' WHEN worst > -matters AND best < matters THEN 'too small to matter' ELSE 'undecided' END`)} AS verdict,
  round(1 - adjusted_variance / nullif(variance, 0), 4) AS variance_saved
FROM told ORDER BY ord, variant`;
  },
  evidence(given, setting) {
    const trial = trialOf('experiment', given, setting);
    const { events } = trial;
    const more = [
      ...whoCounts(trial),
      ...metricCaveats('experiment', trial.definition, trial.exposure, events, trial.days, setting),
      `SELECT 6, 'revenue of the top 1 % of visitors', format('{:.1f} %', 100 * sum(y) FILTER (WHERE rank * 100 <= n) / nullif(sum(y), 0))
    FROM (SELECT y, row_number() OVER (ORDER BY y DESC) AS rank, count(*) OVER () AS n FROM spent) HAVING sum(y) > 0`,
      ...spentCaveats(trial, ''),
      ...movedSplit(trial, setting),
    ];
    return eventEvidence(
      'experiment',
      events,
      trial.period,
      setting,
      more,
      [...subjects(trial, setting), spentCte(trial, given, setting)],
      wanted(trial),
    );
  },
};

/** Evidence that all readings of an experiment share: who was set aside, the sample ratio, variants that nobody saw. */
export function whoCounts({ definition, exposure, variant }: Trial): string[] {
  const { variants } = definition;
  const critical = alarmAbove(variants.length);
  const alarm = (value: string) =>
    `format('chi-square {:.2f}, {} {:.2f} (p = 0.001)', ${value}, CASE WHEN ${value} > ${critical} THEN 'ALARM: above' ELSE 'below' END, ${critical})`;
  return [
    `SELECT 2, 'set aside: visitors of two variants', CAST(count(*) AS VARCHAR) FROM (SELECT "user" FROM exposed GROUP BY "user" HAVING count(DISTINCT variant) > 1)`,
    `SELECT 2, 'set aside: exposures to an unknown variant', CAST(count(*) AS VARCHAR) FROM used WHERE ${exposure.condition} AND coalesce(CAST("${variant.replaceAll('"', '""')}" AS VARCHAR), '') NOT IN (${names(definition)}) HAVING count(*) > 0`,
    `SELECT 6, 'sample ratio', ${alarm('sum((n - expected) ** 2 / expected)')}
    FROM (SELECT variant, coalesce(n, 0) AS n, sum(n) OVER () * ${meantShare(definition)} AS expected FROM (VALUES ${variants.map(({ name }) => `(${literal(name)})`).join(', ')}) AS v(variant)
      LEFT JOIN (SELECT variant, count(*) AS n FROM subject GROUP BY variant) USING (variant)) HAVING sum(n) > 0`,
    `SELECT 6, 'sample ratio, first half against second', ${alarm('sum((n - expected) ** 2 / expected)')}
    FROM (SELECT variant, half, count(*) AS n, sum(count(*)) OVER (PARTITION BY variant) * sum(count(*)) OVER (PARTITION BY half) / sum(count(*)) OVER () AS expected
      FROM (SELECT variant, ntile(2) OVER (ORDER BY first, "user") AS half FROM subject) GROUP BY variant, half) HAVING count(DISTINCT half) = 2`,
    ...variants.map(
      ({ name }) =>
        `SELECT 8, 'caveat: nobody saw the variant ' || ${literal(name)}, '0' WHERE NOT EXISTS (SELECT 1 FROM subject WHERE variant = ${literal(name)})`,
    ),
  ];
}

/** `spent`, after `subject` and `purchase`: what each visitor paid from the exposure on, and less refunds where a metric is net of them. */
export function spentCte({ definition }: Trial, given: Given, setting: Setting): string {
  const net = hasNet(definition);
  return `spent AS (
  SELECT s."user", coalesce(sum(p.value), 0) AS y${net ? ', coalesce(sum(p.value - coalesce(f.value, 0)), 0) AS net' : ''}
  FROM subject AS s LEFT JOIN purchase AS p ON p."user" = s."user" AND p.time >= s.first${net ? ` LEFT JOIN (${refundsOf(given, setting)}) AS f ON f.order_id = p.order_id` : ''} GROUP BY s."user"
)`;
}

const hasNet = ({ metrics }: Experiment) => metrics.some(({ kind }) => kind === 'net_revenue');

/** Money by visitor that weakens a reading. `taken`: what the reading makes of one who spent less than nothing. */
export function spentCaveats({ definition, events }: Trial, taken: string): string[] {
  const count = `count(*) || ${literal(taken)}`;
  return [
    ...moneyCaveats(events, '(SELECT p.* FROM purchase AS p JOIN subject AS s ON s."user" = p."user" AND p.time >= s.first)'),
    `SELECT 8, 'caveat: visitors of negative revenue', ${count} FROM spent WHERE y < 0 HAVING count(*) > 0`,
    ...(hasNet(definition)
      ? [`SELECT 8, 'caveat: visitors who got more back than they paid', ${count} FROM spent WHERE net < 0 AND y >= 0 HAVING count(*) > 0`]
      : []),
    `SELECT 8, 'caveat: one visitor is more than half of the revenue', CAST(arg_max("user", y) AS VARCHAR) FROM spent HAVING count(*) > 1 AND sum(y) > 0 AND max(y) > 0.5 * sum(y)`,
  ];
}

/** The day before and after which the shares of the variants differ most, where they differ beyond chance over all days (Bonferroni by p/2 a doubling). */
function movedSplit({ definition }: Trial, { timeZone }: Setting): string[] {
  const critical = alarmAbove(definition.variants.length);
  const day = `CAST(first AT TIME ZONE ${literal(timeZone)} AS DATE)`;
  return [
    `SELECT 8, 'caveat: the split changed on', CAST(arg_max(cut, chi) AS VARCHAR) || format(' (chi-square {:.1f}); visitors before and after are not comparable', max(chi))
    FROM (
      SELECT cut, sum((n - expected) ** 2 / expected) AS chi FROM (
        SELECT cut, variant, later, count(*) AS n, sum(count(*)) OVER (PARTITION BY cut, variant) * sum(count(*)) OVER (PARTITION BY cut, later) / sum(count(*)) OVER (PARTITION BY cut) AS expected
        FROM (SELECT c.cut, s.variant, s.day >= c.cut AS later FROM (SELECT variant, ${day} AS day FROM subject) AS s
          CROSS JOIN (SELECT DISTINCT ${day} AS cut FROM subject) AS c)
        GROUP BY cut, variant, later
      ) GROUP BY cut HAVING count(DISTINCT later) = 2
    ) HAVING max(chi) > ${critical} + 2 * ln(greatest(count(*), 1))`,
  ];
}

/** Rows of `role`: with the level at which a family's comparisons hold together. */
function rolesOf({ definition }: Trial): string[] {
  const { alpha, variants, multiplicity } = definition;
  const judged = judgedMetrics(definition);
  const familyOf = (role: string) => (role === 'primary' ? 'decision' : role);
  return judged.map(({ name, metric, role }, at) => {
    const size = judged.filter((each) => familyOf(each.role) === familyOf(role)).length * (variants.length - 1);
    const own = multiplicity ? alpha / size : alpha;
    const level = `{'alpha': CAST(${own} AS DOUBLE), 'z': CAST(${quantile(1 - own / 2)} AS DOUBLE)}`;
    return `(${literal(name)}, '${role}', ${at}, ${metric.direction === 'increase' ? 1 : -1}, CAST(${metric.minimumEffect ?? 'NULL'} AS DOUBLE), ${level})`;
  });
}

/**
 * Half the interval in standard errors: the normal quantile at the end, before it the boundary of the confidence sequence
 * sqrt(2 (nρ² + 1) / (nρ²) · ln(sqrt(nρ² + 1) / α)), ρ² such that it is tightest at `planned` visitors (Waudby-Smith et al. 2021).
 */
export function widthOf(ended: string, n: string, level: string, z: string, alpha: number, planned: number): string {
  const rho2 = (-2 * Math.log(alpha) + Math.log(-2 * Math.log(alpha) + 1)) / planned;
  return `CASE WHEN ${ended} THEN ${z} ELSE sqrt(2 * (${n} * ${rho2} + 1) / (${n} * ${rho2}) * ln(sqrt(${n} * ${rho2} + 1) / ${level})) END`;
}
