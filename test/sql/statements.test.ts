import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { quoteIdentifier, quoteLiteral, readStatement, type Statement } from '#sql';
import { admit, openDuckdb } from './duckdb.ts';

let duckdb: Awaited<ReturnType<typeof openDuckdb>>;
before(async () => {
  duckdb = await openDuckdb();
  await duckdb.connection.run('CREATE TABLE t AS SELECT 1 AS a, 2 AS x; CREATE TABLE x AS FROM t; CREATE TABLE a AS FROM t');
});
after(() => duckdb.close());

const read = (sql: string): Promise<Statement> => readStatement(sql, duckdb.serialize);

const start = `CREATE SCHEMA mart; CREATE TABLE t AS SELECT i AS a, 'x' || i AS b FROM range(10) r(i);
CREATE TABLE u AS SELECT i AS a, i % 3 AS c FROM range(5) r(i); CREATE TABLE mart.s AS SELECT 1 AS "we ird", DATE '2026-01-01' AS d;
CREATE VIEW w AS SELECT 1 AS one;`;

/** Everything that can be seen of the warehouse after a statement. */
async function stateAfter(sql: string): Promise<string> {
  const { connection, close } = await openDuckdb();
  try {
    await connection.run(start);
    await connection.run(sql);
    const seen: unknown[] = [];
    const list = `SELECT schema_name, table_name AS name, 'table' FROM duckdb_tables() UNION ALL
      SELECT schema_name, view_name, 'view' FROM duckdb_views() WHERE NOT internal ORDER BY ALL`;
    for (const [schema, name, kind] of (await connection.runAndReadAll(list)).getRows() as string[][]) {
      const reader = await connection.runAndReadAll(`FROM ${quoteIdentifier(schema!)}.${quoteIdentifier(name!)} ORDER BY ALL`);
      seen.push([schema, name, kind, reader.columnNames(), reader.columnTypes().map(String), reader.getRowsJson()]);
    }
    seen.push((await connection.runAndReadAll('SELECT schema_name FROM duckdb_schemas() WHERE NOT internal ORDER BY 1')).getRows());
    return JSON.stringify(seen);
  } finally {
    close();
  }
}

const writes = [
  'CREATE TABLE x AS SELECT * FROM t WHERE a > 3',
  'create or replace table t as from u -- all of it',
  'CREATE TABLE IF NOT EXISTS mart.x (p, q) AS (SELECT a, b FROM t LIMIT 1);',
  'CREATE TABLE x AS WITH y AS (SELECT 1 AS a) SELECT * FROM y UNION ALL VALUES (2)',
  'CREATE TABLE x AS FROM (DESCRIBE t)',
  'CREATE TABLE x AS PIVOT u ON c IN (0, 1) USING sum(a)',
  'CREATE VIEW v AS SELECT a, $$a;b$$ AS k FROM t /* c */ ;;',
  'CREATE OR REPLACE VIEW mart.v (p, "q r") AS SELECT a, b FROM t',
  "INSERT INTO t SELECT 99, 'z'",
  "INSERT INTO t VALUES (99, 'z'), (100, e'q\\'')",
  "INSERT INTO t (b, a) VALUES ('z', 99)",
  'INSERT INTO t (SELECT a, c FROM u)',
  'INSERT INTO t ((SELECT a, c FROM u))',
  'INSERT INTO t (VALUES (1, 2))',
  'INSERT INTO t BY NAME SELECT c AS b, a FROM u',
  'INSERT INTO t (b) SELECT c FROM u',
  'INSERT INTO t WITH y AS (SELECT 7 AS a) SELECT a, a FROM y',
  'INSERT INTO t FROM u',
  'INSERT INTO mart.s ("we ird", d) VALUES (1, \'2026-02-02\')',
  'UPDATE t SET a = a + 1',
  "UPDATE t SET a = 1, b = 'q, FROM WHERE' WHERE a IN (SELECT a FROM u WHERE c = 0)",
  "UPDATE t SET b = (a IS DISTINCT FROM 3)::VARCHAR, a = extract(year FROM DATE '2026-01-01') WHERE a < 3",
  'UPDATE t SET a=-a WHERE a>=1 AND a IS NOT DISTINCT FROM 2',
  'UPDATE t SET a = u.c FROM u WHERE t.a = u.a',
  'UPDATE t AS x SET a = u.c FROM u JOIN w ON w.one = u.c WHERE x.a = u.a',
  'UPDATE t x SET a = 0 WHERE x.a = 1 OR x.a = 2',
  'UPDATE t SET a = 1 -- all\n -- rows\n',
  'UPDATE mart.s SET "we ird" = 2, D = d + 1',
  'DELETE FROM t',
  'DELETE FROM t WHERE a = 1 OR a = 2',
  'DELETE FROM t USING u WHERE t.a = u.a AND u.c = 1',
  'DELETE FROM t x WHERE EXISTS (FROM u WHERE u.a = x.a)',
  'DROP TABLE t',
  'DROP TABLE IF EXISTS mart.nothing',
  'DROP VIEW main.w;',
  'CREATE SCHEMA lab',
  'CREATE SCHEMA IF NOT EXISTS mart',
  'DROP SCHEMA IF EXISTS nothing',
];

