import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { openViews, type Views } from './views-fixture.ts';

const PER = `SELECT date_trunc('minute', t) AS minute, sum(n) AS n FROM main.visits GROUP BY 1`;
const view = (name: string, query = PER, how = 'CREATE') =>
  `${how} MATERIALIZED VIEW mart.${name} PARTITION BY date_trunc('minute', t) OPTIONS (refresh = '100 milliseconds') AS ${query}`;
const whole = (name: string, query: string) => `CREATE MATERIALIZED VIEW mart.${name} OPTIONS (refresh = '100 milliseconds') AS ${query}`;

async function withVisits(t: TestContext, chunkRows = 100): Promise<Views> {
  const views = await openViews({ chunkRows });
  t.after(() => views.close());
  await views.transfer('main.visits', (batch) => [
    `CREATE TABLE main.visits AS SELECT TIMESTAMPTZ '2026-01-01 00:00:00Z' + to_minutes(k % 50) AS t, k AS n, ${batch}::BIGINT AS _batch FROM range(1000) AS r(k)`,
  ]);
  return views;
}
const more = (views: Views, minute: number) =>
  views.transfer('main.visits', (batch) => [
    `INSERT INTO main.visits VALUES (TIMESTAMPTZ '2026-01-01 00:00:00Z' + to_minutes(${minute}), 1, ${batch})`,
  ]);
const names = (views: Views) =>
  views.keeper
    .states()
    .map(({ name }) => name)
    .sort();
const state = (views: Views, name: string) => views.keeper.states().find((each) => each.name === `mart.${name}`);
const until = async (holds: () => boolean) => {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 1));
};

