import { fail } from '#core';
import { eventEvidence } from './evidence.ts';
import { widthOf } from './experiment.ts';
import { type AnswerKind, eventOptions, type Given, moneyOption, type Setting } from './kind.ts';
import { quantile } from './normal.ts';
import { giantOrder, moneyCaveats } from './orders.ts';
import { literal } from './tables.ts';
import { judgedMetrics, metricCaveats, type Past, pastOf } from './trial.ts';

/**
 * How long a test must run, from one's own past: visitors as they came to the place of the test, and the metrics' own variance after
 * CUPED. Visitors come back, so their number grows slower than the days: within the observed days it is what it was, beyond them it
 * grows by the last week's rate. Smallest effect of two means with unequal shares: (z(1 − α/2m) + z(power)) · sqrt(σ² (1/n₁ + 1/n₂)),
 * m comparisons of the metric's family (Bonferroni); the variant with the smallest share counts. `always_valid_lift` is the same for
 * who looks every day.
 */
export const experimentPlan: AnswerKind = {
  name: 'experiment_plan',
  title: 'How long must the test run?',
  summary:
    'Power and duration of experiments/*.yaml from past traffic: by metric and weeks, visitors and the smallest effect that they show.',
  options: [
    {
      name: 'experiment',
      type: 'text',
      required: true,
      summary: 'The definition: experiments/<name>.yaml. Its period and variants need not have begun.',
    },
    { name: 'at', type: 'text', default: 'page_view', summary: 'Where visitors will meet the test: event or event:property=value.' },
    { name: 'weeks', type: 'integer', default: 8, summary: 'So many weeks are looked at, 1 to 52.' },
    ...eventOptions,
    moneyOption,
  ],
  sql(given, setting) {
    const { definition, ctes } = parts(given, setting);
    const { alpha, planned, power, traffic, variants } = definition;
    const [first, ...others] = variants.map(({ share }) => share);
    const least = Math.min(...others);
    const spread = 1 / first! + 1 / least;
    const judged = judgedMetrics(definition);
    const familyOf = (role: string) => (role === 'primary' ? 'decision' : role);
    const roles = judged.map(({ name, metric, role }, at) => {
      const size = judged.filter((each) => familyOf(each.role) === familyOf(role)).length * others.length;
      const level = definition.multiplicity ? alpha / size : alpha;
      return `(${literal(name)}, '${role}', ${at}, CAST(${metric.minimumEffect ?? 'NULL'} AS DOUBLE), CAST(${level} AS DOUBLE), CAST(${quantile(1 - level / 2)} AS DOUBLE))`;
    });
    const beta = quantile(power);
    return `WITH ${ctes.join(',\n')},
role(metric, role, ord, minimum, level, z) AS (VALUES ${roles.join(', ')}),
theta AS (
  SELECT metric, coalesce(avg(x), 0) AS mean_x, coalesce(covar_pop(y, x) / nullif(var_pop(x), 0), 0) AS theta FROM outcome GROUP BY metric
),
moment AS (
  SELECT o.metric, count(*) AS observed, avg(o.y) AS mean, var_samp(o.y - t.theta * (coalesce(o.x, t.mean_x) - t.mean_x)) AS variance
  FROM outcome AS o JOIN theta AS t USING (metric) GROUP BY o.metric
),
arrival AS (
  SELECT date_diff('day', min(day) OVER (), day) + 1 AS day, count(*) AS came FROM (SELECT CAST(first AT TIME ZONE ${literal(setting.timeZone)} AS DATE) AS day FROM subject) GROUP BY day
),
observed AS (
  SELECT max(day) AS days, sum(came) AS visitors, sum(came) FILTER (WHERE day > (SELECT max(day) FROM arrival) - 7) / least(7, max(day)) AS rate FROM arrival
),
week AS (
  SELECT w AS weeks, CAST(floor(${traffic} * CASE WHEN 7 * w <= o.days THEN (SELECT sum(came) FROM arrival WHERE day <= 7 * w) ELSE o.visitors + (7 * w - o.days) * o.rate END) AS BIGINT) AS visitors
  FROM range(1, ${Number(given['weeks']) + 1}) AS r(w) CROSS JOIN observed AS o
),
needed AS (
  SELECT m.*, r.role, r.ord, r.minimum, r.level, r.z, CAST(ceil((r.z + ${beta}) ** 2 * m.variance * ${spread} / nullif((r.minimum * m.mean) ** 2, 0)) AS BIGINT) AS visitors_needed
  FROM moment AS m JOIN role AS r USING (metric)
),
lasting AS (
  SELECT n.*, coalesce((SELECT min(day) FROM (SELECT day, sum(came) OVER (ORDER BY day) AS total FROM arrival) WHERE ${traffic} * total >= n.visitors_needed),
    o.days + CAST(ceil((n.visitors_needed / ${traffic} - o.visitors) / nullif(o.rate, 0)) AS BIGINT)) AS days_needed
  FROM needed AS n CROSS JOIN observed AS o
)
SELECT l.metric, l.role, w.weeks, w.visitors, l.mean, sqrt(l.variance) AS deviation, l.minimum AS minimum_effect,
  (l.z + ${beta}) * sqrt(l.variance * ${spread} / nullif(w.visitors, 0)) / nullif(l.mean, 0) AS smallest_lift,
  (${widthOf('false', 'w.visitors', 'l.level', '0', alpha, planned)} + ${beta}) * sqrt(l.variance * ${spread} / nullif(w.visitors, 0)) / nullif(l.mean, 0) AS always_valid_lift,
  w.visitors >= l.visitors_needed AS enough, l.visitors_needed, l.days_needed
FROM lasting AS l CROSS JOIN week AS w ORDER BY l.ord, w.weeks`;
  },
  evidence(given, setting) {
    const { definition, events, at, columns, subject } = parts(given, setting);
    const more = [
      ...metricCaveats('experiment_plan', definition, at, events, given, setting),
      ...moneyCaveats(events),
      giantOrder('purchase', 'value'),
      `SELECT 6, 'visitors who would have met the test', CAST(count(*) AS VARCHAR) FROM subject`,
      `SELECT 6, 'power and level', '${definition.power} at ${definition.alpha}, ${definition.multiplicity ? 'for all comparisons of a family together' : 'for each comparison alone'}'`,
      `SELECT 8, 'caveat: fewer than 14 days of visitors', CAST(count(DISTINCT CAST(first AT TIME ZONE ${literal(setting.timeZone)} AS DATE)) AS VARCHAR) FROM subject HAVING count(DISTINCT CAST(first AT TIME ZONE ${literal(setting.timeZone)} AS DATE)) < 14`,
    ];
    return eventEvidence('experiment_plan', events, given, setting, more, [subject], columns);
  },
};

function parts(given: Given, setting: Setting): Past {
  const weeks = given['weeks'] as number;
  if (weeks < 1 || weeks > 52) fail('ANSWER_OPTION', { answer: 'experiment_plan', option: 'weeks', problem: 'it is from 1 to 52' });
  return pastOf('experiment_plan', given, setting);
}
