/**
 * A segment as views that are kept fresh by what a change touches: an order once (by order), what is known of a customer (by customer),
 * then the members, and who entered and left when. A rule that names `recency_days` or `age_days` changes by the turning of the day
 * alone: its members are kept by customer too, and chosen anew among all customers when the newest day is another; it has no view of
 * moves, since each day would be one for everybody.
 */
import { tokens } from '#sql';
import { counted } from './customer.ts';
import type { Given, NamedView, Setting } from './kind.ts';
import { needOrders } from './orders.ts';
import { dayOf } from './tables.ts';

const ORDERS = 'mart.segment_orders';
const CUSTOMERS = 'mart.segment_customers';
/** One row that seldom changes, in a view of its own: only when it does are the members chosen anew. */
const TODAY = 'mart.segment_today';

export function segmentViews(given: Given, setting: Setting): readonly NamedView[] {
  const { name, where } = setting.segment(String(given['segment']));
  const orders = needOrders(given, setting);
  const ages = tokens(where).some(({ kind, text }) => kind !== 'string' && /^"?(recency_days|age_days)"?$/i.test(text));
  return [
    {
      name: ORDERS,
      partition: 'order_id',
      sql: `WITH ${orders.cte}
SELECT order_id, customer, ${dayOf('time', setting)} AS day, greatest(amount, 0) AS amount, refunded + greatest(-amount, 0) AS refunded
FROM shop_order WHERE ${counted('segment', { ...given, to: null }, setting)}`,
    },
    {
      name: CUSTOMERS,
      partition: 'customer',
      sql: `SELECT customer, ${facts}, max(day) AS newest_day FROM ${ORDERS} GROUP BY customer HAVING orders > 0`,
    },
    ...(ages ? [{ name: TODAY, partition: null, sql: `SELECT max(newest_day) AS day FROM ${CUSTOMERS}` }] : []),
    { name: `mart.segment_${name}`, partition: 'customer', sql: ages ? agingMembers(where) : members(where) },
    ...(ages ? [] : [{ name: `mart.segment_${name}_moves`, partition: 'customer', sql: moves(where) }]),
  ];
}

/** What a rule may name of a customer and no day changes; over the orders of one customer. */
const facts = `count(*) FILTER (WHERE amount > 0) AS orders, sum(amount) AS gross, sum(refunded) AS refunded, sum(amount) - sum(refunded) AS net,
  min(day) FILTER (WHERE amount > 0) AS first_day, max(day) FILTER (WHERE amount > 0) AS last_day,
  sum(amount) / nullif(count(*) FILTER (WHERE amount > 0), 0) AS mean_order,
  date_diff('day', min(day) FILTER (WHERE amount > 0), max(day) FILTER (WHERE amount > 0)) / nullif(count(DISTINCT day) FILTER (WHERE amount > 0) - 1, 0) AS gap_days`;

const members = (where: string) => `SELECT customer, orders, net, first_day, last_day FROM ${CUSTOMERS} WHERE (${where}\n)`;

const agingMembers = (where: string) => `WITH fact AS (
  SELECT c.*, t.day AS as_of, date_diff('day', last_day, t.day) AS recency_days, date_diff('day', first_day, t.day) AS age_days
  FROM ${CUSTOMERS} AS c CROSS JOIN ${TODAY} AS t
)
SELECT customer, orders, net, first_day, last_day FROM fact WHERE (${where}\n)`;

/** Each customer after each of their days, and of these the days on which membership changed. */
const moves = (where: string) => `WITH own AS (
  SELECT customer, day AS as_of, count(*) FILTER (WHERE amount > 0) AS bought, sum(amount) AS amount, sum(refunded) AS refunded FROM ${ORDERS} GROUP BY customer, day
),
until AS (
  SELECT customer, as_of, sum(bought) OVER w AS orders, sum(amount) OVER w AS gross, sum(refunded) OVER w AS refunded, sum(amount) OVER w - sum(refunded) OVER w AS net,
    min(as_of) FILTER (WHERE bought > 0) OVER w AS first_day, max(as_of) FILTER (WHERE bought > 0) OVER w AS last_day, count(*) FILTER (WHERE bought > 0) OVER w AS days
  FROM own WINDOW w AS (PARTITION BY customer ORDER BY as_of)
),
fact AS (
  SELECT *, gross / nullif(orders, 0) AS mean_order, date_diff('day', first_day, last_day) / nullif(days - 1, 0) AS gap_days FROM until WHERE orders > 0
),
member AS (SELECT customer, as_of, coalesce((${where}\n), false) AS member FROM fact)
SELECT customer, as_of, member AS entered FROM member QUALIFY member <> lag(member, 1, false) OVER (PARTITION BY customer ORDER BY as_of)`;
