import { fail } from '#core';
import type { Given, Setting } from './kind.ts';
import {
  ambiguity,
  type Found,
  findTable,
  firstColumn,
  instantOf,
  literal,
  needColumn,
  requireMoney,
  requireType,
  textOf,
  zoneless,
} from './tables.ts';

export interface Orders {
  readonly table: Found;
  /**
   * `shop_order`: order_id and customer as text, time, amount, status, paid, cancelled, test, payment, refunded, by_status, copies, least;
   * an order once. Where the shop says that an order is undone and not what was given back (`by_status`), it is all of it: it brought no
   * money, and one that was cancelled so was never paid.
   */
  readonly cte: string;
  /** Facts that weaken the answer, as rows of evidence. */
  readonly caveats: readonly string[];
}

const defaults = ['shop.orders', 'main.orders'];
const timeNames = ['ordered_at', 'order_time', 'created_at', 'time', '_time'];
const amountNames = ['amount', 'value', 'total', 'revenue'];
const refundNames = ['refund_amount', 'refunded_amount'];
const unpaid = ['awaiting_payment', 'pending_payment', 'pending', 'unpaid', 'failed', 'payment_failed', 'on_hold'];
const cancelled = ['cancelled', 'voided'];
const refunded = ['refunded', 'fully_refunded'];

/** The orders table, or null where none is named and none of the usual ones exists. Errors: ANSWER_TABLE, ANSWER_COLUMN. */
export function ordersOf(given: Given, setting: Setting): Orders | null {
  const asked = given['orders'] as string | null;
  const names = asked === null ? defaults : [asked];
  const table = names.map((name) => findTable(setting, name)).find((found) => found !== null);
  if (table === undefined) {
    if (asked === null) return null;
    return fail('ANSWER_TABLE', { what: 'orders', table: asked, needs: 'a table with order_id, ordered_at and amount' });
  }
  if (asked === null && table.column('order_id') === null) return null;
  const id = textOf(table, needColumn(table, 'o', 'the order', ['order_id']));
  const time = needColumn(table, 'o', 'its time', timeNames);
  const amount = needColumn(table, 'o', 'its amount', amountNames);
  requireType(table, time, 'the time of an order', /^TIMESTAMP/, 'TIMESTAMP WITH TIME ZONE');
  requireMoney(table, amount, 'the amount of an order');
  const status = firstColumn(table, 'o', ['status']);
  const optional = (names: readonly string[], otherwise: string) => {
    const column = firstColumn(table, 'o', names);
    return column === null ? otherwise : `any_value(${column})`;
  };
  const customer = firstColumn(table, 'o', ['customer_id', 'user_id']);
  const topic = refundTopic(setting);
  const back = refundColumn(table);
  const ordered = `SELECT ${id} AS order_id, min(${instantOf(table, time, setting)}) AS time, max(${amount}) AS amount,
    ${status === null ? 'NULL::VARCHAR' : `any_value(${plainStatus(status)})`} AS status,
    coalesce(${optional(['is_test', 'test'], 'false')}, false) AS test,
    ${customer === null ? 'NULL::VARCHAR' : `any_value(${textOf(table, customer)})`} AS customer,
    ${optional(['payment_type', 'payment', 'payment_method'], 'NULL::VARCHAR')} AS payment,
    count(*) AS copies, min(${amount}) AS least, ${back === null ? '0' : `coalesce(max(${back}), 0)`} AS back
  FROM ${table.sql} AS o WHERE ${id} IS NOT NULL GROUP BY ${id}`;
  const told = topic === null ? 'back' : 'coalesce(refund.value, 0)';
  const undone = `coalesce(status IN (${[...cancelled, ...refunded].map(literal).join(', ')}), false) AND back = 0 AND ${told} = 0`;
  return {
    table,
    // A topic's own _time stands beside the order's; created_at beside ordered_at is when the row was made.
    caveats: [
      ...ambiguity(table, 'the amount of an order', amountNames),
      ...zoneless(table, time, setting),
      ...(table.column('ordered_at') === null
        ? ambiguity(
            table,
            'the time of an order',
            timeNames.filter((name) => name !== '_time'),
          )
        : []),
      `SELECT 8, 'caveat: orders of several rows', count(*) || ', ' || count(*) FILTER (WHERE least <> amount) || ' of them with different amounts; each counts once, at its highest amount' FROM shop_order WHERE copies > 1 HAVING count(*) > 0`,
      ...(status === null
        ? []
        : [
            `SELECT 8, 'caveat: orders refunded by their status alone, taken as given back in full', CAST(count(*) AS VARCHAR) FROM shop_order WHERE by_status AND NOT cancelled HAVING count(*) > 0`,
            `SELECT 8, 'caveat: orders refunded in part, not known how much', CAST(count(*) AS VARCHAR) FROM shop_order WHERE status = 'partially_refunded' AND refunded = 0 HAVING count(*) > 0`,
          ]),
    ],
    cte: `shop_order AS (
  SELECT ordered.* EXCLUDE (back), coalesce(status IN (${cancelled.map(literal).join(', ')}), false) AS cancelled, ${undone} AS by_status,
    coalesce(status NOT IN (${unpaid.map(literal).join(', ')}), true) AND NOT (cancelled AND by_status) AS paid, CASE WHEN by_status THEN greatest(amount, 0) ELSE ${told} END AS refunded
  FROM (${ordered}) AS ordered${topic === null ? '' : ` LEFT JOIN (${topic}) AS refund ON refund.order_id = ordered.order_id`}
)`,
  };
}

