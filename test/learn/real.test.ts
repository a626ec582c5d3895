import assert from 'node:assert/strict';
import { test } from 'node:test';
import { train } from '#learn';
import { auc, readTable, score, withoutData } from './data.ts';

const options = { skip: withoutData };
const adult = 'age workclass fnlwgt education education_num marital occupation relationship race sex gain loss hours country income'.split(
  ' ',
);

test('adult-census: trees reach an AUC of 0.927 on the official test set, categories as they are', options, async () => {
  const model = await train({ target: 'income', budget: { trials: 1 } }, readTable('adult-census/adult-train.csv.gz', /, ?/, adult));
  assert.deepEqual(model.classes, ['<=50K', '>50K']);
  const found = auc(model, readTable('adult-census/adult-test.csv.gz', /, ?/, adult), (label) => String(label).startsWith('>50K'));
  assert.ok(found >= 0.927, `AUC ${found}`);
});

test(
  'telco-churn: the customer id is dropped, blanks in a number are missing, churn is told better than by any one column',
  options,
  async () => {
    const model = await train({ target: 'Churn', budget: { trials: 3 } }, readTable('telco-churn/Telco-Customer-Churn.csv.gz', ',', null));
    const report = model.report!;
    assert.ok(!model.encoders.some((e) => e.column === 'customerID'));
    assert.equal(report.columns.find((c) => c.name === 'TotalCharges')!.role, 'number');
    assert.equal(report.columns.find((c) => c.name === 'TotalCharges')!.missing, 11);
    assert.ok(score(report, 'auc') >= 0.82, `AUC ${score(report, 'auc')}`);
    assert.equal(report.better, true);
  },
);

test('german-credit: a thousand rows, and still better than the rule', options, async () => {
  const columns = readTable('german-credit/german.data', /[ \t]+/, null);
  const { report } = await train({ target: 'class', budget: { trials: 3 } }, columns);
  assert.equal(report!.task, 'classification');
  assert.ok(score(report!, 'auc') >= 0.74, `AUC ${score(report!, 'auc')}`);
});
