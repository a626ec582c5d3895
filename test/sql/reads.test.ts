import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { readStatement, type Statement } from '#sql';
import { openDuckdb } from './duckdb.ts';

let duckdb: Awaited<ReturnType<typeof openDuckdb>>;
before(async () => {
  duckdb = await openDuckdb();
  await duckdb.connection.run("CREATE TABLE secret AS SELECT 'LEAK' AS v; CREATE TABLE b AS SELECT 'LEAK' AS v");
});
after(() => duckdb.close());

const read = (sql: string): Promise<Statement> => readStatement(sql, duckdb.serialize);

/** A CTE named like a table, at each place where DuckDB might look a name up on its own. */
const shadowed = [
  "WITH secret AS (SELECT 'ok' AS v) SELECT * FROM secret",
  'WITH "SECRET" AS (SELECT \'ok\' AS v) SELECT * FROM secret',
  "WITH secret AS (SELECT 'ok' AS v) SELECT * FROM (SUMMARIZE secret)",
  "WITH secret AS (SELECT 'ok' AS v) SELECT * FROM secret PIVOT (count(*) FOR v IN ('ok', 'LEAK'))",
  "WITH secret AS (SELECT 'ok' AS v) PIVOT secret ON v IN ('ok', 'LEAK') USING count(*)",
  "WITH secret AS (SELECT 'ok' AS v) FROM secret UNPIVOT (x FOR n IN (v))",
  "WITH secret AS (SELECT 'ok' AS v) SELECT 'LEAK' FROM range(1) LIMIT (SELECT CASE WHEN v = 'LEAK' THEN 1 ELSE 0 END FROM secret)",
  "WITH secret AS (SELECT 'ok' AS v) SELECT (SELECT v FROM secret), [(SELECT v FROM secret)]",
  "WITH secret AS (SELECT 'ok' AS v) VALUES ((SELECT v FROM secret))",
  "WITH secret AS (SELECT 'ok' AS v) SELECT * FROM unnest((SELECT list(v) FROM secret))",
  "WITH secret AS (SELECT 'ok' AS v) SELECT * FROM secret UNION ALL SELECT * FROM secret",
  "WITH secret AS (SELECT 'ok' AS v) FROM (WITH b AS (FROM secret) FROM b)",
  "WITH secret AS (SELECT 'ok' AS v) SELECT * FROM range(1) r, LATERAL (SELECT * FROM secret WHERE r.range = 0)",
  "WITH secret AS (SELECT 'ok' AS v) SELECT v FROM secret ORDER BY (SELECT v FROM secret)",
  "WITH secret AS (SELECT 'ok' AS v) TABLE secret",
  "WITH secret AS (SELECT 'ok' AS v), b AS (FROM secret) FROM b",
  "WITH secret AS (SELECT 'ok' AS v) SELECT * FROM range(1) WHERE EXISTS (FROM secret WHERE v = 'ok')",
  "WITH RECURSIVE secret(v) AS (SELECT 'ok' UNION ALL SELECT v || '!' FROM secret WHERE length(v) < 4) FROM secret",
];

/** The name means the table after all, in part at least. */
const unshadowed = [
  "WITH b AS (SELECT * FROM secret), secret AS (SELECT 'ok' AS v) SELECT * FROM b",
  'WITH secret AS (SELECT * FROM secret) SELECT * FROM secret',
  'WITH RECURSIVE secret AS (SELECT * FROM secret) SELECT * FROM secret',
  "WITH RECURSIVE secret(v) AS (SELECT v FROM secret UNION ALL SELECT v || 'x' FROM secret WHERE length(v) < 6) FROM secret",
  "WITH b AS (WITH secret AS (SELECT 'ok' AS v) SELECT 1) SELECT * FROM secret",
  "SELECT (WITH secret AS (SELECT 'ok' AS v) SELECT v FROM secret), v FROM secret",
  "WITH secret AS (SELECT 'ok' AS v) SELECT * FROM main.secret",
  "(WITH secret AS (SELECT 'ok' AS v) FROM secret) UNION ALL FROM secret",
];

