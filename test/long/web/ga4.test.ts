import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Started, startMillrace } from '#server';
import { en } from '../../../web/words/en.ts';
import { ko } from '../../../web/words/ko.ts';
import { type Look, visit, withoutBrowser } from '../../web/browser.ts';
import { ready } from '../../web/server.ts';
import { fill, sound, withoutData } from '../../web/stories.ts';

const looks: readonly Look[] = [
  { language: 'en', scheme: 'light', width: 390 },
  { language: 'ko', scheme: 'dark', width: 1440 },
];

/** Three months, a sample of them: long pages' names, 93 purchases without a number, 49 without a value. */
describe('the pages on a GA4 export', { skip: withoutBrowser || withoutData }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-ga4-'));
  let server: Started;
  before(async () => {
    await fill(join(folder, 'store'), 'ga4-merch-store');
    server = await startMillrace({ workspace: join(folder, 'store'), log: null });
    await ready(server.address);
  });
  after(async () => {
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  for (const look of looks)
    test(`tell their story in ${look.language}, ${look.scheme}, at ${look.width} px`, async (t) => {
      const visited = await visit(t, look);
      const { page } = visited;
      const words = { en, ko }[look.language];
      const story = { visit: visited, look };
      await visited.enter(server.address, server.adminToken);
      await page.getByRole('link', { name: 'ga4_events' }).waitFor();
      await sound(story, 'ga4-home');
      await page.goto(`${server.address}/dashboards/shop`);
      const tile = (title: string) => page.locator('.tile').filter({ has: page.getByRole('heading', { name: title, exact: true }) });
      // The source's 624 purchase events are 618 orders, each counted once at its highest value.
      await tile('Orders').getByText('618', { exact: true }).waitFor();
      await tile('Revenue').getByText('41,233').waitFor();
      await page.locator('.canvas[data-drawn]').nth(1).waitFor();
      await sound(story, 'ga4-dashboard');
      await page.goto(`${server.address}/data/raw/ga4_events`);
      await page.getByRole('table', { name: words.sample }).waitFor();
      await page.locator('.profile tbody svg').nth(3).waitFor();
      await sound(story, 'ga4-table');
      await page.goto(
        `${server.address}/ask#${new URLSearchParams({ sql: 'SELECT event, count(*) AS events FROM raw.ga4_events GROUP BY 1 ORDER BY 2 DESC' })}`,
      );
      await page.locator('.cm-content').press('Control+Enter');
      await page.getByRole('cell', { name: '7,498' }).waitFor();
      await page.getByText(words.as_chart, { exact: true }).click();
      await page.locator('.canvas[data-drawn]').waitFor();
      await sound(story, 'ga4-ask');
    });
});