/** Shops write a status in any case, with blanks or hyphens, some behind a prefix (WooCommerce's wc-pending); some spell canceled so. */
const plainStatus = (status: string): string =>
  `replace(regexp_replace(regexp_replace(lower(trim(CAST(${status} AS VARCHAR))), '[ -]+', '_', 'g'), '^(wc|order)_', ''), 'canceled', 'cancelled')`;

/** A caveat where one order of a relation is as large as all others. */
export const giantOrder = (relation: string, money: string): string =>
  `SELECT 8, 'caveat: one order is more than half of the money', arg_max(order_id, ${money}) FROM ${relation} HAVING count(*) > 1 AND sum(${money}) > 0 AND max(${money}) > 0.5 * sum(${money})`;

/** What weakens money that stands on `purchase`, or on those of it in `relation`. */
export function moneyCaveats({ paid }: { readonly paid: boolean }, relation = 'purchase'): string[] {
  const unvalued = paid
    ? `SELECT 8, 'caveat: orders without an amount, taken as 0'`
    : `SELECT 8, 'caveat: purchases without a value, taken as 0'`;
  return [
    `${unvalued}, CAST(count(*) AS VARCHAR) FROM ${relation} WHERE unvalued HAVING count(*) > 0`,
    `SELECT 8, 'caveat: orders of negative value', count(*) || ' worth ' || CAST(sum(value) AS VARCHAR) FROM ${relation} WHERE value < 0 HAVING count(*) > 0`,
  ];
}

/** Errors: ANSWER_TABLE where there is none. */
export function needOrders(given: Given, setting: Setting): Orders {
  return (
    ordersOf(given, setting) ??
    fail('ANSWER_TABLE', { what: 'orders', needs: 'shop.orders, or a table with order_id, ordered_at and amount' })
  );
}

/**
 * `order_id` as text, `value`: refund records by order where there is a topic of them, else the amounts in the orders table, else none;
 * and what the status of an order says without an amount. `later` is what of it was given back after the day `asOf`; a refund without a
 * time is never later.
 */
export function refundsOf(given: Given, setting: Setting, asOf: string | null = null): string {
  const orders = ordersOf(given, setting);
  const told = refundTopic(setting, asOf) ?? (orders === null ? null : refundsIn(orders.table, setting, asOf));
  const byStatus = orders === null || orders.table.column('status') === null ? null : orders;
  const none = 'SELECT NULL::VARCHAR AS order_id, 0 AS value, 0 AS later WHERE false';
  if (byStatus === null) return told ?? none;
  return `WITH ${byStatus.cte}
  SELECT * FROM (${told ?? none}) WHERE value <> 0 UNION ALL SELECT order_id, refunded, 0 FROM shop_order WHERE by_status`;
}

function refundsIn(table: Found, setting: Setting, asOf: string | null): string | null {
  const amount = refundColumn(table);
  if (amount === null) return null;
  const id = textOf(table, needColumn(table, 'o', 'the order', ['order_id']));
  const time = firstColumn(table, 'o', ['refunded_at', 'refund_time']);
  return `SELECT ${id} AS order_id, max(${amount}) AS value, coalesce(max(${amount}) FILTER (WHERE ${afterDay(table, time, setting, asOf)}), 0) AS later FROM ${table.sql} AS o GROUP BY ${id}`;
}

function refundTopic(setting: Setting, asOf: string | null = null): string | null {
  const table = findTable(setting, 'raw.refunds');
  const [order, amount] = table === null ? [null, null] : [firstColumn(table, 'r', ['order_id']), firstColumn(table, 'r', ['value'])];
  if (table === null || order === null || amount === null) return null;
  requireMoney(table, amount, 'the amount of a refund');
  const id = textOf(table, order);
  const later =
    asOf === null
      ? '0'
      : `coalesce(sum(${amount}) FILTER (WHERE ${afterDay(table, firstColumn(table, 'r', ['_time', 'time', 'refunded_at']), setting, asOf)}), 0)`;
  return `SELECT ${id} AS order_id, sum(${amount}) AS value, ${later} AS later FROM ${table.sql} AS r GROUP BY ${id}`;
}

function refundColumn(table: Found): string | null {
  const column = firstColumn(table, 'o', refundNames);
  requireMoney(table, column, 'the amount of a refund');
  return column;
}

const afterDay = (table: Found, column: string | null, setting: Setting, asOf: string | null): string =>
  asOf === null || column === null
    ? 'false'
    : `${instantOf(table, column, setting)} >= (TIMESTAMP '${asOf}' + INTERVAL 1 DAY) AT TIME ZONE ${literal(setting.timeZone)}`;

/** `order_id`, `value`: what the goods of an order cost, or null where the orders table does not say. Errors: ANSWER_TYPE. */
export function costsOf(given: Given, setting: Setting): string | null {
  const orders = ordersOf(given, setting);
  const column = orders === null ? null : firstColumn(orders.table, 'o', ['cost', 'cogs', 'cost_amount']);
  if (orders === null || column === null) return null;
  requireMoney(orders.table, column, 'the cost of an order');
  const id = textOf(orders.table, needColumn(orders.table, 'o', 'the order', ['order_id']));
  return `SELECT ${id} AS order_id, max(${column}) AS value FROM ${orders.table.sql} AS o GROUP BY ${id}`;
}
