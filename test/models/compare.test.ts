import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { compared, pairs } from '../../src/analyze/models/compare.ts';
import type { Judged } from '../../src/analyze/models/judge.ts';
import { randomFrom } from '../random.ts';
import { type House, openHouse, refused, VISITORS } from './fixture.ts';

/** Two classes: the chance of the second. */
function twoClasses(truth: readonly number[], chances: readonly number[]): Judged {
  return { truth: Float64Array.from(truth), answers: Float64Array.from(chances.flatMap((p) => [1 - p, p])), width: 2 };
}

const figure = (baseline: Judged, candidate: Judged, metric: string) => pairs(baseline, candidate).find((pair) => pair.metric === metric)!;

test('the areas under the curves and their variance are those of DeLong’s definition, every positive against every negative', () => {
  const row = fc.record({ label: fc.integer({ min: 0, max: 1 }), a: fc.integer({ min: 0, max: 6 }), b: fc.integer({ min: 0, max: 9 }) });
  fc.assert(
    fc.property(fc.array(row, { minLength: 6, maxLength: 40 }), (rows) => {
      const truth = rows.map(({ label }) => label);
      const [yes, no] = [rows.filter(({ label }) => label === 1), rows.filter(({ label }) => label === 0)];
      fc.pre(yes.length > 1 && no.length > 1);
      const found = figure(
        twoClasses(
          truth,
          rows.map(({ a }) => a / 10),
        ),
        twoClasses(
          truth,
          rows.map(({ b }) => b / 10),
        ),
        'roc_auc',
      );
      const wins = (x: number, y: number) => (x > y ? 1 : x === y ? 0.5 : 0);
      const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
      const of = (key: 'a' | 'b') => ({
        positives: yes.map((p) => mean(no.map((n) => wins(p[key], n[key])))),
        negatives: no.map((n) => mean(yes.map((p) => wins(p[key], n[key])))),
      });
      const [a, b] = [of('a'), of('b')];
      // S = S₁₀/m + S₀₁/n, and the contrast (1, −1) of it: var a + var b − 2 cov.
      const covariance = (x: readonly number[], y: readonly number[]) =>
        x.reduce((sum, value, k) => sum + (value - mean(x)) * (y[k]! - mean(y)), 0) / (x.length - 1);
      const of2 = (side: 'positives' | 'negatives') =>
        (covariance(a[side], a[side]) + covariance(b[side], b[side]) - 2 * covariance(a[side], b[side])) / a[side].length;
      assert.ok(Math.abs(found.baseline - mean(a.positives)) < 1e-12 && Math.abs(found.candidate - mean(b.positives)) < 1e-12);
      assert.ok(Math.abs(found.variance - (of2('positives') + of2('negatives'))) < 1e-12);
    }),
  );
});

test('of 1,000 pairs of models that are equally good the interval leaves 0 out for one in twenty, as stated', () => {
  const random = randomFrom(3);
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const out = new Map<string, number>();
  for (let run = 0; run < 1000; run++) {
    const signal = Array.from({ length: 250 }, normal);
    const truth = signal.map((s) => Number(random() < 1 / (1 + Math.exp(-2 * s))));
    const noisy = () => signal.map((s) => 1 / (1 + Math.exp(-(s + normal() / 2))));
    const numbers = { truth: Float64Array.from(signal), width: 1 };
    const found = [
      ...pairs(twoClasses(truth, noisy()), twoClasses(truth, noisy())),
      ...pairs({ ...numbers, answers: Float64Array.from(noisy()) }, { ...numbers, answers: Float64Array.from(noisy()) }),
    ];
    for (const pair of found) {
      const told = compared(pair, 0.95);
      assert.equal(told.better === 'unclear', told.low <= 0 && told.high >= 0);
      assert.equal(told.better !== 'unclear', told.p < 0.05);
      if (told.better !== 'unclear') out.set(pair.metric, (out.get(pair.metric) ?? 0) + 1);
    }
  }
  // Binomial(1000, 0.05): mean 50, deviation 6.9.
  assert.deepEqual([...out.keys()].sort(), ['accuracy', 'log_loss', 'mean_absolute_error', 'mean_squared_error', 'roc_auc']);
  for (const [metric, count] of out) assert.ok(count >= 26 && count <= 76, `${metric}: ${count}`);
});

test('the better one is told by its metric: less loss, more accuracy; a model beside itself is no better', () => {
  const truth = Array.from({ length: 200 }, (_, i) => i % 2);
  const good = twoClasses(
    truth,
    truth.map((y, i) => (i % 10 === 0 ? 1 - y : y) * 0.8 + 0.1),
  );
  const bad = twoClasses(
    truth,
    truth.map((y, i) => (i % 3 === 0 ? 1 - y : y) * 0.8 + 0.1),
  );
  for (const pair of pairs(bad, good)) assert.equal(compared(pair, 0.99).better, 'candidate', pair.metric);
  for (const pair of pairs(good, bad)) assert.equal(compared(pair, 0.99).better, 'baseline', pair.metric);
  for (const pair of pairs(good, good)) {
    const { difference, low, high, p, better } = compared(pair, 0.99);
    assert.deepEqual([difference, low, high, p, better], [0, 0, 0, 1, 'unclear']);
  }
});

