import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Made, type Node, queryOf, type Shape, type Source, shapeOf, shapeWith, treeText } from '#sql';
import { openDuckdb } from './duckdb.ts';
import { tpch, tpchSchema } from './tpch.ts';

const tables: Readonly<Record<string, string>> = {
  'raw.orders': `id INT, customer INT, amount INT, currency VARCHAR, day DATE, "상품" VARCHAR`,
  'main.customers': 'id INT, name VARCHAR, region VARCHAR',
  'main.rates': 'currency VARCHAR, rate INT, day DATE',
  'main.refunds': 'id INT, amount INT, day DATE',
  'main.lists': 'id INT, l INT[], s STRUCT(a INT, b VARCHAR)',
  'main.매출': '"날짜" DATE, "금액" INT',
};

/**
 * What each column of the result is made of, by hand: `table.column`, a table alone where its rows are counted. `?` behind the name: it is
 * known only in part.
 */
const cases: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'SELECT amount, customer AS who FROM raw.orders': { amount: 'orders.amount', who: 'orders.customer' },
  'SELECT o.amount * r.rate AS won, o."상품" FROM raw.orders o JOIN rates r ON o.currency = r.currency AND o.day >= r.day': {
    won: 'orders.amount rates.rate',
    상품: 'orders.상품',
  },
  'SELECT raw.orders.amount, orders.id FROM raw.orders': { amount: 'orders.amount', id: 'orders.id' },
  'SELECT "금액" / 1000 AS "천원" FROM "매출"': { 천원: '매출.금액' },
  'SELECT count(*) AS n, count(*) FILTER (WHERE amount > 5) AS big, sum(1) AS ones, 1 AS one, current_date AS today FROM raw.orders': {
    n: 'orders',
    big: 'orders.amount',
    ones: 'orders',
    one: '',
    today: '',
  },
  'SELECT count(*) AS n FROM raw.orders o JOIN customers c ON o.customer = c.id': { n: 'customers orders' },
  'SELECT region, sum(amount) AS total FROM raw.orders o JOIN customers c ON o.customer = c.id GROUP BY region HAVING max(o.day) IS NOT NULL ORDER BY min(o.id)':
    { region: 'customers.region', total: 'orders.amount' },
  // WITH, subqueries, the same name on several levels.
  'WITH a AS (SELECT id, amount AS x FROM raw.orders), b AS (SELECT x + 1 AS x FROM a) SELECT sum(x) AS x FROM b': { x: 'orders.amount' },
  'WITH a(u, v) AS (SELECT id, amount FROM raw.orders) SELECT v AS u FROM a': { u: 'orders.amount' },
  'WITH raw_orders AS (SELECT 1 AS amount) SELECT amount FROM raw_orders': { amount: '' },
  'WITH orders AS (SELECT name AS amount FROM customers) SELECT orders.amount FROM orders': { amount: 'customers.name' },
  'SELECT total / n AS mean FROM (SELECT sum(amount) AS total, count(*) AS n FROM raw.orders)': { mean: 'orders orders.amount' },
  'SELECT v AS x FROM (SELECT id, amount FROM raw.orders) AS t(u, v)': { x: 'orders.amount' },
  'SELECT x FROM (SELECT amount AS x, * FROM raw.orders)': { x: 'orders.amount' },
  'SELECT "sum(amount)" AS s FROM (SELECT customer, sum(amount) FROM raw.orders GROUP BY 1)': { s: 'orders.amount' },
  'SELECT (SELECT max(amount) FROM refunds r WHERE r.day = o.day) AS back FROM raw.orders o': {
    back: 'orders.day refunds.amount refunds.day',
  },
  'SELECT EXISTS (SELECT 1 FROM refunds r WHERE r.id = o.id) AS returned, o.id IN (SELECT id FROM refunds) AS again FROM raw.orders o': {
    returned: 'orders.id refunds.id',
    again: 'orders.id refunds.id',
  },
  'SELECT o.id, t.twice FROM raw.orders o, LATERAL (SELECT o.amount * 2 AS twice) t': { id: 'orders.id', twice: 'orders.amount' },
  // Sets.
  'SELECT amount, day FROM raw.orders UNION ALL SELECT -amount, day FROM refunds': {
    amount: 'orders.amount refunds.amount',
    day: 'orders.day refunds.day',
  },
  'SELECT amount AS a, id AS b FROM raw.orders UNION BY NAME SELECT id AS b, day AS c FROM refunds': {
    a: 'orders.amount',
    b: 'orders.id refunds.id',
    c: 'refunds.day',
  },
  'SELECT id FROM raw.orders EXCEPT SELECT id FROM refunds': { id: 'orders.id' },
  'SELECT sum(x) AS x FROM (SELECT amount AS x FROM raw.orders UNION ALL SELECT amount FROM refunds)': {
    x: 'orders.amount refunds.amount',
  },
  'SELECT count(*) AS n FROM (SELECT id FROM raw.orders UNION SELECT id FROM refunds)': { n: 'orders refunds' },
  'WITH RECURSIVE r AS (SELECT id, amount, 0 AS z FROM raw.orders UNION ALL SELECT id, z, amount FROM r WHERE z < 0) SELECT * FROM r': {
    id: 'orders.id',
    amount: 'orders.amount',
    z: 'orders.amount',
  },
  // Windows.
  'SELECT sum(amount) OVER (PARTITION BY customer ORDER BY day) AS running, row_number() OVER () AS k, rank() OVER (ORDER BY amount) AS r FROM raw.orders':
    { running: 'orders.amount orders.customer orders.day', k: 'orders', r: 'orders.amount' },
  'SELECT lag(amount) OVER w AS b FROM raw.orders WINDOW w AS (ORDER BY day)': { b: 'orders.amount orders.day' },
  // Stars.
  'SELECT * FROM refunds': { id: 'refunds.id', amount: 'refunds.amount', day: 'refunds.day' },
  'SELECT c.*, o.amount FROM raw.orders o JOIN customers c ON c.id = o.customer': {
    id: 'customers.id',
    name: 'customers.name',
    region: 'customers.region',
    amount: 'orders.amount',
  },
  'SELECT * EXCLUDE (day) REPLACE (amount + id AS amount) FROM refunds': { id: 'refunds.id', amount: 'refunds.amount refunds.id' },
  'SELECT * RENAME (amount AS back) FROM refunds': { id: 'refunds.id', back: 'refunds.amount', day: 'refunds.day' },
  "SELECT COLUMNS('a.*') FROM refunds": { amount: 'refunds.amount', day: 'refunds.day' },
  "SELECT * LIKE 'a%' FROM refunds": { amount: 'refunds.amount' },
  'FROM refunds SELECT amount': { amount: 'refunds.amount' },
  'SELECT * FROM refunds a JOIN rates b ON a.day = b.day': {
    id: 'refunds.id',
    amount: 'refunds.amount',
    day: 'refunds.day',
    currency: 'rates.currency',
    rate: 'rates.rate',
    day_1: 'rates.day',
  },
  'SELECT day_1 AS d FROM (SELECT * FROM refunds a JOIN rates b ON a.day = b.day)': { d: 'rates.day' },
  // USING and NATURAL.
  'SELECT day, amount FROM refunds JOIN rates USING (day)': { day: 'refunds.day', amount: 'refunds.amount' },
  'SELECT day, rates.day AS other FROM refunds RIGHT JOIN rates USING (day)': { day: 'rates.day', other: 'rates.day' },
  'SELECT day FROM refunds FULL JOIN rates USING (day)': { day: 'rates.day refunds.day' },
  'SELECT * FROM refunds JOIN rates USING (day)': {
    id: 'refunds.id',
    amount: 'refunds.amount',
    day: 'refunds.day',
    currency: 'rates.currency',
    rate: 'rates.rate',
  },
  'SELECT day, rate FROM refunds NATURAL JOIN rates': { day: 'refunds.day', rate: 'rates.rate' },
  'SELECT * FROM refunds SEMI JOIN rates USING (day)': { id: 'refunds.id', amount: 'refunds.amount', day: 'refunds.day' },
  // Aliases of the list, lambdas, structs, lists, values.
  'SELECT amount + 1 AS a, a * 2 AS b FROM refunds': { a: 'refunds.amount', b: 'refunds.amount' },
  'SELECT id + 1 AS amount, amount * 2 AS b FROM refunds': { amount: 'refunds.id', b: 'refunds.amount' },
  'SELECT list_transform(l, lambda id: id + 1) AS x, s.a AS a, lists.s.b AS b FROM lists': { x: 'lists.l', a: 'lists.s', b: 'lists.s' },
  "SELECT to_json(name) -> '$' AS a, to_json(region) ->> '$' AS b FROM customers": { a: 'customers.name', b: 'customers.region' },
  'SELECT name.upper() AS a, c.region.length() AS b FROM customers c': { a: 'customers.name', b: 'customers.region' },
  'SELECT list_filter([x + amount FOR x IN [1, 2]], lambda y: y > id) AS x FROM refunds': { x: 'refunds.amount refunds.id' },
  'SELECT u.x FROM lists, unnest(l) AS u(x)': { x: 'lists.l' },
  'SELECT unnest(l) AS x FROM lists': { x: 'lists.l' },
  'SELECT v.b FROM (VALUES (1, 2), (3, 4)) v(a, b)': { b: '' },
  'SELECT CASE WHEN region = $1 THEN name END AS x FROM customers': { x: 'customers.name customers.region' },
  'SELECT refunds AS whole FROM refunds': { whole: 'refunds.amount refunds.day refunds.id' },
  'SELECT * FROM (PIVOT refunds ON id IN (1, 2) USING sum(amount) GROUP BY day)': {
    day: 'refunds.day',
    1: 'refunds.amount refunds.id',
    2: 'refunds.amount refunds.id',
  },
  'SELECT * FROM refunds UNPIVOT (v FOR n IN (id, amount))': { day: 'refunds.day', n: '', v: 'refunds.amount refunds.id' },
  // What is not known is said to be so.
  'SELECT sum(COLUMNS(*)) FROM (SELECT id, amount FROM refunds)': { id: '?', amount: '?' },
  'SELECT other + 1 AS x FROM (SELECT DISTINCT 1 AS one), other.things AS t': { x: '?' },
};

