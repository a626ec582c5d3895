import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Model } from '#learn';
import { unpackForest } from '../../src/learn/model.ts';
import { fileOf, type House, openHouse, type Row, refused, VISITORS } from './fixture.ts';

describe('how trees grow, in CREATE MODEL', () => {
  let house: House;
  const create = (name: string, label: string, options: string, from = 'visitors') => {
    const other = label === 'spent' ? 'bought' : 'spent';
    return house.ask(
      `CREATE MODEL ${name} OPTIONS(${options}, input_label_cols = ['${label}'], ignore_cols = ['id', '${other}']) AS SELECT * FROM ${from}`,
    );
  };
  const number = (name: string, options: string) =>
    create(name, 'spent', `model_type = 'BOOSTED_TREE_REGRESSOR', max_iterations = 40, ${options}`);
  const modelOf = (name: string) => fileOf(house, `main.${name}`, 1).model as Model;
  const forestOf = (name: string) => {
    const { learned } = modelOf(name);
    assert.ok(learned.kind === 'trees');
    return unpackForest(learned.forest);
  };
  /** Predictions over a grid of pages and sources. */
  const grid = (name: string, answer: string) =>
    house.ask(`SELECT pages, source, ${answer} AS p FROM ML.PREDICT(MODEL ${name}, (SELECT p AS pages, s AS source, false AS member,
      TIMESTAMP '2026-01-10' AS seen FROM range(0, 100, 3) t(p), unnest(['mail', 'ad']) u(s))) ORDER BY source, pages`);
  const steps = (rows: Row[]) =>
    rows.flatMap((row, at) => (at > 0 && rows[at - 1]!['source'] === row['source'] ? [row['p'] - rows[at - 1]!['p']] : []));

  before(async () => {
    house = await openHouse();
    await house.ask(VISITORS);
  });
  after(() => house.close());

  test('a quantile: so large a share of the rows lies below what is predicted', async () => {
    for (const alpha of [0.1, 0.9]) {
      const name = `quantile_${alpha * 10}`;
      await number(name, `objective = 'reg:quantileerror', quantile_alpha = ${alpha}`);
      const [found] = await house.ask(
        `SELECT avg((spent <= predicted_spent)::INT) AS share FROM ML.PREDICT(MODEL ${name}, TABLE visitors)`,
      );
      assert.ok(Math.abs(found!['share'] - alpha) < 0.04, JSON.stringify(found));
    }
  });

  test('a loss for counts and amounts: no prediction is negative, and all together are what was there', async () => {
    for (const objective of ['count:poisson', 'reg:tweedie', 'huber', 'reg:absoluteerror']) {
      const name = objective.replace(/\W/g, '_');
      await number(name, `objective = '${objective}'`);
      const [found] = await house.ask(
        `SELECT min(predicted_spent) AS least, avg(predicted_spent) / avg(spent) AS of FROM ML.PREDICT(MODEL ${name}, TABLE visitors)`,
      );
      assert.ok(found!['least'] > 0 && Math.abs(found!['of'] - 1) < 0.03, `${objective}: ${JSON.stringify(found)}`);
    }
    // What the losses are set by changes what is learned.
    for (const [objective, option, values] of [
      ['reg:tweedie', 'tweedie_variance_power', [1.1, 1.9]],
      ['huber', 'huber_slope', [0.01, 10]],
    ] as const) {
      for (const [at, value] of values.entries()) await number(`${option}_${at}`, `objective = '${objective}', ${option} = ${value}`);
      assert.notEqual(modelOf(`${option}_0`).hash, modelOf(`${option}_1`).hash);
    }
  });

  test('monotone_constraints: with a column the prediction only rises or falls, in a search too', async () => {
    await number('free', `seed = 1`);
    assert.ok(steps(await grid('free', 'predicted_spent')).some((step) => step > 0.01));
    await number('falling', `monotone_constraints = [STRUCT('pages' AS name, -1 AS direction)]`);
    assert.ok(steps(await grid('falling', 'predicted_spent')).every((step) => step <= 1e-12));
    await create('searched', 'bought', `num_trials = 3, monotone_constraints = [('pages', 1)]`);
    assert.ok(steps(await grid('searched', 'predicted_bought_probs[2].prob')).every((step) => step >= -1e-12));
  });

  test('interaction_constraints: columns that may not meet add up', async () => {
    const apart = (rows: Row[]) => {
      const [ad, mail] = ['ad', 'mail'].map((source) => rows.filter((row) => row['source'] === source));
      const gaps = ad!.map((row, at) => row['p'] - mail![at]!['p']);
      return Math.max(...gaps) - Math.min(...gaps);
    };
    assert.ok(apart(await grid('free', 'predicted_spent')) > 1e-3);
    await number('alone', `interaction_constraints = [STRUCT('pages'), STRUCT('source', 'member')]`);
    assert.ok(apart(await grid('alone', 'predicted_spent')) < 1e-9);
  });

  test('grow_policy, max_leaves and max_bin bound the trees', async () => {
    await number('stumps', `grow_policy = 'depthwise', max_tree_depth = 1, max_bin = 8`);
    const stumps = forestOf('stumps');
    assert.deepEqual([...new Set(stumps.roots.map((root, at) => root - 3 * at))], [0]);
    const cuts = new Set(
      stumps.threshold.filter((_, node) => stumps.feature[node] === modelOf('stumps').encoders.findIndex((e) => e.column === 'pages')),
    );
    assert.ok(cuts.size > 1 && cuts.size <= 8, String(cuts.size));
    await number('three', `grow_policy = 'LOSSGUIDE', max_leaves = 3`);
    assert.equal(Math.max(...forestOf('three').roots.map((root, at, roots) => root - (roots[at - 1] ?? root))), 5);
  });

  test('extra_trees: cuts are drawn, of boosted trees and of forests', async () => {
    await create('drawn', 'bought', `model_type = 'BOOSTED_TREE_CLASSIFIER', max_iterations = 40, extra_trees = true`);
    await create('drawn_forest', 'spent', `model_type = 'RANDOM_FOREST_REGRESSOR', num_parallel_tree = 30, extra_trees = true`);
    const [drawn] = await house.ask('SELECT * FROM ML.EVALUATE(MODEL drawn)');
    const [forest] = await house.ask('SELECT * FROM ML.EVALUATE(MODEL drawn_forest)');
    assert.ok(drawn!['roc_auc'] > 0.8 && forest!['r2_score'] > 0.6, JSON.stringify([drawn, forest]));
    // Best cuts between the whole numbers of pages are halves of them; drawn ones are anywhere.
    const { feature, threshold } = forestOf('drawn_forest');
    const pages = modelOf('drawn_forest').encoders.findIndex(({ column }) => column === 'pages');
    assert.ok(new Set(threshold.filter((_, node) => feature[node] === pages)).size > 30);
  });

  test('label_time_col: a column that holds later times is told of', async () => {
    const told = await create(
      'timed',
      'bought',
      `model_type = 'BOOSTED_TREE_CLASSIFIER', max_iterations = 5, label_time_col = 'seen'`,
      `(SELECT *, seen + INTERVAL 2 DAY AS paid FROM visitors)`,
    );
    assert.ok(
      told.some(({ note }) => String(note).includes('"paid" holds times after "seen"')),
      JSON.stringify(told),
    );
  });

  for (const [options, option] of [
    [`model_type = 'BOOSTED_TREE_REGRESSOR', objective = 'reg:pseudohubererror'`, 'objective'],
    [`model_type = 'BOOSTED_TREE_CLASSIFIER', objective = 'count:poisson'`, 'objective'],
    [`model_type = 'RANDOM_FOREST_REGRESSOR', objective = 'count:poisson'`, 'objective'],
    [`model_type = 'AUTOML_REGRESSOR', objective = 'count:poisson'`, 'objective'],
    [`model_type = 'BOOSTED_TREE_REGRESSOR', quantile_alpha = 0.9`, 'quantile_alpha'],
    [`model_type = 'BOOSTED_TREE_REGRESSOR', objective = 'huber', tweedie_variance_power = 1.5`, 'tweedie_variance_power'],
    [`model_type = 'BOOSTED_TREE_REGRESSOR', monotone_constraints = [STRUCT('nope', 1)]`, 'monotone_constraints'],
    [`model_type = 'BOOSTED_TREE_REGRESSOR', monotone_constraints = [STRUCT('pages', 2)]`, 'monotone_constraints'],
    [`model_type = 'BOOSTED_TREE_REGRESSOR', monotone_constraints = [('pages', 1), ('pages', -1)]`, 'monotone_constraints'],
    [`model_type = 'BOOSTED_TREE_REGRESSOR', monotone_constraints = 'pages'`, 'monotone_constraints'],
    [`model_type = 'NAIVE_BAYES', monotone_constraints = [('pages', 1)]`, 'monotone_constraints'],
    [`model_type = 'LINEAR_REG', monotone_constraints = [('pages', 1)]`, 'monotone_constraints'],
    [`model_type = 'BOOSTED_TREE_REGRESSOR', interaction_constraints = [STRUCT('pages', 'nope')]`, 'interaction_constraints'],
    [`model_type = 'BOOSTED_TREE_REGRESSOR', interaction_constraints = ['pages', 'source']`, 'interaction_constraints'],
    [`model_type = 'AUTOML', interaction_constraints = [('pages', 'source')]`, 'for one learner'],
    [`model_type = 'BOOSTED_TREE_REGRESSOR', grow_policy = 'symmetric'`, 'grow_policy'],
    [`model_type = 'BOOSTED_TREE_REGRESSOR', extra_trees = 1`, 'extra_trees'],
    [`model_type = 'AUTOML', max_bin = 30`, 'for one learner'],
    [`label_time_col = 'nope'`, 'label_time_col'],
    [`label_time_col = 3`, 'label_time_col'],
  ] as const)
    test(`${options} is refused`, () => assert.rejects(create('bad', 'bought', options), refused('MODEL_OPTION', { option })));

  for (const options of [`max_bin = 1000`, `objective = 'reg:quantileerror', quantile_alpha = 1`, `monotone_constraints = [('source', 1)]`])
    test(`${options} is refused by what is learned`, () => assert.rejects(number('bad', options), refused('LEARN_PLAN')));
});
