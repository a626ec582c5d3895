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
  quote,
  requireMoney,
  requireType,
  zoneless,
} from './tables.ts';

export interface Orders {
  readonly table: Found;
  /** `shop_order`: order_id, time, amount, status, paid, test, customer, payment, refunded; an order once. */
  readonly cte: string;
  /** Facts that weaken the answer, as rows of evidence. */
  readonly caveats: readonly string[];
}

const defaults = ['shop.orders', 'main.orders'];
const timeNames = ['ordered_at', 'order_time', 'created_at', 'time', '_time'];
const amountNames = ['amount', 'value', 'total', 'revenue'];
const unpaid = ['awaiting_payment', 'pending', 'unpaid', 'failed', 'payment_failed', 'on_hold'];

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
  const id = needColumn(table, 'o', 'the order', ['order_id']);
  const time = needColumn(table, 'o', 'its time', timeNames);
  const amount = needColumn(table, 'o', 'its amount', amountNames);
  requireType(table, time, 'the time of an order', /^TIMESTAMP/, 'TIMESTAMP WITH TIME ZONE');
  requireMoney(table, amount, 'the amount of an order');
  const status = firstColumn(table, 'o', ['status']);
  const optional = (names: readonly string[], otherwise: string) => {
    const column = firstColumn(table, 'o', names);
    return column === null ? otherwise : `any_value(${column})`;
  };
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
    ],
    cte: `shop_order AS (
  SELECT ${id} AS order_id, min(${instantOf(table, time, setting)}) AS time, max(${amount}) AS amount,
    ${status === null ? 'NULL::VARCHAR' : `any_value(${status})`} AS status,
    ${status === null ? 'true' : `coalesce(any_value(${status}), 'paid') NOT IN (${unpaid.map(literal).join(', ')})`} AS paid,
    coalesce(${optional(['is_test', 'test'], 'false')}, false) AS test,
    ${optional(['customer_id', 'user_id'], 'NULL::VARCHAR')} AS customer,
    ${optional(['payment_type', 'payment', 'payment_method'], 'NULL::VARCHAR')} AS payment,
    coalesce(${optional(['refund_amount', 'refunded_amount'], '0')}, 0) AS refunded
  FROM ${table.sql} AS o WHERE ${id} IS NOT NULL GROUP BY ${id}
)`,
  };
}

/** A caveat where one order of a relation is as large as all others. */
export const giantOrder = (relation: string, money: string): string =>
  `SELECT 8, 'caveat: one order is more than half of the money', arg_max(order_id, ${money}) FROM ${relation} HAVING count(*) > 1 AND sum(${money}) > 0 AND max(${money}) > 0.5 * sum(${money})`;

/** Errors: ANSWER_TABLE where there is none. */
export function needOrders(given: Given, setting: Setting): Orders {
  return (
    ordersOf(given, setting) ??
    fail('ANSWER_TABLE', { what: 'orders', needs: 'shop.orders, or a table with order_id, ordered_at and amount' })
  );
}

/**
 * `order_id`, `value`: refund records by order where there is a topic of them, else the amounts in the orders table, else none.
 * `later` is what of it was given back after the day `asOf`; a refund without a time is never later.
 */
export function refundsOf(given: Given, setting: Setting, asOf: string | null = null): string {
  const after = (table: Found, column: string | null) =>
    asOf === null || column === null
      ? 'false'
      : `${instantOf(table, column, setting)} >= (TIMESTAMP '${asOf}' + INTERVAL 1 DAY) AT TIME ZONE ${literal(setting.timeZone)}`;
  const refunds = findTable(setting, 'raw.refunds');
  if (refunds !== null && refunds.column('order_id') !== null && refunds.column('value') !== null) {
    const time = firstColumn(refunds, 'r', ['_time', 'time', 'refunded_at']);
    return `SELECT order_id, sum(value) AS value, coalesce(sum(value) FILTER (WHERE ${after(refunds, time)}), 0) AS later FROM ${refunds.sql} AS r GROUP BY order_id`;
  }
  const orders = findTable(setting, String(given['orders'] ?? 'shop.orders'));
  const amount = orders?.column('refund_amount') ?? null;
  if (orders === null || amount === null || orders.column('order_id') === null)
    return 'SELECT NULL::VARCHAR AS order_id, 0 AS value, 0 AS later WHERE false';
  const time = firstColumn(orders, 'o', ['refunded_at', 'refund_time']);
  return `SELECT order_id, sum(${quote(amount)}) AS value, coalesce(sum(${quote(amount)}) FILTER (WHERE ${after(orders, time)}), 0) AS later FROM ${orders.sql} AS o GROUP BY order_id`;
}

/** `order_id`, `value`: what the goods of an order cost, or null where the orders table does not say. Errors: ANSWER_TYPE. */
export function costsOf(given: Given, setting: Setting): string | null {
  const orders = ordersOf(given, setting);
  const column = orders === null ? null : firstColumn(orders.table, 'o', ['cost', 'cogs', 'cost_amount']);
  if (orders === null || column === null) return null;
  requireMoney(orders.table, column, 'the cost of an order');
  return `SELECT order_id, max(${column}) AS value FROM ${orders.table.sql} AS o GROUP BY order_id`;
}
