import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { parseMetric } from '#analyze';
import { measureOf } from '../../src/analyze/metrics/measure.ts';
import { openWarehouse, type Warehouse } from './fixture.ts';

const revenue = `title: Revenue
expression: sum(amount)
table: main.sale
time: sold_at
where: NOT test
dimensions: [channel, c.country]
joins:
  c: { table: main.customer, on: { customer: id } }
format: currency
`;

describe('a metric’s definition', () => {
  const refuses = (text: string, message: string) =>
    assert.throws(
      () => parseMetric('m', text, 'metrics/m.yaml'),
      (error: { message?: string }) => {
        assert.equal(error.message, message);
        return true;
      },
    );

  test('is read as data', () => {
    assert.deepEqual(parseMetric('revenue', revenue, 'metrics/revenue.yaml'), {
      name: 'revenue',
      title: 'Revenue',
      summary: '',
      expression: 'sum(amount)',
      table: 'main.sale',
      time: 'sold_at',
      where: 'NOT test',
      dimensions: ['channel', 'c.country'],
      joins: [{ name: 'c', table: 'main.customer', on: [['customer', 'id']] }],
      format: 'currency',
    });
  });

  test('is refused with file and line where it can’t be', () => {
    refuses('expression: sum(x)\n', 'metrics/m.yaml:1: "table" is missing.');
    refuses('table: a.b\nexpresion: x\n', 'metrics/m.yaml:2: the option "expresion" is unknown; "expression" is near.');
    refuses('table: a.b.c\nexpression: x\n', 'metrics/m.yaml:1: "table" must be a table: schema.name.');
    refuses('table: t\nexpression: x\ndimensions:\n  - d.x\n', 'metrics/m.yaml:4: "dimensions" has "d.x", but there is no join "d".');
    refuses(
      'table: t\nexpression: x\njoins:\n  d: { table: u }\n',
      'metrics/m.yaml:4: "joins.d.on" must name the keys: own_column: other_column.',
    );
    refuses('table: t\nexpression: &a x\n', 'metrics/m.yaml:2 is not valid YAML: anchors and aliases (& and *) are not taken.');
    refuses('table: t\ntable: u\n', 'metrics/m.yaml:2 is not valid YAML: the key "table" stands twice.');
    refuses('- 1\n', 'metrics/m.yaml:1: the file must be a map of options (name: value).');
    refuses('table: t\nexpression: x\nformat: money\n', 'metrics/m.yaml:3: "format" can\'t be "money"; use number, currency, percent.');
  });
});

