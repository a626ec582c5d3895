import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { parseTopic } from '#workspace';
import { openViews, type Views } from './views-fixture.ts';

const topic = parseTopic('sales', 'time: { field: ts, unit: iso }\nid: id\nfields:\n  amount: { type: double }\n', 'topics/sales.yaml');

describe('the auditor', () => {
  let views: Views;
  before(async () => {
    views = await openViews({ random: () => 0.5 });
    const sales = Array.from({ length: 400 }, (_, k) => {
      const time = Date.UTC(2026, 0, 1) + (k % 4) * 60_000;
      return { id: `s${k}`, micros: time * 1000, json: { id: `s${k}`, ts: new Date(time).toISOString(), amount: 0.1 * k } };
    });
    await views.send(topic, sales.slice(0, 200));
    await views.sql(`CREATE MATERIALIZED VIEW mart.minutes PARTITION BY date_trunc('minute', _time) AS
      SELECT date_trunc('minute', _time) AS minute, count(*) AS n, sum(amount) AS amount FROM raw.sales GROUP BY 1`);
    await views.sql(`CREATE MATERIALIZED VIEW mart.total AS SELECT count(*) AS n FROM raw.sales`);
    await views.send(topic, sales.slice(200));
    await views.settle();
  });
  after(() => views.close());

  const state = (name: string) => views.keeper.states().find((view) => view.name === name);
  const tamper = (statement: string) => views.store.write((tx) => tx.run(statement));
  /** Two rows are drawn of four, from each side: not every draw meets the partition that was tampered with. */
  async function found(name: string): Promise<number> {
    for (let k = 0; k < 20; k++) {
      const audited = await views.keeper.audit(name);
      if (audited!.differences > 0) return audited!.differences;
    }
    return 0;
  }

  test('finds a right view right, whole or by partition', async () => {
    for (const name of ['mart.minutes', 'mart.total']) assert.equal(await found(name), 0, name);
    assert.equal((await views.store.rows('SELECT * FROM millrace.audit')).length, 0);
  });

  const tampered: readonly [string, string, string, number][] = [
    ['a row that was changed', 'mart.minutes', 'UPDATE mart.minutes SET amount = amount + 0.01', 4],
    ['a row that is too much', 'mart.minutes', `INSERT INTO mart.minutes SELECT * FROM mart.minutes`, 1],
    ['rows that are missing', 'mart.minutes', `DELETE FROM mart.minutes`, 1],
    ['a total that is wrong', 'mart.total', 'UPDATE mart.total SET n = n - 1', 2],
  ];
  for (const [what, name, statement, least] of tampered)
    test(`finds ${what} behind its back, keeps both results, and a refresh makes it right`, async () => {
      await tamper(statement);
      const differences = await found(name);
      assert.ok(differences >= least, `${differences}`);
      const [row] = await views.store.rows(
        `SELECT kept, computed, differences FROM millrace.audit WHERE view = '${name}' ORDER BY found DESC LIMIT 1`,
      );
      assert.equal(Number(row!['differences']), differences);
      assert.equal(JSON.parse(String(row!['kept'])).length + JSON.parse(String(row!['computed'])).length, differences);
      assert.ok(state(name)!.audit!.found >= differences);
      assert.equal((views.problems.at(-1) as { code: string }).code, 'VIEW_DIFFERS');
      await views.sql(`REFRESH MATERIALIZED VIEW ${name}`);
      await views.settle();
      assert.equal(await found(name), 0);
      assert.equal(state(name)!.audit!.found, 0);
      const open = await views.store.rows(`SELECT * FROM millrace.audit WHERE view = '${name}' AND mended IS NULL`);
      assert.equal(open.length, 0);
    });

  test('says nothing about a view that is not right up to now', async () => {
    await views.sql('PAUSE MATERIALIZED VIEW mart.total');
    assert.equal(await views.keeper.audit('mart.total'), null);
    await assert.rejects(views.keeper.audit('mart.nothing'), { code: 'VIEW_UNKNOWN' });
  });
});

