import { asides, saleCtes, sinceEver } from './customer.ts';
import { orderEvidence } from './evidence.ts';
import { type AnswerKind, eventOptions } from './kind.ts';
import { needOrders } from './orders.ts';
import { fromDay, literal, periodOf } from './tables.ts';

/**
 * Each customer's stage in each period since the first order: new, retained (bought in the period before too), reactivated (bought, but
 * not in the period before), lapsed (bought in the period before, not now), lost (neither). The stages of a period add up to all
 * customers until then. With `from` the periods before it are left out, and what was bought before it still tells the stage. An order
 * below zero counts in its own period; one before the first order counts with that.
 */
export const lifecycle: AnswerKind = {
  name: 'lifecycle',
  title: 'Do customers stay, lapse and come back?',
  summary: 'Customers by stage (new, retained, reactivated, lapsed, lost) in each period, or one by one in the newest.',
  options: [
    {
      name: 'rows',
      type: 'choice',
      choices: ['periods', 'customers'],
      default: 'periods',
      summary: 'A row a period and stage, or a row a customer today.',
    },
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
    const shown =
      given['rows'] === 'customers'
        ? `SELECT customer, stage, orders, net, first, last FROM shown WHERE period = (SELECT max(period) FROM period) ORDER BY stage, customer`
        : `SELECT period, stage, count(*) AS customers, sum(orders) AS orders, sum(net) AS net FROM shown GROUP BY period, stage ORDER BY period, stage`;
    return `WITH ${saleCtes('lifecycle', sinceEver(given), setting).join(',\n')},
dealt AS (SELECT customer, ${periodOf(grain, 'day', setting)} AS period, ${fromDay('lifecycle', given, setting, 'day')} AS asked, amount, refunded FROM sale),
began AS (SELECT customer, min(period) AS first FROM dealt WHERE amount > 0 GROUP BY customer),
own AS (
  SELECT d.customer, greatest(d.period, b.first) AS period, bool_or(d.amount > 0) AS bought,
    count(*) FILTER (WHERE d.amount > 0 AND d.asked) AS orders, coalesce(sum(d.amount - d.refunded) FILTER (WHERE d.asked), 0) AS net
  FROM dealt AS d JOIN began AS b USING (customer) GROUP BY ALL
),
bought AS (SELECT customer, period FROM own WHERE bought),
period AS (SELECT CAST(unnest(generate_series(min(period), max(period), INTERVAL 1 ${grain})) AS DATE) AS period FROM own),
staged AS (
  SELECT p.period, c.customer, c.first, coalesce(o.orders, 0) AS orders, coalesce(o.net, 0) AS net,
    max(b.period) OVER (PARTITION BY c.customer ORDER BY p.period) AS last,
    CASE WHEN p.period = c.first THEN 'new' WHEN b.period IS NOT NULL AND q.period IS NOT NULL THEN 'retained' WHEN b.period IS NOT NULL THEN 'reactivated'
      WHEN q.period IS NOT NULL THEN 'lapsed' ELSE 'lost' END AS stage
  FROM period AS p JOIN began AS c ON c.first <= p.period
  LEFT JOIN own AS o ON o.customer = c.customer AND o.period = p.period
  LEFT JOIN bought AS b ON b.customer = c.customer AND b.period = p.period
  LEFT JOIN bought AS q ON q.customer = c.customer AND q.period = CAST(p.period - INTERVAL 1 ${grain} AS DATE)
),
shown AS (SELECT * FROM staged WHERE ${given['from'] === null ? 'true' : `period >= ${periodOf(grain, `DATE ${literal(String(given['from']))}`, setting)}`})
${shown}`;
  },
  chart: (given) => (given['rows'] === 'customers' ? null : { kind: 'stacked', x: 'period', series: 'stage', y: ['customers'] }),
  evidence: (given, setting) =>
    orderEvidence('lifecycle', needOrders(given, setting), given, setting, asides('lifecycle', given, setting, sinceEver(given))),
};
