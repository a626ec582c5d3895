import assert from 'node:assert/strict';
import { after, beforeEach, test } from 'node:test';
import { openWarehouse, type Row, type Warehouse } from './fixture.ts';

let warehouse: Warehouse;
beforeEach(async () => {
  await warehouse?.close();
  warehouse = await openWarehouse();
});
after(() => warehouse.close());

interface Happened {
  readonly event: string;
  readonly user: string;
  /** Of January 2026, as "10 12:00". */
  readonly at: string;
  readonly placement?: string;
  readonly order?: string;
  readonly value?: number;
  readonly items?: string;
  readonly list?: string;
  readonly item?: string;
  readonly variant?: string;
}

async function put(events: readonly Happened[]): Promise<void> {
  const text = (value: string | undefined) => (value === undefined ? 'NULL::VARCHAR' : `'${value.replaceAll("'", "''")}'`);
  const rows = events.map(
    (each) =>
      `('${each.event}', '${each.user}', TIMESTAMPTZ '2026-01-${each.at}:00Z', ${text(each.placement)}, ${text(each.order)}, CAST(${each.value ?? 'NULL'} AS DECIMAL(18,2)), ${text(each.items)}, ${text(each.list)}, ${text(each.item)}, ${text(each.variant)})`,
  );
  await warehouse.make(
    `CREATE OR REPLACE TABLE main.events AS SELECT * FROM (VALUES ${rows.join(', ')}) AS e(event, user_pseudo_id, time, placement, order_id, value, items, list, item_id, variant)`,
  );
}

const ledger = (options = {}) => warehouse.run('placements', { events: 'main.events', by: 'placement', bootstrap: 0, ...options });
const sum = (rows: readonly Row[], column: string) =>
  rows.reduce((total, row) => total + Math.round(Number(row[column] ?? 0) * 100), 0) / 100;
const of = (rows: readonly Row[], placement: string | null) => rows.find((row) => row['placement'] === placement)!;

test('a click before the first asked day earns an order of the asked days, as far back as the window reaches', async () => {
  await put([
    // The order of the 10th was clicked on the 9th, and on the 4th, which is more than five days before it.
    { event: 'select_promotion', user: 'a', at: '04 09:00', placement: 'early' },
    { event: 'select_promotion', user: 'a', at: '09 12:00', placement: 'top' },
    { event: 'purchase', user: 'a', at: '10 10:00', order: 'o1', value: 70 },
    // What was bought before the asked days is none of them, and its click is of another journey.
    { event: 'select_promotion', user: 'b', at: '08 09:00', placement: 'side' },
    { event: 'purchase', user: 'b', at: '09 10:00', order: 'o2', value: 500 },
    { event: 'view_promotion', user: 'b', at: '10 09:00', placement: 'top' },
    // A session over midnight.
    { event: 'select_promotion', user: 'c', at: '09 23:50', placement: 'night' },
    { event: 'purchase', user: 'c', at: '10 00:10', order: 'o3', value: 30 },
  ]);
  const days = await ledger({ window: 'days', days: 5, from: '2026-01-10', bootstrap: 20 });
  assert.deepEqual(
    days.rows.map((row) => [
      row['placement'],
      row['impressions'],
      row['clicks'],
      row['orders'],
      Number(row['last_click']),
      Number(row['modelled']),
    ]),
    [
      ['night', 0, 0, 1, 30, 50],
      ['top', 1, 0, 1, 70, 50],
      [null, null, null, 0, 0, 0],
    ],
  );
  const session = await ledger({ from: '2026-01-10' });
  assert.deepEqual(
    session.rows.map((row) => [row['placement'], row['orders'], Number(row['last_click'])]),
    [
      ['night', 1, 30],
      ['top', 0, 0],
      [null, 1, 70],
    ],
  );
  // Day by day it is what it is at once.
  const each = await Promise.all(
    ['08', '09', '10'].map((day) => ledger({ window: 'days', days: 5, from: `2026-01-${day}`, to: `2026-01-${day}` })),
  );
  assert.deepEqual(
    each.map(({ rows }) => sum(rows, 'last_click') - Number(of(rows, null)['last_click'])),
    [0, 500, 100],
  );
});

