import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { ColumnLineage, WhyAnswer } from '#server';
import { type Running, running, until } from './fixture.ts';

const topic = `
fields:
  order: integer
  amount: integer
  상품: text
`;

/** A chain as a person writes it: each node with its kind, in parentheses what makes it, indented by level. */
function drawn({ columns, nodes }: ColumnLineage): string {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const lines: string[] = [];
  const more = (making: { left_out: number; partly: boolean }) =>
    `${making.left_out > 0 ? ` +${making.left_out}` : ''}${making.partly ? ' ?' : ''}`;
  function draw(id: string, depth: number, path: readonly string[]): void {
    const node = byId.get(id)!;
    const by = node.by.length > 0 ? ` ${node.by.join(', ')}` : '';
    const expression = node.expression === null ? '' : ` (${node.expression})`;
    lines.push(
      `${'  '.repeat(depth)}${id}: ${node.kind}${by}${node.withheld ? ' withheld' : ''}${expression}${more(node)}${path.includes(id) ? ' again' : ''}`,
    );
    if (!path.includes(id)) for (const next of node.from) draw(next, depth + 1, [...path, id]);
  }
  for (const column of columns) {
    lines.push(`${column.name}${column.expression === null ? '' : ` (${column.expression})`}${more(column)}`);
    for (const id of column.from) draw(id, 1, []);
  }
  return lines.join('\n');
}

