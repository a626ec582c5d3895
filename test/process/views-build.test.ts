import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import { readStatement } from '#sql';
import { parseTopic } from '#workspace';
import { openViews, type Views } from './views-fixture.ts';

const topic = parseTopic(
  'sales',
  'time: { field: ts, unit: iso }\nid: id\nfields:\n  shop: { type: text }\n  amount: { type: "decimal(18,2)" }\n',
  'topics/sales.yaml',
);
const START = Date.UTC(2026, 0, 1);
const MINUTES = 50;

const perMinute = (sum: string) => `SELECT date_trunc('minute', _time) AS minute, ${sum} AS sales FROM raw.sales GROUP BY 1`;
const byMinute = (name: string, sum: string) =>
  `CREATE OR REPLACE MATERIALIZED VIEW mart.${name} PARTITION BY date_trunc('minute', _time) OPTIONS (refresh = '100 milliseconds') AS ${perMinute(sum)}`;
const PER_SHOP = 'SELECT shop, count(*) AS n, max(amount) AS most FROM raw.sales GROUP BY shop';

describe('a view over more rows than a chunk takes', () => {
  let views: Views;
  let sent = 0;
  before(async () => {
    views = await openViews({ chunkRows: 1000 });
    await send(5000);
  });
  after(() => views.close());

  async function send(count: number): Promise<void> {
    const sales = Array.from({ length: count }, () => {
      const k = sent++;
      const time = START + (k % MINUTES) * 60_000;
      return {
        id: `s${k}`,
        micros: time * 1000,
        json: { id: `s${k}`, ts: new Date(time).toISOString(), shop: `shop ${k % 7}`, amount: '1.00' },
      };
    });
    await views.send(topic, sales);
  }
  const state = (name: string) => views.keeper.states().find((view) => view.name === name);
  const until = async (holds: () => boolean) => {
    while (!holds()) await new Promise((resolve) => setTimeout(resolve, 1));
  };

  test('is built in chunks, by time or by key, while records go on coming, and equals its query', async () => {
    const built = views.sql(byMinute('minutes', 'sum(amount)'));
    await until(() => (state('mart.minutes')?.building?.of ?? 1) > 1);
    assert.ok(state('mart.minutes')!.building!.of >= 5);
    await send(100);
    await built;
    await views.sql(`CREATE MATERIALIZED VIEW mart.shops PARTITION BY shop AS ${PER_SHOP}`);
    await send(100);
    await views.settle();
    assert.deepEqual(await views.rows('FROM mart.minutes'), await views.rows(perMinute('sum(amount)')));
    assert.deepEqual(await views.rows('FROM mart.shops'), await views.rows(PER_SHOP));
    assert.equal(state('mart.minutes')!.building, null);
    assert.deepEqual(await views.store.rows(`SELECT table_name FROM duckdb_tables() WHERE starts_with(table_name, '_next_')`), []);
    assert.deepEqual(views.problems, []);
  });

  test('changes its definition without a gap: the old rows are kept fresh and readable until the new ones take their place', async () => {
    const changed = views.sql(byMinute('minutes', 'count(*)'));
    await until(() => (state('mart.minutes')?.building?.done ?? 0) > 0);
    await send(200);
    let seen = 0;
    for (; state('mart.minutes')?.building !== null; seen++) {
      const [row] = await views.store.rows('SELECT count(*) AS n, sum(sales)::DOUBLE AS sales FROM mart.minutes');
      assert.equal(Number(row!['n']), MINUTES, 'never empty, never half');
    }
    assert.ok(seen > 0);
    await changed;
    await views.settle();
    assert.deepEqual(await views.rows('FROM mart.minutes'), await views.rows(perMinute('count(*)')));
    assert.match(views.saved.get('mart.minutes')!, /count\(\*\)/);
  });

  test('can be cancelled: what stood there stands, is kept by the old definition, and nothing else is left', async () => {
    const before = views.saved.get('mart.minutes');
    const changed = views.sql(byMinute('minutes', 'max(amount)'));
    await until(() => (state('mart.minutes')?.building?.done ?? 0) > 0);
    views.keeper.cancel('mart.minutes');
    await assert.rejects(changed, { code: 'VIEW_BUILD_CANCELLED' });
    assert.equal(views.saved.get('mart.minutes'), before);
    await send(50);
    await views.settle();
    assert.equal(state('mart.minutes')!.state, 'fresh');
    assert.deepEqual(await views.rows('FROM mart.minutes'), await views.rows(perMinute('count(*)')));
    assert.deepEqual(await views.store.rows(`SELECT table_name FROM duckdb_tables() WHERE starts_with(table_name, '_next_')`), []);
    assert.throws(() => views.keeper.cancel('mart.minutes'), { code: 'VIEW_UNKNOWN' });
  });

  test('that fails on the way says why, and the old rows stand', async () => {
    const good = await views.rows('FROM mart.minutes');
    const failing = byMinute('minutes', `sum(CASE WHEN _id = 's4999' THEN error('no such sale') ELSE 1 END)`);
    await assert.rejects(views.sql(failing), /no such sale/);
    assert.deepEqual(await views.rows('FROM mart.minutes'), good);
    views.problems.length = 0;
  });

  test('whose file was changed while Millrace was down is served by its old definition until the new one is built', async () => {
    views.saved.set('mart.minutes', byMinute('minutes', 'min(amount)'));
    await views.reopen();
    await views.keeper.define();
    assert.match(JSON.stringify(await views.rows('SELECT max(sales) AS most FROM mart.minutes')), /^\["\[\\"1\d\d\\"\]"\]$/);
    await views.settle();
    assert.deepEqual(await views.rows('FROM mart.minutes'), await views.rows(perMinute('min(amount)')));
  });

  test('is built anew when what it reads changed as a whole, and its readers follow', async () => {
    await views.sql(`CREATE MATERIALIZED VIEW mart.all_minutes AS SELECT count(*) AS n, sum(sales) AS sales FROM mart.minutes`);
    await views.store.write(async (tx) => {
      await tx.run(`DELETE FROM raw.sales WHERE _time < TIMESTAMPTZ '2026-01-01 00:10:00Z'`);
      tx.changed({ kind: 'statement', target: 'raw.sales', rows: 0 });
    });
    await views.settle();
    assert.deepEqual(await views.rows('FROM mart.minutes'), await views.rows(perMinute('min(amount)')));
    assert.equal(Number((await views.store.rows('SELECT n FROM mart.all_minutes'))[0]!['n']), MINUTES - 10);
  });
});

