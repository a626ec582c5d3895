import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { parseExperiment } from '#experiment';
import { fillShop, openWarehouse, type Row, type Warehouse } from './fixture.ts';

const checkout = `title: Checkout page
exposure: experiment_viewed:experiment=checkout_page
variants: { A: 0.5, B: 0.5 }
metrics:
  - { name: buyers, kind: conversion, role: primary }
  - { name: revenue, kind: revenue }
  - { name: net, kind: net_revenue, role: guardrail }
planned: 300
winsorise: 0.95
`;

test('the simulated shop’s experiment: visitors and buyers are the truth, and the interval holds the true effect', async (t) => {
  const warehouse = await openWarehouse('Asia/Seoul');
  t.after(() => warehouse.close());
  const { experiment } = await fillShop(warehouse, {
    seed: 11,
    users: 2500,
    days: 14,
    start: '2026-03-02',
    timeZone: 'Asia/Seoul',
    currency: 'KRW',
  });
  warehouse.definitions.experiments.set('checkout', checkout);
  const { rows, facts } = await warehouse.run('experiment', { experiment: 'checkout' });
  const buyers = rows.filter((row) => row['metric'] === 'buyers');
  assert.deepEqual(
    buyers.map((row) => ({ variant: row['variant'], users: row['visitors'], buyers: Math.round(row['mean'] * row['visitors']) })),
    experiment.variants,
  );
  // A visit buys with 0.48 or 0.6 of its checkouts; whoever comes again has another chance, so that the difference is at least about that.
  assert.ok(buyers[1]!['low'] < 0.12 && 0.12 < buyers[1]!['high']);
  assert.deepEqual([...new Set(rows.map((row) => row['interval']))], ['always valid']);
  assert.ok(
    rows.every((row) => row['p'] === null),
    'no p-value while it runs',
  );
  assert.match(facts['sample ratio']!, /below 10\.83/);
  assert.equal(facts['set aside: visitors of two variants'], '0');
});

// Doubles are added up in another order.
const rounded = (rows: readonly Row[]) =>
  rows.map((row) =>
    Object.fromEntries(Object.entries(row).map(([key, value]) => [key, typeof value === 'number' ? Number(value.toFixed(6)) + 0 : value])),
  );

