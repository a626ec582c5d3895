import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import fc from 'fast-check';
import type { Topic } from '#core';
import { openViews, type Sent, type Views } from './views-fixture.ts';

const visits: Topic = {
  name: 'visits',
  title: '',
  fields: [
    { name: 'usr', type: 'text', required: false },
    { name: 'page', type: 'text', required: false },
    { name: 'amount', type: 'decimal(18,2)', required: false },
  ],
  id: 'id',
  time: { field: 'ts', unit: 'iso', required: true, earliest: 0, ahead: 1e15 },
  type: null,
  drift: 'evolve',
  dedupeWindow: 86_400_000,
};
const START = Date.parse('2026-01-01T00:00:00Z');
let sent = 0;

function visit(minute: number, usr: string | null, page: string, amount: number): Sent {
  const millis = START + minute * 60_000;
  const json = { id: `v${sent++}`, usr, page, amount: (amount / 100).toFixed(2), ts: new Date(millis).toISOString() };
  return { id: json.id, micros: millis * 1000, json };
}

const options = `OPTIONS (refresh = '100 milliseconds')`;
/** Each of another kind: by time, by key, by both, hopping, joined with what a transfer keeps, with a lookback. */
const sharing: Readonly<Record<string, { readonly partition: string; readonly query: string; readonly options?: string }>> = {
  by_minute: {
    partition: `date_trunc('minute', _time)`,
    query: `SELECT date_trunc('minute', _time) AS minute, count(*) AS n, sum(amount) AS amount FROM raw.visits GROUP BY 1`,
  },
  by_user: { partition: 'usr', query: `SELECT usr, count(DISTINCT page) AS pages FROM raw.visits GROUP BY usr` },
  by_both: {
    partition: `(date_trunc('hour', _time), page)`,
    query: `SELECT date_trunc('hour', _time) AS hour, page, max(amount) AS most FROM raw.visits GROUP BY 1, 2`,
  },
  hopping: {
    partition: `unnest([date_trunc('hour', _time), date_trunc('hour', _time) + INTERVAL 1 HOUR])`,
    query: `SELECT pane, count(*) AS n FROM (SELECT unnest([date_trunc('hour', _time), date_trunc('hour', _time) + INTERVAL 1 HOUR]) AS pane FROM raw.visits) AS v GROUP BY pane`,
  },
  joined: {
    partition: `date_trunc('minute', _time)`,
    query: `SELECT date_trunc('minute', v._time) AS minute, p.section, count(*) AS n FROM raw.visits AS v LEFT JOIN main.pages AS p ON p.page = v.page GROUP BY 1, 2`,
  },
  gaps: {
    partition: 'usr',
    query: `SELECT usr, _time, _position, coalesce(_time - lag(_time) OVER (PARTITION BY usr ORDER BY _time, _position) < INTERVAL '10 minutes', false) AS again FROM raw.visits`,
    options: `OPTIONS (refresh = '100 milliseconds', lookback = '10 minutes')`,
  },
};

