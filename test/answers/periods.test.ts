import assert from 'node:assert/strict';
import { after, beforeEach, test } from 'node:test';
import { openWarehouse, type Row, type Warehouse } from './fixture.ts';

let warehouse: Warehouse;
beforeEach(async () => {
  await warehouse?.close();
  warehouse = await openWarehouse();
});
after(() => warehouse.close());

const at = (rows: readonly Row[], metric: string, variant?: string) =>
  rows.find((row) => row['metric'] === metric && (variant === undefined || row['variant'] === variant))!;

test('a metric of the workspace ends with the experiment, as the built-in ones do, and the evidence tells of its days', async () => {
  // A visitor a variant; an order of 10 in the test, one of 100 after its end. Before it somebody else bought, which nobody reported.
  await warehouse.make(
    `CREATE TABLE main.orders AS SELECT * FROM (VALUES ('o0', 'x', TIMESTAMPTZ '2026-02-01 12:00:00Z', 5.00), ('o1', 'a', TIMESTAMPTZ '2026-03-10 12:00:00Z', 10.00), ('o2', 'a', TIMESTAMPTZ '2026-04-10 12:00:00Z', 100.00),
      ('o3', 'b', TIMESTAMPTZ '2026-03-15 23:59:00Z', 20.00), ('o4', 'b', TIMESTAMPTZ '2026-03-16 00:00:00Z', 200.00)) AS o(order_id, user_id, ordered_at, amount)`,
    `CREATE TABLE main.events AS
     SELECT 'purchase' AS event, user_id AS user_pseudo_id, ordered_at AS time, order_id, amount AS value, NULL::VARCHAR AS variant FROM main.orders WHERE order_id <> 'o0'
     UNION ALL SELECT 'seen', u, TIMESTAMPTZ '2026-03-05 12:00:00Z', NULL, NULL, v FROM (VALUES ('a', 'A'), ('b', 'B')) AS s(u, v)
     UNION ALL SELECT 'home', 'a', TIMESTAMPTZ '2026-02-01 12:00:00Z', NULL, NULL, NULL`,
  );
  warehouse.definitions.metrics.set('taken', 'table: main.orders\nexpression: sum(amount)\ntime: ordered_at\n');
  warehouse.definitions.experiments.set(
    'own',
    `exposure: seen
variants: { A: 0.5, B: 0.5 }
from: 2026-03-01
to: 2026-03-15
metrics:
  - { name: built in, kind: revenue, role: primary }
  - { name: own, kind: metric, metric: taken }
`,
  );
  const asked = { events: 'main.events', experiment: 'own' };
  for (const answer of ['experiment', 'experiment_bayes']) {
    const { rows, facts } = await warehouse.run(answer, answer === 'experiment' ? asked : { ...asked, draws: 1000 });
    if (answer === 'experiment')
      assert.deepEqual(
        ['built in', 'own'].map((metric) => [at(rows, metric, 'A')['mean'], at(rows, metric, 'B')['mean']]),
        [
          [10, 20],
          [10, 20],
        ],
      );
    assert.deepEqual(
      [facts['events used'], facts['set aside: outside the asked days'], facts['from'], facts['matched paid orders']],
      ['4', '3', '2026-03-05 12:00', '100.0 % (2 of 2)'],
      answer,
    );
  }
  assert.equal((await warehouse.run('sample_ratio', asked)).facts['matched paid orders'], '100.0 % (2 of 2)');
  // The plan reads its asked days alike.
  const plan = await warehouse.run('experiment_plan', { ...asked, at: 'seen', from: '2026-03-01', to: '2026-03-15' });
  assert.deepEqual([at(plan.rows, 'built in')['mean'], at(plan.rows, 'own')['mean']], [15, 15]);
  assert.equal(plan.facts['matched paid orders'], '100.0 % (2 of 2)');
});

