import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { answers } from '#analyze';
import { defaultLook, draw, pick } from '#visualize';
import { fillShop, openWarehouse, type Row, type Warehouse } from './fixture.ts';

/** What each answer is asked with in the checks that hold for all of them. */
const asked: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  drivers: { metric: 'revenue', from: '2026-03-30', to: '2026-03-31', before_from: '2026-03-28', before_to: '2026-03-29' },
  dropoff: { steps: 'view_item,add_to_cart,purchase' },
  experiment: { experiment: 'checkout' },
  experiment_bayes: { experiment: 'checkout', draws: 1000 },
  lifetime: { orders: 'main.buyers' },
  segment: { segment: 'again', rows: 'history', grain: 'day' },
  segments: { segments: 'again,all' },
  lookalike: { segment: 'all', events: 'main.behaviour', orders: 'main.seen' },
  sample_ratio: { experiment: 'checkout' },
  experiment_plan: { experiment: 'checkout' },
  funnel: { steps: 'view_item,add_to_cart,purchase' },
  journey: { journey: 'shop' },
  metric: { metric: 'revenue' },
  placements: { bootstrap: 5, by: 'placement' },
};

/** A sum of doubles differs in its last digits with the order in which threads bring them. */
const settled = (rows: readonly Row[]) =>
  rows.map((row) => Object.values(row).map((cell) => (typeof cell === 'number' ? Number(cell.toPrecision(10)) : cell)));

