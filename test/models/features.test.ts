import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { openModelServer } from '../../src/platform/models/serve.ts';
import { fileOf, type House, openHouse, type Row, refused, VISITORS } from './fixture.ts';

let house: House;
const ask: House['ask'] = (sql, more) => house.ask(sql, more);
const TREES = `OPTIONS(model_type = 'BOOSTED_TREE_CLASSIFIER', max_iterations = 10, input_label_cols = ['bought']) AS SELECT * FROM visitors`;
const made = (transform: string) => `CREATE OR REPLACE MODEL made TRANSFORM(${transform}, bought) ${TREES}`;
const written = (list: string) => `CREATE OR REPLACE MODEL written TRANSFORM(${list}, bought) ${TREES}`;
const chances = (model: string) =>
  ask(
    `SELECT round(predicted_bought_probs[2].prob, 9) AS p FROM ML.PREDICT(MODEL ${model}, (SELECT * FROM visitors ORDER BY id LIMIT 500))`,
  );

describe('feature functions of TRANSFORM', { timeout: 120_000 }, () => {
  before(async () => {
    house = await openHouse();
    await ask(VISITORS);
  });
  after(() => house.close());

  // Each is held against the same feature written in SQL, whose statistics DuckDB computes.
  for (const [name, call, sql] of [
    [
      'ML.BUCKETIZE',
      'ML.BUCKETIZE(pages, [20, 50]) AS f',
      `CASE WHEN pages < 20 THEN 'bin_1' WHEN pages < 50 THEN 'bin_2' WHEN pages >= 50 THEN 'bin_3' END AS f`,
    ],
    ['ML.STANDARD_SCALER', 'ML.STANDARD_SCALER(pages) OVER () AS f', '(pages - (SUM_OF_MEAN)) / (SUM_OF_DEVIATION) AS f'],
    ['ML.MIN_MAX_SCALER', 'ML.MIN_MAX_SCALER(pages) OVER () AS f', '(pages - 1) / 98.0 AS f'],
    ['ML.IMPUTER', `ML.IMPUTER(pages, 'median') OVER () AS f`, 'coalesce(pages, (SUM_OF_MEDIAN)) AS f'],
    ['ML.FEATURE_CROSS', 'ML.FEATURE_CROSS(STRUCT(source, member)) AS f', `source || '_' || member::INT AS f`],
    [
      'ML.ONE_HOT_ENCODER',
      `ML.ONE_HOT_ENCODER(source, 'none', 2) OVER () AS f`,
      `CASE WHEN source IN ('ad', 'direct') THEN source ELSE 'other' END AS f`,
    ],
    [
      'ML.QUANTILE_BUCKETIZE',
      'ML.QUANTILE_BUCKETIZE(pages, 4) OVER () AS f',
      `'bin_' || (1 + (pages >= (SUM_OF_Q1))::INT + (pages >= (SUM_OF_MEDIAN))::INT + (pages >= (SUM_OF_Q3))::INT) AS f`,
    ],
  ] as const) {
    test(`${name} predicts what the same feature predicts when it is written in SQL`, async () => {
      const [facts] = await ask(
        `SELECT min(pages) AS low, max(pages) AS high, avg(pages) AS mean, stddev_pop(pages) AS deviation, quantile_cont(pages, [0.25, 0.5, 0.75]) AS q FROM visitors`,
      );
      const [q1, median, q3] = facts!['q'] as number[];
      const values: Record<string, number> = { MEAN: facts!['mean'], DEVIATION: facts!['deviation'], MEDIAN: median!, Q1: q1!, Q3: q3! };
      const plain = sql.replace('pages - 1) / 98.0', `pages - ${facts!['low']}) / ${facts!['high'] - facts!['low']}.0`);
      await ask(made(`${call}, seen`));
      await ask(written(`${plain.replace(/\(SUM_OF_(\w+)\)/g, (_, of: string) => `${values[of]}::DOUBLE`)}, seen`));
      assert.deepEqual(await chances('made'), await chances('written'));
    });
  }

  test('what was learned stays: rows to predict do not move the scale, whatever they hold', async () => {
    await ask(made('ML.STANDARD_SCALER(pages) OVER () AS pages, ML.BUCKETIZE(pages, [50]) AS half, source'));
    const alone = await ask(
      'SELECT predicted_bought_probs[2].prob AS p FROM ML.PREDICT(MODEL made, (SELECT * FROM visitors WHERE id = 77))',
    );
    const among = await ask(`SELECT p FROM (SELECT id, predicted_bought_probs[2].prob AS p FROM ML.PREDICT(MODEL made,
      (SELECT id, pages, source FROM visitors WHERE id = 77 UNION ALL SELECT -1, 1e6, 'mail'))) WHERE id = 77`);
    assert.deepEqual(alone, among);
  });

  test('the same over HTTP and in the exported script, from the raw columns', async () => {
    await ask(made(`ML.STANDARD_SCALER(pages) OVER () AS pages, ML.FEATURE_CROSS(STRUCT(source, member)) AS crossed, seen`));
    const inSql = await ask(
      'SELECT pages, source, member, epoch_ms(seen) AS at, predicted_bought_probs[2].prob AS p FROM ML.PREDICT(MODEL made, (SELECT * FROM visitors WHERE id < 200))',
    );
    const server = openModelServer(house.dataPath, (thrown) => assert.fail(String(thrown)));
    server.update(house.told());
    const asked = inSql.map(({ at, p: _, ...row }: Row) => ({ ...row, seen: at }));
    const { predictions } = await server.predict('made', asked, false);
    const path = join(house.dataPath, 'made.mjs');
    writeFileSync(path, await server.exported('made', 'js'));
    const script = (await import(pathToFileURL(path).href)) as { predict(row: unknown): { probabilities: number[] } };
    inSql.forEach((row, k) => {
      assert.ok(Math.abs((predictions[k]!['probabilities'] as Row)['yes'] - row['p']) < 1e-9);
      assert.ok(Math.abs(script.predict(asked[k]).probabilities[1]! - row['p']) < 1e-9);
    });
    await assert.rejects(server.predict('made', [{ nothing: 1 }], false), refused('MODEL_INPUT'));
    await assert.rejects(server.predict('made', [{ pages: [1] }], false), refused('MODEL_INPUT', { column: 'pages' }));
  });

  test('levels that are numbers, and joined numbers, are categories all the same: another one is no error, and ONNX has them', async () => {
    await ask(
      made(
        `ML.LABEL_ENCODER(member) OVER () AS flag, ML.ONE_HOT_ENCODER(round, 'none', 3) OVER () AS few, ML.FEATURE_CROSS(STRUCT(round)) AS one, pages`,
      ).replace('FROM visitors', 'FROM (SELECT *, (id % 5)::VARCHAR AS round FROM visitors)'),
    );
    const { model } = fileOf(house, 'main.made', house.told().find(({ name }) => name === 'main.made')!.versions[0]!.version);
    assert.ok(model.format === 'millrace-model');
    assert.deepEqual(model.encoders.flatMap(({ column, kind }) => (column === 'pages' ? [] : [`${column} ${kind}`])).sort(), [
      'few category',
      'flag category',
      'one category',
    ]);
    await ask(
      `CREATE MODEL grouped TRANSFORM(ML.LABEL_ENCODER(member) OVER () AS flag, pages) OPTIONS(model_type = 'KMEANS', num_clusters = 2) AS SELECT * FROM visitors`,
    );
    const kinds = await ask(
      'SELECT DISTINCT feature, numerical_value IS NULL AS category FROM ML.CENTROIDS(MODEL grouped) ORDER BY feature',
    );
    assert.deepEqual(kinds, [
      { feature: 'flag', category: true },
      { feature: 'pages', category: false },
    ]);
    const server = openModelServer(house.dataPath, (thrown) => assert.fail(String(thrown)));
    server.update(house.told());
    const { predictions } = await server.predict('made', [{ member: 7, round: '12', pages: 3 }], false);
    assert.equal(predictions.length, 1);
    await server.exported('made', 'onnx');
    // Texts that are filled and are numbers stay numbers, which the graph can't make of them.
    await ask(
      made(`ML.IMPUTER(round, 'most_frequent') OVER () AS filled, pages`).replace(
        'FROM visitors',
        `FROM (SELECT *, (id % 5)::VARCHAR AS round FROM visitors)`,
      ),
    );
    server.update(house.told());
    await assert.rejects(server.exported('made', 'onnx'), refused('MODEL_EXPORT'));
  });

  for (const [call, code] of [
    ['ML.BUCKETIZE(pages) AS f', 'MODEL_OPTION'],
    [`ML.BUCKETIZE(pages, ['a']) AS f`, 'MODEL_OPTION'],
    ['ML.STANDARD_SCALER(source) OVER () AS f', 'MODEL_OPTION'],
    ['ML.QUANTILE_BUCKETIZE(pages, 1) OVER () AS f', 'MODEL_OPTION'],
    [`ML.IMPUTER(pages, 'best') OVER () AS f`, 'MODEL_OPTION'],
    ['ML.NOTHING(pages) AS f', 'MODEL_OPTION'],
    ['ML.STANDARD_SCALER(nosuch) OVER () AS f', 'SQL_FAILED'],
    ['ML.STANDARD_SCALER(pages + 1) OVER () AS f', 'SQL_SYNTAX'],
    ['ML.STANDARD_SCALER(pages)', 'SQL_SYNTAX'],
  ] as const)
    test(`${call} is refused as ${code}`, () => assert.rejects(ask(`CREATE MODEL bad TRANSFORM(bought, ${call}) ${TREES}`), refused(code)));
});