test('aa_replay and experiment_plan read the shop’s own money, and aa_replay an experiment’s own metrics', async () => {
  // 400 visitors; every fourth buys for 10 by the events, of which the shop knows every second one, at 30. Each looks once or twice.
  await warehouse.make(
    `CREATE TABLE main.events AS SELECT * FROM (
       SELECT 'page_view' AS event, 'u' || u AS user_pseudo_id, TIMESTAMPTZ '2026-03-05 12:00:00Z' + to_minutes(n) AS time, NULL::VARCHAR AS order_id, NULL::DECIMAL(18,2) AS value FROM range(400) AS r(u), range(2) AS s(n) WHERE n = 0 OR u % 2 = 0
       UNION ALL SELECT 'purchase', 'u' || u, TIMESTAMPTZ '2026-03-05 12:10:00Z', 'o' || u, 10 FROM range(0, 400, 4) AS r(u))`,
    `CREATE TABLE main.orders AS SELECT 'o' || u AS order_id, TIMESTAMPTZ '2026-03-05 12:10:00Z' AS ordered_at, CAST(30 AS DECIMAL(18,2)) AS amount, 'paid' AS status FROM range(0, 400, 8) AS r(u)`,
  );
  const asked = { events: 'main.events', splits: 200 };
  const told = async (options: object) =>
    (await warehouse.run('aa_replay', { ...asked, ...options })).rows.map((row) => [row['metric'], row['visitors'], row['mean']]);
  assert.deepEqual(await told({}), [
    ['conversion', 400, 0.25],
    ['revenue', 400, 2.5],
  ]);
  assert.deepEqual(await told({ money: 'orders' }), [
    ['conversion', 400, 0.125],
    ['revenue', 400, 3.75],
  ]);
  warehouse.definitions.experiments.set(
    'own',
    `exposure: seen
variants: { A: 0.5, B: 0.5 }
winsorise: 0.5
metrics:
  - { name: views, kind: count, event: page_view, role: primary }
  - { name: money, kind: revenue }
  - { name: a view’s money, kind: ratio, numerator: revenue, denominator: page_view }
`,
  );
  const own = await warehouse.run('aa_replay', { ...asked, splits: 1000, experiment: 'own' });
  assert.deepEqual(
    own.rows.map((row) => [row['metric'], row['visitors'], Number(row['mean'].toFixed(9))]),
    [
      ['views', 400, 1.5],
      ['money', 400, 2.5],
      ['a view’s money', 400, Number((2.5 / 1.5).toFixed(9))],
      ['money, capped at the 0.5 quantile', 400, 0],
    ],
  );
  // The smallest effect of two halves of 200 with 80 % power: 2.8015852 standard errors; views are one or two, half and half.
  const effect = 2.801585218112968 * Math.sqrt((4 * ((0.25 * 400) / 399)) / 400);
  assert.ok(Math.abs(own.rows[0]!['minimum_effect'] - effect) < 1e-9);
  // Of a thousand splits that nothing tells apart 50 alarm, give or take three times 6.9.
  for (const row of own.rows.slice(0, 3))
    assert.ok(row['fit'] && Math.abs(row['false_positives'] - 50) < 21, `${row['metric']}: ${row['false_positives']}`);
  assert.equal(own.facts['visitors who would have met the test'], '400');
  const paid = await warehouse.run('aa_replay', { ...asked, experiment: 'own', money: 'orders' });
  assert.equal(at(paid.rows, 'money')['mean'], 3.75);
  const plan = await warehouse.run('experiment_plan', { events: 'main.events', experiment: 'own', money: 'orders' });
  assert.equal(at(plan.rows, 'money')['mean'], 3.75);
});

test('the ledger tells what an impression brought, by every observed model', async () => {
  // Two impressions and a click on top, four and a later click on side; the order of 90 is shared by both, or goes to one.
  const view = (placement: string, n: number) =>
    Array.from({ length: n }, (_, i) => `('view_promotion', ${i}, '${placement}', NULL, NULL)`);
  await warehouse.make(
    `CREATE TABLE main.events AS SELECT event, 'a' AS user_pseudo_id, TIMESTAMPTZ '2026-01-10 10:00:00Z' + to_minutes(m) AS time, placement, order_id, CAST(value AS DECIMAL(18,2)) AS value
     FROM (VALUES ${[...view('top', 2), ...view('side', 4), "('select_promotion', 5, 'top', NULL, NULL)", "('select_promotion', 6, 'side', NULL, NULL)", "('purchase', 7, NULL, 'o1', 90)"].join(', ')}) AS e(event, m, placement, order_id, value)`,
  );
  const { rows } = await warehouse.run('placements', { events: 'main.events', by: 'placement', bootstrap: 0 });
  const brought = (placement: string) => {
    const row = rows.find((each) => each['placement'] === placement)!;
    return ['first_click', 'last_click', 'linear', 'position', 'item_bought'].map((model) => row[`${model}_per_impression`]);
  };
  assert.deepEqual(
    [brought('top'), brought('side')],
    [
      [45, 0, 22.5, 22.5, 0],
      [0, 22.5, 11.25, 11.25, 0],
    ],
  );
  assert.ok(rows[0]!['time_decay_per_impression'] > 0);
});