let duck: Awaited<ReturnType<typeof openDuckdb>>;
let aggregates: ReadonlySet<string>;
before(async () => {
  duck = await openDuckdb();
  await duck.connection.run('CREATE SCHEMA raw');
  for (const [name, columns] of Object.entries(tables)) await duck.connection.run(`CREATE TABLE ${name} (${columns})`);
  const names = await duck.connection.runAndReadAll("SELECT function_name FROM duckdb_functions() WHERE function_type = 'aggregate'");
  aggregates = new Set(names.getRows().map(([name]) => String(name)));
  for (const sql of rows) await duck.connection.run(sql);
});
after(() => duck.close());

/** Each row differs from the others in every column, so that a change of a value changes what is made of it. */
const rows = [
  `INSERT INTO raw.orders VALUES (1, 11, 100, 'usd', '2026-01-01', 'tea'), (2, 12, 210, 'eur', '2026-01-02', 'cup'), (3, 13, 330, 'won', '2026-01-03', 'pot')`,
  `INSERT INTO customers VALUES (11, 'kim', 'seoul'), (12, 'lee', 'busan'), (13, 'park', 'jeju')`,
  `INSERT INTO rates VALUES ('usd', 3, '2026-01-01'), ('eur', 5, '2026-01-02'), ('won', 7, '2026-01-03')`,
  `INSERT INTO refunds VALUES (1, 40, '2026-01-01'), (2, 55, '2026-01-02'), (9, 61, '2026-01-03')`,
  `INSERT INTO lists VALUES (1, [1, 2], {a: 5, b: 'x'}), (2, [7, 9], {a: 8, b: 'y'})`,
  `INSERT INTO 매출 VALUES ('2026-01-01', 5000), ('2026-01-02', 8000)`,
];

