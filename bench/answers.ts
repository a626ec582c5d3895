/**
 * Each answer over events made in SQL: seconds and the process's peak of resident memory, warehouse included; and beside estimates the
 * truth that the events were made with.
 *   node --conditions=source bench/answers.ts [--events 50000000] [--memory 1000] [--quick] [--json]
 * 50 events a visitor in five visits, an order in about every tenth visit; whoever saw variant B orders 1.2 times as often. Customers
 * of the lifetime value are drawn from BG/NBD with the parameters of CDNOW, and what they buy in the 39 weeks after is known.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { parseArgs } from 'node:util';
import { openAnalyst, openAnswers } from '#analyze';
import type { Principal } from '#core';
import { openStore } from '#store';
import { type Figure, report } from './report.ts';

const { values } = parseArgs({
  options: {
    events: { type: 'string' },
    memory: { type: 'string', default: '1000' },
    quick: { type: 'boolean' },
    json: { type: 'boolean' },
  },
});
const events = Number(values.events ?? (values.quick ? 2_000_000 : 50_000_000));
const memory = Number(values.memory) * 1e6;

const eventsTable = `CREATE TABLE main.events AS
WITH base AS (
  SELECT i, i // 50 AS u, (i % 50) // 10 AS v, i % 10 AS j, hash(i) % 100 AS dice FROM range(${events}) AS r(i)
)
SELECT CASE j WHEN 0 THEN 'page_view' WHEN 1 THEN 'view_promotion' WHEN 2 THEN 'view_item_list'
    WHEN 3 THEN CASE WHEN dice < 50 THEN 'select_item' ELSE 'select_promotion' END WHEN 4 THEN 'view_item'
    WHEN 5 THEN CASE WHEN dice < 40 THEN 'add_to_cart' ELSE 'page_view' END
    WHEN 6 THEN CASE WHEN dice < 30 THEN 'begin_checkout' ELSE 'page_view' END
    WHEN 7 THEN CASE WHEN dice < 10 + 2 * (u % 2) THEN 'purchase' ELSE 'page_view' END ELSE 'page_view' END AS event,
  'u' || u AS user_pseudo_id, make_timestamptz(1772000000000000 + (hash(u, v) % 2592000)::BIGINT * 1000000 + j * 40000000) AS time, i AS _position,
  '/page/' || (hash(i, 7) % 40) AS page, CASE WHEN u % 3 = 0 THEN 'phone' ELSE 'desk' END AS device, 'source' || u % 5 AS source, 'web' AS medium,
  'Chrome' AS browser, CASE j WHEN 1 THEN 'slot' || i % 4 WHEN 3 THEN CASE WHEN dice >= 50 THEN 'slot' || i % 4 END END AS placement,
  CASE WHEN j = 1 OR (j = 3 AND dice >= 50) THEN 'banner' || i % 20 END AS content, CASE WHEN j IN (2, 3) THEN 'list' || i % 3 END AS list,
  CASE WHEN j = 3 THEN 'p' || i % 30 END AS item_id, true AS visible,
  CASE WHEN j = 2 THEN '[{"item_id":"p1","visible":true},{"item_id":"p2","visible":true}]' WHEN j = 7 AND dice < 10 + 2 * (u % 2) THEN '[{"item_id":"p1","price":10.5,"quantity":2}]' END AS items,
  CASE WHEN j = 7 AND dice < 10 + 2 * (u % 2) THEN 'o' || i END AS order_id, CASE WHEN j IN (6, 7) THEN CAST(21 + i % 50 AS DECIMAL(18,2)) END AS value,
  CASE WHEN j = 6 AND dice < 30 THEN CASE WHEN u % 2 = 0 THEN 'A' ELSE 'B' END END AS variant
FROM base`;
const ordersTable = `CREATE TABLE main.orders AS
SELECT order_id, time AS ordered_at, value AS amount, user_pseudo_id AS customer_id, 'card' AS payment_type, 'paid' AS status, CAST(0 AS DECIMAL(18,2)) AS refund_amount
FROM main.events WHERE event = 'purchase' AND hash(order_id) % 50 > 0`;

const definitions = {
  metrics: 'table: main.orders\nexpression: sum(amount)\ntime: ordered_at\ndimensions: [payment_type, status]\n',
  journeys: 'steps:\n  - { name: item, event: view_item, next: [cart] }\n  - { name: cart, event: add_to_cart, next: [(end)] }\n',
  segments: 'where: net > 50 AND recency_days < 10\n',
  experiments:
    'exposure: begin_checkout\nvariants: { A: 0.5, B: 0.5 }\nmetrics:\n  - { name: orders, kind: count, event: purchase, role: primary, minimum_effect: 0.05 }\n  - { name: buyers }\n  - { name: revenue, kind: revenue }\n',
} as const;
const asked: readonly (readonly [answer: string, options: Readonly<Record<string, unknown>>])[] = [
  ['reconcile', {}],
  ['placements', { by: 'placement', bootstrap: 0 }],
  ['placements', {}],
  ['funnel', { steps: 'view_item,add_to_cart,begin_checkout,purchase' }],
  ['dropoff', { steps: 'view_item,add_to_cart,purchase' }],
  ['paths', {}],
  ['journey', { journey: 'own' }],
  ['retention', {}],
  ['cohorts', { orders: 'main.orders' }],
  ['rfm', { orders: 'main.orders' }],
  ['lifecycle', { orders: 'main.orders', grain: 'day' }],
  ['segment', { orders: 'main.orders', segment: 'own' }],
  ['segments', { orders: 'main.orders', segments: 'own' }],
  ['lifetime', { orders: 'main.buyers', days: 273, rows: 'total' }],
  ['experiment', { experiment: 'own' }],
  ['experiment_bayes', { experiment: 'own' }],
  ['sample_ratio', { experiment: 'own' }],
  ['experiment_plan', { experiment: 'own' }],
  ['metric', { metric: 'own', by: 'payment_type', grain: 'day' }],
  ['drivers', { metric: 'own', from: '2026-03-10', to: '2026-03-12', before_from: '2026-03-07', before_to: '2026-03-09' }],
];

const cell = (rows: readonly Row[], where: Row, column: string): number =>
  Number(rows.find((row) => Object.entries(where).every(([key, value]) => row[key] === value))?.[column]);
const total = (rows: readonly Row[], column: string) => rows.reduce((sum, row) => sum + Number(row[column]), 0);

const buyers = drawBuyers(values.quick ? 20_000 : 200_000);

/** What an answer says beside what was made to be true. */
const truths: Readonly<Record<string, readonly { readonly what: string; told(rows: readonly Row[]): number; readonly truth: number }[]>> = {
  reconcile: [
    {
      what: 'share of purchases that the orders table lacks',
      told: (rows) =>
        total(
          rows.filter((row) => row['outcome'] === 'only in events'),
          'orders',
        ) / total(rows, 'orders'),
      truth: 0.02,
    },
  ],
  placements_by_placement: [
    {
      what: 'share of last-click revenue that promotions earn',
      told: (rows) =>
        total(
          rows.filter((row) => row['kind'] === 'promotion'),
          'last_click',
        ) / total(rows, 'last_click'),
      truth: 0.5,
    },
  ],
  experiment: [{ what: 'lift of orders', told: (rows) => cell(rows, { metric: 'orders', variant: 'B' }, 'lift'), truth: 0.2 }],
  lifetime: [
    { what: 'orders that customers make in the next 39 weeks', told: (rows) => Number(rows[0]?.['expected_orders']), truth: buyers.later },
  ],
};

