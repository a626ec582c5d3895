import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Model } from '#learn';
import { fileOf, type House, openHouse, refused, VISITORS } from './fixture.ts';

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

  for (const [options, option] of [
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
    test(`${options} would change nothing, and is refused`, () =>
      assert.rejects(create('bad', options), refused('MODEL_OPTION', { option })));
});