describe('the auditor by itself', () => {
  const table = (views: Views, name: string, rows: number) =>
    views.transfer(`main.${name}`, (batch) => [
      `CREATE TABLE main.${name} AS SELECT k % 5 AS shelf, k AS n, ${batch}::BIGINT AS _batch FROM range(${rows}) AS r(k)`,
    ]);
  const per = (name: string, source: string, options = '') =>
    `CREATE MATERIALIZED VIEW mart.${name} PARTITION BY shelf ${options} AS SELECT shelf, sum(n) AS n FROM main.${source} GROUP BY shelf`;
  async function holds(what: () => boolean | Promise<boolean>): Promise<boolean> {
    for (const until = performance.now() + 5000; performance.now() < until; await new Promise((done) => setTimeout(done, 10)))
      if (await what()) return true;
    return false;
  }

  test('comes round to each view, also beside one without rows, and beside one that waits for its time', async (t) => {
    const views = await openViews({ auditEvery: 10 });
    t.after(() => views.close());
    for (const [name, rows] of [
      ['none', 0],
      ['stock', 100],
      ['rare', 100],
    ] as const)
      await table(views, name, rows);
    for (const name of ['none', 'stock']) await views.sql(per(name, name));
    await views.sql(per('rare', 'rare', `OPTIONS (refresh = '7 days')`));
    await views.transfer('main.rare', (batch) => [`INSERT INTO main.rare VALUES (1, 1, ${batch})`]);
    const state = (name: string) => views.keeper.states().find((view) => view.name === `mart.${name}`)!;
    assert.ok(await holds(() => state('stock').audit !== null));
    const first = state('stock').audit!.at;
    assert.ok(await holds(() => state('stock').audit!.at > first));
    assert.equal(state('rare').state, 'behind');
  });

  test('takes out replaced rows that all views have seen, also where one is always behind', async (t) => {
    const views = await openViews({ auditEvery: 10 });
    t.after(() => views.close());
    await table(views, 'stock', 100);
    await table(views, 'rare', 100);
    await views.sql(per('stock', 'stock'));
    await views.sql(per('rare', 'rare', `OPTIONS (refresh = '7 days')`));
    await views.transfer('main.rare', (batch) => [`INSERT INTO main.rare VALUES (1, 1, ${batch})`]);
    await views.transfer('main.stock', (batch) => [
      'CREATE TABLE change."main.stock" AS FROM main.stock LIMIT 0',
      `INSERT INTO change."main.stock" SELECT * EXCLUDE (_batch), ${batch} FROM main.stock WHERE n < 10`,
      'DELETE FROM main.stock WHERE n < 10',
    ]);
    assert.ok(await holds(async () => (await views.store.rows('FROM change."main.stock"')).length === 0));
    const batch = 'SELECT shelf, sum(n) AS n FROM main.stock GROUP BY shelf';
    assert.deepEqual(await views.rows('FROM mart.stock'), await views.rows(batch));
  });

  test('takes no longer than the view may', async (t) => {
    const views = await openViews();
    t.after(() => views.close());
    await table(views, 'stock', 10);
    await views.sql(`CREATE MATERIALIZED VIEW mart.pairs OPTIONS (time_limit = '300 milliseconds') AS
      SELECT count(*) AS n FROM main.stock a, main.stock b WHERE hash(a.n + b.n) % 7 = 1`);
    // Behind the view's back, so that it counts as right.
    await views.store.write((tx) => tx.run('INSERT INTO main.stock SELECT 1, k, 1 FROM range(60000) AS r(k)'));
    const began = performance.now();
    await assert.rejects(views.keeper.audit('mart.pairs'), { code: 'VIEW_TIME' });
    assert.ok(performance.now() - began < 3000);
    assert.equal(views.keeper.states()[0]!.state, 'fresh');
  });

  test('says nothing of what is frozen and would be another with what it looks up by now', async (t) => {
    const views = await openViews();
    t.after(() => views.close());
    const sale = (minute: number) => {
      const time = Date.UTC(2026, 0, 1) + minute * 60_000;
      return { id: `s${minute}`, micros: time * 1000, json: { id: `s${minute}`, ts: new Date(time).toISOString(), amount: minute % 5 } };
    };
    await table(views, 'shelves', 5);
    await views.send(
      topic,
      Array.from({ length: 60 }, (_, k) => sale(k)),
    );
    await views.sql(`CREATE MATERIALIZED VIEW mart.shelved PARTITION BY date_trunc('minute', _time) OPTIONS (lateness = '1 minute') AS
      SELECT date_trunc('minute', s._time) AS minute, s.amount, d.n FROM raw.sales s LEFT JOIN main.shelves d ON s.amount = d.shelf::DOUBLE`);
    await views.send(topic, [sale(61)]);
    await views.settle();
    await views.transfer('main.shelves', (batch) => [
      'CREATE TABLE change."main.shelves" AS FROM main.shelves LIMIT 0',
      `INSERT INTO change."main.shelves" SELECT * EXCLUDE (_batch), ${batch} FROM main.shelves`,
      `UPDATE main.shelves SET n = n + 100, _batch = ${batch}`,
    ]);
    await views.settle();
    for (let k = 0; k < 10; k++) assert.equal((await views.keeper.audit('mart.shelved'))?.differences ?? 0, 0);
    const [kept] = await views.store.rows('SELECT count(*) FILTER (WHERE n < 100) AS frozen, count(*) AS n FROM mart.shelved');
    assert.deepEqual([Number(kept!['frozen']) > 50, Number(kept!['n'])], [true, 61]);
    assert.deepEqual(views.problems, []);
  });
});
