import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { chiSquaredAbove, driftOf } from '../../src/analyze/models/drift.ts';
import { gapEdges, spread } from '../../src/learn/metrics.ts';
import { randomFrom } from '../random.ts';
import { type House, openHouse, refused } from './fixture.ts';

test('tails of the chi-squared distribution are those of scipy.stats.chi2.sf', () => {
  for (const [x, degrees, expected] of [
    [3.841458820694124, 1, 0.05],
    [18.307038053275146, 10, 0.05],
    [2.5582121601872063, 10, 0.99],
    [66.61883, 30, 0.00013563640369989],
    [29.58829844507442, 10, 0.001],
    [0.5, 3, 0.918891411654676],
  ] as const)
    assert.ok(Math.abs(chiSquaredAbove(x, degrees) - expected) < 1e-6, `${x}, ${degrees}: ${chiSquaredAbove(x, degrees)}`);
});

test('of 2,000 A/A windows one in a hundred has p below 0.01, as stated', () => {
  const random = randomFrom(1);
  const shares = [0.3, 0.25, 0.2, 0.1, 0.08, 0.05, 0.01, 0.01];
  const draw = (rows: number): number[] => {
    const counts = shares.map(() => 0);
    for (let row = 0; row < rows; row++) {
      let at = random();
      counts[shares.findIndex((share) => (at -= share) < 0 || share === shares.at(-1))]!++;
    }
    return counts;
  };
  let alarms = 0;
  for (let window = 0; window < 2000; window++) if (driftOf(draw(800), draw(300)).p < 0.01) alarms++;
  // Binomial(2000, 0.01): mean 20, deviation 4.4.
  assert.ok(alarms >= 7 && alarms <= 34, `${alarms} alarms`);
});

test('of 2,000 A/A windows of a number’s scores, in parts that the held-out rows chose, one in a hundred has p below 0.01', () => {
  const random = randomFrom(2);
  // A score's usual shape: skewed, and one row in ten the same value.
  const draw = (rows: number) => Float64Array.from({ length: rows }, () => (random() < 0.1 ? 0.5 : -Math.log(1 - random())));
  let alarms = 0;
  for (let window = 0; window < 2000; window++) {
    const held = draw(600);
    const edges = gapEdges(held);
    if (driftOf(spread(held, edges).counts, spread(draw(300), edges).counts).p < 0.01) alarms++;
  }
  assert.ok(alarms >= 7 && alarms <= 34, `${alarms} alarms`);
});

test('scores of few values fall into the same parts when the model moves each by a hair', () => {
  const random = randomFrom(4);
  const values = Float64Array.from({ length: 1000 }, () => [1, 2, 5, 5.5, 9][Math.floor(random() * 5)]!);
  const edges = gapEdges(values);
  assert.deepEqual(edges, [1.5, 3.5, 5.25, 7.25]);
  assert.deepEqual(
    spread(
      values.map((value) => value - 1e-3),
      edges,
    ),
    spread(values, edges),
  );
  assert.deepEqual(gapEdges(new Float64Array(100).fill(3)), []);
  assert.deepEqual(spread(Float64Array.of(1, 2, 2, 3), [2, 3]).counts, [1, 2, 1]);
});

let house: House;
const ask: House['ask'] = (sql, more) => house.ask(sql, more);
/** Rows that hash their number, so that a window is like any other; `more` changes what is asked of it. */
const rows = (from: number, to: number, more = '') =>
  `SELECT * ${more} FROM (SELECT (hash(i) % 1000) / 10.0 AS amount, ['a', 'b', 'c', 'd'][1 + (hash(i + 7000000) % 4)::INT] AS kind,
     CASE WHEN hash(i + 9000000) % 10 = 0 THEN NULL ELSE (hash(i + 3000000) % 50)::INT END AS visits,
     CASE WHEN (hash(i) % 1000) / 10.0 + (hash(i + 5000000) % 60)::INT > 80 THEN 'yes' ELSE 'no' END AS bought FROM range(${from}, ${to}) t(i))`;
const skew = (query: string, more = '') => ask(`SELECT * FROM ML.VALIDATE_DATA_SKEW(MODEL m, (${query})${more})`);