describe('every answer', () => {
  let warehouse: Warehouse;
  before(async () => {
    warehouse = await openWarehouse('Europe/Berlin');
    await fillShop(warehouse, { seed: 9, users: 120, days: 5, start: '2026-03-27', timeZone: 'Europe/Berlin', currency: 'EUR' });
    await warehouse.make(
      `CREATE TABLE main.buyers AS SELECT 'o' || i AS order_id, 'c' || i % 30 AS customer_id, TIMESTAMPTZ '2026-03-01 12:00:00Z' + to_days(CAST(i * i % 37 AS INTEGER)) AS ordered_at, CAST(10 + i % 13 AS DECIMAL(18,2)) AS amount FROM range(80) AS r(i)`,
    );
    // Enough visitors for a fit; every other one has an order.
    await warehouse.make(
      `CREATE TABLE main.behaviour AS SELECT 'v' || i % 200 AS user_pseudo_id, TIMESTAMPTZ '2026-03-28 12:00:00Z' + to_hours(CAST(i % 70 AS INTEGER)) AS time,
         ['page_view', 'view_item', 'add_to_cart'][1 + CAST(hash(i) % 3 AS BIGINT)] AS event, CASE WHEN i = 7 THEN 'Googlebot' ELSE 'Firefox' END AS user_agent FROM range(900) AS r(i)`,
      `CREATE TABLE main.seen AS SELECT 'o' || i AS order_id, 'v' || i AS customer_id, TIMESTAMPTZ '2026-03-30 12:00:00Z' AS ordered_at, 10.0 AS amount FROM range(0, 200, 2) AS r(i)`,
    );
    warehouse.definitions.metrics.set(
      'revenue',
      'table: shop.orders\nexpression: sum(amount)\ntime: ordered_at\ndimensions: [payment_type]\n',
    );
    warehouse.definitions.experiments.set(
      'checkout',
      'exposure: experiment_viewed\nvariants: { A: 0.5, B: 0.5 }\nmetrics:\n  - { name: buyers, role: primary }\n',
    );
    warehouse.definitions.segments.set('again', 'where: orders > 1\n');
    warehouse.definitions.segments.set('all', 'where: true\n');
    warehouse.definitions.journeys.set(
      'shop',
      'steps:\n  - { name: item, event: view_item, next: [cart] }\n  - { name: cart, event: add_to_cart }\n',
    );
  });
  after(() => warehouse.close());

  for (const { name, options } of answers) {
    test(`${name}: its SQL may be run by a viewer as it is shown, and gives what the answer gives`, async () => {
      const given = asked[name] ?? {};
      const ran = await warehouse.run(name, given);
      assert.ok(ran.rows.length > 0);
      assert.deepEqual(settled(await warehouse.ask(ran.sql)), settled(ran.rows));
      const literal = (value: unknown) => (typeof value === 'number' ? String(value) : `'${value}'`);
      const call = Object.entries(given).map(([key, value]) => `${key} := ${literal(value)}`);
      assert.deepEqual(settled(await warehouse.ask(`FROM answers.${name}(${call.join(', ')}) AS own`)), settled(ran.rows));
    });

    test(`${name}: the chart that it names, or else the one that fits, can be drawn from its rows`, async () => {
      const { chart, data } = await warehouse.run(name, asked[name]);
      assert.ok(['option', 'table', 'number'].includes(draw(chart ?? pick(data), data, defaultLook).kind));
    });

    test(`${name}: says on what it stands`, async () => {
      const { facts } = await warehouse.run(name, asked[name]);
      assert.equal(facts['data version (batch)'], String(warehouse.store.batch()));
      if (name !== 'metric' && name !== 'drivers') assert.match(facts['to']!, /^2026-0[34]-\d\d \d\d:\d\d \(Europe\/Berlin\)$/);
      assert.match(facts['matched paid orders']!, /^\d+\.\d % \(\d+ of \d+\)$/);
      if (options.some((option) => option.name === 'events')) assert.ok(Number(facts['set aside: bot']) > 0);
    });

    test(`${name}: refuses an option that it does not have`, async () => {
      await assert.rejects(warehouse.run(name, { ...asked[name], colour: 'red' }), { code: 'ANSWER_OPTION' });
    });
  }

  test('an unknown answer is refused with those that there are', async () => {
    await assert.rejects(warehouse.run('sales'), { code: 'ANSWER_UNKNOWN', message: /there are reconcile, placements, funnel/ });
  });

  test('days that are none, or that end before they begin, are refused', async () => {
    for (const days of [{ from: '2026-02-30' }, { from: 'yesterday' }, { from: '2026-03-02', to: '2026-03-01' }])
      await assert.rejects(warehouse.run('retention', days), { code: 'ANSWER_OPTION' });
  });

  test('an empty period has an answer, and the evidence says that nothing was used', async () => {
    const { rows, facts } = await warehouse.run('placements', { by: 'placement', from: '2020-01-01', to: '2020-01-02' });
    assert.deepEqual(
      rows.map((row) => [row['kind'], row['orders'], Number(row['last_click'])]),
      [['(unassigned)', 0, 0]],
    );
    assert.equal(facts['events used'], '0');
    assert.equal(facts['matched paid orders'], 'none to match');
    assert.ok(Number(facts['set aside: outside the asked days']) > 0);
  });

  test('an event that nobody sent is said in the evidence, where the answer would only be empty', async () => {
    for (const [answer, options] of [
      ['aa_replay', { event: 'purchas' }],
      ['retention', { start: 'purchas' }],
      ['retention', { return: 'purchas' }],
      ['paths', { start: 'purchas' }],
      ['paths', { start: 'purchas', by: 'event' }],
    ] as const) {
      const { facts } = await warehouse.run(answer, options);
      assert.equal(facts['caveat: no event is purchas'], '0', answer);
    }
    const definition = (exposure: string, event: string) =>
      `exposure: ${exposure}\nvariants: { A: 0.5, B: 0.5 }\nmetrics:\n  - { name: own, kind: count, event: ${event}, role: primary }\n`;
    warehouse.definitions.experiments.set('mistyped', definition('experiment_viewed', 'purchas'));
    warehouse.definitions.experiments.set('unmet', definition('purchas', 'purchase'));
    for (const [answer, options] of [
      ['experiment', {}],
      ['experiment_bayes', { draws: 1000 }],
      ['experiment_plan', { at: 'view_item' }],
    ] as const) {
      const { facts } = await warehouse.run(answer, { experiment: 'mistyped', ...options });
      assert.equal(facts['caveat: no event is purchas'], '0', answer);
    }
    const unmet = await warehouse.run('experiment', { experiment: 'unmet' });
    assert.equal(unmet.facts['caveat: no event is purchas'], '0');
    const unplanned = await warehouse.run('experiment_plan', { experiment: 'unmet', at: 'view_itm' });
    assert.equal(unplanned.facts['caveat: no event is view_itm'], '0');
    assert.equal(unplanned.facts['caveat: no event is purchase'], undefined);
    const { facts } = await warehouse.run('paths', { start: 'view_item:device=mobile' });
    assert.ok(!Object.keys(facts).some((fact) => fact.startsWith('caveat: no event')));
  });

  test('text in an option is never SQL', async () => {
    const steps = [`view_item' OR true --`, `x:page='); DROP TABLE shop.orders; --`];
    const { rows } = await warehouse.run('funnel', { steps });
    assert.deepEqual(
      rows.map((row) => row['entered']),
      [0, 0],
    );
  });
});

