/**
 * Each answer over events made in SQL: seconds and the process's peak of resident memory, warehouse included.
 *   node --conditions=source bench/answers.ts [--events 5000000] [--memory 1000] [--quick] [--json]
 * 50 events a visitor in five visits, an order in about every tenth visit. Peak memory is the whole process's since its start.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
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
const events = Number(values.events ?? (values.quick ? 200_000 : 5_000_000));
const memory = Number(values.memory) * 1e6;

const eventsTable = `CREATE TABLE main.events AS
WITH base AS (
  SELECT i, i // 50 AS u, (i % 50) // 10 AS v, i % 10 AS j, hash(i) % 100 AS dice FROM range(${events}) AS r(i)
)
SELECT CASE j WHEN 0 THEN 'page_view' WHEN 1 THEN 'view_promotion' WHEN 2 THEN 'view_item_list'
    WHEN 3 THEN CASE WHEN dice < 50 THEN 'select_item' ELSE 'select_promotion' END WHEN 4 THEN 'view_item'
    WHEN 5 THEN CASE WHEN dice < 40 THEN 'add_to_cart' ELSE 'page_view' END
    WHEN 6 THEN CASE WHEN dice < 30 THEN 'begin_checkout' ELSE 'page_view' END
    WHEN 7 THEN CASE WHEN dice < 10 THEN 'purchase' ELSE 'page_view' END ELSE 'page_view' END AS event,
  'u' || u AS user_pseudo_id, make_timestamptz(1772000000000000 + (hash(u, v) % 2592000)::BIGINT * 1000000 + j * 40000000) AS time, i AS _position,
  '/page/' || (hash(i, 7) % 40) AS page, CASE WHEN u % 3 = 0 THEN 'phone' ELSE 'desk' END AS device, 'source' || u % 5 AS source, 'web' AS medium,
  'Chrome' AS browser, CASE j WHEN 1 THEN 'slot' || i % 4 WHEN 3 THEN CASE WHEN dice >= 50 THEN 'slot' || i % 4 END END AS placement,
  CASE WHEN j = 1 OR (j = 3 AND dice >= 50) THEN 'banner' || i % 20 END AS content, CASE WHEN j IN (2, 3) THEN 'list' || i % 3 END AS list,
  CASE WHEN j = 3 THEN 'p' || i % 30 END AS item_id, true AS visible,
  CASE WHEN j = 2 THEN '[{"item_id":"p1","visible":true},{"item_id":"p2","visible":true}]' WHEN j = 7 AND dice < 10 THEN '[{"item_id":"p1","price":10.5,"quantity":2}]' END AS items,
  CASE WHEN j = 7 AND dice < 10 THEN 'o' || i END AS order_id, CASE WHEN j IN (6, 7) THEN CAST(21 + i % 50 AS DECIMAL(18,2)) END AS value,
  CASE WHEN j = 6 AND dice < 30 THEN CASE WHEN u % 2 = 0 THEN 'A' ELSE 'B' END END AS variant
FROM base`;
const ordersTable = `CREATE TABLE main.orders AS
SELECT order_id, time AS ordered_at, value AS amount, user_pseudo_id AS customer_id, 'card' AS payment_type, 'paid' AS status, CAST(0 AS DECIMAL(18,2)) AS refund_amount
FROM main.events WHERE event = 'purchase' AND hash(order_id) % 50 > 0`;

const definitions = {
  metrics: 'table: main.orders\nexpression: sum(amount)\ntime: ordered_at\ndimensions: [payment_type, status]\n',
  journeys: 'steps:\n  - { name: item, event: view_item, next: [cart] }\n  - { name: cart, event: add_to_cart, next: [(end)] }\n',
  experiments:
    'exposure: begin_checkout\nvariants: { A: 0.5, B: 0.5 }\nmetrics:\n  - { name: buyers, role: primary }\n  - { name: revenue, kind: revenue }\n',
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
  ['experiment', { experiment: 'own' }],
  ['metric', { metric: 'own', by: 'payment_type', grain: 'day' }],
  ['drivers', { metric: 'own', from: '2026-03-10', to: '2026-03-12', before_from: '2026-03-07', before_to: '2026-03-09' }],
];

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
    tx.changed({ kind: 'statement', target: 'main.events', rows: events });
  });
  const analyst = openAnalyst({ store, limits: { admin: limit, editor: limit, viewer: limit, write: limit }, own: async () => null });
  const files = (kind: keyof typeof definitions) => ({ list: () => [{ name: 'own', file: `${kind}/own.yaml`, text: definitions[kind] }] });
  const answers = openAnswers({
    store,
    analyst,
    timeZone: 'Asia/Seoul',
    definitions: { metrics: files('metrics'), journeys: files('journeys'), experiments: files('experiments') },
  });
  figures['events'] = { title: 'events', value: events };
  for (const [answer, options] of asked) {
    peak = process.memoryUsage.rss();
    const began = performance.now();
    await buffer((await answers.run({ who, answer, options })).body);
    const name = `${answer}${options['by'] === 'placement' ? '_by_placement' : ''}`;
    process.stderr.write(`${name} ${((performance.now() - began) / 1000).toFixed(1)} s, peak ${Math.round(peak / 1e6)} MB\n`);
    figures[`${name}_seconds`] = { title: `${name}: with its evidence`, value: (performance.now() - began) / 1000, unit: 's' };
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