describe('from where a column comes', () => {
  let server: Running;
  const closing: (() => unknown)[] = [];
  after(async () => {
    for (const close of closing.reverse()) await close();
  });

  const ok = async (sql: string) => {
    const rows = await server.ask(sql);
    assert.notEqual(typeof rows, 'string', `${sql}: ${rows}`);
  };
  const why = async (sql: string, token?: string) => {
    const answer = await server.call('POST', '/v1/why', { body: { sql }, ...(token !== undefined && { token }) });
    assert.equal(answer.status, 200, answer.text);
    return (answer.json as WhyAnswer).lineage;
  };
  const of = async (table: string, column: string, token?: string) => {
    const answer = await server.call('GET', `/v1/lineage?${new URLSearchParams({ table, column })}`, token === undefined ? {} : { token });
    assert.equal(answer.status, 200, answer.text);
    return answer.json as ColumnLineage;
  };

  before(async () => {
    const after = (close: () => unknown) => void closing.push(close);
    server = await running({ after } as Parameters<typeof running>[0], { topics: { orders: topic } });
    mkdirSync(join(server.path, 'transfers'), { recursive: true });
    writeFileSync(
      join(server.path, 'transfers', 'shop.yaml'),
      'source: csv\nconnection: { path: a.csv }\ntables:\n  a: { target: main.rates, mode: full }\n',
    );
    await server.send('orders', [
      { order: 1, amount: 5, 상품: 'tea' },
      { order: 2, amount: 7, 상품: 'cup' },
    ]);
    await server.delivered();
    await ok(`CREATE TABLE main.rates AS SELECT 2 AS rate`);
    const loaded = await server.call('POST', '/v1/load/main.costs?format=csv&mode=create', { body: 'order,cost\n1,3\n2,4\n' });
    assert.equal(loaded.status, 200, loaded.text);
    await ok(
      `CREATE MATERIALIZED VIEW mart.daily AS SELECT "상품", sum(amount) AS revenue, count(*) AS orders FROM raw.orders GROUP BY "상품"`,
    );
    await ok(`CREATE VIEW mart.won (item, won) AS SELECT d."상품", d.revenue * r.rate FROM mart.daily d, main.rates r`);
    await ok(`CREATE SCHEDULED QUERY mart.report OPTIONS (cron = '0 6 * * *') AS SELECT sum(won) AS won, max(item) AS last FROM mart.won`);
    await ok('RUN SCHEDULED QUERY mart.report');
    await until(async () => (await server.ask('SELECT won FROM mart.report')) !== 'SQL_TABLE');
  });

  test('goes through scheduled queries, views and materialized views down to topics and transfers', async () => {
    assert.equal(
      drawn(await why('SELECT won AS "이익", last FROM mart.report')),
      `이익
  mart.report.won: scheduled query (sum(mart.won.won))
    mart.won.won: view ((mart.daily.revenue * main.rates.rate))
      mart.daily.revenue: materialized view (sum(raw.orders.amount))
        raw.orders.amount: topic orders
      main.rates.rate: transfer shop
last
  mart.report.last: scheduled query (max(mart.won.item))
    mart.won.item: view
      mart.daily.상품: materialized view
        raw.orders.상품: topic orders`,
    );
  });

  test('is told of a result that lists no columns, of counts, of constants and of files', async () => {
    const sql =
      'SELECT * FROM (SELECT d.orders, c.cost, 1 AS one, now() AS at FROM mart.daily d, main.costs c) UNION ALL SELECT order, amount, 2, now() FROM raw.orders';
    assert.equal(
      drawn(await why(sql.replace('order,', '"order",'))),
      `orders
  mart.daily.orders: materialized view (count(*))
    raw.orders: topic orders
  raw.orders.order: topic orders
cost
  main.costs.cost: load
  raw.orders.amount: topic orders
one (1 UNION 2)
at (now())`,
    );
  });

  test('opens answers, and stops at a model, which it names', async () => {
    mkdirSync(join(server.path, 'metrics'), { recursive: true });
    writeFileSync(
      join(server.path, 'metrics', 'revenue.yaml'),
      'title: Revenue\ntable: mart.daily\nexpression: sum(revenue)\ndimensions: [orders]\n',
    );
    assert.equal(
      drawn(await why("SELECT value AS v FROM answers.metric(metric := 'revenue')")),
      `v (sum(mart.daily.revenue))
  mart.daily.revenue: materialized view (sum(raw.orders.amount))
    raw.orders.amount: topic orders`,
    );
    await ok('CREATE TABLE main.points AS SELECT i % 40 AS x, 2 * (i % 40) AS y FROM range(400) r(i)');
    await ok("CREATE MODEL main.line OPTIONS (model_type = 'LINEAR_REG', input_label_cols = ['y']) AS SELECT x, y FROM main.points");
    const predicted = `SELECT sum(predicted_y) AS y, max(x) AS x, count(*) AS n FROM ML.PREDICT(MODEL line, (SELECT amount AS x FROM raw.orders))`;
    const wanted = `y (sum(predicted_y))
  model main.line: model
x (max(raw.orders.amount))
  raw.orders.amount: topic orders
n (count(*))
  raw.orders: topic orders`;
    assert.equal(drawn(await why(predicted)), wanted);
    await ok(
      `CREATE MATERIALIZED VIEW mart.guessed AS WITH o AS (SELECT amount AS x FROM raw.orders) SELECT predicted_y AS y, x FROM ML.PREDICT(MODEL line, TABLE o)`,
    );
    assert.equal(
      drawn(await why('SELECT y, x FROM mart.guessed')),
      `y
  mart.guessed.y: materialized view
    model main.line: model
x
  mart.guessed.x: materialized view
    raw.orders.amount: topic orders`,
    );
    assert.match(drawn(await why('SELECT * FROM ML.EVALUATE(MODEL line)')), /^mean_absolute_error\n {2}model main\.line: model\n/);
  });

  test('of a column of a table, whatever the case of its name', async () => {
    assert.equal(
      drawn(await of('mart.daily', 'REVENUE')),
      `revenue
  mart.daily.revenue: materialized view (sum(raw.orders.amount))
    raw.orders.amount: topic orders`,
    );
    assert.equal(drawn(await of('mart.daily', '_batch')), '_batch\n  mart.daily._batch: materialized view');
    for (const [table, column, code] of [
      ['mart.daily', 'gone', 'REQUEST_INVALID'],
      ['main.gone', 'x', 'TABLE_UNKNOWN'],
    ] as const)
      assert.equal((await server.call('GET', `/v1/lineage?${new URLSearchParams({ table, column })}`)).code, code);
  });

  test('a circle of definitions leads back, and what is too deep or too wide is cut and said to be', async () => {
    await ok('CREATE TABLE main.total AS SELECT 0 AS n');
    await ok("CREATE SCHEDULED QUERY mart.total OPTIONS (cron = '0 6 * * *', write = 'append') AS SELECT n + 1 AS n FROM main.total");
    await ok('RUN SCHEDULED QUERY mart.total');
    await ok(
      "CREATE OR REPLACE SCHEDULED QUERY mart.total OPTIONS (cron = '0 6 * * *', write = 'append') AS SELECT max(n) + 1 AS n FROM mart.total",
    );
    assert.equal(
      drawn(await of('mart.total', 'n')),
      `n
  mart.total.n: scheduled query ((max(mart.total.n) + 1))
    mart.total.n: scheduled query ((max(mart.total.n) + 1)) again`,
    );
    for (let level = 1; level <= 14; level++)
      await ok(
        `CREATE VIEW main.level${level} AS SELECT x AS x FROM ${level === 1 ? '(SELECT n AS x FROM main.total)' : `main.level${level - 1}`}`,
      );
    const deep = await of('main.level14', 'x');
    assert.deepEqual([deep.nodes.length, deep.nodes.at(-1)!.id, deep.nodes.at(-1)!.left_out], [12, 'main.level3.x', 1]);
    const many = Array.from({ length: 35 }, (_, k) => `c${k}`);
    await ok(`CREATE TABLE main.wide AS SELECT ${many.map((name) => `1 AS ${name}`).join(', ')}`);
    const [sum] = (await why(`SELECT ${many.join(' + ')} AS total FROM main.wide`)).columns;
    assert.deepEqual([sum!.from.length, sum!.left_out], [30, 5]);
    assert.equal(sum!.expression!.length, 301);
  });

  test('who may not read a table is told neither its columns nor the SQL that names them', async () => {
    const { token } = (await server.call('POST', '/v1/tokens', { body: { name: 'partner', role: 'viewer' } })).json as { token: string };
    mkdirSync(join(server.path, 'grants'), { recursive: true });
    writeFileSync(join(server.path, 'grants', 'partner.yaml'), 'token: partner\nread: [mart.daily, mart.report]\n');
    const sql = 'SELECT won, last FROM mart.report, mart.daily';
    const report = await why(sql, token);
    assert.equal(
      drawn(report),
      `won
  mart.report.won: scheduled query
    mart.won: view withheld
last
  mart.report.last: scheduled query
    mart.won: view withheld`,
    );
    const daily = await of('mart.daily', 'revenue', token);
    assert.equal(drawn(daily), 'revenue\n  mart.daily.revenue: materialized view\n    raw.orders: topic orders withheld');
    assert.doesNotMatch(JSON.stringify([report, daily]), /amount|item|rate/);
    for (const table of ['raw.orders', 'mart.won', 'main.rates']) {
      const refused = await server.call('GET', `/v1/lineage?${new URLSearchParams({ table, column: 'amount' })}`, { token });
      assert.deepEqual([refused.status, refused.code], [404, 'TABLE_UNKNOWN'], table);
    }
    assert.match(drawn(await of('mart.daily', 'revenue')), /raw\.orders\.amount/);
  });
});
