import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { admit, openDuckdb } from './duckdb.ts';
import { tpch, tpchSchema } from './tpch.ts';

const schema = `
CREATE SCHEMA raw; CREATE SCHEMA mart;
CREATE TABLE raw.events (_time TIMESTAMPTZ, _id VARCHAR, "user" VARCHAR, session VARCHAR, type VARCHAR, page VARCHAR, amount DECIMAL(18,2),
  tags VARCHAR[], "마케팅 채널" VARCHAR, data VARCHAR, props STRUCT(a INTEGER, b STRUCT(c VARCHAR)), counts MAP(VARCHAR, INTEGER));
CREATE TABLE mart.daily (day DATE, page VARCHAR, revenue DECIMAL(18,2));
CREATE TABLE assignment ("user" VARCHAR, variant VARCHAR);
CREATE TABLE scratch (a INTEGER, b VARCHAR);`;

const readable = ['raw.events', 'mart.daily', 'assignment', 'scratch'];
const tpchTables = ['region', 'nation', 'supplier', 'customer', 'part', 'partsupp', 'orders', 'lineitem'];

/** What analysts write in a day, one a line or paragraph; each must be admitted for a viewer and run. */
const questions = `
SELECT 1
SELECT count(*) FROM raw.events
SELECT * FROM raw.events LIMIT 10 OFFSET 5
FROM raw.events
FROM raw.events SELECT page, count(*) GROUP BY ALL ORDER BY ALL
TABLE mart.daily
VALUES (1, 'a'), (2, 'b')
DESCRIBE raw.events
SUMMARIZE raw.events
DESCRIBE SELECT page, sum(amount) AS s FROM raw.events GROUP BY page
EXPLAIN SELECT * FROM raw.events WHERE page = '/'
EXPLAIN ANALYZE SELECT count(*) FROM raw.events
SELECT date_trunc('day', _time AT TIME ZONE 'Asia/Seoul') AS day, count(DISTINCT "user") FROM raw.events GROUP BY 1 ORDER BY 1
SELECT "마케팅 채널" AS 채널, sum(amount)::DECIMAL(18,2) AS 매출 FROM raw.events GROUP BY 1 HAVING sum(amount) > 0
SELECT page, count(*) FILTER (WHERE type = 'click') / nullif(count(*) FILTER (WHERE type = 'view'), 0) AS ctr FROM raw.events GROUP BY page
SELECT *, row_number() OVER (PARTITION BY "user" ORDER BY _time) AS n FROM raw.events QUALIFY n = 1
SELECT sum(amount) OVER w, avg(amount) OVER w FROM raw.events WINDOW w AS (PARTITION BY page ORDER BY _time ROWS BETWEEN 6 PRECEDING AND CURRENT ROW)
SELECT sum(amount) OVER (ORDER BY _time RANGE BETWEEN INTERVAL 7 DAYS PRECEDING AND CURRENT ROW EXCLUDE TIES) FROM raw.events
SELECT lag(amount) OVER (ORDER BY _time), lead(amount, 2, 0) OVER (ORDER BY _time), first_value(page IGNORE NULLS) OVER (ORDER BY _time) FROM raw.events
SELECT sum(CASE WHEN gap > INTERVAL 30 MINUTES OR gap IS NULL THEN 1 ELSE 0 END) OVER (PARTITION BY u ORDER BY t) AS session FROM (SELECT "user" AS u, _time AS t, _time - lag(_time) OVER (PARTITION BY "user" ORDER BY _time) AS gap FROM raw.events)
WITH d AS (SELECT page, amount FROM raw.events), s AS (SELECT page, sum(amount) AS m FROM d GROUP BY page) SELECT * FROM s JOIN d USING (page)
WITH RECURSIVE days(d) AS (SELECT DATE '2026-01-01' UNION ALL SELECT d + 1 FROM days WHERE d < DATE '2026-01-31') SELECT * FROM days
WITH "Sessions" AS MATERIALIZED (FROM raw.events) SELECT count(*) FROM sessions
SELECT day::DATE FROM generate_series(DATE '2026-01-01', DATE '2026-02-01', INTERVAL 1 DAY) AS g(day)
SELECT a.variant, count(*), avg(e.amount), stddev_samp(e.amount) FROM raw.events e JOIN assignment a ON a."user" = e."user" GROUP BY a.variant
SELECT * FROM raw.events e LEFT JOIN assignment a USING ("user") WHERE a.variant IS NULL
SELECT * FROM raw.events SEMI JOIN assignment USING ("user")
SELECT * FROM raw.events ANTI JOIN assignment USING ("user")
SELECT e.*, d.revenue FROM raw.events e ASOF JOIN mart.daily d ON e.page = d.page AND e._time::DATE >= d.day
SELECT * FROM mart.daily d, LATERAL (SELECT max(amount) AS m FROM raw.events e WHERE e.page = d.page) x
SELECT * FROM mart.daily CROSS JOIN assignment
SELECT * FROM scratch POSITIONAL JOIN assignment
SELECT page FROM raw.events UNION SELECT page FROM mart.daily
SELECT page FROM raw.events EXCEPT SELECT page FROM mart.daily INTERSECT SELECT b FROM scratch
SELECT page, amount FROM raw.events UNION ALL BY NAME SELECT revenue AS amount, page FROM mart.daily
SELECT page, type, sum(amount) FROM raw.events GROUP BY ROLLUP (page, type)
SELECT page, type, grouping(page), count(*) FROM raw.events GROUP BY GROUPING SETS ((page), (type), ())
PIVOT mart.daily ON page IN ('/', '/cart') USING sum(revenue) GROUP BY day
SELECT * FROM mart.daily PIVOT (sum(revenue) FOR page IN ('/', '/cart') GROUP BY day)
UNPIVOT scratch ON a INTO NAME k VALUE v
SELECT * FROM raw.events WHERE page LIKE '/shop/%' AND page NOT ILIKE '%TEST%' AND page SIMILAR TO '/.*' AND page ~ '.*' AND page GLOB '/*'
SELECT regexp_extract(page, 'utm_source=([^&]+)', 1), regexp_replace(page, '\\?.*', '', 'g') FROM raw.events
SELECT split_part(page, '/', 2), upper(page), length(page), page || '#', concat_ws('-', page, type), trim(BOTH '/' FROM page), substring(page, 1, 3), position('a' IN page) FROM raw.events
SELECT data->>'$.items[0].sku', json_extract_string(data, '$.a'), json_array_length(data, '$.items'), data::JSON->'a' FROM raw.events
SELECT e._id, i.value->>'sku' FROM raw.events e, json_each(e.data, '$.items') i
SELECT tag, count(*) FROM (SELECT unnest(tags) AS tag FROM raw.events) GROUP BY 1
SELECT t.tag FROM raw.events, unnest(tags) AS t(tag)
SELECT list_transform(tags, lambda x: upper(x)), list_filter(tags, x -> x <> ''), [x || '!' FOR x IN tags IF x <> ''], len(tags), tags[1], tags[1:2], list_contains(tags, 'a') FROM raw.events
SELECT props.a, props.b.c, {'x': 1, 'y': [1, 2]}, struct_pack(k := page), counts['a'], map {'a': 1}, map_keys(counts), row(1, 2) FROM raw.events
SELECT quantile_cont(amount, [0.5, 0.95]), approx_quantile(amount, 0.9), median(amount), mode(page), approx_count_distinct("user"), arg_max(page, amount), histogram(page) FROM raw.events
SELECT string_agg(DISTINCT page, ', ' ORDER BY page), list(page ORDER BY _time), array_agg(type), max(amount, 3) FROM raw.events
SELECT corr(a, a), regr_slope(a, a), covar_samp(a, a), skewness(a), var_pop(a), bool_and(a > 1), bit_xor(a), product(a) FROM scratch
SELECT extract(dow FROM _time), date_part('week', _time), date_diff('day', _time, now()), strftime(_time, '%Y-%m'), age(_time), last_day(_time::DATE), dayname(_time), epoch_ms(_time), time_bucket(INTERVAL '15 minutes', _time), to_timestamp(0), current_date, current_timestamp FROM raw.events
SELECT strptime('2026-03-01', '%Y-%m-%d'), make_date(2026, 3, 1), TIMESTAMPTZ '2026-03-01 09:00:00+09', INTERVAL '1 day 2 hours', TRY_CAST('x' AS INTEGER), '1'::BIGINT
SELECT CASE page WHEN '/' THEN 'home' ELSE 'other' END, coalesce(page, type), ifnull(page, '-'), if(amount > 1, 1, 0), greatest(1, 2), amount BETWEEN 1 AND 2, amount IS DISTINCT FROM 1, try(1 / 0) FROM raw.events
SELECT round(amount, 2), ceil(amount), amount % 2, 7 // 2, 2 ** 3, abs(-1), ln(2), width.a FROM raw.events, (SELECT 1 AS a) width
SELECT * EXCLUDE (data) REPLACE (upper(page) AS page) RENAME (type AS kind) FROM raw.events
SELECT COLUMNS('a.*'), min(COLUMNS(* EXCLUDE (b))) OVER () FROM scratch
SELECT DISTINCT ON ("user") "user", page FROM raw.events ORDER BY "user", _time DESC NULLS LAST
SELECT * FROM raw.events USING SAMPLE 10 PERCENT (bernoulli)
SELECT * FROM raw.events TABLESAMPLE reservoir(100 ROWS) REPEATABLE (42)
SELECT * FROM raw.events WHERE "user" IN (SELECT "user" FROM assignment) AND EXISTS (FROM mart.daily d WHERE d.page = events.page) AND amount > ANY (SELECT revenue FROM mart.daily)
SELECT (SELECT max(revenue) FROM mart.daily) - amount FROM raw.events ORDER BY page COLLATE NOCASE LIMIT 5 PERCENT
SELECT * FROM raw.events WHERE page = $1 AND amount > $2
SELECT * FROM raw.events WHERE page = $page OR type = $type
SELECT * FROM raw.events WHERE page = ? AND amount > ?
SELECT page, -- which page
  count(*) /* how /* often */ */ FROM raw.events GROUP BY page;
SELECT 'it''s', $$it's$$, e'a\\nb', "user" FROM raw.events;;
SELECT md5(_id), hash(_id), uuid(), random() < 0.1, base64(encode(page)), to_json(props), typeof(amount) FROM raw.events
SELECT * FROM (VALUES ('a', 1), ('b', 2)) v(k, n) JOIN scratch ON scratch.b = v.k
SELECT x: page, y: amount FROM raw.events
SELECT page.upper(), amount.round(1) FROM raw.events
((SELECT 1) UNION ALL (SELECT 2)) ORDER BY 1
`
  .trim()
  .split(/\n(?=\S)/);