describe('views with the same source and tick', () => {
  let views: Views;
  /** Statements of the write lane, a list for each transaction. */
  let lane: string[][] = [];

  before(async () => {
    views = await openViews();
    await views.transfer('main.pages', (batch) => [
      'CREATE TABLE main.pages (page VARCHAR, section VARCHAR, _batch BIGINT)',
      'CREATE TABLE change."main.pages" AS FROM main.pages LIMIT 0',
      `INSERT INTO main.pages VALUES ('/a', 'front', ${batch}), ('/b', 'shop', ${batch})`,
    ]);
    await views.send(visits, [visit(0, 'u1', '/a', 100)]);
    for (const [name, view] of Object.entries(sharing))
      await views.sql(`CREATE MATERIALIZED VIEW mart.${name} PARTITION BY ${view.partition} ${view.options ?? options} AS ${view.query}`);
    await views.settle();
    const { store } = views;
    const write = store.write;
    store.write = (work) =>
      write((tx) => {
        const said: string[] = [];
        lane.push(said);
        const run: typeof tx.run = (sql, values) => {
          said.push(sql);
          return tx.run(sql, values);
        };
        return work({ ...tx, run });
      });
  });
  after(() => views.close());
  beforeEach(() => {
    lane = [];
    views.problems.length = 0;
  });

  const state = (name: string) => views.keeper.states().find((view) => view.name === `mart.${name}`)!;
  async function assertRight(): Promise<void> {
    for (const [name, { query }] of Object.entries(sharing))
      assert.deepEqual(await views.rows(`FROM mart.${name}`), await views.rows(query), name);
  }

  test('read the new rows once, in one transaction, and each equals its query', async () => {
    await views.send(visits, [visit(5, 'u1', '/b', 250), visit(70, 'u2', '/a', 1)]);
    await views.settle();
    const readings = lane.flat().filter((sql) => /FROM "raw"\."visits" WHERE _batch > \d+/.test(sql));
    assert.equal(readings.length, 1, readings.join('\n\n'));
    const written = lane.filter((said) => said.some((sql) => /INSERT INTO "mart"/.test(sql)));
    assert.equal(written.length, 1);
    const asked = readings[0]!
      .match(/SELECT (.*?) FROM "raw"/s)![1]!
      .split(', ')
      .sort();
    assert.deepEqual(
      asked,
      ['"_batch"', '"_time"', '"page"', '"usr"'].filter((column) => asked.includes(column)),
    );
    assert.ok(!asked.includes('"data"'));
    await assertRight();
    const [batches] = await views.store.rows(`SELECT count(DISTINCT b) AS n FROM (
      SELECT max(_batch) AS b FROM mart.by_minute UNION ALL SELECT max(_batch) FROM mart.by_user UNION ALL SELECT max(_batch) FROM mart.hopping)`);
    assert.equal(Number(batches!['n']), 1);
  });

  test('equal their queries however the rows come, also with one that was paused for a while among them', async () => {
    const step = fc.record({ minute: fc.nat(300), usr: fc.constantFrom('u1', 'u2', null), page: fc.constantFrom('/a', '/b', '/c') });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(step, { minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 4 }), async (rounds) => {
        await views.sql('PAUSE MATERIALIZED VIEW mart.by_user');
        for (const [k, steps] of rounds.entries()) {
          await views.send(
            visits,
            steps.map(({ minute, usr, page }) => visit(minute, usr, page, minute)),
          );
          const section = `s${k}`;
          await views.transfer('main.pages', (batch) => [
            `INSERT INTO change."main.pages" SELECT * REPLACE (${batch} AS _batch) FROM main.pages WHERE page = '/a'`,
            `UPDATE main.pages SET section = '${section}', _batch = ${batch} WHERE page = '/a'`,
          ]);
          if (k === rounds.length - 1) await views.sql('RESUME MATERIALIZED VIEW mart.by_user');
          await views.settle();
        }
        assert.deepEqual(views.problems, []);
        await assertRight();
      }),
      { numRuns: 5 },
    );
  });

  test('go on without one that fails among them, which alone is paused', async () => {
    await views.sql(
      `CREATE MATERIALIZED VIEW mart.strict PARTITION BY usr ${options} AS SELECT usr, max(CAST(page[2:] AS INTEGER)) AS page FROM raw.visits WHERE amount = 6.66 GROUP BY usr`,
    );
    await views.settle();
    await views.send(visits, [visit(7, 'u3', '/b', 666)]);
    await views.settle();
    assert.deepEqual([state('strict').state, state('strict').error?.code], ['paused', 'VIEW_VALUE']);
    for (const name of Object.keys(sharing)) assert.equal(state(name).state, 'fresh', name);
    await assertRight();
    await views.sql('DROP MATERIALIZED VIEW mart.strict');
  });
});

