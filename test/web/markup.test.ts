import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ShareAnswer } from '#server';
import { visit, withoutBrowser } from './browser.ts';
import { millrace, send } from './server.ts';

const evil = '"><img src=x onerror="window.stolen=1"><script>window.stolen=1</script>';
/** A tab's name is short. */
const tab = '<img src=x onerror="window.stolen=1">';
const literal = `'${evil.replaceAll("'", "''")}'`;
const column = `"${evil.replaceAll('"', '""')}"`;
const cell = `"${evil.replaceAll('"', '""')}"`;

/** Markup wherever a file may carry it: a metric, a tab, annotations, a saved answer's tile, a transfer's source. */
function prepared(path: string): void {
  for (const folder of ['dashboards', 'metrics', 'transfers']) mkdirSync(join(path, folder), { recursive: true });
  // JSON is YAML.
  const write = (file: string, definition: object) => writeFileSync(join(path, file), JSON.stringify(definition));
  write('metrics/evil.yaml', { title: tab, expression: 'count(*)', table: 'main.evil', time: 'happened', dimensions: ['name'] });
  write('dashboards/evil.yaml', {
    title: evil,
    annotations: `SELECT happened, name FROM main.evil`,
    filters: [{ name: 'f', title: evil, sql: 'SELECT name FROM main.evil' }],
    tiles: [
      {
        title: 'Over time',
        tab,
        chart: 'line',
        sql: `SELECT happened::DATE AS day, count(*) AS ${column} FROM main.evil GROUP BY 1 ORDER BY 1`,
      },
      { title: 'Bars', tab, chart: 'bar', sql: `SELECT name, count(*) AS n FROM main.evil GROUP BY 1` },
      { title: evil, tab: `${tab} 2`, text: evil },
    ],
  });
  writeFileSync(join(path, 'evil.csv'), `${cell},b\n${cell},2\n`);
  write('transfers/evil.yaml', {
    source: 'csv',
    connection: { path: 'evil.csv' },
    tables: { evil: { target: 'main.brought', mode: 'full' } },
  });
}

test('a file, a metric, a model, a tab, an annotation, a shared link and Why run nothing of what they carry', {
  skip: withoutBrowser,
}, async (t) => {
  const { address, adminToken } = await millrace(t, prepared);
  const admin = { authorization: `Bearer ${adminToken}` };
  const sql = async (text: string) => {
    const answer = await send(address, 'POST', '/v1/query', admin, { sql: text });
    assert.equal(answer.status, 200, answer.text);
  };
  await sql(
    `CREATE TABLE main.evil AS SELECT ${literal} AS name, now() - to_days(i::INTEGER) AS happened, i AS ${column} FROM range(3) r(i)`,
  );
  await sql(
    `CREATE MODEL main.evil_model OPTIONS (model_type = 'LOGISTIC_REG', input_label_cols = ['label']) AS
     SELECT i % 7 AS ${column}, CASE WHEN i % 7 > 3 THEN ${literal} ELSE 'other' END AS label FROM range(300) r(i)`,
  );
  const shared = await send(address, 'POST', '/v1/dashboards/evil/share', admin, { range: 'all', days: 1, filters: { f: evil } });
  assert.equal(shared.status, 200, shared.text);
  const { page, complaints, enter } = await visit(t, { language: 'en', scheme: 'light', width: 1440 });
  await enter(address, adminToken);
  const clean = async (where: string) => {
    await page.waitForTimeout(200);
    assert.equal(await page.evaluate(() => (globalThis as { stolen?: number }).stolen), undefined, where);
    assert.equal(await page.locator('body img, body script:not([src])').count(), 0, where);
  };
  const open = async (path: string) => {
    // A new fragment alone would load nothing.
    await page.goto('about:blank');
    await page.goto(address + path);
    await page.getByRole('heading', { level: 1 }).first().waitFor();
  };
  const dialog = page.getByRole('dialog');

  await open('/dashboards/evil');
  await page.locator('.canvas[data-drawn]').nth(1).waitFor();
  await page.locator('.canvas').first().hover();
  await clean('dashboard');
  await page.locator('.tile', { hasText: 'Bars' }).locator('.canvas').click();
  await dialog.getByRole('heading', { name: 'The statement' }).waitFor();
  await dialog.locator('.why-table').getByRole('link', { name: 'main.evil', exact: true }).waitFor();
  await clean('why');
  await page.keyboard.press('Escape');
  await page.getByRole('tab').nth(1).click();
  await clean('tab');

  await open(shared.json<ShareAnswer>().path);
  await page.locator('.canvas[data-drawn]').nth(1).waitFor();
  await clean('shared');

  await open('/ask#metric=evil');
  await page.locator('.made-sql').waitFor();
  await page.getByRole('cell').first().or(page.locator('.canvas[data-drawn]')).first().waitFor();
  await clean('metric');

  await open('/answers/metric');
  await page.getByLabel('Metric').first().fill('evil');
  await page.getByRole('button', { name: 'Answer', exact: true }).click();
  await page.locator('.result-bar, .problem').first().waitFor();
  await clean('answer');

  await open('/models');
  await page.getByText('main.evil_model').first().waitFor();
  await clean('models');
  await open('/models/main.evil_model');
  await page.getByText(evil.slice(0, 20)).first().waitFor();
  await clean('model');

  await open('/admin');
  await page.locator('main table').first().waitFor();
  await clean('admin');

  await open('/data/transfers/evil');
  await page.getByRole('button', { name: 'Preview' }).click();
  await page.getByRole('columnheader').filter({ hasText: '<img' }).first().waitFor();
  await clean('transfer');

  await open('/');
  const dropped = await page.evaluateHandle(`(() => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([${JSON.stringify(`${cell},b\n${cell},2\n`)}], ${JSON.stringify(`${evil}.csv`)}, { type: 'text/csv' }));
    return transfer;
  })()`);
  await page.dispatchEvent('body', 'drop', { dataTransfer: dropped });
  await dialog.getByRole('cell').filter({ hasText: '<img' }).first().waitFor();
  await clean('file');
  await dialog.getByRole('button', { name: 'Load', exact: true }).click();
  await page.getByRole('heading', { level: 1, name: /^main\./ }).waitFor();
  await clean('loaded');
  assert.deepEqual(complaints, []);
});