describe('the chunks of a build together', () => {
  const query = `SELECT date_trunc('minute', t) AS minute, count(*) AS n FROM main.visits GROUP BY 1`;
  async function withVisits(t: TestContext, times: string): Promise<Views> {
    const views = await openViews({ chunkRows: 100 });
    t.after(() => views.close());
    await views.transfer('main.visits', (batch) => [
      `CREATE TABLE main.visits AS SELECT t::TIMESTAMPTZ AS t, ${batch}::BIGINT AS _batch FROM (${times}) AS v(t)`,
    ]);
    return views;
  }
  const build = (views: Views) => views.sql(`CREATE MATERIALIZED VIEW mart.visits PARTITION BY date_trunc('minute', t) AS ${query}`);
  const minutes = `SELECT TIMESTAMPTZ '2026-01-01 00:00:00Z' + to_minutes(k % 50) FROM range(1000) AS r(k)`;

  test('hold every time that there is, and rows without one', async (t) => {
    const views = await withVisits(t, `${minutes} UNION ALL FROM (VALUES ('infinity'), ('-infinity'), (NULL))`);
    await build(views);
    assert.deepEqual(await views.rows('FROM mart.visits'), await views.rows(query));
  });

  test('hold a time that comes when they are drawn and nothing is built yet', async (t) => {
    const views = await withVisits(t, minutes);
    const { rows } = views.store;
    let drawn = 0;
    views.store.rows = async (sql, values) => {
      const found = await rows(sql, values);
      // First it is asked whether there are several, then they are drawn.
      if (!sql.includes('ORDER BY chunk') || ++drawn !== 2) return found;
      await views.transfer('main.visits', (batch) => [
        `INSERT INTO main.visits SELECT TIMESTAMPTZ '2025-12-31 23:00:00Z' + to_minutes(k * 10), ${batch} FROM range(20) AS r(k)`,
        `INSERT INTO main.visits SELECT TIMESTAMPTZ '2026-01-01 00:00:00Z' + to_minutes(k % 50) + INTERVAL 30 SECOND, ${batch} FROM range(100) AS r(k)`,
      ]);
      return found;
    };
    await build(views);
    await views.settle();
    assert.equal(drawn, 2);
    assert.deepEqual(await views.rows('FROM mart.visits'), await views.rows(query));
  });
});

