import assert from 'node:assert/strict';
import { after, beforeEach, describe, test } from 'node:test';
import { openWarehouse, type Row, type Warehouse } from './fixture.ts';

let warehouse: Warehouse;
beforeEach(async () => {
  await warehouse?.close();
  warehouse = await openWarehouse();
});
after(() => warehouse.close());

const at = (day: number, time = '12:00:00') => `TIMESTAMPTZ '2026-01-${String(day).padStart(2, '0')} ${time}Z'`;
const money = (value: unknown) => Math.round(Number(value) * 100) / 100;
const sum = (rows: readonly Row[], column: string) => money(rows.reduce((total, row) => total + Number(row[column] ?? 0), 0));

describe('refunds', () => {
  /** 'a' bought for 100 and 50, of the first 30 and 10 came back; 'b' bought for 80. */
  const bought = `SELECT * FROM (VALUES ('o1', ${at(1)}, 100.00, 'a'), ('o2', ${at(2)}, 50.00, 'a'), ('o3', ${at(3)}, 80.00, 'b')) AS o(order_id, ordered_at, amount, customer_id)`;
  const topic = `CREATE TABLE raw.refunds AS SELECT * FROM (VALUES ('o1', 30.00, ${at(4)}), ('o1', 10.00, ${at(5)}), ('elsewhere', 7.00, ${at(5)})) AS r(order_id, value, _time)`;
  const nets = async () => ({
    rfm: sum((await warehouse.run('rfm', { rows: 'customers' })).rows, 'net'),
    cohorts: sum((await warehouse.run('cohorts')).rows, 'net'),
    lifecycle: sum((await warehouse.run('lifecycle')).rows, 'net'),
    segment: sum((await warehouse.run('segment', { segment: 'all' })).rows, 'net'),
    segments: sum((await warehouse.run('segments', { segments: 'all' })).rows, 'net'),
  });
  const all = (net: number) => ({ rfm: net, cohorts: net, lifecycle: net, segment: net, segments: net });
  const events = `CREATE TABLE main.events AS SELECT 'purchase' AS event, 'v' || order_id AS user_pseudo_id, ordered_at AS time, order_id, amount AS value, NULL::VARCHAR AS placement FROM main.orders`;
  beforeEach(() => void warehouse.definitions.segments.set('all', 'where: orders >= 1\n'));

  test('are those of the topic raw.refunds in every answer, by order', async () => {
    await warehouse.make(`CREATE TABLE main.orders AS ${bought}`, topic, events);
    assert.deepEqual(await nets(), all(190));
    const { rows } = await warehouse.run('reconcile', { events: 'main.events' });
    assert.deepEqual(
      rows.map((row) => [row['outcome'], row['reason'], row['orders']]),
      [
        ['matched', 'refund', 1],
        ['matched', null, 2],
      ],
    );
    warehouse.definitions.segments.set('rich', 'where: net > 115\n');
    assert.deepEqual((await warehouse.run('segment', { segment: 'rich' })).rows, []);
  });

  test('are the column of the orders table where there is no such topic, whatever it is called and wherever the table is', async () => {
    for (const column of ['refund_amount', 'refunded_amount']) {
      await warehouse.make(
        `CREATE OR REPLACE TABLE main.orders AS SELECT *, CASE order_id WHEN 'o1' THEN 40.00 ELSE 0 END AS ${column} FROM (${bought})`,
        'DROP TABLE IF EXISTS main.events',
        events,
      );
      assert.deepEqual(await nets(), all(190), column);
      const { rows } = await warehouse.run('placements', { events: 'main.events', by: 'placement', bootstrap: 0 });
      assert.deepEqual([sum(rows, 'refunds'), sum(rows, 'last_click_net')], [40, 190], column);
    }
  });
});

test('a status that is not paid is told in any case and spelling, behind a shop’s prefix too; a cancelled order is called so and brings no money', async () => {
  const unpaid = ['Pending', 'wc-pending', 'wc-on-hold', 'ON HOLD', 'Awaiting payment', 'pending_payment', ' failed'];
  const paid = ['Paid', 'wc-completed', 'refund pending'];
  const cancelled = ['canceled', 'wc-cancelled', 'Cancelled'];
  const rows = [...unpaid, ...paid, ...cancelled].map((status, n) => `('o${n}', ${at(1)}, 10.00, 'c${n}', '${status}')`);
  await warehouse.make(
    `CREATE TABLE main.orders AS SELECT * FROM (VALUES ${rows.join(', ')}) AS o(order_id, ordered_at, amount, customer_id, status)`,
    `CREATE TABLE main.events AS SELECT 'purchase' AS event, customer_id AS user_pseudo_id, ordered_at AS time, order_id, amount AS value FROM main.orders`,
  );
  const { rows: told, facts } = await warehouse.run('rfm', { rows: 'customers' });
  assert.deepEqual(told.map((row) => row['customer']).sort(), paid.map((_, n) => `c${unpaid.length + n}`).sort());
  assert.deepEqual(
    [facts['set aside: unpaid'], facts['set aside: cancelled, nothing was given back'], facts['matched paid orders']],
    [String(unpaid.length), '3', '100.0 % (3 of 3)'],
  );
  const { rows: reasons } = await warehouse.run('reconcile', { events: 'main.events' });
  assert.deepEqual(
    reasons.map((row) => [row['reason'], row['orders']]),
    [
      ['cancelled', 3],
      [null, 3],
      ['never paid', unpaid.length],
    ],
  );
});