test('an order that is reported again after midnight is of the day of its first report alone', async () => {
  await put([
    { event: 'select_promotion', user: 'a', at: '10 23:50', placement: 'top' },
    { event: 'purchase', user: 'a', at: '10 23:59', order: 'o1', value: 40 },
    { event: 'purchase', user: 'a', at: '11 00:01', order: 'o1', value: 40 },
    { event: 'purchase', user: 'b', at: '11 12:00', order: 'o2', value: 5 },
  ]);
  const money = async (options: object) => sum((await ledger(options)).rows, 'last_click');
  const facts = (await ledger({ from: '2026-01-11' })).facts;
  assert.deepEqual(
    [await money({ to: '2026-01-10' }), await money({ from: '2026-01-11' }), await money({}), facts['orders shared out']],
    [40, 5, 45, '1 worth 5.00'],
  );
  const { rows } = await warehouse.run('aa_replay', { events: 'main.events', from: '2026-01-11', splits: 100 });
  assert.equal(Number(rows.find((row) => row['metric'] === 'revenue')!['mean']) * Number(rows[0]!['visitors']), 5);
});

test('what was bought of the clicked products is never more than the order, whatever a coupon took off', async () => {
  const line = (...prices: readonly (readonly [string, number])[]) =>
    JSON.stringify(prices.map(([item_id, price]) => ({ item_id, price, quantity: 1 })));
  const click = (user: string, item: string): Happened => ({ event: 'select_item', user, at: '10 10:00', list: `list ${item}`, item });
  await put([
    // 100 and 50 in the cart, 100.01 paid: two thirds and a third of it, the cent to the larger remainder.
    click('a', 'p1'),
    click('a', 'p2'),
    { event: 'purchase', user: 'a', at: '10 10:10', order: 'o1', value: 100.01, items: line(['p1', 100], ['p2', 50]) },
    // The coupon as a line of its own.
    click('b', 'p3'),
    { event: 'purchase', user: 'b', at: '10 10:10', order: 'o2', value: 60, items: line(['p3', 80], ['coupon', -20]) },
    // Shipping is no product's.
    click('c', 'p4'),
    { event: 'purchase', user: 'c', at: '10 10:10', order: 'o3', value: 12.5, items: line(['p4', 10]) },
  ]);
  const { rows } = await ledger({ kinds: 'list' });
  assert.deepEqual(
    rows.map((row) => [row['placement'], Number(row['item_bought'])]),
    [
      ['list p1', 66.67],
      ['list p2', 33.34],
      ['list p3', 60],
      ['list p4', 10],
      [null, 2.5],
    ],
  );
});

test('one order line that is no number does not end the ledger; the evidence counts such lines', async () => {
  await put([
    { event: 'select_item', user: 'a', at: '10 10:00', list: 'top', item: 'p1' },
    {
      event: 'purchase',
      user: 'a',
      at: '10 10:10',
      order: 'o1',
      value: 30,
      items:
        '[{"item_id":"p1","price":"ten","quantity":1},{"item_id":"p1","price":10,"quantity":"two"},{"item_id":"p2","price":5,"quantity":99999999999999999999},{"item_id":"p2","price":2,"quantity":2},{"item_id":"p2"}]',
    },
    { event: 'purchase', user: 'b', at: '10 10:10', order: 'o2', value: 7, items: '[{"item_id":' },
    { event: 'view_item_list', user: 'b', at: '10 10:00', list: 'top', items: 'none' },
  ]);
  const { rows, facts } = await ledger({ kinds: 'list' });
  // 0 · 1 + 10 · 1 of the clicked product; what cannot be read is none and one.
  assert.equal(Number(of(rows, 'top')['item_bought']), 10);
  assert.equal(sum(rows, 'last_click'), 37);
  assert.equal(facts['caveat: order lines whose price or quantity is no number, taken as 0 and 1'], '3');
  assert.equal(facts['caveat: events whose list of items cannot be read'], '2');
});

