import assert from 'node:assert/strict';
import { test } from 'node:test';
import { en } from '../../web/words/en.ts';
import { ko } from '../../web/words/ko.ts';
import { type Look, visit, withoutBrowser } from './browser.ts';
import { millrace } from './server.ts';

const words = { en, ko };
const looks: readonly Look[] = [
  { language: 'en', scheme: 'light', width: 1440 },
  { language: 'ko', scheme: 'dark', width: 390 },
];

/** Who leaves is told by the contract alone. */
const customers = () => {
  const lines = Array.from(
    { length: 900 },
    (_, k) => `${k},${['month', 'year', 'two years'][k % 3]},${(k * 37) % 72},${k % 3 === 0 ? 'yes' : 'no'}`,
  );
  return `id,contract,months,left\n${lines.join('\n')}\n`;
};

for (const look of looks)
  test(`a model is trained by choosing a table and a column, and shows its report (${look.language}, ${look.width} px)`, {
    skip: withoutBrowser,
    timeout: 120_000,
  }, async (t) => {
    const { address, adminToken } = await millrace(t);
    const headers = { authorization: `Bearer ${adminToken}`, 'content-type': 'application/octet-stream' };
    const loaded = await fetch(`${address}/v1/load/customers?format=csv`, { method: 'POST', headers, body: customers() });
    assert.equal(loaded.status, 200);
    const say = words[look.language];
    const { page, complaints, violations, enter, shot } = await visit(t, look);
    await enter(address, adminToken);
    await page.goto(`${address}/models`);
    await page.getByRole('button', { name: say.train, exact: true }).click();
    await page.getByRole('heading', { level: 1, name: say.train }).waitFor();
    const choose = async (label: string, option: string) => {
      await page.getByRole('combobox', { name: label }).click();
      await page.getByRole('option', { name: option, exact: true }).click();
    };
    await choose(say.train_table, 'main.customers');
    await page.getByText(say.train_likely.replace('{columns}', 'left')).waitFor();
    await choose(say.train_target, 'left');
    await page.getByText(`input_label_cols = ['left']`).waitFor();
    await shot('train');
    assert.deepEqual(await violations(), []);
    assert.equal(await page.evaluate('document.documentElement.scrollWidth'), look.width);
    await page.getByRole('button', { name: say.train_run, exact: true }).click();
    await page.getByRole('button', { name: say.training_stop }).click();
    await page.waitForURL(/\/models\/main\.customers_left$/, { timeout: 60_000 });
    await page.getByRole('heading', { level: 1, name: 'main.customers_left' }).waitFor();
    const answer = await fetch(`${address}/v1/models/main.customers_left`, { headers });
    const { report } = (await answer.json()) as { report: { target?: string; task: string } };
    assert.equal(report.task, 'classification');
    // Cancelled, it makes no second version.
    await page.goto(`${address}/models/train`);
    await choose(say.train_table, 'main.customers');
    await choose(say.train_target, 'left');
    await page.getByText(say.train_again.replace('{name}', 'main.customers_left')).waitFor();
    await page.getByRole('button', { name: say.train_run, exact: true }).click();
    await page.locator('.items').getByRole('button').last().click();
    await page.locator('.items').waitFor({ state: 'detached' });
    assert.equal(await page.getByRole('alert').count(), 0);
    const { versions } = ((await (await fetch(`${address}/v1/models`, { headers })).json()) as { models: { versions: unknown[] }[] })
      .models[0]!;
    assert.equal(versions.length, 1);
    assert.deepEqual(
      complaints.filter((complaint) => !/status of 499|status of 4\d\d/.test(complaint)),
      [],
    );
  });
