import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import type { Topic } from '#core';
import { openViews, type Views } from './views-fixture.ts';

const orders: Topic = {
  name: 'orders',
  title: '',
  fields: [
    { name: 'usr', type: 'text', required: false },
    { name: 'product', type: 'text', required: false },
    { name: 'amount', type: 'decimal(18,2)', required: false },
  ],
  id: 'id',
  time: { field: 'ts', unit: 'iso', required: true, earliest: 0, ahead: 1e15 },
  type: null,
  drift: 'evolve',
  dedupeWindow: 86_400_000,
};
const START = Date.parse('2026-01-01T00:00:00Z');

/** Each query with its partition, how it must be kept, and what the plan says of the other tables. */
const cases: { name: string; partition: string; query: string; mode: 'partitions' | 'whole'; says: RegExp }[] = [
  {
    name: 'looked_up',
    partition: `date_trunc('minute', _time)`,
    query: `SELECT date_trunc('minute', o._time) AS minute, p.category, count(*) AS n, sum(amount) AS sales
      FROM raw.orders AS o LEFT JOIN main.products AS p USING (product) GROUP BY 1, 2`,
    mode: 'partitions',
    says: /main\.products: a changed row touches the partitions of the rows of raw\.orders whose product equals its product/,
  },
  {
    name: 'same_key',
    partition: 'usr',
    query: `SELECT o.usr, any_value(u.city) AS city, count(*) AS n FROM raw.orders o JOIN main.users u ON u.usr = o.usr GROUP BY o.usr`,
    mode: 'partitions',
    says: /main\.users: a changed row touches the partition usr/,
  },
  {
    name: 'grouped_lookup',
    partition: `date_trunc('minute', _time)`,
    query: `SELECT date_trunc('minute', o._time) AS minute, o.product, max(p.dearest) AS dearest, count(*) AS n
      FROM raw.orders o LEFT JOIN (SELECT product, max(price) AS dearest FROM main.prices GROUP BY product) AS p ON p.product = o.product GROUP BY 1, 2`,
    mode: 'partitions',
    says: /main\.prices: a changed row touches the partitions of the rows of raw\.orders/,
  },
  {
    name: 'as_of',
    partition: `date_trunc('minute', _time)`,
    query: `SELECT date_trunc('minute', o._time) AS minute, o._id AS id, p.price
      FROM raw.orders o ASOF LEFT JOIN main.prices p ON p.product = o.product AND o._time >= p.since`,
    mode: 'partitions',
    says: /main\.prices: a changed row touches the partitions/,
  },
  {
    name: 'without',
    partition: `date_trunc('minute', _time)`,
    query: `SELECT date_trunc('minute', o._time) AS minute, o._id AS id FROM raw.orders o ANTI JOIN main.users u ON u.usr = o.usr`,
    mode: 'partitions',
    says: /main\.users: a changed row touches the partitions/,
  },
  {
    name: 'other_side_first',
    partition: 'product',
    query: `SELECT p.product, p.category, count(o._id) AS n FROM main.products p LEFT JOIN raw.orders o ON o.product = p.product GROUP BY p.product, p.category`,
    mode: 'partitions',
    says: /raw\.orders: a changed row touches the partition product/,
  },
  {
    name: 'two_parts',
    partition: `(date_trunc('hour', _time), product)`,
    query: `SELECT date_trunc('hour', _time) AS hour, product, count(DISTINCT usr) AS users FROM raw.orders GROUP BY hour, product`,
    mode: 'partitions',
    says: /touches the partition date_trunc\('hour', _time\), product/,
  },
  {
    name: 'keyless',
    partition: `date_trunc('minute', _time)`,
    query: `SELECT date_trunc('minute', o._time) AS minute, count(*) AS n FROM raw.orders o JOIN main.prices p ON o.amount > p.price GROUP BY 1`,
    mode: 'partitions',
    says: /main\.prices: any change recomputes the whole view/,
  },
  {
    name: 'other_column_of_the_name',
    partition: 'usr',
    query: `SELECT u.usr, count(*) AS n FROM raw.orders o JOIN main.users u ON u.city = o.product GROUP BY u.usr`,
    mode: 'partitions',
    says: /raw\.orders: a changed row touches the partitions of the rows of main\.users whose city equals its product/,
  },
  {
    name: 'outer',
    partition: 'usr',
    query: `SELECT usr, count(o._id) AS n FROM raw.orders o FULL JOIN main.users u USING (usr) GROUP BY usr`,
    mode: 'whole',
    says: /any change/,
  },
  {
    name: 'anti_other',
    partition: 'usr',
    query: `SELECT u.usr FROM main.users u ANTI JOIN raw.orders o ON o.usr = u.usr`,
    mode: 'partitions',
    says: /raw\.orders: a changed row touches the partition usr/,
  },
  {
    name: 'shared_cte',
    partition: `date_trunc('minute', _time)`,
    query: `WITH p AS (SELECT product, price FROM main.prices) SELECT date_trunc('minute', o._time) AS minute, o._id AS id, (SELECT max(price) FROM p) AS dearest, p.price
      FROM raw.orders o JOIN p ON p.product = o.product`,
    mode: 'partitions',
    says: /main\.prices: any change recomputes the whole view/,
  },
  {
    name: 'aggregated_before',
    partition: 'usr',
    query: `SELECT u.usr, o.n FROM main.users u LEFT JOIN (SELECT usr, count(*) AS n, max(amount) AS most FROM raw.orders GROUP BY usr) o USING (usr)`,
    mode: 'partitions',
    says: /raw\.orders: a changed row touches the partition usr/,
  },
  {
    name: 'ranked_before',
    partition: 'usr',
    query: `SELECT u.usr, o.place FROM main.users u JOIN (SELECT usr, rank() OVER (ORDER BY count(*) DESC) AS place FROM raw.orders GROUP BY usr) o ON o.usr = u.usr`,
    mode: 'partitions',
    says: /raw\.orders: any change recomputes the whole view/,
  },
];