function look(schema: string | null, name: string): Shape | null {
  const full = `${schema ?? 'main'}.${name}`;
  return tables[full] === undefined ? null : shapeOfTable(full, columnsOf(full));
}

function shapeOfTable(full: string, columns: readonly string[]): Shape {
  const node = (column: string) => ({
    class: 'COLUMN_REF',
    type: 'COLUMN_REF',
    alias: '',
    query_location: 0,
    column_names: [...full.split('.'), column],
  });
  const made = (column: string): Made => ({ name: column, expressions: [node(column)], from: [{ of: full, column }], partly: false });
  return shapeWith(columns.map(made), [{ of: full, column: null }]);
}

const columnsOf = (table: string) =>
  tables[table]!.replace(/STRUCT\(.*?\)/, 'S')
    .split(', ')
    .map((each) => each.split(' ')[0]!.replaceAll('"', ''));
const told = ({ from, partly }: { from: readonly Source[]; partly: boolean }) =>
  partly
    ? '?'
    : from
        .map(({ of, column }) => `${of.split('.')[1]}${column === null ? '' : `.${column}`}`)
        .sort()
        .join(' ');

async function shape(sql: string): Promise<Shape> {
  return shapeOf(queryOf(await duck.serialize(sql)), { tables: look, aggregates });
}

