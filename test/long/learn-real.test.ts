import assert from 'node:assert/strict';
import { test } from 'node:test';
import { train } from '#learn';
import { auc, readTable, score, withoutData } from '../learn/data.ts';

const options = { skip: withoutData };

test('california-housing: trees explain 82 % of the prices on held-out rows, 207 nulls among them', options, async () => {
  const columns = readTable('california-housing/housing.csv.gz', ',', null);
  const { report } = await train({ target: 'median_house_value', budget: { trials: 1 } }, columns);
  assert.equal(report!.columns.find((c) => c.name === 'total_bedrooms')!.missing, 207);
  assert.ok(score(report!, 'r2') >= 0.82, `R² ${score(report!, 'r2')}`);
});

test('bike-sharing: the split is by time, and the parts of the answer are told of', options, async () => {
  const columns = readTable('bike-sharing/hour.csv.gz', ',', null);
  const whole = (await train({ target: 'cnt', budget: { trials: 2 } }, columns)).report!;
  assert.deepEqual([whole.split.kind, whole.split.column], ['time', 'dteday']);
  assert.ok(whole.warnings.some((w) => w.kind === 'leakage' && w.column === 'registered'));
  const honest = (await train({ target: 'cnt', ignore: ['casual', 'registered'], budget: { trials: 1 } }, columns)).report!;
  const random = (
    await train({ target: 'cnt', ignore: ['casual', 'registered'], budget: { trials: 1 }, split: { kind: 'random' } }, columns)
  ).report!;
  assert.ok(score(honest, 'rmse') > score(random, 'rmse') * 1.2, 'a random split flatters');
  assert.equal(honest.better, true);
});

test('higgs: trees reach an AUC of 0.81 on the official test set', options, async () => {
  const names = ['y', ...Array.from({ length: 28 }, (_, i) => `x${i}`)];
  const model = await train({ target: 'y', budget: { trials: 3 } }, readTable('higgs-lightgbm/binary.train.tsv.gz', '\t', names));
  const found = auc(model, readTable('higgs-lightgbm/binary.test.tsv.gz', '\t', names), (label) => label === 1);
  assert.ok(found >= 0.81, `AUC ${found}`);
});

test('sms-spam: F1 of spam is at least 0.95', options, async (t) => {
  const columns = readTable('sms-spam/SMSSpamCollection.gz', '\t', ['label', 'text']);
  const { report } = await train({ target: 'label', budget: { trials: 1 }, seed: 1 }, columns);
  t.diagnostic(`seed 1: F1 ${score(report!, 'f1').toFixed(4)} on ${report!.rows.judged} rows laid aside`);
  assert.ok(score(report!, 'f1') >= 0.95, `F1 ${score(report!, 'f1')}`);
});
