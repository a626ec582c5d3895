import { asides, counted, saleCtes, sinceEver } from './customer.ts';
import { orderEvidence } from './evidence.ts';
import { type AnswerKind, eventOptions } from './kind.ts';
import { needOrders } from './orders.ts';
import { fromDay, periodOf, withinDays } from './tables.ts';

/**
 * Refunds reduce the order they refer to, in its own period (restated); tests and unpaid orders don't count. With `from`, a customer's
 * cohort is still that of the first order ever, and what was bought from that day on is shown.
 */
export const cohorts: AnswerKind = {
  name: 'cohorts',
  title: 'What are customers worth over time?',
  summary: 'Customers by the period of their first paid order: orders, revenue and refunds in each period after it.',
  options: [
    {
      name: 'grain',
      type: 'choice',
      choices: ['day', 'week', 'month'],
      default: 'month',
      summary: 'The length of a period; weeks begin on the workspace’s week_start.',
    },
    ...eventOptions.filter(({ name }) => name !== 'events'),
  ],
  sql(given, setting) {
    const grain = String(given['grain']);
    return `WITH ${saleCtes('cohorts', sinceEver(given), setting).join(',\n')},
dealt AS (SELECT customer, ${periodOf(grain, 'day', setting)} AS period, ${fromDay('cohorts', given, setting, 'day')} AS asked, amount, refunded FROM sale),
first AS (SELECT customer, min(period) AS cohort FROM dealt WHERE amount > 0 GROUP BY customer),
size AS (SELECT cohort, count(*) AS customers FROM first GROUP BY cohort)
SELECT s.cohort, s.customers AS size, date_diff('${grain}', s.cohort, o.period) AS period, count(DISTINCT o.customer) FILTER (WHERE o.amount > 0) AS customers,
  count(*) FILTER (WHERE o.amount > 0) AS orders, sum(o.amount) AS revenue, sum(o.refunded) AS refunded, sum(o.amount) - sum(o.refunded) AS net,
  round(count(DISTINCT o.customer) FILTER (WHERE o.amount > 0) / s.customers, 6) AS share
FROM dealt AS o JOIN first AS f USING (customer) JOIN size AS s USING (cohort) WHERE o.asked
GROUP BY s.cohort, s.customers, o.period ORDER BY s.cohort, o.period`;
  },
  chart: () => ({ kind: 'cohort', x: 'cohort', series: 'period', y: ['net'] }),
  evidence: (given, setting) =>
    orderEvidence('cohorts', needOrders(given, setting), given, setting, [
      ...asides('cohorts', given, setting, sinceEver(given)),
      `SELECT 8, 'caveat: money back before the customer’s first order (periods below 0)', CAST(count(*) AS VARCHAR)
    FROM (SELECT amount, time, time < min(time) FILTER (WHERE amount > 0) OVER (PARTITION BY customer) AS early FROM shop_order WHERE ${counted('cohorts', sinceEver(given), setting)}) WHERE ${['amount < 0 AND early', ...withinDays('cohorts', given, setting, 'time')].join(' AND ')} HAVING count(*) > 0`,
      `SELECT 8, 'caveat: refunded more than its amount', CAST(count(*) AS VARCHAR) FROM shop_order WHERE paid AND NOT test AND amount > 0 AND refunded > amount HAVING count(*) > 0`,
    ]),
};
