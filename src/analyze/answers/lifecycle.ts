import { asides, saleCtes } from './customer.ts';
import { orderEvidence } from './evidence.ts';
import { type AnswerKind, eventOptions } from './kind.ts';
import { needOrders } from './orders.ts';
import { periodOf } from './tables.ts';

/**
 * Each customer's stage in each period since the first order: new, retained (bought in the period before too), reactivated (bought, but
 * not in the period before), lapsed (bought in the period before, not now), lost (neither). The stages of a period add up to all
 * customers until then.
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
        ? `SELECT customer, stage, orders, net, first, last FROM staged WHERE period = (SELECT max(period) FROM period) ORDER BY stage, customer`
        : `SELECT period, stage, count(*) AS customers, sum(orders) AS orders, sum(net) AS net FROM staged GROUP BY period, stage ORDER BY period, stage`;
    return `WITH ${saleCtes('lifecycle', given, setting).join(',\n')},
bought AS (
  SELECT customer, ${periodOf(grain, 'day', setting)} AS period, count(*) AS orders, sum(amount) - sum(refunded) AS net FROM sale WHERE amount > 0 GROUP BY ALL
),
began AS (SELECT customer, min(period) AS first FROM bought GROUP BY customer),
period AS (SELECT CAST(unnest(generate_series(min(period), max(period), INTERVAL 1 ${grain})) AS DATE) AS period FROM bought),
staged AS (
  SELECT p.period, c.customer, c.first, coalesce(b.orders, 0) AS orders, coalesce(b.net, 0) AS net,
    max(b.period) OVER (PARTITION BY c.customer ORDER BY p.period) AS last,
    CASE WHEN p.period = c.first THEN 'new' WHEN b.period IS NOT NULL AND q.period IS NOT NULL THEN 'retained' WHEN b.period IS NOT NULL THEN 'reactivated'
      WHEN q.period IS NOT NULL THEN 'lapsed' ELSE 'lost' END AS stage
  FROM period AS p JOIN began AS c ON c.first <= p.period
  LEFT JOIN bought AS b ON b.customer = c.customer AND b.period = p.period
  LEFT JOIN bought AS q ON q.customer = c.customer AND q.period = CAST(p.period - INTERVAL 1 ${grain} AS DATE)
)
${shown}`;
  },
  chart: (given) => (given['rows'] === 'customers' ? null : { kind: 'stacked', x: 'period', series: 'stage', y: ['customers'] }),
  evidence: (given, setting) => orderEvidence('lifecycle', needOrders(given, setting), given, setting, asides('lifecycle', given, setting)),
};
