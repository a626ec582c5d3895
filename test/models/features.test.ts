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
    await ask(
      VISITORS.replace('SELECT i AS id', `SELECT i AS id, CASE WHEN i < 4 THEN 'four' WHEN i < 9 THEN 'five' ELSE 'many' END AS rare`),
    );
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
      'ML.BUCKETIZE without its boundaries',
      `ML.BUCKETIZE(pages, [50, 0, 20, 100], TRUE, 'bucket_names') AS f`,
      `CASE WHEN pages < 20 THEN 'bin_1' WHEN pages < 50 THEN 'bin_2' WHEN pages >= 50 THEN 'bin_3' END AS f`,
    ],
    [
      'ML.ROBUST_SCALER of other percentages',
      'ML.ROBUST_SCALER(pages, [10, 75]) OVER () AS f',
      '(pages - (SUM_OF_MEDIAN)) / ((SUM_OF_Q3) - (SUM_OF_D1)) AS f',
    ],
    [
      'ML.ROBUST_SCALER without the median',
      'ML.ROBUST_SCALER(pages, [25, 75], FALSE, TRUE) OVER () AS f',
      'pages / ((SUM_OF_Q3) - (SUM_OF_Q1)) AS f',
    ],
    ['ML.ROBUST_SCALER without the range', 'ML.ROBUST_SCALER(pages, [25, 75], TRUE, FALSE) OVER () AS f', 'pages - (SUM_OF_MEDIAN) AS f'],
    ['ML.FEATURE_CROSS of all its columns', 'ML.FEATURE_CROSS(STRUCT(source, member), 2) AS f', `source || '_' || member::INT AS f`],
    [
      'ML.FEATURE_CROSS of pairs and more',
      'ML.FEATURE_CROSS(STRUCT(source, member, rare), 3) AS f',
      `source || '_' || member::INT AS f_source_member, source || '_' || rare AS f_source_rare, member::INT || '_' || rare AS f_member_rare, source || '_' || member::INT || '_' || rare AS f_source_member_rare`,
    ],
    [
      'ML.POLYNOMIAL_EXPAND',
      'ML.POLYNOMIAL_EXPAND(STRUCT(pages, member), 3) AS f',
      `pages::DOUBLE AS f_pages, pages::DOUBLE * pages AS f_pages_pages, pages::DOUBLE * pages * pages AS f_pages_pages_pages, pages::DOUBLE * pages * member::INT AS f_pages_pages_member,
         pages::DOUBLE * member::INT AS f_pages_member, pages::DOUBLE * member::INT * member::INT AS f_pages_member_member, member::INT::DOUBLE AS f_member, member::INT::DOUBLE * member::INT AS f_member_member,
         member::INT::DOUBLE * member::INT * member::INT AS f_member_member_member`,
    ],
    ['ML.LABEL_ENCODER', 'ML.LABEL_ENCODER(rare) OVER () AS f', `CASE WHEN rare IN ('five', 'many') THEN rare ELSE 'other' END AS f`],
    [
      'ML.QUANTILE_BUCKETIZE',
      'ML.QUANTILE_BUCKETIZE(pages, 4) OVER () AS f',
      `'bin_' || (1 + (pages >= (SUM_OF_Q1))::INT + (pages >= (SUM_OF_MEDIAN))::INT + (pages >= (SUM_OF_Q3))::INT) AS f`,
    ],
  ] as const) {
    test(`${name} predicts what the same feature predicts when it is written in SQL`, async () => {
      const [facts] = await ask(
        `SELECT min(pages) AS low, max(pages) AS high, avg(pages) AS mean, stddev_pop(pages) AS deviation, quantile_cont(pages, [0.25, 0.5, 0.75, 0.1]) AS q FROM visitors`,
      );
      const [q1, median, q3, d1] = facts!['q'] as number[];
      const values: Record<string, number> = {
        MEAN: facts!['mean'],
        DEVIATION: facts!['deviation'],
        MEDIAN: median!,
        Q1: q1!,
        Q3: q3!,
        D1: d1!,
      };
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
    await ask(
      made(
        `ML.STANDARD_SCALER(pages) OVER () AS pages, ML.FEATURE_CROSS(STRUCT(source, member)) AS crossed, ML.POLYNOMIAL_EXPAND(STRUCT(pages, member)) AS grown, seen`,
      ),
    );
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

  test('a row is read as its table: times as texts, what is absent as what is null, true as the text that it was', async () => {
    const features = [
      'ML.STANDARD_SCALER(seen) OVER () AS scaled',
      `ML.BUCKETIZE(seen, [${Date.UTC(2026, 0, 10)}, ${Date.UTC(2026, 0, 20)}]) AS part`,
      `ML.IMPUTER(pages, 'median') OVER () AS pages`,
      'ML.LABEL_ENCODER(word) OVER () AS word',
      'ML.FEATURE_CROSS(STRUCT(word, source)) AS crossed',
    ];
    // What is bought hangs on all of them, so that none can be missed and the answer be the same.
    await ask(
      `CREATE TABLE worded AS SELECT id, pages, source, seen, word, hash(pages IS NULL, word, source, seen > '2026-01-10', seen > '2026-01-20') % 3 = 0 AS bought
        FROM (SELECT *, member::VARCHAR AS word FROM visitors)`,
    );
    await ask(made(features.join(', ')).replace('FROM visitors', 'FROM worded'));
    const inSql = await ask(
      `SELECT pages, source, strftime(seen, '%Y-%m-%dT%H:%M:%S') AS seen, word, predicted_bought_probs[2].prob AS p FROM ML.PREDICT(MODEL made, (SELECT * FROM worded WHERE id < 200))`,
    );
    const server = openModelServer(house.dataPath, (thrown) => assert.fail(String(thrown)));
    server.update(house.told());
    const path = join(house.dataPath, 'read.mjs');
    writeFileSync(path, await server.exported('made', 'js'));
    const script = (await import(pathToFileURL(path).href)) as { predict(row: unknown): { probabilities: number[] } };
    for (const { p, pages, word, ...rest } of inSql) {
      const row = { ...rest, ...(pages === null ? {} : { pages }), word: word === 'true' };
      const { predictions } = await server.predict('made', [row], false);
      assert.ok(Math.abs((predictions[0]!['probabilities'] as Row)['true'] - p) < 1e-9, JSON.stringify(row));
      assert.ok(Math.abs(script.predict(row).probabilities[1]! - p) < 1e-9, JSON.stringify(row));
    }
    assert.ok(new Set(inSql.map(({ p }) => p)).size > 10);
    await assert.rejects(server.predict('made', [{ seen: 'soon' }], false), refused('MODEL_INPUT', { column: 'seen' }));
    await assert.rejects(server.predict('made', [{ id: 1, scaled: 1 }], false), refused('MODEL_INPUT'));
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
    [`ML.BUCKETIZE(pages, [20, 50], 'yes') AS f`, 'MODEL_OPTION'],
    [`ML.BUCKETIZE(pages, [20, 50], FALSE, 'bucket_ranges') AS f`, 'MODEL_OPTION'],
    [`ML.BUCKETIZE(pages, [20, 50], FALSE, 'bucket_names', 1) AS f`, 'MODEL_OPTION'],
    [`ML.QUANTILE_BUCKETIZE(pages, 4, 'bucket_ranges_json') OVER () AS f`, 'MODEL_OPTION'],
    ['ML.STANDARD_SCALER(pages, 1) OVER () AS f', 'MODEL_OPTION'],
    ['ML.ROBUST_SCALER(pages, [75, 25]) OVER () AS f', 'MODEL_OPTION'],
    ['ML.ROBUST_SCALER(pages, [10, 50, 90]) OVER () AS f', 'MODEL_OPTION'],
    ['ML.ROBUST_SCALER(pages, [25, 75], 0) OVER () AS f', 'MODEL_OPTION'],
    [`ML.IMPUTER(pages, 'mean', 3) OVER () AS f`, 'MODEL_OPTION'],
    [`ML.ONE_HOT_ENCODER(source, 'most_frequent') OVER () AS f`, 'MODEL_OPTION'],
    ['ML.LABEL_ENCODER(source, 3, 5, 7) OVER () AS f', 'MODEL_OPTION'],
    ['ML.FEATURE_CROSS(STRUCT(source, member, rare), 5) AS f', 'MODEL_OPTION'],
    ['ML.FEATURE_CROSS(STRUCT(source, Source)) AS f', 'MODEL_OPTION'],
    ['ML.POLYNOMIAL_EXPAND(STRUCT(pages, source)) AS f', 'MODEL_OPTION'],
    ['ML.POLYNOMIAL_EXPAND(STRUCT(pages, id), 2.5) AS f', 'MODEL_OPTION'],
    ['ML.STANDARD_SCALER(nosuch) OVER () AS f', 'SQL_FAILED'],
    ['ML.STANDARD_SCALER(pages + 1) OVER () AS f', 'SQL_SYNTAX'],
    ['ML.STANDARD_SCALER(pages)', 'SQL_SYNTAX'],
  ] as const)
    test(`${call} is refused as ${code}`, () => assert.rejects(ask(`CREATE MODEL bad TRANSFORM(bought, ${call}) ${TREES}`), refused(code)));
});
