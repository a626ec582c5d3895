/** What is known of a customer from the orders, on any day: the ground of segments, stages and lifetime value. */
import type { Given, Setting } from './kind.ts';
import { giantOrder, needOrders } from './orders.ts';
import { dayOf, withinDays } from './tables.ts';

const theirs = 'paid AND NOT test AND customer IS NOT NULL';

/** Over `shop_order`: what counts of the asked days. */
export function counted(answer: string, given: Given, setting: Setting): string {
  return [theirs, ...withinDays(answer, given, setting, 'time')].join(' AND ');
}

/** `shop_order` and `sale`: customer, day, bought, amount, refunded, order_id of the paid orders; a negative amount is money given back. */
export function saleCtes(answer: string, given: Given, setting: Setting): string[] {
  return [
    needOrders(given, setting).cte,
    `sale AS (
  SELECT customer, ${dayOf('time', setting)} AS day, order_id, amount >= 0 AS bought, greatest(amount, 0) AS amount, refunded + greatest(-amount, 0) AS refunded
  FROM shop_order WHERE ${counted(answer, given, setting)}
)`,
  ];
}

/** The columns that a segment's rule may name, of the customers who had bought by `day` of the relation `days`. Money is net of refunds. */
export const factCte = (name: string, days: string): string => `${name} AS (
  SELECT d.day AS as_of, s.customer, count(*) FILTER (WHERE s.amount > 0) AS orders, sum(s.amount) AS gross, sum(s.refunded) AS refunded, sum(s.amount) - sum(s.refunded) AS net,
    min(s.day) FILTER (WHERE s.amount > 0) AS first_day, max(s.day) FILTER (WHERE s.amount > 0) AS last_day,
    date_diff('day', max(s.day) FILTER (WHERE s.amount > 0), d.day) AS recency_days, date_diff('day', min(s.day) FILTER (WHERE s.amount > 0), d.day) AS age_days,
    sum(s.amount) / nullif(count(*) FILTER (WHERE s.amount > 0), 0) AS mean_order,
    date_diff('day', min(s.day) FILTER (WHERE s.amount > 0), max(s.day) FILTER (WHERE s.amount > 0)) / nullif(count(DISTINCT s.day) FILTER (WHERE s.amount > 0) - 1, 0) AS gap_days
  FROM ${days} AS d JOIN sale AS s ON s.day <= d.day GROUP BY d.day, s.customer HAVING count(*) FILTER (WHERE s.amount > 0) > 0
)`;

/** The days in which an answer looks for what a customer did first: what came before the asked ones is no less the first. */
export const sinceEver = (given: Given): Given => ({ ...given, from: null });

/** Evidence of answers that stand on customers; `known` are the days whose orders make a customer. */
export function asides(answer: string, given: Given, setting: Setting, known: Given = given): string[] {
  const aside = (reason: string, condition: string) =>
    `SELECT 2, 'set aside: ${reason}', CAST(count(*) AS VARCHAR) FROM shop_order WHERE ${condition} HAVING count(*) > 0`;
  const all = counted(answer, given, setting);
  const days = withinDays(answer, given, setting, 'time');
  return [
    aside('test orders', 'test'),
    aside('unpaid', 'NOT paid AND NOT cancelled AND NOT test'),
    aside('cancelled, nothing was given back', 'NOT paid AND cancelled AND NOT test'),
    aside('no customer', 'customer IS NULL AND paid AND NOT test'),
    ...(days.length === 0 ? [] : [aside('outside the asked days', `${theirs} AND (${days.join(' AND ')}) IS NOT TRUE`)]),
    `SELECT 2, 'set aside: money back to customers without an order', CAST(count(*) AS VARCHAR) FROM shop_order WHERE ${all} AND customer NOT IN (SELECT customer FROM shop_order WHERE amount > 0 AND ${counted(answer, known, setting)}) HAVING count(*) > 0`,
    `SELECT 8, 'caveat: customers whose refunds exceed their orders', CAST(count(*) AS VARCHAR) FROM (SELECT customer FROM shop_order WHERE ${all} GROUP BY customer HAVING sum(amount) - sum(refunded) < 0) HAVING count(*) > 0`,
    `SELECT 8, 'caveat: orders below zero, taken as money given back', CAST(count(*) AS VARCHAR) FROM shop_order WHERE ${all} AND amount < 0 HAVING count(*) > 0`,
    `SELECT 8, 'caveat: customers whose orders were given back in full', CAST(count(*) AS VARCHAR) FROM (SELECT customer FROM shop_order WHERE ${all} GROUP BY customer HAVING sum(amount) - sum(refunded) = 0 AND sum(refunded) > 0) HAVING count(*) > 0`,
    giantOrder(`shop_order WHERE ${all}`, 'amount'),
  ];
}