describe('a call in SQL', () => {
  let warehouse: Warehouse;
  before(async () => {
    warehouse = await openWarehouse();
    await warehouse.make(
      `CREATE TABLE main.events AS SELECT * FROM (VALUES ('a', 'u1', TIMESTAMPTZ '2026-01-01 00:00:00Z'), ('b', 'u1', TIMESTAMPTZ '2026-01-01 00:01:00Z')) AS e(event, user_pseudo_id, time)`,
      `CREATE TABLE main.answers AS SELECT 1 AS funnel`,
    );
  });
  after(() => warehouse.close());

  test('joins like a table, and may stand twice', async () => {
    const rows = await warehouse.ask(
      `SELECT x.step, x.entered, y.entered AS strict FROM Answers.Funnel(steps => 'a,b') AS x
      JOIN answers.funnel(steps := 'a,b', "order" := 'strict' /* ) */) AS y USING (step) ORDER BY step`.replace('"order"', 'order'),
    );
    assert.deepEqual(rows, [
      { step: 1, entered: 1, strict: 1 },
      { step: 2, entered: 1, strict: 1 },
    ]);
  });

  test('leaves strings, comments and a table of that name alone', async () => {
    const rows = await warehouse.ask(`SELECT 'answers.funnel(x)' AS text, answers.funnel FROM answers -- answers.funnel(1)`);
    assert.deepEqual(rows, [{ text: 'answers.funnel(x)', funnel: 1 }]);
  });

  test('takes literals only', async () => {
    const refused = (call: string) => assert.rejects(warehouse.ask(`FROM answers.${call}`), { code: 'ANSWER_CALL' });
    await refused(`funnel('a,b')`);
    await refused(`funnel(steps := (SELECT 'a,b'))`);
    await refused(`funnel(steps := 'a' || 'b')`);
    await refused(`funnel(steps := 'a,b', steps := 'a,b')`);
    await refused(`funnel(steps := 'a,b'`);
    await assert.rejects(warehouse.ask('FROM answers.nothing()'), { code: 'ANSWER_UNKNOWN' });
  });
});

describe('events of another shape', () => {
  test('missing columns and wrong types are refused by name', async (t) => {
    const warehouse = await openWarehouse();
    t.after(() => warehouse.close());
    await warehouse.make(
      `CREATE TABLE main.untimed AS SELECT 'a' AS event, 'u' AS user_pseudo_id`,
      `CREATE TABLE main.texttime AS SELECT 'a' AS event, 'u' AS user_pseudo_id, '2026-01-01' AS time`,
      `CREATE TABLE main.nobody AS SELECT 'a' AS event, now() AS time`,
      `CREATE TABLE main.plain AS SELECT 'a' AS event, 'u' AS user_pseudo_id, now() AS time`,
    );
    await assert.rejects(warehouse.run('paths'), { code: 'ANSWER_TABLE' });
    await assert.rejects(warehouse.run('paths', { events: 'main.untimed' }), { code: 'ANSWER_COLUMN', message: /for the time/ });
    await assert.rejects(warehouse.run('paths', { events: 'main.texttime' }), { code: 'ANSWER_TYPE' });
    await assert.rejects(warehouse.run('paths', { events: 'main.nobody' }), { code: 'ANSWER_COLUMN', message: /for the visitor/ });
    await assert.rejects(warehouse.run('placements', { events: 'main.plain' }), { code: 'ANSWER_COLUMN', message: /placements/ });
    await assert.rejects(warehouse.run('reconcile', { events: 'main.plain' }), { code: 'ANSWER_TABLE' });
  });
});