test('where a CTE hides a table from us, it hides it from DuckDB', async () => {
  for (const sql of shadowed) {
    assert.deepEqual((await read(sql)).reads.tables, [], sql);
    const rows = await duckdb.connection.runAndReadAll(sql);
    assert.doesNotMatch(JSON.stringify(rows.getRowsJson()), /LEAK/, sql);
  }
});

test('where a name means the table behind a CTE of that name, the table is named as read', async () => {
  for (const sql of unshadowed) {
    assert.ok(
      (await read(sql)).reads.tables.some(({ name }) => name === 'secret'),
      sql,
    );
    const rows = await duckdb.connection.runAndReadAll(sql);
    assert.match(JSON.stringify(rows.getRowsJson()), /LEAK/, sql);
  }
});

test('every place of a query that can hold a subquery gives up its tables', async () => {
  const places = [
    'SELECT (FROM u)',
    'SELECT 1 WHERE EXISTS (FROM u)',
    'SELECT a FROM t GROUP BY (SELECT a FROM u)',
    'SELECT a FROM t GROUP BY GROUPING SETS ((a, (SELECT a FROM u)))',
    'SELECT sum(a) FROM t HAVING sum(a) > (SELECT a FROM u)',
    'SELECT a FROM t QUALIFY a = (SELECT a FROM u)',
    'SELECT a FROM t ORDER BY (SELECT a FROM u)',
    'SELECT a FROM t LIMIT (SELECT a FROM u)',
    'SELECT a FROM t OFFSET (SELECT a FROM u)',
    'SELECT DISTINCT ON ((SELECT a FROM u)) a FROM t',
    'SELECT sum(a) FILTER (WHERE a = (SELECT a FROM u)) FROM t',
    'SELECT list(a ORDER BY (SELECT a FROM u)) FROM t',
    'SELECT sum(a) OVER (PARTITION BY (SELECT a FROM u)) FROM t',
    'SELECT sum(a) OVER (ORDER BY (SELECT a FROM u)) FROM t',
    'SELECT sum(a) OVER (ORDER BY a ROWS BETWEEN (SELECT 1 FROM u) PRECEDING AND (SELECT 1 FROM u) FOLLOWING) FROM t',
    'SELECT lag(a, (SELECT a FROM u), (SELECT a FROM u)) OVER () FROM t',
    'SELECT sum(a) FILTER (WHERE a = (SELECT a FROM u)) OVER () FROM t',
    'SELECT sum(a) OVER w FROM t WINDOW w AS (ORDER BY (SELECT a FROM u))',
    'SELECT CASE WHEN (SELECT a FROM u) THEN 1 END',
    'SELECT CASE 1 WHEN 1 THEN (SELECT a FROM u) ELSE 2 END',
    'SELECT 1 BETWEEN (SELECT a FROM u) AND 2',
    'SELECT 1 IN (SELECT a FROM u)',
    'SELECT 1 IN (1, (SELECT a FROM u))',
    'SELECT 1 = ALL (SELECT a FROM u)',
    'SELECT CAST((SELECT a FROM u) AS INTEGER)',
    'SELECT ARRAY(SELECT a FROM u)',
    'SELECT [1, 2][(SELECT a FROM u)]',
    "SELECT {'x': (SELECT a FROM u)}, 1 AS y",
    'SELECT list_transform([1], lambda x: (SELECT a FROM u))',
    'SELECT [(SELECT a FROM u) FOR x IN [1]]',
    'SELECT * REPLACE ((SELECT a FROM u) AS a) FROM t',
    'SELECT COLUMNS(c -> c = (SELECT a FROM u)) FROM t',
    "SELECT (SELECT a FROM u) COLLATE NOCASE, 1 AT TIME ZONE 'UTC'",
    'SELECT * FROM t JOIN v ON t.a = (SELECT a FROM u)',
    'SELECT * FROM range((SELECT a FROM u))',
    'SELECT * FROM (VALUES ((SELECT a FROM u))) x',
    'SELECT * FROM t UNPIVOT (x FOR n IN (a)), u',
    'PIVOT u ON a IN (1) USING count(*)',
    'PIVOT t ON a IN (1) USING max((SELECT a FROM u))',
    'SELECT 1 UNION (FROM u)',
    'WITH RECURSIVE r AS (SELECT 1 UNION SELECT a FROM u, r) FROM r',
    'WITH x AS (FROM u) SELECT 1',
    'DESCRIBE u',
    'SUMMARIZE FROM u',
    'EXPLAIN FROM u',
    'SELECT try((SELECT a FROM u)), coalesce((SELECT a FROM u), 1)',
    'FROM t TABLESAMPLE 10%, u',
  ];
  for (const sql of places)
    assert.ok(
      (await read(sql)).reads.tables.some(({ name }) => name === 'u'),
      sql,
    );
});

