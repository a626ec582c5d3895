import { fail } from '#core';
import { eventsOf, half } from './events.ts';
import { eventEvidence } from './evidence.ts';
import { type AnswerKind, eventOptions, type Given, type Setting } from './kind.ts';
import { giantOrder, moneyCaveats, needOrders } from './orders.ts';
import { dayOf, firstColumn, withinDays } from './tables.ts';

const sides = ['channel', 'browser', 'device', 'payment', 'day'] as const;

/**
 * Orders of both sides by id. Reasons are told from the records alone: an order without events is "payment redirect" where a checkout
 * of fitting value stood open in the half hour before it, "consent" where nothing of the customer was collected then (refused, or
 * blocked), else unknown; two such checkouts at once can be taken for each other.
 */
export const reconcile: AnswerKind = {
  name: 'reconcile',
  title: 'Do the collected purchases and the shop’s orders agree?',
  summary: 'Purchases in the events against the orders table, by order id: matched, only in one of them, amount differs, and why.',
  options: [
    ...eventOptions,
    { name: 'by', type: 'list', summary: `Further columns: ${sides.join(', ')}.` },
    { name: 'tolerance', type: 'number', summary: 'Amounts that differ by no more than this are equal.', default: 0 },
  ],
  sql: (given, setting) => `WITH ${ctes(given, setting).join(',\n')}
SELECT outcome, reason${by(given)
    .map((side) => `, ${side}`)
    .join('')},
  count(*) AS orders, count(*) FILTER (WHERE paid AND NOT test) AS paid_orders,
  coalesce(sum(amount), 0) AS amount_orders, coalesce(sum(value), 0) AS amount_events
FROM judged GROUP BY ALL ORDER BY ALL`,
  evidence(given, setting) {
    const events = eventsOf('reconcile', given, setting);
    const more = [
      `SELECT 6, 'orders in the table', CAST(count(*) AS VARCHAR) FROM shop_order WHERE ${withinDays('reconcile', given, setting, 'time').join(' AND ') || 'true'}`,
      `SELECT 6, 'orders in the events', CAST(count(*) AS VARCHAR) FROM purchase`,
      `SELECT 8, 'caveat: orders of negative value', CAST(count(*) AS VARCHAR) FROM shop_order WHERE amount < 0 HAVING count(*) > 0`,
      ...moneyCaveats(events).slice(0, 1),
      giantOrder('shop_order', 'amount'),
    ];
    return eventEvidence('reconcile', events, given, setting, more);
  },
};

function by(given: Given): readonly string[] {
  const asked = given['by'] as readonly string[];
  const unknown = asked.find((side) => !(sides as readonly string[]).includes(side));
  return unknown === undefined
    ? asked
    : fail('ANSWER_OPTION', { answer: 'reconcile', option: 'by', problem: `there are ${sides.join(', ')}` });
}