describe('an experiment on data made by hand', () => {
  let warehouse: Warehouse;
  before(async () => {
    warehouse = await openWarehouse();
  });
  after(() => warehouse.close());

  interface Visitor {
    readonly variant: 'A' | 'B';
    /** Orders before and after the exposure, in cents. */
    readonly before: number;
    readonly after: number;
    /** Seen for the first time at the exposure. */
    readonly isNew?: boolean;
  }

  async function put(visitors: readonly Visitor[], more: readonly string[] = []): Promise<void> {
    const rows = visitors.flatMap(({ variant, before, after, isNew }, at) => [
      ...(isNew === true ? [] : [`('home', 'u${at}', 5, NULL, NULL, NULL)`]),
      ...(before > 0 && isNew !== true ? [`('purchase', 'u${at}', 6, NULL, 'b${at}', ${before} * 0.01)`] : []),
      `('seen', 'u${at}', 10, '${variant}', NULL, NULL)`,
      ...(after > 0 ? [`('purchase', 'u${at}', 20, NULL, 'a${at}', ${after} * 0.01)`] : []),
    ]);
    await warehouse.make(
      `CREATE OR REPLACE TABLE main.events AS SELECT event, u AS user_pseudo_id, TIMESTAMPTZ '2026-01-01 00:00:00Z' + to_minutes(m) AS time, variant, order_id, CAST(value AS DECIMAL(18,2)) AS value
       FROM (VALUES ${[...rows, ...more].join(', ')}) AS e(event, u, m, variant, order_id, value)`,
    );
  }
  const define = (text: string) => warehouse.definitions.experiments.set('own', `exposure: seen\nvariants: { A: 0.5, B: 0.5 }\n${text}`);
  const run = () => warehouse.run('experiment', { events: 'main.events', experiment: 'own' });

  const visitor = fc.record({
    variant: fc.constantFrom('A' as const, 'B' as const),
    before: fc.integer({ min: 0, max: 5000 }),
    after: fc.integer({ min: 0, max: 9000 }),
    isNew: fc.integer({ min: 0, max: 3 }).map((of4) => of4 === 0),
  });
  const group = fc
    .array(visitor, { minLength: 6, maxLength: 40 })
    .filter((all) => ['A', 'B'].every((variant) => all.filter((each) => each.variant === variant).length >= 3));

  test('its final figures are those of CUPED and Welch worked out by hand, money as it is and with its highest values capped', async () => {
    define('to: 2026-01-31\nwinsorise: 0.9\nmetrics:\n  - { name: revenue, kind: revenue, role: primary }\n');
    const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
    const near = (got: number, wanted: number, what: string) =>
      assert.ok(Math.abs(got - wanted) < 1e-6 * Math.max(1, Math.abs(wanted)), `${what}: ${got} for ${wanted}`);
    await fc.assert(
      fc.asyncProperty(group, async (visitors) => {
        await put(visitors);
        const { rows } = await run();
        const spent = visitors.map(({ after }) => after / 100).sort((a, b) => a - b);
        // The 0.9 quantile between the two values around it, of all variants together.
        const place = 0.9 * (spent.length - 1);
        const cap = spent[Math.floor(place)]! + (place % 1) * ((spent[Math.floor(place) + 1] ?? 0) - spent[Math.floor(place)]!);
        for (const [metric, capped] of [
          ['revenue', (y: number) => y],
          ['revenue, capped at the 0.9 quantile', (y: number) => Math.min(y, cap)],
        ] as const) {
          const all = visitors.map((each) => ({ ...each, x: each.isNew === true ? null : each.before / 100, y: capped(each.after / 100) }));
          const known = all.flatMap(({ x, y }) => (x === null ? [] : [{ x, y }]));
          const [mx, my] = known.length === 0 ? [0, 0] : [mean(known.map(({ x }) => x)), mean(known.map(({ y }) => y))];
          const variance = known.length === 0 ? 0 : mean(known.map(({ x }) => (x - mx) ** 2));
          const theta = variance === 0 ? 0 : mean(known.map(({ x, y }) => (x - mx) * (y - my))) / variance;
          const arm = (variant: string) => {
            // A visitor without a past has the mean one.
            const own = all.filter((each) => each.variant === variant).map(({ x, y }) => y - theta * ((x ?? mx) - mx));
            return {
              mean: mean(own),
              n: own.length,
              variance: own.reduce((sum, value) => sum + (value - mean(own)) ** 2, 0) / (own.length - 1),
            };
          };
          const [a, b] = [arm('A'), arm('B')];
          const se = Math.sqrt(a.variance / a.n + b.variance / b.n);
          const row = rows.find((each) => each['variant'] === 'B' && each['metric'] === metric)!;
          near(row['difference'], b.mean - a.mean, 'difference');
          near(row['high'] - row['difference'], 1.959963984540054 * se, 'half width');
          if (se > 0) near(row['p'], 2 * (1 - phi(Math.abs((b.mean - a.mean) / se))), 'p');
          assert.equal(row['interval'], 'final');
        }
      }),
      { numRuns: 25 },
    );
  });

  test('while it runs the interval is the confidence sequence, wider than the final one', async () => {
    const visitors = Array.from(
      { length: 40 },
      (_, at): Visitor => ({ variant: at % 2 === 0 ? 'A' : 'B', before: 0, after: (at * 37) % 100 }),
    );
    await put(visitors);
    define('planned: 40\ncovariate_days: 0\nmetrics:\n  - { name: revenue, kind: revenue, role: primary }\n');
    const running = (await run()).rows.find((row) => row['variant'] === 'B')!;
    define('to: 2026-01-31\nplanned: 40\ncovariate_days: 0\nmetrics:\n  - { name: revenue, kind: revenue, role: primary }\n');
    const final = (await run()).rows.find((row) => row['variant'] === 'B')!;
    const ratio = (running['high'] - running['low']) / (final['high'] - final['low']);
    // Waudby-Smith et al. 2021: sqrt(2(nρ²+1)/(nρ²)·log(sqrt(nρ²+1)/α)) at n = planned, over 1.96.
    const rho2 = (-2 * Math.log(0.05) + Math.log(-2 * Math.log(0.05) + 1)) / 40;
    const expected = Math.sqrt(((2 * (40 * rho2 + 1)) / (40 * rho2)) * Math.log(Math.sqrt(40 * rho2 + 1) / 0.05)) / 1.959963984540054;
    assert.ok(Math.abs(ratio - expected) < 1e-9, `${ratio} for ${expected}`);
  });

  test('visitors of two variants are left out and counted; a bad split and a split that changed raise the alarm', async () => {
    const many = Array.from({ length: 200 }, (_, at): Visitor => ({ variant: at < 150 ? 'A' : 'B', before: 0, after: 0 }));
    await put(many, [`('seen', 'u0', 11, 'B', NULL, NULL)`, `('seen', 'u1', 11, 'C', NULL, NULL)`]);
    define('metrics:\n  - { name: buyers, role: primary }\n');
    const { rows, facts } = await run();
    assert.deepEqual(
      rows.map((row) => [row['variant'], row['visitors']]),
      [
        ['A', 149],
        ['B', 50],
      ],
    );
    assert.equal(facts['set aside: visitors of two variants'], '1');
    assert.equal(facts['set aside: exposures to an unknown variant'], '1');
    // 149 and 50 where 99.5 were meant: 2 · 49.5² / 99.5.
    assert.match(facts['sample ratio']!, /^chi-square 49\.25, ALARM: above 10\.83/);
  });

  test('a metric of the workspace over the same rows reads as the built-in one, a ratio too', async () => {
    // The pages before and the money are what revenue, orders and their ratio are made of.
    const metric = (expression: string) =>
      `table: main.events\nexpression: ${expression}\ntime: time\nwhere: event = 'purchase'\ndimensions: [variant]\n`;
    warehouse.definitions.metrics.set('money', metric('sum(value)'));
    warehouse.definitions.metrics.set('each', metric('sum(value) / count(*)'));
    warehouse.definitions.metrics.set('typical', metric('median(value)'));
    const builtIn = ['{ name: m, kind: revenue, role: primary }', '{ name: r, kind: ratio, numerator: revenue, denominator: orders }'];
    const own = ['{ name: m, kind: metric, metric: money, role: primary }', '{ name: r, kind: metric, metric: each, by: user_pseudo_id }'];
    const read = async (metrics: readonly string[], answer = 'experiment') => {
      define(`to: 2026-01-31\nmetrics:\n${metrics.map((each) => `  - ${each}\n`).join('')}`);
      return warehouse.run(answer, { events: 'main.events', experiment: 'own' });
    };
    await fc.assert(
      fc.asyncProperty(group, async (visitors) => {
        await put(visitors);
        assert.deepEqual(rounded((await read(own)).rows), rounded((await read(builtIn)).rows));
      }),
      { numRuns: 8 },
    );
    // Money by Bayes is a hurdle, of any figure the mean: the ratio alone is the same.
    const ratio = async (metrics: readonly string[]) =>
      (await read(metrics, 'experiment_bayes')).rows.filter((row) => row['metric'] === 'r');
    assert.deepEqual(rounded(await ratio(own)), rounded(await ratio(builtIn)));
    await assert.rejects(read(['{ name: m, kind: metric, metric: typical, role: primary }']), { code: 'ANSWER_OPTION', message: /median/ });
    await assert.rejects(read(['{ name: m, kind: metric, metric: nothing, role: primary }']), { code: 'METRIC_UNKNOWN' });
    await assert.rejects(read(['{ name: m, kind: metric, metric: money, by: nobody, role: primary }']), { code: 'ANSWER_COLUMN' });
    const { facts } = await read(['{ name: m, kind: metric, metric: money, by: event, role: primary }']);
    assert.equal(facts['caveat: no row of the metric is of a visitor: m'], '0');
    // The same rows from a table whose clock names no zone: it is the workspace's. A day alone would not say what came after the exposure.
    await warehouse.make(
      `CREATE OR REPLACE TABLE main.zoneless AS SELECT * REPLACE (time AT TIME ZONE 'UTC' AS time), CAST(time AT TIME ZONE 'UTC' AS DATE) AS day FROM main.events`,
    );
    warehouse.definitions.metrics.set('money', metric('sum(value)').replace('main.events', 'main.zoneless'));
    const zoneless = await read(own.slice(0, 1));
    assert.deepEqual(rounded(zoneless.rows), rounded((await read(builtIn.slice(0, 1))).rows));
    assert.equal(zoneless.facts['caveat: time of main.zoneless has no time zone'], 'read as of UTC');
    warehouse.definitions.metrics.set(
      'money',
      metric('sum(value)').replace('main.events', 'main.zoneless').replace('time: time', 'time: day'),
    );
    await assert.rejects(read(own.slice(0, 1)), { code: 'ANSWER_TYPE' });
  });

  test('with money=orders it reads what the shop was paid: as over events that had said so', async () => {
    const metrics = `to: 2026-01-31\nwinsorise: 0.9\nmetrics:\n  - { name: buyers, event: purchase, role: primary }\n  - { name: revenue, kind: revenue }\n  - { name: net, kind: net_revenue, role: guardrail }\n  - { name: mean, kind: ratio, numerator: revenue, denominator: orders }\n`;
    const read = (answer: string, more: Record<string, string>) =>
      warehouse.run(answer, { experiment: 'own', orders: 'main.sold', ...more, ...(answer === 'experiment_bayes' && { draws: 1000 }) });
    await fc.assert(
      fc.asyncProperty(group, async (visitors) => {
        // A report may come twice, and say less the second time.
        await put(visitors, ["('purchase', 'u0', 21, NULL, 'a0', 0.5)"]);
        // Every third order is not paid, a test, or not there at all; the others were paid otherwise than reported.
        await warehouse.make(`CREATE OR REPLACE TABLE main.sold AS SELECT order_id, min(time) AS ordered_at, CAST(any_value(hash(order_id) % 90) AS DECIMAL(18,2)) AS amount,
          CASE any_value(hash(order_id) % 12) WHEN 0 THEN 'wc-pending' ELSE 'paid' END AS status, any_value(hash(order_id) % 12) = 1 AS is_test, CAST(1.5 AS DECIMAL(18,2)) AS refund_amount
          FROM main.events WHERE order_id IS NOT NULL AND hash(order_id) % 12 <> 2 GROUP BY order_id`);
        await warehouse.make(`CREATE OR REPLACE TABLE main.told AS SELECT e.* REPLACE (coalesce(CASE WHEN event = 'purchase' THEN amount END, value) AS value)
          FROM main.events AS e LEFT JOIN main.sold AS o USING (order_id) WHERE e.order_id IS NULL OR (o.status = 'paid' AND NOT o.is_test)
          QUALIFY e.order_id IS NULL OR row_number() OVER (PARTITION BY e.order_id ORDER BY e.time) = 1`);
        define(metrics);
        for (const answer of ['experiment', 'experiment_bayes']) {
          const paid = await read(answer, { events: 'main.events', money: 'orders' });
          assert.deepEqual(rounded(paid.rows), rounded((await read(answer, { events: 'main.told' })).rows));
        }
      }),
      { numRuns: 4 },
    );
    await put([
      { variant: 'A', before: 0, after: 500 },
      { variant: 'B', before: 0, after: 700 },
      { variant: 'B', before: 0, after: 900 },
    ]);
    await warehouse.make(
      `CREATE OR REPLACE TABLE main.sold AS SELECT * FROM (VALUES ('a0', TIMESTAMPTZ '2026-01-01 00:20:00Z', 4.00, 'paid'), ('a1', TIMESTAMPTZ '2026-01-01 00:20:00Z', 7.00, 'on hold')) AS o(order_id, ordered_at, amount, status)`,
    );
    const { rows, facts } = await read('experiment', { events: 'main.events', money: 'orders' });
    const revenue = rows.filter((row) => row['metric'] === 'revenue').map((row) => [row['variant'], row['mean']]);
    assert.deepEqual(revenue, [
      ['A', 4],
      ['B', 0],
    ]);
    assert.equal(facts['set aside: purchases that are no order of the shop'], '1');
    assert.equal(facts['set aside: purchases of orders that are not paid, or tests'], '1');
    assert.equal(facts['matched paid orders'], '100.0 % (1 of 1)');
    await assert.rejects(read('experiment', { events: 'main.events', orders: 'main.nowhere', money: 'orders' }), { code: 'ANSWER_TABLE' });
  });

  test('p-values of several metrics are adjusted by Holm', async () => {
    const visitors = Array.from(
      { length: 60 },
      (_, at): Visitor => ({ variant: at % 2 === 0 ? 'A' : 'B', before: 0, after: at % 2 === 0 ? (at % 3) * 100 : 100 + (at % 5) * 50 }),
    );
    await put(visitors);
    define('to: 2026-01-31\ncovariate_days: 0\nmetrics:\n  - { name: buyers, role: primary }\n  - { name: revenue, kind: revenue }\n  - { name: homes, kind: count, event: home, role: guardrail }\n');
    const { rows } = await run();
    const b = rows.filter((row) => row['variant'] === 'B' && row['p'] !== null).sort((x, y) => x['p'] - y['p']);
    assert.equal(b.length, 2);
    assert.equal(b[0]!['p_adjusted'], Math.min(1, 2 * b[0]!['p']));
    assert.equal(b[1]!['p_adjusted'], Math.min(1, Math.max(2 * b[0]!['p'], b[1]!['p'])));
  });

  test('a variant that nobody saw is said', async () => {
    await put([
      { variant: 'A', before: 0, after: 1 },
      { variant: 'A', before: 0, after: 2 },
    ]);
    define('metrics:\n  - { name: buyers, role: primary }\n');
    assert.equal((await run()).facts['caveat: nobody saw the variant B'], '0');
  });
});

