import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Model } from '#learn';
import { fileOf, type House, openHouse, type Row, refused, TREES, VISITORS } from './fixture.ts';

let house: House;
const ask: House['ask'] = (sql, more) => house.ask(sql, more);
describe('models in SQL', { timeout: 120_000 }, () => {
  before(async () => {
    house = await openHouse();
    await ask(VISITORS);
    await ask(`CREATE MODEL buyers OPTIONS(${TREES}, input_label_cols = ['bought']) AS SELECT * FROM visitors WHERE id < 3000`);
  });
  after(() => house.close());

  test('ML.PREDICT gives every row once, in its order, with its own columns beside the prediction', async () => {
    const rows = await ask('SELECT * FROM ML.PREDICT(MODEL buyers, TABLE visitors)');
    assert.equal(rows.length, 4000);
    assert.deepEqual(Object.keys(rows[0]!), [
      'predicted_bought',
      'predicted_bought_probs',
      'id',
      'pages',
      'source',
      'seen',
      'member',
      'spent',
      'bought',
    ]);
    rows.forEach((row, at) => {
      assert.equal(row['id'], at);
      const [no, yes] = row['predicted_bought_probs'];
      assert.deepEqual([no.label, yes.label], ['no', 'yes']);
      assert.ok(Math.abs(no.prob + yes.prob - 1) < 1e-12);
      assert.equal(row['predicted_bought'], yes.prob > no.prob ? 'yes' : 'no');
    });
    const right = rows.filter((row) => row['id'] >= 3000 && row['predicted_bought'] === row['bought']).length;
    assert.ok(right > 900, `${right} of 1,000 unseen rows are right`);
  });

  test('the same rows get the same prediction in any order, from a query, a table, and beside a filter', async () => {
    const all = await ask('SELECT id, predicted_bought_probs[2].prob AS p FROM ML.PREDICT(MODEL buyers, TABLE visitors) ORDER BY id');
    const turned = await ask(
      'SELECT id, predicted_bought_probs[2].prob AS p FROM ML.PREDICT(MODEL buyers, (SELECT * FROM visitors WHERE id % 2 = 1 ORDER BY id DESC)) ORDER BY id',
    );
    assert.deepEqual(
      turned,
      all.filter((row) => row['id'] % 2 === 1),
    );
  });

  test('each of many rows is answered as it is among few, whatever is spelled in how many ways', async () => {
    await ask(`CREATE TABLE many AS SELECT id + n * 4000 AS id, pages, seen, member, CASE WHEN n < 3 THEN source WHEN id % 3 = 0 THEN NULL
      WHEN n = 3 THEN ' mail ' ELSE 'new ' || id || '_' || n END AS source, source AS known FROM visitors, range(6) t(n)`);
    const chances = (source: string, where: string) =>
      ask(`SELECT list(predicted_bought ORDER BY id) AS label, list(predicted_bought_probs[2].prob ORDER BY id) AS p
        FROM ML.PREDICT(MODEL buyers, (SELECT id, pages, seen, member, ${source} AS source FROM many WHERE ${where}))`);
    for (const source of ['source', 'known', 'NULL::VARCHAR']) {
      const [whole] = await chances(source, 'true');
      const pieces: unknown[][] = [[], []];
      for (let from = 0; from < 24_000; from += 8000) {
        const [piece] = await chances(source, `id >= ${from} AND id < ${from + 8000}`);
        pieces[0]!.push(...piece!['label']);
        pieces[1]!.push(...piece!['p']);
      }
      assert.equal(pieces[1]!.length, 24_000);
      assert.ok(pieces[1]!.every((p) => typeof p === 'number'));
      assert.deepEqual([whole!['label'], whole!['p']], pieces);
    }
    const explained = `SELECT count(prediction_value) AS n, count(predicted_bought) AS labels
      FROM ML.EXPLAIN_PREDICT(MODEL buyers, (SELECT * FROM many WHERE id < 500), STRUCT(1 AS top_k_features))`;
    assert.deepEqual(await ask(explained), [{ n: 500, labels: 500 }]);
  });

  test('calls stand in CTEs, joins and subqueries, see the CTEs before them, and nest', async () => {
    const [row] = await ask(`
      WITH few AS (SELECT * FROM visitors WHERE id < 50), "two (" AS MATERIALIZED (SELECT * FROM few WHERE id < 20),
        scored AS (SELECT id, predicted_bought AS guess FROM ML.PREDICT(MODEL buyers, (SELECT * FROM "two (" /* a ) in a comment */)))
      SELECT count(*) AS n, (SELECT count(*) FROM ML.PREDICT(MODEL main.buyers@1, TABLE few) p WHERE p.predicted_bought = 'yes') AS yes,
        (SELECT count(*) FROM ml.evaluate(model buyers, (SELECT * EXCLUDE (predicted_bought, predicted_bought_probs)
           FROM ML.PREDICT(MODEL buyers@champion, (SELECT * FROM few))))) AS evaluated
      FROM scored JOIN few USING (id)`);
    const [expected] = await ask(
      `SELECT count(*) AS yes FROM ML.PREDICT(MODEL buyers, TABLE visitors) WHERE id < 50 AND predicted_bought = 'yes'`,
    );
    assert.deepEqual(row, { n: 20, yes: expected!['yes'], evaluated: 1 });
  });

  test('parameters go to the part that has them', async () => {
    const sql = 'SELECT count(*) AS n FROM ML.PREDICT(MODEL buyers, (SELECT * FROM visitors WHERE id < $1)) WHERE id >= $2';
    assert.deepEqual(await ask(sql, { values: [100, 90] }), [{ n: 10 }]);
    const named = 'SELECT count(*) AS n FROM ML.PREDICT(MODEL buyers, (SELECT * FROM visitors WHERE id < $most))';
    assert.deepEqual(await ask(named, { values: { most: 7 } }), [{ n: 7 }]);
    await assert.rejects(
      ask('SELECT * FROM ML.PREDICT(MODEL buyers, (SELECT * FROM visitors WHERE id < ?))', { values: [1] }),
      refused('MODEL_CALL'),
    );
  });

  test('answers are written by CREATE TABLE AS and INSERT, and stay out of plain views', async () => {
    await ask('CREATE TABLE scored AS SELECT id, predicted_bought FROM ML.PREDICT(MODEL buyers, TABLE visitors) WHERE id < 10');
    await ask('INSERT INTO scored SELECT id, predicted_bought FROM ML.PREDICT(MODEL buyers, TABLE visitors) WHERE id >= 10');
    const [differing] = await ask(
      'SELECT count(*) AS n, count(*) FILTER (s.predicted_bought <> p.predicted_bought) AS other FROM scored s JOIN ML.PREDICT(MODEL buyers, TABLE visitors) p USING (id)',
    );
    assert.deepEqual(differing, { n: 4000, other: 0 });
    const refusal = refused('MODEL_CALL');
    await assert.rejects(ask('CREATE VIEW v AS SELECT * FROM ML.PREDICT(MODEL buyers, TABLE visitors)'), refusal);
  });

  test('ML.EVALUATE agrees with the same figures computed in SQL from the predictions', async () => {
    const [given] = await ask(
      'SELECT * FROM ML.EVALUATE(MODEL buyers, (SELECT * FROM visitors WHERE id >= 3000), STRUCT(0.3 AS threshold))',
    );
    const [expected] = await ask(`WITH p AS (
        SELECT bought = 'yes' AS y, predicted_bought_probs[2].prob AS p FROM ML.PREDICT(MODEL buyers, (SELECT * FROM visitors WHERE id >= 3000)))
      SELECT count(*) FILTER (y AND p >= 0.3) / count(*) FILTER (p >= 0.3) AS precision, count(*) FILTER (y AND p >= 0.3) / count(*) FILTER (y) AS recall,
        avg((y = (p >= 0.3))::INT) AS accuracy, avg(-ln(CASE WHEN y THEN p ELSE 1 - p END)) AS log_loss,
        (SELECT avg(CASE WHEN a.p > b.p THEN 1 WHEN a.p = b.p THEN 0.5 ELSE 0 END) FROM p a, p b WHERE a.y AND NOT b.y) AS roc_auc FROM p`);
    for (const [figure, value] of Object.entries(expected!))
      assert.ok(Math.abs(given![figure] - value) < 1e-9, `${figure}: ${given![figure]} and ${value}`);
    const { precision, recall } = expected as Record<string, number>;
    assert.ok(Math.abs(given!['f1_score'] - (2 * precision! * recall!) / (precision! + recall!)) < 1e-9);
  });

  test('ML.CONFUSION_MATRIX and ML.ROC_CURVE count the rows that the predictions count', async () => {
    const matrix = await ask('SELECT * FROM ML.CONFUSION_MATRIX(MODEL buyers, TABLE visitors)');
    const counts = await ask(
      'SELECT bought, predicted_bought AS guess, count(*) AS n FROM ML.PREDICT(MODEL buyers, TABLE visitors) GROUP BY ALL',
    );
    for (const row of matrix)
      for (const guess of ['no', 'yes'])
        assert.equal(row[guess], counts.find((each) => each['bought'] === row['expected_label'] && each['guess'] === guess)?.['n'] ?? 0);
    const [half] = await ask('SELECT * FROM ML.ROC_CURVE(MODEL buyers, TABLE visitors) WHERE threshold = 0.25');
    const [expected] = await ask(
      `SELECT count(*) FILTER (bought = 'yes') AS tp, count(*) FILTER (bought = 'no') AS fp FROM ML.PREDICT(MODEL buyers, TABLE visitors) WHERE predicted_bought_probs[2].prob >= 0.25`,
    );
    assert.deepEqual([half!['true_positives'], half!['false_positives']], [expected!['tp'], expected!['fp']]);
  });

  test('ML.ROC_CURVE at thresholds of one’s own: each as BigQuery writes them, with precision and recall as SQL counts them', async () => {
    const [list, more] = ['[0.1, 0.333, 0.9]', 'GENERATE_ARRAY(0.4, 0.6, 0.05)'];
    for (const [array, thresholds] of [
      [list, [0.1, 0.333, 0.9]],
      [more, [0.4, 0.45, 0.5, 0.55, 0.6]],
    ] as const) {
      const points = await ask(`SELECT *, true_positives / (true_positives + false_positives) AS precision
        FROM ML.ROC_CURVE(MODEL buyers, (SELECT * FROM visitors WHERE id >= 3000), ${array}) ORDER BY threshold`);
      assert.deepEqual(
        points.map((point) => point['threshold']),
        thresholds,
      );
      const expected =
        await ask(`WITH p AS (SELECT bought = 'yes' AS y, predicted_bought_probs[2].prob AS p FROM ML.PREDICT(MODEL buyers, (SELECT * FROM visitors WHERE id >= 3000)))
        SELECT count(*) FILTER (y AND p >= t) / count(*) FILTER (p >= t) AS precision, count(*) FILTER (y AND p >= t) / count(*) FILTER (y) AS recall,
          count(*) FILTER (NOT y AND p >= t) / count(*) FILTER (NOT y) AS false_positive_rate
        FROM p, (SELECT unnest([${thresholds.join(', ')}]) AS t) GROUP BY t ORDER BY t`);
      expected.forEach((row, k) => {
        for (const [figure, value] of Object.entries(row))
          assert.ok(Math.abs(points[k]![figure] - value) < 1e-12, `${figure} at ${thresholds[k]}`);
      });
    }
    assert.equal((await ask('SELECT * FROM ML.ROC_CURVE(MODEL buyers, TABLE visitors)')).length, 101);
    const held = await ask(
      'SELECT recall FROM ML.ROC_CURVE(MODEL buyers, [0.2]) UNION ALL SELECT recall FROM ML.ROC_CURVE(MODEL buyers) WHERE threshold = 0.2',
    );
    assert.equal(held[0]!['recall'], held[1]!['recall']);
    await assert.rejects(ask('SELECT * FROM ML.ROC_CURVE(MODEL buyers, [0.123])'), refused('MODEL_FUNCTION'));
  });

  test('a threshold moves the confusion matrix and the figures, of a table and of the rows held out in training', async () => {
    const at = 'STRUCT(0.2 AS threshold)';
    const [no, yes] = await ask(`SELECT * FROM ML.CONFUSION_MATRIX(MODEL buyers, TABLE visitors, ${at})`);
    const [counted] =
      await ask(`WITH p AS (SELECT bought, predicted_bought_probs[2].prob >= 0.2 AS hit FROM ML.PREDICT(MODEL buyers, TABLE visitors))
      SELECT count(*) FILTER (bought = 'no' AND NOT hit) AS tn, count(*) FILTER (bought = 'no' AND hit) AS fp,
        count(*) FILTER (bought = 'yes' AND NOT hit) AS fn, count(*) FILTER (bought = 'yes' AND hit) AS tp FROM p`);
    assert.deepEqual(
      [no!['no'], no!['yes'], yes!['no'], yes!['yes']],
      ['tn', 'fp', 'fn', 'tp'].map((of) => counted![of]),
    );
    const [point] = await ask('SELECT * FROM ML.ROC_CURVE(MODEL buyers) WHERE threshold = 0.2');
    const [heldNo, heldYes] = await ask(`SELECT * FROM ML.CONFUSION_MATRIX(MODEL buyers, ${at})`);
    assert.deepEqual(
      [heldNo!['no'], heldNo!['yes'], heldYes!['no'], heldYes!['yes']],
      ['true_negatives', 'false_positives', 'false_negatives', 'true_positives'].map((of) => point![of]),
    );
    const [figures] = await ask(`SELECT * FROM ML.EVALUATE(MODEL buyers, ${at})`);
    const [usual] = await ask('SELECT * FROM ML.EVALUATE(MODEL buyers)');
    assert.ok(Math.abs(figures!['recall'] - point!['recall']) < 1e-12);
    assert.ok(figures!['recall'] > usual!['recall'] && figures!['log_loss'] === usual!['log_loss']);
    await assert.rejects(ask('SELECT * FROM ML.EVALUATE(MODEL buyers, STRUCT(0.123 AS threshold))'), refused('MODEL_FUNCTION'));
  });

  test('ML.EXPLAIN_PREDICT adds up from the baseline to the log-odds of the prediction', async () => {
    const rows = await ask(
      'SELECT e.*, p.predicted_bought_probs[2].prob AS p FROM ML.EXPLAIN_PREDICT(MODEL buyers, (SELECT * FROM visitors WHERE id < 200), STRUCT(9 AS top_k_features)) e JOIN ML.PREDICT(MODEL buyers, TABLE visitors) p USING (id)',
    );
    assert.equal(rows.length, 200);
    for (const row of rows) {
      const sum = row['top_feature_attributions'].reduce(
        (total: number, each: { attribution: number }) => total + each.attribution,
        row['baseline_prediction_value'],
      );
      assert.ok(Math.abs(sum - row['prediction_value']) < 1e-9);
      assert.ok(Math.abs(1 / (1 + Math.exp(-row['prediction_value'])) - row['p']) < 1e-6);
    }
  });

  test('what is known of the training is read as tables', async () => {
    const features = await ask('SELECT * FROM ML.FEATURE_INFO(MODEL buyers) ORDER BY input');
    assert.deepEqual(
      features.map((row) => row['input']),
      ['member', 'pages', 'seen', 'source'],
    );
    const [pages] = await ask(
      'SELECT min(pages) AS min, max(pages) AS max, count(*) - count(pages) AS null_count, avg(pages) AS mean FROM visitors WHERE id < 3000',
    );
    for (const [figure, value] of Object.entries(pages!)) assert.ok(Math.abs(features[1]![figure] - value) < 1e-6, figure);
    assert.equal((await ask('SELECT * FROM ML.TRAINING_INFO(MODEL buyers)')).length, 1);
    assert.ok(features.every((row) => row['dimension'] === null));
    const [trial] = await ask('SELECT * FROM ML.TRIAL_INFO(MODEL buyers)');
    assert.equal(JSON.parse(trial!['hyperparameters']).rounds, 20);
    assert.deepEqual([trial!['trial_id'], trial!['is_optimal'], trial!['error_message']], [1, true, null]);
    const [round] = await ask('SELECT * FROM ML.TRAINING_INFO(MODEL buyers)');
    assert.deepEqual(
      [round!['iteration'], round!['loss'], round!['learning_rate'], round!['eval_loss']],
      [0, null, 0.1, trial!['eval_loss']],
    );
    const importance = await ask('SELECT * FROM ML.FEATURE_IMPORTANCE(MODEL buyers)');
    assert.equal(importance[0]!['feature'], 'pages');
    // Counted apart, on the file's own arrays.
    const { learned, encoders } = fileOf(house, 'main.buyers', 1).model as Model;
    assert.ok(learned.kind === 'trees');
    const doubles = (packed: string) => new Float64Array(new Uint8Array(Buffer.from(packed, 'base64')).buffer);
    const split = new Int32Array(new Uint8Array(Buffer.from(learned.forest.feature, 'base64')).buffer);
    const place = encoders.findIndex(({ column }) => column === 'pages');
    assert.ok(encoders.slice(0, place).every(({ kind }) => kind === 'number' || kind === 'category'));
    const nodes = [...split.keys()].filter((node) => split[node] === place);
    const mean = (values: Float64Array) => nodes.reduce((sum, node) => sum + values[node]! / nodes.length, 0);
    assert.equal(importance[0]!['importance_weight'], nodes.length);
    assert.ok(Math.abs(importance[0]!['importance_gain'] - mean(doubles(learned.forest.gain))) < 1e-9);
    assert.ok(Math.abs(importance[0]!['importance_cover'] - mean(doubles(learned.forest.cover))) < 1e-9);
    assert.equal(
      importance.reduce((sum, row) => sum + row['importance_weight'], 0),
      split.filter((f) => f >= 0).length,
    );
    assert.equal((await ask('SELECT * FROM ML.GLOBAL_EXPLAIN(MODEL buyers)'))[0]!['feature'], 'pages');
  });

  test('ML.WEIGHTS of a linear model predict what ML.PREDICT predicts', async () => {
    await ask(
      `CREATE MODEL line OPTIONS(model_type = 'LINEAR_REG', input_label_cols = ['spent']) AS SELECT pages, source, spent FROM visitors WHERE pages IS NOT NULL`,
    );
    const [first] = await ask('SELECT * FROM ML.FEATURE_IMPORTANCE(MODEL line)');
    assert.deepEqual([first!['importance_weight'], first!['importance_gain'], first!['importance_cover']], [null, null, null]);
    const weights = await ask('SELECT * FROM ML.WEIGHTS(MODEL line)');
    assert.deepEqual(Object.keys(weights[0]!), ['processed_input', 'weight', 'category_weights']);
    const read = (rows: Row[], input: string, category?: string) => {
      const row = rows.find((each) => each['processed_input'] === input)!;
      return category === undefined ? row['weight'] : row['category_weights'].find((each: Row) => each['category'] === category)['weight'];
    };
    const standard = await ask('SELECT * FROM ML.WEIGHTS(MODEL line, STRUCT(true AS standardize))');
    const [stats] = await ask('SELECT avg(pages) AS mean, stddev_pop(pages) AS deviation FROM visitors');
    const rows = await ask('SELECT * FROM ML.PREDICT(MODEL line, (SELECT * FROM visitors WHERE pages IS NOT NULL LIMIT 50))');
    for (const row of rows) {
      const own = read(weights, '__INTERCEPT__') + read(weights, 'pages') * row['pages'] + read(weights, 'source', row['source']);
      const scaled =
        read(standard, '__INTERCEPT__') +
        (read(standard, 'pages') * (row['pages'] - stats!['mean'])) / stats!['deviation'] +
        read(standard, 'source', row['source']);
      for (const expected of [own, scaled])
        assert.ok(Math.abs(row['predicted_spent'] - expected) < 1e-5, `${row['predicted_spent']} and ${expected}`);
    }
    // A number that is missing counts what its row says of that.
    const [lost] = await ask(`SELECT * FROM ML.PREDICT(MODEL line, (SELECT NULL::BIGINT AS pages, 'mail' AS source))`);
    const missing = read(weights, '__INTERCEPT__') + read(weights, 'pages', 'missing') + (read(weights, 'source', 'mail') ?? 0);
    assert.ok(Math.abs(lost!['predicted_spent'] - missing) < 1e-5, `${lost!['predicted_spent']} and ${missing}`);
    await assert.rejects(ask('SELECT * FROM ML.WEIGHTS(MODEL buyers)'), refused('MODEL_FUNCTION'));
    await assert.rejects(ask('SELECT * FROM ML.CONFUSION_MATRIX(MODEL line)'), refused('MODEL_FUNCTION'));
  });

  test('labels that differ only in case, or are called like a column of the answer, have their own columns in the confusion matrix', async () => {
    await ask(`CREATE MODEL cased OPTIONS(model_type = 'BOOSTED_TREE_CLASSIFIER', max_iterations = 3, ignore_cols = ['id', 'spent'], input_label_cols = ['bought'])
      AS SELECT * REPLACE (CASE WHEN bought = 'no' THEN 'expected_label' WHEN id % 2 = 0 THEN 'yes' ELSE 'YES' END AS bought) FROM visitors`);
    const [first, ...others] = await ask('SELECT * FROM ML.CONFUSION_MATRIX(MODEL cased)');
    assert.deepEqual(Object.keys(first!), ['expected_label', 'YES', 'expected_label_1', 'yes_1']);
    assert.deepEqual(
      [first!, ...others].map((row) => row['expected_label']),
      ['YES', 'expected_label', 'yes'],
    );
    await ask('DROP MODEL cased');
  });

  test('a column to leave out may be spelled in any case', async () => {
    await ask(`CREATE MODEL spelled OPTIONS(model_type = 'BOOSTED_TREE_CLASSIFIER', max_iterations = 2, ignore_cols = ['ID', 'Spent'],
      input_label_cols = ['bought']) AS SELECT * FROM visitors`);
    const { encoders } = fileOf(house, 'main.spelled', 1).model as Model;
    assert.deepEqual(
      encoders.map(({ column }) => column),
      ['pages', 'source', 'seen', 'member'],
    );
    await ask('DROP MODEL spelled');
  });

  test('a number is compared with numbers: others are refused, infinite ones are unknown as in training', async () => {
    await ask(`CREATE MODEL sums OPTIONS(model_type = 'BOOSTED_TREE_REGRESSOR', max_iterations = 5, ignore_cols = ['id', 'bought'],
      input_label_cols = ['spent']) AS SELECT * FROM visitors`);
    const figures = (spent: string) => ask(`SELECT * FROM ML.EVALUATE(MODEL sums, (SELECT * REPLACE (${spent} AS spent) FROM visitors))`);
    await assert.rejects(figures("CASE WHEN id = 7 THEN 'much' ELSE spent::VARCHAR END"), refused('MODEL_FUNCTION'));
    await assert.rejects(figures('seen'), refused('MODEL_FUNCTION'));
    assert.deepEqual(
      await figures(`CASE WHEN id % 10 = 7 THEN 'inf'::DOUBLE ELSE spent END`),
      await figures('CASE WHEN id % 10 <> 7 THEN spent END'),
    );
    assert.deepEqual(await figures('spent::VARCHAR'), await figures('spent'));
    await ask('DROP MODEL sums');
  });

  test('regression figures agree with SQL', async () => {
    const [given] = await ask('SELECT * FROM ML.EVALUATE(MODEL line, TABLE visitors)');
    const [expected] =
      await ask(`SELECT avg(abs(predicted_spent - spent)) AS mean_absolute_error, avg((predicted_spent - spent)**2) AS mean_squared_error,
        median(abs(predicted_spent - spent)) AS median_absolute_error, 1 - avg((predicted_spent - spent)**2) / var_pop(spent) AS r2_score,
        1 - var_pop(predicted_spent - spent) / var_pop(spent) AS explained_variance FROM ML.PREDICT(MODEL line, TABLE visitors)`);
    for (const [figure, value] of Object.entries(expected!)) assert.ok(Math.abs(given![figure] - value) < 1e-9, figure);
  });

  test('TRANSFORM is applied to what is predicted as it was to what was learned, and the label may be absent there', async () => {
    await ask(`CREATE MODEL made TRANSFORM(pages // 10 AS tens, upper(source) AS source, date_part('hour', seen) AS hour, bought)
      OPTIONS(model_type = 'BOOSTED_TREE_CLASSIFIER', max_iterations = 10, input_label_cols = ['bought']) AS SELECT * FROM visitors`);
    const plain = await ask(
      'SELECT predicted_bought_probs[2].prob AS p FROM ML.PREDICT(MODEL made, (SELECT pages, source, seen FROM visitors WHERE id < 30))',
    );
    const moved = await ask(
      'SELECT predicted_bought_probs[2].prob AS p FROM ML.PREDICT(MODEL made, (SELECT pages // 10 * 10 AS pages, lower(source) AS source, seen FROM visitors WHERE id < 30))',
    );
    assert.deepEqual(plain, moved);
  });

  test('a label that was a flag or a whole number comes back as one', async () => {
    await ask(`CREATE MODEL members OPTIONS(${TREES}, input_label_cols = ['member']) AS SELECT * FROM visitors`);
    const [row] = await ask(
      'SELECT predicted_member, typeof(predicted_member) AS type, predicted_member_probs[1].label AS label FROM ML.PREDICT(MODEL members, TABLE visitors) LIMIT 1',
    );
    assert.equal(row!['type'], 'BOOLEAN');
    assert.equal(row!['label'], false);
  });

  test('nobody reads through a call what the same person can not read without it', async () => {
    const viewer = { role: 'viewer' } as const;
    await assert.rejects(ask('SELECT * FROM ML.PREDICT(MODEL buyers, TABLE millrace.quarantine)', viewer), refused('SQL_TABLE'));
    await assert.rejects(
      ask(`SELECT * FROM ML.PREDICT(MODEL buyers, (SELECT * FROM read_csv('/etc/passwd')))`, viewer),
      refused('SQL_FUNCTION'),
    );
    await assert.rejects(
      ask(`SELECT * FROM ML.PREDICT(MODEL buyers, (SELECT * FROM visitors); DROP TABLE visitors; --))`, viewer),
      refused('MODEL_CALL'),
    );
    await assert.rejects(ask('SELECT * FROM ML.PREDICT(MODEL buyers, (DROP TABLE visitors))', viewer), refused('SQL_SYNTAX'));
    await assert.rejects(ask('CREATE TABLE x AS SELECT * FROM ML.PREDICT(MODEL buyers, TABLE visitors)', viewer), refused('SQL_KIND'));
    await assert.rejects(ask(`CREATE MODEL mine OPTIONS(${TREES}) AS SELECT * FROM visitors`, viewer), refused('SQL_KIND'));
    await assert.rejects(ask('SELECT * FROM temp.golden', viewer), refused('SQL_TABLE'));
    assert.equal((await ask('SELECT count(*) AS n FROM ML.PREDICT(MODEL buyers, TABLE visitors)', viewer))[0]!['n'], 4000);
  });

  test('two questions at a time do not see each other’s answers', async () => {
    const counts = await Promise.all(
      [10, 20, 30].map((n) => ask(`SELECT count(*) AS n FROM ML.PREDICT(MODEL buyers, (SELECT * FROM visitors WHERE id < ${n}))`)),
    );
    assert.deepEqual(counts.flat(), [{ n: 10 }, { n: 20 }, { n: 30 }]);
  });

  test('an error inside a call names the place in the text that was sent', async () => {
    await assert.rejects(
      ask('SELECT 1,\n  2 FROM ML.PREDICT(MODEL buyers,\n    (SELECT nope(id) FROM visitors))'),
      refused('SQL_FUNCTION', { line: 3, column: 13 }),
    );
    await assert.rejects(
      ask('SELECT *\nFROM ML.PREDICT(MODEL buyers, TABLE visitors) p\nJOIN nosuch USING (id)'),
      refused('SQL_TABLE', { line: 3, column: 6 }),
    );
  });

  test('what is no call of a model is left to the text', async () => {
    assert.deepEqual(await ask(`SELECT 'ML.PREDICT(MODEL buyers, TABLE visitors)' AS text -- ML.PREDICT(MODEL x`), [
      { text: 'ML.PREDICT(MODEL buyers, TABLE visitors)' },
    ]);
    await ask('CREATE SCHEMA ml');
    await ask('CREATE TABLE ml.model AS SELECT 1 AS one');
    assert.deepEqual(await ask('SELECT ml.model.one FROM ml.model'), [{ one: 1 }]);
  });

  for (const [sql, expected] of [
    ['SELECT * FROM ML.PREDICT(MODEL nope, TABLE visitors)', 'MODEL_UNKNOWN'],
    ['SELECT * FROM ML.PREDICT(MODEL buyers@9, TABLE visitors)', 'MODEL_UNKNOWN'],
    ['SELECT * FROM ML.PREDICT(MODEL buyers)', 'MODEL_CALL'],
    ['SELECT * FROM ML.PREDICT(MODEL buyers, TABLE visitors', 'MODEL_CALL'],
    ['SELECT * FROM ML.GUESS(MODEL buyers, TABLE visitors)', 'MODEL_CALL'],
    ['SELECT * FROM ML.PREDICT(MODEL buyers, TABLE visitors, STRUCT(1 AS k))', 'MODEL_CALL'],
    ['SELECT * FROM ML.WEIGHTS(MODEL buyers, TABLE visitors)', 'MODEL_CALL'],
    ['SELECT * FROM ML.PREDICT(MODEL buyers, TABLE visitors, [0.5])', 'MODEL_CALL'],
    ['SELECT * FROM ML.ROC_CURVE(MODEL buyers, TABLE visitors, [0.5], [0.6])', 'MODEL_CALL'],
    [`SELECT * FROM ML.ROC_CURVE(MODEL buyers, TABLE visitors, ['half'])`, 'MODEL_CALL'],
    ['SELECT * FROM ML.ROC_CURVE(MODEL buyers, TABLE visitors, [0.5)', 'MODEL_CALL'],
    ['SELECT * FROM ML.ROC_CURVE(MODEL buyers, TABLE visitors, [1.5])', 'MODEL_FUNCTION'],
    ['SELECT * FROM ML.ROC_CURVE(MODEL buyers, TABLE visitors, GENERATE_ARRAY(0, 1, 0))', 'MODEL_CALL'],
    ['SELECT * FROM ML.ROC_CURVE(MODEL buyers, TABLE visitors, GENERATE_ARRAY(0, 1, 0.00001))', 'MODEL_CALL'],
    ['SELECT * FROM ML.PREDICT(MODEL buyers, TABLE visitors, STRUCT(2 AS threshold))', 'MODEL_FUNCTION'],
    ['SELECT * FROM ML.EVALUATE(MODEL buyers, (SELECT * EXCLUDE (bought) FROM visitors))', 'MODEL_FUNCTION'],
    [`SELECT * FROM ML.EVALUATE(MODEL buyers, (SELECT * REPLACE ('perhaps' AS bought) FROM visitors))`, 'MODEL_FUNCTION'],
    ['SELECT * FROM ML.EVALUATE(MODEL buyers, (SELECT * FROM visitors WHERE false))', 'MODEL_EMPTY'],
    ['SELECT * FROM ML.PREDICT(MODEL buyers, (SELECT pages AS clicks, source, seen, member FROM visitors))', 'MODEL_INPUT'],
    [`SELECT * FROM ML.PREDICT(MODEL buyers, (SELECT * REPLACE ('many' AS pages) FROM visitors))`, 'MODEL_INPUT'],
    ['SELECT * FROM ML.PREDICT(MODEL buyers, (SELECT * REPLACE ([pages] AS pages) FROM visitors))', 'MODEL_COLUMN'],
    ['SELECT * FROM ML.PREDICT(MODEL buyers, (SELECT * REPLACE (seen AS pages) FROM visitors))', 'MODEL_INPUT'],
    ['SELECT * FROM ML.PREDICT(MODEL buyers, (SELECT * REPLACE (seen AS source) FROM visitors))', 'MODEL_INPUT'],
    ['SELECT * FROM ML.PREDICT(MODEL buyers, (SELECT * REPLACE (epoch(seen) AS seen) FROM visitors))', 'MODEL_INPUT'],
    [`CREATE MODEL m OPTIONS(input_label_cols = ['bought'], ignore_cols = ['id', 'spend']) AS SELECT * FROM visitors`, 'MODEL_OPTION'],
    [`CREATE MODEL m OPTIONS(model_type = 'KMEANS', ignore_cols = ['id', 'spend']) AS SELECT * FROM visitors`, 'MODEL_OPTION'],
    [`CREATE MODEL m OPTIONS(model_type = 'AUTOML_CLASSIFIER', input_label_cols = ['seen']) AS SELECT * FROM visitors`, 'LEARN_TARGET'],
    [`CREATE MODEL m OPTIONS(input_label_cols = ['spent'], hit_value = 5) AS SELECT * FROM visitors`, 'LEARN_PLAN'],
    [`CREATE MODEL buyers OPTIONS(${TREES}, input_label_cols = ['bought']) AS SELECT * FROM visitors`, 'MODEL_EXISTS'],
    [`CREATE MODEL m OPTIONS(model_type = 'ARIMA_PLUS') AS SELECT * FROM visitors`, 'MODEL_TYPE'],
    [`CREATE MODEL m OPTIONS(${TREES}) AS SELECT * FROM visitors`, 'MODEL_OPTION'],
    [`CREATE MODEL m OPTIONS(input_label_cols = ['bought'], budget = 'soon') AS SELECT * FROM visitors`, 'MODEL_OPTION'],
    [`CREATE MODEL m OPTIONS(input_label_cols = ['bought'], learn_rate = 0.1) AS SELECT * FROM visitors`, 'MODEL_OPTION'],
    [
      `CREATE MODEL m OPTIONS(model_type = 'BOOSTED_TREE_CLASSIFIER', input_label_cols = ['bought'], learn_rate = 7) AS SELECT * FROM visitors`,
      'LEARN_PLAN',
    ],
    [`CREATE MODEL m OPTIONS(input_label_cols = ['bought']) AS SELECT * FROM visitors WHERE false`, 'MODEL_EMPTY'],
    [`CREATE MODEL m OPTIONS(input_label_cols = ['bought']) AS SELECT bought, 1 AS one FROM visitors`, 'LEARN_FEATURES'],
    [`CREATE MODEL m OPTIONS(input_label_cols = ['bought']) AS SELECT bought, [pages] AS list FROM visitors`, 'MODEL_COLUMN'],
    [`CREATE MODEL m TRANSFORM(*) OPTIONS(input_label_cols = ['bought']) AS SELECT * FROM visitors`, 'MODEL_OPTION'],
    [`CREATE MODEL m TRANSFORM((SELECT 1) AS x, bought) OPTIONS(input_label_cols = ['bought']) AS SELECT * FROM visitors`, 'MODEL_OPTION'],
    ...[
      '(FROM visitors LIMIT 1)',
      '(TABLE visitors)',
      '(VALUES (1))',
      'EXISTS (FROM visitors)',
      'pages IN (TABLE visitors)',
      'array(FROM visitors)',
      'list_transform([1], lambda x: x + (WITH t AS (FROM visitors) FROM t LIMIT 1))',
      '(DESCRIBE visitors)',
      'struct_pack(a := (FROM visitors))',
    ].map(
      (query) =>
        [
          `CREATE MODEL m TRANSFORM(${query} AS x, bought) OPTIONS(input_label_cols = ['bought']) AS SELECT * FROM visitors`,
          'MODEL_OPTION',
        ] as const,
    ),
    [`CREATE MODEL millrace.m OPTIONS(input_label_cols = ['bought']) AS SELECT * FROM visitors`, 'SQL_WRITE'],
    ['DROP MODEL nope', 'MODEL_UNKNOWN'],
  ] as const) {
    test(`${sql.slice(0, 110)} is refused as ${expected}`, () => assert.rejects(ask(sql), refused(expected)));
  }
});