function ctes(given: Given, setting: Setting): string[] {
  const events = eventsOf('reconcile', given, setting);
  const orders = needOrders(given, setting);
  const optional = (name: string) => events.table.column(name) !== null;
  const channel = optional('channel') ? ['channel'] : ['source', 'medium'].every(optional) ? ['source', 'medium'] : [];
  const about = ['browser', 'device', 'payment_type'].filter(optional);
  const wanted = ['session', ...channel, ...about];
  // Within a session the source stands on the first event alone.
  const channelSql =
    channel.length === 1 ? 'any_value(channel)' : channel.length === 2 ? `any_value(source || ' / ' || medium)` : 'NULL::VARCHAR';
  const within = (time: string) =>
    withinDays('reconcile', given, setting, time)
      .map((condition) => ` AND ${condition}`)
      .join('');
  const item = firstColumn(events.table, 'e', ['browser']) === null ? 'NULL::VARCHAR' : 'any_value(browser)';
  return [
    ...events.ctes(wanted),
    orders.cte,
    `deal AS MATERIALIZED (
  SELECT event, time, "user", visitor, coalesce(session, visitor) AS session, order_id, value, aside${about.map((column) => `, ${column}`).join('')}
  FROM event WHERE event IN ('begin_checkout', 'purchase')
)`,
    `told AS (
  -- Test and bot orders too: they are a reason, not nothing.
  SELECT order_id, max(coalesce(value, 0)) AS value, min(time) AS time, arg_min(session, time) AS session, count(*) AS reports, any_value(aside) AS aside,
    ${item} AS browser, ${optional('device') ? 'any_value(device)' : 'NULL::VARCHAR'} AS device, ${optional('payment_type') ? 'any_value(payment_type)' : 'NULL::VARCHAR'} AS payment
  FROM deal WHERE event = 'purchase' AND order_id IS NOT NULL GROUP BY order_id
)`,
    `reported AS (
  -- An order belongs to the day on which the shop has it, whenever it was reported; one that the shop has not to that of the report.
  SELECT t.* FROM told AS t LEFT JOIN shop_order AS o USING (order_id) WHERE true${within('coalesce(o.time, t.time)')}
)`,
    `session AS (SELECT session, ${channelSql} AS channel FROM ${events.ofSessions('reported')} GROUP BY session)`,
    `checkout AS (
  -- The last one of a session, and the purchase that followed it, if one did.
  SELECT c."user", c.visitor, c.session, c.time, c.value, p.value AS paid
  FROM (SELECT session, any_value("user") AS "user", any_value(visitor) AS visitor, max(time) AS time, arg_max(value, time) AS value
    FROM deal WHERE event = 'begin_checkout' AND aside IS NULL GROUP BY session) AS c
  LEFT JOIN (SELECT session, max(time) AS time, arg_max(value, time) AS value FROM deal WHERE event = 'purchase' GROUP BY session) AS p
    ON p.session = c.session AND p.time >= c.time
)`,
    `fee AS (
  -- What orders cost beyond their checkout's value (shipping, mostly), as orders of both sides show it.
  SELECT DISTINCT paid - value AS fee FROM checkout WHERE paid IS NOT NULL
)`,
    `began AS (SELECT min(time) AS first_event, (SELECT max(time) FROM shop_order) AS last_order, (SELECT count(customer) > 0 FROM shop_order) AS has_customers FROM ${events.bare})`,
    `unreported AS (SELECT o.* FROM shop_order AS o LEFT JOIN reported AS r USING (order_id) WHERE r.order_id IS NULL${within('o.time')})`,
    `open AS (SELECT *, ${half('time')} AS half FROM checkout WHERE paid IS NULL)`,
    `candidate AS (
  -- A member's checkout is never a guest's. Guests are found by the half hours of the clock: by the instants alone each would be held against each.
  SELECT o.order_id, o.time AS ordered, o.amount, c.session, c.time, c.value FROM unreported AS o JOIN open AS c ON c."user" = o.customer WHERE o.paid
  UNION ALL
  SELECT o.order_id, o.time, o.amount, c.session, c.time, c.value
  FROM (SELECT *, unnest([${half('time')}, ${half('time')} - 1]) AS half FROM unreported WHERE paid AND customer IS NULL) AS o
  JOIN open AS c ON c.half = o.half CROSS JOIN began AS b WHERE c."user" = c.visitor OR NOT b.has_customers
)`,
    `redirected AS (
  -- An open checkout stands for one order, the nearest.
  SELECT order_id FROM candidate WHERE time BETWEEN ordered - INTERVAL 30 MINUTE AND ordered AND (value IS NULL OR amount = value OR amount - value IN (SELECT fee FROM fee))
  QUALIFY row_number() OVER (PARTITION BY session ORDER BY ordered, order_id) = 1
    AND row_number() OVER (PARTITION BY order_id ORDER BY time DESC, session) = 1
)`,
    `present AS (
  -- Customers of whom something was collected around the order.
  SELECT DISTINCT o.order_id FROM unreported AS o JOIN ${events.bare} AS e ON e."user" = o.customer
    AND e.time BETWEEN o.time - INTERVAL 30 MINUTE AND o.time + INTERVAL 30 MINUTE
)`,
    `judged AS (
  SELECT r.order_id AS order_id, r.value, NULL AS amount, coalesce(r.aside = 'staff', false) AS test, false AS paid,
    'only in events' AS outcome,
    CASE WHEN r.aside = 'bot' THEN 'bot' WHEN r.aside = 'staff' THEN 'test' WHEN r.time > b.last_order THEN 'after the last order of the table' ELSE 'unknown' END AS reason,
    s.channel, r.browser, r.device, r.payment, ${dayOf('r.time', setting)} AS day
  FROM reported AS r CROSS JOIN began AS b LEFT JOIN session AS s ON s.session = r.session
  WHERE NOT EXISTS (SELECT 1 FROM shop_order AS o WHERE o.order_id = r.order_id)
  UNION ALL
  SELECT o.order_id, r.value, o.amount, o.test, o.paid,
    CASE WHEN o.test OR r.aside IS NOT NULL THEN 'set aside' WHEN NOT o.paid AND NOT o.cancelled THEN 'only in events'
      WHEN o.amount IS NULL OR abs(r.value - o.amount) > ${Number(given['tolerance'])} THEN 'amount differs' ELSE 'matched' END,
    CASE WHEN o.test OR r.aside = 'staff' THEN 'test' WHEN r.aside IS NOT NULL THEN r.aside WHEN NOT o.paid AND NOT o.cancelled THEN 'never paid' WHEN o.amount IS NULL THEN 'amount missing'
      WHEN r.reports > 1 THEN 'duplicate sent' WHEN o.cancelled THEN 'cancelled' WHEN o.refunded > 0 OR o.status = 'partially_refunded' THEN 'refund'
      WHEN abs(r.value - o.amount) > ${Number(given['tolerance'])} THEN 'unknown' END,
    s.channel, r.browser, r.device, coalesce(o.payment, r.payment), ${dayOf('o.time', setting)}
  FROM shop_order AS o JOIN reported AS r USING (order_id) LEFT JOIN session AS s ON s.session = r.session
  UNION ALL
  SELECT o.order_id, NULL, o.amount, o.test, o.paid,
    CASE WHEN o.test THEN 'set aside' ELSE 'only in orders' END,
    CASE WHEN o.test THEN 'test' WHEN NOT o.paid AND NOT o.cancelled THEN 'never paid' WHEN NOT o.paid THEN 'cancelled' WHEN o.time < b.first_event THEN 'before tracking' WHEN d.order_id IS NOT NULL THEN 'payment redirect'
      WHEN p.order_id IS NOT NULL THEN 'unknown' ELSE 'consent' END,
    NULL, NULL, NULL, o.payment, ${dayOf('o.time', setting)}
  FROM unreported AS o CROSS JOIN began AS b LEFT JOIN redirected AS d USING (order_id) LEFT JOIN present AS p USING (order_id)
)`,
  ];
}
