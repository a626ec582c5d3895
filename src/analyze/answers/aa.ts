import { fail } from '#core';
import { eventsOf } from './events.ts';
import { eventEvidence } from './evidence.ts';
import { type AnswerKind, eventOptions, type Given, moneyOption, type Setting } from './kind.ts';
import { giantOrder, moneyCaveats } from './orders.ts';
import { readStep, unseen } from './steps.ts';
import { literal } from './tables.ts';
import { counted, judgedMetrics, metricCaveats, pastOf } from './trial.ts';

/** Two-sided normal quantile at 5 %, and with the quantile of 80 % power added to it. */
const [z, zPower] = [1.959963984540054, 1.959963984540054 + 0.8416212335729143];

/**
 * Splits one's own past visitors in two by a hash, again and again, where nothing differs between the halves: how often a test at 5 %
 * would have cried wolf, and the smallest effect that this traffic shows with 80 % power (two halves, pooled variance). A metric whose
 * false positives are not 5 % within three Monte Carlo errors is not fit for tests. With an experiment it is that one's metrics as
 * `experiment` reads them, after CUPED; a ratio is linearised once for all visitors. Cost: visitors × splits × metrics.
 */
export const aa: AnswerKind = {
  name: 'aa_replay',
  title: 'Which effects could a test on this traffic show, and would it cry wolf?',
  summary: 'Random splits of past visitors: the real rate of false positives and the minimum detectable effect, by metric.',
  options: [
    { name: 'event', type: 'text', default: 'purchase', summary: 'The conversion: event or event:property=value.' },
    { name: 'splits', type: 'integer', default: 1000, summary: 'How many random splits, 100 to 10000.' },
    {
      name: 'experiment',
      type: 'text',
      summary: 'experiments/<name>.yaml: its metrics are replayed instead of conversion and revenue. It need not have begun.',
    },
    { name: 'at', type: 'text', default: 'page_view', summary: 'With an experiment: where visitors will meet the test.' },
    ...eventOptions,
    moneyOption,
  ],
  sql(given, setting) {
    const { metrics, ctes, splits } = parts(given, setting);
    const sums = metrics.map((_, at) => `sum(y${at}) AS s${at}, sum(y${at} * y${at}) AS q${at}`).join(', ');
    const long = metrics.map(
      (name, at) =>
        `SELECT ${at} AS ord, ${literal(name)} AS metric, h.n AS n1, h.s${at} AS s1, h.q${at} AS q1, w.n AS n, w.s${at} AS s, w.q${at} AS q FROM half AS h CROSS JOIN whole AS w`,
    );
    return `WITH ${ctes.join(',\n')},
half AS (
  -- Hashed twice: the hash of two values is an exclusive or, under which every split would be the same one.
  SELECT split, count(*) AS n, ${sums}
  FROM person CROSS JOIN range(${splits}) AS s(split) WHERE hash(hash("user", split)) % 2 = 0 GROUP BY split
),
whole AS (SELECT count(*) AS n, ${sums} FROM person),
long AS (
  ${long.join('\n  UNION ALL ')}
),
tested AS (
  SELECT ord, metric, n, s / n AS mean, (q - s * s / n) / nullif(n - 1, 0) AS variance,
    abs(s1 / n1 - (s - s1) / nullif(n - n1, 0)) / nullif(sqrt((q1 - s1 * s1 / n1) / nullif(n1 - 1, 0) / n1 + (q - q1 - (s - s1) * (s - s1) / nullif(n - n1, 0)) / nullif(n - n1 - 1, 0) / nullif(n - n1, 0)), 0) > ${z} AS positive
  FROM long
)
SELECT metric, any_value(n) AS visitors, any_value(mean) AS mean, count(*) AS splits, count_if(positive) AS false_positives, round(count_if(positive) / count(*), 6) AS false_positive_rate,
  abs(count_if(positive) / count(*) - 0.05) <= 3 * sqrt(0.05 * 0.95 / count(*)) AS fit,
  ${zPower} * sqrt(4 * any_value(variance) / any_value(n)) AS minimum_effect,
  ${zPower} * sqrt(4 * any_value(variance) / any_value(n)) / nullif(any_value(mean), 0) AS minimum_lift
FROM tested GROUP BY ord, metric ORDER BY ord`;
  },
  evidence(given, setting) {
    const { events, columns, subject, caveats } = parts(given, setting);
    return eventEvidence(
      'aa_replay',
      events,
      given,
      setting,
      [...caveats, ...moneyCaveats(events), giantOrder('purchase', 'value')],
      subject,
      columns,
    );
  },
};

/** `person`: "user" and a column y0, y1, … for each metric; `subject`: CTEs that the caveats need. */
function parts(given: Given, setting: Setting) {
  const splits = given['splits'] as number;
  if (splits < 100 || splits > 10_000) fail('ANSWER_OPTION', { answer: 'aa_replay', option: 'splits', problem: 'it is from 100 to 10000' });
  return { splits, ...(given['experiment'] === null ? plain(given, setting) : replayed(given, setting)) };
}

function plain(given: Given, setting: Setting) {
  const events = eventsOf('aa_replay', given, setting);
  const step = readStep('aa_replay', 'event', String(given['event']), events);
  return {
    events,
    metrics: ['conversion', 'revenue'],
    columns: step.columns,
    ctes: [
      ...events.ctes(step.columns),
      events.purchase(),
      `converted AS (SELECT DISTINCT "user" FROM ${counted(step, events)})`,
      `spent AS (SELECT "user", CAST(sum(value) AS DOUBLE) AS revenue FROM purchase GROUP BY "user")`,
      `person AS (
  SELECT v."user", CAST(c."user" IS NOT NULL AS DOUBLE) AS y0, coalesce(s.revenue, 0) AS y1
  FROM (SELECT DISTINCT "user" FROM used) AS v LEFT JOIN converted AS c USING ("user") LEFT JOIN spent AS s USING ("user")
)`,
    ],
    subject: [],
    caveats: [`SELECT 6, 'visitors', CAST(count(DISTINCT "user") AS VARCHAR) FROM used`, unseen(step)],
  };
}

function replayed(given: Given, setting: Setting) {
  const { definition, events, at, columns, subject, ctes } = pastOf('aa_replay', given, setting);
  const metrics = judgedMetrics(definition).map(({ name }) => name);
  return {
    events,
    metrics,
    columns,
    ctes: [
      ...ctes,
      `theta AS (
  SELECT metric, coalesce(avg(x), 0) AS mean_x, coalesce(covar_pop(y, x) / nullif(var_pop(x), 0), 0) AS theta FROM outcome GROUP BY metric
)`,
      `person AS (
  SELECT "user", ${metrics.map((name, at) => `max(y - theta * (coalesce(x, mean_x) - mean_x)) FILTER (WHERE metric = ${literal(name)}) AS y${at}`).join(', ')}
  FROM outcome JOIN theta USING (metric) GROUP BY "user"
)`,
    ],
    subject: [subject],
    caveats: [
      `SELECT 6, 'visitors who would have met the test', CAST(count(*) AS VARCHAR) FROM subject`,
      ...metricCaveats('aa_replay', definition, at, events, given, setting),
    ],
  };
}