let duckdb: Awaited<ReturnType<typeof openDuckdb>>;
before(async () => {
  duckdb = await openDuckdb();
  await duckdb.connection.run(schema + tpchSchema);
});
after(() => duckdb.close());

test(`${questions.length} everyday questions are admitted for a viewer and understood by DuckDB as they are sent on`, async () => {
  assert.ok(questions.length >= 60);
  for (const sql of questions) {
    const statement = await admit(sql, duckdb.serialize, 'viewer', readable);
    assert.ok(statement.kind === 'select' || statement.kind === 'explain', sql);
    const prepared = await duckdb.connection.prepare(statement.sql);
    assert.equal(prepared.parameterCount, statement.parameters.length, sql);
    if (prepared.parameterCount === 0) await prepared.run();
  }
});

test('the 22 questions of TPC-H are admitted for a viewer', async () => {
  assert.equal(tpch.length, 22);
  for (const sql of tpch) {
    const statement = await admit(sql, duckdb.serialize, 'viewer', tpchTables);
    assert.equal(statement.kind, 'select');
    await duckdb.connection.run(sql);
  }
});

/** DuckDB's C API binds the text for this and answers with nothing where it can't bind without the tables (window frames, say). */
test('the tables read are those that DuckDB itself names', async () => {
  let compared = 0;
  for (const sql of [...questions, ...tpch]) {
    const theirs = duckdb.connection.getTableNames(sql, true).map((name) =>
      name
        .replace(/ (AS|TABLESAMPLE) .*$/, '')
        .replaceAll('"', '')
        .replace(/^main\./, ''),
    );
    if (theirs.length === 0) continue;
    const statement = await admit(sql, duckdb.serialize, 'viewer', [...readable, ...tpchTables]);
    const ours = new Set(statement.reads.tables.map(({ schema: s, name }) => (s === null || s === 'main' ? name : `${s}.${name}`)));
    assert.deepEqual([...ours].sort(), [...new Set(theirs)].sort(), sql);
    compared++;
  }
  assert.ok(compared >= 60, `${compared} compared`);
});
