import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type House, openHouse, type Row, refused } from './fixture.ts';

/** 600 sales of two weeks: shop s2 sells no c in the second, and region is decided by the shop. */
const SALES = `CREATE TABLE sales AS
  SELECT 's' || i % 3 AS shop, ['north', 'south', 'south'][1 + i % 3] AS region, ['a', 'b', 'c', NULL][1 + (i * 7) % 4] AS "the good", i >= 300 AS later,
    CASE WHEN i >= 300 AND i % 3 = 2 AND (i * 7) % 4 = 2 THEN 0 ELSE CAST((i * 7919) % 100 AS DECIMAL(18,2)) END AS amount
  FROM range(600) AS r(i)`;
const create = (options = '', how = 'CREATE OR REPLACE MODEL why') =>
  `${how} OPTIONS(model_type = 'CONTRIBUTION_ANALYSIS', contribution_metric = 'SUM(amount)', is_test_col = 'later'${options}) AS SELECT * FROM sales`;

interface Segment {
  readonly contributors: readonly string[];
  readonly test: number;
  readonly control: number;
}

/** Every combination of values counted row by row, in whole numbers. */
function segmentsOf(rows: readonly Row[]): { all: Segment; segments: Segment[] } {
  const names = ['shop', 'region', 'the good'];
  const sums = new Map<string, { contributors: string[]; test: number; control: number }>();
  for (const row of rows) {
    for (let mask = 0; mask < 8; mask++) {
      const contributors = names.filter((_, at) => (mask >> at) % 2 === 1).map((name) => `${name}=${row[name] ?? 'NULL'}`);
      const sum = sums.get(contributors.join()) ?? { contributors, test: 0, control: 0 };
      sum[row['later'] === true ? 'test' : 'control'] += Number(row['amount']);
      sums.set(contributors.join(), sum);
    }
  }
  return { all: sums.get('')!, segments: [...sums.values()].filter(({ contributors }) => contributors.length > 0) };
}