describe('a view on one that is computed as a whole', () => {
  let views: Views;
  const SHARES = `SELECT usr, page, amount, sum(amount) OVER () AS of_all FROM main.sale`;
  const SMALL = `SELECT usr, page FROM main.sale WHERE amount <= (SELECT max(amount) FROM main.sale)`;
  const usersOf = (from: string) => `SELECT usr, count(*) AS n, count(DISTINCT page) AS pages FROM (${from}) GROUP BY usr`;

  before(async () => {
    views = await openViews();
    await views.transfer('main.sale', (batch) => [
      'CREATE TABLE main.sale (usr VARCHAR, page VARCHAR, amount DECIMAL(18,2), _batch BIGINT)',
      'CREATE TABLE change."main.sale" AS FROM main.sale LIMIT 0',
      `INSERT INTO main.sale SELECT 'u' || i % 40, '/' || i % 3, i, ${batch} FROM range(400) AS r(i)`,
    ]);
    await views.sql(`CREATE MATERIALIZED VIEW mart.small ${options} AS ${SMALL}`);
    await views.sql(`CREATE MATERIALIZED VIEW mart.shares ${options} AS ${SHARES}`);
    await views.sql(`CREATE MATERIALIZED VIEW mart.users PARTITION BY usr ${options} AS ${usersOf('SELECT * FROM mart.small')}`);
    await views.settle();
  });
  after(() => views.close());
  const users = () => views.keeper.states().find((view) => view.name === 'mart.users')!;

  test('is told row by row what differs, and recomputes only these partitions', async () => {
    assert.equal(views.keeper.states().find((view) => view.name === 'mart.small')?.mode, 'whole');
    await views.transfer('main.sale', (batch) => [`INSERT INTO main.sale VALUES ('u7', '/new', 3, ${batch}), ('u8', '/1', 3, ${batch})`]);
    await views.settle();
    assert.deepEqual(users().last, { mode: 'partitions', partitions: 2, rows: 2 });
    assert.deepEqual(await views.rows('FROM mart.users'), await views.rows(usersOf(SMALL)));
  });

  test('has nothing to do when the whole comes out as it was', async () => {
    const { refreshes } = users();
    await views.transfer('main.sale', (batch) => [`UPDATE main.sale SET amount = amount + 1, _batch = ${batch} WHERE amount = 17`]);
    await views.settle();
    assert.equal(users().refreshes, refreshes);
    assert.deepEqual(await views.rows('FROM mart.small'), await views.rows(SMALL));
  });

  test('equals its query in batch after any changes, with rows that stand there twice and with NULL', async () => {
    const row = fc.record({ usr: fc.constantFrom('u1', 'u2', null), page: fc.constantFrom('/1', null), copies: fc.nat(3) });
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 4 }), async (rows) => {
        for (const { usr, page, copies } of rows) {
          const is = `usr IS NOT DISTINCT FROM ${usr === null ? 'NULL' : `'${usr}'`} AND page IS NOT DISTINCT FROM ${page === null ? 'NULL' : `'${page}'`}`;
          await views.transfer('main.sale', (batch) => [
            `INSERT INTO change."main.sale" SELECT * REPLACE (${batch} AS _batch) FROM main.sale WHERE ${is}`,
            `DELETE FROM main.sale WHERE ${is}`,
            `INSERT INTO main.sale SELECT ${usr === null ? 'NULL' : `'${usr}'`}, ${page === null ? 'NULL' : `'${page}'`}, 1, ${batch} FROM range(${copies})`,
          ]);
        }
        await views.settle();
        assert.deepEqual(views.problems, []);
        assert.deepEqual(await views.rows('FROM mart.small'), await views.rows(SMALL));
        assert.deepEqual(await views.rows('FROM mart.shares'), await views.rows(SHARES));
        assert.deepEqual(await views.rows('FROM mart.users'), await views.rows(usersOf(SMALL)));
      }),
      { numRuns: 10 },
    );
  });
});
