import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { openAnalyst, openAnswers } from '#analyze';
import type { Principal } from '#core';
import { readStatement } from '#sql';
import { parseTopic } from '#workspace';
import { openViews, type Views } from '../process/views-fixture.ts';

const rules = {
  spent: 'net >= 60 AND orders >= 2',
  often: 'gap_days <= 3 OR mean_order > 80',
  fresh: 'net >= 60 AND recency_days <= 5',
} as const;
const who: Principal = { name: 'test', role: 'admin', topics: null };
const limit = { seconds: 60, rows: 100_000, concurrency: 2 };

/** An order as it stands after a step; the same id again replaces it, for another customer too; without one it goes. */
const step = fc.record({
  id: fc.nat(11),
  customer: fc.option(fc.constantFrom('a', 'b', 'c', 'd'), { nil: null, freq: 5 }),
  day: fc.nat(15),
  cents: fc.integer({ min: -2000, max: 9999 }),
  refund: fc.constantFrom(0, 0, 500, 4000),
  status: fc.constantFrom('paid', 'paid', 'paid', 'pending'),
});

describe('the views of a segment', () => {
  let views: Views;
  before(async () => {
    views = await openViews();
    await views.transfer('main.orders', () => [
      'CREATE TABLE main.orders (order_id VARCHAR, ordered_at TIMESTAMPTZ, amount DECIMAL(18,2), customer_id VARCHAR, refund_amount DECIMAL(18,2), status VARCHAR, _batch BIGINT)',
      'CREATE TABLE change."main.orders" AS FROM main.orders LIMIT 0',
    ]);
  });
  after(() => views.close());

  const answersOver = (views: Views) => {
    const analyst = openAnalyst({
      store: views.store,
      limits: { admin: limit, editor: limit, viewer: limit, write: limit },
      own: async () => null,
    });
    const none = { list: () => [] };
    const segments = {
      list: () => Object.entries(rules).map(([name, where]) => ({ name, file: `segments/${name}.yaml`, text: `where: ${where}\n` })),
    };
    return openAnswers({
      store: views.store,
      analyst,
      timeZone: 'Asia/Seoul',
      weekStart: 'monday',
      definitions: { metrics: none, journeys: none, experiments: none, segments },
    });
  };
  const shown = (segment: string, more = {}, over = views) =>
    answersOver(over).show({ who, answer: 'segment', options: { segment, orders: 'main.orders', ...more } });

  test('are kept by order and by customer; where the day’s turning changes members, EXPLAIN says so', async () => {
    for (const segment of Object.keys(rules)) for (const sql of (await shown(segment)).views) await views.sql(sql);
    const states = Object.fromEntries(views.keeper.states().map(({ name, mode, partition }) => [name, [mode, partition]]));
    assert.deepEqual(states, {
      'mart.segment_orders': ['partitions', 'order_id'],
      'mart.segment_customers': ['partitions', 'customer'],
      'mart.segment_spent': ['partitions', 'customer'],
      'mart.segment_spent_moves': ['partitions', 'customer'],
      'mart.segment_often': ['partitions', 'customer'],
      'mart.segment_often_moves': ['partitions', 'customer'],
      'mart.segment_today': ['whole', null],
      'mart.segment_fresh': ['partitions', 'customer'],
    });
    const reader = await views.store.reader();
    const statement = await readStatement('EXPLAIN MATERIALIZED VIEW mart.segment_fresh', (part) => reader.serialize(part));
    reader.close();
    const lines = (await views.keeper.explain(statement as never)).map(({ aspect, detail }) => `${aspect}: ${detail}`);
    assert.deepEqual(lines.slice(0, 3), [
      'kept: by partition customer',
      'change: mart.segment_customers: a changed row touches the partition customer',
      'change: mart.segment_today: any change recomputes the whole view, because no join makes one of its columns equal to a column of the source',
    ]);
  });

  test('tell what the answer tells after every change, and their moves are its history', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(step, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 4 }), async (deliveries) => {
        await views.transfer('main.orders', (batch) => [
          `INSERT INTO change."main.orders" SELECT * EXCLUDE (_batch), ${batch} FROM main.orders`,
          'DELETE FROM main.orders',
        ]);
        for (const steps of deliveries) {
          await views.transfer('main.orders', (batch) =>
            steps.flatMap(({ id, customer, day, cents, refund, status }) => [
              `INSERT INTO change."main.orders" SELECT * EXCLUDE (_batch), ${batch} FROM main.orders WHERE order_id = 'o${id}'`,
              `DELETE FROM main.orders WHERE order_id = 'o${id}'`,
              ...(customer === null
                ? []
                : [
                    `INSERT INTO main.orders VALUES ('o${id}', TIMESTAMPTZ '2026-01-01 18:00:00Z' + to_days(${day}), ${cents} * 0.01, '${customer}', ${refund} * 0.01, '${status}', ${batch})`,
                  ]),
            ]),
          );
          await views.settle();
          for (const segment of Object.keys(rules)) {
            assert.deepEqual(
              await views.rows(`SELECT customer, orders, net, first_day, last_day FROM mart.segment_${segment}`),
              await views.rows(`SELECT customer, orders, net, first_day, last_day FROM (${(await shown(segment)).sql})`),
              segment,
            );
          }
          for (const segment of ['spent', 'often']) {
            // After each day with periods: whoever entered last and did not leave is a member, and only they.
            const history = await shown(segment, { rows: 'history', grain: 'day', periods: 120 });
            assert.deepEqual(
              await views.rows(`SELECT h.as_of, coalesce(sum(CASE WHEN m.entered THEN 1 WHEN NOT m.entered THEN -1 END), 0) AS members,
                  count(*) FILTER (WHERE m.entered AND m.as_of = h.as_of) AS entered
                FROM (${history.sql}) AS h LEFT JOIN mart.segment_${segment}_moves AS m ON m.as_of <= h.as_of GROUP BY h.as_of`),
              await views.rows(`SELECT as_of, members, entered FROM (${history.sql})`),
              `${segment}: history`,
            );
          }
        }
      }),
      { numRuns: 8 },
    );
  });

  test('follow refunds of the topic raw.refunds by order, and take orders whose ids are numbers', async (t) => {
    const own = await openViews();
    t.after(() => own.close());
    const refunds = parseTopic(
      'refunds',
      'time: { field: ts, unit: iso }\nid: refund_id\nfields:\n  order_id: text\n  value: decimal(18,2)\n',
      'refunds',
    );
    const micros = Date.UTC(2026, 0, 3) * 1000;
    const back = (id: string, order: string, value: number) => ({
      id,
      micros,
      json: { refund_id: id, order_id: order, value, ts: new Date(micros / 1000).toISOString() },
    });
    await own.transfer('main.orders', (batch) => [
      'CREATE TABLE main.orders (order_id BIGINT, ordered_at TIMESTAMPTZ, amount DECIMAL(18,2), customer_id BIGINT, status VARCHAR, _batch BIGINT)',
      'CREATE TABLE change."main.orders" AS FROM main.orders LIMIT 0',
      `INSERT INTO main.orders SELECT i, TIMESTAMPTZ '2026-01-01 12:00:00Z' + to_days(CAST(i AS INTEGER)), 50, i % 3, CASE i WHEN 5 THEN 'wc-pending' ELSE 'wc-completed' END, ${batch} FROM range(6) AS r(i)`,
    ]);
    await own.send(refunds, [back('r1', '0', 20)]);
    for (const sql of (await shown('spent', {}, own)).views) await own.sql(sql);
    await own.settle();
    const members = () => own.rows('SELECT customer, orders, net FROM mart.segment_spent');
    // Customers 0 and 1 have two orders each of 50, 2 has one that is paid; 20 came back from 0.
    assert.deepEqual(await members(), ['["0","2","80.00"]', '["1","2","100.00"]']);
    await own.send(refunds, [back('r2', '3', 25), back('r3', '4', 10), back('r4', 'R-1', 10)]);
    await own.settle();
    assert.deepEqual(await members(), ['["1","2","90.00"]']);
    assert.deepEqual(await own.rows('SELECT customer, as_of, entered FROM mart.segment_spent_moves'), ['["1","2026-01-05","true"]']);
    const states = Object.fromEntries(own.keeper.states().map(({ name, mode, partition }) => [name, [mode, partition]]));
    assert.deepEqual(states, {
      'mart.segment_orders': ['partitions', 'order_id'],
      'mart.segment_customers': ['partitions', 'customer'],
      'mart.segment_spent': ['partitions', 'customer'],
      'mart.segment_spent_moves': ['partitions', 'customer'],
    });
    const reader = await own.store.reader();
    const statement = await readStatement('EXPLAIN MATERIALIZED VIEW mart.segment_orders', (part) => reader.serialize(part));
    reader.close();
    const lines = (await own.keeper.explain(statement as never)).map(({ aspect, detail }) => `${aspect}: ${detail}`);
    assert.deepEqual(lines.slice(0, 3), [
      'kept: by partition order_id',
      'change: main.orders: a changed row touches the partition CAST(order_id AS VARCHAR)',
      'change: raw.refunds: a changed row touches the partition order_id',
    ]);
  });
});