describe('rows that were replaced', () => {
  test('are taken out of the change record once every view has seen them, and the views go on being right', async (t) => {
    const views = await openViews();
    t.after(() => views.close());
    await views.store.write(async (tx) => {
      await tx.run(
        `CREATE TABLE main.stock AS SELECT k AS id, k % 5 AS shelf, 1 AS n, ${tx.batch}::BIGINT AS _batch FROM range(50) AS r(k)`,
      );
      tx.changed({ kind: 'transfer', target: 'main.stock', rows: 50 });
    });
    await views.sql(`CREATE MATERIALIZED VIEW mart.shelves PARTITION BY shelf AS SELECT shelf, sum(n) AS n FROM main.stock GROUP BY shelf`);
    const move = (id: number, shelf: number) =>
      views.transfer('main.stock', (batch) => [
        'CREATE TABLE IF NOT EXISTS change."main.stock" AS FROM main.stock LIMIT 0',
        `INSERT INTO change."main.stock" SELECT * EXCLUDE (_batch), ${batch} FROM main.stock WHERE id = ${id}`,
        `UPDATE main.stock SET shelf = ${shelf}, _batch = ${batch} WHERE id = ${id}`,
      ]);
    const replaced = async () => Number((await views.store.rows('SELECT count(*) AS n FROM change."main.stock"'))[0]!['n']);
    await move(1, 4);
    await views.settle();
    await views.sql('PAUSE MATERIALIZED VIEW mart.shelves');
    await move(2, 4);
    await views.keeper.trim();
    assert.equal(await replaced(), 1, 'what a paused view has not seen is kept');
    await views.sql('RESUME MATERIALIZED VIEW mart.shelves');
    await views.settle();
    assert.equal(await views.keeper.trim(), 1);
    assert.equal(await replaced(), 0);
    const batch = 'SELECT shelf, sum(n) AS n FROM main.stock GROUP BY shelf';
    assert.deepEqual(await views.rows('FROM mart.shelves'), await views.rows(batch));
    await move(3, 0);
    await views.settle();
    assert.deepEqual(await views.rows('FROM mart.shelves'), await views.rows(batch));
    assert.equal(
      Number((await views.store.rows(`SELECT count(*) AS n FROM millrace.view WHERE name = 'mart.shelves'`))[0]!['n']) <= 2,
      true,
    );
  });
});