test('ids that are numbers in the shop and text in the events are compared as text', async () => {
  await warehouse.make(
    `CREATE SCHEMA shop`,
    `CREATE TABLE shop.orders AS SELECT CAST(id AS BIGINT) AS order_id, CAST(customer AS BIGINT) AS customer_id, ordered_at, amount, cost FROM (VALUES
      (1, 7, ${at(1)}, 10.00, 4.00), (2, 8, ${at(2)}, 20.00, 5.00), (3, 7, ${at(3)}, 30.00, 6.00)) AS o(id, customer, ordered_at, amount, cost)`,
    `CREATE TABLE raw.refunds AS SELECT * FROM (VALUES ('1', 3.00, ${at(4)}), ('R-9', 4.00, ${at(4)})) AS r(order_id, value, _time)`,
    `CREATE TABLE raw.events AS SELECT * FROM (VALUES
      ('begin_checkout', 'v1', '7', ${at(1, '11:50:00')}, NULL, 10.00), ('purchase', 'v1', '7', ${at(1)}, '1', 10.00), ('purchase', 'v2', NULL, ${at(2)}, '2', 20.00),
      ('page_view', 'v1', '7', ${at(3)}, NULL, NULL), ('purchase', 'v3', NULL, ${at(3)}, 'T-4', 1.00)) AS e(event, user_pseudo_id, user_id, _time, order_id, value)`,
    `ALTER TABLE raw.events ADD COLUMN placement VARCHAR`,
    `ALTER TABLE raw.events ADD COLUMN variant VARCHAR`,
    `UPDATE raw.events SET variant = CASE user_pseudo_id WHEN 'v1' THEN 'A' ELSE 'B' END`,
  );
  const { rows, facts } = await warehouse.run('reconcile');
  assert.deepEqual(
    rows.map((row) => [row['outcome'], row['reason'], row['orders']]),
    [
      ['matched', 'refund', 1],
      ['matched', null, 1],
      ['only in events', 'unknown', 1],
      ['only in orders', 'unknown', 1],
    ],
  );
  assert.equal(facts['matched paid orders'], '66.7 % (2 of 3)');
  const ledger = await warehouse.run('placements', { by: 'placement', bootstrap: 0, as_of: '2026-01-03' });
  assert.deepEqual([sum(ledger.rows, 'refunds'), sum(ledger.rows, 'cost'), sum(ledger.rows, 'restated')], [3, 9, -3]);
  assert.deepEqual((await warehouse.run('rfm', { rows: 'customers' })).rows.map((row) => [row['customer'], money(row['net'])]).sort(), [
    ['7', 37],
    ['8', 20],
  ]);
  // And the other way round: numbers in the events, text in the shop.
  await warehouse.make(
    `CREATE OR REPLACE TABLE shop.orders AS SELECT 'T-' || order_id AS order_id, 'c' || customer_id AS customer_id, ordered_at, amount, cost FROM shop.orders`,
    `CREATE OR REPLACE TABLE raw.events AS SELECT event, CAST(1 AS BIGINT) AS user_pseudo_id, CAST(2 AS BIGINT) AS user_id, _time, CASE WHEN event = 'purchase' THEN CAST(5 AS BIGINT) END AS order_id, value, placement, variant FROM raw.events`,
  );
  assert.equal((await warehouse.run('reconcile')).facts['matched paid orders'], '0.0 % (0 of 3)');
  assert.equal(sum((await warehouse.run('placements', { by: 'placement', bootstrap: 0 })).rows, 'refunds'), 0);
});

test('an order of several rows counts once, and the evidence says so', async () => {
  await warehouse.make(
    `CREATE TABLE main.orders AS SELECT * FROM (VALUES
      ('lines', ${at(1)}, 10.00, 'a', 1.00), ('lines', ${at(1)}, 25.00, 'a', 1.00), ('twice', ${at(2)}, 5.00, 'b', 2.00), ('twice', ${at(2)}, 5.00, 'b', 2.00), ('once', ${at(3)}, 7.00, 'c', 0.00)
    ) AS o(order_id, ordered_at, amount, customer_id, refund_amount)`,
    `CREATE TABLE main.events AS SELECT DISTINCT 'purchase' AS event, customer_id AS user_pseudo_id, ordered_at AS time, order_id, CASE order_id WHEN 'lines' THEN 25.00 WHEN 'twice' THEN 5.00 ELSE 7.00 END AS value, NULL::VARCHAR AS placement FROM main.orders`,
  );
  const { rows, facts } = await warehouse.run('rfm', { rows: 'customers' });
  assert.equal(sum(rows, 'net'), 24 + 3 + 7);
  assert.equal(facts['caveat: orders of several rows'], '2, 1 of them with different amounts; each counts once, at its highest amount');
  // What came back is once each, too.
  const ledger = await warehouse.run('placements', { events: 'main.events', by: 'placement', bootstrap: 0 });
  assert.deepEqual([sum(ledger.rows, 'refunds'), sum(ledger.rows, 'last_click_net')], [3, 34]);
  assert.equal(
    ledger.facts['caveat: orders of several rows'],
    '2, 1 of them with different amounts; each counts once, at its highest amount',
  );
});

