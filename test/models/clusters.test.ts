import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { ModelFile } from '#analyze';
import { replayRows } from '../../src/platform/models/golden.ts';
import { openModelServer } from '../../src/platform/models/serve.ts';
import { fileOf, type House, openHouse, type Row, refused } from './fixture.ts';

let house: House;
const ask: House['ask'] = (sql, more) => house.ask(sql, more);

/** Three kinds of shops far from each other; `kind` says which a row was drawn from, and nothing learns from it. */
const SHOPS = `CREATE TABLE shops AS
  SELECT i AS id, i % 3 AS kind, (i % 3) * 100 + (i * 7919) % 17 AS visits, [5.0, 90.0, 20.0][1 + i % 3] + ((i * 104729) % 11) / 10.0 AS basket,
    CASE WHEN i % 50 = 0 THEN NULL WHEN i % 7 = 0 THEN 'both' ELSE ['web', 'street', 'web'][1 + i % 3] END AS channel FROM range(3000) t(i)`;

describe('KMEANS in SQL', { timeout: 120_000 }, () => {
  before(async () => {
    house = await openHouse();
    await ask(SHOPS);
    await ask(`CREATE MODEL kinds OPTIONS(model_type = 'KMEANS', num_clusters = 3, ignore_cols = ['id', 'kind']) AS SELECT * FROM shops`);
    await ask(`CREATE MODEL plain OPTIONS(model_type = 'KMEANS', num_clusters = 4) AS SELECT visits, basket FROM shops`);
  });
  after(() => house.close());

  test('ML.PREDICT finds the planted kinds, with the distances to all, the nearest first', async () => {
    const kinds = await ask('SELECT kind, list(DISTINCT centroid_id) AS ids FROM ML.PREDICT(MODEL kinds, TABLE shops) GROUP BY kind');
    assert.equal(new Set(kinds.map(({ ids }) => ids[0])).size, 3);
    for (const { ids } of kinds) assert.equal(ids.length, 1);
    const [row] = await ask(`SELECT count(*) AS rows, count(*) FILTER (nearest_centroids_distance[1].centroid_id <> centroid_id) AS other,
      count(*) FILTER (nearest_centroids_distance[1].distance > nearest_centroids_distance[2].distance
        OR nearest_centroids_distance[2].distance > nearest_centroids_distance[3].distance) AS unsorted, typeof(any_value(centroid_id)) AS type
      FROM ML.PREDICT(MODEL kinds, TABLE shops)`);
    assert.deepEqual(row, { rows: 3000, other: 0, unsorted: 0, type: 'BIGINT' });
  });

  test('ML.CENTROIDS are the means and shares that SQL counts in each cluster', async () => {
    const told = await ask('SELECT * FROM ML.CENTROIDS(MODEL kinds)');
    const counted = await ask(`SELECT centroid_id, avg(visits) AS visits, avg(basket) AS basket,
      avg((channel = 'web')::INT) FILTER (channel IS NOT NULL) AS web FROM ML.PREDICT(MODEL kinds, TABLE shops) GROUP BY 1 ORDER BY 1`);
    assert.equal(told.length, 9);
    for (const each of counted) {
      const of = (feature: string) => told.find((row) => row['centroid_id'] === each['centroid_id'] && row['feature'] === feature)!;
      for (const feature of ['visits', 'basket']) {
        assert.ok(Math.abs(of(feature)['numerical_value'] - each[feature]) < 1e-6, feature);
        assert.deepEqual(of(feature)['categorical_value'], []);
      }
      const shares = of('channel')['categorical_value'] as { category: string; value: number }[];
      const known = shares.reduce((sum, { value }) => sum + value, 0);
      assert.ok(Math.abs(shares.find(({ category }) => category === 'web')!.value / known - each['web']) < 1e-6);
      assert.equal(of('channel')['numerical_value'], null);
    }
  });

  test('ML.EVALUATE agrees with the figures computed in SQL from standardised columns', async () => {
    const [told] = await ask('SELECT * FROM ML.EVALUATE(MODEL plain, TABLE shops)');
    const [expected] = await ask(`WITH z AS (SELECT (visits - avg(visits) OVER ()) / stddev_pop(visits) OVER () AS a,
          (basket - avg(basket) OVER ()) / stddev_pop(basket) OVER () AS b, centroid_id AS k FROM ML.PREDICT(MODEL plain, TABLE shops)),
        c AS (SELECT k, avg(a) AS a, avg(b) AS b FROM z GROUP BY k),
        d AS (SELECT z.k, sqrt((z.a - c.a) ** 2 + (z.b - c.b) ** 2) AS d FROM z JOIN c USING (k)),
        s AS (SELECT k, avg(d) AS s FROM d GROUP BY k),
        w AS (SELECT x.k, max((sx.s + sy.s) / sqrt((x.a - y.a) ** 2 + (x.b - y.b) ** 2)) AS r
          FROM c x JOIN c y ON x.k <> y.k JOIN s sx ON sx.k = x.k JOIN s sy ON sy.k = y.k GROUP BY x.k)
      SELECT (SELECT avg(r) FROM w) AS davies_bouldin_index, (SELECT avg(d * d) FROM d) AS mean_squared_distance`);
    for (const [figure, value] of Object.entries(expected!))
      assert.ok(Math.abs(told![figure] - value) < 1e-6, `${figure}: ${told![figure]} and ${value}`);
    assert.deepEqual(await ask('SELECT * FROM ML.EVALUATE(MODEL plain)'), [told]);
    const metrics = house.told().find(({ name }) => name === 'main.plain')!.versions[0]!.metrics;
    assert.deepEqual(Object.fromEntries(metrics.map(({ metric, value }) => [metric, value])), told);
  });

  test('over HTTP each row gets what SQL gives, whatever is missing or was never seen', async () => {
    const server = openModelServer(house.dataPath, (thrown) => assert.fail(String(thrown)));
    server.update(house.told());
    const changed = `SELECT id, CASE WHEN id % 4 = 0 THEN NULL ELSE visits END AS visits, basket, CASE WHEN id % 5 = 0 THEN 'boat' ELSE channel END AS channel FROM shops WHERE id < 600`;
    const inSql = await ask(`SELECT * FROM ML.PREDICT(MODEL kinds, (${changed})) ORDER BY id`);
    const rows = inSql.map(({ visits, basket, channel }) => ({ visits, basket, channel }));
    const { predictions } = await server.predict('kinds', rows, false);
    predictions.forEach((predicted, k) => {
      assert.equal(predicted['centroid_id'], inSql[k]!['centroid_id']);
      (predicted['nearest_centroids_distance'] as Row[]).forEach(({ centroid_id, distance }, n) => {
        const expected = inSql[k]!['nearest_centroids_distance'][n];
        assert.equal(centroid_id, expected.centroid_id);
        assert.ok(Math.abs(distance - expected.distance) < 1e-9);
      });
    });
    await assert.rejects(server.predict('kinds', [{ nothing: 1 }], false), refused('MODEL_INPUT'));
    await assert.rejects(server.predict('kinds', [rows[0]!], true), refused('MODEL_EXPLAIN'));
  });

  test('without a number of clusters the silhouettes choose one', async () => {
    await ask(`CREATE MODEL chosen OPTIONS(model_type = 'KMEANS') AS SELECT visits, basket FROM shops`);
    assert.equal((await ask('SELECT count(DISTINCT centroid_id) AS n FROM ML.CENTROIDS(MODEL chosen)'))[0]!['n'], 3);
  });

  test('feature functions and TRANSFORM in SQL come before the clusters, where they predict too', async () => {
    await ask(`CREATE MODEL made TRANSFORM(ML.BUCKETIZE(visits, [50, 150]) AS busy, basket * 2 AS basket)
      OPTIONS(model_type = 'KMEANS', num_clusters = 3) AS SELECT visits, basket FROM shops`);
    const kinds = await ask('SELECT kind, count(DISTINCT centroid_id) AS n FROM ML.PREDICT(MODEL made, TABLE shops) GROUP BY kind');
    assert.deepEqual(
      kinds.map(({ n }) => n),
      [1, 1, 1],
    );
  });

  test('a version is added, promoted with its golden rows, written as JSON, and what it can’t be is refused', async () => {
    await ask(
      `CREATE MODEL kinds OPTIONS(model_type = 'KMEANS', num_clusters = 2, alias = 'challenger', ignore_cols = ['id', 'kind']) AS SELECT * FROM shops`,
    );
    assert.equal((await house.models.promote('kinds@challenger', 'champion', 'ann')).aliases['champion'], 2);
    assert.equal((await house.models.rollBack('kinds', 'ann')).aliases['champion'], 1);
    const { path } = await house.models.export('kinds', 'json', 'kinds.json', false);
    const written = JSON.parse(readFileSync(join(house.dataPath, 'shown', path.replace('models/', '')), 'utf8')) as ModelFile;
    assert.deepEqual(written, fileOf(house, 'main.kinds', 1));
    for (const format of ['onnx', 'js']) await assert.rejects(house.models.export('kinds', format, 'no', false), refused('MODEL_EXPORT'));
    const broken = { ...written, golden: { ...written.golden, answers: written.golden.answers.map((of) => of.map((d) => d + 1e-3)) } };
    assert.throws(() => replayRows(broken), refused('MODEL_GOLDEN', { target: 'over HTTP' }));
  });

  for (const call of [
    'CONFUSION_MATRIX(MODEL kinds, TABLE shops)',
    'ROC_CURVE(MODEL kinds, TABLE shops)',
    'WEIGHTS(MODEL kinds)',
    'TRIAL_INFO(MODEL kinds)',
    'EXPLAIN_PREDICT(MODEL kinds, TABLE shops)',
    'GLOBAL_EXPLAIN(MODEL kinds)',
    'PREDICT(MODEL kinds, TABLE shops, STRUCT(0.3 AS threshold))',
  ])
    test(`ML.${call} does not fit clusters`, () => assert.rejects(ask(`SELECT * FROM ML.${call}`), refused('MODEL_FUNCTION')));

  for (const [options, code] of [
    ['num_clusters = 1', 'MODEL_OPTION'],
    ['num_clusters = 2.5', 'MODEL_OPTION'],
    [`input_label_cols = ['kind']`, 'MODEL_OPTION'],
    [`distance_type = 'COSINE'`, 'MODEL_OPTION'],
    [`ignore_cols = ['visits', 'basket', 'id', 'kind', 'channel']`, 'LEARN_FEATURES'],
  ] as const)
    test(`KMEANS with ${options} is refused`, () =>
      assert.rejects(ask(`CREATE MODEL bad OPTIONS(model_type = 'KMEANS', ${options}) AS SELECT * FROM shops`), refused(code)));

  test('an empty table, too few rows and a table without the columns are refused', async () => {
    await assert.rejects(ask(`CREATE MODEL bad OPTIONS(model_type = 'KMEANS') AS SELECT * FROM shops WHERE false`), refused('MODEL_EMPTY'));
    await assert.rejects(ask(`CREATE MODEL bad OPTIONS(model_type = 'KMEANS') AS SELECT * FROM shops WHERE id < 5`), refused('LEARN_ROWS'));
    await assert.rejects(ask('SELECT * FROM ML.PREDICT(MODEL kinds, (SELECT visits FROM shops))'), refused('MODEL_INPUT'));
    await assert.rejects(ask('SELECT * FROM ML.EVALUATE(MODEL kinds, (SELECT * FROM shops WHERE false))'), refused('MODEL_EMPTY'));
    assert.deepEqual(await ask('SELECT * FROM ML.PREDICT(MODEL kinds, (SELECT * FROM shops WHERE false))'), []);
  });
});
