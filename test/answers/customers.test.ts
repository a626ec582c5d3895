import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { openWarehouse, type Warehouse } from './fixture.ts';

let warehouse: Warehouse;
before(async () => {
  warehouse = await openWarehouse();
});
after(() => warehouse.close());

describe('rfm', () => {
  const order = fc.record({
    customer: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
    day: fc.nat(60),
    cents: fc.integer({ min: 1, max: 9999 }),
    refund: fc.integer({ min: 0, max: 50 }),
  });

  test('scores customers by their ranks, equal values equally, money net of refunds', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(order, { minLength: 1, maxLength: 20 }), async (orders) => {
        const rows = orders.map(
          ({ customer, day, cents, refund }, at) =>
            `('o${at}', TIMESTAMPTZ '2026-01-01 00:00:00Z' + to_days(${day}), ${cents} * 0.01, '${customer}', ${refund} * 0.01)`,
        );
        await warehouse.make(
          `CREATE OR REPLACE TABLE main.orders AS SELECT * FROM (VALUES ${rows.join(', ')}) AS o(order_id, ordered_at, amount, customer_id, refund_amount)`,
        );
        const last = Math.max(...orders.map(({ day }) => day));
        const customers = [...new Set(orders.map(({ customer }) => customer))].map((customer) => {
          const own = orders.filter((each) => each.customer === customer);
          return {
            customer,
            recency: last - Math.max(...own.map(({ day }) => day)),
            orders: own.length,
            net: own.reduce((sum, { cents, refund }) => sum + cents - refund, 0),
          };
        });
        const score = (value: (each: (typeof customers)[number]) => number, each: (typeof customers)[number]) =>
          1 + Math.floor((5 * customers.filter((other) => value(other) < value(each)).length) / customers.length);
        const expected = customers.map((each) =>
          [
            each.customer,
            score(({ recency }) => -recency, each),
            score(({ orders }) => orders, each),
            score(({ net }) => net, each),
            each.recency,
            each.orders,
            each.net,
          ].join('|'),
        );
        const { rows: got } = await warehouse.run('rfm', { orders: 'main.orders', rows: 'customers' });
        assert.deepEqual(
          got
            .map((row) =>
              [
                row['customer'],
                row['r'],
                row['f'],
                row['m'],
                row['recency_days'],
                row['orders'],
                Math.round(Number(row['net']) * 100),
              ].join('|'),
            )
            .sort(),
          expected.sort(),
        );
        const { rows: segments } = await warehouse.run('rfm', { orders: 'main.orders' });
        assert.equal(
          segments.reduce((sum, row) => sum + row['customers'], 0),
          customers.length,
        );
      }),
      { numRuns: 20 },
    );
  });
});

describe('dropoff', () => {
  test('compares those who left at a step with those who went on, the most telling value first', async () => {
    const rows = Array.from({ length: 40 }, (_, at) => {
      const device = at < 20 ? 'phone' : 'desk';
      // Of 20 on the phone 5 go on, of 20 at the desk 15.
      const stays = device === 'phone' ? at < 5 : at < 35;
      return `('a', 'u${at}', 0, '${device}')${stays ? `, ('b', 'u${at}', 1, '${device}')` : ''}`;
    });
    await warehouse.make(
      `CREATE OR REPLACE TABLE main.events AS SELECT event, u AS user_pseudo_id, TIMESTAMPTZ '2026-01-01 00:00:00Z' + to_minutes(m) AS time, device FROM (VALUES ${rows.join(', ')}) AS e(event, u, m, device)`,
    );
    const { rows: got, facts } = await warehouse.run('dropoff', { events: 'main.events', steps: 'a,b' });
    assert.deepEqual(
      got.map((row) => [
        row['property'],
        row['value'],
        row['reached'],
        row['left_here'],
        row['stayed'],
        row['share_left'],
        row['share_left_others'],
      ]),
      [
        ['device', 'desk', 20, 5, 15, 0.25, 0.75],
        ['device', 'phone', 20, 15, 5, 0.75, 0.25],
      ],
    );
    // (0.75 − 0.25) / sqrt(0.5 · 0.5 · (1/20 + 1/20)) = 3.162.
    assert.deepEqual(
      got.map((row) => row['z']),
      [-3.162, 3.162],
    );
    assert.equal(facts['reached step 1'], '40');
    // Three of a kind say nothing, however they left: fewer than 5 of them could be expected to leave or to stay.
    const few = Array.from({ length: 3 }, (_, at) => `('a', 'v${at}', 0, 'watch')`);
    await warehouse.make(
      `INSERT INTO main.events SELECT event, u, TIMESTAMPTZ '2026-01-01 00:00:00Z' + to_minutes(m), device FROM (VALUES ${few.join(', ')}) AS e(event, u, m, device)`,
    );
    const { rows: more } = await warehouse.run('dropoff', { events: 'main.events', steps: 'a,b' });
    assert.deepEqual(
      more.map((row) => [row['value'], row['reached'], row['z'] === null]),
      [
        ['desk', 20, false],
        ['phone', 20, false],
        ['watch', 3, true],
      ],
    );
    await assert.rejects(warehouse.run('dropoff', { events: 'main.events', steps: 'a,b', step: 2 }), { code: 'ANSWER_OPTION' });
  });
});