test('an order that is refunded or cancelled by its status alone brings no money, whichever answer is asked', async () => {
  // Kept: 100 of a's, 20 of b's (of which 5 came back). Undone without an amount: 40, 60 and 7; cancelled after it was paid: 11.
  await warehouse.make(
    `CREATE TABLE main.orders AS SELECT * FROM (VALUES ('o1', ${at(1)}, 100.00, 'a', 'paid', 0.00), ('o2', ${at(2)}, 40.00, 'a', 'Refunded', 0.00), ('o3', ${at(2)}, 60.00, 'b', 'cancelled', NULL),
      ('o4', ${at(3)}, 20.00, 'b', 'partially refunded', 5.00), ('o5', ${at(3)}, 7.00, 'c', 'wc-refunded', NULL), ('o6', ${at(3)}, 11.00, 'd', 'cancelled', 11.00), ('o7', ${at(3)}, 3.00, 'a', 'partially_refunded', 0.00)
    ) AS o(order_id, ordered_at, amount, customer_id, status, refund_amount)`,
    `CREATE TABLE main.events AS SELECT 'purchase' AS event, customer_id AS user_pseudo_id, ordered_at AS time, order_id, amount AS value, NULL::VARCHAR AS placement, NULL::VARCHAR AS variant FROM main.orders
     UNION ALL SELECT 'seen', c, ${at(1, '00:00:00')}, NULL, NULL, NULL, 'A' FROM (VALUES ('a'), ('b'), ('c'), ('d')) AS v(c)`,
  );
  warehouse.definitions.segments.set('all', 'where: orders >= 1\n');
  warehouse.definitions.experiments.set(
    'own',
    'exposure: seen\nvariants: { A: 0.5, B: 0.5 }\nmetrics:\n  - { name: kept, kind: net_revenue, role: primary }\n  - { name: gross, kind: revenue }\n',
  );
  const kept = 100 + 20 - 5 + 3;
  const rfm = await warehouse.run('rfm', { rows: 'customers' });
  assert.deepEqual(
    {
      rfm: sum(rfm.rows, 'net'),
      cohorts: sum((await warehouse.run('cohorts')).rows, 'net'),
      lifecycle: sum((await warehouse.run('lifecycle')).rows, 'net'),
      segment: sum((await warehouse.run('segment', { segment: 'all' })).rows, 'net'),
    },
    { rfm: kept, cohorts: kept, lifecycle: kept, segment: kept },
  );
  assert.deepEqual(
    ['refunded by their status alone, taken as given back in full', 'refunded in part, not known how much'].map(
      (what) => rfm.facts[`caveat: orders ${what}`],
    ),
    ['2', '1'],
  );
  // c's and d's orders came back as a whole.
  assert.equal(rfm.facts['caveat: customers whose orders were given back in full'], '2');
  assert.equal(rfm.facts['set aside: cancelled, nothing was given back'], '1');
  for (const whose of ['events', 'orders']) {
    const ledger = await warehouse.run('placements', { events: 'main.events', by: 'placement', bootstrap: 0, money: whose });
    assert.equal(sum(ledger.rows, 'last_click_net'), kept, whose);
    const { rows } = await warehouse.run('experiment', { events: 'main.events', experiment: 'own', money: whose });
    assert.deepEqual(
      rows.map((row) => money(row['mean'] * 4)),
      // The cancelled order was reported, but the shop was never paid for it.
      [kept, 100 + 40 + 20 + 7 + 11 + 3 + (whose === 'events' ? 60 : 0)],
      whose,
    );
  }
  const { rows } = await warehouse.run('reconcile', { events: 'main.events' });
  assert.deepEqual(
    rows.map((row) => [row['outcome'], row['reason'], row['orders'], row['paid_orders']]),
    [
      ['matched', 'cancelled', 2, 1],
      ['matched', 'refund', 4, 4],
      ['matched', null, 1, 1],
    ],
  );
});

test('an order without an amount agrees with no report: it is told apart', async () => {
  await warehouse.make(
    `CREATE TABLE main.orders AS SELECT * FROM (VALUES ('o1', ${at(1)}, 10.00), ('o2', ${at(1)}, NULL)) AS o(order_id, ordered_at, amount)`,
    `CREATE TABLE main.events AS SELECT 'purchase' AS event, 'v' || order_id AS user_pseudo_id, ordered_at AS time, order_id, 10.00 AS value FROM main.orders`,
  );
  const { rows } = await warehouse.run('reconcile', { events: 'main.events' });
  assert.deepEqual(
    rows.map((row) => [row['outcome'], row['reason'], row['orders']]),
    [
      ['amount differs', 'amount missing', 1],
      ['matched', null, 1],
    ],
  );
});