test('positions are indexes into the text that was sent, beyond ASCII and inside parts too', async () => {
  const at = async (sql: string): Promise<string[]> => {
    const { tables, functions } = (await read(sql)).reads;
    return [...tables, ...functions].map(({ position }) => sql.slice(position, position + 2));
  };
  assert.deepEqual(await at("SELECT '한글 😀', f1(x) FROM t1"), ['t1', 'f1']);
  assert.deepEqual(await at("  /* é */ SELECT\u00a0'é', f1(x)\u3000FROM t1 -- 끝"), ['t1', 'f1']);
  assert.deepEqual(await at("UPDATE t0 SET a = '😀', b = f1('é') FROM t1 WHERE f2(t0.a)"), ['t0', 't1', 'f1', 'f2']);
  assert.deepEqual(await at("CREATE TABLE x AS SELECT '한글', f1(x) FROM t1"), ['t1', 'f1']);
});

test('a syntax error says where, in the text that was sent', async () => {
  const cases: [string, string, number, number][] = [
    ['SELECT 한글 frm t 한 x', 't 한', 1, 15],
    ["SELECT '😀' 'x'", "'x'", 1, 13],
    ["INSERT INTO t\nSELECT '😀' 'x'", "'x'", 2, 13],
    ['DELETE FROM t WHERE a = 1 2', '2', 1, 27],
    ['UPDATE t SET a 1', '1', 1, 16],
  ];
  for (const [sql, rest, line, column] of cases) {
    await assert.rejects(read(sql), (thrown: { code: string; params: { position: number; line: number; column: number } }) => {
      assert.equal(thrown.code, 'SQL_SYNTAX');
      assert.ok(sql.slice(thrown.params.position).startsWith(rest), `${sql}: ${sql.slice(thrown.params.position)}`);
      assert.deepEqual([thrown.params.line, thrown.params.column], [line, column], sql);
      return true;
    });
  }
});

test('deep and long texts end in a statement or a coded error', async () => {
  const texts = [
    `SELECT 1${'+1'.repeat(950)}`,
    `SELECT 1${'+1'.repeat(5000)}`,
    `SELECT ${'('.repeat(5000)}1${')'.repeat(5000)}`,
    `SELECT ${'['.repeat(900)}1${']'.repeat(900)}`,
    `SELECT 1${' UNION ALL SELECT 1'.repeat(900)}`,
    `${'SELECT * FROM ('.repeat(900)}SELECT 1${')'.repeat(900)}`,
    `SELECT ${'a'.repeat(999_990)}`,
    `SELECT '${'a'.repeat(1_000_001)}'`,
    `SELECT ${'1,'.repeat(50_000)}1`,
    `SELECT 1e400, ${'9'.repeat(400)}`,
  ];
  for (const sql of texts) {
    const outcome = await read(sql).catch((thrown: unknown) => thrown);
    const code = (outcome as { code?: string }).code ?? (outcome as Statement).kind;
    assert.match(code, /^(select|SQL_SYNTAX|SQL_LENGTH)$/, sql.slice(0, 40));
  }
});
