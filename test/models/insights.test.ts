import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
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

  test('leaves out what more dimensions say as well, and keeps the most supported when asked', async () => {
    const { all, segments } = segmentsOf(rows);
    const news = segments.filter(
      (short) =>
        !segments.some(
          (long) =>
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
    assert.equal(top.length, 4);
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
    await refuses(`${test}, contribution_metric = 'SUM(amount)/COUNT(shop)'`, 'contribution_metric');
    await refuses(`${test}, contribution_metric = 'SUM(amount)/COUNT(DISTINCT colour)'`, 'contribution_metric');
    await refuses(`${test}, contribution_metric = 'SUM(amount)/COUNT(DISTINCT amount)'`, 'contribution_metric');
    await refuses(`${test}, contribution_metric = '2 * SUM(amount)'`, 'contribution_metric');
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
    const bad = (sales: string, options = '') => house.ask(create(options, 'CREATE MODEL bad').replace('FROM sales', sales));
    await assert.rejects(bad('FROM sales WHERE false'), refused('MODEL_EMPTY'));
    await assert.rejects(bad('FROM sales WHERE later'), refused('MODEL_OPTION', { option: 'is_test_col' }));
    const refunded = 'FROM (SELECT * REPLACE (CASE WHEN amount > 90 THEN -amount ELSE amount END AS amount) FROM sales)';
    await assert.rejects(bad(refunded), refused('MODEL_OPTION', { option: 'min_apriori_support' }));
    await assert.rejects(
      bad(refunded, ', top_k_insights_by_apriori_support = 3'),
      refused('MODEL_OPTION', { option: 'min_apriori_support' }),
    );
    await bad(refunded, ', min_apriori_support = 0');
  });
});

interface Record {
  readonly later: boolean;
  readonly shop: string;
  readonly size: number;
  readonly sold: number;
  readonly shown: number;
  readonly buyer: string;
}

/** A segment's parts, counted row by row. */
interface Parts {
  readonly sum: number;
  readonly over: number;
}

const near = (told: unknown, expected: number | null, what: string) => {
  if (expected === null || !Number.isFinite(expected)) return assert.equal(told, null, what);
  assert.ok(Math.abs(Number(told) - expected) <= 1e-9 * Math.max(1, Math.abs(expected)), `${what}: ${told} where ${expected} is true`);
};
const over = ({ sum, over }: Parts) => (over === 0 ? null : sum / over);
const divided = (a: number | null, b: number | null) => (a === null || b === null || b === 0 ? null : a / b);
const less = (all: Parts, part: Parts): Parts => ({ sum: all.sum - part.sum, over: all.over - part.over });

/** What moving from the control to the test by small steps, all segments together, adds to the ratio by this segment's own steps. */
function walked(own: { test: Parts; control: Parts }, all: { test: Parts; control: Parts }): number | null {
  if (all.test.over === 0 || all.control.over === 0) return null;
  const steps = 4000;
  const at = (from: number, to: number, part: number) => from + (to - from) * part;
  let moved = 0;
  for (let step = 0; step < steps; step++) {
    // Simpson's rule over each step.
    for (const [part, weight] of [
      [0, 1],
      [0.5, 4],
      [1, 1],
    ] as const) {
      const t = (step + part) / steps;
      const [n, d] = [at(all.control.sum, all.test.sum, t), at(all.control.over, all.test.over, t)];
      moved += ((weight / 6) * ((own.test.sum - own.control.sum) / d - (n * (own.test.over - own.control.over)) / d ** 2)) / steps;
    }
  }
  return moved;
}

