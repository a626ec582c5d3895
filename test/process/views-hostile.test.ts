import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { MillraceError } from '#core';
import { openViews, type Views } from './views-fixture.ts';

const SALES = `SELECT shop, sum(amount) AS amount, sum(items) AS items FROM main.sale GROUP BY shop`;
const fresh = `OPTIONS (refresh = '100 milliseconds')`;

/** Definitions that are fine for the rows of the start, and what makes each fail. */
const failing: readonly { readonly name: string; readonly sql: string; readonly code: string }[] = [
  {
    name: 'divides',
    sql: `PARTITION BY shop ${fresh} AS SELECT shop, CAST(sum(amount) / sum(items) AS DECIMAL(18,4)) AS price FROM main.sale GROUP BY shop`,
    code: 'VIEW_VALUE',
  },
  {
    name: 'explodes',
    sql: `PARTITION BY shop OPTIONS (refresh = '100 milliseconds', time_limit = '2 seconds') AS
      SELECT shop, count(*) AS pairs FROM (SELECT s.shop, hash(s.items, a.i, b.i) % 7 AS h FROM main.sale AS s, range(CASE WHEN s.items = 0 THEN 2000000 ELSE 1 END) AS a(i), range(CASE WHEN s.items = 0 THEN 2000000 ELSE 1 END) AS b(i)) WHERE h >= 0 GROUP BY shop`,
    code: 'VIEW_TIME',
  },
  {
    name: 'swells',
    sql: `PARTITION BY shop ${fresh} AS
      SELECT shop, len(list(n.i)) AS all_of_them FROM main.sale AS s, range(CASE WHEN s.items = 0 THEN 60000000 ELSE 1 END) AS n(i) GROUP BY shop`,
    code: 'VIEW_MEMORY',
  },
  {
    name: 'converts',
    sql: `PARTITION BY shop ${fresh} AS SELECT shop, max(CAST(note AS INTEGER)) AS note FROM main.sale GROUP BY shop`,
    code: 'VIEW_VALUE',
  },
];

