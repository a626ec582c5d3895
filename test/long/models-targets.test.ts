import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { type Browser, chromium } from 'playwright-core';
import { readOnnx } from '../../src/platform/models/onnx/proto.ts';
import { provenOnnx } from '../../src/platform/models/onnx/proven.ts';
import { runnerOf } from '../../src/platform/models/onnx/run.ts';
import { onnxOf, onnxRows } from '../../src/platform/models/onnx/write.ts';
import { openModelServer } from '../../src/platform/models/serve.ts';
import { fileOf, type House, openHouse, type Row, VISITORS } from '../models/fixture.ts';
import { inRuntime, withoutRuntime } from '../models/runtime.ts';

const program = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) => existsSync(path));
const ROWS = 100_000;
const TOLERANCE = 1e-6;

interface Script {
  predict(row: unknown): { value: number; probabilities: number[] | null };
}

let house: House;
let browser: Browser | null = null;

describe('100,000 rows with missing values and categories never seen, on every target', { timeout: 600_000 }, () => {
  before(async () => {
    house = await openHouse();
    await house.ask(VISITORS);
    await house.ask(`CREATE TABLE asked AS SELECT n AS id, CASE WHEN n % 11 = 0 THEN NULL ELSE (n * 7919) % 130 - 10 END AS pages,
      CASE WHEN n % 9 = 0 THEN NULL WHEN n % 10 = 0 THEN 'new ' || n % 500 ELSE ['mail', ' search ', 'ad', 'direct'][1 + n % 4] END AS source,
      CASE WHEN n % 7 = 0 THEN NULL ELSE TIMESTAMP '2024-02-28' + to_hours((n * 31 % 40000)::INTEGER) END AS seen,
      CASE WHEN n % 13 = 0 THEN NULL ELSE n % 3 = 0 END AS member FROM range(${ROWS}) t(n)`);
    if (program !== undefined)
      browser = await chromium.launch({ executablePath: program, args: ['--headless', '--no-sandbox', '--disable-gpu'] });
  });
  after(async () => {
    await browser?.close();
    await house.close();
  });

  const FEATURES = `TRANSFORM(ML.STANDARD_SCALER(pages) OVER () AS scaled, ML.QUANTILE_BUCKETIZE(pages, 5) OVER () AS part,
    ML.IMPUTER(pages, 'median') OVER () AS filled, ML.FEATURE_CROSS(STRUCT(source, member)) AS both, ML.LABEL_ENCODER(member) OVER () AS flag, ML.POLYNOMIAL_EXPAND(STRUCT(pages, member)) AS grown, seen, bought)`;
  for (const [type, label, more, transform] of [
    ['BOOSTED_TREE_CLASSIFIER', 'bought', '', ''],
    ['LOGISTIC_REG', 'bought', '', ''],
    ['RANDOM_FOREST_REGRESSOR', 'spent', ', num_parallel_tree = 30', ''],
    ['LINEAR_REG', 'spent', '', ''],
    ['AUTOML_CLASSIFIER', 'bought', ', num_trials = 3', ''],
    ['BOOSTED_TREE_CLASSIFIER', 'bought', '', FEATURES],
  ] as const)
    test(`${type}${transform === '' ? '' : ' over feature functions'} answers alike within 1e-6`, async (t) => {
      const name = `${type.toLowerCase()}${transform === '' ? '' : '_made'}`;
      const others = label === 'bought' ? 'spent' : 'bought';
      await house.ask(
        `CREATE MODEL ${name} ${transform} OPTIONS(model_type = '${type}', input_label_cols = ['${label}']${more}) AS SELECT * EXCLUDE (id, ${others}) FROM visitors`,
      );
      const answer = label === 'bought' ? 'predicted_bought_probs[2].prob' : 'predicted_spent';
      const told = await house.ask(
        `SELECT pages, source, member, epoch_ms(seen) AS seen, ${answer} AS answer FROM ML.PREDICT(MODEL ${name}, TABLE asked) ORDER BY id`,
      );
      assert.equal(told.length, ROWS);
      const inSql = told.map((row) => row['answer'] as number);
      const rows = told.map(({ answer: _, ...row }: Row) => row);
      const compare = (target: string, answers: ArrayLike<number>): void => {
        assert.equal(answers.length, ROWS, target);
        inSql.forEach((expected, k) => {
          if (!(Math.abs(answers[k]! - expected) <= TOLERANCE * Math.max(1, Math.abs(expected))))
            assert.fail(`${target}, row ${k} ${JSON.stringify(rows[k])}: ${answers[k]} and ${expected}`);
        });
      };

      const server = openModelServer(house.dataPath, (thrown) => assert.fail(String(thrown)));
      server.update(house.told());
      const served: number[] = [];
      for (let from = 0; from < ROWS; from += 10_000) {
        const { predictions } = await server.predict(name, rows.slice(from, from + 10_000), false);
        for (const each of predictions)
          served.push(label === 'bought' ? (each['probabilities'] as Row)['yes'] : (each['predicted_spent'] as number));
      }
      compare('HTTP', served);

      const script = (await server.exported(name, 'js')).toString();
      const path = join(house.dataPath, `${name}.mjs`);
      writeFileSync(path, script);
      const { predict } = (await import(pathToFileURL(path).href)) as Script;
      compare(
        'JavaScript in Node',
        rows.map((row) => {
          const { value, probabilities } = predict(row);
          return probabilities?.[1] ?? value;
        }),
      );
      if (browser !== null) compare('JavaScript in Chromium', await inChromium(browser, script, rows));

      // A flag is a number there.
      const asNumbers = rows.map((row) => ({ ...row, member: row['member'] === null ? null : Number(row['member']) }));
      const file = fileOf(house, `main.${name}`, 1);
      const bytes = provenOnnx(file);
      const outputs = runnerOf(readOnnx(bytes))(onnxRows(onnxOf(file).inputs, asNumbers));
      const values = outputs[label === 'bought' ? 'probabilities' : 'prediction']!.values as ArrayLike<number>;
      compare('ONNX here', label === 'bought' ? Float64Array.from({ length: ROWS }, (_, k) => values[k * 2 + 1]!) : values);
      if (withoutRuntime !== false) return t.diagnostic(withoutRuntime);
      const { shape, worst } = inRuntime(
        bytes,
        asNumbers,
        inSql.map((each) => (label === 'bought' ? [1 - each, each] : [each])),
      );
      assert.deepEqual(shape, [ROWS, label === 'bought' ? 2 : 1]);
      assert.ok(worst <= TOLERANCE, `onnxruntime differs by ${worst}`);
      t.diagnostic(`onnxruntime differs by ${worst} at most`);
    });
});

/** The exported script as a page runs it. */
async function inChromium(at: Browser, script: string, rows: readonly Row[]): Promise<number[]> {
  const page = await at.newPage();
  try {
    return await page.evaluate(
      async ({ text, asked }) => {
        const address = URL.createObjectURL(new Blob([text], { type: 'text/javascript' }));
        const { predict } = (await import(address)) as Script;
        return (JSON.parse(asked) as unknown[]).map((row) => {
          const { value, probabilities } = predict(row);
          return probabilities?.[1] ?? value;
        });
      },
      { text: script, asked: JSON.stringify(rows) },
    );
  } finally {
    await page.close();
  }
}