describe('what columns are made of', () => {
  for (const [sql, wanted] of Object.entries(cases))
    test(sql, async () => {
      const found = await shape(sql);
      const names = Object.keys(wanted);
      // Object keys that are numbers come first; the engine's order is not needed here.
      for (const name of names) {
        const made = found.of(name) ?? { from: [], partly: true };
        assert.equal(told(made), wanted[name], `${name}: ${JSON.stringify(made)}`);
      }
      if (found.columns !== null) assert.equal(found.columns.length, names.length);
    });

  test('what the engine says: a value that is changed changes only columns that are made of it', async () => {
    const { connection } = duck;
    const ask = async (sql: string): Promise<Record<string, string>> => {
      const answer = await connection.runAndReadAll(sql, sql.includes('$1') ? ['seoul'] : undefined);
      const list = answer.getRowObjectsJson();
      return Object.fromEntries(
        answer.deduplicatedColumnNames().map((name) => [
          name,
          JSON.stringify(
            list
              .map((row) => row[name])
              .map((each) => JSON.stringify(each))
              .sort(),
          ),
        ]),
      );
    };
    let changed = 0;
    for (const [sql, wanted] of Object.entries(cases)) {
      if (sql.includes('other.things')) continue;
      const before = await ask(sql);
      for (const table of Object.keys(tables))
        for (const column of columnsOf(table)) {
          // A column that chooses rows, or puts them in order, changes everything.
          if (choosing(sql, column)) continue;
          await connection.run('BEGIN');
          await connection.run(`UPDATE ${table} SET "${column}" = ${CHANGES[typeIn(table, column)]!.replaceAll('x', `"${column}"`)}`);
          const now = await ask(sql);
          await connection.run('ROLLBACK');
          for (const [name, values] of Object.entries(now)) {
            if (values === before[name]) continue;
            changed++;
            const source = `${table.split('.')[1]}.${column}`;
            const all = wanted[name] ?? assert.fail(`${name} of ${sql}`);
            assert.ok(all === '?' || all.split(' ').includes(source), `${name} of ${sql} is made of ${source}`);
          }
        }
    }
    assert.ok(changed > 70, `only ${changed} changes were seen`);
  });

  test('expressions are spelled out down to the tables, as far as they stay short', async () => {
    const text = async (sql: string, name: string) => {
      const made = (await shape(sql)).of(name)!;
      const node = queryOf(await duck.serialize('SELECT 1'));
      const trees = made.expressions.map((each): Node => ({ ...node, select_list: [each] }));
      const texts = await Promise.all(
        trees.map(async (tree) => {
          return String((await duck.connection.runAndReadAll('SELECT json_deserialize_sql($1::JSON)', [treeText(tree)])).getRows()[0]![0]);
        }),
      );
      return texts.map((each) => each.replace(/^SELECT /, ''));
    };
    const nested =
      'WITH d AS (SELECT day, sum(amount) AS total, count(*) AS n FROM raw.orders GROUP BY day) SELECT total / n AS mean FROM d';
    assert.deepEqual(await text(nested, 'mean'), ['(sum(raw.orders.amount) / count_star())']);
    assert.deepEqual(await text('SELECT sum("금액") AS s FROM "매출" m', 's'), ['sum(main."매출"."금액")']);
    assert.deepEqual(await text('SELECT amount AS a FROM raw.orders UNION ALL SELECT -amount FROM refunds', 'a'), [
      'raw.orders.amount',
      '-(main.refunds.amount)',
    ]);
    // Doubled at each of 30 levels it would be longer than any memory.
    const levels = Array.from({ length: 30 }, (_, k) => `a${k + 1} AS (SELECT x + x AS x FROM a${k})`);
    const deep = await shape(`WITH a0 AS (SELECT amount AS x FROM raw.orders), ${levels.join(', ')} SELECT x + x AS x FROM a30`);
    assert.ok(JSON.stringify(deep.of('x')!.expressions).length < 50_000);
    assert.equal(told(deep.of('x')!), 'orders.amount');
  });

  test('the questions of TPC-H: each column that the engine names is known whole', async () => {
    const { connection, close, serialize } = await openDuckdb();
    await connection.run(tpchSchema);
    const columns = new Map<string, string[]>();
    for (const [table, column] of (
      await connection.runAndReadAll('SELECT table_name, column_name FROM duckdb_columns() ORDER BY column_index')
    ).getRows())
      columns.set(String(table), [...(columns.get(String(table)) ?? []), String(column)]);
    const seen = (_: string | null, name: string) => shapeOfTable(`main.${name}`, columns.get(name)!);
    for (const sql of tpch) {
      const { columns: found } = shapeOf(queryOf(await serialize(sql)), { tables: seen, aggregates });
      const described = await connection.runAndReadAll(`DESCRIBE ${sql}`);
      assert.deepEqual(
        found!.map(({ name }) => name || 'unnamed').join(' '),
        described
          .getRows()
          .map(([name]) => (/^\w+$/.test(String(name)) ? name : 'unnamed'))
          .join(' '),
      );
      for (const made of found!) assert.ok(!made.partly && made.from.length > 0, `${made.name} of ${sql}`);
    }
    close();
  });

  test('a short text that means very much is given up, not followed', async () => {
    const stars = (deep: number): string => (deep === 0 ? 'raw.orders' : `(SELECT *, *, * FROM ${stars(deep - 1)})`);
    const rounds = (deep: number): string =>
      deep === 0
        ? 'SELECT id FROM raw.orders'
        : `WITH RECURSIVE r${deep} AS (SELECT id FROM raw.orders UNION ALL SELECT id FROM r${deep} WHERE id IN (${rounds(deep - 1)})) SELECT id FROM r${deep}`;
    const wide = Array.from({ length: 300 }, (_, k) => `amount AS c${k}`).join(', ');
    const crossed = Array.from({ length: 40 }, (_, k) => `(SELECT ${wide} FROM raw.orders) t${k}`).join(', ');
    const { columns, of } = await shape(`SELECT * FROM ${stars(14)}`);
    assert.deepEqual([columns, of('id')], [null, null]);
    assert.equal(told((await shape(`SELECT t0.c0 AS x FROM ${crossed}, ${stars(12)} s`)).of('x')!), 'orders.amount');
    assert.equal(told((await shape(rounds(12))).of('id')!), 'orders.id');
    assert.equal(told((await shape(rounds(2))).of('id')!), 'orders.id');
  });
});

const CHANGES: Readonly<Record<string, string>> = {
  INT: 'x * 3 + 1000',
  VARCHAR: "x || 'z'",
  DATE: 'x + 1000',
  'INT[]': 'list_append(x, 77)',
  S: "{a: 99, b: 'q'}",
};
const typeIn = (table: string, column: string): string =>
  tables[table]!.replace(/STRUCT\(.*?\)/, 'S')
    .split(', ')
    .find((each) => each.replaceAll('"', '').startsWith(`${column} `))!
    .split(' ')
    .at(-1)!;

function choosing(sql: string, column: string): boolean {
  const word = new RegExp(`(?<![\\p{L}\\d_])${column}(?![\\p{L}\\d_])`, 'u');
  const clauses = sql.matchAll(/\b(?:ON|USING|WHERE|GROUP BY|ORDER BY|DISTINCT)\b(.*?)(?=\bSELECT\b|\bTHEN\b|$)/g);
  return (
    [...clauses].some(([, clause]) => word.test(clause!)) ||
    (/NATURAL/.test(sql) && column === 'day') ||
    /UNION SELECT|EXCEPT|GROUP BY 1/.test(sql)
  );
}
