import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { en } from '../../web/words/en.ts';
import { ko } from '../../web/words/ko.ts';
import { type Look, visit, withoutBrowser } from './browser.ts';
import { millrace, send } from './server.ts';
import { sound } from './stories.ts';

const looks: readonly Look[] = [
  { language: 'en', scheme: 'light', width: 1440 },
  { language: 'ko', scheme: 'dark', width: 390 },
];

describe('from where a number comes, in the console', { skip: withoutBrowser }, () => {
  let server: Awaited<ReturnType<typeof millrace>>;
  const closing: (() => Promise<void>)[] = [];
  before(async () => {
    server = await millrace({ after: (fn) => closing.push(fn) }, (path) => {
      writeFileSync(join(path, 'topics', 'orders.yaml'), 'id: id\nfields: { id: integer, channel: text, amount: integer }\n');
    });
    const admin = { authorization: `Bearer ${server.adminToken}` };
    const orders = [
      { id: 1, channel: '검색', amount: 12_000 },
      { id: 2, channel: '검색', amount: 30_000 },
      { id: 3, channel: 'email', amount: 7_000 },
    ];
    const statements = [
      'CREATE TABLE main.rates AS SELECT 1.1 AS rate',
      `CREATE MATERIALIZED VIEW mart.daily AS SELECT channel, sum(amount) AS revenue, count(*) AS orders FROM raw.orders GROUP BY channel`,
      'CREATE VIEW mart.gross AS SELECT channel AS "채널", revenue * rate AS gross, orders FROM mart.daily, main.rates',
    ];
    assert.ok((await send(server.address, 'POST', '/v1/topics/orders/records', admin, orders)).status < 300);
    for (let tries = 0; tries < 200; tries++) {
      const counted = await send(server.address, 'POST', '/v1/query', admin, { sql: 'SELECT count(*) FROM raw.orders' });
      if (counted.text.includes('[[3]]') || counted.text.includes('[["3"]]')) break;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    for (const sql of statements) {
      const made = await send(server.address, 'POST', '/v1/query', admin, { sql });
      assert.equal(made.status, 200, made.text);
    }
  });
  after(async () => {
    for (const close of closing) await close();
  });

  for (const look of looks)
    test(`is a chain of links down to the topic: ${look.language} ${look.scheme} ${look.width}`, async (t) => {
      const seen = await visit(t, look);
      const { page } = seen;
      await seen.enter(server.address, server.adminToken);
      const sql =
        'WITH m AS (SELECT "채널", sum(gross) / sum(orders) AS mean FROM mart.gross GROUP BY 1) SELECT "채널", round(m.mean) AS mean FROM m ORDER BY 2 DESC';
      await page.goto(`${server.address}/ask#${new URLSearchParams({ sql })}`);
      await page.getByRole('button', { name: (look.language === 'ko' ? ko : en).run }).click();
      await page.getByRole('button', { name: /^23,?100/ }).click();
      const dialog = page.getByRole('dialog');
      await dialog.locator('.chain').first().waitFor();
      const steps = (await dialog.locator('.chain-step').allTextContents()).map((text) => text.split(' ')[0]);
      assert.deepEqual(steps, [
        'mart.gross.gross',
        'mart.daily.revenue',
        'raw.orders.amount',
        'main.rates.rate',
        'mart.gross.orders',
        'mart.daily.orders',
        'raw.orders',
      ]);
      assert.deepEqual(await dialog.locator('.chain-made').allTextContents(), [
        '= round((sum(mart.gross.gross) / sum(mart.gross.orders)))',
        '(mart.daily.revenue * main.rates.rate)',
        'sum(raw.orders.amount)',
        'count(*)',
      ]);
      await sound({ visit: seen, look }, 'why-chain');
      await dialog.getByRole('link', { name: 'mart.daily.revenue' }).click();
      await page.getByRole('heading', { level: 1, name: 'mart.daily' }).waitFor();
      await page.locator('.profile-column', { hasText: 'revenue' }).click();
      await page.locator('.profile-chain .chain-step').nth(1).waitFor();
      await page.locator('.profile-chain').scrollIntoViewIfNeeded();
      await sound({ visit: seen, look }, 'column-chain');
    });
});
