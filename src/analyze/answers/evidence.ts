import { MillraceError } from '#core';
import { counted } from './customer.ts';
import { type Events, eventsOf } from './events.ts';
import type { Given, Setting } from './kind.ts';
import { type Orders, ordersOf } from './orders.ts';
import { literal, withinDays } from './tables.ts';

/** The newest batch that the warehouse had when the evidence was taken. */
const version = `SELECT 9, 'data version (batch)', CAST(coalesce(max(batch), 0) AS VARCHAR) FROM millrace.batch`;

/**
 * Rows (fact, value) about the events that an answer used: how many, how many were set aside and why, from when to when, how much of
 * the paid orders they saw, what weakens them. `more` are further selects of (ord, fact, value).
 */
export function eventEvidence(
  answer: string,
  events: Events,
  given: Given,
  setting: Setting,
  more: readonly string[] = [],
  ctes: readonly string[] = [],
  wanted: readonly string[] = [],
): string {
  const orders = ordersOf(given, setting);
  const parts = [
    `SELECT 1 AS ord, 'events used' AS fact, CAST(coalesce(sum(events), 0) AS VARCHAR) AS value FROM tally WHERE aside IS NULL AND asked`,
    `SELECT 2, 'set aside: ' || aside, CAST(sum(events) AS VARCHAR) FROM tally WHERE aside IS NOT NULL GROUP BY aside`,
    `SELECT 3, 'set aside: outside the asked days', CAST(sum(events) AS VARCHAR) FROM tally WHERE aside IS NULL AND NOT asked HAVING count(*) > 0`,
    ...spanOf('(SELECT unnest([first, last]) AS time FROM tally WHERE aside IS NULL AND asked)', setting),
    ...(events.paid ? unpaid(inDays(answer, given, setting).replaceAll(/\btime\b/g, 'r.time')) : []),
    ...more,
    orders === null ? unmatched('there is no table of orders') : matched(answer, given, setting),
    ...events.caveats,
    ...(orders?.caveats ?? []),
    version,
  ];
  // Events by the million are counted in one pass.
  const tally = `tally AS MATERIALIZED (
  SELECT aside, (${inDays(answer, given, setting)}) AS asked, count(*) AS events, min(time) AS first, max(time) AS last FROM ${events.bare} GROUP BY ALL
)`;
  const needs = [...events.ctes(wanted), tally, events.bought, ...(orders === null ? [] : [events.seen, orders.cte]), ...ctes];
  return `WITH ${needs.join(',\n')}
SELECT fact, value FROM (
  ${parts.join('\n  UNION ALL ')}
) ORDER BY ord, fact`;
}

/** Of purchases that count as orders: those that were reported and are none. */
const unpaid = (within: string) => [
  `SELECT 2, 'set aside: purchases that are no order of the shop', CAST(count(*) AS VARCHAR) FROM reported AS r ANTI JOIN shop_order AS o USING (order_id) WHERE ${within} HAVING count(*) > 0`,
  `SELECT 2, 'set aside: purchases of orders that are not paid, or tests', CAST(count(*) AS VARCHAR) FROM reported AS r JOIN shop_order AS o USING (order_id) WHERE (NOT o.paid OR o.test) AND ${within} HAVING count(*) > 0`,
];

/** The same for answers that stand on customers' orders alone. */
export function orderEvidence(answer: string, orders: Orders, given: Given, setting: Setting, more: readonly string[]): string {
  const seen = matching(answer, given, setting);
  const used = counted(answer, given, setting);
  const parts = [
    `SELECT 1 AS ord, 'orders' AS fact, CAST(count(*) AS VARCHAR) AS value FROM shop_order`,
    `SELECT 1, 'orders used', CAST(count(*) AS VARCHAR) FROM shop_order WHERE ${used}`,
    ...spanOf(`(SELECT time FROM shop_order WHERE ${used})`, setting),
    ...more,
    seen.fact,
    ...orders.caveats,
    version,
  ];
  return `WITH ${[orders.cte, ...seen.ctes].join(',\n')}
SELECT fact, value FROM (
  ${parts.join('\n  UNION ALL ')}
) ORDER BY ord, fact`;
}

/**
 * For answers that stand on neither: how many of the paid orders the usual events saw. Its relations stand within it, as the user's own
 * expressions beside it may name tables.
 */
export function orderMatch(answer: string, given: Given, setting: Setting): string[] {
  const days = { events: null, orders: null, from: given['from'] ?? null, to: given['to'] ?? null };
  const orders = ordersOf(days, setting);
  if (orders === null) return [unmatched('there is no table of orders')];
  const seen = matching(answer, days, setting);
  return [`SELECT * FROM (WITH ${[orders.cte, ...seen.ctes].join(',\n')} ${seen.fact})`];
}

/** `purchase` of the usual events where they can be read, and the fact; the orders stand in `shop_order`. */
function matching(answer: string, given: Given, setting: Setting): { readonly ctes: readonly string[]; readonly fact: string } {
  try {
    const events = eventsOf(answer, { ...given, events: null }, setting);
    return { ctes: [...events.ctes(), events.bought, events.seen], fact: matched(answer, given, setting) };
  } catch (thrown) {
    // The answer stands without events; that they can't be read is part of its evidence.
    if (!(thrown instanceof MillraceError) || !['ANSWER_TABLE', 'ANSWER_COLUMN', 'ANSWER_TYPE'].includes(thrown.body.code)) throw thrown;
    return { ctes: [], fact: unmatched(thrown.body.code === 'ANSWER_TABLE' ? 'there are no events' : 'the events can’t be read') };
  }
}

const unmatched = (why: string) => `SELECT 7 AS ord, 'matched paid orders' AS fact, ${literal(`not known: ${why}`)} AS value`;

function inDays(answer: string, given: Given, setting: Setting): string {
  return withinDays(answer, given, setting, 'time').join(' AND ') || 'true';
}

/** The first and the last of the instants `time` of a relation, on the workspace's clock. */
export function spanOf(relation: string, { timeZone }: Setting): string[] {
  const shown = (edge: string) => `strftime(${edge}(time) AT TIME ZONE ${literal(timeZone)}, '%Y-%m-%d %H:%M')`;
  return [
    `SELECT 4, 'from', ${shown('min')} FROM ${relation} HAVING count(*) > 0`,
    `SELECT 5, 'to', ${shown('max')} || ' (' || ${literal(timeZone)} || ')' FROM ${relation} HAVING count(*) > 0`,
  ];
}

/** Of the shop's paid orders in the asked days: how many the events reported, be it on another day. */
function matched(answer: string, given: Given, setting: Setting): string {
  return `SELECT 7, 'matched paid orders', CASE WHEN count(*) = 0 THEN 'none to match' ELSE
      format('{:.1f} % ({} of {})', 100 * count(p.order_id) / count(*), count(p.order_id), count(*)) END
    FROM shop_order AS o LEFT JOIN seen_order AS p USING (order_id)
    WHERE o.paid AND NOT o.test AND ${inDays(answer, given, setting).replaceAll(/\btime\b/g, 'o.time')}`;
}
