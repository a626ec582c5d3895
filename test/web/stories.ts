/** Each page's main story, told to a real browser on a workspace that the main job has filled. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { en } from '../../web/words/en.ts';
import { ko } from '../../web/words/ko.ts';
import type { Look, Visit } from './browser.ts';
import { root } from './server.ts';

export const data = process.env['MILLRACE_DATA'] ?? join(root, '..', 'shared', 'data');
export const withoutData = existsSync(data) ? false : 'the real data is absent (MILLRACE_DATA)';

/** Fills a workspace: one day of the Google Merchandise Store, with its tables and its dashboard. */
export async function fill(path: string): Promise<void> {
  const main = join(root, 'src', 'cli', 'main.ts');
  await promisify(execFile)(
    process.execPath,
    ['--conditions=source', main, 'demo', '--workspace', path, '--data', join(data, 'ga-merch-sessions'), '--exit'],
    {
      maxBuffer: 64 * 2 ** 20,
    },
  );
}

interface Story {
  readonly address: string;
  readonly look: Look;
  readonly visit: Visit;
}

const books = { en, ko };

/** After each story: nothing was complained of, no serious violation, and the page does not scroll sideways. */
async function sound({ visit, look }: Story, name: string): Promise<void> {
  const { page } = visit;
  await visit.shot(name);
  assert.deepEqual(visit.complaints, [], name);
  assert.deepEqual(await visit.violations(), [], name);
  assert.equal(await page.evaluate('document.documentElement.scrollWidth'), look.width, `${name} scrolls sideways`);
}

export const stories: Readonly<Record<string, (story: Story) => Promise<void>>> = {
  async home(story) {
    const { visit, look, address } = story;
    const { page } = visit;
    const words = books[look.language];
    await page.goto(`${address}/`);
    await page.getByRole('heading', { level: 1, name: words.home }).waitFor();
    const stages = page.locator('.flow-stage');
    assert.equal(await stages.count(), 5);
    // 13,233 hits of 2,556 sessions: the staging table, the topic's table and the marts.
    await stages.nth(2).locator('.figure[title]').waitFor();
    assert.ok(Number((await stages.nth(2).locator('.figure').getAttribute('title'))!.replaceAll(/\D/g, '')) >= 13_233 + 2_556);
    await page.getByRole('link', { name: 'ga_hits' }).waitFor();
    await page.getByText(words.attention_none).waitFor();
    await sound(story, 'home');
  },

  async ask(story) {
    const { visit, look, address } = story;
    const { page } = visit;
    const words = books[look.language];
    await page.goto(`${address}/ask`);
    await page.locator('.cm-content').click();
    await page.keyboard.insertText('SELECT chanel, count(*) AS sessions FROM mart.sessions GROUP BY 1');
    await page.keyboard.press('Control+Enter');
    await page.getByRole('alert').getByText('SQL_FAILED').waitFor();
    // The mark stands under the wrong word.
    assert.equal(await page.locator('.cm-lintRange-error').first().textContent(), 'chanel');
    await sound(story, 'ask-error');
    await page.keyboard.press('Control+a');
    // Typed over a marked word, Chromium itself would keep its look in a style attribute, which the policy refuses.
    await page.keyboard.press('Delete');
    await page.keyboard.insertText('SELECT channel, count(*) AS sessions FROM mart.sessions GROUP BY 1 ORDER BY 2 DESC');
    await page.keyboard.press('Escape');
    await page.keyboard.press('Control+Enter');
    const table = page.getByRole('table', { name: words.as_table });
    await table.getByRole('cell', { name: 'Organic Search' }).waitFor();
    assert.equal(await page.locator('.cm-lintRange-error').count(), 0);
    await sound(story, 'ask-table');
    await page.getByText(words.as_chart, { exact: true }).click();
    await page.locator('.canvas[data-drawn]').waitFor();
    await sound(story, 'ask-chart');
  },

  async dashboard(story) {
    const { visit, look, address } = story;
    const { page } = visit;
    await page.goto(`${address}/dashboards`);
    await page.getByRole('link', { name: 'Google Analytics sessions' }).click();
    const tile = (title: string) => page.locator('.tile').filter({ has: page.getByRole('heading', { name: title, exact: true }) });
    // The source's own number of sessions; its 45 transactions are 43 orders, each counted once at its highest value.
    await tile('Sessions').getByText('2,556').waitFor();
    await tile('Revenue').getByText('8,736.14').waitFor();
    await page.locator('.canvas[data-drawn]').nth(3).waitFor();
    await sound(story, 'dashboard');
    const { combobox, word } = { combobox: page.getByRole('combobox', { name: 'Device' }), word: 'mobile' };
    await combobox.click();
    await page.getByRole('option', { name: word }).click();
    await tile('Sessions').getByText('2,556').waitFor({ state: 'hidden' });
    assert.match(page.url(), /f\.device=mobile/);
    await page.reload();
    await page.locator('.big-value').nth(2).waitFor();
    assert.notEqual(await tile('Sessions').locator('.big-value').textContent(), '2,556', `the address keeps the choice (${look.language})`);
  },

  async data(story) {
    const { visit, look, address } = story;
    const { page } = visit;
    const words = books[look.language];
    await page.goto(`${address}/data`);
    await page.getByRole('textbox', { name: words.catalog_search }).fill('landing_page');
    await page.getByRole('link', { name: /sessions.*landing_page/ }).waitFor();
    await sound(story, 'data');
    await page.getByRole('link', { name: /sessions.*landing_page/ }).click();
    const row = page.locator('.profile tbody tr').filter({ hasText: 'landing_page' });
    await row.locator('svg').waitFor();
    assert.match((await row.textContent())!, /varchar.*0%/);
    await page.getByRole('table', { name: words.sample }).waitFor();
    await sound(story, 'table');
    await page.goto(`${address}/data/topics/ga_hits`);
    await page.getByText(words.quarantine_empty).waitFor();
    await sound(story, 'topic');
  },
};

/** A real file as a browser gets it dropped: the first lines of the UK shop's order lines. */
export function retailLines(count: number): Buffer {
  const text = gunzipSync(readFileSync(join(data, 'uci-online-retail', 'online_retail.csv.gz'))).toString('latin1');
  return Buffer.from(
    text
      .split('\n')
      .slice(0, count + 1)
      .join('\n'),
  );
}
