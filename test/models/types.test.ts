import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Model } from '#learn';
import { openModelServer } from '../../src/platform/models/serve.ts';
import { fileOf, type House, openHouse, type Row, refused, VISITORS } from './fixture.ts';

describe('random forests, naive Bayes and money in CREATE MODEL', () => {
  let house: House;
  const create = (name: string, options: string) =>
    house.ask(
      `CREATE MODEL ${name} OPTIONS(${options}, input_label_cols = ['bought'], ignore_cols = ['id', 'spent']) AS SELECT * FROM visitors`,
    );
  const modelOf = (name: string) => fileOf(house, `main.${name}`, 1).model as Model;

  before(async () => {
    house = await openHouse();
    await house.ask(VISITORS);
  });
  after(() => house.close());

  test('a random forest has as many trees as it was told, and its scores are probabilities', async () => {
    await create('forest', `model_type = 'RANDOM_FOREST_CLASSIFIER', num_parallel_tree = 25, max_tree_depth = 6`);
    const { learned } = modelOf('forest');
    assert.equal(learned.kind, 'trees');
    // Uint32 or Int32: four bytes for each root.
    assert.equal(Buffer.from(learned.kind === 'trees' ? learned.forest.roots : '', 'base64').length / 4, 25);
    const [figures] = await house.ask('SELECT * FROM ML.EVALUATE(MODEL forest)');
    assert.ok(figures!['roc_auc'] > 0.85, JSON.stringify(figures));
    // Of a forest that adds its trees up the mean would be far from the share that bought.
    const [scores] = await house.ask(
      `SELECT min(p) AS lo, max(p) AS hi, avg(p) AS mean, (SELECT avg((bought = 'yes')::INT) FROM visitors) AS share
       FROM (SELECT predicted_bought_probs[2].prob AS p FROM ML.PREDICT(MODEL forest, TABLE visitors))`,
    );
    assert.ok(scores!['lo'] >= 0 && scores!['hi'] <= 1 && Math.abs(scores!['mean'] - scores!['share']) < 0.03, JSON.stringify(scores));
  });

  test('a random forest of numbers, and naive Bayes, predict better than the rule', async () => {
    await house.ask(
      `CREATE MODEL spending OPTIONS(model_type = 'RANDOM_FOREST_REGRESSOR', num_parallel_tree = 30, input_label_cols = ['spent'], ignore_cols = ['id', 'bought']) AS SELECT * FROM visitors`,
    );
    await create('bayes', `model_type = 'NAIVE_BAYES'`);
    const [spending] = await house.ask('SELECT * FROM ML.EVALUATE(MODEL spending)');
    const [bayes] = await house.ask('SELECT * FROM ML.EVALUATE(MODEL bayes)');
    assert.ok(spending!['r2_score'] > 0.6, JSON.stringify(spending));
    assert.ok(bayes!['roc_auc'] > 0.7, JSON.stringify(bayes));
  });

  test('with the value of a hit and the cost of a contact the report says what acting is worth', async () => {
    await create('worth', `model_type = 'BOOSTED_TREE_CLASSIFIER', max_iterations = 10, hit_value = 50, contact_cost = 10`);
    const { money } = modelOf('worth').report!;
    assert.deepEqual([money!.hit, money!.contact, money!.threshold], [50, 10, 0.2]);
  });

  test('with auto_class_weights all classes count alike: the mean score of both together is a half, not the share that bought', async () => {
    const meanOf = async (model: string) => {
      const [scores] = await house.ask(
        `SELECT avg(p) AS mean, avg(p) FILTER (bought = 'yes') / 2 + avg(p) FILTER (bought = 'no') / 2 AS alike
         FROM (SELECT bought, predicted_bought_probs[2].prob AS p FROM ML.PREDICT(MODEL ${model}, TABLE visitors))`,
      );
      return scores as { mean: number; alike: number };
    };
    await create('plain', `model_type = 'LOGISTIC_REG'`);
    await create('alike', `model_type = 'LOGISTIC_REG', auto_class_weights = true`);
    const [share] = await house.ask(`SELECT avg((bought = 'yes')::INT) AS bought FROM visitors`);
    // The score equations of a logistic model with an intercept (Hosmer, Lemeshow 2000, 1.2): the weighted mean of p is that of the label.
    const [plain, alike] = [await meanOf('plain'), await meanOf('alike')];
    assert.ok(Math.abs(plain.mean - share!['bought']) < 0.01 && plain.alike < 0.47, JSON.stringify(plain));
    assert.ok(Math.abs(alike.alike - 0.5) < 0.01 && alike.mean > plain.mean + 0.03, JSON.stringify(alike));
  });

  test('class_weights as BigQuery ML writes them: a row of a class that weighs three counts as three rows do', async () => {
    const scores = async (model: string) =>
      (await house.ask(`SELECT predicted_bought_probs[2].prob AS p FROM ML.PREDICT(MODEL ${model}, TABLE visitors) LIMIT 500`)).map(
        (row) => row['p'],
      );
    await create('thrice', `model_type = 'LOGISTIC_REG', class_weights = [STRUCT('yes' AS label, 3.0 AS weight), ('no', 1)]`);
    await house.ask(
      `CREATE MODEL weighed OPTIONS(model_type = 'LOGISTIC_REG', weight_col = 'w', input_label_cols = ['bought'], ignore_cols = ['id', 'spent'])
       AS SELECT *, CASE bought WHEN 'yes' THEN 3 ELSE 1 END AS w FROM visitors`,
    );
    assert.deepEqual(await scores('thrice'), await scores('weighed'));
    // The figures are of real rows: they count as many as were held out.
    const counted = await house.ask('SELECT * FROM ML.CONFUSION_MATRIX(MODEL thrice)');
    const { report } = modelOf('thrice');
    assert.equal(
      counted.reduce((sum, row) => sum + row['no'] + row['yes'], 0),
      report!.rows.judged,
    );
  });

  test('CUSTOM: the report is what ML.EVALUATE says of the rows that the column held out, and the column is no input', async () => {
    await house.ask(
      `CREATE MODEL held OPTIONS(model_type = 'BOOSTED_TREE_CLASSIFIER', max_iterations = 10, input_label_cols = ['bought'],
         ignore_cols = ['id', 'spent'], data_split_method = 'CUSTOM', data_split_col = 'later') AS SELECT *, id >= 3000 AS later FROM visitors`,
    );
    const [reported] = await house.ask('SELECT * FROM ML.EVALUATE(MODEL held)');
    const [given] = await house.ask('SELECT * FROM ML.EVALUATE(MODEL held, (SELECT * FROM visitors WHERE id >= 3000))');
    for (const [figure, value] of Object.entries(given!)) assert.ok(Math.abs(reported![figure] - value) < 1e-9, figure);
    assert.ok(!fileOf(house, 'main.held', 1).inputs.some(({ name }) => name === 'later'));
  });

  test('of three classes the area under the ROC curve is the mean of each against the others, as every pair of rows says', async () => {
    await house.ask(`CREATE TABLE three AS SELECT * REPLACE (CASE WHEN id < 3000 AND id % 97 = 0 THEN 'none'
      WHEN spent > 1.1 THEN 'much' WHEN spent > 0.7 THEN 'some' ELSE 'little' END AS bought), id >= 3000 AS later FROM visitors`);
    await house.ask(`CREATE MODEL thirds OPTIONS(model_type = 'BOOSTED_TREE_CLASSIFIER', max_iterations = 3, input_label_cols = ['bought'],
      ignore_cols = ['id', 'spent'], data_split_method = 'CUSTOM', data_split_col = 'later') AS SELECT * FROM three`);
    const rows = '(SELECT * FROM three WHERE id >= 3000)';
    const [reported] = await house.ask('SELECT roc_auc FROM ML.EVALUATE(MODEL thirds)');
    const [given] = await house.ask(`SELECT roc_auc FROM ML.EVALUATE(MODEL thirds, ${rows})`);
    // The class "none" is not in these rows, and counts for nothing.
    const [expected] = await house.ask(`WITH p AS (SELECT id, bought AS y, each.label AS label, each.prob AS p
        FROM ML.PREDICT(MODEL thirds, ${rows}), unnest(predicted_bought_probs) u(each)),
      pairs AS (SELECT a.label, avg(CASE WHEN a.p > b.p THEN 1 WHEN a.p = b.p THEN 0.5 ELSE 0 END) AS area
        FROM p a JOIN p b ON a.label = b.label AND a.y = a.label AND b.y <> b.label GROUP BY a.label)
      SELECT avg(area) AS area, count(*) AS classes, min(area) < 0.97 AS tells FROM pairs`);
    assert.deepEqual([expected!['classes'], expected!['tells']], [3, true]);
    for (const { roc_auc } of [reported!, given!] as { roc_auc: number }[])
      assert.ok(Math.abs(roc_auc - expected!['area']) < 1e-9, String(roc_auc));
  });

  test('SEQ with a fraction holds out the latest rows; the fractions of a search are those of its test and its choice', async () => {
    await create(
      'latest',
      `model_type = 'LOGISTIC_REG', data_split_method = 'SEQ', data_split_col = 'seen', data_split_eval_fraction = 0.35`,
    );
    const { rows, split } = modelOf('latest').report!;
    assert.equal(split.kind, 'time');
    assert.ok(Math.abs(rows.judged / rows.known - 0.35) < 0.01, JSON.stringify(rows));
    await create(
      'searched',
      `num_trials = 2, data_split_method = 'RANDOM', data_split_test_fraction = 0.25, data_split_eval_fraction = 0.15`,
    );
    const searched = modelOf('searched').report!.rows;
    assert.ok(Math.abs(searched.judged / searched.known - 0.25) < 0.001, JSON.stringify(searched));
  });

  test('AUTOML’s blend is explained: each row’s columns add up from the baseline to its probability, in SQL and over HTTP', async () => {
    await create('best', `num_trials = 4`);
    assert.equal(modelOf('best').learned.kind, 'blend');
    const rows = await house.ask(
      `SELECT e.*, p.predicted_bought_probs[2].prob AS p FROM ML.EXPLAIN_PREDICT(MODEL best, (SELECT * FROM visitors WHERE id < 200),
         STRUCT(9 AS top_k_features)) e JOIN ML.PREDICT(MODEL best, TABLE visitors) p USING (id)`,
    );
    assert.equal(rows.length, 200);
    for (const row of rows) {
      const moved = row['top_feature_attributions'] as { attribution: number }[];
      const sum = moved.reduce((total, { attribution }) => total + attribution, row['baseline_prediction_value']);
      assert.ok(Math.abs(sum - row['p']) < 1e-9 && Math.abs(row['prediction_value'] - row['p']) < 1e-9, JSON.stringify(row));
    }
    const told = await house.ask('SELECT feature FROM ML.GLOBAL_EXPLAIN(MODEL best)');
    assert.equal(told[0]!['feature'], 'pages');
    // Splits of the blend's trees count as their members do: taken apart, on the file's own arrays.
    const { learned, encoders } = modelOf('best');
    const place = encoders.findIndex(({ column }) => column === 'pages');
    assert.ok(encoders.slice(0, place).every(({ kind }) => kind === 'number' || kind === 'category'));
    const bytes = (packed: string) => new Uint8Array(Buffer.from(packed, 'base64')).buffer;
    const [count, gain] = (learned.kind === 'blend' ? learned.members : []).reduce(
      ([splits, gains], { weight, learned: member }) => {
        if (member.kind !== 'trees') return [splits, gains] as const;
        const own = new Float64Array(bytes(member.forest.gain)).filter(
          (_, node) => new Int32Array(bytes(member.forest.feature))[node] === place,
        );
        return [splits + weight * own.length, gains + weight * own.reduce((sum, each) => sum + each, 0)] as const;
      },
      [0, 0] as readonly [number, number],
    );
    const [first] = await house.ask('SELECT * FROM ML.FEATURE_IMPORTANCE(MODEL best)');
    assert.equal(first!['feature'], 'pages');
    assert.ok(count > 0 && Math.abs(first!['importance_weight'] / count - 1) < 1e-9, `${first!['importance_weight']} and not ${count}`);
    assert.ok(Math.abs((first!['importance_gain'] * count) / gain - 1) < 1e-9);
    const server = openModelServer(house.dataPath, (thrown) => assert.fail(thrown as Error));
    server.update(house.told());
    const [{ id: _id, ...asked }] = (await house.ask(
      'SELECT id, pages, source, member, epoch_ms(seen) AS seen FROM visitors WHERE id = 7',
    )) as [Row];
    const { predictions } = await server.predict('best', [{ ...asked, seen: Number(asked['seen']) }], true);
    const [of] = predictions[0]!['explanation'] as [{ scale: string; base: number; columns: Record<string, number> }];
    assert.equal(of.scale, 'answer');
    const sum = Object.values(of.columns).reduce((total, value) => total + value, of.base);
    assert.ok(Math.abs(sum - (predictions[0]!['probabilities'] as Record<string, number>)['yes']!) < 1e-9);
  });

  test('NO_SPLIT: the model predicts, nothing tells how good it is but other rows, and it is said', async () => {
    const told = await house.ask(
      `CREATE MODEL whole OPTIONS(model_type = 'LOGISTIC_REG', data_split_method = 'NO_SPLIT', input_label_cols = ['bought'],
         ignore_cols = ['id', 'spent']) AS SELECT * FROM visitors WHERE id < 2000`,
    );
    assert.ok(
      told.some(({ note }) => String(note).startsWith('not judged')) && told.every(({ value }) => value === null),
      JSON.stringify(told),
    );
    for (const call of ['EVALUATE', 'CONFUSION_MATRIX', 'ROC_CURVE', 'FEATURE_IMPORTANCE'])
      await assert.rejects(house.ask(`SELECT * FROM ML.${call}(MODEL whole)`), refused('MODEL_FUNCTION'));
    const [figures] = await house.ask('SELECT * FROM ML.EVALUATE(MODEL whole, (SELECT * FROM visitors WHERE id >= 2000))');
    assert.ok(figures!['roc_auc'] > 0.7, JSON.stringify(figures));
    const skew = await house.ask('SELECT input FROM ML.VALIDATE_DATA_SKEW(MODEL whole, TABLE visitors)');
    assert.ok(skew.length > 0 && skew.every(({ input }) => input !== '__SCORE__'));
  });

  for (const [options, option] of [
    [`class_weights = [STRUCT('yes', 2), STRUCT('yes', 3)]`, 'class_weights'],
    [`class_weights = [STRUCT('yes', 'much')]`, 'class_weights'],
    [`class_weights = ['yes', 'no']`, 'class_weights'],
    [`class_weights = [STRUCT('yes', 2)], auto_class_weights = true`, 'class_weights'],
    [`model_type = 'LINEAR_REG', class_weights = [STRUCT('yes', 2)]`, 'class_weights'],
    [`data_split_method = 'CUSTOM'`, 'data_split_col'],
    [`data_split_method = 'CUSTOM', data_split_col = 'nope'`, 'data_split_col'],
    [`data_split_method = 'RANDOM', data_split_col = 'seen'`, 'data_split_col'],
    [`data_split_method = 'CUSTOM', data_split_col = 'member', data_split_eval_fraction = 0.1`, 'data_split_eval_fraction'],
    [`data_split_method = 'NO_SPLIT', data_split_test_fraction = 0.1`, 'data_split_test_fraction'],
    [`data_split_eval_fraction = 1.5`, 'data_split_eval_fraction'],
    [`model_type = 'LOGISTIC_REG', data_split_test_fraction = 0.1`, 'data_split_test_fraction'],
    [`data_split_method = 'HALVES'`, 'data_split_method'],
    [`model_type = 'RANDOM_FOREST_CLASSIFIER', learn_rate = 0.1`, 'learn_rate'],
    [`model_type = 'RANDOM_FOREST_CLASSIFIER', max_iterations = 10`, 'max_iterations'],
    [`model_type = 'BOOSTED_TREE_CLASSIFIER', num_parallel_tree = 10`, 'num_parallel_tree'],
    [`model_type = 'BOOSTED_TREE_CLASSIFIER', contact_cost = 10`, 'contact_cost'],
    [`model_type = 'LINEAR_REG', hit_value = 10`, 'hit_value'],
    [`model_type = 'BOOSTED_TREE_REGRESSOR', hit_value = 10, contact_cost = 1`, 'hit_value'],
    [`model_type = 'BOOSTED_TREE_REGRESSOR', auto_class_weights = true`, 'auto_class_weights'],
    [`model_type = 'LOGISTIC_REG', auto_class_weights = 'yes'`, 'auto_class_weights'],
    [`model_type = 'LOGISTIC_REG', max_tree_depth = 3`, 'max_tree_depth'],
    [`model_type = 'LINEAR_REG', num_parallel_tree = 3`, 'num_parallel_tree'],
    [`model_type = 'NAIVE_BAYES', l2_reg = 1`, 'for one learner'],
  ] as const)
    test(`${options} means nothing, and is refused`, () => assert.rejects(create('bad', options), refused('MODEL_OPTION', { option })));
});