describe('contribution analysis in SQL', () => {
  let house: House;
  let rows: Row[];
  before(async () => {
    house = await openHouse();
    await house.ask(SALES);
    rows = await house.ask('SELECT * FROM sales');
  });
  after(() => house.close());

  const shown = (row: Row) => [row['contributors'].join(), Number(row['metric_test']), Number(row['metric_control'])].join('|');
  const told = ({ contributors, test, control }: Segment) => [contributors.join() || 'all', test, control].join('|');

  test('gives every segment of support with what BigQuery’s columns say of it', async () => {
    const { all, segments } = segmentsOf(rows);
    const support = ({ test, control }: Segment) => Math.max(test / all.test, control / all.control);
    const kept = segments.filter((segment) => support(segment) >= 0.1);
    const [made] = await house.ask(create());
    assert.deepEqual(made, { model: 'main.why', insights: kept.length + 1, dimensions: 'shop, region, the good' });
    const insights = await house.ask('SELECT * FROM ML.GET_INSIGHTS(MODEL why)', { role: 'viewer' });
    assert.deepEqual(Object.keys(insights[0]!), [
      ...['contributors', 'shop', 'region', 'the good', 'metric_test', 'metric_control', 'difference', 'relative_difference'],
      ...['unexpected_difference', 'relative_unexpected_difference', 'apriori_support', 'contribution'],
    ]);
    assert.deepEqual(insights.map(shown).sort(), [all, ...kept].map(told).sort());
    assert.ok(kept.length > 5 && kept.length < segments.length);
    for (const row of insights) {
      const { contributors, metric_test: test, metric_control: control } = row;
      const own = [all, ...segments].find((each) => (each.contributors.join() || 'all') === contributors.join())!;
      assert.deepEqual(
        [Number(row['difference']), Number(row['contribution'])],
        [own.test - own.control, Math.abs(own.test - own.control)],
      );
      assert.ok(Math.abs(row['relative_difference'] - (test - control) / control) < 1e-9);
      if (own === all) {
        assert.equal(row['apriori_support'], 1);
        continue;
      }
      const expected = own.control * ((all.test - own.test) / (all.control - own.control));
      assert.ok(Math.abs(row['unexpected_difference'] - (own.test - expected)) < 1e-6);
      assert.ok(Math.abs(row['relative_unexpected_difference'] - (own.test - expected) / expected) < 1e-9);
      assert.ok(Math.abs(row['apriori_support'] - support(own)) < 1e-12);
      assert.deepEqual(
        ['shop', 'region', 'the good'].filter((name) => row[name] !== null),
        own.contributors.filter((each) => !each.endsWith('=NULL')).map((each) => each.split('=')[0]),
      );
    }
  });

  test('leaves out what says the same as fewer dimensions, and keeps the most supported when asked', async () => {
    const { all, segments } = segmentsOf(rows);
    const news = segments.filter(
      (long) =>
        !segments.some(
          (short) =>
            short.contributors.length < long.contributors.length &&
            short.contributors.every((each) => long.contributors.includes(each)) &&
            short.test === long.test &&
            short.control === long.control,
        ),
    );
    assert.ok(news.length < segments.length);
    await house.ask(create(`, min_apriori_support = 0, pruning_method = 'PRUNE_REDUNDANT_INSIGHTS'`));
    assert.deepEqual((await house.ask('FROM ML.GET_INSIGHTS(MODEL main.why)')).map(shown).sort(), [all, ...news].map(told).sort());
    await house.ask(create(`, top_k_insights_by_apriori_support = 4, dimension_id_cols = ['shop', 'the good']`));
    const top = await house.ask('SELECT * FROM ML.GET_INSIGHTS(MODEL why)');
    assert.equal(top.length, 5);
    const supports = segments
      .filter(({ contributors }) => contributors.every((each) => !each.startsWith('region')))
      .map(({ test, control }) => Math.max(test / all.test, control / all.control))
      .sort((a, b) => b - a);
    for (const [at, row] of top
      .filter(({ contributors }) => contributors[0] !== 'all')
      .toSorted((a, b) => b['apriori_support'] - a['apriori_support'])
      .entries())
      assert.ok(Math.abs(row['apriori_support'] - supports[at]!) < 1e-12);
  });

  test('is named like a model: made once, replaced, dropped, and asked nothing else', async () => {
    await house.ask(create('', 'CREATE MODEL other'));
    await assert.rejects(house.ask(create('', 'CREATE MODEL other')), refused('MODEL_EXISTS'));
    assert.deepEqual(await house.ask(create('', 'CREATE MODEL IF NOT EXISTS other')), [{ model: null }]);
    await assert.rejects(
      house.ask(`CREATE MODEL other OPTIONS(model_type = 'LINEAR_REG', input_label_cols = ['amount']) AS SELECT * FROM sales`),
      refused('MODEL_EXISTS'),
    );
    await assert.rejects(house.ask('SELECT * FROM ML.PREDICT(MODEL other, TABLE sales)'), refused('MODEL_FUNCTION'));
    await house.ask('DROP MODEL other');
    await assert.rejects(house.ask('SELECT * FROM ML.GET_INSIGHTS(MODEL other)'), refused('MODEL_UNKNOWN'));
    await assert.rejects(house.ask('DROP MODEL other'), refused('MODEL_UNKNOWN'));
  });

  test('whoever may not read its table may not read what was made of it', async () => {
    await house.ask('CREATE TABLE secret AS SELECT * FROM sales');
    await house.ask(create('', 'CREATE MODEL hidden').replace('FROM sales', 'FROM secret'));
    await house.ask('DROP TABLE secret');
    await assert.rejects(house.ask('SELECT * FROM ML.GET_INSIGHTS(MODEL hidden)'), refused('MODEL_FUNCTION'));
  });

  test('refuses what it can’t count', async () => {
    const refuses = (options: string, option: string) =>
      assert.rejects(
        house.ask(`CREATE MODEL bad OPTIONS(model_type = 'CONTRIBUTION_ANALYSIS', ${options}) AS SELECT * FROM sales`),
        refused('MODEL_OPTION', { option }),
      );
    const test = `is_test_col = 'later'`;
    const metric = `contribution_metric = 'SUM(amount)'`;
    await refuses(metric, 'is_test_col');
    await refuses(`${metric}, is_test_col = 'shop'`, 'is_test_col');
    await refuses(test, 'contribution_metric');
    await refuses(`${test}, contribution_metric = 'SUM(shop)'`, 'contribution_metric');
    await refuses(`${test}, contribution_metric = 'SUM(amount)/SUM(later)'`, 'contribution_metric');
    await refuses(`${test}, contribution_metric = 'SUM(amount) FROM secret'`, 'contribution_metric');
    await refuses(`${test}, ${metric}, dimension_id_cols = ['colour']`, 'dimension_id_cols');
    await refuses(`${test}, ${metric}, dimension_id_cols = ['shop', 'shop']`, 'dimension_id_cols');
    await refuses(`${test}, ${metric}, min_apriori_support = 2`, 'min_apriori_support');
    await refuses(
      `${test}, ${metric}, min_apriori_support = 0.1, top_k_insights_by_apriori_support = 3`,
      'top_k_insights_by_apriori_support',
    );
    await refuses(`${test}, ${metric}, pruning_method = 'ALL'`, 'pruning_method');
    await refuses(`${test}, ${metric}, learn_rate = 1`, 'learn_rate');
    await assert.rejects(house.ask(create('', 'CREATE MODEL bad').replace('FROM sales', 'FROM sales WHERE false')), refused('MODEL_EMPTY'));
  });
});
