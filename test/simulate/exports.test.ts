import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { MillraceError } from '#core';
import { type ExportKind, recogniseExport, stagingTable } from '#simulate';
import { openWarehouse, type Warehouse } from './warehouse.ts';

const data = process.env['MILLRACE_DATA'] ?? resolve(import.meta.dirname, '../../../shared/data');
const sessionsFile = join(data, 'ga-merch-sessions', 'ga_sample.parquet');
const eventsFile = join(data, 'ga4-merch-store', 'ga4_events_sampled.snappy.parquet');
const without = (file: string) => (existsSync(file) ? false : `${file} is absent`);

async function describeTable(warehouse: Warehouse, table: string) {
  return (await warehouse.ask(`DESCRIBE ${table}`)).map(([name, type]) => ({ name: String(name), type: String(type) }));
}

/** Everything that the main job does with an export that stands in the staging table. */
async function answers(warehouse: Warehouse, kind: ExportKind) {
  const names = (await describeTable(warehouse, `(${kind.records})`)).map(({ name }) => name);
  const rows = (await warehouse.ask(kind.records)).map((row) => Object.fromEntries(names.map((name, at) => [name, row[at]])));
  await warehouse.run(`DROP TABLE IF EXISTS raw."${kind.topic}"`);
  await warehouse.deliver(kind.topic, kind.topics[kind.topic]!, rows);
  for (const { sql } of kind.marts) await warehouse.run(sql);
  const summary = await warehouse.row(kind.questions[0]!.sql);
  return {
    summary: Object.fromEntries(Object.entries(summary).map(([name, value]) => [name, Number(value)])),
    differences: kind.explain(await warehouse.row(kind.differences)),
  };
}

describe('Google Analytics sessions', { skip: without(sessionsFile) }, () => {
  let warehouse: Warehouse;
  let kind: ExportKind;
  before(async () => {
    warehouse = await openWarehouse();
    await warehouse.run(`CREATE TABLE source AS SELECT row_number() OVER () AS n, * FROM '${sessionsFile}'`);
    await warehouse.run(`CREATE TABLE ${stagingTable} AS SELECT * EXCLUDE (n) FROM source`);
    kind = recogniseExport('ga_sample.parquet', await describeTable(warehouse, stagingTable));
  });
  after(() => warehouse.close());

  test('are recognised by their columns', () => assert.equal(kind.name, 'ga_sessions'));

  test('give 2,556 sessions, 13,233 hits, 43 orders and 8,736.14 of revenue', async () => {
    const { summary } = await answers(warehouse, kind);
    assert.deepEqual(summary, { sessions: 2556, hits: 13_233, users: 2293, orders: 43, revenue: 8736.14, conversion: 0.016823 });
  });

  test('show the two other figures of the source with their reasons', async () => {
    const { differences } = await answers(warehouse, kind);
    assert.deepEqual(
      differences.map(({ orders, revenue }) => [orders, Number(revenue)]),
      [
        [43, 8736.14],
        [45, 8902],
        [45, 8890],
      ],
    );
    assert.match(differences[1]!.figure, /92 hits/);
    assert.match(differences[1]!.why, /2 of the orders .* 165\.86 less/);
    assert.match(differences[2]!.why, /45, not 43\); .* 12\.00 below .* in 2 sessions/);
    const same = { orders: 3, source_orders: 3, revenue: '1.00', hit_revenue: '1.00', source_revenue: '1.00', order_hits: 3 };
    assert.match(kind.explain({ ...same, valued_hits: 3, repeated: 0, sessions_off: 0 })[2]!.why, /as an order \(as many\)/);
  });

  test('keep the promotions, list impressions and clicks of every hit', async () => {
    await answers(warehouse, kind);
    const length = (column: string) => `coalesce(sum(json_array_length(${column})), 0)`;
    const ours = await warehouse.ask(
      `SELECT ${['promotion_impressions', 'promotion_clicks', 'list_impressions', 'list_clicks'].map(length).join(', ')} FROM raw.ga_hits`,
    );
    const theirs = await warehouse.ask(`WITH hit AS (SELECT unnest(hits) AS h FROM source)
      SELECT
        (SELECT sum(len(h.promotion)) FROM hit WHERE h.promotionActionInfo.promoIsView),
        (SELECT sum(len(h.promotion)) FROM hit WHERE h.promotionActionInfo.promoIsClick),
        (SELECT count(*) FROM (SELECT unnest(h.product) AS p FROM hit) WHERE p.isImpression),
        (SELECT count(*) FROM (SELECT unnest(h.product) AS p FROM hit) WHERE p.isClick)`);
    assert.deepEqual(ours[0]!.map(Number), theirs[0]!.map(Number));
    assert.deepEqual(ours[0]!.map(Number), [14_562, 2, 42_796, 1676]);
  });

  test('give the right figures for any subset of the sessions', async () => {
    interface Session {
      n: number;
      visitor: string;
      visit: string;
      hits: { order: string | null; revenue: string | null }[];
    }
    const source = (await warehouse.ask(`SELECT n, fullVisitorId, visitId || '/' || visitStartTime,
      list_transform(hits, lambda h: {'order': h.transaction.transactionId, 'revenue': h.transaction.transactionRevenue}) FROM source`)) as unknown[];
    const sessions = (source as [string, string, string, Session['hits']][]).map(
      ([n, visitor, visit, hits]): Session => ({ n: Number(n), visitor, visit, hits }),
    );
    const ordering = sessions.filter(({ hits }) => hits.some(({ order }) => order !== null));

    const subset = fc
      .tuple(fc.subarray(ordering), fc.integer({ min: 1, max: 97 }), fc.integer({ min: 0, max: 96 }))
      .map(([buyers, every, from]) => {
        const others = sessions.filter(({ n }) => n % every === from % every).filter((session) => !ordering.includes(session));
        return [...buyers, ...others];
      });
    await fc.assert(
      fc.asyncProperty(
        subset.filter((chosen) => chosen.length > 0),
        async (chosen) => {
          await warehouse.run(
            `CREATE OR REPLACE TABLE ${stagingTable} AS SELECT * EXCLUDE (n) FROM source WHERE n IN (${chosen.map(({ n }) => n).join(', ')})`,
          );
          const { summary } = await answers(warehouse, kind);
          const highest = new Map<string, bigint>();
          for (const { order, revenue } of chosen.flatMap(({ hits }) => hits)) {
            if (order === null) continue;
            const value = BigInt(revenue ?? 0);
            highest.set(order, value > (highest.get(order) ?? -1n) ? value : highest.get(order)!);
          }
          const micros = [...highest.values()].reduce((sum, value) => sum + value, 0n);
          assert.deepEqual(summary, {
            sessions: chosen.length,
            hits: chosen.reduce((sum, { hits }) => sum + hits.length, 0),
            users: new Set(chosen.map(({ visitor }) => visitor)).size,
            orders: highest.size,
            revenue: Number(micros) / 1e6,
            conversion: Number((chosen.filter((session) => ordering.includes(session)).length / chosen.length).toFixed(6)),
          });
        },
      ),
      { numRuns: 8 },
    );
  });
});