const key = fc.constantFrom('a', 'b', 'c', 'd');
const step = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('order' as const), usr: key, product: key, minute: fc.nat(180), amount: fc.nat(500) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('product' as const), key, value: fc.constantFrom('toys', 'food', null) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('user' as const), key, value: fc.constantFrom('a', 'b', null) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('price' as const), key, since: fc.nat(180), value: fc.option(fc.nat(400)) }) },
);

describe('joins', () => {
  let views: Views;
  let sent = 0;
  before(async () => {
    views = await openViews();
    await views.transfer('main.products', () => ['CREATE TABLE main.products (product VARCHAR, category VARCHAR, _batch BIGINT)']);
    await views.transfer('main.users', () => ['CREATE TABLE main.users (usr VARCHAR, city VARCHAR, _batch BIGINT)']);
    await views.transfer('main.prices', () => [
      'CREATE TABLE main.prices (product VARCHAR, since TIMESTAMPTZ, price DECIMAL(18,2), _batch BIGINT)',
    ]);
    for (const table of ['products', 'users', 'prices'])
      await views.transfer(`main.${table}`, () => [`CREATE TABLE change."main.${table}" AS FROM main.${table} LIMIT 0`]);
    await views.send(orders, [order({ usr: 'a', product: 'a', minute: 0, amount: 100 })]);
    for (const { name, partition, query } of cases)
      await views.sql(`CREATE MATERIALIZED VIEW mart.${name} PARTITION BY ${partition} OPTIONS (refresh = '100 milliseconds') AS ${query}`);
  });
  after(() => views.close());

  function order({ usr, product, minute, amount }: { usr: string; product: string; minute: number; amount: number }) {
    const id = `o${sent++}`;
    const millis = START + minute * 60_000;
    return { id, micros: millis * 1000, json: { id, usr, product, amount: (amount / 100).toFixed(2), ts: new Date(millis).toISOString() } };
  }

  /** Replaces or deletes a row as a transfer does: the old row goes to the change record with the batch that replaced it. */
  async function replace(table: string, columns: string, where: string, values: string | null): Promise<void> {
    await views.transfer(`main.${table}`, (batch) => [
      `INSERT INTO change."main.${table}" SELECT * EXCLUDE (_batch), ${batch} FROM main.${table} WHERE ${where}`,
      `DELETE FROM main.${table} WHERE ${where}`,
      ...(values === null ? [] : [`INSERT INTO main.${table} (${columns}, _batch) VALUES (${values}, ${batch})`]),
    ]);
  }

  test('are planned by partition or by key where that can be shown, and otherwise the plan says that the whole is recomputed', () => {
    for (const { name, mode, says } of cases) {
      const state = views.keeper.states().find((view) => view.name === `mart.${name}`)!;
      assert.equal(state.mode, mode, `${name}: ${state.reasons.join('; ')}`);
      assert.match(state.plan.concat(state.reasons).join('\n'), says, name);
    }
  });

  test('equal their query in batch after any changes of either side, updates and deletes too', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(step, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 4 }), async (rounds) => {
        for (const steps of rounds) {
          for (const one of steps) {
            if (one.kind === 'order') await views.send(orders, [order(one)]);
            else if (one.kind === 'product')
              await replace('products', 'product, category', `product = '${one.key}'`, one.value && `'${one.key}', '${one.value}'`);
            else if (one.kind === 'user')
              await replace('users', 'usr, city', `usr = '${one.key}'`, one.value && `'${one.key}', '${one.value}'`);
            else {
              const since = `TIMESTAMPTZ '2026-01-01 00:00:00Z' + INTERVAL ${one.since} MINUTE`;
              const values = one.value === null ? null : `'${one.key}', ${since}, ${one.value / 100}`;
              await replace('prices', 'product, since, price', `product = '${one.key}' AND since = ${since}`, values);
            }
          }
          await views.settle();
          assert.deepEqual(views.problems, []);
          for (const { name, query } of cases) assert.deepEqual(await views.rows(`FROM mart.${name}`), await views.rows(query), name);
        }
      }),
      { numRuns: 6 },
    );
  });
});