describe('ML.COMPARE', { timeout: 120_000 }, () => {
  let house: House;
  const ask: House['ask'] = (sql, more) => house.ask(sql, more);
  const unseen = '(SELECT * FROM visitors WHERE id >= 2500)';
  before(async () => {
    house = await openHouse();
    await ask(VISITORS);
    const create = (options: string, without: string, label = 'bought') =>
      ask(`CREATE OR REPLACE MODEL m OPTIONS(${options}, input_label_cols = ['${label}'], ignore_cols = ['id', 'spent'${without}])
        AS SELECT * FROM visitors WHERE id < 2500`);
    await create(`model_type = 'BOOSTED_TREE_CLASSIFIER', max_iterations = 20`, `, 'pages'`);
    await create(`model_type = 'BOOSTED_TREE_CLASSIFIER', max_iterations = 20, alias = 'challenger'`, '');
    await create(`model_type = 'LOGISTIC_REG', alias = 'members'`, '', 'member');
    await create(`model_type = 'LOGISTIC_REG', data_split_method = 'NO_SPLIT', alias = 'unjudged'`, '');
  });
  after(() => house.close());

  test('the figures are those that ML.EVALUATE gives each, and the version that may look at more is clearly better', async () => {
    const found = await ask(`SELECT * FROM ML.COMPARE(MODEL m@challenger, ${unseen})`);
    assert.deepEqual(
      found.map((row) => row['metric']),
      ['log_loss', 'accuracy', 'roc_auc'],
    );
    const [before] = await ask(`SELECT * FROM ML.EVALUATE(MODEL m@champion, ${unseen})`);
    const [after] = await ask(`SELECT * FROM ML.EVALUATE(MODEL m@challenger, ${unseen})`);
    for (const row of found) {
      assert.ok(Math.abs(row['baseline'] - before![row['metric']]) < 1e-9 && Math.abs(row['candidate'] - after![row['metric']]) < 1e-9);
      assert.ok(row['low'] < row['difference'] && row['difference'] < row['high']);
      assert.deepEqual([row['better'], row['rows'], row['compared_on']], ['candidate', 1500, 'the same rows']);
    }
    // The same difference from SQL's own rows.
    const [expected] = await ask(`WITH r AS (
        SELECT (b.predicted_bought = b.bought)::INT AS b, (c.predicted_bought = c.bought)::INT AS c
        FROM ML.PREDICT(MODEL m@1, ${unseen}) b JOIN ML.PREDICT(MODEL m@2, ${unseen}) c USING (id))
      SELECT avg(c - b) AS difference, 1.959963985 * stddev_samp(c - b) / sqrt(count(*)) AS reach FROM r`);
    const accuracy = found[1]!;
    assert.ok(Math.abs(accuracy['difference'] - expected!['difference']) < 1e-9);
    assert.ok(Math.abs(accuracy['high'] - accuracy['difference'] - expected!['reach']) < 1e-9);
  });

  test('the baseline is any other version or alias; a wider interval is asked for; a version beside itself is no better', async () => {
    const at = async (settings: string) => (await ask(`SELECT * FROM ML.COMPARE(MODEL m@1, ${unseen}, STRUCT(${settings}))`))[0]!;
    const usual = await at(`'challenger' AS baseline`);
    const wide = await at(`2 AS baseline, 0.999 AS confidence_level`);
    assert.equal(usual['better'], 'baseline');
    assert.ok(wide['high'] - wide['low'] > 1.5 * (usual['high'] - usual['low']));
    assert.equal((await at('1 AS baseline'))['better'], 'unclear');
  });

  test('without a table the figures of training stand side by side, as of other rows', async () => {
    const found = await ask('SELECT * FROM ML.COMPARE(MODEL m@challenger)');
    const [champion, challenger] = [1, 2].map((version) => house.told()[0]!.versions.find((each) => each.version === version)!.metrics);
    for (const row of found) {
      const [a, b] = [champion, challenger].map((metrics) => metrics!.find(({ metric }) => metric === row['metric'])!);
      assert.deepEqual([row['baseline'], row['candidate']], [a!.value, b!.value]);
      assert.ok(Math.abs((row['high'] - row['low']) / 2 - 1.959963985 * Math.hypot(a!.error, b!.error)) < 1e-9);
      assert.equal(row['compared_on'], 'the rows that each held out');
    }
    assert.ok(found.length >= 4);
  });

  for (const [sql, code] of [
    [`ML.COMPARE(MODEL m@members, ${unseen})`, 'MODEL_FUNCTION'],
    ['ML.COMPARE(MODEL m@unjudged)', 'MODEL_FUNCTION'],
    [`ML.COMPARE(MODEL m@challenger, (SELECT * FROM visitors LIMIT 20))`, 'MODEL_FUNCTION'],
    [`ML.COMPARE(MODEL m@challenger, ${unseen}, STRUCT('nope' AS baseline))`, 'MODEL_UNKNOWN'],
    [`ML.COMPARE(MODEL m@challenger, ${unseen}, STRUCT(2 AS confidence_level))`, 'MODEL_FUNCTION'],
    [`ML.COMPARE(MODEL m@challenger, (SELECT * EXCLUDE (bought) FROM visitors))`, 'MODEL_FUNCTION'],
  ] as const)
    test(`${sql} is refused as ${code}`, () => assert.rejects(ask(`SELECT * FROM ${sql}`), refused(code)));
});

test('of one row of a class there is no variance, so its area under the curve is not compared', () => {
  const judged = (labels: readonly number[]) => twoClasses(labels, [0.2, 0.4, 0.6, 0.8]);
  const metrics = (labels: readonly number[]) => pairs(judged(labels), judged(labels)).map(({ metric }) => metric);
  assert.deepEqual(metrics([0, 0, 0, 1]), ['log_loss', 'accuracy']);
  assert.deepEqual(metrics([1, 0, 1, 1]), ['log_loss', 'accuracy']);
  assert.deepEqual(metrics([0, 1, 0, 1]), ['log_loss', 'accuracy', 'roc_auc']);
});