test('A/A replay: false positives come at their rate, and the smallest effect is that of the formula', async (t) => {
  const warehouse = await openWarehouse();
  t.after(() => warehouse.close());
  const cents = Array.from({ length: 600 }, (_, at) => (at % 5 === 0 ? 1000 + ((at * 7919) % 4000) : 0));
  const rows = cents.flatMap((value, at) => [
    `('home', 'u${at}', NULL, NULL)`,
    ...(value > 0 ? [`('purchase', 'u${at}', 'o${at}', ${value} * 0.01)`] : []),
  ]);
  await warehouse.make(
    `CREATE TABLE main.events AS SELECT event, u AS user_pseudo_id, TIMESTAMPTZ '2026-01-01 00:00:00Z' AS time, order_id, CAST(value AS DECIMAL(18,2)) AS value FROM (VALUES ${rows.join(', ')}) AS e(event, u, order_id, value)`,
  );
  const { rows: got } = await warehouse.run('aa_replay', { events: 'main.events' });
  for (const [row, values] of [
    [got[0]!, cents.map((value) => Number(value > 0))],
    [got[1]!, cents.map((value) => value / 100)],
  ] as const) {
    const mean = values.reduce((a, b) => a + b, 0) / values.length;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
    // 2.8016 = z(97.5 %) + z(80 %); two halves of n/2.
    const effect = 2.801585218112968 * Math.sqrt((4 * variance) / values.length);
    assert.ok(Math.abs(row['minimum_effect'] - effect) < 1e-6 * effect);
    assert.ok(Math.abs(row['minimum_lift'] - effect / mean) < 1e-6);
    assert.equal(row['splits'], 1000);
    // Four standard errors of a share of 5 % over 1,000 splits: the splits are the same in each run.
    assert.ok(
      Math.abs(row['false_positive_rate'] - 0.05) < 4 * Math.sqrt((0.05 * 0.95) / 1000),
      `${row['metric']}: ${row['false_positive_rate']}`,
    );
  }
});