test('an as-of join gives few rows what it gives many: DuckDB joins small ones in another way, in which a row without a time meets nobody', async (t) => {
  const views = await openViews();
  t.after(() => views.close());
  await views.transfer('main.prices', () => [
    `CREATE TABLE main.prices AS SELECT 'a' AS page, TIMESTAMPTZ '2026-01-01 00:00:00Z' + to_hours(i) AS since, i AS price, 1::BIGINT AS _batch FROM range(20) AS r(i)`,
  ]);
  const visit = (from: number, to: number, at: string) => (batch: number) => [
    `INSERT INTO main.visits SELECT i, 'a', ${at}, ${batch} FROM range(${from}, ${to}) AS r(i)`,
  ];
  await views.transfer('main.visits', () => ['CREATE TABLE main.visits (id INTEGER, page VARCHAR, t TIMESTAMPTZ, _batch BIGINT)']);
  await views.transfer('main.visits', visit(0, 300, `TIMESTAMPTZ '2026-01-01 00:00:00Z' + to_minutes(i)`));
  const query = `SELECT date_trunc('day', v.t) AS day, v.id, p.price FROM main.visits AS v ASOF LEFT JOIN main.prices AS p ON p.page = v.page AND v.t >= p.since`;
  await views.sql(
    `CREATE MATERIALIZED VIEW mart.priced PARTITION BY date_trunc('day', t) OPTIONS (refresh = '100 milliseconds') AS ${query}`,
  );
  await views.settle();
  // The partition of those without a time is computed anew by itself.
  await views.transfer('main.visits', visit(300, 303, 'NULL'));
  await views.settle();
  assert.deepEqual(views.problems, []);
  assert.deepEqual(await views.rows('FROM mart.priced'), await views.rows(query));
});
