import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { openViews, type Views } from './views-fixture.ts';

const TIME = `TIMESTAMPTZ '2026-01-01 00:00:00Z'`;

/** A definition and how it must be kept. Kept by partition or not, it must equal its query after every change. */
const CASES: readonly (readonly [name: string, partition: string, mode: 'partitions' | 'whole', query: string])[] = [
  ['numbered', 'usr', 'whole', 'SELECT usr, n, row_number() OVER (PARTITION BY 1 ORDER BY n) AS place FROM main.visits'],
  ['named', 'usr', 'partitions', 'SELECT usr, n, row_number() OVER (PARTITION BY usr ORDER BY n) AS place FROM main.visits'],
  ['texts', 'usr', 'whole', `SELECT max(usr) AS usr, count(*) AS n FROM main.visits GROUP BY '1'`],
  ['halves', 'usr', 'whole', `SELECT max(usr) AS usr, count(*) AS n FROM main.visits GROUP BY 0.1`],
  ['grouped', 'usr', 'partitions', 'SELECT usr, count(*) AS n FROM main.visits GROUP BY 1'],
  ['chosen', 'usr', 'whole', 'SELECT DISTINCT ON (usr) usr, n FROM main.visits ORDER BY usr, abs(row_number() OVER (ORDER BY n) - 30)'],
  ['counted', 'usr', 'partitions', 'SELECT DISTINCT ON (1) usr, n FROM main.visits ORDER BY usr, n DESC'],
  ['panes', 'unnest(panes)', 'partitions', 'SELECT unnest(panes) AS pane, n FROM main.visits'],
  ['sums', 'pane', 'partitions', 'SELECT pane, sum(n) AS n FROM (SELECT unnest(panes) AS pane, n FROM main.visits) GROUP BY pane'],
  ['pairs', '(unnest(panes), usr)', 'whole', 'SELECT unnest(panes) AS pane, usr, n FROM main.visits'],
  ['cast', 'unnest(panes)::VARCHAR', 'whole', 'SELECT unnest(panes)::VARCHAR AS pane, n FROM main.visits'],
  ['said', 'usr', 'partitions', 'SELECT v.usr, count(*) AS n FROM main . visits /* who came */ v GROUP BY v.usr'],
  ['noted', 'usr', 'partitions', 'SELECT v.usr, count(*) AS n FROM main.visits -- who came\n AS /* as */ v GROUP BY v.usr'],
  ['bare', 'usr', 'partitions', 'SELECT visits.usr, count(*) AS n FROM main.visits /* who came */ GROUP BY visits.usr'],
];