/** Customers of BG/NBD with CDNOW's parameters over 39 weeks, and how often they buy in the 39 weeks after. */
function drawBuyers(count: number): { readonly sql: string[]; readonly later: number } {
  let state = 20_261_123;
  const uniform = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
  // Marsaglia and Tsang 2000, boosted below shape 1.
  const gamma = (shape: number): number => {
    if (shape < 1) return gamma(shape + 1) * uniform() ** (1 / shape);
    const d = shape - 1 / 3;
    for (;;) {
      const x = Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
      const v = (1 + x / Math.sqrt(9 * d)) ** 3;
      if (v > 0 && Math.log(uniform()) < 0.5 * x * x + d - d * v + d * Math.log(v)) return d * v;
    }
  };
  const rows: string[] = [];
  let later = 0;
  for (let customer = 0; customer < count; customer++) {
    const rate = gamma(0.243) / 4.414;
    const [a, b] = [gamma(0.793), gamma(2.426)];
    const drop = a / (a + b);
    // The first purchase is everybody's; after each further one the customer may be gone.
    let week = uniform() * 12;
    rows.push(`(${customer}, ${Math.floor(week * 7)})`);
    for (week += -Math.log(uniform()) / rate; week < 78; week += -Math.log(uniform()) / rate) {
      if (week < 39) rows.push(`(${customer}, ${Math.floor(week * 7)})`);
      else later++;
      if (uniform() < drop) break;
    }
  }
  const sql = Array.from(
    { length: Math.ceil(rows.length / 5000) },
    (_, at) =>
      `INSERT INTO main.buyers SELECT 'b' || row_number() OVER () || '/${at}', 'c' || c, TIMESTAMPTZ '2025-01-01 12:00:00Z' + to_days(d), 20 + (c * 7 + d) % 30 FROM (VALUES ${rows.slice(at * 5000, at * 5000 + 5000).join(', ')}) AS v(c, d)`,
  );
  return { sql, later };
}