describe('drivers', () => {
  const sale = fc.record({
    day: fc.constantFrom(1, 2),
    country: fc.constantFrom('KR', 'US'),
    device: fc.constantFrom('phone', 'desk', 'pad'),
    cents: fc.integer({ min: 1, max: 9999 }),
  });
  const days = { from: '2026-01-02', to: '2026-01-02', before_from: '2026-01-01', before_to: '2026-01-01' };

  test('gives each segment’s change, and leaves out combinations that say nothing new', async () => {
    warehouse.definitions.metrics.set(
      'revenue',
      'table: main.sale\nexpression: sum(amount)\ntime: sold_at\ndimensions: [country, device]\n',
    );
    await fc.assert(
      fc.asyncProperty(fc.array(sale, { minLength: 2, maxLength: 15 }), async (sales) => {
        const rows = sales.map(
          ({ day, country, device, cents }) => `(TIMESTAMPTZ '2026-01-0${day} 12:00:00Z', '${country}', '${device}', ${cents} * 0.01)`,
        );
        await warehouse.make(
          `CREATE OR REPLACE TABLE main.sale AS SELECT * FROM (VALUES ${rows.join(', ')}) AS s(sold_at, country, device, amount)`,
        );
        type Key = readonly [country: string | null, device: string | null];
        const keys: Key[] = [null, 'KR', 'US'].flatMap((country) => [null, 'phone', 'desk', 'pad'].map((device): Key => [country, device]));
        const sum = ([country, device]: Key, day: number) =>
          sales
            .filter(
              (each) => each.day === day && (country === null || each.country === country) && (device === null || each.device === device),
            )
            .reduce((all, { cents }) => all + cents, 0);
        const found = keys.filter((key) => key.some((part) => part !== null) && sum(key, 1) + sum(key, 2) > 0);
        const same = (a: Key, b: Key) => sum(a, 1) === sum(b, 1) && sum(a, 2) === sum(b, 2);
        const kept = found.filter(
          (key) => !(key[0] !== null && key[1] !== null && (same(key, [key[0], null]) || same(key, [null, key[1]]))),
        );
        const expected = kept.map((key) => {
          const words = [...(key[0] === null ? [] : [`country = ${key[0]}`]), ...(key[1] === null ? [] : [`device = ${key[1]}`])];
          return [words.join(' and '), sum(key, 2), sum(key, 1), sum(key, 2) - sum(key, 1)].join('|');
        });
        const { rows: got } = await warehouse.run('drivers', { metric: 'revenue', ...days, support: 0 });
        const cents = (value: unknown) => Math.round(Number(value) * 100);
        assert.deepEqual(
          got.map((row) => [row['segment'], cents(row['after']), cents(row['before']), cents(row['difference'])].join('|')).sort(),
          expected.sort(),
        );
        const sizes = got.map((row) => Math.abs(cents(row['difference'])));
        assert.deepEqual(
          sizes,
          [...sizes].sort((a, b) => b - a),
        );
      }),
      { numRuns: 20 },
    );
  });

  test('tells what is beyond the change of all the others', async () => {
    // The others halve from 100 to 50; KR goes from 100 to 20 where 50 was to be expected.
    await warehouse.make(`CREATE OR REPLACE TABLE main.sale AS SELECT * FROM (VALUES
      (TIMESTAMPTZ '2026-01-01 12:00:00Z', 'KR', 'x', 100.00), (TIMESTAMPTZ '2026-01-02 12:00:00Z', 'KR', 'x', 20.00),
      (TIMESTAMPTZ '2026-01-01 12:00:00Z', 'US', 'x', 100.00), (TIMESTAMPTZ '2026-01-02 12:00:00Z', 'US', 'x', 50.00)) AS s(sold_at, country, device, amount)`);
    const { rows, facts } = await warehouse.run('drivers', { metric: 'revenue', ...days, by: 'country' });
    assert.deepEqual(
      rows.map((row) => [row['segment'], row['of_change'], row['unexpected'], row['support']]),
      [
        ['country = KR', 0.615385, -30, 0.5],
        ['country = US', 0.384615, 30, 0.714286],
      ],
    );
    assert.equal(facts['revenue of the period'], '70.00');
    await assert.rejects(warehouse.run('drivers', { metric: 'revenue', ...days, order: 4 }), { code: 'ANSWER_OPTION' });
  });

  test('shares the change of a ratio out, and sets a figure by category beside that of all', async () => {
    // KR falls from 10 to 5 an order, US stays at 20; of four orders on each day KR has one, then two.
    const sales = [
      [1, 'KR', 'a', 10],
      [1, 'US', 'b', 20],
      [1, 'US', 'b', 20],
      [1, 'US', 'c', 20],
      [2, 'KR', 'a', 5],
      [2, 'KR', 'b', 5],
      [2, 'US', 'c', 20],
      [2, 'US', 'c', 20],
    ].map(([day, country, buyer, amount]) => `(TIMESTAMPTZ '2026-01-0${day} 12:00:00Z', '${country}', '${buyer}', ${amount})`);
    await warehouse.make(
      `CREATE OR REPLACE TABLE main.sale AS SELECT * FROM (VALUES ${sales.join(', ')}) AS s(sold_at, country, buyer, amount)`,
    );
    const define = (name: string, expression: string) =>
      warehouse.definitions.metrics.set(name, `table: main.sale\nexpression: ${expression}\ntime: sold_at\ndimensions: [country]\n`);
    define('order_value', 'avg(amount)');
    define('buyer_value', 'sum(amount) / nullif(count(DISTINCT buyer), 0)');
    const { rows: shares, facts } = await warehouse.run('drivers', { metric: 'order_value', ...days });
    assert.deepEqual(facts['order_value of the period before'], '17.5');
    // The divisor stays at 4, so that a segment's part is (ΔN − mean ratio · ΔD) / 4 with the mean of 17.5 and 12.5.
    assert.deepEqual(
      shares.map((row) =>
        ['segment', 'after', 'before', 'attributed', 'of_change', 'relative', 'after_over_others', 'support'].map((name) => row[name]),
      ),
      [
        ['country = KR', 5, 10, -3.75, 0.75, -0.5, 0.25, 0.2],
        ['country = US', 20, 20, -1.25, 0.25, 0, 4, 0.857143],
      ],
    );
    const { rows: categories } = await warehouse.run('drivers', { metric: 'buyer_value', ...days });
    assert.deepEqual(
      categories.map((row) =>
        ['segment', 'after', 'before', 'difference', 'relative', 'after_over_all', 'before_over_all', 'support'].map((name) => row[name]),
      ),
      [
        ['country = US', 40, 30, 10, 0.333333, 2.4, 1.285714, 0.857143],
        ['country = KR', 5, 10, -5, -0.5, 0.3, 0.428571, 0.2],
      ],
    );
  });

  test('refuses a figure that does not come apart, and says when there is nothing to compare or shares are none', async () => {
    for (const expression of [
      'median(amount)',
      'count(DISTINCT buyer)',
      'sum(amount) + 1',
      'max(amount) / count(*)',
      'count(DISTINCT buyer) / count(DISTINCT country)',
    ]) {
      warehouse.definitions.metrics.set('odd', `table: main.sale\nexpression: ${expression}\ntime: sold_at\ndimensions: [country]\n`);
      await assert.rejects(warehouse.run('drivers', { metric: 'odd', ...days }), { code: 'ANSWER_OPTION' }, expression);
    }
    const { facts } = await warehouse.run('drivers', {
      metric: 'order_value',
      ...days,
      before_from: '2025-12-01',
      before_to: '2025-12-31',
    });
    assert.equal(facts['caveat: there are no rows in the period before'], 'there is nothing to compare');
    await warehouse.make(`INSERT INTO main.sale VALUES (TIMESTAMPTZ '2026-01-02 13:00:00Z', 'JP', 'd', -8)`);
    const { facts: below } = await warehouse.run('drivers', { metric: 'order_value', ...days });
    assert.equal(below['caveat: segments below zero, whose support is no share'], '1');
  });
});
