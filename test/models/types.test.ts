import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Model } from '#learn';
import { modelPath, readModelFile } from '../../src/platform/models/file.ts';
import { type House, openHouse, refused, VISITORS } from './fixture.ts';

describe('random forests, naive Bayes and money in CREATE MODEL', () => {
  let house: House;
  const create = (name: string, options: string) =>
    house.ask(
      `CREATE MODEL ${name} OPTIONS(${options}, input_label_cols = ['bought'], ignore_cols = ['id', 'spent']) AS SELECT * FROM visitors`,
    );
  const modelOf = (name: string) => {
    const { hash } = house.models.list().find((each) => each.name === `main.${name}`)!.versions[0]!;
    return readModelFile(modelPath(house.dataPath, `main.${name}`, 1), { name: `main.${name}`, version: 1, hash }).model as Model;
  };

  before(async () => {
    house = await openHouse();
    await house.ask(VISITORS);
  });
  after(() => house.close());

  test('a random forest has as many trees as it was told, and the mean of what its leaves hold is a probability', async () => {
    await create('forest', `model_type = 'RANDOM_FOREST_CLASSIFIER', num_parallel_tree = 25, max_tree_depth = 6`);
    const { learned } = modelOf('forest');
    assert.equal(learned.kind, 'trees');
    // Uint32 or Int32: four bytes for each root.
    assert.equal(Buffer.from(learned.kind === 'trees' ? learned.forest.roots : '', 'base64').length / 4, 25);
    const [figures] = await house.ask('SELECT * FROM ML.EVALUATE(MODEL forest)');
    assert.ok(figures!['roc_auc'] > 0.85, JSON.stringify(figures));
  });

  test('a random forest of numbers, and naive Bayes, predict better than the rule', async () => {
    await house.ask(
      `CREATE MODEL spending OPTIONS(model_type = 'RANDOM_FOREST_REGRESSOR', num_parallel_tree = 30, input_label_cols = ['spent'], ignore_cols = ['id', 'bought']) AS SELECT * FROM visitors`,
    );
    const [[spending], [bayes]] = [
      await house.ask('SELECT * FROM ML.EVALUATE(MODEL spending)'),
      (await create('bayes', `model_type = 'NAIVE_BAYES'`)) && (await house.ask('SELECT * FROM ML.EVALUATE(MODEL bayes)')),
    ];
    assert.ok(spending!['r2_score'] > 0.6, JSON.stringify(spending));
    assert.ok(bayes!['roc_auc'] > 0.7, JSON.stringify(bayes));
  });

  test('with the value of a hit and the cost of a contact the report says what acting is worth', async () => {
    await create('worth', `model_type = 'BOOSTED_TREE_CLASSIFIER', max_iterations = 10, hit_value = 50, contact_cost = 10`);
    const { money } = modelOf('worth').report!;
    assert.deepEqual([money!.hit, money!.contact, money!.threshold], [50, 10, 0.2]);
  });

  for (const [options, option] of [
    [`model_type = 'RANDOM_FOREST_CLASSIFIER', learn_rate = 0.1`, 'learn_rate'],
    [`model_type = 'RANDOM_FOREST_CLASSIFIER', max_iterations = 10`, 'max_iterations'],
    [`model_type = 'BOOSTED_TREE_CLASSIFIER', num_parallel_tree = 10`, 'num_parallel_tree'],
    [`model_type = 'BOOSTED_TREE_CLASSIFIER', contact_cost = 10`, 'contact_cost'],
    [`model_type = 'NAIVE_BAYES', l2_reg = 1`, 'for one learner'],
  ] as const)
    test(`${options} would change nothing, and is refused`, () =>
      assert.rejects(create('bad', options), refused('MODEL_OPTION', { option })));
});