describe('a definition', () => {
  let views: Views;
  const put = (k: number) =>
    views.transfer('main.visits', (batch) => [
      `INSERT INTO main.visits SELECT ${TIME} + to_minutes(${k}), (k % 7)::VARCHAR, ${k * 100} + k, CASE k % 3 WHEN 0 THEN [k, NULL] WHEN 1 THEN [k % 5, k % 5 + 1] ELSE [] END, ${batch}
       FROM range(${k}, ${k + 3}) AS r(k)`,
    ]);
  before(async () => {
    views = await openViews();
    await views.transfer('main.visits', (batch) => [
      `CREATE TABLE main.visits AS SELECT ${TIME} AS t, '0' AS usr, 0 AS n, [0, NULL]::INTEGER[] AS panes, ${batch}::BIGINT AS _batch`,
    ]);
    for (let k = 0; k < 12; k += 3) await put(k);
  });
  after(() => views.close());

  for (const [name, partition, mode, query] of CASES)
    test(`${name}: is kept ${mode === 'whole' ? 'as a whole' : 'by partition'}, and equals its query`, async () => {
      await views.sql(`CREATE MATERIALIZED VIEW mart.${name} PARTITION BY ${partition} AS ${query}`);
      for (let k = 1; k < 40; k += 11) {
        await put(k);
        await views.settle();
        const { error, mode: is } = views.keeper.states().find((view) => view.name === `mart.${name}`)!;
        assert.deepEqual([error, is], [null, mode]);
        assert.deepEqual(await views.rows(`FROM mart.${name}`), await views.rows(query));
      }
    });

  const changing: readonly (readonly [string, string])[] = [
    ['current_date', 'SELECT usr, current_date AS day FROM main.visits'],
    ['current_timestamp', 'SELECT usr, n FROM main.visits WHERE t < current_timestamp'],
    ['localtime', 'SELECT usr, localtime AS day FROM main.visits'],
    ['ago', 'SELECT usr FROM main.visits WHERE t > ago(INTERVAL 1 DAY)'],
    ['age', 'SELECT usr, age(t::TIMESTAMP) AS a FROM main.visits'],
    ['reservoir_quantile', 'SELECT usr, reservoir_quantile(n, 0.5, 10) AS q FROM main.visits GROUP BY usr'],
    ['SAMPLE', 'SELECT usr, n FROM main.visits TABLESAMPLE 10%'],
    ['SAMPLE', 'SELECT usr, n FROM main.visits USING SAMPLE 5'],
    ['current_date', 'SELECT usr FROM main.visits WHERE n IN (SELECT day(current_date))'],
  ];
  for (const [word, query] of changing)
    test(`that gives another answer each time is refused: ${query}`, async () => {
      const create = views.sql(`CREATE MATERIALIZED VIEW mart.changing PARTITION BY usr AS ${query}`);
      await assert.rejects(create, (thrown: { code: string; params: Record<string, unknown> }) => {
        assert.deepEqual([thrown.code, thrown.params['function']], ['VIEW_NOT_DETERMINISTIC', word]);
        if (word !== 'SAMPLE') assert.equal(thrown.params['line'], 1);
        return true;
      });
    });

  test('may take the difference of two times, and columns of such names', async () => {
    await views.sql(
      `CREATE MATERIALIZED VIEW mart.ages AS SELECT usr, age(t::TIMESTAMP, TIMESTAMP '2020-01-01') AS a, d."current_date" AS c FROM main.visits, (SELECT 1 AS "current_date") AS d`,
    );
  });

  test('of Millrace’s own tables is refused with its place: no write says that they changed', async () => {
    for (const table of ['millrace.batch', 'millrace.view'])
      await assert.rejects(views.sql(`CREATE MATERIALIZED VIEW mart.own AS SELECT count(*) AS n FROM ${table}`), {
        code: 'VIEW_QUERY',
        params: { view: 'mart.own', problem: `${table} does not say when it changes`, line: 1, column: 64, position: 63 },
      });
  });

  const ahead = [
    'lead(n) OVER (PARTITION BY usr ORDER BY t)',
    'sum(n) OVER (PARTITION BY usr ORDER BY t ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING)',
    'sum(n) OVER (PARTITION BY usr)',
    'lag(n) OVER (PARTITION BY usr ORDER BY t DESC)',
  ];
  for (const window of ahead)
    test(`with a lookback is refused where a row depends on later ones: ${window}`, async () => {
      await assert.rejects(
        views.sql(
          `CREATE MATERIALIZED VIEW mart.ahead PARTITION BY usr OPTIONS (lookback = '1 hour') AS SELECT usr, t AS _time, ${window} AS w FROM main.visits`,
        ),
        ({ code, params }) => code === 'VIEW_OPTION' && /depends on no later one/.test(params.problem),
      );
    });
});

test('with a lateness, late rows of each table that names the partition are counted', async (t) => {
  const views = await openViews();
  t.after(() => views.close());
  const put = (table: string, minute: number) =>
    views.transfer(`main.${table}`, (batch) => [
      `CREATE TABLE IF NOT EXISTS main.${table} (t TIMESTAMPTZ, n BIGINT, _batch BIGINT)`,
      `INSERT INTO main.${table} VALUES (${TIME} + to_minutes(${minute}), ${minute}, ${batch})`,
    ]);
  for (const table of ['web', 'app']) await put(table, 0);
  await views.sql(`CREATE MATERIALIZED VIEW mart.both PARTITION BY date_trunc('minute', w.t) OPTIONS (lateness = '1 minute') AS
    SELECT date_trunc('minute', w.t) AS minute, w.n, a.n AS m FROM main.web w JOIN main.app a ON date_trunc('minute', w.t) = date_trunc('minute', a.t)`);
  await put('web', 10);
  await views.settle();
  for (const table of ['web', 'app', 'app']) await put(table, 1);
  await put('app', 10);
  await views.settle();
  const late = await views.store.rows(`SELECT row->>'n' AS n, partition FROM millrace.late ORDER BY ALL`);
  assert.deepEqual(
    late,
    Array.from({ length: 3 }, () => ({ n: '1', partition: '2026-01-01 00:01:00+00' })),
  );
  assert.equal(views.keeper.states()[0]!.late!.rows, 3);
  assert.deepEqual(await views.rows('SELECT n, m FROM mart.both'), ['["0","0"]', '["10","10"]']);
  assert.deepEqual(views.problems, []);
});
