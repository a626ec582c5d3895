import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Page } from 'playwright-core';
import { type Look, visit, withoutBrowser } from './browser.ts';
import { millrace, send } from './server.ts';

const look: Look = { language: 'en', scheme: 'light', width: 1440 };

const crossed = `SELECT page, device, count(*) AS n FROM (VALUES ('/', 'desk'), ('/', 'phone'), ('/', 'phone'), ('/a', 'desk'), ('/a', 'phone'))
  v(page, device) GROUP BY ALL ORDER BY ALL`;
const heat = { chart: 'heatmap', x: 'page', series: 'device', y: 'n' };
const dashboards = {
  wide: {
    title: 'Wide',
    tiles: [
      { title: 'Many', chart: 'bar', x: 'k', y: 'n', sql: 'SELECT i % 3 AS k, 1 AS n FROM range(60000) r(i)' },
      { title: 'Few', chart: 'bar', x: 'k', y: 'n', sql: 'SELECT i % 3 AS k, 1 AS n FROM range(6000) r(i)' },
    ],
  },
  'wrong-filter': { title: 'Filter', filters: [{ name: 'f', sql: 'SELECT x FROM main.gone' }], tiles: [{ text: 'Words' }] },
  marks: {
    title: 'Marks',
    filters: [{ name: 'device', sql: "SELECT unnest(['desk', 'phone'])" }],
    tiles: [
      { title: 'Chooses', ...heat, filter: 'device', sql: crossed },
      { title: 'Tells', ...heat, sql: crossed },
      {
        title: 'Line',
        chart: 'line',
        x: 'day',
        y: 'revenue',
        filter: 'device',
        sql: "SELECT unnest(['2026-01-01'::DATE, '2026-01-02']) AS day, 5 AS revenue",
      },
    ],
  },
};

function prepared(path: string): void {
  mkdirSync(join(path, 'dashboards'));
  writeFileSync(join(path, 'dashboards', 'broken.yaml'), 'title: [');
  // JSON is YAML.
  for (const [name, definition] of Object.entries(dashboards))
    writeFileSync(join(path, 'dashboards', `${name}.yaml`), JSON.stringify(definition));
}

/** A click on a share of what a tile draws, from its upper left corner. */
async function clickOn(page: Page, tile: string, across: number, down: number): Promise<void> {
  const canvas = page.locator('.tile', { has: page.getByRole('heading', { name: tile }) }).locator('.canvas[data-drawn]');
  await canvas.waitFor();
  const { x, y, width, height } = (await canvas.boundingBox())!;
  await page.mouse.click(x + width * across, y + height * down);
}

describe('what a tile shows', { skip: withoutBrowser }, () => {
  let server: Awaited<ReturnType<typeof millrace>>;
  let end = async () => {};
  before(async () => {
    server = await millrace({ after: (fn) => (end = fn) }, prepared);
    const admin = { authorization: `Bearer ${server.adminToken}` };
    for (const sql of [
      'CREATE TABLE main.many AS SELECT i AS name FROM range(12000) r(i)',
      'CREATE TABLE main.timed AS SELECT now() AS at',
    ])
      assert.equal((await send(server.address, 'POST', '/v1/query', admin, { sql })).status, 200);
  });
  after(() => end());

  test('of more rows than came it says that sums have not all of them', async (t) => {
    const { page, enter } = await visit(t, look);
    await enter(server.address, server.adminToken);
    await page.goto(`${server.address}/dashboards/wide`);
    await page.locator('.canvas[data-drawn]').nth(1).waitFor();
    await page.locator('.tile', { hasText: 'Many' }).getByText('There are more than 50,000 rows').waitFor();
    assert.equal(await page.getByText('There are more than').count(), 1);
  });

  test('a question that was clicked together tells what its limit cut', async (t) => {
    const { page, enter } = await visit(t, look);
    await enter(server.address, server.adminToken);
    await page.goto(`${server.address}/ask#table=main.many`);
    await page.getByText('FROM main.many').first().waitFor();
    await page.getByRole('combobox', { name: 'Broken down by' }).click();
    await page.getByRole('option', { name: 'name' }).click();
    await page.getByText(/^10,000 rows in .*the limit cut the rest$/).waitFor();
  });

  test('a time range of one’s own begins with the day that the workspace’s clock shows', async (t) => {
    const { page, enter } = await visit(t, look);
    await page.clock.setSystemTime('2026-03-01T20:00:00Z');
    await enter(server.address, server.adminToken);
    await page.goto(`${server.address}/ask#table=main.timed`);
    await page.getByRole('combobox', { name: 'Time', exact: true }).click();
    await page.getByRole('option', { name: 'From … to …' }).click();
    // In Seoul it is the next day already.
    for (const end of ['From', 'To']) assert.equal(await page.getByLabel(end, { exact: true }).inputValue(), '2026-03-02');
  });

  test('what is wrong with a file, a filter or a statement is said in Korean to a Korean', async (t) => {
    const { page, enter } = await visit(t, { ...look, language: 'ko' });
    await enter(server.address, server.adminToken);
    const korean = async (text: string | null) => assert.match(text ?? '', /[가-힣]/);
    await page.goto(`${server.address}/dashboards`);
    await korean(await page.locator('.card-link .bad-text').textContent());
    await page.goto(`${server.address}/dashboards/wrong-filter`);
    await korean(await page.locator('.mantine-Select-error').textContent());
    await page.goto(`${server.address}/ask#${new URLSearchParams({ sql: 'SELECT nothing_like_it FROM main.many' })}`);
    await page.getByRole('button', { name: '실행' }).click();
    await page.locator('.cm-lintRange-error').hover();
    await korean(await page.locator('.cm-diagnostic').textContent());
  });

  test('a mark is what its values are: a click sets them, and Why tells of them', async (t) => {
    const { page, enter, complaints } = await visit(t, look);
    await enter(server.address, server.adminToken);
    await page.goto(`${server.address}/dashboards/marks`);
    await clickOn(page, 'Chooses', 0.3, 0.7);
    await page.waitForURL(/f\.device=phone/);
    // A second click takes it back.
    await clickOn(page, 'Chooses', 0.7, 0.7);
    await page.waitForURL((url) => !url.search.includes('f.device'));
    await clickOn(page, 'Tells', 0.3, 0.7);
    await page.getByRole('dialog').getByText('page: / · device: phone').waitFor();
    await page.getByRole('heading', { name: /^Rows behind it: 2/ }).waitFor();
    await page.keyboard.press('Escape');
    // A figure's name is no value of a filter.
    await clickOn(page, 'Line', 0.5, 0.5);
    await page.waitForTimeout(200);
    assert.doesNotMatch(page.url(), /f\.device/);
    assert.deepEqual(complaints, []);
  });
});
