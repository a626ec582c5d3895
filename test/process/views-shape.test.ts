import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { openTarget, TRANSFER_TABLES, type TransferColumn } from '#store';
import { parseTopic } from '#workspace';
import { openViews, type Views } from './views-fixture.ts';

const topic = parseTopic('sales', 'time: { field: ts, unit: iso }\nid: id\ndrift: evolve\n', 'topics/sales.yaml');
const START = Date.UTC(2026, 0, 1);

let sent = 0;
async function send(views: Views, minute: number, more: Readonly<Record<string, unknown>>): Promise<void> {
  const id = `s${sent++}`;
  const time = START + minute * 60_000;
  await views.send(topic, [{ id, micros: time * 1000, json: { id, ts: new Date(time).toISOString(), ...more }, unknown: true }]);
}

const QUERIES = {
  minutes: ["date_trunc('minute', _time)", `SELECT date_trunc('minute', _time) AS minute, sum(amount) AS sales FROM raw.sales GROUP BY 1`],
  spelled: [
    "date_trunc('minute', _time)",
    `SELECT date_trunc('minute', _time) AS minute, max(amount::VARCHAR) AS s FROM raw.sales GROUP BY 1`,
  ],
  all_sales: ['_id', 'SELECT * FROM raw.sales'],
} as const;

async function withViews(t: TestContext, chunkRows = 2_000_000): Promise<Views> {
  const views = await openViews({ chunkRows });
  t.after(() => views.close());
  for (let k = 0; k < 6; k++) await send(views, k, { amount: k });
  for (const [name, [partition, query]] of Object.entries(QUERIES))
    await views.sql(`CREATE MATERIALIZED VIEW mart.${name} PARTITION BY ${partition} OPTIONS (refresh = '100 milliseconds') AS ${query}`);
  await views.sql('CREATE MATERIALIZED VIEW mart.above AS SELECT sum(sales) AS sales FROM mart.minutes');
  return views;
}

async function right(views: Views): Promise<void> {
  await views.settle();
  assert.deepEqual(views.problems, []);
  for (const [name, [, query]] of Object.entries(QUERIES)) {
    assert.deepEqual(await views.rows(`FROM mart.${name}`), await views.rows(query), name);
    const shape = (from: string) =>
      views.store.rows(`SELECT column_name, column_type FROM (DESCRIBE SELECT COLUMNS(name -> name <> '_batch') FROM (${from}))`);
    assert.deepEqual(await shape(`FROM mart.${name}`), await shape(query), name);
  }
  assert.deepEqual(await views.rows('FROM mart.above'), await views.rows('SELECT sum(amount) AS sales FROM raw.sales'));
}

describe('a field of the source', () => {
  for (const chunkRows of [2_000_000, 3]) {
    const how = chunkRows === 3 ? ', built in chunks' : '';
    test(`that becomes a wider type: views on it equal their query, in values and types${how}`, async (t) => {
      const views = await withViews(t, chunkRows);
      await right(views);
      await send(views, 1, { amount: 12.5 });
      await right(views);
      await send(views, 2, { amount: 0.25 });
      await right(views);
    });

    test(`that is new stands in views of all columns${how}`, async (t) => {
      const views = await withViews(t, chunkRows);
      await send(views, 1, { amount: 1, page: '/a' });
      await right(views);
      await send(views, 2, { amount: 2, page: '/b', shop: 'x' });
      await right(views);
    });
  }

  test('that becomes a wider type while a view is paused, or between two starts, is seen after it', async (t) => {
    const views = await withViews(t);
    await views.sql('PAUSE MATERIALIZED VIEW mart.minutes');
    await send(views, 1, { amount: 12.5, page: 7 });
    await views.sql('RESUME MATERIALIZED VIEW mart.minutes');
    await right(views);
    await views.keeper.stop();
    await send(views, 1, { page: '/a', shop: 'x' });
    await views.reopen();
    await views.keeper.define();
    await right(views);
  });

  test('that becomes a wider type leaves what a lateness has frozen as it was, in the new columns', async (t) => {
    const views = await openViews();
    t.after(() => views.close());
    const query = QUERIES.minutes[1];
    await send(views, 0, { amount: 1 });
    await views.sql(
      `CREATE MATERIALIZED VIEW mart.minutes PARTITION BY date_trunc('minute', _time) OPTIONS (refresh = '100 milliseconds', lateness = '1 minute') AS ${query}`,
    );
    await send(views, 10, { amount: 2 });
    await views.settle();
    await send(views, 10, { amount: 0.5 });
    await send(views, 0, { amount: 0.5 });
    await views.settle();
    assert.deepEqual(views.problems, []);
    assert.deepEqual(await views.rows('SELECT sales::VARCHAR AS sales, minute FROM mart.minutes ORDER BY minute'), [
      JSON.stringify(['1.0', '2026-01-01 00:00:00+00']),
      JSON.stringify(['2.5', '2026-01-01 00:10:00+00']),
    ]);
    assert.equal(Number((await views.store.rows('SELECT count(*) AS n FROM millrace.late'))[0]!['n']), 1);
  });
});