describe('definitions that change at the same time', () => {
  test('a statement beside changes of files: what it makes stands, however long it is built', async (t) => {
    const views = await withVisits(t);
    for (let k = 0; k < 4; k++) {
      const made = views.sql(view(`made${k}`));
      views.saved.set(`mart.filed${k}`, whole(`filed${k}`, 'SELECT count(*) AS n FROM main.visits'));
      await Promise.all([views.keeper.define(), views.keeper.define(), made]);
    }
    await views.settle();
    assert.deepEqual(names(views), [...views.saved.keys()].sort());
    assert.equal(views.saved.size, 8);
    for (let k = 0; k < 4; k++) assert.deepEqual(await views.rows(`FROM mart.made${k}`), await views.rows(PER));
    assert.deepEqual(views.problems, []);
  });

  test('a statement that comes while many files are looked at: what it makes is none of those that were taken away', async (t) => {
    const views = await withVisits(t, 10_000);
    for (let k = 0; k < 20; k++) views.saved.set(`mart.filed${k}`, whole(`filed${k}`, `SELECT count(*) + ${k} AS n FROM main.visits`));
    const looked = views.keeper.define();
    await new Promise((resolve) => setTimeout(resolve, 5));
    await Promise.all([views.sql(view('made')), looked]);
    await views.settle();
    assert.equal(names(views).length, 21);
    assert.deepEqual(await views.rows('FROM mart.made'), await views.rows(PER));
  });

  test('OR REPLACE is built to its end while files change', async (t) => {
    const views = await withVisits(t);
    await views.sql(view('per'));
    const other = PER.replace('sum(n)', 'count(*)');
    const replaced = views.sql(view('per', other, 'CREATE OR REPLACE'));
    await until(() => (state(views, 'per')?.building?.done ?? 0) > 0);
    views.saved.set('mart.filed', whole('filed', 'SELECT count(*) AS n FROM main.visits'));
    await views.keeper.define();
    await replaced;
    assert.match(views.saved.get('mart.per')!, /count\(\*\)/);
    assert.deepEqual(await views.rows('FROM mart.per'), await views.rows(other));
  });

  test('two statements for one view: one of them counts, and its rows stand once', async (t) => {
    const views = await withVisits(t);
    await views.sql(view('per'));
    const queries = ['count(*)', 'max(n)', 'min(n)'].map((one) => PER.replace('sum(n)', one));
    const done = await Promise.allSettled(queries.map((query) => views.sql(view('per', query, 'CREATE OR REPLACE'))));
    await views.settle();
    const last = done.findLastIndex(({ status }) => status === 'fulfilled');
    assert.ok(last >= 0);
    const kept = queries.find((query) => views.saved.get('mart.per')!.includes(query))!;
    assert.deepEqual(await views.rows('FROM mart.per'), await views.rows(kept));
    const twice = await Promise.allSettled([views.sql(view('twice')), views.sql(view('twice'))]);
    assert.deepEqual(twice.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
    assert.deepEqual(await views.rows('FROM mart.twice'), await views.rows(PER));
    await more(views, 3);
    await views.settle();
    assert.deepEqual(await views.rows('FROM mart.twice'), await views.rows(PER));
  });
});

describe('one view never stops the others', () => {
  test('not when it waits for hours', async (t) => {
    const views = await withVisits(t);
    await views.sql(view('rare').replace('100 milliseconds', '1 hour'));
    await views.sql(view('often'));
    for (let minute = 0; minute < 3; minute++) {
      await more(views, minute);
      const since = views.store.batch();
      const end = performance.now() + 3000;
      await until(() => state(views, 'often')!.batch! >= since || performance.now() > end);
      assert.ok(state(views, 'often')!.batch! >= since);
    }
    assert.equal(state(views, 'rare')!.state, 'behind');
  });

  test('not when its source is swapped for one without the time', async (t) => {
    const views = await withVisits(t);
    await views.store.write(async (tx) => {
      await tx.run(`CREATE TABLE main.others AS SELECT *, t AS seen FROM main.visits`);
      tx.changed({ kind: 'transfer', target: 'main.others', rows: 1000 });
    });
    await views.sql(
      `CREATE MATERIALIZED VIEW mart.a PARTITION BY date_trunc('minute', seen) AS SELECT date_trunc('minute', seen) AS minute, count(*) AS n FROM main.others GROUP BY 1`,
    );
    await views.sql(view('b'));
    await views.store.write(async (tx) => {
      await tx.run('CREATE OR REPLACE TABLE main.others AS SELECT n, _batch FROM main.visits');
      tx.changed({ kind: 'transfer', target: 'main.others', key: 'whole', rows: 1000 });
    });
    await more(views, 7);
    await views.settle();
    assert.equal(state(views, 'a')?.error?.code, 'VIEW_COLUMN');
    assert.deepEqual(await views.rows('FROM mart.b'), await views.rows(PER));
  });

  test('not when files make a circle: that is a problem with its path, and new files and statements go on', async (t) => {
    const views = await withVisits(t);
    await views.sql(whole('low', 'SELECT sum(n) AS n FROM main.visits'));
    await views.sql(whole('high', 'SELECT n FROM mart.low'));
    views.saved.set('mart.low', whole('low', 'SELECT n FROM mart.high'));
    views.saved.set('mart.other', whole('other', 'SELECT max(n) AS n FROM main.visits'));
    const problems = await views.keeper.define();
    assert.deepEqual(
      problems.map(({ code, params }) => [code, params?.['path'], params?.['file']]),
      [['VIEW_CYCLE', 'mart.low → mart.high → mart.low', 'views/mart.low.sql']],
    );
    await views.sql(view('later'));
    await more(views, 5);
    await views.settle();
    assert.deepEqual(await views.rows('FROM mart.other'), await views.rows('SELECT max(n) AS n FROM main.visits'));
    assert.deepEqual(await views.rows('FROM mart.later'), await views.rows(PER));
    assert.deepEqual(await views.rows('FROM mart.high'), await views.rows('SELECT sum(n) AS n FROM main.visits'));
  });
});

test('a file does not take the place of a table that is no view', async (t) => {
  const views = await withVisits(t);
  const before = await views.rows('FROM main.visits');
  views.saved.set('main.visits', 'CREATE MATERIALIZED VIEW main.visits AS SELECT 1 AS n FROM main.visits');
  await views.sql(view('per'));
  const others = 'CREATE MATERIALIZED VIEW main.others AS SELECT count(*) AS n FROM mart.per';
  await views.store.write(async (tx) => {
    await tx.run('CREATE TABLE main.others AS SELECT 1 AS n');
    tx.changed({ kind: 'load', target: 'main.others', rows: 1 });
  });
  views.saved.set('main.others', others);
  const problems = await views.keeper.define();
  assert.deepEqual(problems.map(({ code, params }) => `${code} ${params?.['file']}`).sort(), [
    'VIEW_EXISTS views/main.others.sql',
    'VIEW_EXISTS views/main.visits.sql',
  ]);
  assert.deepEqual(await views.rows('FROM main.visits'), before);
  assert.deepEqual(await views.rows('FROM main.others'), ['["1"]']);
});

test('a view whose file was broken for a while is computed anew when replaced rows were taken out meanwhile', async (t) => {
  const views = await withVisits(t);
  await views.sql(view('per'));
  await views.sql(whole('total', 'SELECT count(*) AS n FROM main.visits'));
  const good = views.saved.get('mart.per')!;
  views.saved.set('mart.per', `${good} WHERE`);
  await views.reopen();
  assert.equal((await views.keeper.define()).length, 1);
  await views.transfer('main.visits', (batch) => [
    'CREATE TABLE IF NOT EXISTS change."main.visits" AS FROM main.visits LIMIT 0',
    `INSERT INTO change."main.visits" SELECT * EXCLUDE (_batch), ${batch} FROM main.visits WHERE n < 30`,
    'DELETE FROM main.visits WHERE n < 30',
  ]);
  await views.settle();
  await views.keeper.trim();
  views.saved.set('mart.per', good);
  assert.deepEqual(await views.keeper.define(), []);
  await views.settle();
  assert.deepEqual(await views.rows('FROM mart.per'), await views.rows(PER));
});

test('a view that reads one whose file is taken away is paused for it, and catches up when the file is back', async (t) => {
  const views = await withVisits(t);
  await views.sql(whole('low', 'SELECT sum(n) AS n FROM main.visits'));
  await views.sql(whole('high', 'SELECT n FROM mart.low'));
  const low = views.saved.get('mart.low')!;
  views.saved.delete('mart.low');
  assert.deepEqual(await views.keeper.define(), []);
  await views.settle();
  assert.deepEqual([state(views, 'high')?.state, state(views, 'high')?.error?.code], ['paused', 'VIEW_COLUMN']);
  views.saved.set('mart.low', low);
  await more(views, 1);
  assert.deepEqual(await views.keeper.define(), []);
  await views.sql('RESUME MATERIALIZED VIEW mart.high');
  await views.settle();
  assert.deepEqual(await views.rows('FROM mart.high'), await views.rows('SELECT sum(n) AS n FROM main.visits'));
});