describe('a view that fails on what comes', () => {
  let views: Views;
  const state = (name: string) => views.keeper.states().find((view) => view.name === `mart.${name}`)!;
  const kept = (name: string) => views.rows(`SELECT * EXCLUDE (_batch) FROM mart.${name}`);

  before(async () => {
    views = await openViews({}, { memory: 200e6 });
    await views.store.write(async (tx) => {
      await tx.run('CREATE TABLE main.sale (shop VARCHAR, amount DECIMAL(18,2), items INTEGER, note VARCHAR, _batch BIGINT)');
      await tx.run(`INSERT INTO main.sale SELECT 's' || i % 3, i, 1 + i % 2, '7', ${tx.batch} FROM range(30) AS r(i)`);
      tx.changed({ kind: 'transfer', target: 'main.sale', rows: 30 });
    });
    await views.sql(`CREATE MATERIALIZED VIEW mart.sales PARTITION BY shop ${fresh} AS ${SALES}`);
    for (const { name, sql } of failing) await views.sql(`CREATE MATERIALIZED VIEW mart.${name} ${sql}`);
    await views.settle();
  });
  after(() => views.close());

  test('is paused with its code, stays readable with its age, and the others go on', async () => {
    const good = new Map(await Promise.all(failing.map(async ({ name }) => [name, await kept(name)] as const)));
    const before = new Map(failing.map(({ name }) => [name, state(name).refreshed]));
    await views.transfer('main.sale', (batch) => [`INSERT INTO main.sale VALUES ('bad', 5, 0, 'seven', ${batch})`]);
    await views.settle();
    for (const { name, code } of failing) {
      assert.deepEqual([name, state(name).state, state(name).error?.code], [name, 'paused', code], state(name).error?.message);
      assert.match(state(name).error!.message, new RegExp(`mart\\.${name}`));
      assert.deepEqual(await kept(name), good.get(name));
      assert.equal(state(name).refreshed, before.get(name), 'its age is that of its rows');
    }
    assert.equal(state('sales').state, 'fresh');
    assert.deepEqual(await kept('sales'), await views.rows(SALES));
  });

  test('stays paused with its reason through a new start, and tries nothing', async () => {
    views.problems.length = 0;
    await views.reopen();
    assert.deepEqual(await views.keeper.define(), []);
    await views.settle();
    for (const { name, code } of failing) assert.deepEqual([state(name).state, state(name).error?.code], ['paused', code], name);
    assert.equal(state('sales').state, 'fresh');
    assert.deepEqual(views.problems, []);
  });

  test('catches up when it is resumed after the fix', async () => {
    await views.transfer('main.sale', (batch) => [
      `CREATE TABLE IF NOT EXISTS change."main.sale" AS FROM main.sale LIMIT 0`,
      `INSERT INTO change."main.sale" SELECT * REPLACE (${batch} AS _batch) FROM main.sale WHERE shop = 'bad'`,
      `UPDATE main.sale SET items = 1, note = '8', _batch = ${batch} WHERE shop = 'bad'`,
    ]);
    for (const { name } of failing) await views.sql(`RESUME MATERIALIZED VIEW mart.${name}`);
    await views.settle();
    for (const { name } of failing) {
      assert.deepEqual([name, state(name).state, state(name).error], [name, 'fresh', null]);
      assert.equal((await kept(name)).length, 4);
    }
  });

  test('is tried no more after it took the process down three times in a row, until somebody resumes it', async () => {
    const mark = (deaths: number) =>
      writeFileSync(join(views.store.folders.slices, '..', 'refreshing.json'), JSON.stringify({ full: 'mart.sales', deaths }));
    const more = () => views.transfer('main.sale', (batch) => [`INSERT INTO main.sale VALUES ('s1', 1, 1, '1', ${batch})`]);
    mark(2);
    await views.reopen();
    await views.keeper.define();
    await more();
    await views.settle();
    assert.equal(state('sales').state, 'fresh', 'two deaths may have had other reasons');
    mark(3);
    await views.reopen();
    await views.keeper.define();
    await more();
    await views.settle();
    assert.deepEqual([state('sales').state, state('sales').error?.code], ['paused', 'VIEW_DEATHS']);
    assert.equal(state('divides').state, 'fresh');
    await views.sql('RESUME MATERIALIZED VIEW mart.sales');
    await views.settle();
    assert.deepEqual(await kept('sales'), await views.rows(SALES));
  });

  test('that is paused by hand is still paused after a new start; another definition of it begins unpaused', async () => {
    await views.sql('PAUSE MATERIALIZED VIEW mart.sales');
    await views.reopen();
    await views.keeper.define();
    assert.deepEqual([state('sales').state, state('sales').error], ['paused', null]);
    views.saved.set('mart.sales', `CREATE MATERIALIZED VIEW mart.sales PARTITION BY shop ${fresh} AS ${SALES} HAVING count(*) > 0`);
    await views.keeper.define();
    await views.settle();
    assert.equal(state('sales').state, 'fresh');
  });

  test('for a while fails for want of the machine is not paused: it says why, and catches up by itself', async () => {
    const { write } = views.store;
    const full = Object.assign(views.store, {
      write: () =>
        Promise.reject(
          new MillraceError('STORE_WRITE', { detail: 'IO Error: Could not write file "warehouse.duckdb": No space left on device' }),
        ),
    });
    await write.call(full, async (tx) => {
      await tx.run(`INSERT INTO main.sale VALUES ('s2', 3, 1, '1', ${tx.batch})`);
      tx.changed({ kind: 'transfer', target: 'main.sale', rows: 1 });
    });
    while (state('sales').error === null) await new Promise((resolve) => setTimeout(resolve, 20));
    assert.deepEqual([state('sales').state, state('sales').error?.code], ['behind', 'STORE_WRITE']);
    Object.assign(full, { write });
    await views.settle();
    assert.deepEqual([state('sales').state, state('sales').error], ['fresh', null]);
    assert.deepEqual(await kept('sales'), await views.rows(`${SALES} HAVING count(*) > 0`));
  });

  test('does not hold up a stop: its refresh is ended, and the next start takes it up', async () => {
    await views.transfer('main.sale', (batch) => [
      `DELETE FROM main.sale WHERE shop = 'bad'`,
      `INSERT INTO main.sale VALUES ('s0', 1, 1, '1', ${batch})`,
    ]);
    const ends = `SELECT shop, count(*) AS n FROM main.sale AS s, range(CASE WHEN s.items = 0 THEN 2000000 ELSE 1 END) AS a(i), range(CASE WHEN s.items = 0 THEN 2000000 ELSE 1 END) AS b(i) WHERE hash(s.items, a.i, b.i) % 7 < 7 GROUP BY shop`;
    await views.sql(
      `CREATE MATERIALIZED VIEW mart.endless PARTITION BY shop OPTIONS (refresh = '100 milliseconds', time_limit = '1 day') AS ${ends}`,
    );
    await views.transfer('main.sale', (batch) => [`INSERT INTO main.sale VALUES ('bad', 5, 0, '1', ${batch})`]);
    while (!existsSync(join(views.store.folders.slices, '..', 'refreshing.json'))) await new Promise((resolve) => setTimeout(resolve, 20));
    views.problems.length = 0;
    await views.reopen();
    assert.deepEqual(views.problems, []);
    await views.transfer('main.sale', () => [`DELETE FROM main.sale WHERE shop = 'bad'`]);
    await views.keeper.define();
    await views.settle();
    assert.deepEqual([state('endless').state, state('endless').error], ['fresh', null]);
    assert.deepEqual(await kept('endless'), await views.rows(ends));
    await views.sql('DROP MATERIALIZED VIEW mart.endless');
  });

  test('runs within the memory that is left: when it is short, a refresh that takes long is ended', async () => {
    await views.transfer('main.sale', (batch) => [`INSERT INTO main.sale VALUES ('worse', 5, 0, '1', ${batch})`]);
    const relieved = new Promise<string>((resolve) => {
      const timer = setInterval(() => {
        const view = views.keeper.relieve();
        // Another view's refresh may run for long before it.
        if (view !== 'mart.slow') return;
        clearInterval(timer);
        resolve(view);
      }, 20);
    });
    await views
      .sql(`CREATE MATERIALIZED VIEW mart.slow OPTIONS (time_limit = '1 day') AS
      SELECT count(*) AS n FROM main.sale, range(1000000) AS a(i), range(1000000) AS b(i) WHERE hash(a.i, b.i) % 7 < 7`)
      .catch(() => {});
    assert.equal(await relieved, 'mart.slow');
    assert.equal(state('slow').error?.code, 'VIEW_MEMORY');
  });
});
