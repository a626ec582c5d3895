import { asides, saleCtes } from './customer.ts';
import { orderEvidence } from './evidence.ts';
import { type AnswerKind, eventOptions } from './kind.ts';
import { needOrders } from './orders.ts';

/**
 * Recency, frequency, monetary value of the paid orders in the asked days, each scored 1 to 5 by its rank within them: equal values have
 * equal scores. Money is net of refunds. Recency counts from the last order of the data, not from today.
 */
export const rfm: AnswerKind = {
  name: 'rfm',
  title: 'Whom should we talk to?',
  summary: 'Customers by how recently, how often and for how much they bought, as segments or one by one.',
  options: [
    {
      name: 'rows',
      type: 'choice',
      choices: ['segments', 'customers'],
      default: 'segments',
      summary: 'A row a segment, or a row a customer.',
    },
    ...eventOptions.filter(({ name }) => name !== 'events'),
  ],
  sql(given, setting) {
    const shown =
      given['rows'] === 'customers'
        ? `SELECT customer, segment, r, f, m, recency_days, orders, net, first_day, last_day FROM named ORDER BY r DESC, f DESC, m DESC, customer`
        : `SELECT segment, count(*) AS customers, round(count(*) / sum(count(*)) OVER (), 6) AS share, sum(orders) AS orders, sum(net) AS net,
  round(sum(net) / nullif(sum(sum(net)) OVER (), 0), 6) AS net_share, median(recency_days) AS median_recency_days
FROM named GROUP BY segment ORDER BY net DESC, segment`;
    return `WITH ${saleCtes('rfm', given, setting).join(',\n')},
customer AS (
  SELECT customer, date_diff('day', max(day) FILTER (WHERE amount > 0), (SELECT max(day) FROM sale WHERE amount > 0)) AS recency_days,
    count(*) FILTER (WHERE amount > 0) AS orders, sum(amount) - sum(refunded) AS net,
    min(day) FILTER (WHERE amount > 0) AS first_day, max(day) FILTER (WHERE amount > 0) AS last_day
  FROM sale GROUP BY customer HAVING count(*) FILTER (WHERE amount > 0) > 0
),
scored AS (
  SELECT *, 1 + (5 * (rank() OVER (ORDER BY recency_days DESC) - 1)) // count(*) OVER () AS r,
    1 + (5 * (rank() OVER (ORDER BY orders) - 1)) // count(*) OVER () AS f,
    1 + (5 * (rank() OVER (ORDER BY net) - 1)) // count(*) OVER () AS m
  FROM customer
),
named AS (
  SELECT *, CASE WHEN r >= 4 AND f >= 4 THEN 'champions' WHEN f >= 4 AND r <= 2 THEN 'at risk' WHEN f >= 4 THEN 'loyal'
    WHEN r >= 4 AND orders = 1 THEN 'new' WHEN r >= 4 THEN 'promising' WHEN r <= 2 THEN 'lost' ELSE 'cooling' END AS segment
  FROM scored
)
${shown}`;
  },
  evidence: (given, setting) => orderEvidence('rfm', needOrders(given, setting), given, setting, asides('rfm', given, setting)),
};