test('a statement printed anew leaves the warehouse as the one that was sent does', async () => {
  const untouched = await stateAfter('SELECT 1');
  let changed = 0;
  for (const sql of writes) {
    const statement = await admit(sql, duckdb.serialize, 'editor', ['t', 'u', 'w', 'mart.s']);
    assert.ok('sql' in statement, sql);
    const expected = await stateAfter(sql);
    if (expected !== untouched) changed++;
    assert.equal(await stateAfter(statement.sql), expected, `${sql}\n${statement.sql}`);
  }
  assert.ok(changed >= writes.length - 4, `${changed} of ${writes.length} changed something`);
});

test('a statement printed anew is again a statement of that kind with the same tables and functions', async () => {
  for (const sql of writes) {
    const first = await read(sql);
    assert.ok('sql' in first);
    const second = await read(first.sql);
    assert.ok('sql' in second);
    assert.equal(second.kind, first.kind);
    const names = (s: Statement): unknown[] => [s.reads.tables.map((t) => t.name), s.reads.functions.map((f) => f.name)];
    assert.deepEqual(names(second), names(first), sql);
  }
});

test('expressions keep their tree when an UPDATE is printed anew', async () => {
  const leaf = fc.constantFrom(
    'a',
    '1',
    "'x''y'",
    '$$;$$',
    'f(a, b)',
    '(SELECT max(a) FROM u)',
    '"we ird"',
    "date '2026-01-01'",
    '[1, 2][1]',
    'NULL',
  );
  const operator = fc.constantFrom(
    ' + ',
    '-',
    ' AND ',
    ' IS DISTINCT FROM ',
    ' || ',
    '*',
    ' /* FROM */ = ',
    ' <> ',
    ' IN (1, 2) OR ',
    '::INTEGER - ',
  );
  const expression = fc
    .array(fc.tuple(leaf, operator), { minLength: 1, maxLength: 5 })
    .chain((parts) => leaf.map((last) => parts.map(([l, o]) => l + o).join('') + last));
  const treeOf = async (e: string): Promise<string | null> => {
    const answer = JSON.parse(await duckdb.serialize(`SELECT (${e}\n)`)) as { error: boolean };
    return answer.error ? null : JSON.stringify(answer).replace(/"query_location":\d+/g, '');
  };
  await fc.assert(
    fc.asyncProperty(expression, expression, async (value, where) => {
      const trees = [await treeOf(value), await treeOf(where)];
      fc.pre(trees[0] !== null && trees[1] !== null);
      const statement = await read(`UPDATE t SET a = ${value} WHERE ${where}`);
      assert.ok(statement.kind === 'update');
      const printed = /SET "a" = (.*\n\)) WHERE (.*\n\))$/s.exec(statement.sql)!;
      assert.deepEqual([await treeOf(printed[1]!), await treeOf(printed[2]!)], trees);
    }),
    { numRuns: 150 },
  );
});

