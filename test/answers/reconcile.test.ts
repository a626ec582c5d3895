import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { fillShop, openWarehouse, type Warehouse } from './fixture.ts';

describe('reconcile', () => {
  for (const [seed, users, currency, timeZone] of [
    [1, 600, 'KRW', 'Asia/Seoul'],
    [3, 1500, 'EUR', 'Europe/Berlin'],
  ] as const) {
    test(`counts each reason as the simulated shop knows it (seed ${seed}, ${currency})`, async (t) => {
      const warehouse = await openWarehouse(timeZone);
      t.after(() => warehouse.close());
      const { reconciliation, shop } = await fillShop(warehouse, { seed, users, days: 14, start: '2026-03-20', timeZone, currency });
      const { rows, facts } = await warehouse.run('reconcile');
      const orders = (match: (row: Record<string, unknown>) => boolean, column = 'orders') =>
        rows.filter(match).reduce((sum, row) => sum + Number(row[column]), 0);
      const reason = (name: string) => orders((row) => row['reason'] === name);
      assert.equal(
        orders((row) => row['outcome'] === 'matched', 'paid_orders'),
        reconciliation.matched,
      );
      assert.deepEqual(
        {
          page_reload: reason('duplicate sent'),
          page_closed: reason('payment redirect'),
          ad_blocker: reason('consent'),
          never_paid: reason('never paid'),
          test_order: reason('test'),
        },
        { ...reconciliation.reasons },
      );
      assert.equal(
        orders(() => true, 'paid_orders'),
        shop.orders,
      );
      const share = (100 * reconciliation.matched) / shop.orders;
      assert.equal(facts['matched paid orders'], `${share.toFixed(1)} % (${reconciliation.matched} of ${shop.orders})`);
    });
  }

  describe('of a few orders made by hand', () => {
    let warehouse: Warehouse;
    before(async () => {
      warehouse = await openWarehouse();
      await warehouse.make(
        `CREATE TABLE main.events AS SELECT * FROM (VALUES
          ('page_view', 'v0', TIMESTAMPTZ '2026-01-02 00:00:00Z', NULL, NULL, NULL, false),
          ('purchase', 'v1', TIMESTAMPTZ '2026-01-02 10:00:00Z', 'same', 10.00, NULL, false),
          ('purchase', 'v1', TIMESTAMPTZ '2026-01-02 10:05:00Z', 'same', 10.00, NULL, false),
          ('purchase', 'v2', TIMESTAMPTZ '2026-01-02 11:00:00Z', 'differs', 12.50, NULL, false),
          ('purchase', 'v3', TIMESTAMPTZ '2026-01-02 12:00:00Z', 'crawled', 5.00, 'Mozilla (compatible; Googlebot/2.1)', false),
          ('purchase', 'v4', TIMESTAMPTZ '2026-01-02 12:00:00Z', 'tried', 5.00, NULL, true),
          ('purchase', 'v5', TIMESTAMPTZ '2026-01-09 12:00:00Z', 'newer', 5.00, NULL, false),
          ('purchase', 'v6', TIMESTAMPTZ '2026-01-02 13:00:00Z', 'lost', 5.00, NULL, false),
          ('page_view', 'm7', TIMESTAMPTZ '2026-01-02 14:00:00Z', NULL, NULL, NULL, false)
        ) AS e(event, user_pseudo_id, time, order_id, value, user_agent, internal)`,
        `CREATE TABLE main.orders AS SELECT * FROM (VALUES
          ('same', TIMESTAMPTZ '2026-01-02 10:00:00Z', 10.00, 'paid', NULL),
          ('differs', TIMESTAMPTZ '2026-01-02 11:00:00Z', 12.00, 'paid', NULL),
          ('early', TIMESTAMPTZ '2026-01-01 11:00:00Z', 12.00, 'paid', NULL),
          ('unseen', TIMESTAMPTZ '2026-01-02 11:30:00Z', 7.00, 'paid', 'nobody'),
          ('odd', TIMESTAMPTZ '2026-01-02 14:10:00Z', 7.00, 'paid', 'm7')
        ) AS o(order_id, ordered_at, amount, status, customer_id)`,
      );
    });
    after(() => warehouse.close());

    test('says what became of each and why', async () => {
      const { rows } = await warehouse.run('reconcile', { events: 'main.events' });
      assert.deepEqual(
        rows.map((row) => [row['outcome'], row['reason'], row['orders'], Number(row['amount_orders']), Number(row['amount_events'])]),
        [
          ['amount differs', 'unknown', 1, 12, 12.5],
          ['matched', 'duplicate sent', 1, 10, 10],
          ['only in events', 'after the last order of the table', 1, 0, 5],
          ['only in events', 'bot', 1, 0, 5],
          ['only in events', 'test', 1, 0, 5],
          ['only in events', 'unknown', 1, 0, 5],
          ['only in orders', 'before tracking', 1, 12, 0],
          ['only in orders', 'consent', 1, 7, 0],
          ['only in orders', 'unknown', 1, 7, 0],
        ],
      );
    });

    test('takes amounts within the tolerance as equal', async () => {
      const { rows } = await warehouse.run('reconcile', { events: 'main.events', tolerance: 0.5 });
      assert.ok(!rows.some((row) => row['outcome'] === 'amount differs'));
    });

    test('splits by day in the workspace’s zone', async () => {
      const { rows } = await warehouse.run('reconcile', { events: 'main.events', by: 'day' });
      assert.deepEqual([...new Set(rows.map((row) => row['day']))].sort(), ['2026-01-01', '2026-01-02', '2026-01-09']);
    });

    test('looks only at the asked days', async () => {
      const { rows } = await warehouse.run('reconcile', { events: 'main.events', from: '2026-01-09', to: '2026-01-09' });
      assert.deepEqual(
        rows.map((row) => [row['outcome'], row['orders']]),
        [['only in events', 1]],
      );
    });
  });

  describe('at the edges of a day', () => {
    let warehouse: Warehouse;
    before(async () => {
      warehouse = await openWarehouse('Asia/Seoul');
      // Midnight in Seoul is 15:00 in UTC.
      await warehouse.make(
        `CREATE TABLE main.events AS SELECT * FROM (VALUES
          ('page_view', 'v0', TIMESTAMPTZ '2026-01-01 00:00:00+09', NULL, NULL),
          ('purchase', 'v1', TIMESTAMPTZ '2026-01-03 00:00:03+09', 'late', 10.00),
          ('purchase', 'v2', TIMESTAMPTZ '2026-01-02 23:59:58+09', 'early', 20.00),
          ('purchase', 'v3', TIMESTAMPTZ '2026-01-03 00:00:05+09', 'nowhere', 30.00)
        ) AS e(event, user_pseudo_id, time, order_id, value)`,
        `CREATE TABLE main.orders AS SELECT * FROM (VALUES
          ('late', TIMESTAMPTZ '2026-01-02 23:59:58+09', 10.00),
          ('early', TIMESTAMPTZ '2026-01-03 00:00:01+09', 20.00),
          ('last', TIMESTAMPTZ '2026-01-04 12:00:00+09', 1.00)
        ) AS o(order_id, ordered_at, amount)`,
      );
    });
    after(() => warehouse.close());

    const told = async (day: string) => {
      const { rows, facts } = await warehouse.run('reconcile', { events: 'main.events', from: day, to: day });
      return [
        ...rows.map((row) => [row['outcome'], row['orders'], Number(row['amount_orders']), Number(row['amount_events'])].join(' ')),
        facts['matched paid orders'],
      ];
    };

    test('an order is of the day on which the shop has it, and is matched there with a report from across midnight', async () => {
      assert.deepEqual(await told('2026-01-02'), ['matched 1 10 10', '100.0 % (1 of 1)']);
      assert.deepEqual(await told('2026-01-03'), ['matched 1 20 20', 'only in events 1 0 30', '100.0 % (1 of 1)']);
      assert.deepEqual(await told('2026-01-04'), ['only in orders 1 1 0', '0.0 % (0 of 1)']);
    });

    test('the days add up to the whole', async () => {
      const days = await Promise.all(
        ['2026-01-01', '2026-01-02', '2026-01-03', '2026-01-04'].map((day) =>
          warehouse.run('reconcile', { events: 'main.events', from: day, to: day, by: 'day' }),
        ),
      );
      const { rows } = await warehouse.run('reconcile', { events: 'main.events', by: 'day' });
      const texts = (all: readonly Readonly<Record<string, unknown>>[]) => all.map((row) => JSON.stringify(row)).sort();
      assert.deepEqual(texts(days.flatMap((day) => day.rows)), texts(rows));
    });

    test('other answers match as well', async () => {
      const { facts } = await warehouse.run('rfm', { orders: 'main.orders', from: '2026-01-02', to: '2026-01-02' });
      assert.equal(facts['matched paid orders'], '100.0 % (1 of 1)');
    });
  });

  test('an order that was never paid is called so, reported or not, and takes no open checkout from another', async (t) => {
    const warehouse = await openWarehouse();
    t.after(() => warehouse.close());
    await warehouse.make(
      `CREATE TABLE main.events AS SELECT * FROM (VALUES
        ('page_view', 'm1', TIMESTAMPTZ '2026-01-01 00:00:00Z', NULL, NULL),
        ('begin_checkout', 'm1', TIMESTAMPTZ '2026-01-02 10:00:00Z', NULL, 10.00),
        ('purchase', 'm2', TIMESTAMPTZ '2026-01-02 11:00:00Z', 'reported', 10.00)
      ) AS e(event, user_pseudo_id, time, order_id, value)`,
      `CREATE TABLE main.orders AS SELECT * FROM (VALUES
        ('given up', TIMESTAMPTZ '2026-01-02 10:05:00Z', 10.00, 'pending', 'm1'),
        ('paid', TIMESTAMPTZ '2026-01-02 10:10:00Z', 10.00, 'paid', 'm1'),
        ('reported', TIMESTAMPTZ '2026-01-02 11:00:00Z', 10.00, 'failed', 'm2'),
        ('unseen', TIMESTAMPTZ '2026-01-02 12:00:00Z', 10.00, 'pending', 'nobody')
      ) AS o(order_id, ordered_at, amount, status, customer_id)`,
    );
    const { rows } = await warehouse.run('reconcile', { events: 'main.events' });
    assert.deepEqual(
      rows.map((row) => [row['outcome'], row['reason'], row['orders'], row['paid_orders']]),
      [
        ['only in events', 'never paid', 1, 0],
        ['only in orders', 'never paid', 2, 0],
        ['only in orders', 'payment redirect', 1, 1],
      ],
    );
  });
});
