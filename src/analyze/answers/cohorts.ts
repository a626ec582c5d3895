import { orderEvidence } from './evidence.ts';
import { type AnswerKind, eventOptions, type Given, type Setting } from './kind.ts';
import { needOrders } from './orders.ts';
import { dayOf, periodOf, withinDays } from './tables.ts';

/** Refunds reduce the order they refer to, in its own period (restated); tests and unpaid orders don't count. */
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
    return `WITH ${needOrders(given, setting).cte},
sale AS (
  -- A negative amount is money given back.
  SELECT customer, ${periodOf(grain, dayOf('time', setting), setting)} AS period, greatest(amount, 0) AS amount, refunded + greatest(-amount, 0) AS refunded
  FROM shop_order WHERE ${counted(given, setting)}
),
first AS (SELECT customer, min(period) AS cohort FROM sale WHERE amount > 0 GROUP BY customer),
size AS (SELECT cohort, count(*) AS customers FROM first GROUP BY cohort)
SELECT s.cohort, s.customers AS size, date_diff('${grain}', s.cohort, o.period) AS period, count(DISTINCT o.customer) FILTER (WHERE o.amount > 0) AS customers,
  count(*) FILTER (WHERE o.amount > 0) AS orders, sum(o.amount) AS revenue, sum(o.refunded) AS refunded, sum(o.amount) - sum(o.refunded) AS net,
  round(count(DISTINCT o.customer) FILTER (WHERE o.amount > 0) / s.customers, 6) AS share
FROM sale AS o JOIN first AS f USING (customer) JOIN size AS s USING (cohort)
GROUP BY s.cohort, s.customers, o.period ORDER BY s.cohort, o.period`;
  },
  chart: () => ({ kind: 'cohort', x: 'cohort', series: 'period', y: ['net'] }),
  evidence(given, setting) {
    const aside = (reason: string, condition: string) =>
      `SELECT 2, 'set aside: ${reason}', CAST(count(*) AS VARCHAR) FROM shop_order WHERE ${condition} HAVING count(*) > 0`;
    return orderEvidence('cohorts', needOrders(given, setting), given, setting, [
      aside('test orders', 'test'),
      aside('unpaid', 'NOT paid AND NOT test'),
      aside('no customer', 'customer IS NULL AND paid AND NOT test'),
      `SELECT 2, 'set aside: money back to customers without an order', CAST(count(*) AS VARCHAR) FROM shop_order WHERE ${counted(given, setting)} AND customer NOT IN (SELECT customer FROM shop_order WHERE amount > 0 AND ${counted(given, setting)}) HAVING count(*) > 0`,
      aside('refunded more than its amount', 'paid AND NOT test AND amount > 0 AND refunded > amount').replace('set aside: ', 'caveat: '),
    ]);
  },
};

function counted(given: Given, setting: Setting): string {
  return ['paid', 'NOT test', 'customer IS NOT NULL', ...withinDays('cohorts', given, setting, 'time')].join(' AND ');
}