test('whatever pieces a text is mixed from, it is one statement, and no table or function of it is missed', async () => {
  const piece = fc.constantFrom(
    ...[
      "'",
      '"',
      '$$',
      '$a$',
      "e'",
      '\\',
      '--',
      '\n',
      '/*',
      '*/',
      ';',
      '(',
      ')',
      ',',
      '[',
      ']',
      ' ',
      '1',
      'a',
      '=',
      'x',
      ' WHERE ',
      ' FROM ',
    ],
    ...[' SELECT ', ' AS ', ' UNION ', 'true', ' OR ', ' secret ', ' WITH secret AS (SELECT 1) ', ' DROP TABLE t', '\u00a0', "zap('x')"],
    ...['(FROM secret)', "(SELECT * FROM zap('x'))", ' ORDER BY ', ' LIMIT ', ' JOIN ', ' ON ', ' IN '],
  );
  const frames = [
    'SELECT ',
    'UPDATE t SET a = ',
    'DELETE FROM t WHERE ',
    'INSERT INTO t SELECT ',
    'CREATE VIEW v AS SELECT ',
    'DELETE FROM t USING ',
  ];
  let missing = 0;
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...frames), fc.array(piece, { minLength: 1, maxLength: 9 }), async (frame, pieces) => {
      const statement = await read(frame + pieces.join('')).catch((thrown: { code?: string }) => thrown);
      if (!('sql' in statement)) return assert.match(String((statement as { code?: string }).code), /^(SQL_|TABLE_NAME)/);
      const extracted = await duckdb.connection.extractStatements(statement.sql);
      assert.equal(extracted.count, 1);
      const problem = await extracted.prepare(0).then(
        () => '',
        (thrown: Error) => thrown.message,
      );
      const [, kind, name] = /(Table|Function) with name "?(secret|zap)"? does not exist/.exec(problem) ?? [];
      if (!kind) return;
      missing++;
      const named = kind === 'Table' ? statement.reads.tables : statement.reads.functions;
      assert.ok(
        named.some((found) => found.name === name),
        `${statement.sql}\n${problem}`,
      );
    }),
    { numRuns: 4000 },
  );
  assert.ok(missing > 20, `${missing} asked for what does not exist`);
});

test('the names of a statement are found and filled in', async () => {
  const insert = await read('INSERT INTO Mart."Ta""ble" ("A b", c) BY NAME SELECT $x, $y, $x');
  assert.ok(insert.kind === 'insert');
  assert.deepEqual(insert.target, { schema: 'Mart', name: 'Ta"ble', position: 12 });
  assert.deepEqual(insert.columns, ['A b', 'c']);
  assert.equal(insert.byName, true);
  assert.deepEqual(insert.parameters, ['x', 'y']);
  assert.equal(insert.sql, 'INSERT INTO "Mart"."Ta""ble" ("A b", "c") BY NAME SELECT $x, $y, $x\n');
  const made = await read("CREATE TABLE Sales AS SELECT ?, ?, '?'");
  assert.ok(made.kind === 'create_table_as');
  assert.deepEqual([made.target.schema, made.target.name, made.parameters], ['main', 'sales', ['1', '2']]);
  const update = await read('UPDATE t AS x SET a = 1 FROM u WHERE x.a = u.a');
  assert.ok(update.kind === 'update');
  assert.deepEqual([update.columns, update.alias, update.from, update.where], [['a'], 'x', 'u\n', '(x.a = u.a\n)']);
});

test('a name that would have to be quoted for ever is not made', async () => {
  for (const name of ['"a b"', '"1a"', '_x', '"x;"', `a${'b'.repeat(63)}`, '"한 글"', '한글'.normalize('NFD')]) {
    await assert.rejects(read(`CREATE TABLE ${name} AS SELECT 1`), { code: 'TABLE_NAME' }, name);
  }
  for (const name of ['한글', '주문_2026', '売上', 'a한'])
    assert.equal((await read(`CREATE TABLE ${name} AS SELECT 1`)).kind, 'create_table_as', name);
});

test('CREATE MATERIALIZED VIEW is split into its parts', async () => {
  const statement = await read(`CREATE OR REPLACE MATERIALIZED VIEW mart.sales_per_minute
    PARTITION BY date_trunc('minute', CAST(time AS TIMESTAMP)) OPTIONS (refresh = '1 second', Lateness = -5, keyed = TRUE, keys = ['a', 'b''c'], x = NULL,)
    AS SELECT date_trunc('minute', time) AS minute, sum(amount) AS sales FROM raw.orders GROUP BY 1;`);
  assert.ok(statement.kind === 'create_materialized_view');
  assert.deepEqual([statement.target.schema, statement.target.name, statement.replace], ['mart', 'sales_per_minute', true]);
  assert.equal(statement.partitionBy, "(date_trunc('minute', CAST(time AS TIMESTAMP))\n)");
  assert.deepEqual(statement.options, { refresh: '1 second', lateness: -5, keyed: true, keys: ['a', "b'c"], x: null });
  assert.equal(statement.body, "SELECT date_trunc('minute', time) AS minute, sum(amount) AS sales FROM raw.orders GROUP BY 1");
  assert.deepEqual(
    statement.reads.tables.map(({ schema, name }) => [schema, name]),
    [['raw', 'orders']],
  );
});