describe('drift', { timeout: 60_000 }, () => {
  before(async () => {
    house = await openHouse();
    await ask(
      `CREATE MODEL m OPTIONS(model_type = 'BOOSTED_TREE_CLASSIFIER', max_iterations = 20, input_label_cols = ['bought']) AS ${rows(0, 6000)}`,
    );
  });
  after(() => house.close());

  test('windows that are like the training raise no alarm', async () => {
    for (let window = 0; window < 20; window++) {
      const found = await skew(rows(10_000 + window * 1000, 11_000 + window * 1000));
      assert.deepEqual(found.map((row) => row['input']).sort(), ['__SCORE__', 'amount', 'kind', 'visits']);
      for (const row of found) assert.equal(row['is_anomaly'], 'no', `window ${window}: ${JSON.stringify(row)}`);
    }
  });

  for (const [what, more, expected] of [
    ['a number that moved', 'REPLACE (amount + 10 AS amount)', ['__SCORE__', 'amount']],
    ['a category that is new', `REPLACE (CASE WHEN kind = 'a' THEN 'new' ELSE kind END AS kind)`, ['kind']],
    ['values that went missing', 'REPLACE (CASE WHEN visits % 3 = 0 THEN NULL ELSE visits END AS visits)', ['visits']],
    ['a number that spread', 'REPLACE ((visits - 25) * 2 + 25 AS visits)', ['visits']],
  ] as const)
    test(`${what} is found, and no other input`, async () => {
      const found = await skew(rows(50_000, 52_000, more));
      assert.deepEqual(
        found
          .filter((row) => row['is_anomaly'] === 'yes')
          .map((row) => row['input'])
          // The score moves with a column only as far as the model looks at it.
          .filter((input) => input !== '__SCORE__' || what === 'a number that moved')
          .sort(),
        expected,
      );
    });

  test('scores of a model whose rows had weights are held against rows, which have none', async () => {
    await ask(
      `CREATE MODEL weighed OPTIONS(model_type = 'BOOSTED_TREE_CLASSIFIER', max_iterations = 20, input_label_cols = ['bought'], weight_col = 'heavy')
       AS SELECT *, CASE WHEN bought = 'yes' THEN 50 ELSE 1 END AS heavy FROM (${rows(0, 6000)})`,
    );
    for (let window = 0; window < 5; window++) {
      const found = await ask(
        `SELECT * FROM ML.VALIDATE_DATA_SKEW(MODEL weighed, (${rows(10_000 + window * 1000, 11_000 + window * 1000)})) WHERE input = '__SCORE__'`,
      );
      assert.deepEqual([found.length, found[0]!['is_anomaly']], [1, 'no'], JSON.stringify(found));
    }
  });

  for (const [what, model, scores] of [
    ['a number', 'amounts', ['__SCORE__']],
    ['four classes', 'sizes', ['__SCORE__', '__CONFIDENCE__']],
  ] as const)
    test(`scores of ${what}: windows like the training raise no alarm, and a shift of what they go by is found`, async () => {
      await ask(
        `CREATE MODEL ${model} OPTIONS(model_type = 'BOOSTED_TREE_${model === 'sizes' ? 'CLASSIFIER' : 'REGRESSOR'}', max_iterations = 20, input_label_cols = ['target'])
         AS SELECT * EXCLUDE (bought), ${model === 'sizes' ? `['s', 'm', 'l', 'xl'][1 + least(3, (amount + (hash(visits) % 30)::INT) // 30)::INT]` : 'amount * 2 + coalesce(visits, 0)'} AS target FROM (${rows(0, 6000)})`,
      );
      const found = async (query: string) =>
        (await ask(`SELECT * FROM ML.VALIDATE_DATA_SKEW(MODEL ${model}, (${query}))`)).filter(({ input }) => input.startsWith('__'));
      for (let window = 0; window < 10; window++) {
        const calm = await found(rows(10_000 + window * 1000, 11_000 + window * 1000));
        assert.deepEqual(calm.map(({ input }) => input).sort(), [...scores].sort());
        for (const row of calm) assert.equal(row['is_anomaly'], 'no', `window ${window}: ${JSON.stringify(row)}`);
      }
      const [moved] = (await found(rows(50_000, 52_000, 'REPLACE (amount + 15 AS amount)'))).filter(({ input }) => input === '__SCORE__');
      assert.equal(moved!['is_anomaly'], 'yes', JSON.stringify(moved));
      // A sensor that hangs: every row has the same amount.
      const still = await found(rows(60_000, 62_000, 'REPLACE (50 AS amount)'));
      for (const row of still) assert.equal(row['is_anomaly'], 'yes', JSON.stringify(row));
    });

  test('PSI is the sum over the bins that SQL counts', async () => {
    const [row] = (await skew(rows(60_000, 64_000, `REPLACE (CASE WHEN kind = 'a' THEN 'b' ELSE kind END AS kind)`))).filter(
      (each) => each['input'] === 'kind',
    );
    const [expected] = await ask(`WITH t AS (SELECT kind, count(*) / 6000 AS a FROM (${rows(0, 6000)}) GROUP BY kind),
      w AS (SELECT kind, count(*) / 4000 AS b FROM (${rows(60_000, 64_000, `REPLACE (CASE WHEN kind = 'a' THEN 'b' ELSE kind END AS kind)`)}) GROUP BY kind)
      SELECT sum((coalesce(b, 0.5 / 4000) - a) * ln(coalesce(b, 0.5 / 4000) / a)) AS psi FROM t LEFT JOIN w USING (kind)`);
    assert.ok(Math.abs(row!['psi'] - expected!['psi']) < 1e-9);
  });

  test('no rows, a rate that is none and a model without its counts are refused', async () => {
    await assert.rejects(skew(rows(0, 0)), refused('MODEL_EMPTY'));
    await assert.rejects(skew(rows(0, 10), `, STRUCT(2 AS false_alarm_rate)`), refused('MODEL_FUNCTION'));
  });
});
