import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { type Browser, chromium } from 'playwright-core';
import { openModelServer } from '../../src/platform/models/serve.ts';
import { type House, openHouse, type Row, VISITORS } from './fixture.ts';

const program = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) => existsSync(path));

interface Script {
  predict(row: unknown): { value: unknown; probabilities: number[] | null };
}

let house: House;
let browser: Browser;

/** The exported script as a page runs it. */
async function inChromium(script: string, rows: readonly unknown[]): Promise<number[][]> {
  const page = await browser.newPage();
  try {
    return await page.evaluate(
      async ({ text, asked }) => {
        const address = URL.createObjectURL(new Blob([text], { type: 'text/javascript' }));
        const { predict } = (await import(address)) as Script;
        return asked.map((row) => {
          const { value, probabilities } = predict(row);
          return probabilities ?? [value as number];
        });
      },
      { text: script, asked: rows as unknown[] },
    );
  } finally {
    await page.close();
  }
}

describe('one model in SQL, over HTTP, in Node and in Chromium', {
  timeout: 120_000,
  skip: program === undefined ? 'no Chromium is installed' : false,
}, () => {
  before(async () => {
    house = await openHouse();
    browser = await chromium.launch({ executablePath: program!, args: ['--headless', '--no-sandbox', '--disable-gpu'] });
    await house.ask(VISITORS);
  });
  after(async () => {
    await browser?.close();
    await house.close();
  });

  for (const [name, type, label] of [
    ['trees', 'BOOSTED_TREE_CLASSIFIER', 'bought'],
    ['line', 'LOGISTIC_REG', 'bought'],
    ['value', 'BOOSTED_TREE_REGRESSOR', 'spent'],
  ] as const)
    test(`${type}: rows with missing values and categories never seen get the same answer within 1e-6`, async () => {
      const ignored = label === 'bought' ? `, ignore_cols = ['id', 'spent']` : `, ignore_cols = ['id', 'bought']`;
      await house.ask(
        `CREATE MODEL ${name} OPTIONS(model_type = '${type}', max_iterations = 30, input_label_cols = ['${label}']${ignored}) AS SELECT * FROM visitors`,
      );
      const answer = label === 'bought' ? 'predicted_bought_probs[2].prob' : 'predicted_spent';
      const inSql =
        await house.ask(`SELECT pages, source, member, epoch_ms(seen) AS seen, answer FROM (SELECT *, ${answer} AS answer FROM ML.PREDICT(MODEL ${name},
        (SELECT * REPLACE (CASE WHEN id % 9 = 0 THEN NULL WHEN id % 10 = 0 THEN 'telegram' ELSE source END AS source, CASE WHEN id % 7 = 0 THEN NULL ELSE seen END AS seen) FROM visitors)))`);
      assert.equal(inSql.length, 4000);
      const rows = inSql.map(({ answer: _, ...row }: Row) => row);
      const server = openModelServer(house.dataPath, (thrown) => assert.fail(String(thrown)));
      server.update(house.told());
      const { predictions } = await server.predict(name, rows, false);
      const script = (await server.exported(name, 'js')).toString();
      const path = join(house.dataPath, `${name}.mjs`);
      writeFileSync(path, script);
      const inNode = (await import(pathToFileURL(path).href)) as Script;
      const inPage = await inChromium(script, rows);
      inSql.forEach((row, k) => {
        const served = predictions[k]!;
        const node = inNode.predict(rows[k]);
        const all = {
          http: label === 'bought' ? (served['probabilities'] as Row)['yes'] : served['predicted_spent'],
          node: node.probabilities?.[1] ?? node.value,
          chromium: inPage[k]!.at(-1),
        };
        for (const [target, value] of Object.entries(all))
          assert.ok(Math.abs(value - row['answer']) < 1e-6, `${target}, row ${k}: ${value} and ${row['answer']}`);
      });
    });
});