test('the other statements of our own are split into their parts', async () => {
  const of = async (sql: string): Promise<unknown[]> => {
    const statement = await read(sql);
    return [
      statement.kind,
      'target' in statement ? `${statement.target.schema}.${statement.target.name}` : null,
      'ifExists' in statement && statement.ifExists,
    ];
  };
  assert.deepEqual(await of('REFRESH MATERIALIZED VIEW mart.v'), ['refresh_materialized_view', 'mart.v', false]);
  assert.deepEqual(await of('pause materialized view v;'), ['pause_materialized_view', 'main.v', false]);
  assert.deepEqual(await of('RESUME MATERIALIZED VIEW v'), ['resume_materialized_view', 'main.v', false]);
  assert.deepEqual(await of('DROP MATERIALIZED VIEW IF EXISTS v'), ['drop_materialized_view', 'main.v', true]);
  assert.deepEqual(await of('SHOW MATERIALIZED VIEWS'), ['show_materialized_views', null, false]);
  assert.deepEqual(await of('DROP MODEL IF EXISTS mart.m'), ['drop_model', 'mart.m', true]);
  const model = await read(`CREATE MODEL IF NOT EXISTS churn TRANSFORM (a + 1 AS a1, upper(b) AS b, label)
    OPTIONS (model_type = 'boosted_tree_classifier', input_label_cols = ['label'], max_iterations = 1_000) AS FROM mart.training`);
  assert.ok(model.kind === 'create_model');
  assert.equal(model.transform, 'a + 1 AS a1, upper(b) AS b, label\n');
  assert.deepEqual(model.options, { model_type: 'boosted_tree_classifier', input_label_cols: ['label'], max_iterations: 1000 });
  assert.deepEqual([model.body, model.ifNotExists, model.replace], ['FROM mart.training', true, false]);
});

test('nothing, or only comments, is no statement', async () => {
  for (const sql of ['', ' \n', ';', '-- SELECT 1', '/* SELECT 1 */ ; ;']) await assert.rejects(read(sql), { code: 'SQL_EMPTY' }, sql);
});

test('quoted names and literals come back from DuckDB as they were', async () => {
  const text = fc.string({ unit: 'binary' }).filter((s) => s.isWellFormed() && !s.includes('\0'));
  await fc.assert(
    fc.asyncProperty(
      text,
      text.filter((s) => s.length > 0),
      async (value, name) => {
        const reader = await duckdb.connection.runAndReadAll(`SELECT ${quoteLiteral(value)} AS ${quoteIdentifier(name)}`);
        assert.equal(reader.getRows()[0]![0], value);
        assert.equal(reader.columnNames()[0], name);
      },
    ),
    { numRuns: 200 },
  );
});

test('a view names its tables with their schemas, wherever they stand; names of CTEs, columns and aliases stay', async () => {
  const bodyOf = async (body: string) => {
    const statement = await read(`CREATE VIEW mart.v AS ${body}`);
    assert.ok(statement.kind === 'create_view');
    return statement.body;
  };
  for (const [written, full] of [
    ['SELECT pay.x FROM pay', 'SELECT pay.x FROM main.pay'],
    ['FROM "pay" p, mart.pay, Main.pay', 'FROM main."pay" p, mart.pay, Main.pay'],
    ['TABLE pay', 'TABLE main.pay'],
    ['WITH pay AS (FROM pay) SELECT * FROM pay', 'WITH pay AS (FROM main.pay) SELECT * FROM pay'],
    ["SELECT 'é', (SELECT max(pay) FROM pay) FROM /* pay */ pay", "SELECT 'é', (SELECT max(pay) FROM main.pay) FROM /* pay */ main.pay"],
    ['FROM (DESCRIBE pay)', 'FROM (DESCRIBE main.pay)'],
    ["PIVOT pay ON x IN ('a') USING count(*)", "PIVOT main.pay ON x IN ('a') USING count(*)"],
    ["FROM 'pay'", 'FROM main."pay"'],
  ] as const)
    assert.equal(await bodyOf(written), full);
  const table = await read('CREATE TABLE mart.v AS FROM pay');
  assert.ok(table.kind === 'create_table_as' && table.body === 'FROM pay', 'a statement that runs at once finds bare names in main');
});
