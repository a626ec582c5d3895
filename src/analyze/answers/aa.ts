import { fail } from '#core';
import { eventsOf } from './events.ts';
import { eventEvidence } from './evidence.ts';
import { type AnswerKind, eventOptions, type Given, type Setting } from './kind.ts';
import { giantOrder } from './orders.ts';
import { readStep, unseen } from './steps.ts';

/** Two-sided normal quantile at 5 %, and with the quantile of 80 % power added to it. */
const [z, zPower] = [1.959963984540054, 1.959963984540054 + 0.8416212335729143];

/**
 * Splits one's own past visitors in two by a hash, again and again, where nothing differs between the halves: how often a test at 5 %
 * would have cried wolf, and the smallest effect that this traffic shows with 80 % power (two halves, pooled variance). A metric whose
 * false positives are not 5 % within three Monte Carlo errors is not fit for tests. Cost: visitors × splits.
 */
export const aa: AnswerKind = {
  name: 'aa_replay',
  title: 'Which effects could a test on this traffic show, and would it cry wolf?',
  summary: 'Random splits of past visitors: the real rate of false positives and the minimum detectable effect, by metric.',
  options: [
    { name: 'event', type: 'text', default: 'purchase', summary: 'The conversion: event or event:property=value.' },
    { name: 'splits', type: 'integer', default: 1000, summary: 'How many random splits, 100 to 10000.' },
    ...eventOptions,
  ],
  sql(given, setting) {
    const { events, step, splits } = parts(given, setting);
    return `WITH ${events.ctes(step.columns).join(',\n')},
${events.purchase()},
visitor AS (
  SELECT "user", CAST(count(*) FILTER (WHERE ${step.condition}) > 0 AS DOUBLE) AS converted FROM used GROUP BY "user"
),
spent AS (SELECT "user", CAST(sum(value) AS DOUBLE) AS revenue FROM purchase GROUP BY "user"),
outcome AS (SELECT v."user", v.converted, coalesce(s.revenue, 0) AS revenue FROM visitor AS v LEFT JOIN spent AS s USING ("user")),
half AS (
  -- Hashed twice: the hash of two values is an exclusive or, under which every split would be the same one.
  SELECT split, count(*) AS n, sum(converted) AS c, sum(converted * converted) AS cc, sum(revenue) AS r, sum(revenue * revenue) AS rr
  FROM outcome CROSS JOIN range(${splits}) AS s(split) WHERE hash(hash("user", split)) % 2 = 0 GROUP BY split
),
whole AS (SELECT count(*) AS n, sum(converted) AS c, sum(converted * converted) AS cc, sum(revenue) AS r, sum(revenue * revenue) AS rr FROM outcome),
long AS (
  SELECT 'conversion' AS metric, h.n AS n1, h.c AS s1, h.cc AS q1, w.n AS n, w.c AS s, w.cc AS q FROM half AS h CROSS JOIN whole AS w
  UNION ALL
  SELECT 'revenue', h.n, h.r, h.rr, w.n, w.r, w.rr FROM half AS h CROSS JOIN whole AS w
),
tested AS (
  SELECT metric, n, s / n AS mean, (q - s * s / n) / nullif(n - 1, 0) AS variance,
    abs(s1 / n1 - (s - s1) / nullif(n - n1, 0)) / nullif(sqrt((q1 - s1 * s1 / n1) / nullif(n1 - 1, 0) / n1 + (q - q1 - (s - s1) * (s - s1) / nullif(n - n1, 0)) / nullif(n - n1 - 1, 0) / nullif(n - n1, 0)), 0) > ${z} AS positive
  FROM long
)
SELECT metric, any_value(n) AS visitors, any_value(mean) AS mean, count(*) AS splits, count_if(positive) AS false_positives, round(count_if(positive) / count(*), 6) AS false_positive_rate,
  abs(count_if(positive) / count(*) - 0.05) <= 3 * sqrt(0.05 * 0.95 / count(*)) AS fit,
  ${zPower} * sqrt(4 * any_value(variance) / any_value(n)) AS minimum_effect,
  ${zPower} * sqrt(4 * any_value(variance) / any_value(n)) / nullif(any_value(mean), 0) AS minimum_lift
FROM tested GROUP BY metric ORDER BY metric`;
  },
  evidence(given, setting) {
    const { events, step } = parts(given, setting);
    return eventEvidence(
      'aa_replay',
      events,
      given,
      setting,
      [`SELECT 6, 'visitors', CAST(count(DISTINCT "user") AS VARCHAR) FROM used`, unseen(step), giantOrder('purchase', 'value')],
      [],
      step.columns,
    );
  },
};

function parts(given: Given, setting: Setting) {
  const events = eventsOf('aa_replay', given, setting);
  const splits = given['splits'] as number;
  if (splits < 100 || splits > 10_000) fail('ANSWER_OPTION', { answer: 'aa_replay', option: 'splits', problem: 'it is from 100 to 10000' });
  return { events, step: readStep('aa_replay', 'event', String(given['event']), events), splits };
}