test('views on a table that was loaded, whose rows tell no batch: built in chunks, right after a stop, resumed, explained, and anew with each load', async (t) => {
  const views = await openViews({ chunkRows: 300 });
  t.after(() => views.close());
  const load = (statement: string) =>
    views.store.write(async (tx) => {
      const rows = await tx.run(statement);
      tx.changed({ kind: 'load', target: 'main.people', rows });
    });
  const people = (from: number, to: number) => `SELECT i AS id, 'shop ' || i % 4 AS shop, i * 3 AS paid FROM range(${from}, ${to}) t(i)`;
  await load(`CREATE TABLE main.people AS ${people(0, 1000)}`);
  const queries = {
    paid: 'SELECT shop, sum(paid) AS paid FROM main.people GROUP BY shop',
    known: 'SELECT shop, id FROM main.people WHERE paid > 300',
  };
  for (const [name, query] of Object.entries(queries))
    await views.sql(`CREATE MATERIALIZED VIEW mart.${name} PARTITION BY shop OPTIONS (refresh = '100 milliseconds') AS ${query}`);
  const right = async (what: string) => {
    await views.settle();
    for (const [name, query] of Object.entries(queries)) {
      const { state, error } = views.keeper.states().find((view) => view.name === `mart.${name}`)!;
      assert.deepEqual([state, error], ['fresh', null], `${name} ${what}`);
      assert.deepEqual(await views.rows(`SELECT * EXCLUDE (_batch) FROM mart.${name}`), await views.rows(query), `${name} ${what}`);
    }
  };
  await right('built');
  await views.reopen();
  await views.keeper.define();
  await right('after a stop');
  await views.sql('RESUME MATERIALIZED VIEW mart.paid');
  await right('resumed');
  await load(`INSERT INTO main.people ${people(1000, 1100)}`);
  await right('after another load');
  const asked = await readStatement('EXPLAIN MATERIALIZED VIEW mart.paid', async () => assert.fail('it is read without the engine'));
  assert.ok(asked.kind === 'explain_materialized_view');
  const explained = await views.keeper.explain(asked);
  assert.ok(explained.some(({ detail }) => /main\.people: any change recomputes the whole view, because its rows/.test(detail)));
  assert.deepEqual(views.problems, []);
});

test('views that join a table which was loaded share the new rows of the other, and ask it for none', async (t) => {
  const views = await openViews();
  t.after(() => views.close());
  await views.store.write(async (tx) => {
    const rows = await tx.run(`CREATE TABLE main.people AS SELECT i AS id, 'shop ' || i % 4 AS shop FROM range(100) t(i)`);
    tx.changed({ kind: 'load', target: 'main.people', rows });
  });
  await views.transfer('main.visits', (batch) => [
    `CREATE TABLE main.visits AS SELECT ${batch}::BIGINT AS _batch, i AS person FROM range(50) t(i)`,
  ]);
  const joined = 'FROM main.visits AS v JOIN main.people AS p ON p.id = v.person';
  const queries = { seen: `SELECT p.shop, count(*) AS n ${joined} GROUP BY p.shop`, who: `SELECT p.shop, v.person ${joined}` };
  for (const [name, query] of Object.entries(queries))
    await views.sql(`CREATE MATERIALIZED VIEW mart.${name} PARTITION BY shop OPTIONS (refresh = '100 milliseconds') AS ${query}`);
  for (const from of [50, 70]) {
    await views.settle();
    await views.transfer('main.visits', (batch) => [`INSERT INTO main.visits SELECT ${batch}, i FROM range(${from}, ${from + 20}) t(i)`]);
    await views.settle();
    for (const [name, query] of Object.entries(queries)) {
      const { state, error, last } = views.keeper.states().find((view) => view.name === `mart.${name}`)!;
      assert.deepEqual([state, error, last?.mode], ['fresh', null, 'partitions'], name);
      assert.deepEqual(await views.rows(`SELECT * EXCLUDE (_batch) FROM mart.${name}`), await views.rows(query), name);
    }
  }
  const [batches] = await views.store.rows(
    'SELECT count(DISTINCT b) AS n FROM (SELECT max(_batch) AS b FROM mart.seen UNION ALL SELECT max(_batch) FROM mart.who)',
  );
  assert.equal(Number(batches!['n']), 1, 'they are refreshed in one transaction');
  assert.deepEqual(views.problems, []);
});