test('an experiment counts an order once, however often it was reported, also as an event; what has no id counts as it is', async () => {
  await put([
    ...['a', 'b', 'c', 'd'].map((user, n): Happened => ({ event: 'seen', user, at: '10 10:00', variant: n % 2 === 0 ? 'A' : 'B' })),
    ...['11:00', '11:01', '11:02'].map(
      (time): Happened => ({ event: 'purchase', user: 'a', at: `10 ${time}`, order: 'o1', value: 5, placement: 'x' }),
    ),
    { event: 'purchase', user: 'c', at: '10 11:00', order: 'o2', value: 5 },
    { event: 'purchase', user: 'b', at: '10 11:00', value: 5 },
    { event: 'purchase', user: 'b', at: '10 11:00', value: 5 },
  ]);
  warehouse.definitions.experiments.set(
    'own',
    `exposure: seen
variants: { A: 0.5, B: 0.5 }
metrics:
  - { name: orders, kind: count, event: purchase, role: primary }
  - { name: some, kind: count, event: "purchase:placement=x" }
  - { name: value, kind: ratio, numerator: revenue, denominator: purchase }
`,
  );
  const { rows, facts } = await warehouse.run('experiment', { events: 'main.events', experiment: 'own' });
  const mean = (metric: string, variant: string) => rows.find((row) => row['metric'] === metric && row['variant'] === variant)!['mean'];
  assert.deepEqual([mean('orders', 'A'), mean('orders', 'B'), mean('some', 'A'), mean('value', 'A')], [1, 1, 0.5, 5]);
  assert.equal(facts['caveat: purchases without an order id are not known to be different orders'], '2');
});

test('purchases without a value are said, and so are those below zero, wherever money is read', async () => {
  await put([
    { event: 'seen', user: 'a', at: '10 10:00', variant: 'A', placement: 'top' },
    { event: 'seen', user: 'b', at: '10 10:00', variant: 'B' },
    { event: 'purchase', user: 'a', at: '10 11:00', order: 'o1' },
    { event: 'purchase', user: 'a', at: '10 11:00', order: 'o2', value: -3 },
    { event: 'purchase', user: 'b', at: '10 11:00', order: 'o3' },
    // Reported twice, once with its value.
    { event: 'purchase', user: 'b', at: '10 11:00', order: 'o4' },
    { event: 'purchase', user: 'b', at: '10 11:01', order: 'o4', value: 9 },
  ]);
  await warehouse.make(
    `CREATE TABLE main.orders AS SELECT 'o' || i AS order_id, TIMESTAMPTZ '2026-01-10 11:00:00Z' AS ordered_at, CASE WHEN i > 2 THEN 8.0 END AS amount FROM range(1, 5) AS r(i)`,
  );
  warehouse.definitions.experiments.set(
    'own',
    'exposure: seen\nvariants: { A: 0.5, B: 0.5 }\nmetrics:\n  - { name: money, kind: revenue, role: primary }\n',
  );
  for (const [answer, options] of [
    ['placements', { by: 'placement', bootstrap: 0 }],
    ['experiment', { experiment: 'own' }],
    ['experiment_bayes', { experiment: 'own', draws: 1000 }],
    ['experiment_plan', { experiment: 'own', at: 'seen' }],
    ['aa_replay', { splits: 100 }],
    ['reconcile', {}],
  ] as const) {
    const asked = { events: 'main.events', orders: 'main.orders', ...options };
    const { facts } = await warehouse.run(answer, asked);
    assert.equal(facts['caveat: purchases without a value, taken as 0'], '2', answer);
    if (answer !== 'reconcile') assert.equal(facts['caveat: orders of negative value'], '1 worth -3.00', answer);
    if (answer === 'reconcile') continue;
    const paid = (await warehouse.run(answer, { ...asked, money: 'orders' })).facts;
    assert.equal(paid['caveat: orders without an amount, taken as 0'], '2', answer);
    assert.equal(paid['caveat: purchases without a value, taken as 0'], undefined, answer);
  }
});
