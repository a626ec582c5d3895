import assert from 'node:assert/strict';
import { test } from 'node:test';
import { predict, train } from '#learn';
import { readTable, withoutData } from '../learn/data.ts';

test('korean-3i4k-intent: 84 % of the official test set by character n-grams', { skip: withoutData }, async (t) => {
  const names = ['intent', 'text'];
  const columns = readTable('korean-3i4k-intent/fci_train_val.txt.gz', '\t', names);
  const plan = {
    target: 'intent',
    task: 'classification',
    learner: 'linear',
    linear: { l2: 0.3 },
    split: { kind: 'random' },
    seed: 1,
  } as const;
  const model = await train(plan, columns);
  const test = readTable('korean-3i4k-intent/fci_test.txt.gz', '\t', names);
  const predicted = predict(model, test).columns[0]!.values;
  const truth = test[0]!.values;
  let right = 0;
  for (let i = 0; i < truth.length; i++) if (predicted[i] === truth[i]) right++;
  const accuracy = right / truth.length;
  t.diagnostic(`seed ${plan.seed}: accuracy ${accuracy.toFixed(4)} on the ${truth.length} rows of the official test set`);
  assert.ok(accuracy >= 0.84, `accuracy ${accuracy}`);
});