describe('GA4 events', { skip: without(eventsFile) }, () => {
  let warehouse: Warehouse;
  let kind: ExportKind;
  before(async () => {
    warehouse = await openWarehouse();
    await warehouse.run(`CREATE TABLE ${stagingTable} AS FROM '${eventsFile}'`);
    kind = recogniseExport('any-name.parquet', await describeTable(warehouse, stagingTable));
  });
  after(() => warehouse.close());

  test('are recognised by their columns', () => assert.equal(kind.name, 'ga4_events'));

  test('give an order once, at its highest value, and purchases without a number one by one', async () => {
    const { summary, differences } = await answers(warehouse, kind);
    const purchases = (await warehouse.ask(
      `SELECT ecommerce.transaction_id, coalesce(ecommerce.purchase_revenue, 0) FROM ${stagingTable} WHERE event_name = 'purchase'`,
    )) as [string | null, number][];
    const highest = new Map<string, number>();
    for (const [index, [id, revenue]] of purchases.entries()) {
      const key = id === null || id === '(not set)' ? `purchase ${index}` : id;
      highest.set(key, Math.max(highest.get(key) ?? 0, Number(revenue)));
    }
    const revenue = [...highest.values()].reduce((sum, value) => sum + value, 0);
    assert.deepEqual([summary['orders'], summary['revenue'], summary['events'], summary['users']], [highest.size, revenue, 24_219, 19_210]);
    assert.deepEqual([summary['orders'], summary['revenue']], [618, 41_233]);
    assert.deepEqual([differences[1]!.orders, Number(differences[1]!.revenue)], [624, 41_529]);
  });
});

test('a file that is no known export is refused with the columns that it has', () => {
  const columns = [
    { name: 'pickup', type: 'TIMESTAMP' },
    { name: 'fare', type: 'DOUBLE' },
  ];
  assert.throws(
    () => recogniseExport('taxi.parquet', columns),
    (error) => error instanceof MillraceError && error.code === 'EXPORT_UNKNOWN' && /pickup, fare/.test(error.message),
  );
});
