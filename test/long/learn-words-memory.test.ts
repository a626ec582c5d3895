import assert from 'node:assert/strict';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { DATA, openHouse, withoutData } from '../models/fixture.ts';

test('sms-spam is learned from in the share of memory that a training has by default', {
  skip: withoutData,
  timeout: 600_000,
}, async () => {
  const house = await openHouse(undefined, 300_000_000);
  try {
    const file = join(house.store.folders.slices, 'sms.csv.gz');
    copyFileSync(join(DATA, 'sms-spam/SMSSpamCollection.gz'), file);
    await house.store.write(async (tx) => {
      await tx.run(
        `CREATE TABLE sms AS SELECT * FROM read_csv('${file}', delim = '\t', header = false, quote = '', names = ['label', 'message'])`,
      );
    });
    await house.ask(`CREATE MODEL spam OPTIONS(model_type = 'LOGISTIC_REG', input_label_cols = ['label']) AS SELECT * FROM sms`);
    const [figures] = await house.ask('SELECT * FROM ML.EVALUATE(MODEL spam)');
    assert.ok(figures!['f1_score'] > 0.9, JSON.stringify(figures));
  } finally {
    await house.close();
  }
});