test('a column of a merged table that becomes another type, or is new, is seen by views', async (t) => {
  const views = await openViews();
  t.after(() => views.close());
  await views.store.write((tx) => tx.run(TRANSFER_TABLES));
  const put = async (run: string, columns: readonly TransferColumn[], values: string) => {
    const target = {
      transfer: 'shop',
      run,
      source: 'stock',
      target: 'main.stock',
      mode: 'merge',
      key: ['id'],
      cursor: null,
      columns,
    } as const;
    await views.store.write((tx) => openTarget(tx, { ...target, drift: 'evolve' }));
    await views.transfer('main.stock', (batch) => [
      `INSERT INTO main.stock BY NAME SELECT *, ${batch} AS _batch FROM (VALUES (${values})) AS v(${columns.map(({ name }) => name).join(', ')})`,
    ]);
  };
  const id = { name: 'id', type: 'BIGINT' };
  await put('r1', [id, { name: 'n', type: 'INTEGER' }], '1, 3');
  await views.sql(
    'CREATE MATERIALIZED VIEW mart.per PARTITION BY id AS SELECT id, sum(n) AS n, max(n::VARCHAR) AS s FROM main.stock GROUP BY id',
  );
  await views.sql('CREATE MATERIALIZED VIEW mart.stars PARTITION BY id AS SELECT * FROM main.stock');
  await put('r2', [id, { name: 'n', type: 'DECIMAL(10,2)' }], '2, 2.50');
  await views.settle();
  await put('r3', [id, { name: 'n', type: 'DECIMAL(10,2)' }, { name: 'shop', type: 'VARCHAR' }], `3, 1, 'x'`);
  await views.settle();
  assert.deepEqual(views.problems, []);
  assert.deepEqual(
    await views.rows('FROM mart.per'),
    await views.rows('SELECT id, sum(n) AS n, max(n::VARCHAR) AS s FROM main.stock GROUP BY id'),
  );
  assert.deepEqual(await views.rows('FROM mart.stars'), await views.rows('FROM main.stock'));
});

test('a view whose column is gone is paused for it, also when that shows only at a new start, and is still there after one', async (t) => {
  const views = await openViews();
  t.after(() => views.close());
  await views.transfer('main.stock', (batch) => [`CREATE TABLE main.stock AS SELECT 1 AS id, 2 AS n, ${batch}::BIGINT AS _batch`]);
  await views.sql('CREATE MATERIALIZED VIEW mart.per PARTITION BY id AS SELECT id, sum(n) AS n FROM main.stock GROUP BY id');
  await views.keeper.stop();
  await views.store.write((tx) => tx.run('ALTER TABLE main.stock DROP COLUMN n'));
  for (let k = 0; k < 2; k++) {
    await views.reopen();
    assert.deepEqual(await views.keeper.define(), []);
    await views.settle();
    const [state] = views.keeper.states();
    assert.deepEqual([state?.state, state?.error?.code], ['paused', 'VIEW_COLUMN']);
    assert.deepEqual(await views.rows('FROM mart.per'), ['["1","2"]']);
  }
});

test('a table that is replaced as a whole may change how a view on it is kept', async (t) => {
  const views = await openViews();
  t.after(() => views.close());
  const put = (table: string, columns: string) =>
    views.store.write(async (tx) => {
      await tx.run(`CREATE OR REPLACE TABLE main.${table} AS SELECT ${columns}, ${tx.batch}::BIGINT AS _batch FROM range(6) AS r(k)`);
      tx.changed({ kind: 'transfer', target: `main.${table}`, key: 'whole', rows: 6 });
    });
  const query = 'SELECT s.shop, sum(n * share) AS n FROM main.sold s JOIN main.shares d ON s.shop = d.shop GROUP BY s.shop';
  await put('sold', 'k % 3 AS shop, k AS n');
  await put('shares', 'k AS shop, k AS share');
  await views.sql(`CREATE MATERIALIZED VIEW mart.sold PARTITION BY s.shop AS ${query}`);
  assert.equal(views.keeper.states()[0]!.mode, 'partitions');
  await put('shares', `'0' || k AS shop, k AS share`);
  await views.settle();
  const [state] = views.keeper.states();
  assert.match(state!.reasons.join(), /main\.shares is joined by shop, which is VARCHAR there and BIGINT elsewhere/);
  for (let k = 0; k < 2; k++) {
    await views.transfer('main.shares', (batch) => [`INSERT INTO main.shares VALUES ('01', 100, ${batch})`]);
    await views.settle();
    assert.deepEqual(await views.rows('FROM mart.sold'), await views.rows(query));
  }
  assert.deepEqual(views.problems, []);
});
