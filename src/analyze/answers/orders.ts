import { fail } from '#core';
import type { Given, Setting } from './kind.ts';
import { type Found, findTable, firstColumn, literal, needColumn, quote } from './tables.ts';

export interface Orders {
  readonly table: Found;
  /** `shop_order`: order_id, time, amount, status, paid, test, customer, payment, refunded; an order once. */
  readonly cte: string;
}

const defaults = ['shop.orders', 'main.orders'];
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
  const time = needColumn(table, 'o', 'its time', ['ordered_at', 'order_time', 'created_at', 'time', '_time']);
  const amount = needColumn(table, 'o', 'its amount', ['amount', 'value', 'total', 'revenue']);
  const status = firstColumn(table, 'o', ['status']);
  const optional = (names: readonly string[], otherwise: string) => {
    const column = firstColumn(table, 'o', names);
    return column === null ? otherwise : `any_value(${column})`;
  };
  return {
    table,
    cte: `shop_order AS (
  SELECT ${id} AS order_id, min(${time}) AS time, max(${amount}) AS amount,
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

/** Errors: ANSWER_TABLE where there is none. */
export function needOrders(given: Given, setting: Setting): Orders {
  return (
    ordersOf(given, setting) ??
    fail('ANSWER_TABLE', { what: 'orders', needs: 'shop.orders, or a table with order_id, ordered_at and amount' })
  );
}

/** Refund records by order where there is a topic of them, else the amounts in the orders table, else none. */
export function refundsOf(given: Given, setting: Setting): string {
  const refunds = findTable(setting, 'raw.refunds');
  if (refunds !== null && refunds.column('order_id') !== null && refunds.column('value') !== null)
    return `SELECT order_id, sum(value) AS value FROM ${refunds.sql} GROUP BY order_id`;
  const orders = findTable(setting, String(given['orders'] ?? 'shop.orders'));
  const amount = orders?.column('refund_amount') ?? null;
  if (orders === null || amount === null || orders.column('order_id') === null)
    return 'SELECT NULL::VARCHAR AS order_id, 0 AS value WHERE false';
  return `SELECT order_id, sum(${quote(amount)}) AS value FROM ${orders.sql} GROUP BY order_id`;
}