type Row = Readonly<Record<string, unknown>>;
const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-answers-'));
const who: Principal = { name: 'bench', role: 'admin', topics: null };
const limit = { seconds: 3600, rows: 1_000_000, concurrency: 1 };
let peak = 0;
const watch = setInterval(() => {
  peak = Math.max(peak, process.memoryUsage.rss());
}, 50);
const figures: Record<string, Figure> = {};
try {
  const store = await openStore({ dataPath: folder, memory: memory * 0.5, threads: 2 });
  await store.write(async (tx) => {
    await tx.run(eventsTable);
    await tx.run(ordersTable);
    await tx.run('CREATE TABLE main.buyers (order_id VARCHAR, customer_id VARCHAR, ordered_at TIMESTAMPTZ, amount DECIMAL(18,2))');
    for (const sql of buyers.sql) await tx.run(sql);
    tx.changed({ kind: 'statement', target: 'main.events', rows: events });
  });
  const analyst = openAnalyst({ store, limits: { admin: limit, editor: limit, viewer: limit, write: limit }, own: async () => null });
  const files = (kind: keyof typeof definitions) => ({ list: () => [{ name: 'own', file: `${kind}/own.yaml`, text: definitions[kind] }] });
  const answers = openAnswers({
    store,
    analyst,
    timeZone: 'Asia/Seoul',
    definitions: { metrics: files('metrics'), journeys: files('journeys'), experiments: files('experiments'), segments: files('segments') },
  });
  figures['events'] = { title: 'events', value: events };
  for (const [answer, options] of asked) {
    peak = process.memoryUsage.rss();
    const began = performance.now();
    const body = (await json((await answers.run({ who, answer, options })).body)) as { columns: { name: string }[]; rows: unknown[][] };
    const name = `${answer}${options['by'] === 'placement' ? '_by_placement' : ''}`;
    process.stderr.write(`${name} ${((performance.now() - began) / 1000).toFixed(1)} s, peak ${Math.round(peak / 1e6)} MB\n`);
    figures[`${name}_seconds`] = { title: `${name}: with its evidence`, value: (performance.now() - began) / 1000, unit: 's' };
    const rows = body.rows.map((row) => Object.fromEntries(body.columns.map((column, at) => [column.name, row[at]])));
    for (const { what, told, truth } of truths[name] ?? []) {
      const said = told(rows);
      figures[`${name}_error`] = {
        title: `${name}: ${what}, ${said.toPrecision(5)} where ${truth} is true: error`,
        value: (100 * (said - truth)) / truth,
        unit: '%',
      };
    }
    figures[`${name}_peak`] = { title: `${name}: peak resident memory`, value: peak / 1e6, unit: 'MB' };
  }
  await analyst.close();
  await store.close();
} finally {
  clearInterval(watch);
  rmSync(folder, { recursive: true, force: true });
}
report({
  bench: 'answers',
  figures,
  goals: Object.keys(figures)
    .filter((name) => name.endsWith('_peak'))
    .map((figure) => ({ figure, at: 'most', value: memory / 1e6 })),
});