describe('the answer "metric"', () => {
  let warehouse: Warehouse;
  before(async () => {
    warehouse = await openWarehouse('Asia/Seoul');
    warehouse.definitions.metrics.set('revenue', revenue);
    await warehouse.make(
      `CREATE TABLE main.sale AS SELECT * FROM (VALUES
        (TIMESTAMPTZ '2026-01-01 14:59:00Z', 10.00, 'web', 'c1', false), (TIMESTAMPTZ '2026-01-01 15:00:00Z', 20.00, 'web', 'c2', false),
        (TIMESTAMPTZ '2026-01-02 12:00:00Z', 40.00, 'app', 'c1', false), (TIMESTAMPTZ '2026-01-02 12:00:00Z', 80.00, 'app', 'c9', true)
      ) AS s(sold_at, amount, channel, customer, test)`,
      `CREATE TABLE main.customer AS SELECT * FROM (VALUES ('c1', 'KR'), ('c2', 'US')) AS c(id, country)`,
    );
  });
  after(() => warehouse.close());
  const rows = async (options: Record<string, unknown>) => {
    const ran = await warehouse.run('metric', { metric: 'revenue', ...options });
    return ran.rows.map((row) => Object.values(row).map((value) => (typeof value === 'number' ? Number(value) : value)));
  };

  test('gives the figure by day of the workspace’s zone and by dimensions over a join', async () => {
    assert.deepEqual(await rows({}), [[70]]);
    assert.deepEqual(await rows({ grain: 'day' }), [
      ['2026-01-01', 10],
      ['2026-01-02', 60],
    ]);
    assert.deepEqual(await rows({ by: 'channel,c.country' }), [
      ['app', 'KR', 40],
      ['web', 'KR', 10],
      ['web', 'US', 20],
    ]);
    assert.deepEqual(await rows({ from: '2026-01-02', to: '2026-01-02' }), [[60]]);
  });

  test('refuses a join that would multiply rows, with the key and how often it stands there', async () => {
    await warehouse.make(`INSERT INTO main.customer VALUES ('c1', 'JP')`);
    await assert.rejects(rows({ by: 'c.country' }), {
      code: 'METRIC_JOIN',
      message: 'The join "c" of the metric "revenue" would multiply rows: main.customer has 2 rows with id = c1.',
    });
    await assert.rejects(warehouse.ask(`SELECT * FROM answers.metric(metric := 'revenue', by := 'c.country')`), { code: 'METRIC_JOIN' });
    assert.deepEqual(await rows({}), [[70]], 'a join that is not asked for does not matter');
  });

  test('says in the workspace’s zone from when to when its rows are, and what was set aside', async () => {
    const { facts } = await warehouse.run('metric', { metric: 'revenue', from: '2026-01-02' });
    assert.deepEqual(
      ['rows used', 'set aside: rows that the metric leaves out', 'set aside: outside the asked days', 'from', 'to'].map(
        (fact) => facts[fact],
      ),
      ['2', '1', '1', '2026-01-02 00:00', '2026-01-02 21:00 (Asia/Seoul)'],
    );
    assert.equal(facts['matched paid orders'], 'not known: there is no table of orders');
    const days = { from: '2026-01-02', to: '2026-01-02', before_from: '2025-12-31', before_to: '2025-12-31' };
    const drivers = await warehouse.run('drivers', { metric: 'revenue', by: 'channel', ...days });
    const told = ['the period', 'the period before', 'set aside: rows that the metric leaves out', 'set aside: outside both periods'];
    assert.deepEqual(
      told.map((fact) => drivers.facts[fact]),
      ['2026-01-02 to 2026-01-02 (Asia/Seoul)', '2025-12-31 to 2025-12-31 (Asia/Seoul)', '1', '1'],
    );
  });

  test('a time without a zone is what the workspace’s clock showed, a day is that day; text is refused', async () => {
    await warehouse.make(`CREATE TABLE main.clock AS SELECT *, CAST(sold AS DATE) AS day, CAST(sold AS VARCHAR) AS word FROM (VALUES
      ('o1', 'c1', TIMESTAMP '2026-01-01 23:30:00', 1.00), ('o2', 'c1', TIMESTAMP '2026-01-02 00:30:00', 2.00), ('o3', 'c2', TIMESTAMP '2026-01-02 08:59:00', 4.00)
    ) AS s(order_id, customer_id, sold, amount)`);
    const metricOf = (time: string) => `table: main.clock\nexpression: sum(amount)\ntime: ${time}\ndimensions: [customer_id]\n`;
    for (const time of ['sold', 'day', 'word']) warehouse.definitions.metrics.set(time, metricOf(time));
    for (const metric of ['sold', 'day']) {
      assert.deepEqual(await rows({ metric, grain: 'day' }), [
        ['2026-01-01', 1],
        ['2026-01-02', 6],
      ]);
      assert.deepEqual(await rows({ metric, from: '2026-01-02' }), [[6]]);
      const days = { from: '2026-01-02', to: '2026-01-02', before_from: '2026-01-01', before_to: '2026-01-01' };
      const drivers = await warehouse.run('drivers', { metric, ...days });
      assert.deepEqual(
        drivers.rows.map((row) => [row['segment'], Number(row['after']), Number(row['before'])]),
        [
          ['customer_id = c2', 4, 0],
          ['customer_id = c1', 2, 1],
        ],
      );
    }
    const { facts } = await warehouse.run('metric', { metric: 'sold' });
    assert.equal(facts['caveat: sold of main.clock has no time zone'], 'read as of Asia/Seoul');
    assert.equal(facts['from'], '2026-01-01 23:30');
    await assert.rejects(rows({ metric: 'word', grain: 'day' }), { code: 'ANSWER_TYPE' });
  });

  test('an expression may end with a comment, or have one in its midst', async () => {
    warehouse.definitions.metrics.set(
      'noted',
      `table: main.sale\ntime: sold_at\ndimensions: [channel]\nexpression: |-\n  sum(amount) -- as sold\n    / 1 -- and no more\nwhere: NOT test -- nor tests\n`,
    );
    const ran = await warehouse.run('metric', { metric: 'noted', by: 'channel' });
    assert.deepEqual(
      [ran.columns, ran.rows.map((row) => [row['channel'], Number(row['value'])])],
      [
        ['channel', 'value'],
        [
          ['app', 40],
          ['web', 30],
        ],
      ],
    );
    const days = { from: '2026-01-02', to: '2026-01-02', before_from: '2026-01-01', before_to: '2026-01-01' };
    const { facts } = await warehouse.run('drivers', { metric: 'noted', ...days });
    assert.deepEqual([Number(facts['noted of the period']), Number(facts['noted of the period before'])], [60, 10]);
  });

  test('refuses what the definition does not have', async () => {
    await assert.rejects(rows({ by: 'browser' }), { code: 'METRIC_DIMENSION' });
    await assert.rejects(rows({ metric: 'profit' }), { code: 'METRIC_UNKNOWN' });
    warehouse.definitions.metrics.set('timeless', 'table: main.sale\nexpression: count(*)\n');
    await assert.rejects(rows({ metric: 'timeless', grain: 'day' }), { code: 'ANSWER_OPTION' });
    warehouse.definitions.metrics.set('files', `table: main.sale\nexpression: (SELECT count(*) FROM read_csv('x'))\n`);
    await assert.rejects(rows({ metric: 'files' }), { code: 'SQL_FUNCTION' });
  });
});