test('a definition that can’t be is refused with its line', () => {
  const refuses = (text: string, message: string) => assert.throws(() => parseExperiment('e', text, 'experiments/e.yaml'), { message });
  refuses('exposure: x\nvariants: { A: 1 }\n', 'experiments/e.yaml:2: "variants" must name two to ten variants, each with its share.');
  refuses('exposure: x\nvariants: { A: 0.5, B: 0.6 }\n', 'experiments/e.yaml:2: "variants" must have shares above 0 that sum to 1.');
  refuses(
    'exposure: x\nvariants: { A: 0.5, B: 0.5 }\nmetrics:\n  - { name: m }\n',
    'experiments/e.yaml:4: "metrics" must have exactly one with role: primary.',
  );
  refuses(checkout.replace('planned: 300', 'planned: 3'), 'experiments/e.yaml:8: "planned" must be a number from 10 to 1000000000.');
});

/** Φ by its Taylor series around 0, and by the continued fraction of the tail beyond 3. */
function phi(z: number): number {
  const density = Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);
  if (z > 3) {
    let fraction = z;
    for (let k = 60; k > 0; k--) fraction = z + k / fraction;
    return 1 - density / fraction;
  }
  let [sum, term] = [z, z];
  for (let k = 1; k < 100; k++) {
    term *= (z * z) / (2 * k + 1);
    sum += term;
  }
  return 0.5 + density * sum;
}