describe('contribution analysis of ratios and by category', () => {
  let house: House;
  before(async () => {
    house = await openHouse();
  });
  after(() => house.close());

  const dimensions = ['shop', 'size'] as const;
  async function insightsOf(records: readonly Record[], metric: string, more = ''): Promise<Row[]> {
    const values = records.map((r) => `(${r.later}, '${r.shop}', ${r.size}, ${r.sold}, ${r.shown}, '${r.buyer}')`);
    await house.ask(
      `CREATE OR REPLACE TABLE shown AS SELECT * FROM (VALUES ${values.join(', ')}) AS t(later, shop, size, sold, shown, buyer)`,
    );
    await house.ask(`CREATE OR REPLACE MODEL parts OPTIONS(model_type = 'CONTRIBUTION_ANALYSIS', contribution_metric = '${metric}', is_test_col = 'later',
      dimension_id_cols = ['shop', 'size']${more}) AS SELECT * FROM shown`);
    return house.ask('SELECT * FROM ML.GET_INSIGHTS(MODEL parts)');
  }
  /** Every combination of values by its name, "all" among them. */
  function segmentsOf(records: readonly Record[], divisor: (rows: readonly Record[]) => number) {
    const names = records.flatMap((r) => [[], [`shop=${r.shop}`], [`size=${r.size}`], [`shop=${r.shop}`, `size=${r.size}`]]);
    const known = new Map(names.map((parts) => [parts.join() || 'all', parts]));
    return new Map(
      [...known].map(([name, parts]) => {
        const within = records.filter((r) => parts.every((part) => [`shop=${r.shop}`, `size=${r.size}`].includes(part)));
        const partsOf = (later: boolean): Parts => {
          const rows = within.filter((r) => r.later === later);
          return { sum: rows.reduce((sum, { sold }) => sum + sold, 0), over: divisor(rows) };
        };
        return [name, { test: partsOf(true), control: partsOf(false) }];
      }),
    );
  }
  const record = fc.record({
    later: fc.boolean(),
    shop: fc.constantFrom('a', 'b', 'c'),
    size: fc.integer({ min: 1, max: 2 }),
    sold: fc.integer({ min: 0, max: 50 }),
    shown: fc.integer({ min: 0, max: 100 }),
    buyer: fc.constantFrom('u', 'v', 'w', 'x'),
  });
  /** Both sets have rows, and what is sold is more than nothing. */
  const records = fc
    .array(record, { minLength: 1, maxLength: 25 })
    .map((some): Record[] => [
      ...some,
      { later: true, shop: 'a', size: 1, sold: 3, shown: 7, buyer: 'u' },
      { later: false, shop: 'b', size: 2, sold: 5, shown: 9, buyer: 'v' },
    ]);
  const shownIn = (rows: readonly Record[]) => rows.reduce((sum, { shown }) => sum + shown, 0);
  const buyersIn = (rows: readonly Record[]) => new Set(rows.map(({ buyer }) => buyer)).size;

  async function judgeRatio(some: readonly Record[]): Promise<void> {
    const rows = await insightsOf(some, 'SUM(sold)/SUM(shown)', ', min_apriori_support = 0.2');
    const segments = segmentsOf(some, shownIn);
    const all = segments.get('all')!;
    const support = ({ test, control }: { test: Parts; control: Parts }) =>
      Math.max(test.sum / all.test.sum, control.sum / all.control.sum);
    const kept = [...segments].filter(([name, own]) => name === 'all' || support(own) >= 0.2).map(([name]) => name);
    assert.deepEqual(rows.map((row) => row['contributors'].join()).sort(), kept.sort());
    for (const row of rows) {
      const name = row['contributors'].join();
      const own = segments.get(name)!;
      const [after, before] = [over(own.test), over(own.control)];
      near(row['metric_test'], after, `${name} test`);
      near(row['metric_control'], before, `${name} control`);
      near(row['metric_test_over_metric_control'], divided(after, before), `${name} test over control`);
      near(row['metric_test_over_complement'], divided(after, over(less(all.test, own.test))), `${name} test over complement`);
      near(row['metric_control_over_complement'], divided(before, over(less(all.control, own.control))), `${name} control over complement`);
      near(row['aumann_shapley_attribution'], walked(own, all), `${name} attribution`);
      assert.equal(Math.abs(row['aumann_shapley_attribution']), row['contribution']);
      near(row['apriori_support'], name === 'all' ? 1 : support(own), `${name} support`);
    }
    const sizes = rows.map((row) => row['contribution']);
    assert.deepEqual(
      sizes,
      sizes.toSorted((a, b) => b - a),
    );
  }

  test('a ratio’s columns are BigQuery’s, and segments share out its change', async () => {
    await fc.assert(fc.asyncProperty(records, judgeRatio), { numRuns: 15 });
    const rows = await insightsOf(await fc.sample(records, 1)[0]!, 'sum(sold) / sum(shown)', ', min_apriori_support = 0');
    assert.deepEqual(Object.keys(rows[0]!), [
      ...['contributors', ...dimensions, 'metric_test', 'metric_control', 'metric_test_over_metric_control', 'metric_test_over_complement'],
      ...['metric_control_over_complement', 'aumann_shapley_attribution', 'apriori_support', 'contribution'],
    ]);
    const all = rows.find((row) => row['contributors'][0] === 'all')!;
    near(all['aumann_shapley_attribution'], all['metric_test'] - all['metric_control'], 'the whole change');
    for (const dimension of dimensions) {
      const parts = rows.filter((row) => row['contributors'].length === 1 && row['contributors'][0].startsWith(`${dimension}=`));
      near(
        parts.reduce((sum, row) => sum + row['aumann_shapley_attribution'], 0),
        all['aumann_shapley_attribution'],
        `shares of ${dimension}`,
      );
    }
  });

  test('a ratio whose divisor hardly moves, or not at all, is shared out as exactly', async () => {
    for (const more of [0, 1, 40, 900, 1100]) {
      const base: Omit<Record, 'later' | 'shop' | 'sold' | 'shown'> = { size: 1, buyer: 'u' };
      await judgeRatio([
        { ...base, later: false, shop: 'a', sold: 4000, shown: 60_000 },
        { ...base, later: false, shop: 'b', sold: 1000, shown: 40_000 },
        { ...base, later: true, shop: 'a', sold: 3000, shown: 50_000 },
        { ...base, later: true, shop: 'b', sold: 3000, shown: 50_000 + more },
      ]);
    }
  });

  test('agrees with the worked example of BigQuery’s reference', async () => {
    const row = (shop: string, sold: number, shown: number, later = true): Record => ({ later, shop, size: 1, sold, shown, buyer: 'u' });
    const rows = await insightsOf(
      [row('a', 50, 100), row('b', 75, 200), row('c', 1, 10), row('a', 1, 1, false)],
      'SUM(sold)/SUM(shown)',
      ', min_apriori_support = 0',
    );
    const told = (shop: string) =>
      rows.find((each) => each['contributors'].join() === `shop=${shop}`)!['metric_test_over_complement'].toFixed(2);
    assert.deepEqual([told('a'), told('c')], ['1.38', '0.24']);
  });

  test('a sum by category counts distinct values anew in each segment', async () => {
    await fc.assert(
      fc.asyncProperty(records, async (some) => {
        const rows = await insightsOf(some, 'SUM(sold)/COUNT(DISTINCT buyer)');
        const segments = segmentsOf(some, buyersIn);
        const all = segments.get('all')!;
        const support = ({ test, control }: { test: Parts; control: Parts }) =>
          Math.max(test.sum / all.test.sum, control.sum / all.control.sum);
        const kept = [...segments].filter(([name, own]) => name === 'all' || support(own) >= 0.1).map(([name]) => name);
        assert.deepEqual(rows.map((row) => row['contributors'].join()).sort(), kept.sort());
        assert.deepEqual(Object.keys(rows[0]!), [
          ...['contributors', ...dimensions, 'metric_test', 'metric_control', 'difference', 'relative_difference'],
          ...['metric_test_over_population', 'metric_control_over_population', 'apriori_support', 'contribution'],
        ]);
        for (const row of rows) {
          const name = row['contributors'].join();
          const own = segments.get(name)!;
          const [after, before] = [over(own.test), over(own.control)];
          const difference = after === null || before === null ? null : after - before;
          near(row['metric_test'], after, `${name} test`);
          near(row['metric_control'], before, `${name} control`);
          near(row['difference'], difference, `${name} difference`);
          near(row['relative_difference'], divided(difference, before), `${name} relative difference`);
          near(row['metric_test_over_population'], divided(after, over(all.test)), `${name} test over all`);
          near(row['metric_control_over_population'], divided(before, over(all.control)), `${name} control over all`);
          near(row['apriori_support'], name === 'all' ? 1 : support(own), `${name} support`);
          near(row['contribution'], difference === null ? null : Math.abs(difference), `${name} contribution`);
        }
      }),
      { numRuns: 15 },
    );
  });
});