test('an expression comes apart into sums and counts, or not at all', () => {
  const parts = (expression: string) => {
    const measure = measureOf(expression);
    return measure === null ? null : [measure.kind, measure.sum, measure.over];
  };
  for (const [expression, ...expected] of [
    ['sum(amount) - sum(refund)', 'sum', 'sum(amount) - sum(refund)', null],
    ['coalesce(sum(a), 0) / 1000', 'sum', 'coalesce(sum(a), 0) / 1000', null],
    ['-count(*)', 'sum', '-count(*)', null],
    ['100.0 * sum(a) / nullif(sum(b), 0)', 'ratio', '100.0 * sum(a)', 'nullif(sum(b), 0)'],
    ['sum(a) / sum(b) * 100', 'ratio', 'sum(a) * 100', 'sum(b)'],
    ['((sum(a) - sum(b)) -- margin\n / (sum(a) + sum(c)))', 'ratio', '(sum(a) - sum(b))', '(sum(a) + sum(c))'],
    ["count(*) FILTER (WHERE x = ')') / count(*)", 'ratio', "count(*) FILTER (WHERE x = ')')", 'count(*)'],
    ['avg(a) FILTER (WHERE b)', 'ratio', 'sum(a) FILTER (WHERE b)', 'count(a) FILTER (WHERE b)'],
    ['CAST(sum(a) AS DECIMAL(18,2)) / sum(b)::DOUBLE', 'ratio', 'CAST(sum(a) AS DECIMAL(18,2))', 'sum(b)::DOUBLE'],
    ['sum(a) / count(DISTINCT b)', 'by category', 'sum(a)', 'count(DISTINCT b)'],
  ] as const)
    assert.deepEqual(parts(expression), expected, expression);
  for (const whole of [
    ...[
      'median(a)',
      'max(a)',
      'sum(DISTINCT a)',
      'count(DISTINCT a)',
      'sum(a) * sum(b)',
      'sum(a) + 1',
      '1 / sum(a)',
      'sum(a) / sum(b) / sum(c)',
    ],
    ...[
      'coalesce(sum(a), 5)',
      'round(sum(a), 2)',
      'sum(a) OVER ()',
      'sum(a) / sum(b) + sum(c)',
      'avg(a) - avg(b)',
      'a',
      '',
      'sum(a',
      "sum('a",
    ],
  ])
    assert.equal(parts(whole), null, whole);
});
